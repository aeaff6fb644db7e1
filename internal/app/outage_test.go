package app_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// Without its database the server says 503 and when to come back, to people and to
// machines; what needs none goes on; and it is ready again by itself, everybody
// still signed in.
func TestWithoutItsDatabase(t *testing.T) {
	s := harness.Start(t, storage.Postgres, harness.Options{Clients: harness.Clients})
	b := s.Browser(t)
	harness.SignIn(t, b, harness.Bob)
	rp := harness.Quiet(s, "openid offline_access")
	tokens := harness.QuietTokens(t, s, b, "openid offline_access")
	r := rp.Authorize(nil)
	code := b.Get(t, r.URL).Away.Query().Get("code")
	stranger := s.Browser(t)
	form := stranger.Get(t, rp.Authorize(nil).URL).Form(t, "login")
	restore := s.Outage(t)

	for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/.well-known/jwks.json", "/healthz"} {
		if p := b.Get(t, path); p.Status != http.StatusOK {
			t.Errorf("%s answers %d", path, p.Status)
		}
	}
	redeem := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {rp.RedirectURI}, "code_verifier": {r.Verifier}}
	refresh := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tokens.RefreshToken}}
	for name, call := range map[string]struct {
		path string
		form url.Values
	}{"redeem": {"/oauth2/token", redeem}, "refresh": {"/oauth2/token", refresh}, "introspect": {"/oauth2/introspect", url.Values{"token": {tokens.AccessToken}}},
		"revoke": {"/oauth2/revoke", url.Values{"token": {tokens.AccessToken}}}, "push": {"/oauth2/par", rp.Authorize(nil).Params}} {
		var got struct{ Error string }
		status, header := rp.Post(t, call.path, call.form, &got)
		if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" || got.Error != "temporarily_unavailable" {
			t.Errorf("%s: %d %s, Retry-After %q", name, status, got.Error, header.Get("Retry-After"))
		}
	}
	if status, _ := rp.Userinfo(t, tokens.AccessToken); status != http.StatusServiceUnavailable {
		t.Errorf("userinfo: %d", status)
	}
	ready := b.Get(t, "/readyz")
	if ready.Status != http.StatusServiceUnavailable || ready.Header.Get("Retry-After") == "" || strings.TrimSpace(ready.Body) != `{"status":"unavailable"}` {
		t.Errorf("/readyz: %d %s", ready.Status, ready.Body)
	}
	inside := httptest.NewRecorder()
	s.Server.Admin().ServeHTTP(inside, httptest.NewRequest(http.MethodGet, "http://127.0.0.1/readyz", nil))
	if inside.Code != http.StatusServiceUnavailable || !strings.Contains(inside.Body.String(), `"database":"no answer"`) {
		t.Errorf("/readyz for operators: %d %s", inside.Code, inside.Body)
	}
	if got := apiHealth(t, s, "", http.MethodGet); got.status != 503 || got.Success || got.Error.Type != "INTERNAL_ERROR" || got.RetryAfter == "" ||
		got.Error.Details["database"][0] != "unavailable" || got.Error.Details["mail"][0] != "unknown" || strings.Contains(got.body, "answer\"") {
		t.Errorf("/api/health: %d %s", got.status, got.body)
	}
	for name, p := range map[string]*harness.Page{"authorize": b.Get(t, rp.Authorize(nil).URL), "home": b.Get(t, "/"), "logout": b.Get(t, "/oauth2/logout"),
		"sign-in": stranger.Submit(t, form, "email", harness.Bob.Email, "password", harness.Bob.Password)} {
		if p.Away != nil || p.Status != http.StatusServiceUnavailable || p.Header.Get("Retry-After") == "" || !strings.Contains(p.Body, `data-error="temporarily_unavailable"`) {
			t.Errorf("%s: %d, away to %v, Retry-After %q", name, p.Status, p.Away, p.Header.Get("Retry-After"))
		}
		for _, inside := range []string{"pq:", "connect", "57P"} {
			if strings.Contains(p.Body, inside) {
				t.Errorf("%s tells of %q", name, inside)
			}
		}
	}

	restore()
	s.Clock.Advance(time.Second) // until then the last answer serves
	ready = b.Get(t, "/readyz")
	var health struct{ Status string }
	if err := json.Unmarshal([]byte(ready.Body), &health); err != nil || ready.Status != http.StatusOK || health.Status != "ready" {
		t.Errorf("back again: %d %s", ready.Status, ready.Body)
	}
	// Nothing that was refused was half done: code, refresh token and session are as they were.
	if got := rp.Token(t, redeem); got.Status != http.StatusOK {
		t.Errorf("the code gets %d %s", got.Status, got.Error)
	}
	if got := rp.Token(t, refresh); got.Status != http.StatusOK {
		t.Errorf("the refresh token gets %d %s", got.Status, got.Error)
	}
	if status, _ := rp.Userinfo(t, tokens.AccessToken); status != http.StatusOK {
		t.Errorf("userinfo: %d", status)
	}
	if harness.GreetedUser(t, s, b) != harness.Bob.Email {
		t.Error("Bob was signed out")
	}
	if p := stranger.Submit(t, form, "email", harness.Bob.Email, "password", harness.Bob.Password); p.Away == nil || p.Away.Query().Get("code") == "" {
		t.Errorf("the flow from before ends at %s with %d", p.URL, p.Status)
	}
}

// Strangers may ask whether the server is ready: it costs the database no more
// than one look a second, and tells them a word.
func TestReadinessIsLookedForOnceASecond(t *testing.T) {
	var mu sync.Mutex
	at := time.Now()
	s := harness.Start(t, storage.Postgres, harness.Options{Count: true, Now: func(func() time.Time) func() time.Time {
		return func() time.Time { mu.Lock(); defer mu.Unlock(); return at }
	}})
	later := func() { mu.Lock(); defer mu.Unlock(); at = at.Add(time.Second) }
	look := func(n int) (trips int64) {
		s.Counter.Reset()
		var wg sync.WaitGroup
		for range n {
			wg.Go(func() {
				got := httptest.NewRecorder()
				s.Server.Handler().ServeHTTP(got, httptest.NewRequest(http.MethodGet, "/readyz", nil))
				if body := strings.TrimSpace(got.Body.String()); body != `{"status":"ready"}` && body != `{"status":"degraded"}` {
					t.Errorf("got %d %s, want a word", got.Code, body)
				}
			})
		}
		wg.Wait()
		trips, _ = s.Counter.Trips()
		return trips
	}
	look(1) // prepares its statements
	later()
	one := look(1)
	later()
	if got := look(100); one == 0 || got > one {
		t.Errorf("a hundred who ask cost %d round trips, one %d", got, one)
	}
	if got := look(100); got != 0 {
		t.Errorf("within the same second: %d round trips", got)
	}
}
