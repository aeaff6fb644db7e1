package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// Session is one signed-in browser. Its cookie holds a token of which only the
// hash is kept; ID is the sid of its tokens.
type Session struct {
	ID        uuid.UUID
	TokenHash secret.Hash
	UserID    uuid.UUID
	// AuthTime is when the person last proved who they are (OpenID Connect Core 1.0, section 2).
	AuthTime time.Time
	ACR      string
	AMR      []string // RFC 8176
	// Browser is family and operating system, "Firefox on Linux"; Network4 and
	// Network6 are the /24 and /56 it was used from. Strong protection compares them.
	Browser   string
	Network4  string
	Network6  string
	CreatedAt time.Time
	// LastSeenAt is touched at most once a minute; IdleExpiresAt moves with it.
	LastSeenAt    time.Time
	IdleExpiresAt time.Time
	ExpiresAt     time.Time
	EndedAt       time.Time
	// API: the session of a bearer token for the JSON API instead of a browser.
	API bool
	// AnyNetwork: strong protection compares the browser only; see SignIn.Device.
	AnyNetwork bool
}

const sessionColumns = `s.id, s.token_hash, s.user_id, s.auth_time, s.acr, s.amr, s.browser, s.network4, s.network6, s.created_at, s.last_seen_at, s.idle_expires_at, s.expires_at, s.ended_at, s.api, s.any_network`

// dest are the scan targets of sessionColumns; they bear the NULLs of a LEFT JOIN.
func (s *Session) dest() []any {
	return []any{optional[uuid.UUID]{&s.ID}, &s.TokenHash, optional[uuid.UUID]{&s.UserID}, instant{&s.AuthTime}, optional[string]{&s.ACR}, list{&s.AMR},
		optional[string]{&s.Browser}, optional[string]{&s.Network4}, optional[string]{&s.Network6}, instant{&s.CreatedAt},
		instant{&s.LastSeenAt}, instant{&s.IdleExpiresAt}, instant{&s.ExpiresAt}, instant{&s.EndedAt}, optional[bool]{&s.API}, optional[bool]{&s.AnyNetwork}}
}

// Live reports whether the session still signs anybody in at now.
func (s *Session) Live(now time.Time) bool {
	return s.ID != uuid.Nil && s.EndedAt.IsZero() && now.Before(s.ExpiresAt) && now.Before(s.IdleExpiresAt)
}

// SignIn is a person who has just proven who they are in a browser.
type SignIn struct {
	// Session is the row as it will be if the browser had none of this person:
	// a new ID and always a new TokenHash.
	Session Session
	// Browser is the hash of the token that the browser came with; zero if none.
	Browser secret.Hash
	// Device is the hash of the browser's device token, by which it is known over several
	// sessions; zero if it has none. Where a change of network has ended the last two of
	// them, each soon after its sign-in, the new one is good in any network: such a
	// browser could never stay signed in otherwise.
	Device secret.Hash
	// PasswordHash is the stored hash that was verified, "" if no password was. If
	// it is not the person's any more, a change of password has overtaken this sign-in.
	PasswordHash string
	// Use is the second factor or passkey that was verified; nil if none was. It is
	// spent with the sign-in: ErrSpent if it had been already.
	Use *FactorUse
	// StepUp adds a proof to the session that the browser has, which must be this
	// person's and live, else ErrConflict. ACR, AMR and the token change, and the
	// session, which may have been a short one until then, gets its whole lifetime
	// from when it began.
	StepUp bool
	// Bound is how many live sessions of this one's kind the person may have, with
	// this one; 0 for any number. Those beyond it that were idle longest end.
	Bound SessionBound
	// Notice is sent if the session is a new one of somebody who has signed in before,
	// however long ago: the mail about a sign-in from a new device. nil for none.
	Notice *Message
	// Owed is looked at later: whether the second step of this sign-in was passed. The
	// nil UUID in its payload stands for the sid. nil for none.
	Owed      *Message
	RequestID string
	// Personal goes into the events: address, browser.
	Personal map[string]string
}

