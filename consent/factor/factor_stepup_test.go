package factor_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// stepUpClients: careful asks for a passkey or key whenever the person has one.
const stepUpClients = harness.Clients + `
  - {client_id: careful, client_name: Careful, secret: secret-of-careful-Zr8wq1LkVbX0, redirect_uris: [https://careful.example/cb], skip_consent: true,
     grant_types: [authorization_code], scope: openid, default_acr_values: ["phr"]}
`

func careful(s *harness.Server) *harness.RP {
	return s.RP("careful", "secret-of-careful-Zr8wq1LkVbX0", "https://careful.example/cb", "openid")
}

// acr and amr of a token say what was shown, for every way to show it.
func TestTokensTellHowSomebodySignedIn(t *testing.T) {
	harness.EachEngine(t, harness.Options{Clients: harness.Clients, Host: "localhost"}, func(t *testing.T, s *harness.Server) {
		rp := harness.Quiet(s, "openid")
		wantACR(t, harness.Claims(t, rp.SignIn(t, s.Browser(t), harness.Bob, nil).IDToken), acrPwd, "pwd")
		key := s.SecurityKey(t, harness.Bob)
		b := s.Browser(t)
		harness.EnterPassword(t, b, harness.Bob)
		r := rp.Authorize(nil)
		wantACR(t, granted(t, rp, r, b.Ceremony(t, harness.OpenSecondFactor(t, b, r).Form(t, "factor-passkey"), key)), acrPhr, "pwd", "hwk", "user", "mfa")
		r = rp.Authorize(nil)
		wantACR(t, granted(t, rp, r, harness.SignInByPasskey(t, s.Browser(t), r, key)), acrPhr, "hwk", "user", "mfa")
		// A key that only notices that somebody is there is still a second step, with a password.
		key.Options.UserNotVerified = true
		b = s.Browser(t)
		harness.EnterPassword(t, b, harness.Bob)
		r = rp.Authorize(nil)
		wantACR(t, granted(t, rp, r, b.Ceremony(t, harness.OpenSecondFactor(t, b, r).Form(t, "factor-passkey"), key)), acrPhr, "pwd", "hwk", "user", "mfa")
		r = rp.Authorize(nil)
		if p := harness.SignInByPasskey(t, s.Browser(t), r, key); p.Away != nil {
			t.Errorf("without user verification a passkey alone signs in: %s", p.Away)
		}
	})
}

