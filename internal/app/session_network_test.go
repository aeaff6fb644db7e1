package app_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/harness"
)

// networks gives each request of a browser the address that next returns.
type networks struct {
	http.RoundTripper
	next func() string
}

func (n networks) RoundTrip(r *http.Request) (*http.Response, error) {
	r.Header.Set("X-Forwarded-For", n.next())
	return n.RoundTripper.RoundTrip(r)
}

// from is a new browser whose requests come from the addresses that next returns.
func from(t *testing.T, s *harness.Server, next func() string) *harness.Browser {
	b := s.Browser(t)
	b.HTTP.Transport = networks{b.HTTP.Transport, next}
	return b
}

// hopping is a network that changes at every request.
func hopping(format string) func() string {
	n := 0
	return func() string { n++; return fmt.Sprintf(format, n) }
}

// fixed is a network that changes when a test writes to it.
func fixed(address *string) func() string { return func() string { return *address } }

const (
	saysNetwork = "You were signed out because your network changed."
	saysBrowser = "You were signed out because your session was used in another browser or on another system."
	saysExempt  = "Network changes do not end this session"
)

// A browser whose network changes all the time is told why it is signed out, and may stay
// signed in once that has happened twice; no other browser may.
func TestANetworkThatChangesAllTheTime(t *testing.T) {
	harness.EachEngine(t, harness.Options{Clients: harness.Clients, Host: "localhost", Environ: []string{"SALLYPORT_TRUSTED_PROXIES=127.0.0.1/32,::1/128"}}, func(t *testing.T, s *harness.Server) {
		t.Run("on the way to an app", func(t *testing.T) { testHoppingToAnApp(t, s) })
		t.Run("without an app", func(t *testing.T) { testHoppingWithoutAnApp(t, s) })
		t.Run("with a second step", func(t *testing.T) { testHoppingWithASecondStep(t, s) })
		t.Run("one session only", func(t *testing.T) { testTheExemptionIsForOneSession(t, s) })
		t.Run("later than ten minutes", func(t *testing.T) { testLateMovesDoNotCount(t, s) })
		t.Run("a stolen cookie", func(t *testing.T) { testAThiefEarnsNoExemption(t, s) })
		t.Run("days apart", func(t *testing.T) { testMovesDaysApartDoNotCount(t, s) })
	})
}

// exemptions is how many the audit log tells of.
func exemptions(t *testing.T, s *harness.Server) int {
	t.Helper()
	return strings.Count(s.Contents(t), "type=session.network_exempted")
}

