package app_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/harness"
)

// confirming is a server on which nobody has an account before their address is proven.
func confirming(environ ...string) harness.Options {
	return harness.Options{Clients: harness.Clients, Environ: append([]string{"SALLYPORT_CONFIRM_EMAIL=true"}, environ...)}
}

const newPassword = "seven lazy otters swim"

func carol() harness.Person { return harness.Person{Email: "Carol@Example.com", Password: newPassword} }

// register fills in the form of a page.
func register(t *testing.T, b *harness.Browser, page *harness.Page, who harness.Person) *harness.Page {
	t.Helper()
	return b.Submit(t, page.Form(t, "register"), "name", "Carol Clark", "email", who.Email, "password", who.Password)
}

// registerAnew has a new browser ask for an account, and returns the mail's link.
func registerAnew(t *testing.T, s *harness.Server, b *harness.Browser, who harness.Person) string {
	t.Helper()
	if p := register(t, b, b.Get(t, "/register"), who); p.Status != http.StatusOK || !strings.Contains(p.Body, `id="check-mail"`) {
		t.Fatalf("registering answers %d at %s:\n%s", p.Status, p.URL, p.Body)
	}
	return s.LastMail(t, who.Email).Link
}

// signsIn reports whether an address and a password sign in, in a new browser.
func signsIn(t *testing.T, s *harness.Server, who harness.Person) bool {
	t.Helper()
	b := s.Browser(t)
	p := b.Submit(t, b.Get(t, "/login").Form(t, "login"), "email", who.Email, "password", who.Password)
	switch {
	case p.Status == http.StatusUnprocessableEntity:
		return false
	case p.Status == http.StatusOK && (p.URL.Path == "/" || p.URL.Path == "/login/factor"):
		return true
	}
	t.Fatalf("signing in answers %d at %s:\n%s", p.Status, p.URL, p.Body)
	return false
}

// says tells what a page lacks.
func says(t *testing.T, what string, p *harness.Page, status int, want ...string) {
	t.Helper()
	if p.Status != status {
		t.Errorf("%s: %d at %s, want %d", what, p.Status, p.URL, status)
	}
	for _, w := range want {
		if !strings.Contains(p.Body, w) {
			t.Errorf("%s: the page lacks %s:\n%s", what, w, p.Body)
		}
	}
}

// Where CONFIRM_EMAIL is on, nothing is made before the address is proven, whatever the
// address; and what becomes of the password depends on the browser that proves it.
func TestAnAccountIsMadeWhenItsAddressIsProven(t *testing.T) {
	harness.EachEngine(t, confirming(), func(t *testing.T, s *harness.Server) {
		t.Run("same browser", func(t *testing.T) { testRegisteringWithinAFlow(t, s) })
		t.Run("after the flow", func(t *testing.T) { testConfirmingAfterTheFlow(t, s) })
		t.Run("another browser", func(t *testing.T) { testConfirmingElsewhere(t, s) })
		t.Run("somebody else's", func(t *testing.T) { testRegisteringAnAddressOfOthers(t, s) })
		t.Run("links", func(t *testing.T) { testLinksThatDoNotWork(t, s) })
		t.Run("faults", func(t *testing.T) { testWhatIsWrongIsSaidBesideIt(t, s) })
		t.Run("too many", func(t *testing.T) { testTooManyRequests(t, s) })
	})
}

