package provider

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/ory/fosite"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
)

// unit is the unit of work of one request: what was read for it, and what is to
// be written by one statement at its end. It belongs to the request's goroutine.
type unit struct {
	now    time.Time
	client *client // the authenticated client of a token request

	// An authorization.
	issue *storage.IssueCode

	// The exchange of a code or a refresh token.
	code        *storage.Code
	codeErr     error
	auth        *storage.Authorization
	refresh     *storage.RefreshToken
	repeat      bool   // the refresh token was spent a moment ago: answer once more
	accessToken string // as generated, for at_hash
	jwt         bool   // the access token has no row
	// resource is the one that the access token is for, with these scopes only; "" if it is for all that was granted.
	resource       string
	resourceScopes []string
	redemption     storage.Redemption
}

type unitKey struct{}

func withUnit(ctx context.Context, u *unit) context.Context {
	return context.WithValue(ctx, unitKey{}, u)
}

func unitOf(ctx context.Context) *unit { return ctx.Value(unitKey{}).(*unit) }

// store gives fosite its storage interfaces over the unit of work. A signature is
// the token itself where our strategies make them (signer.go), so that only this
// file decides what is hashed and kept.
type store struct{ p *Provider }

// GetClient returns an enabled client.
func (s *store) GetClient(ctx context.Context, id string) (fosite.Client, error) {
	if u := unitOf(ctx); u.client != nil && u.client.ID == id {
		return u.client, nil
	}
	c, err := s.p.client(ctx, id)
	if errors.Is(err, errUnknownClient) {
		return nil, fosite.ErrNotFound
	}
	return c, err
}

// CreateAuthorizeCodeSession keeps the code for the flush.
func (s *store) CreateAuthorizeCodeSession(ctx context.Context, code string, _ fosite.Requester) error {
	unitOf(ctx).issue.Code.Hash = secret.HashOf(code)
	return nil
}

// GetAuthorizeCodeSession reads a code once. A code of another client is not
// found, and is not touched by the attempt (RFC 6749, section 10.5).
func (s *store) GetAuthorizeCodeSession(ctx context.Context, code string, fs fosite.Session) (fosite.Requester, error) {
	u := unitOf(ctx)
	if u.code == nil && u.codeErr == nil {
		u.code, u.auth, u.codeErr = s.p.store.Code(ctx, secret.HashOf(code))
		if u.codeErr == nil && u.code.ClientID != u.client.ID {
			u.code, u.auth, u.codeErr = nil, nil, storage.ErrNotFound
		}
	}
	switch {
	case errors.Is(u.codeErr, storage.ErrNotFound):
		return nil, fosite.ErrNotFound
	case u.codeErr != nil:
		return nil, u.codeErr
	case !u.code.SpentAt.IsZero():
		return u.codeRequest(fs), fosite.ErrInvalidatedAuthorizeCode
	case !u.now.Before(u.code.ExpiresAt) || u.auth.Dead(u.now) != "":
		return nil, fosite.ErrNotFound
	}
	return u.codeRequest(fs), nil
}

// codeRequest is the authorization request a code stands for.
func (u *unit) codeRequest(fs fosite.Session) fosite.Requester {
	s := fs.(*grantSession)
	s.speakOf(u.auth)
	s.nonce = u.code.Nonce
	form := url.Values{"redirect_uri": {u.code.RedirectURI}}
	if u.code.Challenge != "" {
		form.Set("code_challenge", u.code.Challenge)
		form.Set("code_challenge_method", "S256")
	}
	return &fosite.Request{ID: u.auth.Grant.ID.String(), Client: u.client, Form: form, Session: s,
		RequestedScope: u.auth.Grant.Scopes, GrantedScope: u.auth.Grant.Scopes, GrantedAudience: u.auth.Grant.Audience}
}

// InvalidateAuthorizeCodeSession keeps the spending of the code for the flush.
func (s *store) InvalidateAuthorizeCodeSession(ctx context.Context, code string) error {
	unitOf(ctx).redemption.Hash = secret.HashOf(code)
	return nil
}

// GetPKCERequestSession returns the request of the code if it had a challenge.
func (s *store) GetPKCERequestSession(ctx context.Context, code string, fs fosite.Session) (fosite.Requester, error) {
	r, err := s.GetAuthorizeCodeSession(ctx, code, fs)
	if err == nil && unitOf(ctx).code.Challenge == "" {
		return nil, fosite.ErrNotFound
	}
	return r, err
}

// CreatePKCERequestSession does nothing: the challenge is in the code's own row.
func (s *store) CreatePKCERequestSession(context.Context, string, fosite.Requester) error { return nil }

