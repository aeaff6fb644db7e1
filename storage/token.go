package storage

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// AccessToken is an opaque access token. JWT access tokens have no row: those of
// a person are checked by their grant, those of a client end with exp.
type AccessToken struct {
	Hash     secret.Hash `db:"hash"`
	GrantID  uuid.UUID   `db:"grant_id"` // nil for the client_credentials grant
	ClientID string      `db:"client_id"`
	// OrganizationID is set for the client_credentials grant; else the grant tells.
	OrganizationID uuid.UUID `db:"organization_id"`
	Scopes         []string  `db:"scopes"`
	Audience       []string  `db:"audience"`
	CreatedAt      time.Time `db:"created_at"`
	ExpiresAt      time.Time `db:"expires_at"`
	RevokedAt      time.Time `db:"revoked_at"`
}

// RefreshToken is one link of a grant's chain. Its successor is derived from the
// token itself and Salt, so that a repeat within the grace period gets the same one.
type RefreshToken struct {
	Hash      secret.Hash `db:"hash"`
	GrantID   uuid.UUID   `db:"grant_id"`
	ClientID  string      `db:"client_id"`
	Salt      []byte      `db:"salt"`
	CreatedAt time.Time   `db:"created_at"`
	ExpiresAt time.Time   `db:"expires_at"` // idle: a token that is not used by then is dead
	SpentAt   time.Time   `db:"spent_at"`
	// SuccessorHash is the next link once this one is spent; SuccessorSpent tells
	// whether that one was used too.
	SuccessorHash  secret.Hash `db:"successor_hash"`
	SuccessorSpent bool        `db:"(n.spent_at IS NOT NULL)"`
}

var (
	accessTokenRow  = layoutOf[AccessToken]("t")
	refreshTokenRow = layoutOf[RefreshToken]("t")
)

const insertAccessToken = `INSERT INTO access_tokens (hash, grant_id, client_id, organization_id, scopes, audience, created_at, expires_at)`
const insertRefreshToken = `INSERT INTO refresh_tokens (hash, grant_id, client_id, salt, created_at, expires_at)`

func (t *AccessToken) args() []any {
	return []any{t.Hash, id(t.GrantID), t.ClientID, id(t.OrganizationID), words(t.Scopes), words(t.Audience),
		usec(t.CreatedAt), usec(t.ExpiresAt)}
}

func (t *RefreshToken) args() []any {
	return []any{t.Hash, id(t.GrantID), t.ClientID, t.Salt, usec(t.CreatedAt), usec(t.ExpiresAt)}
}

// CreateClientToken stores an access token of the client_credentials grant.
// ErrSpent if the client was disabled since it was read.
func (s *Store) CreateClientToken(ctx context.Context, at *AccessToken) error {
	return fault("store a client's token", execOr(ctx, s, ErrSpent, insertAccessToken+` SELECT `+s.engine.casts("bytea", "uuid", "text", "uuid", "text", "text", "bigint", "bigint")+`
		FROM clients WHERE id = ? AND disabled_at IS NULL AND deleted_at IS NULL`, append(at.args(), at.ClientID)...))
}

var accessTokenSQL = forEngines(func(e Engine) string {
	return `SELECT ` + accessTokenRow.columns + `, ` + authorizationColumns + `, CASE WHEN t.scopes LIKE '%orgs%' THEN ` + e.membershipsJSON() + ` END
		FROM access_tokens t LEFT JOIN grants g ON g.id = t.grant_id JOIN clients c ON c.id = t.client_id
		LEFT JOIN users u ON u.id = g.user_id
		LEFT JOIN organizations o ON o.id = COALESCE(g.organization_id, t.organization_id) AND o.deleted_at IS NULL
		LEFT JOIN memberships m ON m.organization_id = g.organization_id AND m.user_id = g.user_id
		LEFT JOIN sessions s ON s.id = g.session_id
		WHERE t.hash = ?`
})