func testHoppingToAnApp(t *testing.T, s *harness.Server) {
	before := exemptions(t, s)
	who := harness.NewPerson(t, s, "app@example.com")
	b := from(t, s, hopping("198.51.%d.7"))
	r := harness.Quiet(s, "openid").Authorize(nil)
	p := b.Get(t, r.URL)
	for range 2 {
		p = b.Submit(t, p.Form(t, "login"), "email", who.Email, "password", who.Password)
		if p.Away != nil {
			t.Fatal("a change of network did not end the session")
		}
		harness.MustShow(t, p, http.StatusOK, saysNetwork)
	}
	p = b.Submit(t, p.Form(t, "login"), "email", who.Email, "password", who.Password)
	if p.Away == nil || p.Away.Query().Get("code") == "" {
		t.Fatalf("the third sign-in leads to %s with %d:\n%s", p.URL, p.Status, p.Body)
	}
	harness.MustShow(t, b.Get(t, "/account/sessions"), http.StatusOK, saysExempt)
	if got := exemptions(t, s) - before; got != 1 {
		t.Errorf("%d events tell of the exemption, want 1", got)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Issuer+"/account", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("User-Agent", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36")
	harness.MustShow(t, b.Do(t, req), http.StatusOK, saysBrowser)
}

func testHoppingWithoutAnApp(t *testing.T, s *harness.Server) {
	who := harness.NewPerson(t, s, "direct@example.com")
	b := from(t, s, hopping("2001:db8:0:%d00::7"))
	for range 2 {
		p := b.Get(t, "/login?to=/account")
		harness.MustShow(t, b.Submit(t, p.Form(t, "login"), "email", who.Email, "password", who.Password), http.StatusOK, saysNetwork)
		harness.MustShow(t, b.Get(t, "/"), http.StatusOK, saysNetwork)
		if p := b.Get(t, "/api/v1/auth/me"); p.Status != http.StatusUnauthorized || !strings.Contains(p.Body, saysNetwork) {
			t.Errorf("the API: %d %s", p.Status, p.Body)
		}
	}
	harness.SignIn(t, b, who)
	harness.MustShow(t, b.Get(t, "/account/sessions"), http.StatusOK, saysExempt)
	other := from(t, s, hopping("203.0.%d.1"))
	harness.MustShow(t, other.Submit(t, other.Get(t, "/login?to=/account").Form(t, "login"), "email", who.Email, "password", who.Password), http.StatusOK, saysNetwork)
}

func testHoppingWithASecondStep(t *testing.T, s *harness.Server) {
	home := "192.0.2.1"
	b := from(t, s, fixed(&home))
	who := harness.NewPerson(t, s, "step@example.com")
	harness.SignIn(t, b, who)
	app := b.Get(t, "/account/security/app")
	key := harness.TOTPKey(t, app)
	b.Submit(t, app.Form(t, "app"), "code", harness.TOTP(t, key, s.Clock.Now()))
	s.Clock.Advance(time.Minute)
	b = from(t, s, hopping("10.%d.0.1"))
	p := b.Get(t, "/login?to=/account/sessions")
	for range 2 {
		p = b.Submit(t, p.Form(t, "login"), "email", who.Email, "password", who.Password)
		harness.MustShow(t, p, http.StatusOK, saysNetwork)
	}
	p = b.Submit(t, p.Form(t, "login"), "email", who.Email, "password", who.Password)
	b.Submit(t, p.Form(t, "factor"), "code", harness.TOTP(t, key, s.Clock.Now()))
	harness.MustShow(t, b.Get(t, "/account/sessions"), http.StatusOK, saysExempt)
}

// move ends the browser's session by a change of network, and tells whether it did.
func move(t *testing.T, b *harness.Browser, network *string, to string) bool {
	t.Helper()
	*network = to
	return b.Get(t, "/account").URL.Path == "/login"
}

func testTheExemptionIsForOneSession(t *testing.T, s *harness.Server) {
	who, network := harness.NewPerson(t, s, "one@example.com"), "192.0.2.1"
	b := from(t, s, fixed(&network))
	for i := range 7 {
		harness.SignIn(t, b, who)
		exempt := i%3 == 2
		if moved := move(t, b, &network, fmt.Sprintf("198.18.%d.1", i)); moved == exempt {
			t.Errorf("session %d: a change of network ends it: %v, want %v", i, moved, !exempt)
		}
		if exempt {
			b.Submit(t, b.Get(t, "/").Form(t, ""))
		}
	}
}

func testLateMovesDoNotCount(t *testing.T, s *harness.Server) {
	who, network := harness.NewPerson(t, s, "late@example.com"), "192.0.2.1"
	b := from(t, s, fixed(&network))
	for i, after := range []time.Duration{time.Minute, 10*time.Minute + time.Second, time.Minute, 9 * time.Minute} {
		harness.SignIn(t, b, who)
		s.Clock.Advance(after)
		if !move(t, b, &network, fmt.Sprintf("198.18.%d.1", i)) {
			t.Errorf("session %d is good in any network", i)
		}
	}
	harness.SignIn(t, b, who)
	if move(t, b, &network, "198.19.0.1") {
		t.Error("after two early ends one after the other the network still counts")
	}
}

func testMovesDaysApartDoNotCount(t *testing.T, s *harness.Server) {
	who, network := harness.NewPerson(t, s, "apart@example.com"), "192.0.2.1"
	b := from(t, s, fixed(&network))
	for i, pause := range []time.Duration{29 * 24 * time.Hour, 24*time.Hour + time.Second, 23 * time.Hour} {
		harness.SignIn(t, b, who)
		if !move(t, b, &network, fmt.Sprintf("198.18.%d.1", i)) {
			t.Errorf("session %d is good in any network", i)
		}
		s.Clock.Advance(pause)
	}
	harness.SignIn(t, b, who)
	if !move(t, b, &network, "198.19.0.1") {
		t.Error("ends two days apart exempt a session")
	}
	harness.SignIn(t, b, who)
	if move(t, b, &network, "198.19.1.1") {
		t.Error("after two ends within a day the network still counts")
	}
}

func testAThiefEarnsNoExemption(t *testing.T, s *harness.Server) {
	who, network, elsewhere := harness.NewPerson(t, s, "robbed@example.com"), "192.0.2.1", "203.0.113.9"
	b := from(t, s, fixed(&network))
	for range 3 {
		harness.SignIn(t, b, who)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Issuer+"/account", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Cookie", "sp_browser="+harness.CookieOf(s, b))
		if p := from(t, s, fixed(&elsewhere)).Do(t, req); p.URL.Path != "/login" {
			t.Fatalf("a stolen cookie is good elsewhere: %d at %s", p.Status, p.URL)
		}
		harness.MustShow(t, b.Get(t, "/account"), http.StatusOK, saysNetwork)
	}
	harness.SignIn(t, b, who)
	if !move(t, b, &network, "198.51.100.1") {
		t.Error("a thief has earned the browser an exemption")
	}
}