// A user who comes from an app to the sign-in page and has no account goes back to the
// app with a code: through the form, the mail, and the sign-in.
func testRegisteringWithinAFlow(t *testing.T, s *harness.Server) {
	b, who := s.Browser(t), carol()
	r := harness.Quiet(s, "openid email").Authorize(nil)
	page := b.Get(t, r.URL)
	flow := page.URL.Query().Get("flow")
	says(t, "the sign-in page", page, http.StatusOK, `id="register" href="/register?flow=`+flow, `id="forgot" href="/recover?flow=`+flow)
	form := b.Get(t, "/register?flow="+flow)
	says(t, "the form", form, http.StatusOK, "At least 8 characters", "You’ll then continue to", `autocomplete="new-password"`)
	sent := register(t, b, form, who)
	says(t, "sent", sent, http.StatusOK, `id="check-mail"`, who.Email, "24 hours", `href="/register?flow=`+flow)
	if strings.Contains(sent.Body, newPassword) || strings.Contains(s.Contents(t), "user.registered") {
		t.Error("the password is on the page, or there is an account already")
	}
	if signsIn(t, s, who) {
		t.Error("one signs in to an account that is not confirmed")
	}
	mail := s.LastMail(t, who.Email)
	if !strings.HasPrefix(mail.Link, s.Issuer+"/verify?token=") || mail.To != who.Email {
		t.Fatalf("the mail is to %s and links to %s", mail.To, mail.Link)
	}
	for range 2 { // programs that look into mails follow links: opening one uses nothing
		says(t, "the link", s.Browser(t).Get(t, mail.Link), http.StatusOK, `id="verify-submit"`, "Carol Clark", who.Email)
	}
	in := b.Submit(t, b.Get(t, mail.Link).Form(t, "verify"))
	says(t, "confirmed", in, http.StatusOK, "Your address is confirmed", `value="Carol@Example.com"`)
	if in.URL.Path != "/login" || in.URL.Query().Get("flow") != flow {
		t.Fatalf("confirmed, the way leads to %s", in.URL)
	}
	done := b.Submit(t, in.Form(t, "login"), "password", who.Password)
	if done.Away == nil || done.Away.Query().Get("code") == "" || done.Away.Query().Get("state") != r.State {
		t.Fatalf("signed in, the way ends at %s, away to %v:\n%s", done.URL, done.Away, done.Body)
	}
	_, info := harness.Quiet(s, "").Userinfo(t, harness.Quiet(s, "").Redeem(t, done.Away.Query().Get("code"), r).AccessToken)
	if info["email_verified"] != true {
		t.Errorf("userinfo says %v", info)
	}
	if mails := s.Mail(t, who.Email); len(mails) != 1 {
		t.Errorf("there are %d mails, want the one: a first session is announced to nobody", len(mails))
	}
	says(t, "the link once more", b.Get(t, mail.Link), http.StatusBadRequest, `data-error="verify_link"`, `href="/login"`)
}

// The flow may be over when the mail is read: then one signs in to this server.
func testConfirmingAfterTheFlow(t *testing.T, s *harness.Server) {
	b, who := s.Browser(t), harness.Person{Email: "slow@example.com", Password: newPassword}
	flow := b.Get(t, harness.Quiet(s, "openid").Authorize(nil).URL).URL.Query().Get("flow")
	register(t, b, b.Get(t, "/register?flow="+flow), who)
	s.Clock.Advance(31 * time.Minute)
	in := b.Submit(t, b.Get(t, s.LastMail(t, who.Email).Link).Form(t, "verify"))
	says(t, "confirmed late", in, http.StatusOK, "Your address is confirmed", `value="slow@example.com"`)
	if p := b.Submit(t, in.Form(t, "login"), "password", who.Password); p.URL.Path != "/" || !strings.Contains(p.Body, who.Email) {
		t.Errorf("signed in, the way leads to %d %s", p.Status, p.URL)
	}
}

// In another browser the registrant may have been anybody: the first password is
// worth nothing, and who has the mailbox chooses one.
func testConfirmingElsewhere(t *testing.T, s *harness.Server) {
	who := harness.Person{Email: "dora@example.com", Password: newPassword}
	registering := s.Browser(t)
	flow := registering.Get(t, harness.Quiet(s, "openid").Authorize(nil).URL).URL.Query().Get("flow")
	register(t, registering, registering.Get(t, "/register?flow="+flow), who)
	b := s.Browser(t)
	choose := b.Submit(t, b.Get(t, s.LastMail(t, who.Email).Link).Form(t, "verify"))
	says(t, "confirmed elsewhere", choose, http.StatusOK, `id="reset-submit"`, "Your address is confirmed", "perhaps by someone else", `value="dora@example.com"`)
	if choose.URL.Path != "/recover/reset" || signsIn(t, s, who) {
		t.Errorf("at %s; the first password signs in: %v", choose.URL, signsIn(t, s, who))
	}
	mine := harness.Person{Email: who.Email, Password: "nine quiet badgers dig"}
	in := b.Submit(t, choose.Form(t, "reset"), "password", mine.Password)
	says(t, "chosen", in, http.StatusOK, "Your password is set")
	if in.URL.Path != "/login" || in.URL.Query().Has("flow") || !signsIn(t, s, mine) || signsIn(t, s, who) {
		t.Errorf("at %s; mine %v, the first one %v", in.URL, signsIn(t, s, mine), signsIn(t, s, who))
	}
}

// An owner gets a mail that says so, and the account is as it was.
func testRegisteringAnAddressOfOthers(t *testing.T, s *harness.Server) {
	s.Clock.Advance(time.Minute)
	b := s.Browser(t)
	says(t, "registering Bob's address", register(t, b, b.Get(t, "/register"), harness.Person{Email: " BOB@acme-corp.com ", Password: newPassword}), http.StatusOK, `id="check-mail"`)
	if mail := s.LastMail(t, harness.Bob.Email); mail.Link != s.Issuer+"/login" || mail.To != harness.Bob.Email || strings.Contains(mail.Text, "token=") {
		t.Errorf("Bob is told: %s", mail.Text)
	}
	if !signsIn(t, s, harness.Bob) || signsIn(t, s, harness.Person{Email: harness.Bob.Email, Password: newPassword}) {
		t.Error("Bob's password changed")
	}
}

