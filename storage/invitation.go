package storage

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// Invitation offers a place in an organization to the reader of the mail of an
// address. Address, role and organization are settled when it is made.
type Invitation struct {
	ID             uuid.UUID `db:"id"`
	OrganizationID uuid.UUID `db:"organization_id"`
	// Email is as typed; EmailKey is what the acceptor's must be.
	Email    string `db:"email"`
	EmailKey string `db:"email_key"`
	Role     string `db:"role"`
	// Token is only kept as this hash.
	Token     secret.Hash `db:"token_hash"`
	InvitedBy uuid.UUID   `db:"invited_by"` // nil for the operator
	// Inviter is their name, or their address if they have none. It is read, not written.
	Inviter    string
	CreatedAt  time.Time `db:"created_at"`
	ExpiresAt  time.Time `db:"expires_at"`
	AcceptedAt time.Time `db:"accepted_at"`
	AcceptedBy uuid.UUID `db:"accepted_by"`
	RevokedAt  time.Time `db:"revoked_at"`
	// Suspended: the inviter may not make it any more. It can be accepted once an owner
	// has confirmed it. It is read, not written.
	Suspended bool
}

var invitationRow = layoutOf[Invitation]("i")

var invitationColumns = invitationRow.columns + `, b.profile, b.email, CASE WHEN ` + invitationSuspended + ` THEN 1 ELSE 0 END`

// inviterMay is the condition that the inviter of invitation i may make it today, as
// identity.Invite demands: the operator always, a superadmin, an owner, and an admin
// where it does not make an owner.
const inviterMay = `(i.invited_by IS NULL OR EXISTS (SELECT 1 FROM users v LEFT JOIN memberships m ON m.organization_id = i.organization_id AND m.user_id = v.id
		WHERE v.id = i.invited_by AND v.disabled_at IS NULL AND v.deleted_at IS NULL AND v.email_verified_at IS NOT NULL
		AND (m.role = 'owner' OR m.role = 'admin' AND i.role <> 'owner' OR ' ' || v.platform_roles || ' ' LIKE '% superadmin %')))`

// invitationSuspended is the condition that invitation i waits for an owner.
const invitationSuspended = `(i.suspended_at IS NOT NULL OR NOT ` + inviterMay + `)`

// ErrSuspended: an invitation can be accepted once an owner has confirmed it.
var ErrSuspended = errors.New("the invitation must be confirmed by an owner")

// suspendInvitations suspends the open invitations that a person may not make any
// more. They stay so until an owner confirms them, even if the person comes back.
// Whatever takes a role away or disables a person calls it after the change.
func (t *tx) suspendInvitations(ctx context.Context, inviter uuid.UUID) error {
	return t.do(ctx, `UPDATE invitations AS i SET suspended_at = ? WHERE i.invited_by = ? AND i.accepted_at IS NULL AND i.revoked_at IS NULL
		AND i.suspended_at IS NULL AND NOT `+inviterMay, usec(t.s.clock()), id(inviter))
}

// ConfirmInvitation makes a suspended invitation one of the event's actor, on whose
// authority it stands from now on. ErrNotFound if the organization has none such that
// is open.
func (s *Store) ConfirmInvitation(ctx context.Context, organizationID, invitationID uuid.UUID, e *Event) error {
	return s.change(ctx, "confirm an invitation", func(t *tx) error {
		if err := t.lockOrganization(ctx, organizationID); err != nil {
			return err
		}
		return t.doWith(ctx, e, ErrNotFound, `UPDATE invitations AS i SET suspended_at = NULL, invited_by = ? WHERE i.id = ? AND i.organization_id = ?
			AND i.accepted_at IS NULL AND i.revoked_at IS NULL AND i.expires_at > ? AND `+invitationSuspended,
			id(e.Actor), id(invitationID), id(organizationID), usec(s.clock()))
	})
}

