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

// Code is an authorization code (RFC 6749, section 4.1.2) with what its
// redemption is checked against.
type Code struct {
	Hash        secret.Hash `db:"hash"`
	GrantID     uuid.UUID   `db:"grant_id"`
	ClientID    string      `db:"client_id"`
	RedirectURI string      `db:"redirect_uri"` // as it stood in the authorization request
	Challenge   string      `db:"challenge"`    // code_challenge of method S256; "" without PKCE
	Nonce       string      `db:"nonce"`
	ExpiresAt   time.Time   `db:"expires_at"`
	SpentAt     time.Time   `db:"spent_at"`
}

// IssueCode is what the end of an authorization writes, with what it rests on as it
// was read: the statement checks all of it again, because it may have been withdrawn
// meanwhile.
type IssueCode struct {
	Grant Grant
	Code  Code
	// Client is the registration that the request was checked against.
	Client *Client
	// Flow is spent with the code. One that was never stored has no IDHash.
	Flow *Flow
	// Pushed is spent with the code; zero if there was none.
	Pushed secret.Hash
	// Asked are the scopes that the person must have agreed to: in the flow, or by
	// Consent, unless the client need not ask. Consent is nil if none is remembered.
	Asked   []string
	Consent *Consent
	// Touch moves the session's idle time: SeenAt, IdleExpiresAt. Zero leaves it.
	SeenAt        time.Time
	IdleExpiresAt time.Time
	Event         Event
}

// remembered is the consent that must still be remembered when the code is written;
// nil where the answer in the flow or the client's registration takes its place,
// which have guards of their own. ErrWithdrawn if nothing shows that the person agreed.
func (in *IssueCode) remembered() (*Consent, error) {
	g := &in.Grant
	switch {
	case in.flowHash() != nil && in.Flow.Consent.Covers(g.UserID, g.OrganizationID, in.Asked), in.Client.SkipsConsent():
		return nil, nil
	case in.Consent.Covers(g.UserID, g.OrganizationID, in.Asked):
		return in.Consent, nil
	}
	return nil, ErrWithdrawn
}

// flowHash is nil without a stored flow.
func (in *IssueCode) flowHash() any {
	if in.Flow == nil || in.Flow.IDHash.IsZero() {
		return nil
	}
	return in.Flow.IDHash
}

// guards are the conditions of a code in the order in which their rows are locked. The args are nil of one that the
// code does not rest on.
func (in *IssueCode) guards(now any) ([]statement, error) {
	g := &in.Grant
	consent, err := in.remembered()
	if err != nil {
		return nil, err
	}
	var flow, pushed, member, agreed []any
	if hash := in.flowHash(); hash != nil {
		answer, err := in.Flow.Consent.stored()
		if err != nil {
			return nil, err
		}
		flow = []any{now, hash, answer, id(in.Flow.OrganizationID), usec(in.Flow.SignInAfter)}
	}
	if !in.Pushed.IsZero() {
		pushed = []any{now, in.Pushed, g.ClientID}
	}
	if g.OrganizationID != uuid.Nil {
		member = []any{id(g.OrganizationID), id(g.UserID)}
	}
	if consent != nil {
		agreed = []any{id(g.UserID), g.ClientID, g.OrganizationID.String(), words(consent.Scopes), now}
	}
	return []statement{
		{guardSession, []any{id(g.SessionID), id(g.UserID)}},
		{guardFlow, flow},
		{guardPushed, pushed},
		{guardClient, []any{g.ClientID, usec(in.Client.UpdatedAt)}},
		{guardMember, member},
		{guardConsent, agreed},
	}, nil
}

