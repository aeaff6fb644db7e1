package setup_test

import (
	"encoding/base64"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// found makes ada the administrator in a browser, and returns the page after that.
func found(t *testing.T, s *harness.Server, b *harness.Browser) *harness.Page {
	t.Helper()
	p := b.Get(t, "/setup?token="+harness.SetupToken(t, s))
	p = b.Submit(t, p.Form(t, "administrator"), "name", "Ada", "email", harness.Ada.Email, "password", harness.Ada.Password)
	if p.URL.Path != "/setup/passkey" || p.Status != http.StatusOK {
		t.Fatalf("the administrator is not made: %d at %s\n%s", p.Status, p.URL, p.Body)
	}
	return p
}

func wantText(t *testing.T, p *harness.Page, want ...string) {
	t.Helper()
	body := html.UnescapeString(p.Body)
	for _, w := range want {
		if !strings.Contains(body, w) {
			t.Fatalf("the page %s (%d) does not say %q:\n%s", p.URL, p.Status, w, p.Body)
		}
	}
}

// clientOf is the client with that name as the database has it.
func clientOf(t *testing.T, s *harness.Server, name string) *storage.Client {
	t.Helper()
	all, err := s.App.Identity.Clients.List(t.Context(), identity.Operator(), "", 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		if c.Name() == name {
			return c
		}
	}
	t.Fatalf("there is no client %s", name)
	return nil
}

// runTest presses "Test this app" and answers the pages until the test has ended.
func runTest(t *testing.T, b *harness.Browser, p *harness.Page) *harness.Page {
	t.Helper()
	p = b.Submit(t, p.Form(t, "test"))
	if p.URL.Path == "/consent" {
		p = b.Submit(t, p.FormWith(t, "answer"), "answer", "allow")
	}
	return p
}

// An operator who only ran `serve` ends with an administrator, a brand and a client that
// demonstrably signs in, without JavaScript too.
func TestTheFirstRun(t *testing.T) {
	harness.EachEngine(t, harness.Options{Empty: true, Host: "localhost"}, func(t *testing.T, s *harness.Server) {
		b := s.Browser(t)
		for _, path := range []string{"/", "/admin", "/setup", "/setup/brand"} {
			if p := b.Get(t, path); p.URL.Path != "/setup" || !strings.Contains(p.Body, "sallyport admin bootstrap") {
				t.Errorf("%s leads to %s with %d, want the page that says what to do", path, p.URL, p.Status)
			}
		}
		if p := b.Get(t, "/login"); p.Status != http.StatusOK || p.URL.Path != "/login" {
			t.Errorf("everything else works: /login answers %d at %s", p.Status, p.URL)
		}
		p := b.Get(t, "/setup")
		p = b.Submit(t, p.Form(t, "setup-token"), "token", " "+harness.SetupToken(t, s)+" ")
		p = b.Submit(t, p.Form(t, "administrator"), "name", "Ada", "email", harness.Ada.Email, "password", "password1")
		wantText(t, p, `id="password-error"`, `value="ada@example.com"`)
		p = b.Submit(t, p.Form(t, "administrator"), "password", harness.Ada.Password)
		if p.URL.Path != "/setup/passkey" {
			t.Fatalf("got %s, want the passkey: %s", p.URL, p.Body)
		}
		u := s.User(t, harness.Ada)
		if !u.EmailVerified() || !slices.Equal(u.PlatformRoles, []string{storage.RoleSuperadmin}) || u.FirstSignInAt.IsZero() {
			t.Errorf("got %+v, want a proven superadmin who is signed in", u)
		}
		wantText(t, p, `id="skip" href="/setup/brand"`)
		p = b.Get(t, "/setup/brand")
		p = b.Submit(t, p.Form(t, "brand"), "name", "Acme ID", "color", "#7a1f5c")
		wantText(t, p, "Acme ID", `id="done"`, `id="continue" href="/setup/client"`)
		p = b.Get(t, "/setup/client")
		wantText(t, p, "http://localhost:3000/callback")
		p = b.Submit(t, p.Form(t, "client"), "name", "Acme Portal", "redirect_uris", "http://localhost:3000/callback\r\n")
		c := clientOf(t, s, "Acme Portal")
		wantText(t, p, `id="client-secret"`, c.ID, s.Issuer, "go-oidc", "openid-client", "Authlib", "OIDC_CLIENT_SECRET=")
		p = runTest(t, b, p)
		wantText(t, p, "It works", "signed you in", "Userinfo tells about the same person", harness.Ada.Email, u.Sub.String(), assurance.ACRPassword)
		if again := b.Get(t, p.URL.String()); !strings.Contains(again.Body, "This test has ended") {
			t.Errorf("the page once more says:\n%s", again.Body)
		}
		p = b.Get(t, "/setup/done")
		wantText(t, p, "You are set up", "/setup/passkey")
		if strings.Contains(p.Body, "Test of an app") || strings.Contains(p.Body, "First app") {
			t.Errorf("what was done is still open:\n%s", p.Body)
		}
		wantText(t, b.Get(t, "/setup"), "Acme Portal", harness.Ada.Email)
		if p := b.Get(t, "/"); p.URL.Path != "/" || !strings.Contains(p.Body, harness.Ada.Email) {
			t.Errorf("afterwards / leads to %s", p.URL)
		}
	})
}

// A test's redirect URI and secret go with it, whether it passes, is refused, or
// nobody comes back.
func TestATestOfAClientLeavesNothingBehind(t *testing.T) {
	harness.EachEngine(t, harness.Options{Empty: true, Host: "localhost"}, func(t *testing.T, s *harness.Server) {
		b := s.Browser(t)
		found(t, s, b)
		ready := b.Submit(t, b.Get(t, "/setup/client").Form(t, "client"), "name", "Portal", "redirect_uris", "https://portal.example/cb")
		clean := func(when string) {
			t.Helper()
			c := clientOf(t, s, "Portal")
			if len(c.Secrets) != 1 || !slices.Equal(c.Metadata.RedirectURIs, []string{"https://portal.example/cb"}) {
				t.Errorf("%s: %d secrets and %q are left", when, len(c.Secrets), c.Metadata.RedirectURIs)
			}
			if tests, err := s.App.Store.ClientTests(t.Context()); err != nil || len(tests) != 0 {
				t.Errorf("%s: tests are left: %v, %v", when, tests, err)
			}
			if own := s.RP(c.ID, "a wrong secret", "", ""); own.Token(t, url.Values{"grant_type": {"authorization_code"}, "code": {"x"}}).Error != "invalid_client" {
				t.Errorf("%s: a wrong secret counts", when)
			}
		}
		p := b.Submit(t, ready.Form(t, "test"))
		during := clientOf(t, s, "Portal")
		if len(during.Secrets) != 2 || !slices.Contains(during.Metadata.RedirectURIs, s.Issuer+"/setup/test") {
			t.Fatalf("during the test: %d secrets, %q", len(during.Secrets), during.Metadata.RedirectURIs)
		}
		refused := b.Submit(t, p.FormWith(t, "answer"), "answer", "deny")
		wantText(t, refused, "choose Allow", `id="test-submit"`)
		clean("refused")
		passed := runTest(t, b, refused)
		wantText(t, passed, "It works")
		clean("passed")
		for _, left := range []string{"sp_at_", "sp_rt_"} {
			if strings.Contains(passed.Body, left) {
				t.Errorf("the page shows a token %s…", left)
			}
		}
		if grants, err := s.App.Store.UserGrants(t.Context(), s.User(t, harness.Ada).ID, uuid.Max, 1000); err != nil || len(grants) != 0 {
			t.Errorf("grants that are left: %+v, %v", grants, err)
		}
		b.Submit(t, ready.Form(t, "test"))
		s.Clock.Advance(identity.ClientTestFor)
		if err := s.App.Identity.Clients.EndOverdueTests(t.Context()); err != nil {
			t.Fatal(err)
		}
		clean("abandoned")
	})
}

// Each type of client has settings that its test passes with.
func TestEachTypeOfClientSignsIn(t *testing.T) {
	harness.EachEngine(t, harness.Options{Empty: true, Host: "localhost"}, func(t *testing.T, s *harness.Server) {
		b := s.Browser(t)
		found(t, s, b)
		for kind, want := range map[string]struct {
			redirect, method string
			pkce             storage.PKCE
		}{
			identity.ClientWeb:     {"https://web.example/cb", "client_secret_basic", storage.PKCEAuto},
			identity.ClientSPA:     {"https://spa.example/cb", "none", storage.PKCERequired},
			identity.ClientNative:  {"http://127.0.0.1/callback", "none", storage.PKCERequired},
			identity.ClientMachine: {"ignored", "client_secret_basic", storage.PKCEOptional},
		} {
			p := b.Submit(t, b.Get(t, "/setup/client").Form(t, "client"), "name", kind, "kind", kind, "redirect_uris", want.redirect)
			c := clientOf(t, s, kind)
			if c.Metadata.TokenEndpointAuthMethod != want.method || c.Metadata.RequirePKCE != want.pkce || (len(c.Secrets) == 1) == c.Public() {
				t.Errorf("%s: got %+v with %d secrets", kind, c.Metadata, len(c.Secrets))
			}
			if shown := strings.Contains(p.Body, `id="client-secret"`); shown == c.Public() {
				t.Errorf("%s: the page shows a secret: %v", kind, shown)
			}
			if p = runTest(t, b, p); !strings.Contains(p.Body, "It works") {
				t.Errorf("%s: the test says %d:\n%s", kind, p.Status, p.Body)
			}
		}
		registerAtSetup(t, s, b)
		for name, bad := range map[string][]string{
			`id="logouts-error"`:   {"name", "A", "redirect_uris", "https://a.example/cb", "post_logout_redirect_uris", "ftp://a.example/"},
			`id="scope-error"`:     {"name", "A", "redirect_uris", "https://a.example/cb", "scope", "api:nothing"},
			`id="name-error"`:      {"name", " ", "redirect_uris", "https://a.example/cb"},
			`id="kind-error"`:      {"name", "A", "kind", "toaster", "redirect_uris", "https://a.example/cb"},
			`id="redirects-error"`: {"name", "A", "redirect_uris", "https://a.example/cb\nhttp://b.example/cb"},
		} {
			if p := b.Submit(t, b.Get(t, "/setup/client").Form(t, "client"), bad...); p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Body, name) {
				t.Errorf("%v: got %d without %s", bad, p.Status, name)
			}
		}
	})
}

