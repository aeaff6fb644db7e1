package app_test

import (
	"bytes"
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/app"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

func TestSessions(t *testing.T) {
	harness.EachEngine(t, harness.Options{Redis: true, Clients: harness.Clients}, func(t *testing.T, s *harness.Server) {
		t.Run("fixation", func(t *testing.T) { testSessionFixation(t, s) })
		t.Run("tampering", func(t *testing.T) { testTamperedCookies(t, s) })
		t.Run("after sign-out", func(t *testing.T) { testNothingIsShownAfterSigningOut(t, s) })
		t.Run("everywhere", func(t *testing.T) { testEndingEverywhere(t, s) })
		t.Run("lifetimes", func(t *testing.T) { testSessionLifetimes(t, s) })
	})
}

// SS-01: a token from before signing in is worth nothing after, whoever planted it.
func testSessionFixation(t *testing.T, s *harness.Server) {
	victim, attacker := s.Browser(t), s.Browser(t)
	planted := base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))
	harness.SetCookie(s, victim, planted)
	harness.SetCookie(s, attacker, planted)
	rp := harness.Quiet(s, "openid")
	r := rp.Authorize(nil)
	form := victim.Get(t, r.URL)
	done := victim.Submit(t, form.Form(t, "login"), "email", harness.Bob.Email, "password", harness.Bob.Password)
	if done.Away == nil || done.Away.Query().Get("code") == "" {
		t.Fatalf("the flow does not follow its browser: %d %s", done.Status, done.URL)
	}
	first := harness.CookieOf(s, victim)
	if first == planted || harness.GreetedUser(t, s, victim) != harness.Bob.Email {
		t.Errorf("signed in under the planted token: %v", first == planted)
	}
	if who := harness.GreetedUser(t, s, attacker); who != "" {
		t.Errorf("the attacker is %s", who)
	}
	if p := attacker.Get(t, form.URL.String()); p.Status != http.StatusBadRequest {
		t.Errorf("the attacker's look at the flow: %d", p.Status)
	}
	// Signing in again changes the token too, and keeps the session's sid.
	sid := harness.Claims(t, harness.QuietTokens(t, s, victim, "openid").IDToken)["sid"]
	harness.SignIn(t, victim, harness.Bob)
	harness.SetCookie(s, attacker, first)
	if who := harness.GreetedUser(t, s, attacker); who != "" || harness.CookieOf(s, victim) == first {
		t.Errorf("the token from before signing in again is %s's", who)
	}
	if again := harness.Claims(t, harness.QuietTokens(t, s, victim, "openid").IDToken)["sid"]; again != sid {
		t.Errorf("sid %v became %v for the same person", sid, again)
	}
	harness.SignIn(t, victim, harness.Alice)
	if again := harness.Claims(t, harness.QuietTokens(t, s, victim, "openid").IDToken)["sid"]; again == sid {
		t.Error("another person goes on with the first one's sid")
	}
}

// SS-04, SS-05: what is not exactly our token is nobody; never an error.
func testTamperedCookies(t *testing.T, s *harness.Server) {
	b := s.Browser(t)
	harness.SignIn(t, b, harness.Bob)
	good := harness.CookieOf(s, b)
	ask := func(lines ...string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Issuer+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header["Cookie"] = lines
		req.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var body bytes.Buffer
		if _, err := body.ReadFrom(resp.Body); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, body.String()
	}
	if status, body := ask(harness.CookieName + "=" + good); status != 200 || !strings.Contains(body, harness.Bob.Email) {
		t.Fatalf("the cookie itself: %d", status)
	}
	flipped := []byte(good)
	flipped[0] ^= 1
	for name, line := range map[string]string{
		"flipped": harness.CookieName + "=" + string(flipped), "cut": harness.CookieName + "=" + good[:42], "longer": harness.CookieName + "=" + good + "A",
		"empty": harness.CookieName + "=", "path": harness.CookieName + "=../../x", "quoted": harness.CookieName + `="` + good + `"`, "escaped": harness.CookieName + "=" + url.QueryEscape(good+"\n"),
		"large": harness.CookieName + "=" + strings.Repeat("A", 20_000), "another name": "__Host-" + harness.CookieName + "=" + good, "case of the name": strings.ToUpper(harness.CookieName) + "=" + good,
		"two that differ": harness.CookieName + "=" + good + "; " + harness.CookieName + "=" + string(flipped), "good and bad": harness.CookieName + "=x; " + harness.CookieName + "=" + good,
		"no name": "=" + good, "semicolons": ";;;=;=;", "NUL": harness.CookieName + "=%00" + good, "a hundred": strings.Repeat("a=b; ", 200) + harness.CookieName + "=nothing",
		"a hash": harness.CookieName + "=" + strings.Repeat("0", 64), "SQL": harness.CookieName + "=' OR 1=1 --",
	} {
		if status, body := ask(line); (status != 200 && status != 400) || strings.Contains(body, harness.Bob.Email) {
			t.Errorf("%s: %d, signed in %v", name, status, strings.Contains(body, harness.Bob.Email))
		}
	}
	if status, body := ask(harness.CookieName+"="+good, harness.CookieName+"="+string(flipped)); status != 200 || strings.Contains(body, harness.Bob.Email) {
		t.Errorf("two header lines that differ: %d", status)
	}
	// A browser with an unreadable cookie can sign in nevertheless.
	fresh := s.Browser(t)
	harness.SetCookie(s, fresh, "rubbish")
	harness.SignIn(t, fresh, harness.Bob)
}

