package storage

import (
	"context"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// DeleteUser makes a person a tombstone: what identifies them is cleared, in the
// audit log too; the sub stays and is never given out again. Sessions, grants,
// consents, factors and tokens end, and so do the organizations that have no other
// member; what they were invited to and what they offered to others is taken back.
// ErrConflict if others would be left without an owner (see SoleOwnerships), or
// without a superadmin (ErrLastSuperadmin). session is the one that a person deletes their own account in, nil for
// none: ErrSpent if it has ended, because a user who ends it when an intruder is in it must not be overtaken.
func (s *Store) DeleteUser(ctx context.Context, userID, session uuid.UUID, e *Event, mails ...*Message) error {
	return s.change(ctx, "delete a person", func(t *tx) error {
		if err := t.keepSuperadmin(ctx, userID, e); err != nil {
			return err
		}
		if err := t.lockUser(ctx, userID); err != nil {
			return err
		}
		if err := t.requireLiveSession(ctx, userID, session, ErrSpent); err != nil {
			return err
		}
		if err := t.authorize(ctx, e); err != nil {
			return err
		}
		if err := t.deleteUser(ctx, userID, e); err != nil {
			return err
		}
		return t.eventAndMail(ctx, e, mails)
	})
}

// deleteUser makes a tombstone of a person whom the caller holds.
func (t *tx) deleteUser(ctx context.Context, userID uuid.UUID, e *Event) error {
	// Sessions before memberships and consents, as the statement that writes a code locks them.
	if err := t.endAccess(ctx, userID, uuid.Nil, uuid.Nil, EndUserDeleted); err != nil {
		return err
	}
	if err := t.leaveOrganizations(ctx, userID, e); err != nil {
		return err
	}
	if err := t.forgetFactors(ctx, userID); err != nil {
		return err
	}
	now := usec(t.s.clock())
	return t.execAll(ctx,
		statement{`UPDATE invitations SET email = '', email_key = '', revoked_at = CASE WHEN accepted_at IS NULL THEN COALESCE(revoked_at, ?) END
			WHERE email_key = (SELECT email_key FROM users WHERE id = ?)`, []any{now, id(userID)}},
		statement{`UPDATE invitations SET email = '', email_key = '', revoked_at = COALESCE(revoked_at, ?) WHERE invited_by = ? AND accepted_at IS NULL`, []any{now, id(userID)}},
		statement{`UPDATE users SET email = NULL, email_key = NULL, email_verified_at = NULL, platform_roles = '', profile = '{}', deleted_at = ? WHERE id = ?`, []any{now, id(userID)}},
		statement{`DELETE FROM passwords WHERE user_id = ?`, []any{id(userID)}},
		statement{`DELETE FROM external_identities WHERE user_id = ?`, []any{id(userID)}},
		statement{`DELETE FROM upstream_sessions WHERE session_id IN (SELECT id FROM sessions WHERE user_id = ?)`, []any{id(userID)}},
		statement{`UPDATE consents SET withdrawn_at = ? WHERE user_id = ? AND withdrawn_at IS NULL`, []any{now, id(userID)}},
		statement{`UPDATE links SET spent_at = ?, payload = '' WHERE user_id = ?`, []any{now, id(userID)}},
		statement{`UPDATE sessions SET browser = '', network4 = '', network6 = '', device_hash = NULL WHERE user_id = ?`,
			[]any{id(userID)}},
		statement{`UPDATE personal_access_tokens SET name = '' WHERE user_id = ?`, []any{id(userID)}},
		statement{`UPDATE invitations SET email = '', email_key = '' WHERE accepted_by = ?`, []any{id(userID)}},
		// The salt goes too: without it the digest in the chain cannot be tried against guesses.
		statement{`UPDATE audit_events SET personal = NULL, personal_salt = NULL WHERE user_id = ?`, []any{id(userID)}})
}

// leaveOrganizations ends all memberships of a person, in the order of the
// organizations' ids so that two who leave at once do not wait for each other.
// An organization whose only member they were ends.
func (t *tx) leaveOrganizations(ctx context.Context, userID uuid.UUID, e *Event) error {
	owned, err := list(ctx, t, "read ids", column[uuid.UUID], `SELECT o.id FROM memberships m JOIN organizations o ON o.id = m.organization_id
		WHERE m.user_id = ? AND m.role = 'owner' AND o.deleted_at IS NULL ORDER BY o.id`, id(userID))
	if err != nil {
		return err
	}
	for _, o := range owned {
		if err := t.lockOrganization(ctx, o); err != nil {
			return err
		}
		var others int
		if err := t.row(ctx, `SELECT count(*) FROM memberships WHERE organization_id = ? AND user_id <> ?`, id(o), id(userID)).Scan(&others); err != nil {
			return err
		}
		if others > 0 {
			err = t.keepOwner(ctx, o, userID)
		} else {
			err = t.closeOrganization(ctx, o, &Event{Type: EventOrganizationDeleted, Organization: o, Actor: e.Actor,
				RequestID: e.RequestID, Facts: map[string]any{"reason": "its only member left"}})
		}
		if err != nil {
			return err
		}
	}
	return t.do(ctx, `DELETE FROM memberships WHERE user_id = ?`, id(userID))
}

// closeOrganization makes an organization that the caller holds a tombstone, with
// its clients. The slug, which may be made of a person's name, is kept as a hash,
// so that it is never given out again: see retiredSlug.
func (t *tx) closeOrganization(ctx context.Context, organizationID uuid.UUID, e *Event) error {
	now := usec(t.s.clock())
	var slug string
	if err := t.row(ctx, `SELECT slug FROM organizations WHERE id = ?`, id(organizationID)).Scan(&slug); err != nil {
		return err
	}
	clients, err := list(ctx, t, "read the clients", column[string], `SELECT id FROM clients WHERE organization_id = ? AND deleted_at IS NULL ORDER BY id`, id(organizationID))
	if err != nil {
		return err
	}
	// The members go before the clients' grants: a grant to one of these clients is
	// written only while the membership's row is held.
	members, err := list(ctx, t, "read ids", column[uuid.UUID], `SELECT user_id FROM memberships WHERE organization_id = ? ORDER BY user_id`, id(organizationID))
	if err != nil {
		return err
	}
	for _, m := range members {
		if _, err := t.endMembership(ctx, organizationID, m); err != nil {
			return err
		}
	}
	edit := &RegistryEdit{tx: t, now: now}
	for _, c := range clients {
		deleted := &Event{Type: EventClientDeleted, Organization: organizationID, Actor: e.Actor, Client: c, RequestID: e.RequestID}
		if err := edit.DeleteClient(ctx, c, deleted); err != nil {
			return err
		}
	}
	if err := t.execAll(ctx,
		statement{`UPDATE organizations SET slug = ?, name = '', settings = '{}', deleted_at = ? WHERE id = ?`, []any{retiredSlug(slug), now, id(organizationID)}},
		statement{`UPDATE invitations SET email = '', email_key = '', revoked_at = COALESCE(revoked_at, ?) WHERE organization_id = ? AND accepted_at IS NULL`, []any{now, id(organizationID)}}); err != nil {
		return err
	}
	if err := t.revokePersonalTokens(ctx, `organization_id = ?`, id(organizationID)); err != nil {
		return err
	}
	if err := t.changeRegistry(ctx, append(edit.changes, registryChange{changedOrganization, organizationID.String()})...); err != nil {
		return err
	}
	return t.event(ctx, e)
}

// retiredSlug is what a slug is replaced by when its organization ends. No slug
// begins like it.
func retiredSlug(slug string) string { return "~" + secret.HashOf(slug).String() }

// barred takes back an organization that was just created, if its slug was that of
// one that has ended, and reports whether it was. It comes after the insertion, which
// waits for an organization that is about to end.
func (t *tx) barred(ctx context.Context, o *Organization) (bool, error) {
	n, err := t.exec(ctx, `DELETE FROM organizations WHERE id = ? AND EXISTS (SELECT 1 FROM organizations ended WHERE ended.slug = ?)`, id(o.ID), retiredSlug(o.Slug))
	return n > 0, err
}

// SoleOwnerships returns the organizations of which the person is the last owner
// who can act: with other members (blocking), and without (they end with the person).
func (s *Store) SoleOwnerships(ctx context.Context, userID uuid.UUID) (blocking, ending []Organization, err error) {
	err = s.rows(ctx, func(r scanner) error {
		var o Organization
		var others int
		if err := r.Scan(append(organizationRow.dest(&o), &others)...); err != nil {
			return err
		}
		if others > 0 {
			blocking = append(blocking, o)
		} else {
			ending = append(ending, o)
		}
		return nil
	}, `SELECT `+organizationRow.columns+`, (SELECT count(*) FROM memberships k WHERE k.organization_id = m.organization_id AND k.user_id <> m.user_id)
		FROM memberships m JOIN organizations o ON o.id = m.organization_id
		WHERE m.user_id = ? AND m.role = 'owner' AND o.deleted_at IS NULL AND NOT EXISTS
			(SELECT 1 FROM memberships k JOIN users u ON u.id = k.user_id WHERE k.organization_id = m.organization_id
				AND k.user_id <> m.user_id AND k.role = 'owner' AND u.disabled_at IS NULL AND u.deleted_at IS NULL)
		ORDER BY o.name, o.id`, id(userID))
	return blocking, ending, fault("read what a person owns alone", err)
}
