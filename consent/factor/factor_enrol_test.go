package factor_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

var (
	keyOnPage   = regexp.MustCompile(`<code id="key"[^>]*>([A-Z2-7 ]+)</code>`)
	codesOnPage = regexp.MustCompile(`<pre class="code-text" id="codes">([^<]+)</pre>`)
	goOnOnPage  = regexp.MustCompile(`<a class="button primary" id="continue" href="([^"]+)">`)
)

// due is the page of somebody who must enrol a second step now.
func due(t *testing.T, p *harness.Page) *harness.Page {
	t.Helper()
	if p.URL.Path != "/login/factor" || p.Status != http.StatusOK || !strings.Contains(p.Body, "Set up two-step verification") {
		t.Fatalf("no second step is to be set up: %d at %s, away to %v", p.Status, p.URL, p.Away)
	}
	return p
}

// enrolPhone sets an authenticator app up on the page that asks for it, and returns
// the page after its first code.
func enrolPhone(t *testing.T, s *harness.Server, b *harness.Browser, p *harness.Page) *harness.Page {
	t.Helper()
	p = b.Submit(t, p.Form(t, "enrol-totp"), "enrol", "totp")
	found := keyOnPage.FindStringSubmatch(p.Body)
	if found == nil || !strings.Contains(p.Body, `src="data:image/png;base64,`) {
		t.Fatalf("no key is shown: %d at %s:\n%s", p.Status, p.URL, p.Body)
	}
	return b.Submit(t, p.Form(t, "totp"), "code", harness.TOTP(t, strings.ReplaceAll(found[1], " ", ""), s.Clock.Now()))
}

// goOn follows the button of the page with the recovery codes.
func goOn(t *testing.T, b *harness.Browser, p *harness.Page) *harness.Page {
	t.Helper()
	codes, next := codesOnPage.FindStringSubmatch(p.Body), goOnOnPage.FindStringSubmatch(p.Body)
	if codes == nil || len(strings.Fields(codes[1])) != 3 || next == nil {
		t.Fatalf("no three recovery codes are shown: %d at %s:\n%s", p.Status, p.URL, p.Body)
	}
	return b.Get(t, strings.ReplaceAll(next[1], "&amp;", "&"))
}

// When the time for it is over, somebody without a second step sets one up
// before anything else, on the way to an app or to their account.
func TestAnOverdueSecondStepIsSetUpFirst(t *testing.T) {
	harness.EachEngine(t, harness.Options{Clients: harness.Clients}, func(t *testing.T, s *harness.Server) {
		harness.RequireFactor(t, s, "", storage.RequireAny, 0)
		rp := harness.Quiet(s, "openid")
		b := s.Browser(t)
		r := rp.Authorize(nil)
		p := due(t, b.Submit(t, b.Get(t, r.URL).Form(t, "login"), "email", harness.Bob.Email, "password", harness.Bob.Password))
		if !strings.Contains(p.Body, "This service requires two-step verification") {
			t.Error("the page does not say who requires it")
		}
		due(t, b.Get(t, "/account"))
		if p := b.Get(t, "/api/v1/users/me"); p.Status == http.StatusOK {
			t.Error("the API answers")
		}
		if p := b.Get(t, rp.Authorize(url.Values{"prompt": {"none"}}).URL); p.Away == nil || p.Away.Query().Get("error") != "login_required" {
			t.Errorf("prompt=none: away to %v", p.Away)
		}
		before := harness.CookieOf(s, b)
		p = enrolPhone(t, s, b, p)
		if harness.CookieOf(s, b) == before {
			t.Error("SS-01: the token is the same as before")
		}
		if cc := p.Header.Get("Cache-Control"); cc != "no-store" {
			t.Errorf("MF-08: the page with the codes may be kept: %q", cc)
		}
		wantACR(t, granted(t, rp, r, goOn(t, b, p)), acrMFA, "pwd", "otp", "mfa")
		if mail := s.LastMail(t, harness.Bob.Email); !strings.Contains(strings.ToLower(mail.Subject+mail.Text), "authenticator app") {
			t.Errorf("the mail about it is %q", mail.Subject)
		}
		if p := b.Get(t, "/account"); p.URL.Path != "/account" {
			t.Errorf("then /account leads to %s", p.URL)
		}
	})
}