// registerAtSetup registers apps with an address after sign-out and with scopes, those of an API too.
func registerAtSetup(t *testing.T, s *harness.Server, b *harness.Browser) {
	t.Helper()
	api := storage.Resource{Identifier: "https://api.example", Name: "API", Scopes: map[string]string{"api:read": "Read your data"}}
	if err := s.App.Identity.Resources.Create(t.Context(), identity.Operator(), api); err != nil {
		t.Fatal(err)
	}
	if err := s.App.Registry.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]struct {
		kind, logout  string
		scopes        []string
		scope, logged string
	}{
		"as offered": {identity.ClientWeb, "", []string{"profile", "email", "offline_access"}, "openid profile email offline_access", ""},
		"with all":   {identity.ClientSPA, "https://a.example/bye", []string{"org", "roles", "api:read"}, "openid org roles api:read", "https://a.example/bye"},
		"with none":  {identity.ClientNative, "\r\nhttp://127.0.0.1/bye\r\n", nil, "openid", "http://127.0.0.1/bye"},
		"a machine":  {identity.ClientMachine, "https://a.example/bye", []string{"profile", "api:read"}, "api:read", ""},
	} {
		form := b.Get(t, "/setup/client").Form(t, "client")
		if got := strings.Join(form.Values["scope"], " "); got != "profile email offline_access" {
			t.Errorf("offered: got %q", got)
		}
		form.Values["scope"] = want.scopes
		redirect := map[bool]string{true: "http://127.0.0.1/cb", false: "https://a.example/cb"}[want.kind == identity.ClientNative]
		b.Submit(t, form, "name", name, "kind", want.kind, "redirect_uris", redirect, "post_logout_redirect_uris", want.logout)
		m := clientOf(t, s, name).Metadata
		if m.Scope != want.scope || strings.Join(m.PostLogoutRedirectURIs, " ") != want.logged {
			t.Errorf("%s: got the scopes %q and the addresses %q", name, m.Scope, m.PostLogoutRedirectURIs)
		}
	}
}