// SessionBound bounds the live sessions of a person. Those that have yet to prove a
// second factor are a kind of their own: a stranger who has the password alone must
// not be able to end the sessions of its owner.
type SessionBound struct {
	Most int
	// Half: the session has yet to prove a second factor. HalfACR is the ACR by which
	// such sessions are known among those of a person who has a second factor.
	Half    bool
	HalfACR string
}

// SignedIn tells what became of a sign-in.
type SignedIn struct {
	ID      uuid.UUID // the sid
	Renewed bool      // the same person signed in again: the sid is the old one
}

// The reasons of an end, in sessions.end_reason and in the event.
const (
	EndSignOut  = "sign_out"
	EndReplaced = "replaced"        // somebody else signed in in this browser, or the session had run out
	EndBrowser  = "browser_changed" // under strong protection
	EndNetwork  = "network_changed" // under strong protection
	EndBound    = "bound"           // the person signed in more often than SESSIONS_PER_USER
)

// SignIn makes the browser's session one of this person under a new token: the
// row that was there if it is theirs and live, so that the sid is stable, else a
// new one, and the one that was there ends with its grants that are not offline.
// Unfinished flows of the browser follow to the new token; what another person
// had picked or answered in them is dropped. ErrConflict if the person may not
// sign in (any more) or the password is another now: then nothing has happened.
// The person's sessions beyond the bound end as by signing out. Sign-ins that happen
// at once on PostgreSQL do not see one another: the next one ends what they left.
//
// A sign-in with a password alone is one round trip on PostgreSQL.
func (s *Store) SignIn(ctx context.Context, in *SignIn) (SignedIn, error) {
	now := s.clock()
	// The nil UUID in the facts stands for the sid, which only the statement knows.
	started := &Event{Type: "session.created", Actor: in.Session.UserID, User: in.Session.UserID, RequestID: in.RequestID, Personal: in.Personal,
		Facts: map[string]any{"session": uuid.Nil, "acr": in.Session.ACR, "amr": in.Session.AMR}}
	startedArgs, err := started.args(now)
	if err != nil {
		return SignedIn{}, err
	}
	endedArgs, err := endedEvent(EndReplaced, in.RequestID).args(now)
	if err != nil {
		return SignedIn{}, err
	}
	beyondArgs, err := boundEvent(in).args(now)
	if err != nil {
		return SignedIn{}, err
	}
	anyArgs, err := anyNetworkEvent(in).args(now)
	if err != nil {
		return SignedIn{}, err
	}
	var out SignedIn
	if s.engine == Postgres && in.Use == nil && !in.StepUp && in.PasswordHash != "" {
		out, err = s.signInPostgres(ctx, in, usec(now), startedArgs, endedArgs, beyondArgs, anyArgs)
	} else {
		err = s.inTx(ctx, func(t *tx) error {
			out, err = t.signIn(ctx, in, usec(now), slices.Clone(startedArgs), endedArgs, slices.Clone(anyArgs))
			return err
		})
	}
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrConflict
	}
	return out, fault("sign in", err)
}

// sessionRenewable: theirs and live, as a condition on a row of sessions: token_hash, user_id, now, now.
const sessionRenewable = `token_hash = ? AND user_id = ? AND ended_at IS NULL AND expires_at > ? AND idle_expires_at > ?`

