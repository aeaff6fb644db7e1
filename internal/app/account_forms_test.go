package app_test

import (
	"fmt"
	"testing"

	"github.com/sallyport-id/sallyport/internal/harness"
)

// accountForms are those of people's own pages, each of somebody new.
func accountForms(t *testing.T, s *harness.Server) map[string]forged {
	n := 0
	somebody := func(b *harness.Browser) harness.Person {
		n++
		who := harness.NewPerson(t, s, fmt.Sprintf("somebody%d@example.com", n))
		harness.SignIn(t, b, who)
		return who
	}
	proven := func(b *harness.Browser) harness.Person {
		n++
		who := harness.NewPerson(t, s, fmt.Sprintf("somebody%d@example.com", n))
		harness.SignInWith(t, b, who, s.Phone(t, who))
		return who
	}
	key := s.Authenticator(t)
	form := func(who func(*harness.Browser) harness.Person, path, id string, fields ...string) func(*harness.Browser) (*harness.Form, []string) {
		return func(b *harness.Browser) (*harness.Form, []string) {
			who(b)
			return b.Get(t, path).Form(t, id), fields
		}
	}
	ofFactor := func(below, id string, fields ...string) func(*harness.Browser) (*harness.Form, []string) {
		return func(b *harness.Browser) (*harness.Form, []string) {
			proven(b)
			return b.Get(t, harness.FactorPath(t, b.Get(t, "/account/security"))+below).Form(t, id), fields
		}
	}
	return map[string]forged{
		"/account/profile": {form: form(somebody, "/account/profile", "profile", "name", "Some Body")},
		"/account/email": {form: func(b *harness.Browser) (*harness.Form, []string) {
			n++
			b.Submit(t, b.Get(t, "/register").Form(t, "register"), "email", fmt.Sprintf("unproven%d@example.com", n), "password", newPassword)
			return b.Get(t, "/account/email").Form(t, "resend"), nil
		}},
		"/account/password": {form: form(somebody, "/account/password", "change-password", "current_password", "correct horse battery staple", "password", "another horse battery")},
		"/account/security/app": {form: form(somebody, "/account/security/app", "app"), shows: true, late: func(b *harness.Browser) []string {
			return []string{"code", harness.TOTP(t, harness.TOTPKey(t, b.Get(t, "/account/security/app")), s.Clock.Now())}
		}},
		"/account/security/passkey": {form: form(somebody, "/account/security/passkey", "passkey", "credential", "{}"), shows: true, late: func(b *harness.Browser) []string {
			return []string{"credential", b.Answer(t, b.Get(t, "/account/security/passkey").Form(t, "passkey"), key)}
		}},
		"/account/security/passkey/begin": {reads: true, form: func(b *harness.Browser) (*harness.Form, []string) {
			somebody(b)
			return beginning(t, b.Get(t, "/account/security/passkey").Form(t, "passkey")), nil
		}},
		"/account/security/codes":       {form: form(proven, "/account/security/codes", "confirm"), shows: true},
		"/account/security/{id}":        {form: ofFactor("", "rename", "name", "Another name")},
		"/account/security/{id}/remove": {form: ofFactor("/remove", "confirm")},
		"/account/sessions/{id}/end": {form: func(b *harness.Browser) (*harness.Form, []string) {
			harness.SignIn(t, s.Browser(t), somebody(b))
			return b.Get(t, "/account/sessions/"+harness.OtherSessions(t, b.Get(t, "/account/sessions"))[0]+"/end").Form(t, "confirm"), nil
		}},
		"/account/sessions/end-others": {form: form(somebody, "/account/sessions/end-others", "confirm")},
		"/account/apps/disconnect": {form: func(b *harness.Browser) (*harness.Form, []string) {
			somebody(b)
			harness.QuietTokens(t, s, b, "openid")
			return b.Get(t, "/account/apps/disconnect?client=quiet").Form(t, "confirm"), nil
		}},
		"/account/data":   {form: form(somebody, "/account/data", "download"), reads: true},
		"/account/delete": {form: form(somebody, "/account/delete", "delete", "confirm", "yes"), shows: true},
	}
}

// beginning is what passkey.js sends to get a challenge for a form.
func beginning(t *testing.T, f *harness.Form) *harness.Form {
	t.Helper()
	action, err := f.Action.Parse(f.Begin)
	if err != nil {
		t.Fatal(err)
	}
	begin := *f
	begin.Action = action
	return &begin
}