// invitationWith is an invitation as it is read: inviter is what the name is made of, of those who have none the address.
type invitationWith struct {
	Invitation
	inviter      User
	organization Organization
}

// dest is where invitationColumns are scanned into.
func (i *invitationWith) dest() []any {
	return append(invitationRow.dest(&i.Invitation), &i.inviter.Profile, &i.inviter.Email, &i.Suspended)
}

func (i *invitationWith) named() *Invitation {
	i.Inviter = cmp.Or(i.inviter.Profile.Name, i.inviter.Email)
	return &i.Invitation
}

// CreateInvitation stores an invitation; one that the address has already to the
// organization is revoked. ErrNotFound if the organization is gone, ErrExists if
// the address is a member's, ErrConflict if limit others are open, or were made
// within a day and not accepted.
func (s *Store) CreateInvitation(ctx context.Context, i *Invitation, limit int, e *Event, mails ...*Message) error {
	return s.change(ctx, "create an invitation", func(t *tx) error {
		if err := t.lockOrganization(ctx, i.OrganizationID); err != nil {
			return err
		}
		if err := t.require(ctx, ErrExists, `SELECT NOT EXISTS (SELECT 1 FROM memberships m JOIN users u ON u.id = m.user_id
			WHERE m.organization_id = ? AND u.email_key = ?)`, id(i.OrganizationID), i.EmailKey); err != nil {
			return err
		}
		now := usec(s.clock())
		if _, err := t.exec(ctx, `UPDATE invitations SET revoked_at = ? WHERE organization_id = ? AND email_key = ? AND accepted_at IS NULL AND revoked_at IS NULL`,
			now, id(i.OrganizationID), i.EmailKey); err != nil {
			return err
		}
		// Those that were taken back count too: their mails are sent.
		if err := t.require(ctx, ErrConflict, `SELECT count(*) < ? FROM invitations WHERE organization_id = ? AND accepted_at IS NULL
			AND (revoked_at IS NULL AND expires_at > ? OR created_at > ?)`, limit, id(i.OrganizationID), now, usec(s.clock().Add(-24*time.Hour))); err != nil {
			return err
		}
		if _, err := t.execNamed(ctx, `INSERT INTO invitations (id, organization_id, email, email_key, role, token_hash, invited_by, created_at, expires_at)
			VALUES (:id, :organization_id, :email, :email_key, :role, :token_hash, :invited_by, :created_at, :expires_at)`, map[string]any{
			"id": id(i.ID), "organization_id": id(i.OrganizationID), "email": i.Email, "email_key": i.EmailKey,
			"role": i.Role, "token_hash": i.Token, "invited_by": id(i.InvitedBy), "created_at": usec(i.CreatedAt),
			"expires_at": usec(i.ExpiresAt)}); err != nil {
			return err
		}
		return t.eventAndMail(ctx, e, mails)
	})
}

// Invitations returns up to limit invitations of an organization that can still be
// accepted, with ids after that one, in order of their creation.
func (s *Store) Invitations(ctx context.Context, organizationID, after uuid.UUID, limit int) ([]Invitation, error) {
	found, err := list(ctx, s, "list invitations", (*invitationWith).dest, `SELECT `+invitationColumns+` FROM invitations i LEFT JOIN users b ON b.id = i.invited_by
		WHERE i.organization_id = ? AND i.id > ? AND i.accepted_at IS NULL AND i.revoked_at IS NULL AND i.expires_at > ? ORDER BY i.id LIMIT ?`,
		id(organizationID), after.String(), usec(s.clock()), limit)
	all := make([]Invitation, len(found))
	for n := range found {
		all[n] = *found[n].named()
	}
	return all, err
}