// signInPostgres is one round trip. The row lock of allowed makes a change of
// password that is under way finish first, so that it ends this session too or
// this sign-in sees the new hash.
func (s *Store) signInPostgres(ctx context.Context, in *SignIn, now any,
	started, ended, beyond, anyNet []any) (out SignedIn, err error) {
	n := &in.Session
	args := []any{id(n.UserID), in.PasswordHash,
		n.TokenHash, usec(n.AuthTime), n.ACR, words(n.AMR), n.Browser, n.Network4, n.Network6, usec(n.LastSeenAt), usec(n.IdleExpiresAt), usec(n.ExpiresAt),
		in.Browser, id(n.UserID), now, now,
		now, EndReplaced, in.Browser, id(n.UserID), now, now,
		now, EndReplaced,
		id(n.ID), n.TokenHash, id(n.UserID), usec(n.AuthTime), n.ACR, words(n.AMR), n.Browser, n.Network4, n.Network6, usec(n.CreatedAt), usec(n.LastSeenAt),
		usec(n.IdleExpiresAt), usec(n.ExpiresAt), n.API, in.Device}
	args = append(args, anyNetworkArgs(in)...)
	args = append(args, now, in.Browser,
		n.TokenHash, id(n.UserID), id(n.UserID), id(n.UserID), in.Browser, n.TokenHash, in.Browser)
	args = append(args, noticeArgs(in, now)...)
	args = slices.Concat(args, []any{now, EndBound}, rivalsArgs(in, now), []any{in.Bound.Most, in.Bound.Most}, rivalsArgs(in, now), []any{now, EndBound},
		owedArgs(in.Owed, now), ended, beyond, anyNet, started)
	err = s.rowW(ctx, `WITH allowed AS (
			SELECT u.id FROM users u JOIN passwords p ON p.user_id = u.id
			WHERE u.id = ? AND p.hash = ? AND u.disabled_at IS NULL AND u.deleted_at IS NULL FOR SHARE
		), renewed AS (
			UPDATE sessions SET token_hash = ?, auth_time = ?, acr = ?, amr = ?, browser = ?, network4 = ?, network6 = ?, last_seen_at = ?, idle_expires_at = ?, expires_at = ?
			WHERE `+sessionRenewable+` AND EXISTS (SELECT 1 FROM allowed) RETURNING id
		), ended AS (
			UPDATE sessions SET ended_at = ?, end_reason = ?
			WHERE token_hash = ? AND ended_at IS NULL AND NOT (user_id = ? AND expires_at > ? AND idle_expires_at > ?) AND EXISTS (SELECT 1 FROM allowed)
			RETURNING id, user_id
		), revoked AS (
			UPDATE grants SET revoked_at = ?, revoke_reason = ? WHERE session_id IN (SELECT id FROM ended) AND NOT offline AND revoked_at IS NULL
		), created AS (
			INSERT INTO sessions (id, token_hash, user_id, auth_time, acr, amr, browser, network4, network6, created_at, last_seen_at, idle_expires_at, expires_at, api, device_hash, any_network)
			SELECT `+s.engine.casts("uuid", "bytea", "uuid", "bigint", "text", "text", "text", "text", "text", "bigint", "bigint", "bigint", "bigint", "boolean", "bytea")+`, `+anyNetwork+`
			FROM allowed WHERE NOT EXISTS (SELECT 1 FROM renewed) RETURNING id, any_network
		), returned AS (
			`+returnFlow+` AND EXISTS (SELECT 1 FROM allowed)
		), moved AS (
			UPDATE flows SET browser_hash = ?, user_id = ?, organization_id = CASE WHEN user_id = ? THEN organization_id END, consent = CASE WHEN user_id = ? THEN consent ELSE '' END
			WHERE browser_hash = ? AND spent_at IS NULL AND EXISTS (SELECT 1 FROM allowed)
		), carried AS (
			`+moveStates+` AND EXISTS (SELECT 1 FROM allowed)
		), noticed AS (
			INSERT INTO outbox (id, kind, payload, created_at, available_at)
			SELECT `+s.engine.casts("uuid", "text", "text", "bigint", "bigint")+` FROM created
			WHERE `+noticeDue+`
		), beyond AS (
			UPDATE sessions SET ended_at = ?, end_reason = ? WHERE id = ANY (ARRAY(
				SELECT s.id `+rivals+` AND EXISTS (SELECT 1 FROM allowed) ORDER BY s.last_seen_at, s.id
				LIMIT (SELECT CASE WHEN CAST(? AS bigint) > 0 THEN greatest(count(*) + 1 - CAST(? AS bigint), 0) ELSE 0 END `+rivals+`) FOR UPDATE OF s SKIP LOCKED))
			RETURNING id, user_id
		), lost AS (
			UPDATE grants SET revoked_at = ?, revoke_reason = ? WHERE session_id = ANY (ARRAY(SELECT id FROM beyond)) AND NOT offline AND revoked_at IS NULL
		), now_in AS (
			SELECT id, true AS renewed FROM renewed UNION ALL SELECT id, false FROM created
		), owed AS (
			INSERT INTO outbox (id, kind, payload, created_at, available_at)
			SELECT CAST(? AS uuid), CAST(? AS text), `+putSID+`, CAST(? AS bigint), CAST(? AS bigint) FROM now_in WHERE CAST(? AS uuid) IS NOT NULL
		), end_event AS (`+endedEvents+` FROM ended), beyond_event AS (`+endedEvents+` FROM beyond), any_event AS (
			INSERT INTO audit_events (`+eventColumns+`) SELECT `+eventOfSession+` FROM created WHERE any_network
		), start_event AS (
			INSERT INTO audit_events (`+eventColumns+`)
			SELECT CAST(? AS uuid), CAST(? AS bigint), CASE WHEN renewed THEN 'session.renewed' ELSE CAST(? AS text) END, CAST(? AS uuid), CAST(? AS uuid), CAST(? AS uuid),
				CAST(? AS text), CAST(? AS text), `+putSID+`, CAST(? AS text), CAST(? AS bytea), CAST(? AS bytea) FROM now_in
		) SELECT id, renewed FROM now_in`, args...).Scan(&out.ID, &out.Renewed)
	return out, err
}