// AD-02: guessed, older, expired and used tokens open nothing, and neither does
// where somebody comes from.
func TestOnlyTheTokenThatWasPrintedLastOpensTheFirstRun(t *testing.T) {
	harness.EachEngine(t, harness.Options{Empty: true, Host: "localhost"}, func(t *testing.T, s *harness.Server) {
		b := s.Browser(t)
		older := harness.SetupToken(t, s)
		token := harness.SetupToken(t, s)
		p := b.Get(t, "/setup?token="+token)
		form := p.Form(t, "administrator")
		try := func(token string) *harness.Page {
			return b.Submit(t, form, "token", token, "email", harness.Ada.Email, "password", harness.Ada.Password)
		}
		for name, wrong := range map[string]string{"none": "", "a guess": strings.Repeat("A", 43), "an older one": older, "its hash": base64.RawURLEncoding.EncodeToString([]byte(token))} {
			if p := try(wrong); p.Status != http.StatusForbidden || !strings.Contains(p.Body, `id="setup-token"`) {
				t.Errorf("%s: got %d at %s", name, p.Status, p.URL)
			}
			if p := b.Get(t, "/setup?token="+wrong); wrong != "" && (p.Status != http.StatusForbidden || !strings.Contains(p.Body, "does not count")) {
				t.Errorf("%s in the address: got %d", name, p.Status)
			}
		}
		s.Clock.Advance(identity.SetupTokenFor)
		if p := try(token); p.Status != http.StatusForbidden {
			t.Errorf("after an hour: got %d", p.Status)
		}
		if has, err := s.App.Store.HasSuperadmin(t.Context()); err != nil || has {
			t.Fatalf("somebody became superadmin: %v, %v", has, err)
		}
		if strings.Contains(s.Contents(t), token) || strings.Contains(s.Log.String(), token) {
			t.Error("the token is in the database or in the log")
		}
	})
}

