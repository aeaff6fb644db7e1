package login_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/fakeidp"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// provider is a fake provider that a server has as its connection.
type provider struct {
	*fakeidp.Provider
	server *harness.Server
	name   string
}

// carol is known to the provider and not to the server.
var carol = fakeidp.Person{Subject: "1001", Email: "carol@users.example", EmailVerified: true, Name: "Carol Danvers",
	Tenant: "11111111-2222-3333-4444-555555555555"}

// bob has the address of a sample account.
var bob = fakeidp.Person{Subject: "1002", Email: harness.Bob.Email, EmailVerified: true, Name: "Bob"}

// connect starts a provider of a kind, and makes it the only connection of the server; edit changes how.
func connect(t *testing.T, s *harness.Server, kind string, edit func(*identity.ConnectionConfig)) *provider {
	t.Helper()
	l := httptest.NewUnstartedServer(nil)
	p := fakeidp.New(fakeidp.Config{Kind: kind, BaseURL: "http://" + l.Listener.Addr().String(), ClientID: "sallyport",
		ClientSecret: "canary-of-the-connection", Now: s.Clock.Now})
	l.Config.Handler = p.Handler()
	l.Start()
	t.Cleanup(l.Close)
	c := identity.ConnectionConfig{Name: "acme", Kind: kind, Secret: p.ClientSecret, Settings: storage.ConnectionSettings{
		Label: "Acme ID", Issuer: p.BaseURL, ClientID: p.ClientID, Callback: storage.CallbackLogin}}
	if edit != nil {
		edit(&c)
	}
	if err := s.App.Identity.Connections.Configure(t.Context(), identity.Operator(), []identity.ConnectionConfig{c}); err != nil {
		t.Fatal(err)
	}
	if err := s.App.Registry.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &provider{p, s, c.Name}
}

// answer follows the connection's button on a page up to the address that the provider sends the browser to.
func (p *provider) answer(t *testing.T, b *harness.Browser, from string, who fakeidp.Person) string {
	t.Helper()
	p.SignInAs(&who)
	there := b.Get(t, from)
	if there.Away == nil {
		t.Fatalf("%s leads to %s (%d), want the provider:\n%s", from, there.URL, there.Status, there.Body)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Get(there.Away.String())
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	back, err := resp.Location()
	if err != nil {
		t.Fatalf("the provider answers %d without a redirect: %v", resp.StatusCode, err)
	}
	return back.String()
}

// signIn signs in with the provider, and returns where that ends.
func (p *provider) signIn(t *testing.T, b *harness.Browser, who fakeidp.Person) *harness.Page {
	t.Helper()
	return b.Get(t, p.answer(t, b, "/login/acme?to=/account", who))
}

// user is the account of an address; nil for none.
func (p *provider) user(t *testing.T, email string) *storage.User {
	t.Helper()
	u, err := p.server.App.Store.UserByEmail(t.Context(), email)
	if err != nil {
		return nil
	}
	return u
}

func isAt(t *testing.T, p *harness.Page, path string) {
	t.Helper()
	if p.Away != nil || p.URL.Path != path || p.Status != http.StatusOK {
		t.Fatalf("got %s (%d, away %v), want the page %s:\n%s", p.URL, p.Status, p.Away, path, p.Body)
	}
}

func isError(t *testing.T, p *harness.Page, code string) {
	t.Helper()
	if !strings.Contains(p.Body, `data-error="`+code+`"`) {
		t.Errorf("got %s (%d), want the error %s:\n%s", p.URL, p.Status, code, p.Body)
	}
}

// signInWithPassword sends the form of a sign-in page.
func signInWithPassword(t *testing.T, b *harness.Browser, at string, who harness.Person) *harness.Page {
	t.Helper()
	return b.Submit(t, b.Get(t, at).Form(t, "login"), "email", who.Email, "password", who.Password)
}

// The first sign-in makes the account with an organization of its own, the next one finds it, and an app gets its tokens.
func TestAProviderSignsUpAndSignsIn(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		p := connect(t, s, fakeidp.OIDC, nil)
		b := s.Browser(t)
		if page := b.Get(t, "/login"); !strings.Contains(page.Body, `data-connection="acme"`) || !strings.Contains(page.Body, "Continue with") {
			t.Errorf("the sign-in page has no button:\n%s", page.Body)
		}
		isAt(t, p.signIn(t, b, carol), "/account")
		u := p.user(t, carol.Email)
		if u == nil || !u.EmailVerified() || u.Profile.Name != carol.Name {
			t.Fatalf("the account is %+v", u)
		}
		if own, err := s.App.Store.Memberships(t.Context(), u.ID, "", 0); err != nil || len(own) != 1 || own[0].Role != storage.RoleOwner {
			t.Errorf("their own organization: %+v, %v", own, err)
		}
		rp := s.Mobile()
		request := rp.Authorize(url.Values{"login_hint": {carol.Email}, "prompt": {"login"}})
		other := s.Browser(t)
		login := other.Get(t, request.URL)
		renamed := carol
		renamed.Email, renamed.Name = "carol.new@users.example", "Somebody"
		page := other.Get(t, p.answer(t, other, "/login/acme?"+login.URL.RawQuery, renamed))
		for page.Away == nil {
			page = other.Submit(t, page.FormWith(t, "answer"), "answer", "allow")
		}
		tokens := rp.Redeem(t, page.Away.Query().Get("code"), request)
		if got := harness.Claims(t, tokens.IDToken)["sub"]; got != u.Sub.String() {
			t.Errorf("the app sees %v, want the account of the same subject, %s", got, u.Sub)
		}
		asked := p.Asked()[len(p.Asked())-1]
		if asked.Get("login_hint") != carol.Email || asked.Get("prompt") != "login" || asked.Get("max_age") != "0" ||
			asked.Get("code_challenge_method") != "S256" || asked.Get("nonce") == "" {
			t.Errorf("the provider was asked for %v", asked)
		}
		p.Rotate()
		isAt(t, p.signIn(t, s.Browser(t), carol), "/account")
	})
}