// Step-up (OpenID Connect Core 1.0, section 3.1.2.1 and 5.5.1.1): voluntary contexts
// are asked for where the person can reach them, an essential one that they cannot
// reach is refused, and auth_time stays that of the sign-in.
func TestARequestCanAskForMore(t *testing.T) {
	harness.EachEngine(t, harness.Options{Clients: stepUpClients, Host: "localhost"}, func(t *testing.T, s *harness.Server) {
		rp := harness.Quiet(s, "openid")
		b := s.Browser(t)
		harness.SignIn(t, b, harness.Alice)
		mfa, phr := url.Values{"acr_values": {acrMFA}}, url.Values{"acr_values": {"phr " + acrMFA}}
		essential := url.Values{"claims": {`{"id_token":{"acr":{"essential":true,"values":["phr"]}}}`}}
		r := rp.Authorize(mfa)
		wantACR(t, granted(t, rp, r, b.Get(t, r.URL)), acrPwd, "pwd") // voluntary, and she has no second step
		r = careful(s).Authorize(nil)
		wantACR(t, granted(t, careful(s), r, b.Get(t, r.URL)), acrPwd, "pwd")
		p := b.Get(t, rp.Authorize(essential).URL)
		if p.Away == nil || p.Away.Query().Get("error") != "unmet_authentication_requirements" {
			t.Errorf("essential phr without any factor: %d at %s, away to %v", p.Status, p.URL, p.Away)
		}

		phone := s.Phone(t, harness.Alice)
		harness.EnterPassword(t, b, harness.Alice)
		b.Submit(t, b.Get(t, "/login/factor").Form(t, "factor"), "code", phone.Code(t))
		r = rp.Authorize(mfa)
		first := granted(t, rp, r, b.Get(t, r.URL))
		wantACR(t, first, acrMFA, "pwd", "otp", "mfa")
		p = b.Get(t, rp.Authorize(essential).URL)
		if p.Away == nil || p.Away.Query().Get("error") != "unmet_authentication_requirements" {
			t.Errorf("essential phr with an app: %d at %s, away to %v", p.Status, p.URL, p.Away)
		}
		r = rp.Authorize(phr)
		wantACR(t, granted(t, rp, r, b.Get(t, r.URL)), acrMFA, "pwd", "otp", "mfa") // the second of her wishes is met

		key := s.SecurityKey(t, harness.Alice)
		harness.EnterPassword(t, b, harness.Alice)
		b.Submit(t, b.Get(t, "/login/factor").Form(t, "factor"), "code", phone.Code(t))
		s.Clock.Advance(time.Hour)
		p = b.Get(t, rp.Authorize(url.Values{"acr_values": {"phr"}, "prompt": {"none"}}).URL)
		if p.Away == nil || p.Away.Query().Get("code") == "" {
			t.Errorf("a voluntary context under prompt=none: away to %v", p.Away)
		}
		p = b.Get(t, rp.Authorize(url.Values{"claims": essential["claims"], "prompt": {"none"}}).URL)
		if p.Away == nil || p.Away.Query().Get("error") != "login_required" {
			t.Errorf("an essential context under prompt=none: away to %v", p.Away)
		}
		r = careful(s).Authorize(nil)
		p = harness.OpenSecondFactor(t, b, r)
		if strings.Contains(p.Body, `id="code"`) || strings.Contains(p.Body, `id="use-recovery"`) {
			t.Error("a code is offered where only a key will do")
		}
		stepped := granted(t, careful(s), r, b.Ceremony(t, p.Form(t, "factor-passkey"), key))
		wantACR(t, stepped, acrPhr, "pwd", "otp", "mfa", "hwk", "user")
		age := s.Clock.Now().Unix() - int64(stepped["auth_time"].(float64))
		if age < 3600 {
			t.Errorf("auth_time is %d s ago, want the sign-in an hour ago", age)
		}
	})
}

// MF-13: who must show a key cannot choose a code instead, whatever the form says.
func TestOnlyWhatIsAskedForIsAccepted(t *testing.T) {
	harness.EachEngine(t, harness.Options{Clients: stepUpClients, Host: "localhost"}, func(t *testing.T, s *harness.Server) {
		phone, key := s.Phone(t, harness.Bob), s.SecurityKey(t, harness.Bob)
		rp := harness.Quiet(s, "openid")
		b := s.Browser(t)
		harness.EnterPassword(t, b, harness.Bob)
		r := rp.Authorize(url.Values{"claims": {`{"id_token":{"acr":{"essential":true,"value":"phr"}}}`}})
		p := harness.OpenSecondFactor(t, b, r)
		for kind, code := range map[string]string{"totp": phone.Code(t), "recovery": phone.RecoveryCodes[0], "": phone.Code(t), "pwd": "x"} {
			for _, method := range []string{"", "&method=totp", "&method=recovery"} {
				f := *p.Form(t, "factor-passkey")
				f.Action, _ = f.Action.Parse(f.Action.String() + method)
				if got := b.Submit(t, &f, "kind", kind, "code", code); got.Status != http.StatusUnprocessableEntity {
					t.Errorf("%q%s: %d at %s", kind, method, got.Status, got.URL)
				}
			}
		}
		for _, method := range []string{"totp", "recovery", "pwd"} {
			if got := b.Get(t, p.URL.String()+"&method="+method); strings.Contains(got.Body, `id="code"`) || got.Status != http.StatusOK {
				t.Errorf("method=%s offers a code: %d", method, got.Status)
			}
		}
		wantACR(t, granted(t, rp, r, b.Ceremony(t, p.Form(t, "factor-passkey"), key)), acrPhr, "pwd", "hwk", "user", "mfa")
	})
}

