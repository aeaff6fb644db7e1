package samplerp

import (
	"crypto/rand"
	"crypto/subtle"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
)

const (
	cookieName = "sample_app_session"
	// maxSessions and maxPending bound what strangers can make this process
	// remember; the oldest goes first.
	maxSessions = 1000
	maxPending  = 8
)

// session is one browser. Its mutex is held for a whole request, so that two
// clicks on refresh do not spend one refresh token twice.
type session struct {
	mu      sync.Mutex
	token   string
	csrf    string
	used    time.Time
	pending []pending
	tokens  *tokens // nil: not signed in
	notice  string  // shown once
}

// pending is a sign-in on its way: what the answer must fit.
type pending struct {
	state, nonce, verifier string
	acr                    string // what was asked for
}

// tokens is what the provider gave.
type tokens struct {
	oauth       *oauth2.Token
	idToken     string
	claims      map[string]any // of the ID token, verified
	scope       string
	userinfo    map[string]any
	userinfoErr string
}

type sessions struct {
	mu      sync.Mutex
	now     func() time.Time
	byToken map[string]*session
}

func newSessions(now func() time.Time) *sessions {
	return &sessions{now: now, byToken: map[string]*session{}}
}

// find returns the browser's session or nil.
func (s *sessions) find(r *http.Request) *session {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.byToken[cookie.Value]
	if found != nil {
		found.used = s.now()
	}
	return found
}

// start makes a session with a token of its own, never one the browser brought:
// an id that somebody else planted would let them in after the sign-in.
func (s *sessions) start() *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.byToken) >= maxSessions {
		s.dropOldest()
	}
	fresh := &session{token: rand.Text(), csrf: rand.Text(), used: s.now()}
	s.byToken[fresh.token] = fresh
	return fresh
}

func (s *sessions) dropOldest() {
	var oldest *session
	for _, candidate := range s.byToken {
		if oldest == nil || candidate.used.Before(oldest.used) {
			oldest = candidate
		}
	}
	delete(s.byToken, oldest.token)
}

// renew gives a session a new token, at sign-in, so that nobody who knew the
// old one is signed in too.
func (s *sessions) renew(x *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byToken, x.token)
	x.token, x.csrf = rand.Text(), rand.Text()
	s.byToken[x.token] = x
}

func (s *sessions) end(x *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byToken, x.token)
}

// setCookie hands the session's token to the browser, for as long as that is
// open.
func (rp *RP) setCookie(w http.ResponseWriter, token string) {
	cookie := &http.Cookie{Name: cookieName, Value: token, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: strings.HasPrefix(rp.cfg.BaseURL, "https://")}
	if token == "" {
		cookie.MaxAge = -1
	}
	http.SetCookie(w, cookie)
}

// remember notes a sign-in that is about to begin.
func (x *session) remember(p pending) {
	x.pending = append(x.pending, p)
	if len(x.pending) > maxPending {
		x.pending = x.pending[1:]
	}
}

// take finds the sign-in an answer belongs to, once.
func (x *session) take(state string) (pending, bool) {
	for i, p := range x.pending {
		if subtle.ConstantTimeCompare([]byte(p.state), []byte(state)) == 1 {
			x.pending = append(x.pending[:i:i], x.pending[i+1:]...)
			return p, true
		}
	}
	return pending{}, false
}

// checked lets a form through that came from our own page: it holds the
// session's secret (against cross-site request forgery).
func (rp *RP) checked(next func(http.ResponseWriter, *http.Request, *session) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
		x := rp.sessions.find(r)
		if x == nil {
			http.Redirect(w, r, "/", http.StatusSeeOther)
			return nil
		}
		x.mu.Lock()
		defer x.mu.Unlock()
		if subtle.ConstantTimeCompare([]byte(r.PostFormValue("csrf")), []byte(x.csrf)) != 1 {
			return &problem{status: http.StatusForbidden, Title: "That button was from an older page", Sentence: "Nothing was done. Go back to the app and press it again.", Retry: "/"}
		}
		if x.tokens == nil {
			http.Redirect(w, r, "/", http.StatusSeeOther)
			return nil
		}
		return next(w, r, x)
	}
}