// The guards of IssueCode. On PostgreSQL each locks its row, so that a withdrawal
// that commits first is seen, and one that comes later waits and finds the grant.
const (
	guardSession = `SELECT s.id FROM sessions s JOIN users u ON u.id = s.user_id
		WHERE s.id = ? AND s.user_id = ? AND s.ended_at IS NULL AND u.disabled_at IS NULL AND u.deleted_at IS NULL`
	// Another tab may have given another answer, or asked who the person is.
	guardFlow = endFlow + ` AND consent = ?
		AND organization_id IS NOT DISTINCT FROM ? AND sign_in_after IS NOT DISTINCT FROM ?`
	guardPushed = endPushed
	// updated_at tells a registration from the one before: skip_consent, redirect URIs, organization, scopes.
	guardClient  = `SELECT c.id FROM clients c WHERE c.id = ? AND c.updated_at = ? AND c.disabled_at IS NULL AND c.deleted_at IS NULL`
	guardMember  = `SELECT m.user_id FROM memberships m JOIN organizations o ON o.id = m.organization_id WHERE m.organization_id = ? AND m.user_id = ? AND o.deleted_at IS NULL`
	guardConsent = `SELECT k.user_id FROM consents k WHERE k.user_id = ? AND k.client_id = ? AND k.organization_id = ? AND k.scopes = ?
		AND k.withdrawn_at IS NULL AND k.expires_at > ?`
)

const insertGrant = `INSERT INTO grants (id, user_id, client_id, organization_id, session_id, offline, scopes, audience, auth_time, acr, amr, claims, created_at, expires_at, resource)`
const insertCode = `INSERT INTO codes (hash, grant_id, client_id, redirect_uri, challenge, nonce, expires_at)`

func (g *Grant) args() []any {
	return []any{id(g.ID), id(g.UserID), g.ClientID, id(g.OrganizationID), id(g.SessionID), g.Offline, words(g.Scopes), words(g.Audience),
		usec(g.AuthTime), g.ACR, words(g.AMR), g.Claims, usec(g.CreatedAt), usec(g.ExpiresAt), g.Resource}
}

func (c *Code) args() []any {
	return []any{c.Hash, id(c.GrantID), c.ClientID, c.RedirectURI, c.Challenge, c.Nonce, usec(c.ExpiresAt)}
}

