package provider

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/sallyport-id/sallyport/internal/oauth"
	"github.com/sallyport-id/sallyport/storage"
)

// tokenRequest is one request of the token endpoint: what was read for it, and what is
// to be written by one statement at its end. It belongs to the request's goroutine.
type tokenRequest struct {
	now    time.Time
	form   url.Values
	client *client    // authenticated
	grant  *grantType // nil while it is not known to be one

	// These are what validate has found.
	code     *storage.Code
	refresh  *storage.RefreshToken
	isRepeat bool                   // the refresh token was spent a moment ago: the same answer again
	auth     *storage.Authorization // nil for a client's own token
	scopes   []string               // granted beside those of a code
	audience []string
	// resource is the one that the access token is for, with these scopes only; "" if it is for all that was granted.
	resource       string
	resourceScopes []string

	// These are what the handlers have made.
	accessToken string
	access      *storage.AccessToken // also of a JWT, which has no row
	redemption  storage.Redemption
}

type tokenRequestKey struct{}

func withTokenRequest(ctx context.Context, t *tokenRequest) context.Context {
	return context.WithValue(ctx, tokenRequestKey{}, t)
}

func tokenRequestOf(ctx context.Context) *tokenRequest {
	return ctx.Value(tokenRequestKey{}).(*tokenRequest)
}

// store gives fosite its storage interfaces without a database: what it reads was read
// by validate, and what it writes is written by commit. A signature is the token itself
// where our strategy makes it, so that only this package decides what is hashed.
//
// Its interfaces have more methods than the handlers of compose.go call. Those are of the embedded
// interfaces, which are nil: a call would panic, and be answered as a fault of the server.
type store struct {
	fosite.Storage
	oauth2.TokenRevocationStorage
}

// GetAuthorizeCodeSession returns the authorization request of the code, which validateCode has found good.
func (*store) GetAuthorizeCodeSession(ctx context.Context, _ string, fs fosite.Session) (fosite.Requester, error) {
	t, s := tokenRequestOf(ctx), fs.(*grantSession)
	g := &t.auth.Grant
	s.setAuthorization(t.auth)
	s.nonce = t.code.Nonce
	form := url.Values{"redirect_uri": {t.code.RedirectURI}}
	if t.code.Challenge != "" {
		form.Set("code_challenge", t.code.Challenge)
		form.Set("code_challenge_method", oauth.ChallengeS256)
	}
	return &fosite.Request{ID: g.ID.String(), Client: t.client, Form: form, Session: s,
		RequestedScope: g.Scopes, GrantedScope: g.Scopes, GrantedAudience: g.Audience}, nil
}

// GetPKCERequestSession returns the request of the code if it had a challenge.
func (s *store) GetPKCERequestSession(ctx context.Context, code string, fs fosite.Session) (fosite.Requester, error) {
	if tokenRequestOf(ctx).code.Challenge == "" {
		return nil, fosite.ErrNotFound
	}
	return s.GetAuthorizeCodeSession(ctx, code, fs)
}

// GetOpenIDConnectSession returns the request of the code if it asked for an ID token.
func (s *store) GetOpenIDConnectSession(ctx context.Context, code string, r fosite.Requester) (fosite.Requester, error) {
	if !slices.Contains(tokenRequestOf(ctx).auth.Grant.Scopes, oauth.ScopeOpenID) {
		return nil, errNoOpenID
	}
	return s.GetAuthorizeCodeSession(ctx, code, r.GetSession())
}

// DeletePKCERequestSession does nothing. fosite calls it before it looks at the
// verifier, so that deleting here would let a second try do without one.
func (*store) DeletePKCERequestSession(context.Context, string) error { return nil }

// The next ones do nothing: strategy.go and commit keep what is written.

func (*store) CreateAuthorizeCodeSession(context.Context, string, fosite.Requester) error {
	return nil
}
func (*store) InvalidateAuthorizeCodeSession(context.Context, string) error { return nil }
func (*store) CreatePKCERequestSession(context.Context, string, fosite.Requester) error {
	return nil
}
func (*store) CreateOpenIDConnectSession(context.Context, string, fosite.Requester) error {
	return nil
}
func (*store) DeleteOpenIDConnectSession(context.Context, string) error { return nil }
func (*store) CreateAccessTokenSession(context.Context, string, fosite.Requester) error {
	return nil
}
func (*store) CreateRefreshTokenSession(context.Context, string, string, fosite.Requester) error {
	return nil
}

var errUnused = errors.New("no registered fosite handler calls this")