// AD-02: two callers race, on two nodes; afterwards there is nothing to be had.
func TestRacingCallersMakeOneAdministrator(t *testing.T) {
	harness.EachEngine(t, harness.Options{Empty: true, Host: "localhost"}, func(t *testing.T, s *harness.Server) {
		nodes := []*harness.Server{s, s.Node(t)}
		token := harness.SetupToken(t, s)
		const callers = 16
		browsers, forms := make([]*harness.Browser, callers), make([]*harness.Form, callers)
		for i := range callers {
			browsers[i] = nodes[i%2].Browser(t)
			forms[i] = browsers[i].Get(t, "/setup?token="+token).Form(t, "administrator")
		}
		paths := make([]string, callers)
		var all sync.WaitGroup
		for i := range callers {
			all.Go(func() {
				p := browsers[i].Submit(t, forms[i], "email", fmt.Sprintf("ada%d@example.com", i), "password", harness.Ada.Password)
				paths[i] = p.URL.Path
			})
		}
		all.Wait()
		winners := 0
		for _, path := range paths {
			if path == "/setup/passkey" {
				winners++
			}
		}
		people, err := s.App.Store.Users(t.Context(), [16]byte{}, 100)
		if err != nil || winners != 1 || len(people) != 1 {
			t.Fatalf("%d callers won and there are %d people (%v), want one", winners, len(people), err)
		}
		for i, b := range browsers {
			won := paths[i] == "/setup/passkey"
			if p := b.Get(t, "/setup?token="+token); (p.Status == http.StatusOK) != won {
				t.Errorf("GET /setup afterwards: %d, won %v", p.Status, won)
			}
			if p := b.Submit(t, forms[i], "email", "eve@example.com", "password", harness.Ada.Password); !won && p.Status != http.StatusNotFound {
				t.Errorf("POST /setup afterwards: %d, want 404", p.Status)
			}
		}
		if _, _, err := s.App.Identity.Installation.NewSetupToken(t.Context(), identity.Operator()); err == nil {
			t.Error("a restart makes a new token")
		}
	})
}