// putSID puts a row's id in the place of the nil UUID in an event's facts or a message.
const putSID = `replace(CAST(? AS text), '00000000-0000-0000-0000-000000000000', CAST(id AS text))`

// endedEvents writes the event of each row (id, user_id) that is selected from. It
// takes the arguments of (*Event).args; a person it leaves out is the session's own.
// The events share the time in the id, and the rest of each id is random (RFC 9562,
// section 5.7).
const endedEvents = `INSERT INTO audit_events (` + eventColumns + `)
			SELECT CAST(left(CAST(? AS text), 15) || right(CAST(gen_random_uuid() AS text), 21) AS uuid), CAST(? AS bigint), CAST(? AS text), CAST(? AS uuid),
				COALESCE(CAST(? AS uuid), user_id), COALESCE(CAST(? AS uuid), user_id),
				CAST(? AS text), CAST(? AS text), ` + putSID + `, CAST(? AS text), CAST(? AS bytea), CAST(? AS bytea)`

// noticeDue is when a notice goes out: not at a person's first sign-in, and, as a
// program has no cookie to be known by, not where their last sessions of programs
// came from either.
const noticeDue = `CAST(? AS text) IS NOT NULL AND EXISTS (SELECT 1 FROM users WHERE id = ? AND first_sign_in_at IS NOT NULL)
	AND NOT (CAST(? AS boolean) AND EXISTS (SELECT 1 FROM sessions s WHERE s.user_id = ? AND s.api AND s.browser = ?
		AND (s.network4 <> '' AND s.network4 = ? OR s.network6 <> '' AND s.network6 = ?)))`

// noticeArgs are those of the statement that sends a sign-in's notice: the message
// and its condition.
func noticeArgs(in *SignIn, now any) []any {
	n, m := &in.Session, in.Notice
	args := []any{nil, "", "", now, now, nil}
	if m != nil {
		if m.ID == uuid.Nil {
			m.ID = uuid.Must(uuid.NewV7())
		}
		args = []any{id(m.ID), m.Kind, string(m.Payload), now, now, id(m.ID)}
	}
	return append(args, id(n.UserID), n.API, id(n.UserID), n.Browser, n.Network4, n.Network6)
}

