package storage

import (
	"cmp"
	"context"
	"database/sql"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// EndByPerson is why a session ended that its person ended from another one.
const EndByPerson = "ended_by_person"

// These reasons are in no row: the session ran out.
const (
	EndExpired = "expired" // SESSION_LIFETIME has passed
	EndIdle    = "idle"    // SESSION_IDLE has passed
)

// endSessionsSQL is the one statement that ends sessions, which a condition that picks live ones follows. The CTE that
// ends those beyond a bound has checked them while it locked them: to ask for ended_at once more would make a planner
// without statistics read the index of all live sessions.
func endSessionsSQL(now, reason string) string {
	return `UPDATE sessions SET ended_at = ` + now + `, end_reason = ` + reason
}

// endSessions ends the sessions that a condition picks from those that live, and returns ID, UserID and TokenHash of
// each. Which of their grants end differs by the reason, so that the caller revokes those: afterwards, because a
// statement that began before the session's row was to be had would not see the grant that was being written.
func (t *tx) endSessions(ctx context.Context, reason, where string, args ...any) ([]Session, error) {
	return list(ctx, t, "end sessions", func(row *Session) []any { return []any{&row.ID, &row.UserID, &row.TokenHash} },
		endSessionsSQL("?", "?")+` WHERE `+where+` AND ended_at IS NULL RETURNING id, user_id, token_hash`, append([]any{usec(t.s.clock()), reason}, args...)...)
}

// endAccess ends the sessions of a user, but keep, and revokes their personal access tokens, by which an intruder could
// come back, and their grants, but those that were made in keepGrants. Nil keeps none.
func (t *tx) endAccess(ctx context.Context, userID, keep, keepGrants uuid.UUID, reason string) error {
	if _, err := t.endSessions(ctx, reason, `user_id = ? AND id <> ?`, id(userID), keep.String()); err != nil {
		return err
	}
	if err := t.revokePersonalTokens(ctx, `user_id = ?`, id(userID)); err != nil {
		return err
	}
	_, err := t.revokeGrants(ctx, reason, `user_id = ? AND (session_id IS NULL OR session_id <> ?)`, id(userID), keepGrants.String())
	return err
}

// EndSession ends the browser's live session with its grants that are not
// offline, and tells whether there was one: ending it again changes nothing and
// writes nothing. Offline grants outlive the browser session by definition.
func (s *Store) EndSession(ctx context.Context, browser secret.Hash, reason, requestID string) (ended bool, err error) {
	err = s.inTx(ctx, func(t *tx) error {
		ended, err = t.endSession(ctx, browser, reason, requestID)
		return err
	})
	return ended, fault("end a session", err)
}

func (t *tx) endSession(ctx context.Context, browser secret.Hash, reason, requestID string) (bool, error) {
	ended, err := t.endSessions(ctx, reason, `token_hash = ?`, browser)
	if err != nil || len(ended) == 0 {
		return false, err
	}
	if _, err := t.revokeGrants(ctx, reason, `session_id = ? AND NOT offline`, id(ended[0].ID)); err != nil {
		return false, err
	}
	return true, t.event(ctx, endedEvent(&ended[0], reason, requestID))
}

// endedEvent tells that a session has ended.
func endedEvent(row *Session, reason, requestID string) *Event {
	return &Event{Type: EventSessionEnded, Actor: row.UserID, User: row.UserID, RequestID: requestID,
		Facts: map[string]any{"session": row.ID, "reason": reason}}
}

// EndMoved is EndSession under strong protection because the network has changed. device
// is the hash of the device token that came with the request, zero if none came that has
// signed in as this person: a stolen cookie alone earns its owner no exemption.
func (s *Store) EndMoved(ctx context.Context, browser, device secret.Hash, requestID string) error {
	return s.change(ctx, "end a session that moved", func(t *tx) error {
		if _, err := t.exec(ctx, `UPDATE sessions SET device_hash = ? WHERE token_hash = ? AND ended_at IS NULL`, device, browser); err != nil {
			return err
		}
		_, err := t.endSession(ctx, browser, EndNetwork, requestID)
		return err
	})
}

// EndSessionOf ends one live session of a person with all its grants, offline
// ones too: they say that it is not theirs any more. ErrNotFound if they have none such.
func (s *Store) EndSessionOf(ctx context.Context, userID, sid uuid.UUID, e *Event) error {
	return s.change(ctx, "end a session of a person", func(t *tx) error {
		ended, err := t.endSessions(ctx, EndByPerson, `id = ? AND user_id = ?`, id(sid), id(userID))
		if err != nil || len(ended) == 0 {
			return cmp.Or(err, ErrNotFound)
		}
		if _, err := t.revokeGrants(ctx, EndByPerson, `session_id = ?`, id(sid)); err != nil {
			return err
		}
		return t.event(ctx, e)
	})
}

// EndOtherSessions ends every session of a person but keep (nil: every one), with
// all their grants, and their personal access tokens.
func (s *Store) EndOtherSessions(ctx context.Context, userID, keep uuid.UUID, e *Event) error {
	return s.change(ctx, "end the other sessions of a person", func(t *tx) error {
		if err := t.endAccess(ctx, userID, keep, keep, EndByPerson); err != nil {
			return err
		}
		return t.event(ctx, e)
	})
}

// SessionEnd tells why the session of a browser's token has ended. ErrNotFound if it has
// not, if there never was one, or if its person may not sign in any more.
func (s *Store) SessionEnd(ctx context.Context, browser secret.Hash) (reason string, err error) {
	var row Session
	err = s.row(ctx, `SELECT s.end_reason, s.ended_at, s.idle_expires_at, s.expires_at FROM sessions s JOIN users u ON u.id = s.user_id
		WHERE s.token_hash = ? AND u.disabled_at IS NULL AND u.deleted_at IS NULL`, browser).
		Scan(&reason, &row.EndedAt, &row.IdleExpiresAt, &row.ExpiresAt)
	now := s.clock()
	switch {
	case err != nil || !row.EndedAt.IsZero():
	case !now.Before(row.ExpiresAt):
		reason = EndExpired
	case !now.Before(row.IdleExpiresAt):
		reason = EndIdle
	default:
		err = sql.ErrNoRows
	}
	return reason, fault("read a session's end", err)
}
