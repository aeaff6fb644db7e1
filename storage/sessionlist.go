package storage

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// requireLiveSession is ended unless the session in which a person, whom the caller holds, asks
// for a change still lives: a user who sets a new password because an intruder is signed in
// must not be overtaken by what the intruder has under way. The nil session is none that
// could end.
func (t *tx) requireLiveSession(ctx context.Context, userID, session uuid.UUID, ended error) error {
	if session == uuid.Nil {
		return nil
	}
	return t.require(ctx, ended, `SELECT EXISTS (SELECT 1 FROM sessions WHERE id = ? AND user_id = ? AND ended_at IS NULL)`, id(session), id(userID))
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
