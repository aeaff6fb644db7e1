package app_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// setupForms are those of the first run behind its first page, each of a new superadmin.
func setupForms(t *testing.T, s *harness.Server) map[string]forged {
	n := 0
	superadmin := func(b *harness.Browser) {
		t.Helper()
		n++
		who := harness.NewPerson(t, s, fmt.Sprintf("superadmin%d@example.com", n))
		if _, err := s.App.Identity.People.AddPlatformRole(t.Context(), identity.Operator(), s.User(t, who).ID, storage.RoleSuperadmin); err != nil {
			t.Fatal(err)
		}
		harness.SignIn(t, b, who)
	}
	form := func(path, id string, fields ...string) func(*harness.Browser) (*harness.Form, []string) {
		return func(b *harness.Browser) (*harness.Form, []string) {
			superadmin(b)
			return b.Get(t, path).Form(t, id), fields
		}
	}
	client := []string{"name", "Forged", "kind", identity.ClientWeb, "redirect_uris", "https://forged.example/cb"}
	key := s.Authenticator(t)
	return map[string]forged{
		"/setup/passkey": {form: form("/setup/passkey", "passkey", "credential", "{}"), shows: true, late: func(b *harness.Browser) []string {
			return []string{"credential", b.Answer(t, b.Get(t, "/setup/passkey").Form(t, "passkey"), key)}
		}},
		"/setup/passkey/begin": {reads: true, form: func(b *harness.Browser) (*harness.Form, []string) {
			superadmin(b)
			return beginning(t, b.Get(t, "/setup/passkey").Form(t, "passkey")), nil
		}},
		"/setup/brand":  {form: form("/setup/brand", "brand", "name", "Forged ID")},
		"/setup/client": {form: form("/setup/client", "client", client...), shows: true},
		"/setup/test": {form: func(b *harness.Browser) (*harness.Form, []string) {
			superadmin(b)
			return b.Submit(t, b.Get(t, "/setup/client").Form(t, "client"), client...).Form(t, "test"), nil
		}},
	}
}

// SS-06 for the first page, which is there before there is anybody to sign in.
func TestNoForgedRequestMakesAnAdministrator(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{Empty: true, Host: "localhost"})
	b, other := s.Browser(t), s.Browser(t)
	token := harness.SetupToken(t, s)
	form := b.Get(t, "/setup?token="+token).Form(t, "administrator")
	values := url.Values{"act": {"administrator"}, "token": {token}, "email": {harness.Ada.Email}, "password": {harness.Ada.Password}}
	send := func(csrf, site string) int {
		values.Set("csrf", csrf)
		return sendOnce(t, b, http.MethodPost, form.Action.String(), http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Sec-Fetch-Site": {site}}, values)
	}
	for name, status := range map[string]int{
		"no token": send("", "same-origin"), "a foreign one": send(other.Get(t, "/setup").Form(t, "").Values.Get("csrf"), "same-origin"),
		"cross-site": send(form.Values.Get("csrf"), "cross-site"), "same-site": send(form.Values.Get("csrf"), "same-site"),
	} {
		if status != http.StatusForbidden {
			t.Errorf("%s: %d, want 403", name, status)
		}
	}
	if has, err := s.App.Store.HasSuperadmin(t.Context()); err != nil || has {
		t.Errorf("somebody is superadmin: %v, %v", has, err)
	}
	if status := send(form.Values.Get("csrf"), "same-origin"); status != http.StatusSeeOther {
		t.Errorf("the form itself: %d, want 303", status)
	}
}
