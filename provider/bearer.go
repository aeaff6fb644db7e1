package provider

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
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
	if why := t.Dead(a, p.now()); why != "" {
		return nil, dead(why)
	}
	if t.GrantID != uuid.Nil {
		t.OrganizationID = a.Grant.OrganizationID
		err = p.withholdOrganizations(ctx, a, p.now())
	}
	return &presented{token: t, auth: a}, err
}

// jwtAccess are the claims of our own JWT access tokens that we read back.
type jwtAccess struct {
	Issuer   string   `json:"iss"`
	Client   string   `json:"client_id"`
	Audience oneOrAll `json:"aud"`
	ID       string   `json:"jti"`
	Grant    string   `json:"gid"`
	Scope    string   `json:"scope"`
	Issued   int64    `json:"iat"`
	Expires  int64    `json:"exp"`
}

// presentJWT checks a JWT access token of ours. The typ keeps ID tokens and others
// out (RFC 9068, section 4); grant, client and jti are looked up: for this server a
// revocation counts before exp.
func (p *Provider) presentJWT(ctx context.Context, raw string) (*presented, error) {
	verified, err := p.keys.Verify(raw, nil)
	if err != nil || verified.Type != keys.TypeAccessToken {
		return nil, dead("not a JWT access token of this server")
	}
	var c jwtAccess
	if err := json.Unmarshal(verified.Claims, &c); err != nil || c.Issuer != p.issuer {
		return nil, dead("not a JWT access token of this issuer")
	}
	now := p.now()
	t := &storage.AccessToken{ClientID: c.Client, Scopes: strings.Fields(c.Scope), Audience: c.Audience,
		CreatedAt: time.Unix(c.Issued, 0).UTC(), ExpiresAt: time.Unix(c.Expires, 0).UTC()}
	if !now.Before(t.ExpiresAt) {
		return nil, dead("the token has expired")
	}
	jti := revokedID(c.ID)
	var a *storage.Authorization
	var revoked bool
	if c.Grant != "" {
		if t.GrantID, err = uuid.Parse(c.Grant); err != nil {
			return nil, dead("gid is no id")
		}
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
	if t.GrantID != uuid.Nil {
		err = p.withholdOrganizations(ctx, a, now)
	}
	return &presented{token: t, auth: a, jti: c.ID}, err
}

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