// A request that is older than the sign-in may be gets password and second step anew.
func TestAFreshSignInAsksForBoth(t *testing.T) {
	harness.EachEngine(t, harness.Options{Clients: harness.Clients}, func(t *testing.T, s *harness.Server) {
		phone := s.Phone(t, harness.Bob)
		rp := harness.Quiet(s, "openid")
		b := s.Browser(t)
		b.Submit(t, harness.EnterPassword(t, b, harness.Bob).Form(t, "factor"), "code", phone.Code(t))
		s.Clock.Advance(10 * time.Minute)
		r := rp.Authorize(url.Values{"max_age": {"300"}})
		p := b.Get(t, r.URL)
		if p.URL.Path != "/login" {
			t.Fatalf("max_age leads to %s", p.URL)
		}
		p = b.Submit(t, p.Form(t, "login"), "email", harness.Bob.Email, "password", harness.Bob.Password)
		claims := granted(t, rp, r, b.Submit(t, p.Form(t, "factor"), "code", phone.Code(t)))
		wantACR(t, claims, acrMFA, "pwd", "otp", "mfa")
		if age := s.Clock.Now().Unix() - int64(claims["auth_time"].(float64)); age > 60 {
			t.Errorf("auth_time is %d s ago", age)
		}
	})
}

// What an organization asks is asked once it is picked, and not of those who act for another.
func TestAnOrganizationAsksWhenItIsPicked(t *testing.T) {
	harness.EachEngine(t, harness.Options{Clients: harness.Clients, Host: "localhost"}, func(t *testing.T, s *harness.Server) {
		phone, key := s.Phone(t, harness.Alice), s.SecurityKey(t, harness.Alice)
		harness.RequireFactor(t, s, "acme-corp", storage.RequirePasskey, 0)
		rp := harness.Quiet(s, "openid org")
		b := s.Browser(t)
		harness.EnterPassword(t, b, harness.Alice)
		r := rp.Authorize(nil)
		p := b.Submit(t, harness.OpenSecondFactor(t, b, r).Form(t, "factor"), "code", phone.Code(t))
		if p.URL.Path != "/org" {
			t.Fatalf("the code leads to %s", p.URL)
		}
		p = b.Submit(t, p.FormWith(t, "organization"), "organization", "acme-corp")
		if p.URL.Path != "/login/factor" || strings.Contains(p.Body, `id="code"`) || !strings.Contains(p.Body, "Acme Corp") {
			t.Fatalf("the pick leads to %d at %s", p.Status, p.URL)
		}
		wantACR(t, granted(t, rp, r, b.Ceremony(t, p.Form(t, "factor-passkey"), key)), acrPhr, "pwd", "otp", "mfa", "hwk", "user")
		other := s.Browser(t)
		harness.EnterPassword(t, other, harness.Alice)
		r = rp.Authorize(nil)
		p = other.Submit(t, harness.OpenSecondFactor(t, other, r).Form(t, "factor"), "code", phone.Code(t))
		wantACR(t, granted(t, rp, r, other.Submit(t, p.FormWith(t, "organization"), "organization", "tech-startup")), acrMFA, "pwd", "otp", "mfa")
	})
}

