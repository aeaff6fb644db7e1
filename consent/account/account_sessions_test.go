package account_test

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// SS-08, RT-07: what a person ends under /account is over on every node at once,
// with the grants that came from it, offline ones too; what they keep goes on.
func TestEndingSessionsAndAppsUnderAccount(t *testing.T) {
	harness.EachEngine(t, harness.Options{Host: "localhost", Redis: true, Clients: harness.Clients}, func(t *testing.T, s *harness.Server) {
		node := s.Node(t)
		t.Run("one", func(t *testing.T) { testEndingOneSession(t, s, node) })
		t.Run("others", func(t *testing.T) { testEndingTheOthers(t, s, node) })
		t.Run("this", func(t *testing.T) { testEndingThisSession(t, s) })
		t.Run("app", func(t *testing.T) { testDisconnectingAnApp(t, s, node) })
	})
}

// place is a browser in which somebody is signed in, with tokens of its own.
type place struct {
	*harness.Browser
	tokens *harness.Tokens
}

func places(t *testing.T, s *harness.Server, who harness.Person, n int) []place {
	t.Helper()
	all := make([]place, n)
	for i := range all {
		all[i].Browser = s.Browser(t)
		harness.SignIn(t, all[i].Browser, who)
		all[i].tokens = harness.QuietTokens(t, s, all[i].Browser, "openid offline_access")
	}
	return all
}

// lives reports whether a session and its tokens are good on a node.
func (p *place) lives(t *testing.T, node *harness.Server) (session, access, refresh bool) {
	t.Helper()
	session = p.Get(t, "/account").URL.Path == "/account"
	rp := harness.Quiet(node, "openid offline_access")
	status, _ := rp.Userinfo(t, p.tokens.AccessToken)
	r := rp.Refresh(t, p.tokens.RefreshToken)
	if r.Status == http.StatusOK {
		p.tokens = r
	}
	return session, status == http.StatusOK, r.Status == http.StatusOK
}

func (p *place) mustLive(t *testing.T, node *harness.Server, what string, want bool) {
	t.Helper()
	if session, access, refresh := p.lives(t, node); session != want || access != want || refresh != want {
		t.Errorf("%s: session %v, access token %v, refresh token %v; want %v", what, session, access, refresh, want)
	}
}

func testEndingOneSession(t *testing.T, s, node *harness.Server) {
	who := harness.NewPerson(t, s, "one@example.com")
	at := places(t, s, who, 2)
	list := at[0].Get(t, "/account/sessions")
	harness.MustShow(t, list, http.StatusOK, "Firefox on Linux", "This one", "127.0.0.0/24", "<time datetime=")
	ids := harness.OtherSessions(t, list)
	if len(ids) != 1 {
		t.Fatalf("others %v:\n%s", ids, list.Body)
	}
	ask := at[0].Get(t, "/account/sessions/"+ids[0]+"/end")
	harness.MustShow(t, ask, http.StatusOK, "Sign out this device?", "Firefox on Linux", "has to sign in again")
	at[1].mustLive(t, node, "before", true)
	harness.MustShow(t, at[0].Submit(t, ask.Form(t, "confirm")), http.StatusOK, "That device is signed out.", "nowhere else")
	at[1].mustLive(t, node, "the one that was ended", false)
	at[0].mustLive(t, node, "this one", true)
	harness.MustBeSignedOut(t, at[1].Browser)
	if p := at[0].Submit(t, ask.Form(t, "confirm")); p.Status != http.StatusNotFound {
		t.Errorf("a second time: %d", p.Status)
	}
}

func testEndingTheOthers(t *testing.T, s, node *harness.Server) {
	at := places(t, s, harness.NewPerson(t, s, "others@example.com"), 3)
	ask := at[0].Get(t, "/account/sessions/end-others")
	harness.MustShow(t, ask, http.StatusOK, "Every device but this one")
	harness.MustShow(t, at[0].Submit(t, ask.Form(t, "confirm")), http.StatusOK, "You are signed out everywhere else.")
	at[0].mustLive(t, node, "this one", true)
	at[1].mustLive(t, node, "another", false)
	at[2].mustLive(t, node, "a third", false)
	harness.MustBeSignedOut(t, at[1].Browser)
}

