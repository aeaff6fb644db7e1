package storage

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// These reasons are in no row: the session ran out.
const (
	EndExpired = "expired" // SESSION_LIFETIME has passed
	EndIdle    = "idle"    // SESSION_IDLE has passed
)

// soonEnded is how soon after its sign-in a session must end by a change of network to
// count for anyNetwork.
const soonEnded = 10 * time.Minute

// recentlyEnded is how long an end by a change of network counts for anyNetwork: what happened twice within it is how
// the person's network is, and what lies weeks apart is chance, or an attacker.
const recentlyEnded = 24 * time.Hour

// anyNetwork tells of a new session whether a change of network has ended the two
// sessions before of the person in the same browser, each soon after its sign-in and
// lately. It takes anyNetworkArgs.
const anyNetwork = `(SELECT count(*) = 2 FROM (
				SELECT p.end_reason, p.ended_at, p.auth_time FROM sessions p WHERE p.user_id = ? AND p.device_hash = ? ORDER BY p.created_at DESC LIMIT 2
			) last_two WHERE last_two.end_reason = ? AND last_two.ended_at - last_two.auth_time <= ? AND last_two.ended_at > ?)`

func anyNetworkArgs(in *SignIn) []any {
	return []any{id(in.Session.UserID), in.Device, EndNetwork, soonEnded.Microseconds(),
		usec(in.Session.CreatedAt.Add(-recentlyEnded))}
}

// anyNetworkEvent tells that strong protection does not compare a session's networks.
func anyNetworkEvent(in *SignIn) *Event {
	return &Event{Type: "session.network_exempted", Actor: in.Session.UserID, User: in.Session.UserID,
		RequestID: in.RequestID, Personal: in.Personal,
		Facts: map[string]any{"session": uuid.Nil}}
}

// eventOfSession is an event's row as a SELECT list for PostgreSQL, with the id of the
// session that is selected from in its facts. It takes the arguments of (*Event).args.
const eventOfSession = `CAST(? AS uuid), CAST(? AS bigint), CAST(? AS text), CAST(? AS uuid), CAST(? AS uuid), CAST(? AS uuid),
				CAST(? AS text), CAST(? AS text), ` + putSID + `, CAST(? AS text), CAST(? AS bytea), CAST(? AS bytea)`

// EndSession ends the browser's live session with its grants that are not
// offline, and tells whether there was one: ending it again changes nothing and
// writes nothing. Offline grants outlive the browser session by definition.
//
// The grants are looked for by a statement of their own: one that began before the
// session's row was to be had would not see the grant that was being written.
func (s *Store) EndSession(ctx context.Context, browser secret.Hash, reason, requestID string) (bool, error) {
	now := s.clock()
	args, err := endedEvent(reason, requestID).args(now)
	if err != nil {
		return false, err
	}
	var n int64
	err = s.inTx(ctx, func(t *tx) error { n, err = t.endSession(ctx, browser, reason, usec(now), args); return err })
	return n > 0, fault("end a session", err)
}

// endedEvent tells that a session has ended; the nil UUID stands for its sid.
func endedEvent(reason, requestID string) *Event {
	return &Event{Type: "session.ended", RequestID: requestID,
		Facts: map[string]any{"session": uuid.Nil, "reason": reason}}
}

func (t *tx) endSession(ctx context.Context, browser secret.Hash, reason string, now any, event []any) (int64, error) {
	var sid, user uuid.UUID
	err := t.row(ctx, `UPDATE sessions SET ended_at = ?, end_reason = ? WHERE token_hash = ? AND ended_at IS NULL RETURNING id, user_id`,
		now, reason, browser).Scan(&sid, &user)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if _, err := t.exec(ctx, `UPDATE grants SET revoked_at = ?, revoke_reason = ? WHERE session_id = ? AND NOT offline AND revoked_at IS NULL`,
		now, reason, id(sid)); err != nil {
		return 0, err
	}
	event = slices.Clone(event)
	event[4], event[5] = id(user), id(user)
	event[8] = strings.ReplaceAll(event[8].(string), uuid.Nil.String(), sid.String())
	return t.exec(ctx, insertEvent, event...)
}

// EndMoved is EndSession under strong protection because the network has changed. device
// is the hash of the device token that came with the request, zero if none came that has
// signed in as this person: a stolen cookie alone earns its owner no exemption.
func (s *Store) EndMoved(ctx context.Context, browser, device secret.Hash, requestID string) error {
	now := s.clock()
	args, err := endedEvent(EndNetwork, requestID).args(now)
	if err != nil {
		return err
	}
	err = s.inTx(ctx, func(t *tx) error {
		if _, err := t.exec(ctx, `UPDATE sessions SET device_hash = ? WHERE token_hash = ? AND ended_at IS NULL`, device,
			browser); err != nil {
			return err
		}
		_, err := t.endSession(ctx, browser, EndNetwork, usec(now), args)
		return err
	})
	return fault("end a session that moved", err)
}

// SessionEnd tells why the session of a browser's token has ended. ErrNotFound if it has
// not, if there never was one, or if its person may not sign in any more.
func (s *Store) SessionEnd(ctx context.Context, browser secret.Hash) (reason string, err error) {
	var row Session
	err = s.row(ctx, `SELECT s.end_reason, s.ended_at, s.idle_expires_at, s.expires_at FROM sessions s JOIN users u ON u.id = s.user_id
		WHERE s.token_hash = ? AND u.disabled_at IS NULL AND u.deleted_at IS NULL`, browser).
		Scan(&reason, instant{&row.EndedAt}, instant{&row.IdleExpiresAt}, instant{&row.ExpiresAt})
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
