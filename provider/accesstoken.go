package provider

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

// activeToken is an access token that counts now, opaque or JWT, with the rows that one
// statement read for it.
type activeToken struct {
	token *storage.AccessToken
	auth  *storage.Authorization
	jti   string // of a JWT
	// granted are the scopes of the grant, or those that the client may have for itself.
	granted []string
}

// errInactive: the token is unknown, expired, revoked, or not an access token. Its
// cause is for the log.
var errInactive = errors.New("the access token is not active")

func inactive(reason string) error { return errors.Join(errInactive, errors.New(reason)) }

// lookupToken finds an access token; errInactive if it does not count.
func (p *Provider) lookupToken(ctx context.Context, raw string) (*activeToken, error) {
	if strings.Count(raw, ".") == 2 {
		return p.lookupJWT(ctx, raw)
	}
	if !isWellFormed(raw, accessPrefix) {
		return nil, inactive("not the form of an access token")
	}
	t, a, err := p.store.AccessToken(ctx, secret.HashOf(raw))
	if err != nil {
		return nil, replace(err, storage.ErrNotFound, inactive("unknown"))
	}
	noteClient(ctx, t.ClientID)
	notesOf(ctx).authenticated = true
	if reason := t.InactiveReason(a, p.now()); reason != "" {
		return nil, inactive(reason)
	}
	if t.GrantID != uuid.Nil {
		t.OrganizationID = a.Grant.OrganizationID
	}
	return p.withGranted(ctx, &activeToken{token: t, auth: a})
}

// withGranted adds what was granted to a token that is active otherwise, and leaves out
// the organizations that it may not tell of now. A token with a scope that was not granted
// is inactive: it is forged, or its client has lost the scope since.
func (p *Provider) withGranted(ctx context.Context, t *activeToken) (*activeToken, error) {
	var err error
	if t.granted, err = p.grantedScopes(ctx, t.token, t.auth); err != nil {
		return nil, err
	}
	if !containsAll(t.granted, t.token.Scopes) {
		return nil, inactive("it has a scope that was not granted")
	}
	if t.token.GrantID != uuid.Nil {
		err = p.withholdOrganizations(ctx, t.auth, p.now())
	}
	return t, err
}

// grantedScopes are the scopes that a token can have: those of its grant, or of its client's registration.
func (p *Provider) grantedScopes(
	ctx context.Context, t *storage.AccessToken, a *storage.Authorization,
) ([]string, error) {
	if t.GrantID != uuid.Nil {
		return a.Grant.Scopes, nil
	}
	c, err := p.client(ctx, t.ClientID)
	if err != nil {
		return nil, replace(err, errUnknownClient, inactive("the client is disabled"))
	}
	if !slices.ContainsFunc(p.grants, func(g grantType) bool { return g.forClient && c.hasGrantType(g.name) }) {
		return nil, inactive("the client is not registered for the grant")
	}
	index, err := p.registry.Scopes(ctx)
	if err != nil {
		return nil, err
	}
	return c.ownScopes(index), nil
}

// jwtAccess are the claims of our own JWT access tokens that we read back.
type jwtAccess struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	Client   string   `json:"client_id"`
	Audience oneOrAll `json:"aud"`
	ID       string   `json:"jti"`
	Grant    string   `json:"gid"`
	Scope    string   `json:"scope"`
	Issued   int64    `json:"iat"`
	Expires  int64    `json:"exp"`
}

// verifyJWT checks a JWT access token of ours by itself. The typ keeps ID tokens and
// others out (RFC 9068, section 4).
func (p *Provider) verifyJWT(ctx context.Context, raw string) (*storage.AccessToken, *jwtAccess, error) {
	verified, err := p.keys.Verify(raw, keys.TypeAccessToken)
	if err != nil {
		return nil, nil, errors.Join(inactive("not a JWT access token of this server"), err)
	}
	c := &jwtAccess{}
	if err := json.Unmarshal(verified.Claims, c); err != nil || c.Issuer != p.issuer {
		return nil, nil, inactive("not a JWT access token of this issuer")
	}
	noteClient(ctx, c.Client)
	notesOf(ctx).authenticated = true
	now := p.now()
	t := &storage.AccessToken{ClientID: c.Client, Scopes: strings.Fields(c.Scope), Audience: c.Audience,
		CreatedAt: time.Unix(c.Issued, 0).UTC(), ExpiresAt: time.Unix(c.Expires, 0).UTC()}
	switch {
	case !now.Before(t.ExpiresAt):
		return nil, nil, inactive("the token has expired")
	case c.Issued <= 0 || c.Expires-c.Issued > int64(accessTokenLifetime/time.Second):
		return nil, nil, inactive("the token lives longer than any that is issued here")
	case t.CreatedAt.After(now.Add(clockLeeway)):
		return nil, nil, inactive("the token was issued in the future")
	case c.ID == "":
		return nil, nil, inactive("the token has no jti")
	}
	if c.Grant != "" {
		if t.GrantID, err = uuid.Parse(c.Grant); err != nil {
			return nil, nil, inactive("gid is no id")
		}
	}
	return t, c, nil
}

// lookupJWT checks a JWT access token, and looks up its grant, client and jti: for this
// server a revocation counts before exp.
func (p *Provider) lookupJWT(ctx context.Context, raw string) (*activeToken, error) {
	t, c, err := p.verifyJWT(ctx, raw)
	if err != nil {
		return nil, err
	}
	jti := revokedID(c.ID)
	var a *storage.Authorization
	var revoked bool
	if t.GrantID != uuid.Nil {
		a, revoked, err = p.store.Grant(ctx, t.GrantID, jti)
	} else {
		a, revoked, err = p.store.ClientToken(ctx, c.Client, jti)
	}
	switch {
	case err != nil:
		return nil, replace(err, storage.ErrNotFound, inactive("the grant or client is gone"))
	case revoked:
		return nil, inactive("the token was revoked")
	}
	if reason := t.InactiveReason(a, p.now()); reason != "" {
		return nil, inactive(reason)
	}
	if a.Organization != nil {
		t.OrganizationID = a.Organization.ID
	}
	index, err := p.registry.Scopes(ctx)
	if err != nil {
		return nil, err
	}
	// The signature alone is not believed: others who have learned the key can sign, too.
	subject := t.ClientID
	if t.GrantID != uuid.Nil {
		subject = a.User.Sub.String()
	}
	switch {
	case c.Subject != subject || (t.GrantID != uuid.Nil && a.Grant.ClientID != t.ClientID):
		return nil, inactive("the grant is of another person or client")
	case len(t.Audience) == 0 || !containsAll(p.audienceOf(index, t.Scopes), t.Audience):
		return nil, inactive("aud is not that of its scopes")
	}
	return p.withGranted(ctx, &activeToken{token: t, auth: a, jti: c.ID})
}

func containsAll(list, members []string) bool {
	return !slices.ContainsFunc(members, func(m string) bool { return !slices.Contains(list, m) })
}

// clockLeeway is how far the clock of the node that issued a token may be ahead.
const clockLeeway = 5 * time.Second

// revokedID is how the jti of a JWT access token is kept once it is revoked.
func revokedID(jti string) secret.Hash { return secret.HashOf("access token\x00" + jti) }
