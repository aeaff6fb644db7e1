package session

import (
	"context"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/sessions"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

// tokenChars is the length of 256 bits in base64url.
const tokenChars = 43

// valueKey keys what is to be done at the next Save in a gorilla session's Values.
type valueKey int

const (
	startKey valueKey = iota // *storage.SignIn
	endKey                   // ending
)

type ending struct{ reason, requestID string }

// cookies is the gorilla store: the session's ID is the browser's token, and
// Save carries out the sign-in or the end that was put into Values before it
// sends the cookie. Reading costs nothing but parsing: who is signed in is read
// together with the person, by others.
type cookies struct {
	name    string
	options sessions.Options
	rows    *storage.Store
	copies  *copies // nil without Redis
}

var _ sessions.Store = (*cookies)(nil)

func newCookies(c Config) *cookies {
	name := "sp_browser"
	if c.Secure {
		name = "__Host-sp_browser"
	}
	return &cookies{
		name: name,
		// Every flag is said: gorilla's zero value has none of them.
		options: sessions.Options{Path: "/", MaxAge: int(c.Lifetime / time.Second), Secure: c.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode},
		rows:    c.Store,
		copies:  newCopies(c),
	}
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

// New reads the cookie. What is not exactly one token is no token.
func (c *cookies) New(r *http.Request, name string) (*sessions.Session, error) {
	s := sessions.NewSession(c, name)
	options := c.options
	s.Options = &options
	s.ID = readToken(r, name)
	s.IsNew = s.ID == ""
	return s, nil
}

// Save does what Values ask for and sends the cookie: after an end none any more, or a
// new anonymous token if a flow waits for this browser in another tab; else a new token.
// A token that came from outside is never saved under.
func (c *cookies) Save(r *http.Request, w http.ResponseWriter, s *sessions.Session) error {
	before := tokenHash(s.ID)
	start, _ := s.Values[startKey].(*storage.SignIn)
	end, isEnd := s.Values[endKey].(ending)
	clear(s.Values)
	if isEnd {
		if err := c.end(r.Context(), before, end); err != nil {
			return err
		}
		next := secret.NewToken("")
		waiting, err := c.rows.MoveFlows(r.Context(), before, tokenHash(next))
		if err != nil {
			return err
		}
		s.ID = ""
		if waiting {
			s.ID, s.Options.MaxAge = next, c.options.MaxAge
			setCookie(w, sessions.NewCookie(c.name, next, s.Options))
			return nil
		}
		setCookie(w, sessions.NewCookie(c.name, "", s.Options))
		s.Options.MaxAge = c.options.MaxAge
		return nil
	}
	token := secret.NewToken("")
	if start != nil {
		start.Browser, start.Session.TokenHash = before, tokenHash(token)
		done, err := c.rows.SignIn(r.Context(), start)
		if err != nil {
			return err
		}
		start.Session.ID = done.ID
		c.copies.put(r.Context(), &start.Session)
		for _, gone := range append(done.Ended, before) {
			c.copies.drop(r.Context(), gone)
		}
	}
	s.ID, s.IsNew = token, false
	setCookie(w, sessions.NewCookie(c.name, token, s.Options))
	return nil
}

// end ends the row, and then the copy.
func (c *cookies) end(ctx context.Context, browser secret.Hash, e ending) error {
	if browser.IsZero() {
		return nil
	}
	_, err := c.rows.EndSession(ctx, browser, e.reason, e.requestID)
	c.copies.drop(ctx, browser)
	return err
}

func (c *cookies) glance(r *http.Request, now time.Time) bool {
	browser := tokenHash(c.get(r).ID)
	if browser.IsZero() {
		return false
	}
	if expires, ok := c.copies.get(r.Context(), browser); ok {
		return now.Before(expires)
	}
	row, err := c.rows.Session(r.Context(), browser)
	if err != nil {
		return false
	}
	c.copies.put(r.Context(), row)
	return true
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
