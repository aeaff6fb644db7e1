package campaigns

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/app"
	"github.com/sallyport-id/sallyport/internal/harness"
)

// health is what /readyz tells operators, looked for now.
func health(t testing.TB, s *harness.Server) app.Health {
	t.Helper()
	h := s.Server.Check(t.Context())
	if h.Status == "unavailable" {
		t.Fatalf("the server is not ready: %+v", h)
	}
	return h
}

// wantNoFault checks that a server answered nothing with 5xx and nothing panicked.
func wantNoFault(t testing.TB, s *harness.Server) {
	t.Helper()
	for line := range strings.Lines(s.Log.String()) {
		if strings.Contains(line, " status=5") || strings.Contains(line, "panic") {
			t.Errorf("the log tells of a fault: %s", line)
		}
	}
}

// CK-01: a clock that jumps neither breaks anything nor brings back what was
// ended; only what has an end is judged by it, and /readyz tells.
func TestAClockThatJumpsResurrectsNothing(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		rp, machine := s.Portal(), s.Machine()
		b := s.Browser(t)
		spent := rp.SignIn(t, b, harness.Bob, nil)
		code := issuedBy(t, rp, b)
		replayed := rp.Redeem(t, code.code, code.request)
		revoked := rp.SignIn(t, b, harness.Bob, nil)
		if status, _ := rp.Post(t, "/oauth2/revoke", url.Values{"token": {revoked.RefreshToken}}, nil); status != http.StatusOK {
			t.Fatalf("a revocation answers %d", status)
		}
		if h := health(t, s); h.Status != "ready" {
			t.Errorf("with a good clock: %+v, want ready", h)
		}
		live := rp.Refresh(t, spent.RefreshToken) // spent is spent from here on
		var offset time.Duration
		for _, jump := range []time.Duration{time.Hour, -time.Hour, 24 * time.Hour, -time.Hour, -24 * time.Hour, 0} {
			s.Clock.Advance(jump - offset)
			offset = jump
			h := health(t, s)
			if want := map[bool]string{true: "ready", false: "degraded"}[jump == 0]; h.Status != want || (h.Checks["clock"] == "ok") != (jump == 0) {
				t.Errorf("clock off by %v: %+v, want %s because of the clock", jump, h, want)
			}
			if got := rp.Introspect(t, revoked.AccessToken); got["active"] != false {
				t.Errorf("clock off by %v: a revoked token is back: %v", jump, got)
			}
			if got := rp.Refresh(t, revoked.RefreshToken); got.Error != "invalid_grant" {
				t.Errorf("clock off by %v: a revoked refresh token gets %d", jump, got.Status)
			}
			next := rp.Refresh(t, live.RefreshToken)
			if next.Status != http.StatusOK {
				t.Fatalf("clock off by %v: a refresh gets %v", jump, refused(next))
			}
			if want := map[bool]int{true: http.StatusUnauthorized, false: http.StatusOK}[jump >= time.Hour]; jump >= 0 {
				if got, _ := rp.Userinfo(t, replayed.AccessToken); got != want {
					t.Errorf("clock off by %v: a token of 15 minutes gets %d, want %d", jump, got, want)
				}
			}
			live = next
			if got := machine.Token(t, url.Values{"grant_type": {"client_credentials"}}); got.Status != http.StatusOK || machine.Introspect(t, got.AccessToken)["active"] != true {
				t.Errorf("clock off by %v: a new token does not work: %v", jump, refused(got))
			}
			rp.SignIn(t, s.Browser(t), harness.Bob, nil)
		}
		// Back in time, and still known as used.
		if got := rp.Token(t, redemption(rp, code, code.request.Verifier)); got.Error != "invalid_grant" {
			t.Errorf("a spent code gets %d after the clock was back", got.Status)
		}
		if got, _ := rp.Userinfo(t, replayed.AccessToken); got != http.StatusUnauthorized {
			t.Errorf("what a replayed code got answers %d, want 401", got)
		}
		if got := rp.Refresh(t, spent.RefreshToken); got.Error != "invalid_grant" {
			t.Errorf("a refresh token whose successor is used gets %d", got.Status)
		}
		wantNoFault(t, s)
	})
}