// WA-01: a challenge counts for the session that it was given to, five minutes, once;
// the answer must be for this origin and purpose, by a key of this person.
func TestForeignAnswersOfAnAuthenticator(t *testing.T) {
	harness.EachEngine(t, harness.Options{Host: "localhost"}, func(t *testing.T, s *harness.Server) {
		key, stranger := s.SecurityKey(t, harness.Bob), s.SecurityKey(t, harness.Alice)
		type attack func(b *harness.Browser, f *harness.Form) string
		with := func(change func(a *harness.Authenticator)) attack {
			return func(b *harness.Browser, f *harness.Form) string {
				a := *key
				change(&a)
				return b.Answer(t, f, &a)
			}
		}
		attacks := map[string]attack{
			"another origin":      with(func(a *harness.Authenticator) { a.Origin = "https://evil.example" }),
			"an evil sub-domain":  with(func(a *harness.Authenticator) { a.Origin = strings.Replace(a.Origin, "localhost", "evil.localhost", 1) }),
			"another port":        with(func(a *harness.Authenticator) { a.Origin = "http://localhost:1" }),
			"another RP ID":       with(func(a *harness.Authenticator) { a.RPID = "evil.example" }),
			"nobody there":        with(func(a *harness.Authenticator) { a.Options.UserNotPresent = true }),
			"somebody else's key": func(b *harness.Browser, f *harness.Form) string { return b.Answer(t, f, stranger) },
			"an unknown key":      func(b *harness.Browser, f *harness.Form) string { return b.Answer(t, f, s.Authenticator(t)) },
			"another browser's challenge": func(_ *harness.Browser, _ *harness.Form) string {
				b := s.Browser(t)
				return b.Answer(t, harness.EnterPassword(t, b, harness.Bob).Form(t, "factor-passkey"), key)
			},
			"another person's challenge": func(_ *harness.Browser, _ *harness.Form) string {
				b := s.Browser(t)
				return b.Answer(t, harness.EnterPassword(t, b, harness.Alice).Form(t, "factor-passkey"), key)
			},
			"a first factor's challenge": func(_ *harness.Browser, _ *harness.Form) string {
				b := s.Browser(t)
				for _, f := range b.Get(t, "/login").Forms {
					if f.WebAuthn == "get" {
						return b.Answer(t, &f, key)
					}
				}
				t.Fatal("no passkey form")
				return ""
			},
			"a challenge of six minutes ago": func(b *harness.Browser, f *harness.Form) string {
				answer := b.Answer(t, f, key)
				s.Clock.Advance(6 * time.Minute)
				return answer
			},
			"the answer of a creation": func(b *harness.Browser, f *harness.Form) string {
				create, a := *f, *key
				create.WebAuthn = "create"
				return b.Answer(t, &create, &a)
			},
			"nothing":      func(*harness.Browser, *harness.Form) string { return "" },
			"no JSON":      func(*harness.Browser, *harness.Form) string { return "null" },
			"a bare array": func(*harness.Browser, *harness.Form) string { return "[]" },
			"a flood":      func(*harness.Browser, *harness.Form) string { return `{"id":"` + strings.Repeat("A", 40_000) + `"}` },
		}
		for name, forge := range attacks {
			s.Clock.Advance(2 * time.Minute) // past the limits of a minute
			b := s.Browser(t)
			f := harness.EnterPassword(t, b, harness.Bob).Form(t, "factor-passkey")
			if p := b.Submit(t, f, "credential", forge(b, f)); p.Status != http.StatusUnprocessableEntity {
				t.Errorf("%s: %d at %s", name, p.Status, p.URL)
			}
		}
		b := s.Browser(t)
		f := harness.EnterPassword(t, b, harness.Bob).Form(t, "factor-passkey")
		if p := b.Ceremony(t, f, key); p.URL.Path != "/" {
			t.Fatalf("the key itself: %d at %s", p.Status, p.URL)
		}
		if p := b.Post(t, f.Begin, url.Values{"csrf": {uuid.NewString()}}); p.Status != http.StatusForbidden || !strings.HasPrefix(p.Header.Get("Content-Type"), "application/json") {
			t.Errorf("a challenge without the form's token: %d, %s", p.Status, p.Header.Get("Content-Type"))
		}
	})
}

// MF-07: the recovery codes that came with a key are no app: where one is required,
// they lead to setting it up.
func TestARecoveryCodeIsNoAuthenticatorApp(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{Clients: harness.Clients, Host: "localhost"})
	codes := s.SecurityKey(t, harness.Bob).RecoveryCodes
	harness.RequireFactor(t, s, "acme-corp", storage.RequireTOTP, 0)
	b := s.Browser(t)
	p := harness.EnterPassword(t, b, harness.Bob)
	p = b.Get(t, p.URL.String()+"?method=recovery")
	b.Submit(t, p.Form(t, "factor"), "code", codes[0])
	due(t, b.Get(t, harness.Quiet(s, "openid org").Authorize(nil).URL))
	due(t, b.Get(t, "/account"))
}

