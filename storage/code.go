package storage

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// Code is an authorization code (RFC 6749, section 4.1.2) with what its
// redemption is checked against.
type Code struct {
	Hash        secret.Hash
	GrantID     uuid.UUID
	ClientID    string
	RedirectURI string // as it stood in the authorization request
	Challenge   string // code_challenge of method S256; "" without PKCE
	Nonce       string
	ExpiresAt   time.Time
	SpentAt     time.Time
}

// IssueCode is what the end of an authorization writes.
type IssueCode struct {
	Grant Grant
	Code  Code
	// Flow and Pushed are spent with it; zero if there were none.
	Flow   secret.Hash
	Pushed secret.Hash
	// Touch moves the session's idle time: SeenAt, IdleExpiresAt. Zero leaves it.
	SeenAt        time.Time
	IdleExpiresAt time.Time
	Event         Event
}

const insertGrant = `INSERT INTO grants (id, user_id, client_id, organization_id, session_id, offline, scopes, audience, auth_time, acr, amr, claims, created_at, expires_at)`
const insertCode = `INSERT INTO codes (hash, grant_id, client_id, redirect_uri, challenge, nonce, expires_at)`

func (g *Grant) args() []any {
	return []any{id(g.ID), id(g.UserID), g.ClientID, id(g.OrganizationID), id(g.SessionID), g.Offline, words(g.Scopes), words(g.Audience),
		usec(g.AuthTime), g.ACR, words(g.AMR), g.Claims, usec(g.CreatedAt), usec(g.ExpiresAt)}
}

func (c *Code) args() []any {
	return []any{c.Hash, id(c.GrantID), c.ClientID, c.RedirectURI, c.Challenge, c.Nonce, usec(c.ExpiresAt)}
}