// SS-12: nothing of a session is left to be seen: not by back, not by a cache.
func testNothingIsShownAfterSigningOut(t *testing.T, s *harness.Server) {
	b := s.Browser(t)
	page := harness.SignIn(t, b, harness.Bob)
	old := harness.CookieOf(s, b)
	if page.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("the page may be kept: %v", page.Header["Cache-Control"])
	}
	out := b.Submit(t, page.Form(t, ""))
	if strings.Contains(out.Body, harness.Bob.Email) || harness.CookieOf(s, b) != "" {
		t.Errorf("signed out: %d, cookie %q", out.Status, harness.CookieOf(s, b))
	}
	harness.SetCookie(s, b, old)
	if who := harness.GreetedUser(t, s, b); who != "" {
		t.Errorf("the old cookie is %s's", who)
	}
	if p := b.Get(t, "/consent?flow="+strings.Repeat("A", 43)); strings.Contains(p.Body, harness.Bob.Email) {
		t.Error("a page knows who was there")
	}
}

// SS-08: a new password and a disabled person end sessions and refresh families on
// every node, at the next request.
func testEndingEverywhere(t *testing.T, s *harness.Server) {
	other := s.Node(t)
	ctx, operator := t.Context(), identity.Operator()
	alice, err := s.App.Identity.People.ByEmail(ctx, operator, harness.Alice.Email)
	if err != nil {
		t.Fatal(err)
	}
	for name, end := range map[string]func() error{
		"a new password": func() error {
			return s.App.Identity.People.SetPassword(ctx, operator, alice.ID, harness.Alice.Password, [16]byte{})
		},
		"disabled": func() error {
			if _, err := s.App.Identity.People.Disable(ctx, operator, alice.ID); err != nil {
				return err
			}
			_, err := s.App.Identity.People.Enable(ctx, operator, alice.ID)
			return err
		},
	} {
		here, there := s.Browser(t), other.Browser(t)
		harness.SignIn(t, here, harness.Alice)
		harness.SignIn(t, there, harness.Alice)
		mine, theirs := harness.QuietTokens(t, s, here, "openid offline_access"), harness.QuietTokens(t, other, there, "openid offline_access")
		if err := end(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if who := harness.GreetedUser(t, s, here) + harness.GreetedUser(t, other, there); who != "" {
			t.Errorf("%s: still signed in: %s", name, who)
		}
		for node, rp := range map[string]*harness.RP{"one": harness.Quiet(s, ""), "two": harness.Quiet(other, "")} {
			for _, tokens := range []*harness.Tokens{mine, theirs} {
				if status, _ := rp.Userinfo(t, tokens.AccessToken); status != 401 {
					t.Errorf("%s, node %s: userinfo answers %d", name, node, status)
				}
				if got := rp.Refresh(t, tokens.RefreshToken); got.Error != "invalid_grant" {
					t.Errorf("%s, node %s: refresh answers %d %s", name, node, got.Status, got.Error)
				}
			}
		}
	}
}

// A session ends 2 h after its last use and 24 h after signing in, and takes along
// what was not granted for offline use.
func testSessionLifetimes(t *testing.T, s *harness.Server) {
	b := s.Browser(t)
	harness.SignIn(t, b, harness.Bob)
	for range 13 {
		s.Clock.Advance(110 * time.Minute)
		harness.QuietTokens(t, s, b, "openid")
	}
	online, offline := harness.QuietTokens(t, s, b, "openid"), harness.QuietTokens(t, s, b, "openid offline_access")
	s.Clock.Advance(9 * time.Minute) // 23 h 59
	if status, _ := harness.Quiet(s, "").Userinfo(t, online.AccessToken); status != 200 {
		t.Errorf("before its end: %d", status)
	}
	s.Clock.Advance(2 * time.Minute)
	if who := harness.GreetedUser(t, s, b); who != "" {
		t.Error("a session lives longer than a day")
	}
	if status, _ := harness.Quiet(s, "").Userinfo(t, online.AccessToken); status != 401 {
		t.Errorf("a token without offline_access after its session: %d", status)
	}
	if status, _ := harness.Quiet(s, "").Userinfo(t, offline.AccessToken); status != 200 {
		t.Errorf("a token with offline_access after its session: %d", status)
	}
	if got := harness.Quiet(s, "").Refresh(t, offline.RefreshToken); got.Status != 200 {
		t.Errorf("a refresh after the session: %d %s", got.Status, got.Error)
	}
	harness.SignIn(t, b, harness.Bob)
	s.Clock.Advance(119 * time.Minute)
	if who := harness.GreetedUser(t, s, b); who != harness.Bob.Email {
		t.Error("ended before two hours of rest")
	}
	s.Clock.Advance(2*time.Hour + 61*time.Second)
	if who := harness.GreetedUser(t, s, b); who != "" {
		t.Error("lives on after two hours of rest")
	}
}

// SESSION_PROTECTION: what becomes of a session that turns up elsewhere.
func TestSessionProtection(t *testing.T) {
	const chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
	const newer = "Mozilla/5.0 (X11; Linux x86_64; rv:155.0) Gecko/20100101 Firefox/155.0"
	for protection, survives := range map[string]bool{"strong": false, "basic": true, "off": true} {
		t.Run(protection, func(t *testing.T) {
			s := harness.Start(t, storage.SQLite, harness.Options{Clients: harness.Clients,
				Environ: []string{"SALLYPORT_SESSION_PROTECTION=" + protection, "SALLYPORT_TRUSTED_PROXIES=127.0.0.1/32"}})
			for name, tc := range map[string]struct {
				fields []string
				stays  bool
			}{
				"a newer version of the browser": {[]string{"User-Agent", newer}, true},
				"another address near by":        {[]string{"X-Forwarded-For", "127.0.0.99"}, true},
				"another browser":                {[]string{"User-Agent", chrome}, survives},
				"another network":                {[]string{"X-Forwarded-For", "198.51.100.7"}, survives},
			} {
				b := s.Browser(t)
				harness.SignIn(t, b, harness.Bob)
				tokens := harness.QuietTokens(t, s, b, "openid")
				want := ""
				if tc.stays {
					want = harness.Bob.Email
				}
				if who := harness.GreetedUser(t, s, b, tc.fields...); who != want {
					t.Errorf("%s: %q is signed in, want %q", name, who, want)
				}
				if who := harness.GreetedUser(t, s, b); who != want {
					t.Errorf("%s, back again: %q is signed in, want %q", name, who, want)
				}
				if status, _ := harness.Quiet(s, "").Userinfo(t, tokens.AccessToken); (status == 200) != tc.stays {
					t.Errorf("%s: its token answers %d", name, status)
				}
			}
		})
	}
}

// The cookie is __Host- and Secure wherever the issuer is https, also behind a
// proxy that speaks http to us; and HttpOnly, Lax, host-only everywhere.
func TestTheCookieIsAsStrictAsTheIssuerAllows(t *testing.T) {
	for issuer, want := range map[string]string{
		"https://localhost:5443": "__Host-sp_browser Path=/ Secure HttpOnly SameSite=Lax",
		"http://localhost:5443":  "sp_browser Path=/ HttpOnly SameSite=Lax",
	} {
		handler := openHandler(t, issuer)
		for name, forwarded := range map[string]string{"direct": "", "behind a proxy": "https"} {
			req := httptest.NewRequest(http.MethodGet, "/login", nil)
			req.Host, req.RemoteAddr = "localhost:5443", "127.0.0.1:40000"
			if forwarded != "" {
				req.Header.Set("X-Forwarded-Proto", forwarded)
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, req)
			lines := w.Result().Header["Set-Cookie"]
			if len(lines) != 1 {
				t.Fatalf("%s %s: cookies %q", issuer, name, lines)
			}
			var got []string
			for i, part := range strings.Split(lines[0], "; ") {
				if i == 0 {
					part, _, _ = strings.Cut(part, "=")
				}
				if !strings.HasPrefix(part, "Max-Age=") && !strings.HasPrefix(part, "Expires=") {
					got = append(got, part)
				}
			}
			if flags := strings.Join(got, " "); !sameWords(flags, want) {
				t.Errorf("%s %s: %q, want %q", issuer, name, flags, want)
			}
			if hsts := w.Header().Get("Strict-Transport-Security"); (hsts != "") != strings.HasPrefix(issuer, "https") {
				t.Errorf("%s: HSTS %q", issuer, hsts)
			}
		}
	}
}

func sameWords(a, b string) bool {
	in := func(x, y string) bool {
		for _, w := range strings.Fields(x) {
			if !strings.Contains(" "+y+" ", " "+w+" ") {
				return false
			}
		}
		return true
	}
	return in(a, b) && in(b, a)
}

// openHandler is the public handler of a new installation with another issuer.
func openHandler(t *testing.T, issuer string) http.Handler {
	t.Helper()
	const key = "vElshPTGRNyv52M25fNn8VUgGbCfFg0LeR/LlRzzx84="
	cfg, err := app.Load(app.LoadOptions{Dir: t.TempDir(), Environ: []string{"SALLYPORT_ISSUER=" + issuer, "SALLYPORT_LISTEN=127.0.0.1:5443", "SALLYPORT_ENV=testing",
		"SALLYPORT_SECRET_KEY=" + key, "SALLYPORT_ENCRYPTION_KEY=" + key, "SALLYPORT_TRUSTED_PROXIES=127.0.0.1/32",
		"SALLYPORT_DATABASE_URL=" + harness.NewDatabase(t, storage.SQLite)}})
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.Open(t.Context(), cfg, app.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	s, err := a.NewServer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s.Handler()
}