// IssueCode stores grant, code and event, touches the session and spends the flow
// and the pushed request, all or nothing. ErrSpent if one of the two was spent, or
// ErrWithdrawn, which is an ErrSpent, if anything that the code rests on is not as it
// was read: session, person, client, membership, answer or consent.
//
// A pushed request that expired since its flow began is still good: the flow's own
// end bounds it.
func (s *Store) IssueCode(ctx context.Context, in IssueCode) error {
	now := usec(s.clock())
	guards, err := in.guards(now)
	if err != nil {
		return fault("issue a code", err)
	}
	if s.engine == Postgres {
		event, err := in.Event.args(s.clock())
		if err != nil {
			return err
		}
		err = execOr(ctx, s, ErrWithdrawn, issueCodePostgres, in.postgresArgs(guards, event)...)
		return fault("issue a code", err)
	}
	return s.change(ctx, "issue a code", func(t *tx) error {
		for _, g := range guards {
			if err := t.holds(ctx, g); err != nil {
				return err
			}
		}
		if _, err := t.exec(ctx, `UPDATE sessions SET last_seen_at = COALESCE(?, last_seen_at), idle_expires_at = COALESCE(?, idle_expires_at) WHERE id = ?`,
			usec(in.SeenAt), usec(in.IdleExpiresAt), id(in.Grant.SessionID)); err != nil {
			return err
		}
		if _, err := t.exec(ctx, insertGrant+` VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, in.Grant.args()...); err != nil {
			return err
		}
		if _, err := t.exec(ctx, insertCode+` VALUES (?, ?, ?, ?, ?, ?, ?)`, in.Code.args()...); err != nil {
			return err
		}
		return t.event(ctx, &in.Event)
	})
}

// holds is ErrWithdrawn if the condition is not met any more.
func (t *tx) holds(ctx context.Context, g statement) error {
	if g.args == nil {
		return nil
	}
	query := g.query
	if strings.HasPrefix(query, "UPDATE") {
		query += ` RETURNING 1`
	}
	var one any
	err := t.row(ctx, query, g.args...).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrWithdrawn
	}
	return err
}

// One round trip. A guard whose arguments are all NULL is none.
//
// The session is locked first, as in SignIn and in everything that ends access, which
// is why the others ask for it, and at once as strongly as touched needs it: tabs of
// one browser that lock it weakly and then all want more would be a deadlock. The flow comes before the consent, as in
// AnswerConsent and Disconnect.
// The client's lock is the one of a foreign key: it is shared, and waits for a
// deletion alone (revokeOfDeleted).
var issueCodePostgres = `WITH
	session AS (` + guardSession + ` FOR NO KEY UPDATE OF s),
	flow AS (` + guardFlow + ` AND EXISTS (SELECT 1 FROM session) RETURNING 1),
	pushed AS (` + guardPushed + ` AND EXISTS (SELECT 1 FROM session) RETURNING 1),
	client AS (` + guardClient + ` AND EXISTS (SELECT 1 FROM session) FOR KEY SHARE),
	member AS (` + guardMember + ` AND EXISTS (SELECT 1 FROM session) FOR SHARE OF m),
	consent AS (` + guardConsent + ` AND EXISTS (SELECT 1 FROM session) AND (CAST(? AS bytea) IS NULL OR EXISTS (SELECT 1 FROM flow)) FOR SHARE),
	touched AS (UPDATE sessions SET last_seen_at = CAST(? AS bigint), idle_expires_at = CAST(? AS bigint) WHERE id = ? AND ended_at IS NULL AND CAST(? AS bigint) IS NOT NULL),
	live AS (SELECT id FROM session
		WHERE (CAST(? AS bytea) IS NULL OR EXISTS (SELECT 1 FROM flow))
		AND (CAST(? AS bytea) IS NULL OR EXISTS (SELECT 1 FROM pushed))
		AND EXISTS (SELECT 1 FROM client)
		AND (CAST(? AS uuid) IS NULL OR EXISTS (SELECT 1 FROM member))
		AND (CAST(? AS uuid) IS NULL OR EXISTS (SELECT 1 FROM consent))),
	g AS (` + insertGrant + ` SELECT CAST(? AS uuid), CAST(? AS uuid), CAST(? AS text), CAST(? AS uuid), CAST(? AS uuid), CAST(? AS boolean),
		CAST(? AS text), CAST(? AS text), CAST(? AS bigint), CAST(? AS text), CAST(? AS text), CAST(? AS text), CAST(? AS bigint), CAST(? AS bigint), CAST(? AS text) FROM live RETURNING id),
	code AS (` + insertCode + ` SELECT CAST(? AS bytea), CAST(? AS uuid), CAST(? AS text), CAST(? AS text), CAST(? AS text), CAST(? AS text), CAST(? AS bigint) FROM live)
	` + insertEventFrom("live", "", nil)

// postgresArgs are the arguments of issueCodePostgres.
func (in *IssueCode) postgresArgs(guards []statement, event []any) []any {
	var args []any
	for _, g := range guards {
		if g.args == nil {
			g.args = make([]any, strings.Count(g.query, "?"))
		}
		args = append(args, g.args...)
	}
	flow, consent := in.flowHash(), guards[len(guards)-1].args
	var user any
	if consent != nil {
		user = consent[0]
	}
	args = append(args, flow, usec(in.SeenAt), usec(in.IdleExpiresAt), id(in.Grant.SessionID), usec(in.SeenAt),
		flow, in.Pushed, id(in.Grant.OrganizationID), user)
	return append(append(append(args, in.Grant.args()...), in.Code.args()...), event...)
}

var codeRow = layoutOf[Code]("t")

var codeSQL = `SELECT ` + codeRow.columns + `, ` + authorizationColumns + `
		FROM codes t JOIN grants g ON g.id = t.grant_id JOIN clients c ON c.id = t.client_id` + authorizationJoins + ` WHERE t.hash = ?`

// Code returns a code with its authorization, spent and expired ones too.
func (s *Store) Code(ctx context.Context, hash secret.Hash) (*Code, *Authorization, error) {
	var c Code
	var a Authorization
	err := a.scan(s.row(ctx, codeSQL, hash), codeRow.dest(&c))
	if err != nil {
		return nil, nil, fault("read a code", err)
	}
	return &c, &a, nil
}

// SpendCode uses up a code of this client without a token: a wrong verifier gets
// one try. ErrSpent if it was used already.
func (s *Store) SpendCode(ctx context.Context, hash secret.Hash, clientID string) error {
	return fault("spend a code", execOr(ctx, s, ErrSpent, `UPDATE codes SET spent_at = ? WHERE hash = ? AND client_id = ? AND spent_at IS NULL`, usec(s.clock()), hash, clientID))
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
// everybody but the first, and when the code is not valid any more; ErrWithdrawn,
// with the code unspent, when its grant does not live any more.
func (s *Store) RedeemCode(ctx context.Context, in Redemption) error {
	now := usec(s.clock())
	spend := []any{now, in.Hash, in.ClientID, now}
	if s.engine == Postgres {
		return s.redeem(ctx, "redeem a code", redeemCodePostgres, slices.Concat([]any{in.Hash}, spend, in.tokenArgs()))
	}
	return s.change(ctx, "redeem a code", func(t *tx) error { return t.redeem(ctx, in, spendCode, spend) })
}

// redeem runs a CTE that answers whether the grant lives and whether the code or token was spent.
func (s *Store) redeem(ctx context.Context, op, query string, args []any) error {
	var live, spent int
	err := s.rowW(ctx, query, args...).Scan(&live, &spent)
	switch {
	case err == nil && live == 0:
		err = ErrWithdrawn
	case err == nil && spent == 0:
		err = ErrSpent
	}
	return fault(op, err)
}

const spendCode = `UPDATE codes SET spent_at = ? WHERE hash = ? AND client_id = ? AND spent_at IS NULL AND expires_at > ?`

const redeemCodePostgres = `WITH
	live AS (SELECT g.id FROM codes t JOIN grants g ON g.id = t.grant_id JOIN clients c ON c.id = t.client_id` + authorizationJoins + `
		WHERE t.hash = ? AND ` + authorizationLives + `),
	spent AS (` + spendCode + ` AND EXISTS (SELECT 1 FROM live) RETURNING grant_id AS id),
	` + issuedPostgres

// issuedPostgres is the tail of both redemptions: it stores what is new for spent and counts.
const issuedPostgres = `access AS (` + insertAccessToken + ` SELECT CAST(? AS bytea), spent.id, CAST(? AS text), CAST(? AS uuid), CAST(? AS text), CAST(? AS text), CAST(? AS bigint), CAST(? AS bigint)
		FROM spent WHERE CAST(? AS boolean)),
	refresh AS (` + insertRefreshToken + ` SELECT CAST(? AS bytea), spent.id, CAST(? AS text), CAST(? AS bytea), CAST(? AS bigint), CAST(? AS bigint)
		FROM spent WHERE CAST(? AS boolean))
	SELECT (SELECT count(*) FROM live), (SELECT count(*) FROM spent)`

// tokenArgs are the arguments of issuedPostgres.
func (in Redemption) tokenArgs() []any {
	at, rt := in.Access, in.Refresh
	if at == nil {
		at = &AccessToken{}
	}
	if rt == nil {
		rt = &RefreshToken{}
	}
	return []any{at.Hash, at.ClientID, id(at.OrganizationID), words(at.Scopes), words(at.Audience), usec(at.CreatedAt),
		usec(at.ExpiresAt), in.Access != nil,
		rt.Hash, rt.ClientID, rt.Salt, usec(rt.CreatedAt), usec(rt.ExpiresAt), in.Refresh != nil}
}

// redeem is a redemption for SQLite: spend uses up the code or the refresh token.
func (t *tx) redeem(ctx context.Context, in Redemption, spend string, args []any) error {
	if err := t.require(ctx, ErrWithdrawn, `SELECT EXISTS (SELECT 1 FROM grants g JOIN clients c ON c.id = g.client_id`+authorizationJoins+`
		WHERE g.id = ? AND `+authorizationLives+`)`, id(in.GrantID)); err != nil {
		return err
	}
	if err := execOr(ctx, t, ErrSpent, spend, args...); err != nil {
		return err
	}
	if at := in.Access; at != nil {
		if _, err := t.exec(ctx, insertAccessToken+` VALUES (?, ?, ?, ?, ?, ?, ?, ?)`, at.args()...); err != nil {
			return err
		}
	}
	if in.Refresh == nil {
		return nil
	}
	return t.do(ctx, insertRefreshToken+` VALUES (?, ?, ?, ?, ?, ?)`, in.Refresh.args()...)
}