// Invitation returns an invitation that can be accepted, or could if it were confirmed
// (Suspended), and to what. ErrSpent if it was accepted or revoked or has expired,
// ErrNotFound if there is none (any more).
func (s *Store) Invitation(ctx context.Context, token secret.Hash) (*Invitation, *Organization, error) {
	i, err := one(ctx, s, "read an invitation", func(i *invitationWith) []any {
		return append(i.dest(), organizationRow.dest(&i.organization)...)
	}, `SELECT `+invitationColumns+`, `+organizationRow.columns+` FROM invitations i JOIN organizations o ON o.id = i.organization_id
		LEFT JOIN users b ON b.id = i.invited_by WHERE i.token_hash = ? AND o.deleted_at IS NULL`, token)
	if err == nil && (!i.AcceptedAt.IsZero() || !i.RevokedAt.IsZero() || !s.clock().Before(i.ExpiresAt)) {
		err = fault("read an invitation", ErrSpent)
	}
	if err != nil {
		return nil, nil, err
	}
	return i.named(), &i.organization, nil
}

// RevokeInvitation makes an invitation worthless. ErrNotFound if the organization
// has none such that is open.
func (s *Store) RevokeInvitation(ctx context.Context, organizationID, invitationID uuid.UUID, e *Event) error {
	return s.change(ctx, "revoke an invitation", func(t *tx) error {
		now := usec(s.clock())
		return t.doWith(ctx, e, ErrNotFound, `UPDATE invitations SET revoked_at = ? WHERE id = ? AND organization_id = ?
			AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > ?`, now, id(invitationID), id(organizationID), now)
	})
}

// Acceptance is an invitation that is used.
type Acceptance struct {
	Token secret.Hash
	// EmailKey must be the invited one.
	EmailKey string
	// Keep is the session that acts. A first proof of the address ends all other access.
	Keep uuid.UUID
	// Verified tells of such a proof; it is written then alone.
	Verified *Event
	// Event tells of the acceptance. Its person, its organization and the facts
	// invitation and role are filled in.
	Event *Event
}

// AcceptInvitation uses an invitation for a person, whose address counts as proven
// from then on: the token was mailed to it. If it was not before, their sessions but
// Keep end, and their grants and personal access tokens. A member keeps the role they have.
// ErrSpent as for Invitation, for an organization that is gone too; ErrSuspended if an
// owner must confirm it first; ErrConflict if
// the person's address, or Acceptance's, is not the invited one; ErrNotFound for a
// person who is gone or disabled.
func (s *Store) AcceptInvitation(ctx context.Context, a *Acceptance, userID uuid.UUID) error {
	return s.change(ctx, "accept an invitation", func(t *tx) error {
		first, err := t.verifyAddress(ctx, userID, a.EmailKey)
		if err != nil {
			return err
		}
		if first {
			if err := t.endAccess(ctx, userID, a.Keep, uuid.Nil, EndVerified); err != nil {
				return err
			}
			if err := t.event(ctx, a.Verified); err != nil {
				return err
			}
		}
		return t.accept(ctx, a, userID)
	})
}

// accept spends the invitation and makes the person, whom the caller holds, a member.
func (t *tx) accept(ctx context.Context, a *Acceptance, userID uuid.UUID) error {
	var invitation, organization uuid.UUID
	var role, emailKey string
	err := t.row(ctx, `SELECT id, organization_id, role, email_key FROM invitations WHERE token_hash = ?`, a.Token).Scan(&invitation, &organization, &role, &emailKey)
	if err == nil && emailKey == "" { // its person or organization is gone
		err = ErrSpent
	}
	if err == nil && emailKey != a.EmailKey {
		err = ErrConflict
	}
	if err != nil {
		return err
	}
	// What removes members or ends the organization holds this row too.
	if err := t.lockOrganization(ctx, organization); errors.Is(err, ErrNotFound) {
		return ErrSpent
	} else if err != nil {
		return err
	}
	now := usec(t.s.clock())
	n, err := t.exec(ctx, `UPDATE invitations AS i SET accepted_at = ?, accepted_by = ? WHERE i.id = ? AND i.accepted_at IS NULL AND i.revoked_at IS NULL AND i.expires_at > ?
		AND NOT `+invitationSuspended, now, id(userID), id(invitation), now)
	if err == nil && n == 0 {
		err = t.notAccepted(ctx, invitation, now)
	}
	if err != nil {
		return err
	}
	if _, err := t.exec(ctx, `INSERT INTO memberships (organization_id, user_id, role, created_at) VALUES (?, ?, ?, ?) ON CONFLICT (organization_id, user_id) DO NOTHING`,
		id(organization), id(userID), role, now); err != nil {
		return err
	}
	a.Event.Organization, a.Event.User = organization, userID
	if a.Event.Facts == nil {
		a.Event.Facts = map[string]any{}
	}
	a.Event.Facts["invitation"], a.Event.Facts["role"] = invitation.String(), role
	return t.event(ctx, a.Event)
}