// MF-08: a wrong first code leaves the app waiting, a key of the request's own
// choosing is not taken, and a new key makes the one before worthless.
func TestAnAppCountsOnceItHasShownACode(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		harness.RequireFactor(t, s, "", storage.RequireTOTP, 0)
		b := s.Browser(t)
		harness.SignIn(t, b, harness.Bob)
		p := due(t, b.Get(t, "/login/factor"))
		if strings.Contains(p.Body, "add-passkey") {
			t.Error("a passkey is offered where only an app will do")
		}
		if got := b.Submit(t, p.Form(t, "enrol-totp"), "enrol", "totp-code", "code", "123456"); got.Status != http.StatusUnprocessableEntity {
			t.Errorf("a code before there is a key: %d", got.Status)
		}
		const chosen = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
		p = b.Submit(t, p.Form(t, "enrol-totp"), "enrol", "totp", "secret", chosen, "key", chosen)
		first := strings.ReplaceAll(keyOnPage.FindStringSubmatch(p.Body)[1], " ", "")
		if len(first) < 32 || first == chosen {
			t.Errorf("the key is %q, want 160 bits of the server's own", first)
		}
		p = b.Submit(t, p.Form(t, "totp"), "code", "000000")
		if p.Status != http.StatusUnprocessableEntity || strings.Contains(p.Body, `id="key"`) {
			t.Fatalf("a wrong first code: %d at %s", p.Status, p.URL)
		}
		p = b.Submit(t, p.Form(t, "totp-again"), "enrol", "totp")
		if again := harness.TOTPKey(t, p); again != first {
			t.Error("after a wrong code there is another key than the one in the app")
		}
		p = b.Submit(t, p.Form(t, "totp"), "code", harness.TOTP(t, first, s.Clock.Now()))
		if p = goOn(t, b, p); p.URL.Path != "/" {
			t.Errorf("it leads to %s", p.URL)
		}
	})
}

// An organization that wants passkeys gets one, and nothing else will do (MF-13).
func TestAnOrganizationsDeadlineIsMetByWhatItAsksFor(t *testing.T) {
	harness.EachEngine(t, harness.Options{Clients: harness.Clients, Host: "localhost"}, func(t *testing.T, s *harness.Server) {
		harness.RequireFactor(t, s, "acme-corp", storage.RequirePasskey, 7)
		rp := harness.Quiet(s, "openid org")
		b := s.Browser(t)
		r := rp.Authorize(nil)
		p := b.Submit(t, b.Get(t, r.URL).Form(t, "login"), "email", harness.Bob.Email, "password", harness.Bob.Password)
		wantACR(t, granted(t, rp, r, p), acrPwd, "pwd") // there is time left
		s.Clock.Advance(8 * 24 * time.Hour)
		b = s.Browser(t)
		r = rp.Authorize(nil)
		p = due(t, b.Submit(t, b.Get(t, r.URL).Form(t, "login"), "email", harness.Bob.Email, "password", harness.Bob.Password))
		if !strings.Contains(p.Body, "Acme Corp") || strings.Contains(p.Body, "add-totp") {
			t.Error("the page offers something else, or does not say who requires it")
		}
		for _, what := range []string{"totp", "totp-code"} {
			if got := b.Submit(t, p.Form(t, "enrol-passkey"), "enrol", what, "code", "123456"); got.Status != http.StatusUnprocessableEntity || strings.Contains(got.Body, `id="key"`) {
				t.Errorf("enrol=%s: %d at %s", what, got.Status, got.URL)
			}
		}
		key := s.Authenticator(t)
		p = b.Ceremony(t, p.Form(t, "enrol-passkey"), key)
		wantACR(t, granted(t, rp, r, goOn(t, b, p)), acrPhr, "pwd", "hwk", "user", "mfa")
		other := s.Browser(t)
		r = rp.Authorize(nil)
		harness.EnterPassword(t, other, harness.Bob)
		wantACR(t, granted(t, rp, r, other.Ceremony(t, harness.OpenSecondFactor(t, other, r).Form(t, "factor-passkey"), key)), acrPhr, "pwd", "hwk", "user", "mfa")
	})
}

