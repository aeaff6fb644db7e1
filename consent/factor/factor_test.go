package factor_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

const (
	acrPwd = "urn:sallyport:acr:pwd"
	acrMFA = "urn:sallyport:acr:mfa"
	acrPhr = "phr"
)

// granted is the ID token of a request whose journey ended with a code.
func granted(t *testing.T, rp *harness.RP, r *harness.Request, p *harness.Page) map[string]any {
	t.Helper()
	if p.Away == nil || p.Away.Query().Get("code") == "" {
		t.Fatalf("no code: %d at %s, away to %v:\n%s", p.Status, p.URL, p.Away, p.Body)
	}
	return harness.Claims(t, rp.Redeem(t, p.Away.Query().Get("code"), r).IDToken)
}

// wantACR checks acr and amr of an ID token.
func wantACR(t *testing.T, claims map[string]any, acr string, amr ...string) {
	t.Helper()
	var got []string
	list, _ := claims["amr"].([]any)
	for _, m := range list {
		got = append(got, m.(string))
	}
	slices.Sort(got)
	slices.Sort(amr)
	if claims["acr"] != acr || !slices.Equal(got, amr) {
		t.Errorf("acr %v, amr %v; want %s, %v", claims["acr"], got, acr, amr)
	}
}

// onward follows the button of a page that comes after a second step.
func onward(t *testing.T, b *harness.Browser, p *harness.Page) *harness.Page {
	t.Helper()
	next := goOnOnPage.FindStringSubmatch(p.Body)
	if next == nil {
		t.Fatalf("no way on: %d at %s:\n%s", p.Status, p.URL, p.Body)
	}
	return b.Get(t, strings.ReplaceAll(next[1], "&amp;", "&"))
}

// MF-04: what a password has earned of somebody with a second step is good for the
// page that asks for it, and for nothing else.
func TestAHalfSessionCarriesNoRights(t *testing.T) {
	harness.EachEngine(t, harness.Options{Clients: harness.Clients}, func(t *testing.T, s *harness.Server) {
		s.Phone(t, harness.Bob)
		b := s.Browser(t)
		harness.EnterPassword(t, b, harness.Bob)
		for _, path := range []string{"/", "/account", "/account/security"} {
			if p := b.Get(t, path); p.URL.Path != "/login/factor" {
				t.Errorf("%s leads to %s with %d", path, p.URL, p.Status)
			}
		}
		if p := b.Get(t, "/login/factor?to=/account/sessions"); p.Form(t, "factor").Action.Query().Get("to") != "/account/sessions" {
			t.Error("the way on is lost")
		}
		if p := b.Get(t, "/login/factor?to=//evil.example"); strings.Contains(p.Body, "evil.example") {
			t.Error("the way on leads away")
		}
		rp := harness.Quiet(s, "openid")
		own := b.Get(t, "/login/factor").Form(t, "factor").Values.Get("csrf")
		if p := b.Submit(t, harness.OpenSecondFactor(t, b, rp.Authorize(nil)).Form(t, "factor"), "csrf", own, "code", "123456"); p.Status != http.StatusForbidden {
			t.Errorf("a form of one way is good for another: %d", p.Status)
		}
		p := b.Get(t, rp.Authorize(url.Values{"prompt": {"none"}}).URL)
		if p.Away == nil || p.Away.Query().Get("error") != "login_required" {
			t.Errorf("prompt=none: %d at %s, away to %v", p.Status, p.URL, p.Away)
		}
		for _, path := range []string{"/oauth2/userinfo", "/api/v1/users/me"} {
			if p := b.Get(t, path); p.Status != http.StatusUnauthorized {
				t.Errorf("%s: %d", path, p.Status)
			}
		}
	})
}

