package app_test

import (
	"fmt"
	"testing"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// peopleForms are those of the pages that give somebody an account, or give it
// back: how a browser comes to each, and what it fills in.
func peopleForms(t *testing.T, s *harness.Server) map[string]func(b *harness.Browser) (*harness.Form, []string) {
	t.Helper()
	n := 0
	// somebody is new each time, so that one form's use does not spoil the next.
	somebody := func() harness.Person {
		t.Helper()
		n++
		who := harness.Person{Email: fmt.Sprintf("anybody%d@example.com", n), Password: newPassword}
		if _, err := s.App.Identity.People.Create(t.Context(), identity.Operator(), identity.NewUser{Email: who.Email, Password: who.Password}); err != nil {
			t.Fatal(err)
		}
		return who
	}
	newcomer := func() []string {
		n++
		return []string{"name", "Somebody", "email", fmt.Sprintf("newcomer%d@example.com", n), "password", newPassword}
	}
	return map[string]func(b *harness.Browser) (*harness.Form, []string){
		"/register": func(b *harness.Browser) (*harness.Form, []string) {
			return b.Get(t, "/register").Form(t, "register"), newcomer()
		},
		"/verify": func(b *harness.Browser) (*harness.Form, []string) {
			other, fields := s.Browser(t), newcomer()
			other.Submit(t, other.Get(t, "/register").Form(t, "register"), fields...)
			return b.Get(t, s.LastMail(t, fields[3]).Link).Form(t, "verify"), nil
		},
		"/recover": func(b *harness.Browser) (*harness.Form, []string) {
			return b.Get(t, "/recover").Form(t, "recover"), []string{"email", harness.Bob.Email}
		},
		"/recover/reset": func(b *harness.Browser) (*harness.Form, []string) {
			return b.Get(t, resetLink(t, s, somebody().Email)).Form(t, "reset"), []string{"password", "nine quiet badgers dig"}
		},
		"/invite": func(b *harness.Browser) (*harness.Form, []string) {
			who := somebody()
			link := invite(t, s, who.Email, storage.RoleMember)
			harness.SignIn(t, b, who)
			return b.Get(t, link).FormWith(t, "act"), []string{"act", "accept"}
		},
		"/login/passkey": func(b *harness.Browser) (*harness.Form, []string) {
			key := s.SecurityKey(t, somebody())
			form := b.Get(t, "/login").FormWith(t, "credential")
			return form, []string{"credential", b.Answer(t, form, key)}
		},
		"/login/passkey/begin": func(b *harness.Browser) (*harness.Form, []string) {
			return beginning(t, b.Get(t, "/login").FormWith(t, "credential")), nil
		},
	}
}
