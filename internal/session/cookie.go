package session

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/sessions"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// tokenChars is the length of 256 bits in base64url.
const tokenChars = 43

// cookies is the gorilla store of the browser cookie: the session's ID is the
// browser's token, and there is nothing else in it. Reading costs only the parsing.
type cookies struct {
	name    string
	options sessions.Options
}

var _ sessions.Store = (*cookies)(nil)

func newCookies(c Config) *cookies {
	name := "sp_browser"
	if c.Secure {
		name = "__Host-sp_browser"
	}
	// Every flag is said: gorilla's zero value has none of them.
	return &cookies{name, sessions.Options{Path: "/", MaxAge: int(c.Lifetime / time.Second), Secure: c.Secure, HttpOnly: true,
		SameSite: http.SameSiteLaxMode}}
}

// get is Get without the error, which needs a bad name.
func (c *cookies) get(r *http.Request) *sessions.Session {
	s, _ := c.Get(r, c.name)
	return s
}

// Get returns the request's session, the same one each time.
func (c *cookies) Get(r *http.Request, name string) (*sessions.Session, error) {
	return sessions.GetRegistry(r).Get(c, name)
}

// New reads the cookie. Anything but exactly one token counts as none.
func (c *cookies) New(r *http.Request, name string) (*sessions.Session, error) {
	s := sessions.NewSession(c, name)
	s.ID = readToken(r, name)
	s.IsNew = s.ID == ""
	return s, nil
}

// Save sends the cookie with the session's ID, or takes it away if that is "". The
// callers save under tokens that were made here, never under one that a request brought.
func (c *cookies) Save(_ *http.Request, w http.ResponseWriter, s *sessions.Session) error {
	c.send(w, s.ID)
	return nil
}

// replace gives the browser another token; "" takes the cookie away.
func (c *cookies) replace(w http.ResponseWriter, r *http.Request, token string) {
	c.get(r).ID = token
	c.send(w, token)
}

func (c *cookies) send(w http.ResponseWriter, token string) {
	options := c.options
	if token == "" {
		options.MaxAge = -1
	}
	setCookie(w, sessions.NewCookie(c.name, token, &options))
}

// readToken returns the token in the request's cookie of that name, "" for
// anything but one well-formed value. Several that agree are one.
func readToken(r *http.Request, name string) string {
	token := ""
	for _, cookie := range r.CookiesNamed(name) {
		if cookie.Quoted || !isToken(cookie.Value) || token != "" && token != cookie.Value {
			return ""
		}
		token = cookie.Value
	}
	return token
}

func isToken(s string) bool {
	_, ok := decode(s)
	return ok
}

// decode reads 256 bits in base64url, in their one spelling. (The library alone
// would skip line breaks.)
func decode(s string) ([]byte, bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return b, err == nil && len(s) == tokenChars && len(b) == 32
}

// tokenHash is the zero Hash for no token.
func tokenHash(token string) secret.Hash {
	if token == "" {
		return secret.Hash{}
	}
	return secret.HashOf(token)
}

// setCookie sends cookie in the place of an earlier one of that name in the same
// response: browsers do not agree on which of two wins.
func setCookie(w http.ResponseWriter, cookie *http.Cookie) {
	h := w.Header()
	h["Set-Cookie"] = slices.DeleteFunc(h["Set-Cookie"], func(line string) bool { return strings.HasPrefix(line, cookie.Name+"=") })
	http.SetCookie(w, cookie)
}