// An account that is in use is linked only by its user, who signs in to it and confirms.
func TestAnAccountIsLinkedByItsUserAlone(t *testing.T) {
	harness.EachEngine(t, harness.Options{Redis: true}, func(t *testing.T, s *harness.Server) {
		p := connect(t, s, fakeidp.OIDC, nil)
		b := s.Browser(t)
		rp := s.Portal()
		request := rp.Authorize(nil)
		flow := b.Get(t, request.URL).URL.RawQuery
		prompt := b.Get(t, p.answer(t, b, "/login/acme?"+flow, bob))
		isAt(t, prompt, "/login/link")
		if !strings.Contains(prompt.Body, "to=%2Faccount%2Flinked%2Fconfirm") {
			t.Errorf("the page leads elsewhere:\n%s", prompt.Body)
		}
		if page := b.Get(t, "/account"); page.URL.Path != "/login" {
			t.Fatalf("the address alone signs in: %s", page.URL)
		}
		confirm := signInWithPassword(t, b, "/login?to=/account/linked/confirm", harness.Bob)
		isAt(t, confirm, "/account/linked/confirm")
		page := b.Submit(t, confirm.Form(t, "confirm"))
		for page.Away == nil {
			page = b.Submit(t, page.FormWith(t, "answer"), "answer", "allow")
		}
		if page.Away.Query().Get("code") == "" {
			t.Errorf("after linking the app gets %s, want a code", page.Away)
		}
		isAt(t, p.signIn(t, s.Browser(t), bob), "/account")
		taken := s.Browser(t)
		signInWithPassword(t, taken, "/login?to=/account", harness.Alice)
		confirm = taken.Get(t, p.answer(t, taken, "/login/acme?link=1", bob))
		isError(t, taken.Submit(t, confirm.Form(t, "confirm")), "upstream_taken")
	})
}

// A user who came by a provider alone keeps a way to sign in.
func TestTheLastWayToSignInIsNotUnlinked(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		p := connect(t, s, fakeidp.OIDC, nil)
		b := s.Browser(t)
		p.signIn(t, b, carol)
		at := "/account/linked/remove?connection=acme&subject=" + carol.Subject
		refused := b.Submit(t, b.Get(t, at).Form(t, "confirm"))
		if refused.Status != http.StatusUnprocessableEntity || !strings.Contains(refused.Body, "only way to sign in") {
			t.Errorf("got %d, want a refusal:\n%s", refused.Status, refused.Body)
		}
		second := carol
		second.Subject = "1003"
		confirm := b.Get(t, p.answer(t, b, "/login/acme?link=1", second))
		isAt(t, b.Submit(t, confirm.Form(t, "confirm")), "/account/linked")
		isAt(t, b.Submit(t, b.Get(t, at).Form(t, "confirm")), "/account/linked")
		isAt(t, p.signIn(t, s.Browser(t), second), "/account")
		isAt(t, p.signIn(t, s.Browser(t), carol), "/login/link")
	})
}