// The steps do not exist for anybody but superadmins.
func TestTheStepsOfTheFirstRunAreForSuperadmins(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{Host: "localhost"})
	bob, stranger, admin := s.Browser(t), s.Browser(t), s.Browser(t)
	harness.SignIn(t, bob, harness.Bob)
	harness.SignIn(t, admin, harness.Admin)
	for _, path := range []string{"/setup", "/setup/passkey", "/setup/brand", "/setup/client", "/setup/test?state=x&code=y", "/setup/done"} {
		for who, b := range map[string]*harness.Browser{"bob": bob, "a stranger": stranger} {
			if p := b.Get(t, path); p.Status != http.StatusNotFound {
				t.Errorf("%s for %s: %d at %s, want 404", path, who, p.Status, p.URL)
			}
			if p := b.Post(t, strings.SplitN(path, "?", 2)[0], url.Values{}); p.Status != http.StatusNotFound && p.Status != http.StatusMethodNotAllowed {
				t.Errorf("POST %s for %s: %d, want 404", path, who, p.Status)
			}
		}
		if p := admin.Get(t, path); p.Status == http.StatusNotFound {
			t.Errorf("%s for a superadmin: 404", path)
		}
	}
	if p := stranger.Get(t, "/admin"); p.Status != http.StatusNotFound {
		t.Errorf("/admin: %d, want 404", p.Status)
	}
	if p := bob.Post(t, "/setup/passkey/begin", url.Values{}); p.Status != http.StatusNotFound {
		t.Errorf("a challenge for bob: %d, want 404", p.Status)
	}
	s.Clock.Advance(6 * time.Minute)
	if p := admin.Get(t, "/setup/passkey"); p.URL.Path != "/login" {
		t.Errorf("a passkey without a fresh sign-in: %d at %s", p.Status, p.URL)
	}
	s.Phone(t, harness.Admin)
	half := s.Browser(t)
	half.Submit(t, half.Get(t, "/login").Form(t, "login"), "email", harness.Admin.Email, "password", harness.Admin.Password)
	if p := half.Get(t, "/setup/brand"); p.URL.Path != "/login/factor" {
		t.Errorf("half a session gets to %s", p.URL)
	}
}

// png is the smallest picture.
const png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

// Every page and mail on every node looks as it was set, within a second; what is
// configured stays.
func TestTheBrandIsSeenOnEveryNode(t *testing.T) {
	harness.EachEngine(t, harness.Options{Host: "localhost"}, func(t *testing.T, s *harness.Server) {
		other := s.Node(t)
		fixed := s.Node(t, "SALLYPORT_BRAND_NAME=Fixed ID", "SALLYPORT_BRAND_COLOR=#123456")
		b := s.Browser(t)
		harness.SignIn(t, b, harness.Admin)
		p := b.Submit(t, b.Get(t, "/setup/brand").Form(t, "brand"), "name", "Globex ID", "color", "#7A1F5C", "logo", "data:text/html;base64,"+png)
		wantText(t, p, "Globex ID", `id="done"`, "data:image/png;base64,"+png)
		if name := s.App.BrandName(); name != "Globex ID" {
			t.Errorf("authenticators show %q", name)
		}
		for n, want := range map[*harness.Server]string{other: "Globex ID", fixed: "Fixed ID"} {
			stranger := n.Browser(t)
			eventually(t, func() bool {
				p := stranger.Get(t, "/login")
				return strings.Contains(p.Body, "Sign in to <bdi>"+want) && strings.Contains(html.UnescapeString(p.Body), "data:image/png;base64,"+png)
			})
		}
		fixedAdmin := fixed.Browser(t)
		harness.SignIn(t, fixedAdmin, harness.Admin)
		p = fixedAdmin.Get(t, "/setup/brand")
		wantText(t, p, "BRAND_COLOR", "BRAND_NAME", "readonly")
		fixedAdmin.Submit(t, p.Form(t, "brand"), "name", "Evil ID", "color", "#000000", "remove-logo", "on")
		settings, err := s.App.Store.PlatformSettings(t.Context())
		if err != nil || settings.Brand != (storage.BrandSettings{Name: "Globex ID", Color: "#7a1f5c"}) {
			t.Errorf("got %+v, %v, want the logo gone alone", settings.Brand, err)
		}
		for field, bad := range map[string]string{"name": strings.Repeat("x", 61), "color": "red;}body{display:none", "logo": "data:image/png;base64," + base64.StdEncoding.EncodeToString([]byte("<html>"))} {
			if p := b.Submit(t, b.Get(t, "/setup/brand").Form(t, "brand"), field, bad); p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Body, `id="`+field+`-error"`) {
				t.Errorf("%s: got %d", field, p.Status)
			}
		}
	})
}

