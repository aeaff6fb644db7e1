package storage

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
)

// EndUnverified is why the access of unproven people ends where addresses must be proven.
const EndUnverified = "address_unproven"

// RevokeUnverified ends the sessions, grants and personal access tokens of everybody
// whose address is not proven, with an event each, and tells how many people had any.
func (s *Store) RevokeUnverified(ctx context.Context, pace *Pace) (int, error) {
	n := 0
	err := s.eachUnverified(ctx, s.clock(), pace, func(u unverified) error {
		if !u.access {
			return nil
		}
		held := int64(0)
		err := s.inTx(ctx, func(t *tx) (err error) {
			// They may have proven it, or be gone, since they were looked for.
			held, err = t.exec(ctx, `UPDATE users SET updated_at = ? WHERE id = ? AND email_verified_at IS NULL AND deleted_at IS NULL`, usec(s.clock()), id(u.id))
			if err != nil || held == 0 {
				return err
			}
			if err := t.endAccess(ctx, u.id, uuid.Nil, uuid.Nil, EndUnverified); err != nil {
				return err
			}
			return t.event(ctx, &Event{Type: EventUserAccessEnded, User: u.id, Facts: map[string]any{"reason": EndUnverified}})
		})
		if err == nil && held > 0 {
			n++
		}
		return err
	})
	return n, fault("end the access of unproven people", err)
}

// DeleteUnverified deletes the people who were created at or before that time and
// whose address was never proven, and tells how many. They are read batch by batch.
// Those who own something with others stay.
func (s *Store) DeleteUnverified(ctx context.Context, before time.Time, pace *Pace) (int, error) {
	gone := 0
	err := s.eachUnverified(ctx, before, pace, func(u unverified) error {
		done, err := s.lapse(ctx, u.id, before)
		if done {
			gone++
		}
		return err
	})
	return gone, fault("let unproven people lapse", err)
}

// unverified is a person whose address was never proven.
type unverified struct {
	id        uuid.UUID
	createdAt int64
	access    bool // they have a session or a grant
}

// eachUnverified calls do for the people who were created at or before that time and whose address was never proven,
// oldest first.
func (s *Store) eachUnverified(ctx context.Context, before time.Time, pace *Pace, do func(unverified) error) error {
	var last unverified
	now := usec(s.clock())
	return pace.Run(ctx, func(size int) (int, error) {
		var batch []unverified
		err := s.rows(ctx, func(r scanner) error {
			var u unverified
			err := r.Scan(&u.id, &u.createdAt, &u.access)
			batch = append(batch, u)
			return err
		}, `SELECT u.id, u.created_at, EXISTS (SELECT 1 FROM sessions s WHERE s.user_id = u.id AND s.ended_at IS NULL AND s.expires_at > ?)
				OR EXISTS (SELECT 1 FROM grants g WHERE g.user_id = u.id AND g.revoked_at IS NULL AND g.expires_at > ?)
			FROM users u WHERE u.email_verified_at IS NULL AND u.deleted_at IS NULL AND u.created_at <= ? AND (u.created_at, u.id) > (?, ?)
			ORDER BY u.created_at, u.id LIMIT ?`, now, now, usec(before), last.createdAt, last.id.String(), size)
		for _, u := range batch {
			if err == nil {
				err = do(u)
			}
			last = u
		}
		return len(batch), err
	})
}

// lapse deletes one person unless they have proven their address meanwhile.
func (s *Store) lapse(ctx context.Context, userID uuid.UUID, before time.Time) (done bool, err error) {
	err = s.inTx(ctx, func(t *tx) error {
		done = false
		n, err := t.exec(ctx, `UPDATE users SET updated_at = ? WHERE id = ? AND email_verified_at IS NULL AND deleted_at IS NULL AND created_at <= ?`,
			usec(s.clock()), id(userID), usec(before))
		if err != nil || n == 0 {
			return err
		}
		e := &Event{Type: EventUserLapsed, User: userID}
		if err := t.deleteUser(ctx, userID, e); err != nil {
			return err
		}
		done = true
		return t.event(ctx, e)
	})
	if errors.Is(err, ErrConflict) {
		return false, nil
	}
	return done, err
}