// One page for a link that was used, is late, or never was one.
func testLinksThatDoNotWork(t *testing.T, s *harness.Server) {
	s.Clock.Advance(time.Minute)
	b := s.Browser(t)
	link := registerAnew(t, s, b, harness.Person{Email: "late@example.com", Password: newPassword})
	form := b.Get(t, link).Form(t, "verify")
	s.Clock.Advance(24*time.Hour + time.Second)
	says(t, "late, shown", b.Get(t, link), http.StatusBadRequest, `data-error="verify_link"`)
	says(t, "late, sent", b.Submit(t, form), http.StatusBadRequest, `data-error="verify_link"`)
	for path, code := range map[string]string{"/verify": "verify_link", "/recover/reset": "reset_link", "/invite": "invite_link"} {
		for _, token := range []string{"", "x", strings.Repeat("A", 43), strings.Repeat("A", 5000), "%00", "%27%20OR%201=1", "..%2F..%2Fx"} {
			want := `data-error="` + code + `"`
			if token == "%00" { // no text
				want = `data-error="invalid_request"`
			}
			says(t, path+" with "+token[:min(len(token), 20)], b.Get(t, path+"?token="+token), http.StatusBadRequest, want)
		}
	}
	// A token is good for one purpose.
	token := strings.TrimPrefix(registerAnew(t, s, b, harness.Person{Email: "purpose@example.com", Password: newPassword}), s.Issuer+"/verify")
	says(t, "a confirmation used to reset", b.Get(t, "/recover/reset"+token), http.StatusBadRequest, `data-error="reset_link"`)
	says(t, "a confirmation used to join", b.Get(t, "/invite"+token), http.StatusBadRequest, `data-error="invite_link"`)
}

// Faults stand beside their fields with what was typed, but for the password.
func testWhatIsWrongIsSaidBesideIt(t *testing.T, s *harness.Server) {
	s.Clock.Advance(time.Minute)
	b := s.Browser(t)
	form, before := b.Get(t, "/register"), len(s.AllMail(t))
	for name, tc := range map[string]struct {
		fields []string
		want   []string
	}{
		"all of it":  {[]string{"name", "\x1b[2J", "email", "nobody", "password", "short"}, []string{`id="name-error"`, `id="email-error"`, `id="password-error"`}},
		"the name":   {[]string{"name", strings.Repeat("x", 300), "email", "x@example.com", "password", newPassword}, []string{`id="name-error"`}},
		"common":     {[]string{"name", "", "email", "x@example.com", "password", "password1"}, []string{`id="password-error"`, "too easy to guess"}},
		"itself":     {[]string{"name", "", "email", "itself@example.com", "password", "itself@example.com"}, []string{`id="password-error"`, "is the email address"}},
		"far longer": {[]string{"name", "", "email", "x@example.com", "password", strings.Repeat("long ", 200)}, []string{`id="password-error"`, "256"}},
	} {
		p := b.Submit(t, form.Form(t, "register"), tc.fields...)
		says(t, name, p, http.StatusUnprocessableEntity, append(tc.want, `aria-invalid="true"`)...)
		if got := p.Form(t, "register").Values; got.Get("password") != "" || got.Get("email") != tc.fields[3] {
			t.Errorf("%s: the form holds %v", name, got)
		}
	}
	if after := len(s.AllMail(t)); after != before {
		t.Errorf("what was refused caused %d mails", after-before)
	}
}

// Section 10: registrations 10 a minute, recoveries 5 a minute and address.
func testTooManyRequests(t *testing.T, s *harness.Server) {
	for path, tc := range map[string]struct {
		form  string
		limit int
	}{"/register": {"register", 10}, "/recover": {"recover", 5}} {
		s.Clock.Advance(time.Minute)
		b := s.Browser(t)
		page := b.Get(t, path)
		for i := range tc.limit + 2 {
			email := "flood-" + tc.form + string(rune('a'+i)) + "@example.com"
			p := b.Submit(t, page.Form(t, tc.form), "email", email, "password", newPassword)
			if i < tc.limit {
				says(t, path, p, http.StatusOK, `id="check-mail"`)
				continue
			}
			says(t, path+", too many", p, http.StatusTooManyRequests, "Try again in a minute", `value="`+email+`"`)
			if p.Header.Get("Retry-After") == "" {
				t.Errorf("%s: no Retry-After", path)
			}
		}
		s.Clock.Advance(time.Minute + time.Second)
		says(t, path+", a minute later", b.Submit(t, page.Form(t, tc.form), "email", "later@example.com", "password", newPassword), http.StatusOK)
	}
}

