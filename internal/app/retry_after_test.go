package app_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// wantRetryAfter checks that the header names what is left, within a few seconds.
func wantRetryAfter(t *testing.T, what string, status int, header http.Header, left time.Duration) {
	t.Helper()
	got, err := strconv.Atoi(header.Get("Retry-After"))
	if err != nil || status != http.StatusTooManyRequests {
		t.Fatalf("%s: %d with Retry-After %q", what, status, header.Get("Retry-After"))
	}
	if d := left - time.Duration(got)*time.Second; d < -2*time.Second || d > 20*time.Second {
		t.Errorf("%s: Retry-After %d s, want about %v", what, got, left)
	}
}

// Retry-After tells for how long a refusal lasts, and so does the page.
func TestRetryAfterIsTrue(t *testing.T) {
	harness.EachEngine(t, harness.Options{Clients: harness.Clients, Environ: behindAProxy.Environ}, func(t *testing.T, s *harness.Server) {
		t.Run("flows", func(t *testing.T) { testRetryAfterOfFlows(t, s) })
		t.Run("pushed requests", func(t *testing.T) { testRetryAfterOfPushes(t, s) })
		t.Run("mails", func(t *testing.T) { testRetryAfterOfMails(t, s) })
	})
}

// testRetryAfterOfFlows: a network whose strangers have opened as many flows as they may
// waits until the oldest of them ends, not until the minute is over.
func testRetryAfterOfFlows(t *testing.T, s *harness.Server) {
	b := harness.BrowserAt(t, s, "198.51.100.7")
	if p := b.Get(t, s.Portal().Authorize(nil).URL); p.URL.Path != "/login" {
		t.Fatalf("a flow leads to %s", p.URL)
	}
	number, hash := "CAST(? AS BLOB)", "'flow ' || i"
	if s.App.Store.Engine() == storage.Postgres {
		number = "CAST(? AS bytea)"
	}
	s.Exec(t, `WITH RECURSIVE numbers(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < 1999)
		INSERT INTO flows (id_hash, client_id, request, redirect_uri, hint, browser_hash, counted_for, requested_at, expires_at, opened_at)
		SELECT `+strings.Replace(number, "?", hash, 1)+`, client_id, request, redirect_uri, hint, browser_hash, counted_for, requested_at, expires_at, opened_at
		FROM flows, numbers WHERE opened_at IS NOT NULL`)
	for _, passed := range []time.Duration{0, 10 * time.Minute, 15 * time.Minute} {
		s.Clock.Advance(passed)
	}
	left := 5 * time.Minute
	p := harness.BrowserAt(t, s, "198.51.100.7").Get(t, s.Portal().Authorize(nil).URL)
	wantRetryAfter(t, "flows", p.Status, p.Header, left)
	if !strings.Contains(p.Body, "Try again in 5 minutes.") {
		t.Errorf("the page does not say how long it lasts:\n%s", p.Body)
	}
	s.Clock.Advance(left + time.Second)
	if p := harness.BrowserAt(t, s, "198.51.100.7").Get(t, s.Portal().Authorize(nil).URL); p.URL.Path != "/login" {
		t.Errorf("after that: %d at %s", p.Status, p.URL)
	}
}

func testRetryAfterOfPushes(t *testing.T, s *harness.Server) {
	push := func() (int, http.Header) {
		rp := harness.Quiet(s, "openid")
		return rp.Post(t, "/oauth2/par", rp.Authorize(nil).Params, nil)
	}
	if status, _ := push(); status != http.StatusCreated {
		t.Fatalf("a pushed request: %d", status)
	}
	s.Exec(t, `UPDATE counters SET n = 1000000`)
	for _, passed := range []time.Duration{15 * time.Second, 25 * time.Second} {
		s.Clock.Advance(passed)
	}
	status, header := push()
	wantRetryAfter(t, "pushed requests", status, header, 20*time.Second)
}

func testRetryAfterOfMails(t *testing.T, s *harness.Server) {
	who := harness.NewPerson(t, s, "unproven@example.com")
	s.Exec(t, `UPDATE users SET email_verified_at = NULL WHERE email_key = 'unproven@example.com'`)
	b := harness.BrowserAt(t, s, "192.0.2.44")
	harness.SignIn(t, b, who)
	send := func() *harness.Page { return harness.Post(t, b, "/account/email") }
	for range 5 {
		if p := send(); p.Status != http.StatusOK {
			t.Fatalf("a mail: %d at %s:\n%s", p.Status, p.URL, p.Body)
		}
	}
	for _, passed := range []time.Duration{0, 20 * time.Minute, 25 * time.Minute} {
		s.Clock.Advance(passed)
		b.Get(t, "/account")
	}
	p := send()
	wantRetryAfter(t, "mails", p.Status, p.Header, 15*time.Minute)
	if !strings.Contains(p.Body, "15 minutes") {
		t.Errorf("the page does not say how long it lasts:\n%s", p.Body)
	}
	api := &program{Browser: harness.BrowserAt(t, s, "192.0.2.45"), issuer: s.Issuer}
	if status := api.login(t, who); status != http.StatusOK {
		t.Fatalf("the API: %d", status)
	}
	if status := api.call(t, http.MethodPost, "/auth/verify-email/send", ""); status != http.StatusTooManyRequests || !strings.Contains(api.lastResponse, "15 minutes") {
		t.Errorf("the API: %d %s", status, api.lastResponse)
	}
}