// An address that a provider has not verified makes no account, and registration has its own rules.
func TestWhoGetsNoAccount(t *testing.T) {
	nameless := carol
	nameless.Email = ""
	for _, tc := range []struct {
		name, registration string
		who                fakeidp.Person
		want               string
	}{
		{"an address that is not verified", "true", unverified(carol), "upstream_unverified"},
		{"an address of an account that is not verified there", "true", unverified(bob), "upstream_unverified"},
		{"no address", "true", nameless, "upstream_unverified"},
		{"registration is closed", "false", carol, "registration_closed"},
		{"nobody invited them", "invite", carol, "registration_invited"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := harness.Start(t, storage.SQLite, harness.Options{Environ: []string{"SALLYPORT_REGISTRATION=" + tc.registration}})
			p := connect(t, s, fakeidp.OIDC, nil)
			isError(t, p.signIn(t, s.Browser(t), tc.who), tc.want)
			if p.user(t, carol.Email) != nil {
				t.Error("an account was made")
			}
		})
	}
}

// An attacker registers the address of another person and waits. When its owner comes with a provider, nothing that the
// attacker made is left.
func TestAnAccountThatNobodyProvedIsTakenOver(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		p := connect(t, s, fakeidp.OIDC, nil)
		attacker := s.Browser(t)
		planted := harness.Person{Email: carol.Email, Password: "a quiet river bends north"}
		attacker.Submit(t, attacker.Get(t, "/register").Form(t, "register"), "email", planted.Email, "password", planted.Password)
		if u := p.user(t, carol.Email); u == nil || u.EmailVerified() {
			t.Fatalf("the planted account is %+v", u)
		}
		isAt(t, p.signIn(t, s.Browser(t), carol), "/account")
		if page := attacker.Get(t, "/account"); page.URL.Path != "/login" {
			t.Errorf("the session of the one who registered goes on: %s", page.URL)
		}
		if page := signInWithPassword(t, attacker, "/login", planted); page.Status != http.StatusUnprocessableEntity {
			t.Errorf("the planted password signs in: %d", page.Status)
		}
	})
}

// Each lie has its name in the log, and the person a plain page; nothing is made of any of them.
func TestAProviderThatLiesGetsNothing(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{})
	p := connect(t, s, fakeidp.OIDC, nil)
	for _, tc := range []struct {
		lie         fakeidp.Lie
		page, fault string
	}{
		{fakeidp.WrongIssuer, "upstream_failed", "token_issuer"},
		{fakeidp.WrongAudience, "upstream_failed", "token_audience"},
		{fakeidp.OtherParty, "upstream_failed", "token_party"},
		{fakeidp.WrongNonce, "upstream_failed", "token_nonce"},
		{fakeidp.NoNonce, "upstream_failed", "token_nonce"},
		{fakeidp.Unsigned, "upstream_failed", "token_signature"},
		{fakeidp.SignedBySecret, "upstream_failed", "token_signature"},
		{fakeidp.OtherKey, "upstream_failed", "token_signature"},
		{fakeidp.Expired, "upstream_failed", "token_expired"},
		{fakeidp.OfTomorrow, "upstream_failed", "token_early"},
		{fakeidp.NoSubject, "upstream_failed", "token_subject"},
		{fakeidp.WrongAccessHash, "upstream_failed", "token_hash"},
		{fakeidp.WrongCodeHash, "upstream_failed", "token_hash"},
		{fakeidp.NoToken, "upstream_failed", "token_missing"},
		{fakeidp.WrongAnswerIssuer, "upstream_failed", "answer_issuer"},
		{fakeidp.NoAnswerIssuer, "upstream_failed", "answer_issuer"},
		{fakeidp.OtherUserinfo, "upstream_failed", "userinfo_subject"},
		{fakeidp.Garbage, "upstream_failed", "bad_answer"},
		{fakeidp.Huge, "upstream_failed", "bad_answer"},
		{fakeidp.Redirects, "upstream_failed", "bad_answer"},
		{fakeidp.SaysNo, "upstream_denied", "denied"},
	} {
		p.Lie(tc.lie)
		before := len(s.Log.String())
		page := p.signIn(t, s.Browser(t), carol)
		isError(t, page, tc.page)
		if log := s.Log.String()[before:]; !strings.Contains(log, "fault="+tc.fault) || strings.Contains(log, "canary") {
			t.Errorf("%s: the log says %s", tc.lie, log)
		}
	}
	if p.user(t, carol.Email) != nil {
		t.Error("an account was made")
	}
	p.Lie(fakeidp.OldSignIn)
	b := s.Browser(t)
	flow := b.Get(t, s.Mobile().Authorize(url.Values{"prompt": {"login"}}).URL).URL.RawQuery
	isError(t, b.Get(t, p.answer(t, b, "/login/acme?"+flow, carol)), "upstream_failed")
	p.Lie(fakeidp.Honest)
	isAt(t, p.signIn(t, s.Browser(t), carol), "/account")
}