// A browser that is not signed in, or of which no second factor is required, is sent on.
func TestTheSecondStepLeadsOnWhenNothingIsOwed(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{Clients: harness.Clients})
	if p := s.Browser(t).Get(t, "/login/factor?to=/account"); p.URL.Path != "/login" || p.URL.Query().Get("to") != "/account" {
		t.Errorf("a stranger is led to %s", p.URL)
	}
	b := s.Browser(t)
	harness.SignIn(t, b, harness.Bob)
	if p := b.Get(t, "/login/factor"); p.URL.Path != "/" {
		t.Errorf("who owes nothing is led to %s", p.URL)
	}
	if p := b.Post(t, "/login/factor", url.Values{"code": {"123456"}}); p.URL.Path == "/login/factor" && p.Status == http.StatusOK {
		t.Errorf("a form without a token: %d at %s", p.Status, p.URL)
	}
}

// SS-01: the token changes at the step, and the one of before is worth nothing. acr,
// amr and auth_time of the tokens say what happened.
func TestACodeCompletesASignIn(t *testing.T) {
	harness.EachEngine(t, harness.Options{Clients: harness.Clients}, func(t *testing.T, s *harness.Server) {
		phone := s.Phone(t, harness.Bob)
		rp := harness.Quiet(s, "openid")
		b := s.Browser(t)
		r := rp.Authorize(nil)
		p := b.Submit(t, b.Get(t, r.URL).Form(t, "login"), "email", harness.Bob.Email, "password", harness.Bob.Password)
		before := harness.CookieOf(s, b)
		p = b.Submit(t, p.Form(t, "factor"), "code", phone.Code(t))
		wantACR(t, granted(t, rp, r, p), acrMFA, "pwd", "otp", "mfa")
		if harness.CookieOf(s, b) == before {
			t.Error("the token is the same as before the second step")
		}
		thief := s.Browser(t)
		harness.SetCookie(s, thief, before)
		if p := thief.Get(t, rp.Authorize(nil).URL); p.URL.Path != "/login" {
			t.Errorf("the token of before leads to %s", p.URL)
		}
		wantACR(t, harness.Claims(t, harness.QuietTokens(t, s, b, "openid").IDToken), acrMFA, "pwd", "otp", "mfa")
	})
}

// A recovery code stands in for the app, once, in whatever way it is written, and
// the person is told by mail.
func TestARecoveryCodeCompletesASignIn(t *testing.T) {
	harness.EachEngine(t, harness.Options{Clients: harness.Clients}, func(t *testing.T, s *harness.Server) {
		phone := s.Phone(t, harness.Bob)
		rp := harness.Quiet(s, "openid")
		var browser *harness.Browser
		use := func(code string) (*harness.Request, *harness.Page) {
			b := s.Browser(t)
			browser = b
			harness.EnterPassword(t, b, harness.Bob)
			r := rp.Authorize(nil)
			p := b.Get(t, harness.OpenSecondFactor(t, b, r).URL.String()+"&method=recovery")
			f := p.Form(t, "factor")
			if f.Values.Get("kind") != "recovery" {
				t.Fatalf("the form is for %q", f.Values.Get("kind"))
			}
			return r, b.Submit(t, f, "code", code)
		}
		r, p := use(" " + strings.ToUpper(phone.RecoveryCodes[0]) + " ")
		harness.MustShow(t, p, http.StatusOK, "2 codes", `href="/account/security"`)
		wantACR(t, granted(t, rp, r, onward(t, browser, p)), acrMFA, "pwd", "otp", "mfa")
		if !slices.ContainsFunc(s.Mail(t, harness.Bob.Email), func(m harness.Mail) bool { return strings.Contains(m.Subject, "recovery code") }) {
			t.Error("no mail tells of it")
		}
		if _, p := use(phone.RecoveryCodes[0]); p.Status != http.StatusUnprocessableEntity || p.Form(t, "factor").Values.Get("kind") != "recovery" {
			t.Errorf("a second time: %d at %s", p.Status, p.URL)
		}
		_, p = use(phone.RecoveryCodes[1])
		harness.MustShow(t, p, http.StatusOK, "one code")
		// The last one lets nobody in for the last time.
		r, p = use(phone.RecoveryCodes[2])
		codes := harness.RecoveryCodes(t, p)
		if len(codes) != 3 || slices.Contains(phone.RecoveryCodes, codes[0]) {
			t.Fatalf("after the last code the page shows %q", codes)
		}
		wantACR(t, granted(t, rp, r, onward(t, browser, p)), acrMFA, "pwd", "otp", "mfa")
		_, p = use(codes[0])
		harness.MustShow(t, p, http.StatusOK, "2 codes")
	})
}