// Enrolling needs a sign-in within five minutes: who has found a browser signed
// in must not make the second step their own.
func TestSettingUpNeedsAFreshSignIn(t *testing.T) {
	harness.EachEngine(t, harness.Options{Clients: harness.Clients, Host: "localhost"}, func(t *testing.T, s *harness.Server) {
		rp := harness.Quiet(s, "openid")
		b := s.Browser(t)
		harness.SignIn(t, b, harness.Bob)
		harness.RequireFactor(t, s, "", storage.RequireAny, 0)
		early := due(t, b.Get(t, "/login/factor"))
		s.Clock.Advance(6 * time.Minute)
		for _, what := range []string{"totp", "totp-code", "webauthn"} {
			if got := b.Submit(t, early.Form(t, "enrol-totp"), "enrol", what); got.Status != http.StatusUnprocessableEntity || !strings.Contains(got.Body, "To protect your account, sign in again") {
				t.Errorf("enrol=%s: %d at %s", what, got.Status, got.URL)
			}
		}
		f := early.Form(t, "enrol-passkey")
		if got := b.Post(t, f.Begin, url.Values{"csrf": f.Values["csrf"]}); got.Status != http.StatusForbidden || !strings.Contains(got.Body, "out of date") {
			t.Errorf("a challenge: %d: %s", got.Status, got.Body)
		}
		if p := b.Get(t, "/login/factor?to=/account"); !strings.Contains(p.Body, "To protect your account, sign in again") || !strings.Contains(p.Body, `href="/login?to=`) {
			t.Fatalf("it may be set up: %d at %s", p.Status, p.URL)
		}
		r := rp.Authorize(nil)
		p := b.Get(t, r.URL)
		if !strings.Contains(p.Body, "To protect your account, sign in again") {
			t.Fatalf("in a flow it may be set up: %d at %s", p.Status, p.URL)
		}
		p = b.Submit(t, p.Form(t, "again"), "switch", "1")
		if p.URL.Path != "/login" {
			t.Fatalf("the button leads to %s", p.URL)
		}
		p = due(t, b.Submit(t, p.Form(t, "login"), "email", harness.Bob.Email, "password", harness.Bob.Password))
		wantACR(t, granted(t, rp, r, goOn(t, b, enrolPhone(t, s, b, p))), acrMFA, "pwd", "otp", "mfa")
	})
}

// Nor must who uses a session from elsewhere, where that does not end it.
func TestSettingUpNeedsTheBrowserThatSignedIn(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{Environ: []string{"SALLYPORT_SESSION_PROTECTION=basic"}})
	b := s.Browser(t)
	harness.SignIn(t, b, harness.Bob)
	harness.RequireFactor(t, s, "", storage.RequireAny, 0)
	due(t, b.Get(t, "/login/factor"))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Issuer+"/login/factor", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("User-Agent", "curl/8.0")
	if p := b.Do(t, req); !strings.Contains(p.Body, "To protect your account, sign in again") {
		t.Errorf("it may be set up: %d at %s", p.Status, p.URL)
	}
}

// Nothing attaches to an address that is not proven, so that comes first, and
// the page helps with it.
func TestSettingUpNeedsAProvenAddress(t *testing.T) {
	harness.EachEngine(t, harness.Options{Environ: []string{"SALLYPORT_REGISTRATION=on", "SALLYPORT_CONFIRM_EMAIL=false"}}, func(t *testing.T, s *harness.Server) {
		eve := harness.Person{Email: "eve@wonderland.example", Password: "a quiet river bends north"}
		b := s.Browser(t)
		p := b.Get(t, "/register")
		p = b.Submit(t, p.Form(t, "register"), "email", eve.Email, "password", eve.Password, "name", "Eve")
		if p.Status != http.StatusOK || harness.CookieOf(s, b) == "" {
			t.Fatalf("she cannot register: %d at %s", p.Status, p.URL)
		}
		harness.RequireFactor(t, s, "", storage.RequireAny, 0)
		p = b.Get(t, "/login/factor")
		if !strings.Contains(p.Body, "Confirm your email first") {
			t.Fatalf("an unproven address: %d at %s:\n%s", p.Status, p.URL, p.Body)
		}
		if got := b.Submit(t, p.Form(t, "verify"), "enrol", "totp"); strings.Contains(got.Body, `id="key"`) || got.Status != http.StatusUnprocessableEntity {
			t.Errorf("enrol=totp: %d at %s", got.Status, got.URL)
		}
		before := len(s.Mail(t, eve.Email))
		p = b.Submit(t, p.Form(t, "verify"), "enrol", "verify")
		if p.Status != http.StatusOK || len(s.Mail(t, eve.Email)) != before+1 {
			t.Fatalf("no mail is sent: %d at %s", p.Status, p.URL)
		}
		p = b.Get(t, s.LastMail(t, eve.Email).Link)
		b.Submit(t, p.FormWith(t, "csrf"))
		p = due(t, b.Get(t, "/login/factor"))
		if p = goOn(t, b, enrolPhone(t, s, b, p)); p.URL.Path != "/" {
			t.Errorf("it leads to %s", p.URL)
		}
	})
}