// owedArgs are those of the statement that writes SignIn.Owed.
func owedArgs(m *Message, now any) []any {
	if m == nil {
		return []any{nil, "", "", now, now, nil}
	}
	if m.ID == uuid.Nil {
		m.ID = uuid.Must(uuid.NewV7())
	}
	return []any{id(m.ID), m.Kind, string(m.Payload), now, usec(m.AvailableAt), id(m.ID)}
}

// returnFlow gives a network back the new flow that a sign-in was made in: many people
// sign in from one network, and only strangers are counted. It takes now and the
// browser's hash.
const returnFlow = `UPDATE counters SET n = n - 1 WHERE n > 0 AND expires_at > ?
				AND hash = (SELECT counted_for FROM flows WHERE browser_hash = ? AND spent_at IS NULL AND user_id IS NULL AND opened_at IS NOT NULL LIMIT 1)`

// signIn is signInPostgres in steps: for SQLite, and where a factor is spent too.
func (t *tx) signIn(ctx context.Context, in *SignIn, now any, started, ended, anyNet []any) (out SignedIn, err error) {
	n := &in.Session
	if err := t.allowSignIn(ctx, in); err != nil {
		return out, err
	}
	if in.Use != nil {
		if err := t.useFactor(ctx, n.UserID, in.Use); err != nil {
			return out, err
		}
	}
	if in.StepUp {
		started[2] = "session.stepped_up"
		out.Renewed = true
		err = t.row(ctx, `UPDATE sessions SET token_hash = ?, acr = ?, amr = ?, last_seen_at = ?, idle_expires_at = ?, expires_at = auth_time + ? WHERE `+sessionRenewable+` RETURNING id`,
			n.TokenHash, n.ACR, words(n.AMR), usec(n.LastSeenAt), usec(n.IdleExpiresAt), n.ExpiresAt.Sub(n.AuthTime).Microseconds(), in.Browser, id(n.UserID), now, now).Scan(&out.ID)
	} else {
		out, err = t.startSession(ctx, in, now, ended, anyNet)
		if out.Renewed {
			started[2] = "session.renewed"
		}
	}
	if err != nil {
		return out, err
	}
	if err = t.endBeyond(ctx, in, now); err != nil {
		return out, err
	}
	if _, err := t.exec(ctx, returnFlow, now, in.Browser); err != nil {
		return out, err
	}
	if _, err := t.exec(ctx, `UPDATE flows SET browser_hash = ?, user_id = ?, organization_id = CASE WHEN user_id = ? THEN organization_id END, consent = CASE WHEN user_id = ? THEN consent ELSE '' END
		WHERE browser_hash = ? AND spent_at IS NULL`, n.TokenHash, id(n.UserID), id(n.UserID), id(n.UserID), in.Browser); err != nil {
		return out, err
	}
	if _, err := t.exec(ctx, moveStates, n.TokenHash, in.Browser); err != nil {
		return out, err
	}
	if in.Owed != nil {
		m := *in.Owed
		m.Payload = json.RawMessage(strings.ReplaceAll(string(m.Payload), uuid.Nil.String(), out.ID.String()))
		if err := t.enqueue(ctx, &m); err != nil {
			return out, err
		}
	}
	started[8] = strings.ReplaceAll(started[8].(string), uuid.Nil.String(), out.ID.String())
	_, err = t.exec(ctx, insertEvent, started...)
	return out, err
}

// allowSignIn holds the person's row, so that a change of password or a disabling
// that is under way finishes first. sql.ErrNoRows if they may not sign in.
func (t *tx) allowSignIn(ctx context.Context, in *SignIn) error {
	var one int
	if in.PasswordHash == "" {
		return t.row(ctx, `SELECT 1 FROM users u WHERE u.id = ? AND u.disabled_at IS NULL AND u.deleted_at IS NULL`+t.s.engine.forShare(),
			id(in.Session.UserID)).Scan(&one)
	}
	return t.row(ctx, `SELECT 1 FROM users u JOIN passwords p ON p.user_id = u.id
		WHERE u.id = ? AND p.hash = ? AND u.disabled_at IS NULL AND u.deleted_at IS NULL`+t.s.engine.forShare(), id(in.Session.UserID), in.PasswordHash).Scan(&one)
}