func testEndingThisSession(t *testing.T, s *harness.Server) {
	at := places(t, s, harness.NewPerson(t, s, "this@example.com"), 1)
	id := harness.RowText.FindStringSubmatch(at[0].Get(t, "/account/sessions").Body)[1]
	ask := at[0].Get(t, "/account/sessions/"+id+"/end")
	harness.MustShow(t, ask, http.StatusOK, "Sign out here?")
	if p := at[0].Submit(t, ask.Form(t, "confirm")); p.URL.Path != "/" || harness.CookieOf(s, at[0].Browser) != "" {
		t.Errorf("ends at %s with the cookie %q", p.URL, harness.CookieOf(s, at[0].Browser))
	}
	at[0].mustLive(t, s, "this one", false)
}

func testDisconnectingAnApp(t *testing.T, s, node *harness.Server) {
	b := s.Browser(t)
	rp := harness.Portal(s, "openid profile email offline_access")
	rp.Secret = "acme_secret_portal_2024"
	harness.SignIn(t, b, harness.Bob)
	tokens := rp.SignIn(t, b, harness.Bob, nil)
	own := harness.QuietTokens(t, s, b, "openid offline_access")
	list := b.Get(t, "/account/apps")
	harness.MustShow(t, list, http.StatusOK, "Acme Portal", "localhost:5001", "See your email address", "Quiet")
	ask := b.Get(t, "/account/apps/disconnect?client=acme-portal-001")
	harness.MustShow(t, ask, http.StatusOK, "Acme Portal", "can no longer act for you")
	p := b.Submit(t, ask.Form(t, "confirm"))
	if harness.MustShow(t, p, http.StatusOK, "The app is disconnected.", "Quiet"); strings.Contains(p.Body, "Acme Portal") {
		t.Error("the app is still listed")
	}
	elsewhere := node.RP(rp.ClientID, rp.Secret, rp.RedirectURI, rp.Scope)
	if status, _ := elsewhere.Userinfo(t, tokens.AccessToken); status != http.StatusUnauthorized {
		t.Errorf("its access token: %d", status)
	}
	if r := elsewhere.Refresh(t, tokens.RefreshToken); r.Error != "invalid_grant" {
		t.Errorf("its refresh token: %d %s", r.Status, r.Error)
	}
	if r := harness.Quiet(node, "openid offline_access").Refresh(t, own.RefreshToken); r.Status != http.StatusOK {
		t.Errorf("another app's refresh token: %d %s", r.Status, r.Error)
	}
	if p := b.Get(t, rp.Authorize(nil).URL); p.URL.Path != "/consent" {
		t.Errorf("signing in to it again asks nothing: %d at %s", p.Status, p.URL)
	}
}

// Reading pages keeps a session alive, though no second factor was asked again.
func TestLookingAroundKeepsASessionAlive(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{})
	b := s.Browser(t)
	harness.SignIn(t, b, harness.Bob)
	for range 3 {
		s.Clock.Advance(90 * time.Minute)
		if p := b.Get(t, "/account/sessions"); p.URL.Path != "/account/sessions" {
			t.Fatalf("led to %s", p.URL)
		}
	}
	s.Clock.Advance(2*time.Hour + 61*time.Second)
	if p := b.Get(t, "/account/sessions"); p.URL.Path != "/login" {
		t.Errorf("idle for more than two hours: %s", p.URL)
	}
}

// A program's session stands in the list, marked, and can be ended there.
func TestProgramsAreListedAmongTheSessions(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{})
	b := s.Browser(t)
	harness.SignIn(t, b, harness.Bob)
	harness.MustShow(t, b.Get(t, "/account/sessions"), http.StatusOK, "nowhere else")
	program := &http.Client{Transport: s.Transport()}
	call := func(method, path, token, body string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), method, s.Issuer+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := program.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(answer)
	}
	_, answer := call(http.MethodPost, "/api/v1/auth/login", "", `{"email": "`+harness.Bob.Email+`", "password": "`+harness.Bob.Password+`", "token": true}`)
	token := regexp.MustCompile(`sp_st_[A-Za-z0-9_-]+`).FindString(answer)
	if status, answer := call(http.MethodGet, "/api/v1/auth/me", token, ""); status != http.StatusOK {
		t.Fatalf("the program is not signed in: %d %s", status, answer)
	}
	list := b.Get(t, "/account/sessions")
	harness.MustShow(t, list, http.StatusOK, "Program")
	ids := harness.OtherSessions(t, list)
	if len(ids) != 1 {
		t.Fatalf("listed %v", ids)
	}
	b.Submit(t, b.Get(t, "/account/sessions/"+ids[0]+"/end").Form(t, "confirm"))
	if status, _ := call(http.MethodGet, "/api/v1/auth/me", token, ""); status != http.StatusUnauthorized {
		t.Errorf("the program goes on: %d", status)
	}
}
