package storage

import (
	"context"
	"encoding/json"

	"github.com/google/uuid"
)

// EndEmailChanged is why a change of address ends sessions and grants.
const EndEmailChanged = "email_changed"

// UpdateProfile changes what a person tells about themself. edit may be run more than once.
func (s *Store) UpdateProfile(ctx context.Context, userID uuid.UUID, edit func(*Profile), e *Event) error {
	return s.change(ctx, "update a profile", func(t *tx) error {
		if err := t.lockUser(ctx, userID); err != nil {
			return err
		}
		var p Profile
		if err := t.row(ctx, `SELECT profile FROM users WHERE id = ?`, id(userID)).Scan(&p); err != nil {
			return err
		}
		edit(&p)
		if err := t.setProfile(ctx, userID, &p); err != nil {
			return err
		}
		return t.event(ctx, e)
	})
}

func (t *tx) setProfile(ctx context.Context, userID uuid.UUID, p *Profile) error {
	value, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return t.do(ctx, `UPDATE users SET profile = ? WHERE id = ?`, string(value), id(userID))
}

// ChangePassword is SetPassword by a user who has shown the present password, old; "" where there is none. ErrConflict
// if it is another by now, or the session keep has ended: an intruder who knows the password must not overtake its owner.
func (s *Store) ChangePassword(ctx context.Context, userID uuid.UUID, old, hash string, keep uuid.UUID, e *Event, mails ...*Message) error {
	return s.change(ctx, "change a password", func(t *tx) error {
		if err := t.lockUser(ctx, userID); err != nil {
			return err
		}
		if err := t.require(ctx, ErrConflict, `SELECT EXISTS (SELECT 1 FROM users u LEFT JOIN passwords p ON p.user_id = u.id
			WHERE u.id = ? AND COALESCE(p.hash, '') = ?)`, id(userID), old); err != nil {
			return err
		}
		if err := t.requireLiveSession(ctx, userID, keep, ErrConflict); err != nil {
			return err
		}
		if err := t.setPassword(ctx, userID, hash, keep); err != nil {
			return err
		}
		return t.eventAndMail(ctx, e, mails)
	})
}

// ChangeEmail gives a user an address that the caller vouches for. Their sessions and grants end, and links that were
// mailed to the old address die. An account that was never verified is taken over, as in VerifyEmail: its password and
// consents go too.
// ErrExists if the address is taken.
func (s *Store) ChangeEmail(ctx context.Context, userID uuid.UUID, email, emailKey string, e *Event, mails ...*Message) error {
	return s.change(ctx, "change an address", func(t *tx) error {
		if err := t.lockUser(ctx, userID); err != nil {
			return err
		}
		now := usec(s.clock())
		var unverified int
		if err := t.row(ctx, `SELECT count(*) FROM users WHERE id = ? AND email_verified_at IS NULL`, id(userID)).Scan(&unverified); err != nil {
			return err
		}
		if unverified > 0 {
			if err := t.takeOver(ctx, userID, nil); err != nil {
				return err
			}
		}
		if _, err := t.exec(ctx, `UPDATE users SET email = ?, email_key = ?, email_verified_at = ? WHERE id = ?`, email, emailKey, now, id(userID)); err != nil {
			return err
		}
		if _, err := t.exec(ctx, `UPDATE links SET spent_at = ? WHERE user_id = ? AND spent_at IS NULL`, now, id(userID)); err != nil {
			return err
		}
		if err := t.endAccess(ctx, userID, uuid.Nil, uuid.Nil, EndEmailChanged); err != nil {
			return err
		}
		return t.eventAndMail(ctx, e, mails)
	})
}