// The page offers what the person has, with ids that password managers and people's
// own tests rely on.
func TestTheSecondStepOffersWhatThePersonHas(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{Host: "localhost"})
	on := func(who harness.Person) []string {
		p := harness.EnterPassword(t, s.Browser(t), who)
		var found []string
		for _, id := range []string{"code", "factor-submit", "use-passkey", "use-recovery", "switch"} {
			if strings.Contains(p.Body, `id="`+id+`"`) {
				found = append(found, id)
			}
		}
		return found
	}
	s.Phone(t, harness.Bob)
	if diff := cmp.Diff([]string{"code", "factor-submit", "use-recovery", "switch"}, on(harness.Bob)); diff != "" {
		t.Errorf("with an app (-want +got):\n%s", diff)
	}
	s.SecurityKey(t, harness.Bob)
	if diff := cmp.Diff([]string{"code", "factor-submit", "use-passkey", "use-recovery", "switch"}, on(harness.Bob)); diff != "" {
		t.Errorf("with an app and a key (-want +got):\n%s", diff)
	}
	s.SecurityKey(t, harness.Alice)
	if diff := cmp.Diff([]string{"use-passkey", "use-recovery", "switch"}, on(harness.Alice)); diff != "" {
		t.Errorf("with a key (-want +got):\n%s", diff)
	}
}

// A user who sees that it is not their account can leave.
func TestAHalfSessionCanBeLeft(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{Clients: harness.Clients})
	s.Phone(t, harness.Bob)
	b := s.Browser(t)
	p := harness.EnterPassword(t, b, harness.Bob)
	if p = b.Submit(t, p.FormWith(t, "switch")); p.URL.Path != "/" || strings.Contains(p.Body, harness.Bob.Email) {
		t.Errorf("signing out leads to %s", p.URL)
	}
	harness.EnterPassword(t, b, harness.Bob)
	r := harness.Quiet(s, "openid").Authorize(nil)
	if p = b.Submit(t, harness.OpenSecondFactor(t, b, r).FormWith(t, "switch"), "switch", "1"); p.URL.Path != "/login" {
		t.Errorf("in a flow it leads to %s", p.URL)
	}
	rp := harness.Quiet(s, "openid")
	p = b.Submit(t, p.Form(t, "login"), "email", harness.Alice.Email, "password", harness.Alice.Password)
	wantACR(t, granted(t, rp, r, p), acrPwd, "pwd")
}

// A mail tells of a sign-in on a device that has not completed one
// before. A password alone makes no device known.
func TestNewDevicesAreToldOfWhenTheSecondStepIsDone(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		harness.SignIn(t, s.Browser(t), harness.Bob) // the first session of all is no news
		phone := s.Phone(t, harness.Bob)
		before := len(s.Mail(t, harness.Bob.Email))
		news := func(step string, want int) {
			t.Helper()
			all := s.Mail(t, harness.Bob.Email)
			if len(all)-before != want {
				t.Errorf("%s: %d mails, want %d", step, len(all)-before, want)
			}
		}
		b := s.Browser(t)
		harness.EnterPassword(t, b, harness.Bob)
		news("after the password", 0)
		p := harness.EnterPassword(t, b, harness.Bob)
		b.Submit(t, p.Form(t, "factor"), "code", phone.Code(t))
		news("after the code", 1)
		p = harness.EnterPassword(t, b, harness.Bob)
		b.Submit(t, p.Form(t, "factor"), "code", phone.Code(t))
		news("again on the same device", 1)
		other := s.Browser(t)
		p = harness.EnterPassword(t, other, harness.Bob)
		other.Submit(t, p.Form(t, "factor"), "code", phone.Code(t))
		news("on another device", 2)
	})
}