// The time that a policy leaves is for everybody: who has lost the key that will be
// asked for comes in with what else they have, and can replace it.
func TestUntilTheDeadlineAnySecondStepWillDo(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{Clients: harness.Clients, Host: "localhost"})
	phone := s.Phone(t, harness.Bob)
	s.SecurityKey(t, harness.Bob)
	harness.RequireFactor(t, s, "acme-corp", storage.RequirePasskey, 30)
	b := s.Browser(t)
	p := harness.EnterPassword(t, b, harness.Bob)
	if p = b.Submit(t, p.Form(t, "factor"), "code", phone.Code(t)); p.Status != http.StatusOK || p.URL.Path != "/" {
		t.Fatalf("within the grace a code leads to %d at %s", p.Status, p.URL)
	}
	if p = b.Get(t, "/account/security/passkey"); p.URL.Path != "/account/security/passkey" {
		t.Errorf("another key cannot be added: %s", p.URL)
	}
	s.Clock.Advance(31 * 24 * time.Hour)
	// A password alone is not told which kind an organization asks for; the code is.
	p = harness.EnterPassword(t, b, harness.Bob)
	b.Submit(t, p.Form(t, "factor"), "code", phone.Code(t))
	if p = b.Get(t, "/account"); p.URL.Path != "/login/factor" || strings.Contains(p.Body, `id="code"`) {
		t.Errorf("after the deadline a code is enough, or still offered: %s", p.URL)
	}
}

// RT-07, MF-07: past the deadline it is not enough that somebody has a second step:
// what was granted on a password alone is refused until they have signed in with it.
// The grant stays, for a policy can be taken back.
func TestARefreshNeedsWhatThePolicyAsksToHaveBeenShown(t *testing.T) {
	harness.EachEngine(t, harness.Options{Clients: harness.Clients}, func(t *testing.T, s *harness.Server) {
		b := s.Browser(t)
		harness.SignIn(t, b, harness.Bob)
		const scope = "openid offline_access org"
		old := harness.QuietTokens(t, s, b, scope)
		p := b.Get(t, "/account/security/app")
		goOn(t, b, b.Submit(t, p.Form(t, "app"), "code", harness.TOTP(t, harness.TOTPKey(t, p), s.Clock.Now())))
		now := harness.QuietTokens(t, s, b, scope)
		harness.RequireFactor(t, s, "acme-corp", storage.RequireAny, 0)
		rp := harness.Quiet(s, scope)
		if got := rp.Refresh(t, old.RefreshToken); got.Status != http.StatusBadRequest || got.Error != "invalid_grant" {
			t.Errorf("a grant on a password alone: %d %s", got.Status, got.Error)
		}
		if got := rp.Refresh(t, now.RefreshToken); got.Status != http.StatusOK {
			t.Errorf("a grant on both: %d %s", got.Status, got.Description)
		}
		harness.RequireFactor(t, s, "acme-corp", "", 0)
		if got := rp.Refresh(t, old.RefreshToken); got.Status != http.StatusOK {
			t.Errorf("with the policy gone: %d %s", got.Status, got.Description)
		}
	})
}

