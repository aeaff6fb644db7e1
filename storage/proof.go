package storage

import (
	"context"
	"database/sql"
	"errors"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// EndProven is why the sessions and grants end that were made before an address was proven.
const EndProven = "address_proven"

// Registration is an account to make.
type Registration struct {
	Person NewUser
	// Link proved the address and is spent; a zero Link is none.
	Link secret.Hash
	// Next is a link to store with it, or nil.
	Next  *Link
	Mails []*Message
}

// Register makes an account. ErrSpent as for Link, ErrExists if the address is
// somebody's already: then the link stays.
func (s *Store) Register(ctx context.Context, r *Registration) error {
	err := s.inTx(ctx, func(t *tx) error {
		if !r.Link.IsZero() {
			if err := t.spendLink(ctx, r.Link, LinkRegister); err != nil {
				return err
			}
		}
		if err := t.createUser(ctx, &r.Person); err != nil {
			return err
		}
		if r.Next != nil {
			if err := t.createLink(ctx, r.Next); err != nil {
				return err
			}
		}
		return t.enqueue(ctx, r.Mails...)
	})
	return fault("register a person", err)
}

// Proof is an address that was shown to be a person's own.
type Proof struct {
	UserID uuid.UUID
	// EmailKey is that address.
	EmailKey string
	// Link and Purpose are spent; a zero Link is none.
	Link    secret.Hash
	Purpose string
	// Claim: whoever made the account is not known to be who has shown it, so what they
	// left in an account that was never proven goes: profile, password, sessions,
	// grants, consents, their own organization.
	Claim bool
	// Profile takes the place of what such an account told about itself; nil is an empty one.
	Profile *Profile
	// PasswordHash is the new password; "" leaves it.
	PasswordHash string
	// Next is a link to store with it, or nil.
	Next  *Link
	Event *Event
	Mails []*Message
}

// Prove makes an address proven. A new password ends all sessions and grants.
// ErrSpent for a link that was used, ErrNotFound for a person who is gone or
// disabled, ErrConflict if they have another address now.
func (s *Store) Prove(ctx context.Context, p *Proof) error {
	err := s.inTx(ctx, func(t *tx) error {
		if !p.Link.IsZero() {
			if err := t.spendLink(ctx, p.Link, p.Purpose); err != nil {
				return err
			}
		}
		first, err := t.proveAddress(ctx, p.UserID, p.EmailKey)
		if err != nil {
			return err
		}
		if first && p.Claim {
			if err := t.claim(ctx, p.UserID, p.Profile); err != nil {
				return err
			}
		}
		if p.PasswordHash != "" {
			if err := t.setPassword(ctx, p.UserID, p.PasswordHash, uuid.Nil); err != nil {
				return err
			}
		}
		if p.Next != nil {
			if err := t.createLink(ctx, p.Next); err != nil {
				return err
			}
		}
		return t.tell(ctx, p.Event, p.Mails)
	})
	return fault("prove an address", err)
}

// proveAddress tells whether it is the first proof. What was mailed to an address
// proves that address alone: a superadmin may have changed it since.
func (t *tx) proveAddress(ctx context.Context, userID uuid.UUID, emailKey string) (first bool, err error) {
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

// claim takes an account, whose row the caller holds, from whoever made it without
// owning its address. Nothing that they told or made is left: profile (nil is an
// empty one) counts, and the next sign-in is welcomed as the first.
func (t *tx) claim(ctx context.Context, userID uuid.UUID, profile *Profile) error {
	if profile == nil {
		profile = &Profile{}
	}
	if err := t.setProfile(ctx, userID, profile); err != nil {
		return err
	}
	// Sessions before memberships and consents, as the statement that writes a code locks them.
	if err := t.endAccess(ctx, userID, uuid.Nil, EndProven); err != nil {
		return err
	}
	if err := t.closeOwnOrganizations(ctx, userID); err != nil {
		return err
	}
	for _, q := range []struct {
		query string
		args  []any
	}{
		{`UPDATE users SET first_sign_in_at = NULL WHERE id = ?`, []any{id(userID)}},
		{`DELETE FROM passwords WHERE user_id = ?`, []any{id(userID)}},
		{`UPDATE consents SET withdrawn_at = ? WHERE user_id = ? AND withdrawn_at IS NULL`, []any{usec(t.s.clock()), id(userID)}},
	} {
		if _, err := t.exec(ctx, q.query, q.args...); err != nil {
			return err
		}
	}
	return nil
}

// closeOwnOrganizations ends the organizations that were made with this person as
// their owner, as Welcome does, and have nobody else. One in which they were given a
// place is somebody else's work, and stays. In the order of the ids, as for
// leaveOrganizations.
func (t *tx) closeOwnOrganizations(ctx context.Context, userID uuid.UUID) error {
	own, err := t.ids(ctx, `SELECT o.id FROM memberships m JOIN organizations o ON o.id = m.organization_id
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
		if err := t.closeOrganization(ctx, o, &Event{Type: "organization.deleted", Organization: o, User: userID, Facts: map[string]any{"reason": "its only member had never proven the address"}}); err != nil {
			return err
		}
	}
	return nil
}

// EndUnproven is why the access of unproven people ends where addresses must be proven.
const EndUnproven = "address_unproven"

// EndUnprovenAccess ends the sessions, grants and personal access tokens of everybody
// whose address is not proven, with an event each, and tells how many people had any.
func (s *Store) EndUnprovenAccess(ctx context.Context, pace *Pace) (int, error) {
	n := 0
	err := s.eachUnproven(ctx, s.clock(), pace, func(u unproven) error {
		if !u.access {
			return nil
		}
		return s.inTx(ctx, func(t *tx) error {
			// They may have proven it, or be gone, since they were looked for.
			held, err := t.exec(ctx, `UPDATE users SET updated_at = ? WHERE id = ? AND email_verified_at IS NULL AND deleted_at IS NULL`, usec(s.clock()), id(u.id))
			if err != nil || held == 0 {
				return err
			}
			n++
			if err := t.endAccess(ctx, u.id, uuid.Nil, EndUnproven); err != nil {
				return err
			}
			return t.event(ctx, &Event{Type: "user.access_ended", User: u.id, Facts: map[string]any{"reason": EndUnproven}})
		})
	})
	return n, fault("end the access of unproven people", err)
}

// FirstSignIn notes that a person has signed in and tells whether it was for the
// first time, and to how many organizations they belong then.
func (s *Store) FirstSignIn(ctx context.Context, userID uuid.UUID) (first bool, organizations int, err error) {
	err = s.rowW(ctx, `UPDATE users SET first_sign_in_at = ? WHERE id = ? AND first_sign_in_at IS NULL
		RETURNING (SELECT count(*) FROM memberships m JOIN organizations o ON o.id = m.organization_id WHERE m.user_id = users.id AND o.deleted_at IS NULL)`,
		usec(s.clock()), id(userID)).Scan(&organizations)
	if errors.Is(err, sql.ErrNoRows) {
		return false, 0, nil
	}
	return err == nil, organizations, fault("note a first sign-in", err)
}
