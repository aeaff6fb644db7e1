package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

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
	// External is the external identity that was verified upstream; nil if none was. ErrConflict if it is not this user's
	// any more or its connection is disabled.
	External *ExternalIdentity
	// StepUp adds a proof to the session that the browser has, which must be this
	// person's and live, else ErrConflict. ACR, AMR and the token change, and the
	// session, which may have been a short one until then, gets its whole lifetime
	// from when it began.
	StepUp bool
	// Bound is how many live sessions of this one's kind the person may have, with
	// this one; 0 for any number. Those beyond it that were idle longest end.
	Bound SessionBound
	// Notice is sent if the session is a new one of a user who has signed in before,
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
	args := in.args(now)
	var out SignedIn
	var err error
	if s.engine == Postgres && in.Use == nil && !in.StepUp && in.PasswordHash != "" {
		out, err = s.signInPostgres(ctx, in, args, now)
	} else {
		err = s.inTx(ctx, func(t *tx) error {
			out, err = t.signIn(ctx, in, args)
			return err
		})
	}
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrConflict
	}
	return out, fault("sign in", err)
}

// args are the named values of all statements of a sign-in but the events.
func (in *SignIn) args(now time.Time) map[string]any {
	n := &in.Session
	args := map[string]any{
		"now": usec(now), "user": id(n.UserID), "password": in.PasswordHash, "sent": in.Browser, "device": in.Device,
		"session": id(n.ID), "token": n.TokenHash, "auth_time": usec(n.AuthTime), "acr": n.ACR, "amr": words(n.AMR), "browser": n.Browser,
		"network4": n.Network4, "network6": n.Network6, "created_at": usec(n.CreatedAt), "last_seen_at": usec(n.LastSeenAt),
		"idle_expires_at": usec(n.IdleExpiresAt), "expires_at": usec(n.ExpiresAt), "lifetime": n.ExpiresAt.Sub(n.AuthTime).Microseconds(), "api": n.API,
		"replaced": EndReplaced, "bound": EndBound, "network_changed": EndNetwork,
		"soon": soonEnded.Microseconds(), "lately": usec(n.CreatedAt.Add(-recentlyEnded)),
		"most": in.Bound.Most, "half": in.Bound.Half, "half_acr": in.Bound.HalfACR, "own": in.Browser,
	}
	if in.Browser.IsZero() {
		args["own"] = n.TokenHash
	}
	for name, m := range map[string]*Message{"notice": in.Notice, "owed": in.Owed} {
		args[name], args[name+"_kind"], args[name+"_payload"], args[name+"_at"] = nil, "", "", usec(now)
		if m != nil {
			if m.ID == uuid.Nil {
				m.ID = uuid.Must(uuid.NewV7())
			}
			args[name], args[name+"_kind"], args[name+"_payload"] = id(m.ID), m.Kind, string(m.Payload)
		}
	}
	if in.Owed != nil {
		args["owed_at"] = usec(in.Owed.AvailableAt)
	}
	return args
}

// startedEvent tells of the sign-in into a session.
func (in *SignIn) startedEvent(kind EventType, sid uuid.UUID) *Event {
	e := &Event{Type: kind, Actor: in.Session.UserID, User: in.Session.UserID, RequestID: in.RequestID, Personal: in.Personal,
		Facts: map[string]any{"session": sid, "acr": in.Session.ACR, "amr": in.Session.AMR}}
	if in.External != nil {
		e.Facts["connection"] = in.External.ConnectionID
		e.Personal = maps.Clone(in.Personal)
		e.Personal["subject"] = in.External.Subject
	}
	return e
}

// networkEvent tells that strong protection does not compare a session's networks.
func (in *SignIn) networkEvent(sid uuid.UUID) *Event {
	return &Event{Type: EventSessionNetworkExempted, Actor: in.Session.UserID, User: in.Session.UserID, RequestID: in.RequestID,
		Personal: in.Personal, Facts: map[string]any{"session": sid}}
}

