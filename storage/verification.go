package storage

import (
	"context"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// EndVerified is why the sessions and grants end that were made before an address was proven.
const EndVerified = "address_proven"

// EmailVerification is an address that was shown to be a person's own.
type EmailVerification struct {
	UserID uuid.UUID
	// EmailKey is that address.
	EmailKey string
	// Link and Purpose are spent; a zero Link is none.
	Link    secret.Hash
	Purpose string
	// Claim: the maker of the account is not known to be who verified it, so what they
	// left in an account that was never proven goes: profile, password, sessions,
	// grants, consents, their own organization.
	Claim bool
	// Profile takes the place of what such an account told about itself; nil is an empty one.
	Profile *Profile
	// PasswordHash is the new password; "" leaves it.
	PasswordHash string
	// Next is a link to store with it, or nil.
	Next *Link
	// External is the external identity whose upstream verified the address; nil for none. It signs the user in from now on.
	External *ExternalIdentity
	Event    *Event
	Mails    []*Message
}

// VerifyEmail makes an address verified. A new password ends all sessions and grants.
// ErrSpent for a link that was used, ErrNotFound for a person who is gone or
// disabled, ErrConflict if they have another address now.
func (s *Store) VerifyEmail(ctx context.Context, p *EmailVerification) error {
	return s.change(ctx, "prove an address", func(t *tx) error {
		if !p.Link.IsZero() {
			if err := t.spendLink(ctx, p.Link, p.Purpose); err != nil {
				return err
			}
		}
		first, err := t.verifyAddress(ctx, p.UserID, p.EmailKey)
		if err != nil {
			return err
		}
		if first && p.Claim {
			if err := t.takeOver(ctx, p.UserID, p.Profile); err != nil {
				return err
			}
		}
		if p.PasswordHash != "" {
			if err := t.setPassword(ctx, p.UserID, p.PasswordHash, uuid.Nil); err != nil {
				return err
			}
		}
		if p.External != nil {
			if !first { // another way verified it meanwhile, so that its owner must link the identity
				return ErrConflict
			}
			if err := t.insertIdentity(ctx, p.External); err != nil {
				return err
			}
		}
		if p.Next != nil {
			if err := t.createLink(ctx, p.Next); err != nil {
				return err
			}
		}
		return t.eventAndMail(ctx, p.Event, p.Mails)
	})
}

// verifyAddress tells whether it is the first proof. What was mailed to an address
// proves that address alone: a superadmin may have changed it since.
func (t *tx) verifyAddress(ctx context.Context, userID uuid.UUID, emailKey string) (first bool, err error) {
	if err := t.lockUser(ctx, userID); err != nil {
		return false, err
	}
	var key string
	var proven, disabled int64
	err = t.row(ctx, `SELECT email_key, CASE WHEN email_verified_at IS NULL THEN 0 ELSE 1 END, CASE WHEN disabled_at IS NULL THEN 0 ELSE 1 END FROM users WHERE id = ?`,
		id(userID)).Scan(&key, &proven, &disabled)
	switch {
	case err != nil:
		return false, err
	case disabled == 1:
		return false, ErrNotFound
	case key != emailKey:
		return false, ErrConflict
	case proven == 1:
		return false, nil
	}
	_, err = t.exec(ctx, `UPDATE users SET email_verified_at = ? WHERE id = ?`, usec(t.s.clock()), id(userID))
	return true, err
}

// takeOver takes an account, whose row the caller holds, from a maker who did not
// own its address. Nothing that they told or made is left: profile (nil is an
// empty one) counts, and the next sign-in is welcomed as the first.
func (t *tx) takeOver(ctx context.Context, userID uuid.UUID, profile *Profile) error {
	if profile == nil {
		profile = &Profile{}
	}
	if err := t.setProfile(ctx, userID, profile); err != nil {
		return err
	}
	// Sessions before memberships and consents, as the statement that writes a code locks them.
	if err := t.endAccess(ctx, userID, uuid.Nil, uuid.Nil, EndVerified); err != nil {
		return err
	}
	if err := t.closeOwnOrganizations(ctx, userID); err != nil {
		return err
	}
	return t.execAll(ctx,
		statement{`UPDATE users SET first_sign_in_at = NULL WHERE id = ?`, []any{id(userID)}},
		statement{`DELETE FROM passwords WHERE user_id = ?`, []any{id(userID)}},
		statement{`UPDATE consents SET withdrawn_at = ? WHERE user_id = ? AND withdrawn_at IS NULL`, []any{usec(t.s.clock()), id(userID)}})
}

// closeOwnOrganizations ends the organizations that were made with this person as
// their owner, as OnFirstSignIn does, and have no other member. One in which they were given a
// place was made by another person, and stays. In the order of the ids, as for
// leaveOrganizations.
func (t *tx) closeOwnOrganizations(ctx context.Context, userID uuid.UUID) error {
	own, err := list(ctx, t, "read ids", column[uuid.UUID], `SELECT o.id FROM memberships m JOIN organizations o ON o.id = m.organization_id
		WHERE m.user_id = ? AND m.role = 'owner' AND m.created_at = o.created_at AND o.deleted_at IS NULL ORDER BY o.id`, id(userID))
	if err != nil {
		return err
	}
	for _, o := range own {
		if err := t.lockOrganization(ctx, o); err != nil {
			return err
		}
		var others int
		if err := t.row(ctx, `SELECT count(*) FROM memberships WHERE organization_id = ? AND user_id <> ?`, id(o), id(userID)).Scan(&others); err != nil {
			return err
		}
		if others > 0 {
			continue
		}
		if err := t.closeOrganization(ctx, o, &Event{Type: EventOrganizationDeleted, Organization: o, User: userID,
			Facts: map[string]any{"reason": "its only member had never proven the address"}}); err != nil {
			return err
		}
	}
	return nil
}