// notAccepted says why an invitation could not be accepted.
func (t *tx) notAccepted(ctx context.Context, invitation uuid.UUID, now any) error {
	if err := t.require(ctx, ErrSpent, `SELECT EXISTS (SELECT 1 FROM invitations i WHERE i.id = ? AND i.accepted_at IS NULL AND i.revoked_at IS NULL
		AND i.expires_at > ? AND `+invitationSuspended+`)`, id(invitation), now); err != nil {
		return err
	}
	return ErrSuspended
}

// RegisterInvited uses an invitation for a person who has no account, or none that
// was ever verified: p is created, or takes over the account of that address, which
// p.User then is. Its password, sessions and grants go as in VerifyEmail. p's events tell
// of a creation, claimed of taking over. Errors are those of AcceptInvitation, and
// ErrExists if an account has the address already: then the invitation stays.
func (s *Store) RegisterInvited(ctx context.Context, a *Acceptance, p *NewUser, claimed *Event, mails ...*Message) error {
	return s.change(ctx, "register an invited person", func(t *tx) error {
		if err := t.createOrTakeOver(ctx, p, claimed); err != nil {
			return err
		}
		if err := t.accept(ctx, a, p.User.ID); err != nil {
			return err
		}
		return t.enqueue(ctx, mails...)
	})
}

func (t *tx) createOrTakeOver(ctx context.Context, p *NewUser, claimed *Event) error {
	var there User
	err := t.row(ctx, `SELECT `+userRow.columns+` FROM users u WHERE u.email_key = ?`, p.User.EmailKey).Scan(userRow.dest(&there)...)
	switch {
	case errors.Is(classify(err), ErrNotFound):
		return t.createUser(ctx, p)
	case err != nil:
		return err
	case there.EmailVerified() || !there.Active():
		return ErrExists
	}
	if first, err := t.verifyAddress(ctx, there.ID, p.User.EmailKey); err != nil {
		return err
	} else if !first {
		return ErrExists
	}
	if err := t.takeOver(ctx, there.ID, &p.User.Profile); err != nil {
		return err
	}
	if p.PasswordHash != "" {
		if err := t.setPassword(ctx, there.ID, p.PasswordHash, uuid.Nil); err != nil {
			return err
		}
	}
	there.Profile, there.EmailVerifiedAt, there.FirstSignInAt = p.User.Profile, t.s.clock(), time.Time{}
	p.User = there
	claimed.User = there.ID
	return t.event(ctx, claimed)
}

// IsInvited reports whether an invitation to that folded address can be accepted.
func (s *Store) IsInvited(ctx context.Context, emailKey string) (bool, error) {
	var n int
	err := s.row(ctx, `SELECT count(*) FROM invitations i WHERE i.email_key = ? AND i.accepted_at IS NULL AND i.revoked_at IS NULL
		AND NOT `+invitationSuspended+` AND i.expires_at > ?`, emailKey, usec(s.clock())).Scan(&n)
	return n > 0, fault("look for an invitation", err)
}