const (
	// sessionRenewable: theirs and live, as a condition on a row of sessions.
	sessionRenewable = `token_hash = :sent AND user_id = :user AND ended_at IS NULL AND expires_at > :now AND idle_expires_at > :now`

	renewSession = `UPDATE sessions SET token_hash = :token, auth_time = :auth_time, acr = :acr, amr = :amr, browser = :browser, network4 = :network4,
				network6 = :network6, last_seen_at = :last_seen_at, idle_expires_at = :idle_expires_at, expires_at = :expires_at WHERE ` + sessionRenewable

	stepUpSession = `UPDATE sessions SET token_hash = :token, acr = :acr, amr = :amr, last_seen_at = :last_seen_at, idle_expires_at = :idle_expires_at,
				expires_at = auth_time + :lifetime WHERE ` + sessionRenewable

	insertSession = `INSERT INTO sessions (id, token_hash, user_id, auth_time, acr, amr, browser, network4, network6, created_at, last_seen_at, idle_expires_at,
				expires_at, api, device_hash, any_network)`

	// noticeDue is when a notice goes out: not at a person's first sign-in, and, as a
	// program has no cookie to be known by, not where their last sessions of programs
	// came from either.
	noticeDue = `CAST(:notice AS text) IS NOT NULL AND EXISTS (SELECT 1 FROM users WHERE id = :user AND first_sign_in_at IS NOT NULL)
				AND NOT (CAST(:api AS boolean) AND EXISTS (SELECT 1 FROM sessions s WHERE s.user_id = :user AND s.api AND s.browser = :browser
				AND (s.network4 <> '' AND s.network4 = :network4 OR s.network6 <> '' AND s.network6 = :network6)))`

	// returnFlow gives a network back the new flow that a sign-in was made in: many people
	// sign in from one network, and only strangers are counted.
	returnFlow = `UPDATE counters SET n = n - 1 WHERE n > 0 AND expires_at > :now
				AND hash = (SELECT counted_for FROM flows WHERE browser_hash = :sent AND spent_at IS NULL AND user_id IS NULL AND opened_at IS NOT NULL LIMIT 1)`

	// moveFlows gives the open flows of the browser to its new token; what another person answered in them goes.
	moveFlows = `UPDATE flows SET browser_hash = :token, user_id = :user, organization_id = CASE WHEN user_id = :user THEN organization_id END,
				consent = CASE WHEN user_id = :user THEN consent ELSE '' END WHERE browser_hash = :sent AND spent_at IS NULL`
)

// signInPostgres is one round trip. The row lock of allowed makes a change of
// password that is under way finish first, so that it ends this session too or
// this sign-in sees the new hash.
var signInPostgres = `WITH allowed AS (
			SELECT u.id FROM users u JOIN passwords p ON p.user_id = u.id
			WHERE u.id = :user AND p.hash = :password AND u.disabled_at IS NULL AND u.deleted_at IS NULL FOR SHARE
		), renewed AS (
			` + renewSession + ` AND EXISTS (SELECT 1 FROM allowed) RETURNING id
		), ended AS (
			` + endSessionsSQL(":now", ":replaced") + ` WHERE token_hash = :sent AND ended_at IS NULL
			AND NOT (user_id = :user AND expires_at > :now AND idle_expires_at > :now) AND EXISTS (SELECT 1 FROM allowed) RETURNING id, user_id
		), revoked AS (
			` + revokeGrantsSQL(":now", ":replaced", `session_id IN (SELECT id FROM ended) AND NOT offline`) + `
		), created AS (
			` + insertSession + `
			SELECT CAST(:session AS uuid), CAST(:token AS bytea), CAST(:user AS uuid), CAST(:auth_time AS bigint), CAST(:acr AS text), CAST(:amr AS text),
				CAST(:browser AS text), CAST(:network4 AS text), CAST(:network6 AS text), CAST(:created_at AS bigint), CAST(:last_seen_at AS bigint),
				CAST(:idle_expires_at AS bigint), CAST(:expires_at AS bigint), CAST(:api AS boolean), CAST(:device AS bytea), ` + anyNetwork + `
			FROM allowed WHERE NOT EXISTS (SELECT 1 FROM renewed) RETURNING id, any_network
		), returned AS (
			` + returnFlow + ` AND EXISTS (SELECT 1 FROM allowed)
		), moved AS (
			` + moveFlows + ` AND EXISTS (SELECT 1 FROM allowed)
		), carried AS (
			` + moveStates + ` AND EXISTS (SELECT 1 FROM allowed)
		), noticed AS (
			INSERT INTO outbox (id, kind, payload, created_at, available_at)
			SELECT CAST(:notice AS uuid), CAST(:notice_kind AS text), CAST(:notice_payload AS text), CAST(:now AS bigint), CAST(:now AS bigint) FROM created
			WHERE ` + noticeDue + `
		), beyond AS (
			` + endSessionsSQL(":now", ":bound") + ` WHERE id = ANY (ARRAY(
				SELECT s.id ` + rivals + ` AND EXISTS (SELECT 1 FROM allowed) ORDER BY s.last_seen_at, s.id
				LIMIT (SELECT CASE WHEN CAST(:most AS bigint) > 0 THEN greatest(count(*) + 1 - CAST(:most AS bigint), 0) ELSE 0 END ` + rivals + `)
				FOR UPDATE OF s SKIP LOCKED))
			RETURNING id, user_id
		), lost AS (
			` + revokeGrantsSQL(":now", ":bound", `session_id = ANY (ARRAY(SELECT id FROM beyond)) AND NOT offline`) + `
		), now_in AS (
			SELECT id, true AS renewed FROM renewed UNION ALL SELECT id, false FROM created
		), owed AS (
			INSERT INTO outbox (id, kind, payload, created_at, available_at)
			SELECT CAST(:owed AS uuid), CAST(:owed_kind AS text), ` + ofSession(":owed_payload") + `, CAST(:now AS bigint), CAST(:owed_at AS bigint) FROM now_in
			WHERE CAST(:owed AS uuid) IS NOT NULL
		), end_event AS (` + insertEventFrom("ended", ":end_", ofEndedSession(":end_")) + `
		), beyond_event AS (` + insertEventFrom("beyond", ":beyond_", ofEndedSession(":beyond_")) + `
		), any_event AS (` + insertEventFrom("created WHERE any_network", ":any_", map[string]string{"facts": ofSession(":any_facts")}) + `
		), start_event AS (` + insertEventFrom("now_in", ":start_", map[string]string{"facts": ofSession(":start_facts"),
	"type": `CASE WHEN renewed THEN '` + string(EventSessionRenewed) + `' ELSE CAST(:start_type AS text) END`}) + `
		) SELECT id, renewed FROM now_in`