// A provider that is down gets a plain page, and every other way to sign in works as before.
func TestAProviderThatIsDownStopsNobodyElse(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{})
	p := connect(t, s, fakeidp.OIDC, nil)
	p.Lie(fakeidp.Down)
	b := s.Browser(t)
	page := b.Get(t, "/login/acme")
	isError(t, page, "upstream_unavailable")
	if page.Status != http.StatusServiceUnavailable || !strings.Contains(page.Body, `href="/login"`) {
		t.Errorf("got %d:\n%s", page.Status, page.Body)
	}
	isAt(t, signInWithPassword(t, b, "/login?to=/account", harness.Bob), "/account")
	p.Lie(fakeidp.WrongMetadata)
	isError(t, b.Get(t, "/login/acme"), "upstream_unavailable") // it is not asked again so soon
	s.Clock.Advance(6 * time.Second)
	isError(t, b.Get(t, "/login/acme"), "upstream_failed")
}

// An answer counts once, in the browser that began, at the callback of its connection.
func TestAnAnswerCountsOnceAndInItsBrowser(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		p := connect(t, s, fakeidp.OIDC, nil)
		b, thief := s.Browser(t), s.Browser(t)
		thief.Get(t, "/login")
		answer := p.answer(t, b, "/login/acme?to=/account", carol)
		isError(t, thief.Get(t, answer), "upstream_lost")
		isError(t, b.Get(t, strings.Replace(answer, "/callback", "/authorized", 1)), "upstream_lost")
		isAt(t, b.Get(t, answer), "/account")
		isAt(t, b.Get(t, answer), "/account") // loaded again: signed in, and sent on
		isError(t, thief.Get(t, answer), "upstream_lost")
		isError(t, b.Get(t, "/login/acme/callback?code=x&state="+strings.Repeat("a", 43)), "upstream_lost")
		if page := b.Get(t, "/login/another"); page.Status != http.StatusNotFound {
			t.Errorf("a connection that is none: %d, want 404", page.Status)
		}
		// Two tabs: the second to come back is sent on as the one who is signed in by then.
		tabs := s.Browser(t)
		one, two := p.answer(t, tabs, "/login/acme?to=/account", carol), p.answer(t, tabs, "/login/acme?to=/account", carol)
		isAt(t, tabs.Get(t, two), "/account")
		isAt(t, tabs.Get(t, one), "/account")
		// Too late.
		late := s.Browser(t)
		answer = p.answer(t, late, "/login/acme?to=/account", carol)
		s.Clock.Advance(11 * time.Minute)
		isError(t, late.Get(t, answer), "upstream_lost")
	})
}

// A form that the provider's page posts brings no cookie. It is kept for a GET, where the cookie is compared.
func TestAnAnswerThatIsPosted(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		p := connect(t, s, fakeidp.OIDC, func(c *identity.ConnectionConfig) { c.Settings.Callback = storage.CallbackAPI })
		b := s.Browser(t)
		answer, err := url.Parse(p.answer(t, b, "/login/acme?to=/account", carol))
		if err != nil || answer.Path != "/api/v1/auth/external/acme/callback" {
			t.Fatalf("the answer goes to %v, %v", answer, err)
		}
		stranger := s.Browser(t)
		post := func(code string) *harness.Page {
			form := answer.Query()
			form.Set("code", code)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.Issuer+answer.Path, strings.NewReader(form.Encode()))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			req.Header.Set("Origin", p.BaseURL)
			req.Header.Set("Sec-Fetch-Site", "cross-site")
			return stranger.Do(t, req) // follows the redirect, in another browser
		}
		isError(t, post(answer.Query().Get("code")), "upstream_lost")
		post("another code") // a second answer does not take the place of the first
		isAt(t, b.Get(t, answer.Path+"?state="+answer.Query().Get("state")), "/account")
	})
}