// MF-07: whichever way somebody comes in, they end at what is required.
func TestEveryWayInEndsAtThePolicy(t *testing.T) {
	harness.EachEngine(t, harness.Options{Clients: harness.Clients, Environ: []string{"SALLYPORT_RECOVERY=on"}}, func(t *testing.T, s *harness.Server) {
		harness.RequireFactor(t, s, "acme-corp", storage.RequireAny, 0)
		rp := harness.Quiet(s, "openid org")
		reset := func(who harness.Person) harness.Person {
			b := s.Browser(t)
			p := b.Get(t, "/recover")
			b.Submit(t, p.FormWith(t, "email"), "email", who.Email)
			p = b.Get(t, s.LastMail(t, who.Email).Link)
			who.Password = "the lantern swings at dusk"
			if p = b.Submit(t, p.FormWith(t, "password"), "password", who.Password); p.Status != http.StatusOK {
				t.Fatalf("the reset: %d at %s", p.Status, p.URL)
			}
			return who
		}
		// Without a second step, after a reset: set one up.
		bob := reset(harness.Bob)
		b := s.Browser(t)
		r := rp.Authorize(nil)
		p := due(t, b.Submit(t, b.Get(t, r.URL).Form(t, "login"), "email", bob.Email, "password", bob.Password))
		wantACR(t, granted(t, rp, r, goOn(t, b, enrolPhone(t, s, b, p))), acrMFA, "pwd", "otp", "mfa")
		// With one, after a reset: show it. A mailbox alone is not enough.
		phone := s.Phone(t, harness.Alice)
		alice := reset(harness.Alice)
		b = s.Browser(t)
		p = harness.EnterPassword(t, b, alice)
		if p = b.Submit(t, p.Form(t, "factor"), "code", phone.Code(t)); p.URL.Path != "/" {
			t.Errorf("the code leads to %d at %s", p.Status, p.URL)
		}
		// By invitation, into a new account and into one that is there.
		o, err := s.App.Store.OrganizationBySlug(t.Context(), "acme-corp")
		if err != nil {
			t.Fatal(err)
		}
		dora := harness.Person{Email: "dora@wonderland.example", Password: "a quiet river bends north"}
		for _, email := range []string{dora.Email, harness.Admin.Email} {
			if _, err := s.App.Identity.Invitations.Create(t.Context(), identity.Operator(), o.ID, email, storage.RoleMember); err != nil {
				t.Fatal(err)
			}
		}
		b = s.Browser(t)
		p = b.Get(t, s.LastMail(t, dora.Email).Link)
		b.Submit(t, p.Form(t, "register"), "password", dora.Password)
		due(t, b.Get(t, "/account"))
		b = s.Browser(t)
		harness.SignIn(t, b, harness.Admin)
		b.Submit(t, b.Get(t, s.LastMail(t, harness.Admin.Email).Link).Form(t, "accept-form"), "act", "accept")
		due(t, b.Get(t, "/account"))
		p = b.Get(t, rp.Authorize(nil).URL) // she has one of her own too
		due(t, b.Submit(t, p.FormWith(t, "organization"), "organization", "acme-corp"))
	})
}

// A stricter policy with a grace leaves no gap: until its deadline the one before it
// holds, for sign-ins, refreshes and personal access tokens.
func TestAStricterPolicyLeavesNoGap(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{Clients: harness.Clients, Host: "localhost"})
	ctx := t.Context()
	o, err := s.App.Store.OrganizationBySlug(ctx, "acme-corp")
	if err != nil {
		t.Fatal(err)
	}
	acme, b := o.ID, s.Browser(t)
	harness.SignIn(t, b, harness.Bob)
	const scope = "openid offline_access org"
	tokens := harness.QuietTokens(t, s, b, scope)
	pat, _, err := s.App.Identity.Tokens.Create(ctx, identity.Actor{UserID: s.User(t, harness.Bob).ID}, identity.NewToken{OrganizationID: acme, Name: "CI", Scopes: []string{identity.ScopeRead}})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []storage.MFAPolicy{{Require: storage.RequireAny}, {Require: storage.RequirePasskey, GraceDays: 30}} {
		if _, err := s.App.Identity.Policies.SetMFA(ctx, identity.Operator(), acme, p); err != nil {
			t.Fatal(err)
		}
		due(t, b.Get(t, "/account"))
		if again := harness.Quiet(s, scope).Refresh(t, tokens.RefreshToken); again.Error != "invalid_grant" {
			t.Errorf("%s: a refresh gets %d %s", p.Require, again.Status, again.Error)
		}
		if got, err := s.App.Identity.Tokens.ByHash(ctx, secret.HashOf(pat)); err != nil || !got.Overdue {
			t.Errorf("%s: a personal access token is good: %v", p.Require, err)
		}
		list, err := s.App.Identity.Policies.Compliance(ctx, identity.Operator(), acme, uuid.Nil, 10)
		if err != nil || len(list) != 2 || !list[0].Overdue || !list[1].Overdue {
			t.Errorf("%s: compliance %+v, %v", p.Require, list, err)
		}
	}
}

