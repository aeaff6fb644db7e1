package session

import (
	"context"
	"net/http"
	"strings"

	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

// TokenPrefix begins every session token of the JSON API.
const TokenPrefix = "sp_st_"

// Token returns the hash of the session token that the request bears (RFC 6750,
// section 2.1), zero if it bears none. The cookie never counts as one, nor the
// token as a cookie.
func (m *Manager) Token(r *http.Request) secret.Hash {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	random, ours := strings.CutPrefix(token, TokenPrefix)
	if !strings.EqualFold(scheme, "Bearer") || !ours || !isToken(random) || len(r.Header.Values("Authorization")) != 1 {
		return secret.Hash{}
	}
	return secret.HashOf(token)
}

// SignInToken is SignIn for a caller of the JSON API without a cookie: it returns
// the new session token instead of setting one. The token that the request bears is
// renewed as a browser's would be. The errors are those of SignIn.
func (m *Manager) SignInToken(r *http.Request, in SignIn) (token string, err error) {
	start := m.start(r, in)
	token = secret.NewToken(TokenPrefix)
	start.Browser, start.Session.TokenHash, start.Session.API = m.Token(r), secret.HashOf(token), true
	done, err := m.store.SignIn(r.Context(), start)
	if err != nil {
		return "", err
	}
	for _, gone := range done.Ended {
		m.Forget(r.Context(), gone)
	}
	return token, nil
}

// SignOutToken ends the session of the token that the request bears.
func (m *Manager) SignOutToken(r *http.Request) error {
	return m.cookies.end(r.Context(), m.Token(r), ending{storage.EndSignOut, m.requestID(r.Context())})
}

// Forget drops the hot copy of a session that was ended elsewhere than by this
// package. The row is the truth; a copy left behind only misleads Glance.
func (m *Manager) Forget(ctx context.Context, token secret.Hash) { m.cookies.copies.drop(ctx, token) }
