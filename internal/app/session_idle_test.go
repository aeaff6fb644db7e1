package app_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// A session never ends earlier than SESSION_IDLE after its last request, whichever page
// that was for, and at most a touch interval later; with Redis at once.
func TestABusyPersonStaysSignedIn(t *testing.T) {
	for _, idle := range []time.Duration{time.Minute, 100 * time.Second, 2 * time.Hour} {
		testBusy(t, idle, false)
		testBusy(t, idle, true)
	}
}

func testBusy(t *testing.T, idle time.Duration, redis bool) {
	s := harness.Start(t, storage.SQLite, harness.Options{Clients: harness.Clients, Redis: redis, Environ: []string{fmt.Sprintf("SALLYPORT_SESSION_IDLE=%d", int(idle.Seconds()))}})
	who := harness.NewPerson(t, s, "busy@example.com")
	interval := min(time.Minute, idle/4) // at which a use is written
	late := idle + interval + time.Second
	if redis {
		late = idle + time.Second
	}
	for name, path := range map[string]string{
		"the start page":         "/",
		"the account":            "/account",
		"a code":                 harness.Quiet(s, "openid").Authorize(nil).URL,
		"a consent that is open": harness.Portal(s, "openid email").Authorize(nil).URL,
		"an error for the app":   harness.Portal(s, "openid email").Authorize(url.Values{"prompt": {"none"}}).URL,
		"signing out, not yet":   "/oauth2/logout",
		"the second step":        "/login/factor",
		"the API":                "/api/v1/auth/me",
	} {
		b := s.Browser(t)
		harness.SignIn(t, b, who)
		for range 9 { // the last use is one that is not written
			s.Clock.Advance(interval * 9 / 10)
			b.Get(t, path)
		}
		s.Clock.Advance(idle - 5*time.Second)
		if p := b.Get(t, "/account"); p.Status != http.StatusOK || p.URL.Path != "/account" {
			t.Errorf("%v idle, Redis %v, busy with %s: signed out early: %d at %s", idle, redis, name, p.Status, p.URL)
		}
		s.Clock.Advance(late)
		if p := b.Get(t, "/account"); p.URL.Path != "/login" {
			t.Errorf("%v idle, Redis %v: still signed in after %v", idle, redis, late)
		}
	}
}
