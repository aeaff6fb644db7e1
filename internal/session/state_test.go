package session

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/sessions"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// eachStateStore runs f with states in a table, in Redis, and in the table while Redis fails.
func eachStateStore(t *testing.T, f func(t *testing.T, s *site)) {
	t.Helper()
	t.Run("table", func(t *testing.T) { f(t, newSite(t, nil)) })
	t.Run("redis", func(t *testing.T) {
		s, _ := newRedisSite(t)
		f(t, s)
	})
	t.Run("redis that fails", func(t *testing.T) {
		s, server := newRedisSite(t)
		server.SetError("LOADING Redis is not ready")
		f(t, s)
	})
}

// state opens the browser's state of that name.
func (s *site) state(name string) *sessions.Session {
	s.t.Helper()
	state, err := s.States.Get(s.request(), name)
	if err != nil {
		s.t.Fatal(err)
	}
	return state
}

// keep stores a value in a state for maxAge seconds.
func (s *site) keep(name, value string, maxAge int) {
	s.t.Helper()
	state, w := s.state(name), httptest.NewRecorder()
	state.Values["value"] = value
	state.Options.MaxAge = maxAge
	if err := state.Save(s.request(), w); err != nil {
		s.t.Fatal(err)
	}
	if len(w.Header()) > 0 {
		s.t.Errorf("a state sends %v, want nothing: there is one cookie", w.Header())
	}
}

func (s *site) wantState(name, want, when string) {
	s.t.Helper()
	state := s.state(name)
	if got, _ := state.Values["value"].(string); got != want || state.IsNew != (want == "") {
		s.t.Errorf("%s: %s holds %q (new: %v), want %q", when, name, got, state.IsNew, want)
	}
}

func TestAStateBelongsToItsBrowser(t *testing.T) {
	eachStateStore(t, func(t *testing.T, s *site) {
		s.cookies["sp_browser"] = secret.NewToken("")
		s.wantState("one", "", "before")
		s.keep("one", "mine", 600)
		s.wantState("one", "mine", "kept")
		s.wantState("other", "", "another name")
		mine := s.cookies["sp_browser"]
		for name, token := range map[string]string{"another browser": secret.NewToken(""), "no browser": "", "not a token": "../../one"} {
			s.cookies["sp_browser"] = token
			s.wantState("one", "", name)
		}
		s.cookies["sp_browser"] = ""
		state := s.state("one")
		if err := state.Save(s.request(), httptest.NewRecorder()); err == nil {
			t.Error("a browser without a token can keep something")
		}
		s.cookies["sp_browser"] = mine
		s.keep("one", "changed", 600)
		s.wantState("one", "changed", "changed")
		s.keep("one", "", -1)
		s.wantState("one", "", "removed")
		s.keep("one", "short", 60)
		s.now = s.now.Add(time.Minute)
		s.wantState("one", "", "expired")
	})
}

// A form_post answer comes without the browser's cookie (SameSite=Lax), so its state alone must find what it belongs to.
func TestAStateIsFoundByTheTokenOfItsName(t *testing.T) {
	eachStateStore(t, func(t *testing.T, s *site) {
		s.cookies["sp_browser"] = secret.NewToken("")
		token := secret.NewToken("")
		s.keep("upstream."+token, "nonce", 600)
		delete(s.cookies, "sp_browser")
		s.wantState("upstream."+token, "nonce", "without a cookie")
		s.wantState("another."+token, "", "for another purpose")
		for _, name := range []string{"upstream." + secret.NewToken(""), "upstream.", "upstream." + token[:42], "upstream." + token + "." + token} {
			s.wantState(name, "", "another state")
		}
	})
}

// What a notice is about happened in this browser, which a sign-in gives a new token.
func TestANoticeIsSaidOnceAndMovesAtASignIn(t *testing.T) {
	eachStateStore(t, func(t *testing.T, s *site) {
		planted := secret.NewToken("")
		s.cookies["sp_browser"] = planted
		take := func(what string) bool {
			t.Helper()
			taken, err := s.TakeNotice(s.request(), what)
			if err != nil {
				t.Fatal(err)
			}
			return taken
		}
		if err := s.SetNotice(s.request(), "saved"); err != nil {
			t.Fatal(err)
		}
		if take("deleted") || take("") {
			t.Error("a link makes the page say what did not happen")
		}
		s.signIn(s.person())
		mine := s.cookies["sp_browser"]
		s.cookies["sp_browser"] = planted
		if take("saved") {
			t.Error("the token of before the sign-in still has the notice")
		}
		s.cookies["sp_browser"] = mine
		if !take("saved") || take("saved") {
			t.Error("want the notice once, under the new token")
		}
	})
}

// Neither store shows what is kept, nor the token that it is kept under, and what others wrote there counts as nothing.
func TestStatesAreSealed(t *testing.T) {
	s, server := newRedisSite(t)
	token := secret.NewToken("")
	name, key := "upstream."+token, "sallyport:browser:upstream:"+secret.HashOf(token).String()
	s.keep(name, "a code verifier", 600)
	held, err := server.Get(key)
	if err != nil || strings.Contains(held, "verifier") || strings.Contains(held, token) {
		t.Fatalf("Redis holds %q, %v", held, err)
	}
	for _, poison := range []string{"", "\x01", "\x01{}", "\x02" + held[1:], held[:len(held)-1]} {
		if err := server.Set(key, poison); err != nil {
			t.Fatal(err)
		}
		s.wantState(name, "", "poisoned")
	}
	moved := secret.NewToken("")
	if err := server.Set("sallyport:browser:another:"+secret.HashOf(moved).String(), held); err != nil {
		t.Fatal(err)
	}
	s.wantState("another."+moved, "", "what was kept for another purpose")
	server.SetError("LOADING Redis is not ready")
	s.keep(name, "a code verifier", 600)
	data, err := s.store.BrowserState(t.Context(), secret.HashOf(token), "upstream")
	if err != nil || strings.Contains(string(data), "verifier") {
		t.Errorf("the table holds %q, %v", data, err)
	}
	state := s.state(name)
	state.Values["count"] = 1
	if err := state.Save(s.request(), httptest.NewRecorder()); err == nil {
		t.Error("a value that is no string is kept")
	}
}

// What was kept in the table while Redis was away goes when it is removed, not when it expires: it must not come back.
func TestAStateThatWasRemovedIsInNeitherStore(t *testing.T) {
	s, server := newRedisSite(t)
	s.cookies["sp_browser"] = secret.NewToken("")
	server.SetError("LOADING Redis is not ready")
	s.keep("one", "kept in the table", 600)
	server.SetError("")
	s.now = s.now.Add(time.Minute)
	s.wantState("one", "kept in the table", "Redis is back")
	s.keep("one", "", -1)
	s.wantState("one", "", "removed")
}