// startSession renews the browser's session if it is theirs, else makes a new one.
func (t *tx) startSession(ctx context.Context, in *SignIn, now any, ended, anyNet []any) (out SignedIn, err error) {
	n := &in.Session
	err = t.row(ctx, `UPDATE sessions SET token_hash = ?, auth_time = ?, acr = ?, amr = ?, browser = ?, network4 = ?, network6 = ?, last_seen_at = ?, idle_expires_at = ?, expires_at = ?
		WHERE `+sessionRenewable+` RETURNING id`,
		n.TokenHash, usec(n.AuthTime), n.ACR, words(n.AMR), n.Browser, n.Network4, n.Network6, usec(n.LastSeenAt), usec(n.IdleExpiresAt), usec(n.ExpiresAt),
		in.Browser, id(n.UserID), now, now).Scan(&out.ID)
	if out.Renewed = err == nil; !errors.Is(err, sql.ErrNoRows) {
		return out, err
	}
	out.ID = n.ID
	if _, err := t.endSession(ctx, in.Browser, EndReplaced, now, ended); err != nil {
		return out, err
	}
	if _, err := t.exec(ctx, `INSERT INTO outbox (id, kind, payload, created_at, available_at)
		SELECT `+t.s.engine.casts("uuid", "text", "text", "bigint", "bigint")+` WHERE `+noticeDue, noticeArgs(in, now)...); err != nil {
		return out, err
	}
	var exempt bool
	err = t.row(ctx, `INSERT INTO sessions (id, token_hash, user_id, auth_time, acr, amr, browser, network4, network6, created_at, last_seen_at, idle_expires_at, expires_at, api,
			device_hash, any_network)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, `+anyNetwork+`) RETURNING any_network`,
		append([]any{id(n.ID), n.TokenHash, id(n.UserID), usec(n.AuthTime), n.ACR, words(n.AMR), n.Browser, n.Network4,
			n.Network6,
			usec(n.CreatedAt), usec(n.LastSeenAt), usec(n.IdleExpiresAt), usec(n.ExpiresAt), n.API, in.Device}, anyNetworkArgs(in)...)...).Scan(&exempt)
	if err == nil && exempt {
		anyNet[8] = strings.ReplaceAll(anyNet[8].(string), uuid.Nil.String(), n.ID.String())
		_, err = t.exec(ctx, insertEvent, anyNet...)
	}
	return out, err
}

// RecordNetwork notes the first network of the other address family that a live
// session is used from. Only empty ones are filled in.
func (s *Store) RecordNetwork(ctx context.Context, sid uuid.UUID, network4, network6 string) error {
	_, err := s.exec(ctx, `UPDATE sessions SET network4 = CASE WHEN network4 = '' THEN ? ELSE network4 END, network6 = CASE WHEN network6 = '' THEN ? ELSE network6 END
		WHERE id = ? AND ended_at IS NULL`, network4, network6, id(sid))
	return fault("record a network", err)
}

// Session returns the live session of a browser, without its person; ErrNotFound if there is none.
func (s *Store) Session(ctx context.Context, browser secret.Hash) (*Session, error) {
	var row Session
	now := usec(s.clock())
	err := s.row(ctx, `SELECT `+sessionColumns+` FROM sessions s WHERE s.token_hash = ? AND s.ended_at IS NULL AND s.expires_at > ? AND s.idle_expires_at > ?`,
		browser, now, now).Scan(row.dest()...)
	if err != nil {
		return nil, fault("read a session", err)
	}
	return &row, nil
}

// SessionByID returns a session, ended and expired ones too until they are swept.
func (s *Store) SessionByID(ctx context.Context, sid uuid.UUID) (*Session, error) {
	var row Session
	if err := s.row(ctx, `SELECT `+sessionColumns+` FROM sessions s WHERE s.id = ?`, id(sid)).Scan(row.dest()...); err != nil {
		return nil, fault("read a session", err)
	}
	return &row, nil
}
