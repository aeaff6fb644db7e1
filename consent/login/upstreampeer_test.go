package login_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/fakeidp"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// Another Sallyport is a provider like any other.
func TestAnotherSallyportAsProvider(t *testing.T) {
	down := harness.Start(t, storage.SQLite, harness.Options{Empty: true})
	up := harness.Start(t, storage.SQLite, harness.Options{Clients: `version: 1
clients:
  - client_id: downstream
    client_name: Downstream
    secret: a-long-secret-of-the-downstream-server-42
    redirect_uris: ["` + down.Issuer + `/login/up/callback"]
    grant_types: [authorization_code]
    scope: openid profile email
    require_pkce: true
`})
	if err := down.App.Identity.Connections.Configure(t.Context(), identity.Operator(), []identity.ConnectionConfig{{Name: "up",
		Kind: fakeidp.OIDC, Secret: "a-long-secret-of-the-downstream-server-42", Settings: storage.ConnectionSettings{Label: "Up",
			Issuer: up.Issuer, ClientID: "downstream", Callback: storage.CallbackLogin}}}); err != nil {
		t.Fatal(err)
	}
	if err := down.App.Registry.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	b, there := down.Browser(t), up.Browser(t)
	for _, signsUp := range []bool{true, false} {
		page := there.WalkTo(t, b.Get(t, "/login/up?to=/account").Away.String(), harness.Bob)
		isAt(t, b.Get(t, page.Away.String()), "/account")
		if u, err := down.App.Store.UserByEmail(t.Context(), harness.Bob.Email); err != nil || u.Profile.Name == "" || !u.EmailVerified() {
			t.Errorf("signs up %v: the account is %+v, %v", signsUp, u, err)
		}
		b = down.Browser(t)
	}
}

// Of answers that come at once, one asks the provider and signs in.
func TestSeveralAnswersAtOnceAreOne(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		p := connect(t, s, fakeidp.OIDC, nil)
		b := s.Browser(t)
		answer := p.answer(t, b, "/login/acme?to=/account", carol)
		var all sync.WaitGroup
		var signedIn atomic.Int32
		for range 8 {
			all.Go(func() {
				resp, err := b.HTTP.Get(answer)
				if err != nil {
					t.Error(err)
					return
				}
				resp.Body.Close()
				if resp.Header.Get("Location") == "/account" && len(resp.Cookies()) > 0 {
					signedIn.Add(1)
				}
			})
		}
		all.Wait()
		if signedIn.Load() != 1 || p.Redeemed() != 1 {
			t.Errorf("%d answers signed in, and the provider was asked %d times, want 1 and 1", signedIn.Load(), p.Redeemed())
		}
	})
}

// A sign-out at the provider ends the sessions that came through it, and no other token does.
func TestASignOutAtTheProviderEndsItsSessions(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		p := connect(t, s, fakeidp.OIDC, nil)
		one, two := carol, carol
		one.Session, two.Session = "first", "second"
		first, second := s.Browser(t), s.Browser(t)
		isAt(t, p.signIn(t, first, one), "/account")
		isAt(t, p.signIn(t, second, two), "/account")
		post := func(token string) int {
			t.Helper()
			resp, err := first.HTTP.PostForm(s.Issuer+"/login/acme/logout", url.Values{"logout_token": {token}})
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			return resp.StatusCode
		}
		for what, change := range map[string]func(map[string]any){
			"another issuer":   func(c map[string]any) { c["iss"] = "https://elsewhere.example" },
			"another audience": func(c map[string]any) { c["aud"] = "another" },
			"an old one":       func(c map[string]any) { c["exp"] = s.Clock.Now().Add(-time.Hour).Unix() },
			"no event":         func(c map[string]any) { delete(c, "events") },
			"a nonce":          func(c map[string]any) { c["nonce"] = "x" },
			"nobody":           func(c map[string]any) { delete(c, "sub"); delete(c, "sid") },
			"no id":            func(c map[string]any) { delete(c, "jti") },
		} {
			if status := post(p.LogoutToken(one, change)); status != http.StatusBadRequest {
				t.Errorf("%s: %d, want 400", what, status)
			}
		}
		stranger := fakeidp.New(fakeidp.Config{Kind: fakeidp.OIDC, BaseURL: p.BaseURL, ClientID: p.ClientID})
		if status := post(stranger.LogoutToken(one, nil)); status != http.StatusBadRequest {
			t.Errorf("a token signed by a stranger: %d, want 400", status)
		}
		isAt(t, first.Get(t, "/account"), "/account")
		token := p.LogoutToken(one, nil)
		if status := post(token); status != http.StatusOK {
			t.Errorf("a logout token: %d, want 200", status)
		}
		if page := first.Get(t, "/account"); page.URL.Path != "/login" || !strings.Contains(page.Body, "signed out at the provider") {
			t.Errorf("the session goes on, or nothing says why it does not: %s", page.URL)
		}
		isAt(t, second.Get(t, "/account"), "/account")
		if status := post(token); status != http.StatusBadRequest {
			t.Errorf("the token again: %d, want 400", status)
		}
		everywhere := carol
		if status := post(p.LogoutToken(everywhere, nil)); status != http.StatusOK {
			t.Errorf("of all sessions: %d, want 200", status)
		}
		if page := second.Get(t, "/account"); page.URL.Path != "/login" {
			t.Errorf("a session of the person goes on: %s", page.URL)
		}
	})
}
