package provider

import (
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/token/jwt"
	"github.com/sallyport-id/sallyport/storage"
)

// grantSession is what fosite carries through a grant for us: the authorization as it
// was read by this request. fosite never stores or clones it.
type grantSession struct {
	auth    *storage.Authorization
	nonce   string // of the authorization request; not repeated on refresh (OpenID Connect Core 1.0, section 12.2)
	claims  jwt.IDTokenClaims
	headers jwt.Headers
	expires map[fosite.TokenType]time.Time
}

func newSession() *grantSession {
	return &grantSession{auth: &storage.Authorization{}, headers: jwt.Headers{Extra: map[string]any{}},
		expires: make(map[fosite.TokenType]time.Time, 2)}
}

// setAuthorization makes the session one of this authorization.
func (s *grantSession) setAuthorization(a *storage.Authorization) {
	s.auth = a
	s.claims.Subject = a.User.Sub.String()
}

func (s *grantSession) SetExpiresAt(key fosite.TokenType, exp time.Time) { s.expires[key] = exp }
func (s *grantSession) GetExpiresAt(key fosite.TokenType) time.Time      { return s.expires[key] }
func (s *grantSession) GetUsername() string                              { return "" }
func (s *grantSession) GetSubject() string                               { return s.claims.Subject }
func (s *grantSession) Clone() fosite.Session                            { return s }
func (s *grantSession) IDTokenClaims() *jwt.IDTokenClaims                { return &s.claims }
func (s *grantSession) IDTokenHeaders() *jwt.Headers                     { return &s.headers }