// AccessToken returns an access token with its authorization, expired and revoked
// ones too. The authorization of a client_credentials token has a zero Grant and
// tells only about client and organization.
func (s *Store) AccessToken(ctx context.Context, hash secret.Hash) (*AccessToken, *Authorization, error) {
	var t AccessToken
	var a Authorization
	err := a.scan(s.row(ctx, accessTokenSQL[s.engine], hash), accessTokenRow.dest(&t), memberships{&a.Memberships})
	if err != nil {
		return nil, nil, fault("read an access token", err)
	}
	return &t, &a, nil
}

// InactiveReason says why the token does not work any more, "" while it does.
func (t *AccessToken) InactiveReason(a *Authorization, now time.Time) string {
	switch {
	case !t.RevokedAt.IsZero():
		return "the token was revoked"
	case !now.Before(t.ExpiresAt):
		return "the token has expired"
	case t.GrantID != uuid.Nil:
		return a.InactiveReason(now)
	case !a.clientDisabledAt.IsZero() || !a.clientDeletedAt.IsZero():
		return "the client is disabled"
	case t.OrganizationID != uuid.Nil && a.Organization == nil:
		return "the organization is gone"
	}
	return ""
}

// ClientToken tells about a client_credentials JWT: what client and organization
// are now, and whether its hashed id was revoked.
func (s *Store) ClientToken(ctx context.Context, clientID string, jti secret.Hash) (*Authorization, bool, error) {
	var a Authorization
	var o Organization
	var revoked bool
	err := s.row(ctx, `SELECT c.disabled_at, c.deleted_at, `+organizationRow.columns+`, EXISTS (SELECT 1 FROM revoked_tokens r WHERE r.hash = ?)
		FROM clients c LEFT JOIN organizations o ON o.id = c.organization_id AND o.deleted_at IS NULL WHERE c.id = ?`, jti, clientID).
		Scan(append(append([]any{&a.clientDisabledAt, &a.clientDeletedAt}, organizationRow.dest(&o)...), &revoked)...)
	if err != nil {
		return nil, false, fault("read a client's token", err)
	}
	if o.ID != uuid.Nil {
		a.Organization = &o
	}
	return &a, revoked, nil
}

// ClientActive reports whether the client of the authorization may still act.
func (a *Authorization) ClientActive() bool {
	return a.clientDisabledAt.IsZero() && a.clientDeletedAt.IsZero()
}

var refreshTokenSQL = `SELECT ` + refreshTokenRow.columns + `, ` + authorizationColumns + `
		FROM refresh_tokens t LEFT JOIN refresh_tokens n ON n.hash = t.successor_hash
		JOIN grants g ON g.id = t.grant_id JOIN clients c ON c.id = t.client_id` + authorizationJoins + ` WHERE t.hash = ?`

// RefreshToken returns a refresh token with its authorization, spent and expired ones too.
func (s *Store) RefreshToken(ctx context.Context, hash secret.Hash) (*RefreshToken, *Authorization, error) {
	var t RefreshToken
	var a Authorization
	err := a.scan(s.row(ctx, refreshTokenSQL, hash), refreshTokenRow.dest(&t))
	if err != nil {
		return nil, nil, fault("read a refresh token", err)
	}
	return &t, &a, nil
}

// Rotate spends a refresh token and stores its successor and a new access token,
// all or nothing. ErrSpent for everybody but the first, and when the token is not
// valid any more; ErrWithdrawn, with the token unspent, when its grant does not live
// any more.
func (s *Store) Rotate(ctx context.Context, in Redemption) error {
	now := usec(s.clock())
	spend := []any{now, in.Refresh.Hash, in.Hash, in.ClientID, now}
	if s.engine == Postgres {
		return s.redeem(ctx, "rotate a refresh token", rotatePostgres, slices.Concat([]any{in.Hash}, spend, in.tokenArgs()))
	}
	return s.change(ctx, "rotate a refresh token", func(t *tx) error { return t.redeem(ctx, in, spendRefreshToken, spend) })
}

const spendRefreshToken = `UPDATE refresh_tokens SET spent_at = ?, successor_hash = ? WHERE hash = ? AND client_id = ? AND spent_at IS NULL AND expires_at > ?`