// DeletePKCERequestSession does nothing. fosite calls it before it looks at the
// verifier, so that deleting here would let a second try do without one.
func (s *store) DeletePKCERequestSession(context.Context, string) error { return nil }

// CreateOpenIDConnectSession does nothing: the grant holds what an ID token needs.
func (s *store) CreateOpenIDConnectSession(context.Context, string, fosite.Requester) error {
	return nil
}

// GetOpenIDConnectSession returns the request of the code.
func (s *store) GetOpenIDConnectSession(ctx context.Context, code string, r fosite.Requester) (fosite.Requester, error) {
	if !slices.Contains(unitOf(ctx).auth.Grant.Scopes, "openid") {
		return nil, errNoOpenID
	}
	return s.GetAuthorizeCodeSession(ctx, code, r.GetSession())
}

// DeleteOpenIDConnectSession does nothing: the code's row is spent by the flush.
func (s *store) DeleteOpenIDConnectSession(context.Context, string) error { return nil }

// CreateAccessTokenSession keeps an access token for the flush.
func (s *store) CreateAccessTokenSession(ctx context.Context, _ string, r fosite.Requester) error {
	u := unitOf(ctx)
	if !u.jwt {
		u.redemption.Access = u.newAccessToken(r)
		u.redemption.Access.Hash = secret.HashOf(u.accessToken)
	}
	return nil
}

// newAccessToken is the row of an access token for this request, without its hash.
func (u *unit) newAccessToken(r fosite.Requester) *storage.AccessToken {
	t := &storage.AccessToken{ClientID: u.client.ID, Scopes: r.GetGrantedScopes(), Audience: r.GetGrantedAudience(),
		CreatedAt: u.now, ExpiresAt: u.now.Add(accessTokenLifetime)}
	if u.resource != "" {
		t.Scopes, t.Audience = u.resourceScopes, []string{u.resource}
	}
	if u.auth != nil {
		t.GrantID = u.auth.Grant.ID
		// A token does not outlive the grant it was made from.
		if end := u.auth.Grant.ExpiresAt; end.Before(t.ExpiresAt) {
			t.ExpiresAt = end
		}
	} else {
		t.OrganizationID = u.client.Organization
	}
	return t
}

// CreateRefreshTokenSession keeps a refresh token for the flush.
func (s *store) CreateRefreshTokenSession(ctx context.Context, token, _ string, _ fosite.Requester) error {
	u := unitOf(ctx)
	u.redemption.Refresh = u.newRefreshToken(token)
	return nil
}

func (u *unit) newRefreshToken(token string) *storage.RefreshToken {
	t := &storage.RefreshToken{Hash: secret.HashOf(token), GrantID: u.auth.Grant.ID, ClientID: u.client.ID, Salt: secret.Random(16),
		CreatedAt: u.now, ExpiresAt: u.now.Add(refreshTokenIdle)}
	if end := u.auth.Grant.ExpiresAt; end.Before(t.ExpiresAt) {
		t.ExpiresAt = end
	}
	return t
}

// revokeReplayed ends a grant whose code or refresh token was used twice (RFC 9700, section 4.14.2).
func (p *Provider) revokeReplayed(ctx context.Context, grant uuid.UUID, kind string) error {
	u := unitOf(ctx)
	return p.store.RevokeGrant(ctx, grant, kind, &storage.Event{Type: kind, Organization: u.auth.Grant.OrganizationID,
		User: u.auth.Grant.UserID, Client: u.client.ID, RequestID: web.RequestID(ctx), Facts: map[string]any{"grant": grant.String()}})
}

// The rest is asked for by fosite's interfaces and never called by the handlers
// that compose.go registers.

func (s *store) ClientAssertionJWTValid(context.Context, string) error          { return errUnused }
func (s *store) SetClientAssertionJWT(context.Context, string, time.Time) error { return errUnused }
func (s *store) DeleteAccessTokenSession(context.Context, string) error         { return errUnused }
func (s *store) DeleteRefreshTokenSession(context.Context, string) error        { return errUnused }
func (s *store) RotateRefreshToken(context.Context, string, string) error       { return errUnused }
func (s *store) RevokeAccessToken(context.Context, string) error                { return errUnused }
func (s *store) RevokeRefreshToken(context.Context, string) error               { return errUnused }
func (s *store) GetAccessTokenSession(context.Context, string, fosite.Session) (fosite.Requester, error) {
	return nil, errUnused
}
func (s *store) GetRefreshTokenSession(context.Context, string, fosite.Session) (fosite.Requester, error) {
	return nil, errUnused
}

var errUnused = errors.New("no registered fosite handler calls this")
