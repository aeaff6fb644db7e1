package session

import (
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

// SignOutToken ends the session of the token that the request bears.
func (m *Manager) SignOutToken(r *http.Request) error {
	return m.end(r, m.Token(r), storage.EndSignOut)
}
