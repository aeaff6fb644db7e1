package storage

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// EndByPerson is why a session ended that its person ended from another one.
const EndByPerson = "ended_by_person"

// Sessions returns the live sessions of a person, the latest used first.
func (s *Store) Sessions(ctx context.Context, userID uuid.UUID) ([]Session, error) {
	var all []Session
	now := usec(s.clock())
	err := s.rows(ctx, func(r *sqlx.Rows) error {
		var row Session
		err := r.Scan(row.dest()...)
		all = append(all, row)
		return err
	}, `SELECT `+sessionColumns+` FROM sessions s WHERE s.user_id = ? AND s.ended_at IS NULL AND s.expires_at > ? AND s.idle_expires_at > ?
		ORDER BY s.last_seen_at DESC, s.id`, id(userID), now, now)
	return all, fault("list the sessions of a person", err)
}

// EndSessionOf ends one live session of a person with all its grants, offline
// ones too: they say that it is not theirs any more. ErrNotFound if they have none such.
func (s *Store) EndSessionOf(ctx context.Context, userID, sid uuid.UUID, e *Event) error {
	err := s.inTx(ctx, func(t *tx) error {
		now := usec(s.clock())
		n, err := t.exec(ctx, `UPDATE sessions SET ended_at = ?, end_reason = ? WHERE id = ? AND user_id = ? AND ended_at IS NULL`,
			now, EndByPerson, id(sid), id(userID))
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrNotFound
		}
		if _, err := t.exec(ctx, `UPDATE grants SET revoked_at = ?, revoke_reason = ? WHERE session_id = ? AND revoked_at IS NULL`, now, EndByPerson, id(sid)); err != nil {
			return err
		}
		return t.event(ctx, e)
	})
	return fault("end a session of a person", err)
}

// EndOtherSessions ends every session of a person but keep (nil: every one), with
// all their grants, and their personal access tokens.
func (s *Store) EndOtherSessions(ctx context.Context, userID, keep uuid.UUID, e *Event) error {
	err := s.inTx(ctx, func(t *tx) error {
		if err := t.endOthers(ctx, userID, keep, EndByPerson); err != nil {
			return err
		}
		return t.event(ctx, e)
	})
	return fault("end the other sessions of a person", err)
}

// endOthers ends a person's sessions but keep, revokes the grants that did not come
// from it, and their personal access tokens: whoever was in by a stolen session may
// have made one to come back with.
func (t *tx) endOthers(ctx context.Context, userID, keep uuid.UUID, reason string) error {
	now := usec(t.s.clock())
	if _, err := t.exec(ctx, `UPDATE sessions SET ended_at = ?, end_reason = ? WHERE user_id = ? AND id <> ? AND ended_at IS NULL`,
		now, reason, id(userID), keep.String()); err != nil {
		return err
	}
	if _, err := t.exec(ctx, `UPDATE personal_access_tokens SET revoked_at = ? WHERE user_id = ? AND revoked_at IS NULL`, now, id(userID)); err != nil {
		return err
	}
	_, err := t.exec(ctx, `UPDATE grants SET revoked_at = ?, revoke_reason = ? WHERE user_id = ? AND (session_id IS NULL OR session_id <> ?) AND revoked_at IS NULL`,
		now, reason, id(userID), keep.String())
	return err
}

// stillIn is ended unless the session in which a person, whom the caller holds, asks
// for a change still lives: whoever sets a new password because somebody else is in
// must not be overtaken by what that one has under way. The nil session is none that
// could end.
func (t *tx) stillIn(ctx context.Context, userID, session uuid.UUID, ended error) error {
	if session == uuid.Nil {
		return nil
	}
	var live int
	err := t.row(ctx, `SELECT count(*) FROM sessions WHERE id = ? AND user_id = ? AND ended_at IS NULL`, id(session), id(userID)).Scan(&live)
	if err == nil && live == 0 {
		err = ended
	}
	return err
}

// EndIdleSession writes that a session was last used at seen and has been idle for long
// enough since idleEnd, and reports whether it was so: not if it has ended, or was used
// since. It is over by the row then, which all that accept its tokens read.
func (s *Store) EndIdleSession(ctx context.Context, browser secret.Hash, seen, idleEnd time.Time) (bool, error) {
	n, err := s.exec(ctx, `UPDATE sessions SET last_seen_at = ?, idle_expires_at = ? WHERE token_hash = ? AND ended_at IS NULL AND last_seen_at <= ?`,
		usec(seen), usec(idleEnd), browser, usec(seen))
	return n > 0, fault("end an idle session", err)
}

// TouchSession notes that a session is used, where no other write would.
func (s *Store) TouchSession(ctx context.Context, touched *Session) error {
	at := usec(touched.LastSeenAt)
	_, err := s.exec(ctx, `UPDATE sessions SET last_seen_at = ?, idle_expires_at = ? WHERE id = ? AND ended_at IS NULL AND last_seen_at < ?`,
		at, usec(touched.IdleExpiresAt), id(touched.ID), at)
	return fault("touch a session", err)
}