// ofSession puts a row's id in the place of the nil UUID in the argument.
func ofSession(arg string) string {
	return `replace(CAST(` + arg + ` AS text), '00000000-0000-0000-0000-000000000000', CAST(id AS text))`
}

// ofEndedSession are the columns of an event of each of several sessions that ended; its person is the session's own.
// The events share the time in the id, and the rest of each id is random (RFC 9562, section 5.7).
func ofEndedSession(prefix string) map[string]string {
	return map[string]string{
		"id":       `CAST(left(CAST(` + prefix + `id AS text), 15) || right(CAST(gen_random_uuid() AS text), 21) AS uuid)`,
		"actor_id": `COALESCE(CAST(` + prefix + `actor_id AS uuid), user_id)`,
		"user_id":  `COALESCE(CAST(` + prefix + `user_id AS uuid), user_id)`,
		"facts":    ofSession(prefix + `facts`),
	}
}

// signInEventNames are the names of the values of the four events that signInPostgres may write: one for each of
// eventColumns.
var signInEventNames = [...][]string{eventNames("start_"), eventNames("any_"), eventNames("end_"), eventNames("beyond_")}

func eventNames(prefix string) []string {
	names := strings.Split(eventColumns, ", ")
	for n := range names {
		names[n] = prefix + names[n]
	}
	return names
}

func (s *Store) signInPostgres(ctx context.Context, in *SignIn, args map[string]any, now time.Time) (out SignedIn, err error) {
	// The nil UUIDs stand for the sid, which only the statement knows.
	events := [...]*Event{
		in.startedEvent(EventSessionCreated, uuid.Nil), in.networkEvent(uuid.Nil),
		endedEvent(&Session{}, EndReplaced, in.RequestID), endedEvent(&Session{}, EndBound, in.RequestID),
	}
	for i, e := range events {
		values, err := e.args(now)
		if err != nil {
			return out, err
		}
		for n, name := range signInEventNames[i] {
			args[name] = values[n]
		}
	}
	query, values, err := s.bindNamed(signInPostgres, args)
	if err != nil {
		return out, err
	}
	err = s.rowW(ctx, query, values...).Scan(&out.ID, &out.Renewed)
	return out, err
}

