package provider

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
)

// presented is a live access token with what it stands for: one statement read it,
// opaque or JWT.
type presented struct {
	token *storage.AccessToken
	auth  *storage.Authorization
	jti   string // of a JWT
	// granted are the scopes of the grant, or those that the client may have for itself.
	granted []string
}

// errDead: the token is unknown, expired, revoked, or not an access token. Its
// cause is for the log.
var errDead = errors.New("the access token is not active")

func dead(why string) error { return errors.Join(errDead, errors.New(why)) }

// present finds a live access token; errDead if it is none.
func (p *Provider) present(ctx context.Context, raw string) (*presented, error) {
	if strings.Count(raw, ".") == 2 {
		return p.presentJWT(ctx, raw)
	}
	if !wellFormed(raw, accessPrefix) {
		return nil, dead("not the form of an access token")
	}
	t, a, err := p.store.AccessToken(ctx, secret.HashOf(raw))
	if errors.Is(err, storage.ErrNotFound) {
		return nil, dead("unknown")
	} else if err != nil {
		return nil, err
	}
	noteClient(ctx, t.ClientID)
	notesOf(ctx).authenticated = true
	if why := t.Dead(a, p.now()); why != "" {
		return nil, dead(why)
	}
	if t.GrantID != uuid.Nil {
		t.OrganizationID = a.Grant.OrganizationID
	}
	return p.withGranted(ctx, &presented{token: t, auth: a})
}

// withGranted adds what was granted to a token that is live otherwise, and leaves out the
// organizations that it may not tell of now. A token with a scope that was not granted is
// dead: it is forged, or its client has lost the scope since.
func (p *Provider) withGranted(ctx context.Context, t *presented) (*presented, error) {
	var err error
	if t.granted, err = p.grantedScopes(ctx, t.token, t.auth); err != nil {
		return nil, err
	}
	if !containsAll(t.granted, t.token.Scopes) {
		return nil, dead("it has a scope that was not granted")
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
	if errors.Is(err, errUnknownClient) {
		return nil, dead("the client is disabled")
	} else if err != nil {
		return nil, err
	}
	if !c.may("client_credentials") {
		return nil, dead("the client is not registered for the grant")
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
		return nil, nil, errors.Join(dead("not a JWT access token of this server"), err)
	}
	c := &jwtAccess{}
	if err := json.Unmarshal(verified.Claims, c); err != nil || c.Issuer != p.issuer {
		return nil, nil, dead("not a JWT access token of this issuer")
	}
	noteClient(ctx, c.Client)
	notesOf(ctx).authenticated = true
	now := p.now()
	t := &storage.AccessToken{ClientID: c.Client, Scopes: strings.Fields(c.Scope), Audience: c.Audience,
		CreatedAt: time.Unix(c.Issued, 0).UTC(), ExpiresAt: time.Unix(c.Expires, 0).UTC()}
	switch {
	case !now.Before(t.ExpiresAt):
		return nil, nil, dead("the token has expired")
	case c.Issued <= 0 || c.Expires-c.Issued > int64(accessTokenLifetime/time.Second):
		return nil, nil, dead("the token lives longer than any that is issued here")
	case t.CreatedAt.After(now.Add(clockLeeway)):
		return nil, nil, dead("the token was issued in the future")
	case c.ID == "":
		return nil, nil, dead("the token has no jti")
	}
	if c.Grant != "" {
		if t.GrantID, err = uuid.Parse(c.Grant); err != nil {
			return nil, nil, dead("gid is no id")
		}
	}
	return t, c, nil
}

// presentJWT checks a JWT access token, and looks up its grant, client and jti: for this
// server a revocation counts before exp.
func (p *Provider) presentJWT(ctx context.Context, raw string) (*presented, error) {
	t, c, err := p.verifyJWT(ctx, raw)
	if err != nil {
		return nil, err
	}
	now := p.now()
	jti := revokedID(c.ID)
	var a *storage.Authorization
	var revoked bool
	if t.GrantID != uuid.Nil {
		a, revoked, err = p.store.Grant(ctx, t.GrantID, jti)
	} else {
		a, revoked, err = p.store.ClientToken(ctx, c.Client, jti)
	}
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return nil, dead("the grant or client is gone")
	case err != nil:
		return nil, err
	case revoked:
		return nil, dead("the token was revoked")
	}
	if why := t.Dead(a, now); why != "" {
		return nil, dead(why)
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
		return nil, dead("the grant is of another person or client")
	case len(t.Audience) == 0 || !containsAll(p.audienceOf(index, t.Scopes), t.Audience):
		return nil, dead("aud is not that of its scopes")
	}
	return p.withGranted(ctx, &presented{token: t, auth: a, jti: c.ID})
}

func containsAll(list, members []string) bool {
	return !slices.ContainsFunc(members, func(m string) bool { return !slices.Contains(list, m) })
}

// clockLeeway is how far the clock of the node that issued a token may be ahead.
const clockLeeway = 5 * time.Second

// revokedID is how the jti of a JWT access token is kept once it is revoked.
func revokedID(jti string) secret.Hash { return secret.HashOf("access token\x00" + jti) }

// bearer reads the one access token of a request: from the Authorization header,
// or from the body of a POST (RFC 6750, sections 2.1 and 2.2). A token in the URL
// is not looked at: URLs are kept in logs and histories.
func bearer(r *http.Request) (string, error) {
	header := r.Header.Values("Authorization")
	var form url.Values
	if r.Method == http.MethodPost && r.Header.Get("Content-Type") != "" {
		var err error
		if form, err = web.Form(r); err != nil {
			return "", err
		}
	}
	switch {
	case len(header) > 1 || (len(header) == 1 && form.Has("access_token")):
		return "", refuse("invalid_request", "The request carries an access token in more than one way.")
	case len(header) == 1:
		scheme, token, ok := strings.Cut(header[0], " ")
		if !ok || !strings.EqualFold(scheme, "Bearer") {
			return "", errNoToken
		}
		return strings.TrimSpace(token), nil
	case form.Has("access_token"):
		return form.Get("access_token"), nil
	}
	return "", errNoToken
}

var (
	errNoToken      = refuse("invalid_token", "The request carries no access token: send the header Authorization: Bearer.")
	errInvalidToken = refuse("invalid_token", "The access token is expired, revoked, or not valid here.")
)