// IssueCode stores grant, code and event, touches the session and spends the flow
// and the pushed request, all or nothing. ErrSpent if one of the two was spent or
// the session has ended.
//
// A pushed request that expired since its flow began is still good: the flow's own
// end bounds it.
//
// The session row is locked meanwhile: who ends it afterwards also finds this grant.
func (s *Store) IssueCode(ctx context.Context, in IssueCode) error {
	now := usec(s.clock())
	event, err := in.Event.args(s.clock())
	if err != nil {
		return err
	}
	if s.engine == Postgres {
		args := []any{id(in.Grant.SessionID), now, in.Flow, now, in.Pushed, in.Grant.ClientID,
			usec(in.SeenAt), usec(in.IdleExpiresAt), id(in.Grant.SessionID), usec(in.SeenAt), in.Flow, in.Pushed}
		args = append(append(append(args, in.Grant.args()...), in.Code.args()...), event...)
		n, err := s.exec(ctx, issueCodePostgres, args...)
		if err == nil && n == 0 {
			err = ErrSpent
		}
		return fault("issue a code", err)
	}
	err = s.inTx(ctx, func(t *tx) error {
		guards := []struct {
			query string
			on    bool
			args  []any
		}{
			{endFlow, !in.Flow.IsZero(), []any{now, in.Flow}},
			{endPushed,
				!in.Pushed.IsZero(), []any{now, in.Pushed, in.Grant.ClientID}},
			{`UPDATE sessions SET last_seen_at = COALESCE(?, last_seen_at), idle_expires_at = COALESCE(?, idle_expires_at) WHERE id = ? AND ended_at IS NULL`,
				true, []any{usec(in.SeenAt), usec(in.IdleExpiresAt), id(in.Grant.SessionID)}},
		}
		for _, g := range guards {
			if !g.on {
				continue
			}
			if n, err := t.exec(ctx, g.query, g.args...); err != nil || n == 0 {
				return spentUnless(err)
			}
		}
		if _, err := t.exec(ctx, insertGrant+` VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, in.Grant.args()...); err != nil {
			return err
		}
		if _, err := t.exec(ctx, insertCode+` VALUES (?, ?, ?, ?, ?, ?, ?)`, in.Code.args()...); err != nil {
			return err
		}
		_, err := t.exec(ctx, insertEvent, event...)
		return err
	})
	return fault("issue a code", err)
}

// spentUnless is err, or ErrSpent where a guard matched nothing.
func spentUnless(err error) error {
	if err == nil {
		return ErrSpent
	}
	return err
}

// One round trip. A NULL hash in flow or pushed means that there is none to spend.
//
// The session is locked first, as in SignIn, and at once as strongly as touched
// needs it: tabs of one browser that lock it weakly and then all want more would
// be a deadlock.
const issueCodePostgres = `WITH
	session AS (SELECT id FROM sessions WHERE id = ? AND ended_at IS NULL FOR NO KEY UPDATE),
	flow AS (` + endFlow + ` AND EXISTS (SELECT 1 FROM session) RETURNING 1),
	pushed AS (` + endPushed + ` AND EXISTS (SELECT 1 FROM session) RETURNING 1),
	touched AS (UPDATE sessions SET last_seen_at = CAST(? AS bigint), idle_expires_at = CAST(? AS bigint) WHERE id = ? AND ended_at IS NULL AND CAST(? AS bigint) IS NOT NULL),
	live AS (SELECT id FROM session
		WHERE (CAST(? AS bytea) IS NULL OR EXISTS (SELECT 1 FROM flow))
		AND (CAST(? AS bytea) IS NULL OR EXISTS (SELECT 1 FROM pushed))),
	g AS (` + insertGrant + ` SELECT CAST(? AS uuid), CAST(? AS uuid), CAST(? AS text), CAST(? AS uuid), CAST(? AS uuid), CAST(? AS boolean),
		CAST(? AS text), CAST(? AS text), CAST(? AS bigint), CAST(? AS text), CAST(? AS text), CAST(? AS text), CAST(? AS bigint), CAST(? AS bigint) FROM live RETURNING id),
	code AS (` + insertCode + ` SELECT CAST(? AS bytea), CAST(? AS uuid), CAST(? AS text), CAST(? AS text), CAST(? AS text), CAST(? AS text), CAST(? AS bigint) FROM live)
	INSERT INTO audit_events (` + eventColumns + `) ` + selectEvent + ` FROM live`

// Code returns a code with its authorization, spent and expired ones too.
func (s *Store) Code(ctx context.Context, hash secret.Hash) (*Code, *Authorization, error) {
	var c Code
	var a Authorization
	own := []any{&c.Hash, optional[uuid.UUID]{&c.GrantID}, &c.ClientID, &c.RedirectURI, &c.Challenge, &c.Nonce, instant{&c.ExpiresAt}, instant{&c.SpentAt}}
	err := a.scan(s.row(ctx, `SELECT t.hash, t.grant_id, t.client_id, t.redirect_uri, t.challenge, t.nonce, t.expires_at, t.spent_at, `+authorizationColumns+`
		FROM codes t JOIN grants g ON g.id = t.grant_id JOIN clients c ON c.id = t.client_id`+authorizationJoins+` WHERE t.hash = ?`, hash), own)
	if err != nil {
		return nil, nil, fault("read a code", err)
	}
	return &c, &a, nil
}

// SpendCode uses up a code of this client without a token: a wrong verifier gets
// one try. ErrSpent if it was used already.
func (s *Store) SpendCode(ctx context.Context, hash secret.Hash, clientID string) error {
	n, err := s.exec(ctx, `UPDATE codes SET spent_at = ? WHERE hash = ? AND client_id = ? AND spent_at IS NULL`, usec(s.clock()), hash, clientID)
	if err == nil && n == 0 {
		err = ErrSpent
	}
	return fault("spend a code", err)
}

// Redemption is what the exchange of a code or a refresh token writes.
type Redemption struct {
	Hash     secret.Hash // of the code or refresh token that is spent
	ClientID string
	GrantID  uuid.UUID
	// Access is the new access token; nil for a JWT, which has no row.
	Access *AccessToken
	// Refresh is the new refresh token; nil if there is none.
	Refresh *RefreshToken
}

// RedeemCode spends a code and stores its tokens, all or nothing. ErrSpent for
// everybody but the first, and when code or grant are not valid any more.
func (s *Store) RedeemCode(ctx context.Context, in Redemption) error {
	now := usec(s.clock())
	if s.engine == Postgres {
		args := append([]any{now, in.Hash, in.ClientID, now}, in.tokenArgs()...)
		return s.redeem(ctx, "redeem a code", redeemCodePostgres, args)
	}
	return fault("redeem a code", s.inTx(ctx, func(t *tx) error {
		n, err := t.exec(ctx, `UPDATE codes SET spent_at = ? WHERE hash = ? AND client_id = ? AND spent_at IS NULL AND expires_at > ?`,
			now, in.Hash, in.ClientID, now)
		if err != nil || n == 0 {
			return spentUnless(err)
		}
		return t.insertTokens(ctx, in)
	}))
}

// redeem runs a CTE that answers with the number of tokens it spent.
func (s *Store) redeem(ctx context.Context, op, query string, args []any) error {
	var n int
	err := s.rowW(ctx, query, args...).Scan(&n)
	if err == nil && n == 0 {
		err = ErrSpent
	}
	return fault(op, err)
}

const redeemCodePostgres = `WITH
	spent AS (UPDATE codes SET spent_at = ? WHERE hash = ? AND client_id = ? AND spent_at IS NULL AND expires_at > ? RETURNING grant_id),
	live AS (SELECT g.id FROM grants g JOIN spent ON spent.grant_id = g.id WHERE g.revoked_at IS NULL),
	` + issuedPostgres

// issuedPostgres is the tail of both redemptions: it stores what is new for live and counts live.
const issuedPostgres = `access AS (` + insertAccessToken + ` SELECT CAST(? AS bytea), live.id, CAST(? AS text), CAST(? AS uuid), CAST(? AS text), CAST(? AS text), CAST(? AS bigint), CAST(? AS bigint)
		FROM live WHERE CAST(? AS boolean)),
	refresh AS (` + insertRefreshToken + ` SELECT CAST(? AS bytea), live.id, CAST(? AS text), CAST(? AS bytea), CAST(? AS bigint), CAST(? AS bigint)
		FROM live WHERE CAST(? AS boolean))
	SELECT count(*) FROM live`

// tokenArgs are the arguments of issuedPostgres.
func (in Redemption) tokenArgs() []any {
	at, rt := in.Access, in.Refresh
	if at == nil {
		at = &AccessToken{}
	}
	if rt == nil {
		rt = &RefreshToken{}
	}
	return []any{at.Hash, at.ClientID, id(at.OrganizationID), words(at.Scopes), words(at.Audience), usec(at.CreatedAt), usec(at.ExpiresAt), in.Access != nil,
		rt.Hash, rt.ClientID, rt.Salt, usec(rt.CreatedAt), usec(rt.ExpiresAt), in.Refresh != nil}
}

// insertTokens is issuedPostgres for SQLite.
func (t *tx) insertTokens(ctx context.Context, in Redemption) error {
	var live int
	if err := t.row(ctx, `SELECT count(*) FROM grants WHERE id = ? AND revoked_at IS NULL`, id(in.GrantID)).Scan(&live); err != nil || live == 0 {
		return spentUnless(err)
	}
	if at := in.Access; at != nil {
		if _, err := t.exec(ctx, insertAccessToken+` VALUES (?, ?, ?, ?, ?, ?, ?, ?)`, at.args()...); err != nil {
			return err
		}
	}
	if rt := in.Refresh; rt != nil {
		if _, err := t.exec(ctx, insertRefreshToken+` VALUES (?, ?, ?, ?, ?, ?)`, rt.args()...); err != nil {
			return err
		}
	}
	return nil
}