// OpenID Connect Core 1.0, section 5.5.1.1: an essential acr is answered with one of
// the values asked for, in every token of the grant; a voluntary one with the truth.
func TestAnEssentialContextIsAnsweredToTheLetter(t *testing.T) {
	clients := strings.ReplaceAll(harness.Clients, "client_id: quiet,", "client_id: quiet, access_token_format: jwt,")
	harness.EachEngine(t, harness.Options{Clients: clients, Host: "localhost"}, func(t *testing.T, s *harness.Server) {
		key, rp, b := s.SecurityKey(t, harness.Bob), harness.Quiet(s, "openid offline_access"), s.Browser(t)
		harness.EnterPassword(t, b, harness.Bob)
		b.Ceremony(t, b.Get(t, "/login/factor").Form(t, "factor-passkey"), key)
		for name, c := range map[string]struct {
			extra url.Values
			want  string
		}{
			"one value":           {url.Values{"claims": {`{"id_token":{"acr":{"essential":true,"value":"` + acrMFA + `"}}}`}}, acrMFA},
			"the best of several": {url.Values{"claims": {`{"id_token":{"acr":{"essential":true,"values":["` + acrPwd + `","` + acrMFA + `","gold"]}}}`}}, acrMFA},
			"the session's own":   {url.Values{"claims": {`{"id_token":{"acr":{"essential":true,"values":["` + acrMFA + `","phr"]}}}`}}, acrPhr},
			"voluntary":           {url.Values{"claims": {`{"id_token":{"acr":{"values":["` + acrMFA + `"]}}}`}}, acrPhr},
			"acr_values":          {url.Values{"acr_values": {acrMFA}}, acrPhr},
		} {
			r := rp.Authorize(c.extra)
			p := b.Get(t, r.URL)
			if p.Away == nil || p.Away.Query().Get("code") == "" {
				t.Fatalf("%s: no code: %d at %s, away to %v", name, p.Status, p.URL, p.Away)
			}
			tokens := rp.Redeem(t, p.Away.Query().Get("code"), r)
			again := rp.Refresh(t, tokens.RefreshToken)
			for what, claims := range map[string]map[string]any{
				"ID token": harness.Claims(t, tokens.IDToken), "access token": harness.Claims(t, tokens.AccessToken), "introspection": rp.Introspect(t, tokens.AccessToken),
				"refreshed ID token": harness.Claims(t, again.IDToken), "refreshed access token": harness.Claims(t, again.AccessToken),
			} {
				if claims["acr"] != c.want {
					t.Errorf("%s: the acr of the %s is %v, want %s", name, what, claims["acr"], c.want)
				}
			}
		}
		// The policy looks at what was shown, not at what was told of it.
		r := rp.Authorize(url.Values{"claims": {`{"id_token":{"acr":{"essential":true,"value":"` + acrMFA + `"}}}`}})
		tokens := rp.Redeem(t, b.Get(t, r.URL).Away.Query().Get("code"), r)
		harness.RequireFactor(t, s, "", storage.RequirePasskey, 0)
		if again := rp.Refresh(t, tokens.RefreshToken); again.Status != http.StatusOK {
			t.Errorf("a grant on a passkey that told mfa: %d %s", again.Status, again.Description)
		}
	})
}

// A user who has lost the only passkey that satisfies a policy is told that recovery codes do not count, which
// organization requires it, and whom to ask.
func TestALostKeyThatIsRequiredLeadsToHelp(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{Clients: stepUpClients, Host: "localhost", Environ: []string{"SALLYPORT_SUPPORT_EMAIL=help@acme.example"}})
	s.SecurityKey(t, harness.Bob)
	if p := harness.EnterPassword(t, s.Browser(t), harness.Bob); strings.Contains(p.Body, `id="key-only"`) {
		t.Error("a page that takes recovery codes says that they do not count")
	}
	harness.RequireFactor(t, s, "acme-corp", storage.RequirePasskey, 0)
	b := s.Browser(t)
	// A password alone does not tell in which organizations the person is.
	if p := harness.EnterPassword(t, b, harness.Bob); strings.Contains(p.Body, "Acme") || strings.Contains(p.Body, `id="key-only"`) {
		t.Error("a page before the second factor tells of an organization's policy")
	}
	harness.RequireFactor(t, s, "acme-corp", "", 0)
	harness.RequireFactor(t, s, "", storage.RequirePasskey, 0)
	harness.MustShow(t, b.Get(t, "/login/factor"), http.StatusOK, "This service</bdi> accepts only a passkey", "no recovery code either", "mailto:help@acme.example")
	harness.RequireFactor(t, s, "", "", 0)
	harness.MustShow(t, harness.OpenSecondFactor(t, b, careful(s).Authorize(nil)), http.StatusOK, "Careful</bdi> accepts only a passkey")
	// The codes do not promise what they cannot do.
	harness.SignIn(t, b, harness.Alice)
	p := b.Get(t, "/account/security/passkey")
	for i := range p.Forms {
		if p.Forms[i].WebAuthn == "create" {
			harness.MustShow(t, b.Ceremony(t, &p.Forms[i], s.Authenticator(t)), http.StatusOK, "codes don’t work where", `href="/account/security/passkey"`)
		}
	}
}