// A user's own second factor is asked for, unless the connection is trusted with it and the provider has seen one.
func TestTheOwnSecondFactorIsStillAsked(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{})
	p := connect(t, s, fakeidp.OIDC, nil)
	b := s.Browser(t)
	p.signIn(t, b, carol)
	enrolApp(t, s, b)
	isAt(t, p.signIn(t, s.Browser(t), carol), "/login/factor")
	withMFA := carol
	withMFA.Methods = []string{"pwd", "otp", "mfa"}
	isAt(t, p.signIn(t, s.Browser(t), withMFA), "/login/factor")
	trusted := p.BaseURL
	if err := s.App.Identity.Connections.Configure(t.Context(), identity.Operator(), []identity.ConnectionConfig{{Name: "acme",
		Kind: fakeidp.OIDC, Secret: p.ClientSecret, Settings: storage.ConnectionSettings{Label: "Acme ID", Issuer: trusted,
			ClientID: p.ClientID, Callback: storage.CallbackLogin, TrustMFA: true}}}); err != nil {
		t.Fatal(err)
	}
	if err := s.App.Registry.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	isAt(t, p.signIn(t, s.Browser(t), carol), "/login/factor")
	isAt(t, p.signIn(t, s.Browser(t), withMFA), "/account")
}

// enrolApp adds an authenticator app to the account that is signed in.
func enrolApp(t *testing.T, s *harness.Server, b *harness.Browser) {
	t.Helper()
	page := b.Get(t, "/account/security/app")
	key := regexp.MustCompile(`[A-Z2-7]{4}( [A-Z2-7]{4}){7}`).FindString(page.Body)
	b.Submit(t, page.Form(t, "app"), "code", harness.TOTP(t, strings.ReplaceAll(key, " ", ""), s.Clock.Now()))
}

// A connection that an operator switches off signs nobody in, even a sign-in that is under way.
func TestAConnectionThatIsSwitchedOff(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		p := connect(t, s, fakeidp.OIDC, nil)
		p.signIn(t, s.Browser(t), carol)
		b := s.Browser(t)
		answer := p.answer(t, b, "/login/acme?to=/account", carol)
		if _, err := s.App.Identity.Connections.SetEnabled(t.Context(), identity.Operator(), "acme", false); err != nil {
			t.Fatal(err)
		}
		isError(t, b.Get(t, answer), "upstream_refused") // this node has not heard of it yet
		if err := s.App.Registry.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if page := s.Browser(t).Get(t, "/login"); strings.Contains(page.Body, "data-connection") {
			t.Error("the sign-in page still has its button")
		}
		if page := b.Get(t, "/login/acme"); page.Status != http.StatusNotFound {
			t.Errorf("got %d, want 404", page.Status)
		}
	})
}

// Each kind finds its people by what never changes, and believes an address only where the provider has verified it.
func TestEachKindOfProvider(t *testing.T) {
	for _, tc := range []struct {
		kind, tenant string
		who          fakeidp.Person
		subject      string
		wantAccount  bool
	}{
		{fakeidp.Google, "", carol, "1001", true},
		{fakeidp.GitHub, "", carol, "1001", true},
		{fakeidp.Microsoft, "common", carol, carol.Tenant + ".1001", true},
		{fakeidp.Microsoft, "organizations", carol, carol.Tenant + ".1001", true},
		{fakeidp.Microsoft, "common", unverified(carol), "", false},
		{fakeidp.GitHub, "", unverified(carol), "", false},
	} {
		t.Run(tc.kind+" "+tc.tenant, func(t *testing.T) {
			s := harness.Start(t, storage.SQLite, harness.Options{})
			p := connect(t, s, tc.kind, func(c *identity.ConnectionConfig) { c.Settings.Tenant = tc.tenant })
			page := p.signIn(t, s.Browser(t), tc.who)
			u := p.user(t, tc.who.Email)
			if !tc.wantAccount {
				isError(t, page, "upstream_unverified")
				if u != nil {
					t.Error("an account was made")
				}
				return
			}
			isAt(t, page, "/account")
			linked, err := s.App.Store.ExternalIdentities(t.Context(), u.ID)
			if err != nil || len(linked) != 1 || linked[0].Subject != tc.subject {
				t.Errorf("the identity is %+v, %v, want the subject %s", linked, err, tc.subject)
			}
			// The same person with another address is the same account, and another person with it is not.
			renamed := tc.who
			renamed.Email = "somebody.else@users.example"
			isAt(t, p.signIn(t, s.Browser(t), renamed), "/account")
			if p.user(t, renamed.Email) != nil {
				t.Error("another address made another account")
			}
			impostor := tc.who
			impostor.Subject = "2002"
			impostor.Tenant = "99999999-2222-3333-4444-555555555555"
			isAt(t, p.signIn(t, s.Browser(t), impostor), "/login/link")
		})
	}
}

func unverified(who fakeidp.Person) fakeidp.Person {
	who.EmailVerified = false
	return who
}
