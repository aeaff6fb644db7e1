package login_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/fakeidp"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// An address of a domain that a connection claims goes there, whatever stands in the password field and whoever has it;
// others are asked for their password, and #use-password opens a form that sends nobody away.
func TestAnAddressLeadsToTheProviderOfItsDomain(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{})
	connect(t, s, fakeidp.OIDC, func(c *identity.ConnectionConfig) { c.Settings.Domains = []string{"acme-corp.com"} })
	b := s.Browser(t)
	submit := func(at, email, password string) *harness.Page {
		t.Helper()
		return b.Submit(t, b.Get(t, at).Form(t, "login"), "email", email, "password", password)
	}
	for _, email := range []string{harness.Bob.Email, "Nobody@ACME-corp.com"} {
		for _, password := range []string{"", "wrong", harness.Bob.Password} {
			page := submit("/login", email, password)
			if page.Away == nil || page.Away.Query().Get("login_hint") != email {
				t.Errorf("%s with the password %q: at %s (away %v), want the provider with the address", email, password, page.URL, page.Away)
			}
		}
	}
	page := submit("/login", harness.Admin.Email, "")
	if page.Status != http.StatusOK || strings.Contains(page.Body, "login-error") || !strings.Contains(page.Body, harness.Admin.Email) {
		t.Errorf("an address that nobody claims, without a password: %d\n%s", page.Status, page.Body)
	}
	if page = submit("/login", "nobody@claimed-sub.acme-corp.com", "wrong"); page.Status != http.StatusUnprocessableEntity {
		t.Errorf("a domain below the claimed one: %d at %s, want the form", page.Status, page.URL)
	}
	if !strings.Contains(page.Body, `id="use-password"`) {
		t.Errorf("there is no link to use a password:\n%s", page.Body)
	}
	page = submit("/login?password=1", harness.Bob.Email, "wrong")
	if page.Status != http.StatusUnprocessableEntity {
		t.Errorf("a wrong password at the form for passwords: %d at %s", page.Status, page.URL)
	}
	page = b.Submit(t, page.Form(t, "login"), "email", harness.Bob.Email, "password", harness.Bob.Password)
	isAt(t, page, "/")
}