// A user who takes their time with an app, reloads the page or opens it twice can still
// confirm the key that they have scanned, in that session; beginning needs a fresh
// sign-in.
func TestAScannedKeyStaysGood(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{Clients: harness.Clients})
	b := s.Browser(t)
	harness.SignIn(t, b, harness.Bob)
	p := b.Get(t, "/account/security/app")
	key := harness.TOTPKey(t, p)
	if again := harness.TOTPKey(t, b.Get(t, "/account/security/app")); again != key {
		t.Error("loading the page again shows another key")
	}
	s.Clock.Advance(10 * time.Minute)
	if got := b.Get(t, "/account/security/app"); got.URL.Path != "/login" {
		t.Errorf("without a fresh sign-in the key is shown: %s", got.URL)
	}
	other := s.Browser(t)
	harness.SignIn(t, other, harness.Bob)
	code := func() string { return harness.TOTP(t, key, s.Clock.Now()) }
	csrf := other.Get(t, "/account/profile").Form(t, "profile").Values
	if got := other.Post(t, "/account/security/app", url.Values{"csrf": csrf["csrf"], "code": {code()}}); got.Status != http.StatusUnprocessableEntity {
		t.Errorf("in another session: %d at %s", got.Status, got.URL)
	}
	goOn(t, b, b.Submit(t, p.Form(t, "app"), "code", code()))

	// The same where it is required.
	harness.RequireFactor(t, s, "", storage.RequireAny, 0)
	b = s.Browser(t)
	harness.SignIn(t, b, harness.Alice)
	p = due(t, b.Get(t, "/login/factor"))
	choice := p.Form(t, "enrol-totp")
	p = b.Submit(t, choice, "enrol", "totp")
	key = harness.TOTPKey(t, p)
	if again := harness.TOTPKey(t, b.Submit(t, choice, "enrol", "totp")); again != key {
		t.Error("choosing the app again shows another key")
	}
	s.Clock.Advance(6 * time.Minute)
	if got := b.Submit(t, choice, "enrol", "totp"); got.Status != http.StatusUnprocessableEntity || strings.Contains(got.Body, key[:4]+" ") {
		t.Errorf("without a fresh sign-in the key is shown: %d", got.Status)
	}
	goOn(t, b, b.Submit(t, p.Form(t, "totp"), "code", code()))
}

// The recovery codes are shown once: not even a session that ends at that moment takes
// them along.
func TestTheFirstCodesAreShownWhateverBecomesOfTheSession(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{Clients: harness.Clients})
	harness.RequireFactor(t, s, "", storage.RequireAny, 0)
	b, other := s.Browser(t), s.Browser(t)
	harness.SignIn(t, b, harness.Bob)
	harness.SignIn(t, other, harness.Alice)
	s.Exec(t, `CREATE TRIGGER ends AFTER INSERT ON recovery_codes BEGIN UPDATE sessions SET ended_at = 1, end_reason = 'test' WHERE ended_at IS NULL AND user_id = NEW.user_id; END`)
	if p := goOn(t, b, enrolPhone(t, s, b, due(t, b.Get(t, "/login/factor")))); p.URL.Path != "/login" {
		t.Errorf("the button leads to %s", p.URL)
	}
	harness.RequireFactor(t, s, "", "", 0)
	p := other.Get(t, "/account/security/app")
	goOn(t, other, other.Submit(t, p.Form(t, "app"), "code", harness.TOTP(t, harness.TOTPKey(t, p), s.Clock.Now())))
}

// The browser in which somebody has set a second step up is no new device to them.
func TestTheBrowserOfAnEnrolmentIsKnown(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{Clients: harness.Clients})
	b := s.Browser(t)
	harness.SignIn(t, b, harness.Bob)
	p := b.Get(t, "/account/security/app")
	key := harness.TOTPKey(t, p)
	goOn(t, b, b.Submit(t, p.Form(t, "app"), "code", harness.TOTP(t, key, s.Clock.Now())))
	s.Clock.Advance(time.Minute)
	before := len(s.Mail(t, harness.Bob.Email))
	b.Submit(t, harness.EnterPassword(t, b, harness.Bob).Form(t, "factor"), "code", harness.TOTP(t, key, s.Clock.Now()))
	if mails := s.Mail(t, harness.Bob.Email)[before:]; len(mails) > 0 {
		t.Errorf("a mail says %q", mails[0].Subject)
	}
}