// eventually waits for what another node does by itself.
func eventually(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !done(); <-time.After(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not happen")
		}
	}
}

// A passkey in the first run makes the session phishing-resistant and gives out
// recovery codes; at an IP address there is an authenticator app instead.
func TestAPasskeyInTheFirstRun(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{Empty: true, Host: "localhost"})
	b := s.Browser(t)
	p := found(t, s, b)
	p = b.Ceremony(t, p.Form(t, "passkey"), s.Authenticator(t))
	wantText(t, p, "Save your recovery codes", `href="/setup/brand"`)
	if p = b.Get(t, "/setup/brand"); p.URL.Path != "/setup/brand" {
		t.Errorf("after the passkey: %s", p.URL)
	}
	wantText(t, b.Get(t, "/setup/passkey"), "Your passkey is set up")
	byAddress := harness.Start(t, storage.SQLite, harness.Options{Empty: true})
	p = found(t, byAddress, byAddress.Browser(t))
	wantText(t, p, "/account/security/app", `id="skip"`)
}

// A state is worth nothing in another session, changed, or later.
func TestTheAnswerToATestBelongsToItsSession(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{Host: "localhost"})
	one, other := s.Browser(t), s.Browser(t)
	harness.SignIn(t, one, harness.Admin)
	harness.SignIn(t, other, harness.Admin)
	p := one.Submit(t, one.Get(t, "/setup/client").Form(t, "client"), "name", "Portal", "redirect_uris", "https://portal.example/cb")
	p = one.Submit(t, p.Form(t, "test"))
	answer := p.FormWith(t, "answer")
	values := url.Values{}
	for k, v := range answer.Values {
		values[k] = v
	}
	values.Set("answer", "allow")
	one.HTTP.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	callback := callbackOf(t, s, one, answer.Action.String(), values)
	for name, target := range map[string]string{"another session": callback, "a changed state": strings.Replace(callback, "state=", "state=x", 1)} {
		b := one
		if name == "another session" {
			b = other
		}
		if p := b.Get(t, target); p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Body, "not the answer to a test") {
			t.Errorf("%s: got %d:\n%s", name, p.Status, p.Body)
		}
	}
	wantText(t, one.Get(t, callback), "It works")
}

// callbackOf sends the consent and follows its redirects up to the test's callback,
// without opening it.
func callbackOf(t *testing.T, s *harness.Server, b *harness.Browser, target string, values url.Values) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, strings.NewReader(values.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	for range 5 {
		resp, err := b.HTTP.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		next, err := resp.Location()
		if err != nil {
			t.Fatalf("%d from %s", resp.StatusCode, req.URL)
		}
		if next.Path == "/setup/test" {
			return next.String()
		}
		if req, err = http.NewRequestWithContext(t.Context(), http.MethodGet, next.String(), nil); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatalf("no way back to the test, last at %s", req.URL)
	return ""
}