// signIn is signInPostgres in steps: for SQLite, and for all sign-ins but one with a password alone.
func (t *tx) signIn(ctx context.Context, in *SignIn, args map[string]any) (out SignedIn, err error) {
	if err := t.allowSignIn(ctx, in); err != nil {
		return out, err
	}
	if in.External != nil {
		if err := t.useIdentity(ctx, in.External); err != nil {
			return out, err
		}
	}
	if in.Use != nil {
		if err := t.useFactor(ctx, in.Session.UserID, in.Use); err != nil {
			return out, err
		}
	}
	kind := EventSessionSteppedUp
	if in.StepUp {
		out.Renewed = true
		err = t.rowNamed(ctx, stepUpSession+` RETURNING id`, args).Scan(&out.ID)
	} else if out, err = t.startSession(ctx, in, args); out.Renewed {
		kind = EventSessionRenewed
	} else {
		kind = EventSessionCreated
	}
	if err != nil {
		return out, err
	}
	if in.External != nil {
		if err := t.noteUpstream(ctx, out.ID, in.External); err != nil {
			return out, err
		}
	}
	if err = t.endBeyond(ctx, in, args); err != nil {
		return out, err
	}
	for _, query := range []string{returnFlow, moveFlows, moveStates} {
		if _, err := t.execNamed(ctx, query, args); err != nil {
			return out, err
		}
	}
	if in.Owed != nil {
		m := *in.Owed
		m.Payload = json.RawMessage(strings.ReplaceAll(string(m.Payload), uuid.Nil.String(), out.ID.String()))
		if err := t.enqueue(ctx, &m); err != nil {
			return out, err
		}
	}
	return out, t.event(ctx, in.startedEvent(kind, out.ID))
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
func (t *tx) startSession(ctx context.Context, in *SignIn, args map[string]any) (out SignedIn, err error) {
	err = t.rowNamed(ctx, renewSession+` RETURNING id`, args).Scan(&out.ID)
	if out.Renewed = err == nil; !errors.Is(err, sql.ErrNoRows) {
		return out, err
	}
	out.ID = in.Session.ID
	if _, err := t.endSession(ctx, in.Browser, EndReplaced, in.RequestID); err != nil {
		return out, err
	}
	if in.Notice != nil {
		var due bool
		if err := t.rowNamed(ctx, `SELECT `+noticeDue, args).Scan(&due); err != nil {
			return out, err
		}
		if due {
			if err := t.enqueue(ctx, in.Notice); err != nil {
				return out, err
			}
		}
	}
	var exempt bool
	err = t.rowNamed(ctx, insertSession+` VALUES (:session, :token, :user, :auth_time, :acr, :amr, :browser, :network4, :network6, :created_at, :last_seen_at,
			:idle_expires_at, :expires_at, :api, :device, `+anyNetwork+`) RETURNING any_network`, args).Scan(&exempt)
	if err == nil && exempt {
		err = t.event(ctx, in.networkEvent(out.ID))
	}
	return out, err
}

// soonEnded is how soon after its sign-in a session must end by a change of network to
// count for anyNetwork.
const soonEnded = 10 * time.Minute

// recentlyEnded is how long an end by a change of network counts for anyNetwork: what happened twice within it is how
// the person's network is, and what lies weeks apart is chance, or an attacker.
const recentlyEnded = 24 * time.Hour

// anyNetwork tells of a new session whether a change of network has ended the two
// sessions before of the person in the same browser, each soon after its sign-in and
// lately.
const anyNetwork = `(SELECT count(*) = 2 FROM (
				SELECT p.end_reason, p.ended_at, p.auth_time FROM sessions p WHERE p.user_id = :user AND p.device_hash = :device ORDER BY p.created_at DESC LIMIT 2
			) last_two WHERE last_two.end_reason = :network_changed AND last_two.ended_at - last_two.auth_time <= :soon AND last_two.ended_at > :lately)`

// rivals are the person's other live sessions of the kind that a sign-in's bound is for. They leave out the session that
// the browser came with, which is renewed or ended by the same statement: :own is its token.
const rivals = `FROM sessions s JOIN users u ON u.id = s.user_id
				WHERE s.user_id = :user AND s.ended_at IS NULL AND s.expires_at > :now AND s.idle_expires_at > :now AND s.token_hash <> :own
				AND (s.acr = :half_acr AND u.factors <> '') = CAST(:half AS boolean)`

// endBeyond ends the person's sessions beyond the bound, the longest idle ones, after
// this one has its new token.
func (t *tx) endBeyond(ctx context.Context, in *SignIn, args map[string]any) error {
	if in.Bound.Most == 0 {
		return nil
	}
	args["own"], args["limit"], args["skip"] = in.Session.TokenHash, math.MaxInt32, in.Bound.Most-1
	query, values, err := t.s.bindNamed(`SELECT s.token_hash `+rivals+` ORDER BY s.last_seen_at DESC, s.id DESC LIMIT :limit OFFSET :skip`, args)
	if err != nil {
		return err
	}
	beyond, err := list(ctx, t, "read the sessions beyond the bound", column[secret.Hash], query, values...)
	for n := 0; n < len(beyond) && err == nil; n++ {
		_, err = t.endSession(ctx, beyond[n], EndBound, in.RequestID)
	}
	return err
}