const rotatePostgres = `WITH
	live AS (SELECT g.id FROM refresh_tokens t JOIN grants g ON g.id = t.grant_id JOIN clients c ON c.id = t.client_id` + authorizationJoins + `
		WHERE t.hash = ? AND ` + authorizationLives + `),
	spent AS (` + spendRefreshToken + ` AND EXISTS (SELECT 1 FROM live) RETURNING grant_id AS id),
	` + issuedPostgres

// RepeatAccess stores an access token for a refresh that is answered a second
// time, as long as the successor that goes with it is unspent and the grant lives;
// ErrSpent otherwise.
func (s *Store) RepeatAccess(ctx context.Context, at *AccessToken, successor secret.Hash) error {
	return fault("repeat a refresh", execOr(ctx, s, ErrSpent, insertAccessToken+` SELECT `+s.engine.casts("bytea", "uuid", "text", "uuid", "text", "text", "bigint", "bigint")+`
		FROM refresh_tokens n JOIN grants g ON g.id = n.grant_id JOIN clients c ON c.id = n.client_id`+authorizationJoins+`
		WHERE n.hash = ? AND n.spent_at IS NULL AND `+authorizationLives, append(at.args(), successor)...))
}

// RevokeAccessToken ends one access token of this client and writes the event
// with the person and organization filled in. Tokens of others, unknown and dead
// ones change nothing and are no error (RFC 7009, section 2.2).
func (s *Store) RevokeAccessToken(ctx context.Context, hash secret.Hash, clientID string, e *Event) error {
	return s.revoke(ctx, `UPDATE access_tokens SET revoked_at = ? WHERE hash = ? AND client_id = ? AND revoked_at IS NULL RETURNING grant_id`,
		[]any{usec(s.clock()), hash, clientID}, e)
}

// RevokeRefreshToken ends the grant of a refresh token of this client, with all
// its tokens; otherwise like RevokeAccessToken.
func (s *Store) RevokeRefreshToken(ctx context.Context, hash secret.Hash, clientID string, e *Event) error {
	return s.revoke(ctx, revokeGrantsSQL("?", "'revoked by the client'", `id = (SELECT t.grant_id FROM refresh_tokens t WHERE t.hash = ? AND t.client_id = ?)`)+
		` RETURNING id AS grant_id`, []any{usec(s.clock()), hash, clientID}, e)
}

// RevokeJWT ends a JWT access token before its time, by the hash of its jti, until
// it would have expired. grant is nil for a token of the client_credentials grant;
// otherwise like RevokeAccessToken.
func (s *Store) RevokeJWT(ctx context.Context, jti secret.Hash, grant uuid.UUID, expires time.Time, e *Event) error {
	return s.revoke(ctx, `INSERT INTO revoked_tokens (hash, expires_at) VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING `+s.engine.casts("uuid")+` AS grant_id`,
		[]any{jti, usec(expires), id(grant)}, e)
}

// revokedEvent tells of the tokens in hit, with the person and the organization of their grants.
var revokedEvent = insertEventFrom("hit LEFT JOIN grants g ON g.id = hit.grant_id", "", map[string]string{
	"organization_id": "COALESCE(CAST(? AS uuid), g.organization_id)", "user_id": "COALESCE(CAST(? AS uuid), g.user_id)"})

// revoke runs an update that returns the grant_id concerned, and writes the event
// only if it changed something: one round trip on PostgreSQL.
func (s *Store) revoke(ctx context.Context, update string, args []any, e *Event) error {
	if s.engine == Postgres {
		event, err := e.args(s.clock())
		if err != nil {
			return err
		}
		_, err = s.exec(ctx, `WITH hit AS (`+update+`) `+revokedEvent, append(args, event...)...)
		return fault("revoke a token", err)
	}
	return s.change(ctx, "revoke a token", func(t *tx) error {
		var grantID uuid.UUID
		err := t.row(ctx, update, args...).Scan(&grantID)
		if classify(err) == ErrNotFound {
			return nil
		}
		if err != nil {
			return err
		}
		err = t.row(ctx, `SELECT organization_id, user_id FROM grants WHERE id = ?`, id(grantID)).
			Scan(&e.Organization, &e.User)
		if err != nil && classify(err) != ErrNotFound {
			return err
		}
		return t.event(ctx, e)
	})
}