// Where CONFIRM_EMAIL is off an account is there at once, and belongs to nobody yet.
func TestAnAccountWithoutConfirmation(t *testing.T) {
	harness.EachEngine(t, harness.Options{Clients: harness.Clients}, func(t *testing.T, s *harness.Server) {
		b, who := s.Browser(t), carol()
		r := harness.Quiet(s, "openid email").Authorize(nil)
		page := b.Get(t, r.URL)
		done := register(t, b, b.Get(t, "/register?flow="+page.URL.Query().Get("flow")), who)
		if done.Away == nil || done.Away.Query().Get("code") == "" || done.Away.Query().Get("state") != r.State {
			t.Fatalf("registered within a flow, the way ends at %s, away to %v:\n%s", done.URL, done.Away, done.Body)
		}
		tokens := harness.Quiet(s, "").Redeem(t, done.Away.Query().Get("code"), r)
		if _, info := harness.Quiet(s, "").Userinfo(t, tokens.AccessToken); info["email_verified"] != false {
			t.Errorf("userinfo says %v", info)
		}

		// Registering with an address that has an account says so here.
		taken := s.Browser(t)
		p := register(t, taken, taken.Get(t, "/register"), harness.Person{Email: "carol@example.com", Password: "nine quiet badgers dig"})
		says(t, "taken", p, http.StatusUnprocessableEntity, `id="email-error"`, "has an account already")

		// The registrant's own browser proves the address and loses nothing.
		link := s.LastMail(t, who.Email).Link
		if p := b.Submit(t, b.Get(t, link).Form(t, "verify")); !strings.HasPrefix(p.URL.Path, "/account") {
			t.Errorf("confirmed by who is signed in: %d at %s", p.Status, p.URL)
		}
		if !strings.Contains(b.Get(t, "/").Body, who.Email) || !signsIn(t, s, who) {
			t.Error("confirming lost the session or the password")
		}

		// The address was another person's: the password, the session and the grants of the registrant end.
		squatter, victim := s.Browser(t), harness.Person{Email: "victim@example.com", Password: newPassword}
		p = register(t, squatter, squatter.Get(t, "/register"), victim)
		if p.URL.Path != "/account" {
			t.Errorf("registered without a flow: %d at %s", p.Status, p.URL)
		}
		owner := s.Browser(t)
		choose := owner.Submit(t, owner.Get(t, s.LastMail(t, victim.Email).Link).Form(t, "verify"))
		if choose.URL.Path != "/recover/reset" || signsIn(t, s, victim) || strings.Contains(squatter.Get(t, "/").Body, victim.Email) {
			t.Errorf("at %s; whoever registered another's address is still in", choose.URL)
		}
		mine := harness.Person{Email: victim.Email, Password: "nine quiet badgers dig"}
		owner.Submit(t, choose.Form(t, "reset"), "password", mine.Password)
		if !signsIn(t, s, mine) {
			t.Error("the owner's password does not sign in")
		}
	})
}

// REGISTRATION: who may make an account.
func TestWhoMayRegister(t *testing.T) {
	for mode, want := range map[string]string{"false": "registration_closed", "invite": "registration_invited"} {
		harness.EachEngine(t, confirming("SALLYPORT_REGISTRATION="+mode, "SALLYPORT_RECOVERY=false"), func(t *testing.T, s *harness.Server) {
			b := s.Browser(t)
			for _, path := range []string{"/login", "/login?to=%2Faccount", b.Get(t, harness.Quiet(s, "openid").Authorize(nil).URL).URL.RequestURI()} {
				if p := b.Get(t, path); strings.Contains(p.Body, `id="register"`) || strings.Contains(p.Body, `id="forgot"`) {
					t.Errorf("REGISTRATION=%s: %s offers what is closed", mode, path)
				}
			}
			says(t, "/register", b.Get(t, "/register"), http.StatusForbidden, `data-error="`+want+`"`)
			says(t, "POST /register", b.Post(t, "/register", url.Values{"email": {"x@example.com"}, "password": {newPassword}}), http.StatusForbidden, `data-error="`+want+`"`)
			says(t, "/recover", b.Get(t, "/recover"), http.StatusForbidden, `data-error="recovery_closed"`)
			says(t, "POST /recover", b.Post(t, "/recover", url.Values{"email": {harness.Bob.Email}}), http.StatusForbidden, `data-error="recovery_closed"`)
			if mails := s.AllMail(t); len(mails) != 0 {
				t.Errorf("REGISTRATION=%s: mails were sent: %+v", mode, mails)
			}
		})
	}
}
