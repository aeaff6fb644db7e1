package account_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

func testTheDownload(t *testing.T, s *harness.Server) {
	b, who := s.Browser(t), harness.NewPerson(t, s, "export@example.com")
	phone := s.Phone(t, who)
	harness.SignInWith(t, b, who, phone)
	tokens := harness.QuietTokens(t, s, b, "openid offline_access")
	p := b.Submit(t, b.Get(t, "/account/data").Form(t, "download"))
	harness.MustShow(t, p, http.StatusOK)
	if h := p.Header; h.Get("Content-Disposition") != `attachment; filename="account.json"` || h.Get("Content-Type") != "application/json" {
		t.Errorf("answered as %v", h)
	}
	var export map[string]any
	if err := json.Unmarshal([]byte(p.Body), &export); err != nil {
		t.Fatalf("%v: %s", err, p.Body)
	}
	if export["email"] != who.Email || export["sub"] != s.User(t, who).Sub.String() || !strings.Contains(p.Body, "Firefox on Linux") || !strings.Contains(p.Body, "quiet") {
		t.Errorf("the file lacks something: %s", p.Body)
	}
	for name, secret := range map[string]string{"the cookie": harness.CookieOf(s, b), "the key": phone.Key, "a recovery code": phone.RecoveryCodes[0], "the refresh token": tokens.RefreshToken,
		"the password": who.Password, "its hash": "$argon2id$", "a name of the inside": "token_hash", "a sealed column": "sealed"} {
		if strings.Contains(strings.ToLower(p.Body), strings.ToLower(secret)) {
			t.Errorf("%s is in the file: %s", name, p.Body)
		}
	}
}

func testDeletingAnAccount(t *testing.T, s *harness.Server) {
	who := harness.NewPerson(t, s, "leaving@example.com")
	if _, err := s.App.Identity.Organizations.Create(t.Context(), identity.Operator(), "workshop", "The workshop", s.User(t, who).ID); err != nil {
		t.Fatal(err)
	}
	b, other := s.Browser(t), s.Browser(t)
	harness.SignIn(t, b, who)
	harness.SignIn(t, other, who)
	tokens := harness.QuietTokens(t, s, other, "openid offline_access")
	p := b.Get(t, "/account/delete")
	harness.MustShow(t, p, http.StatusOK, "The workshop", "cannot be undone")
	harness.MustShow(t, b.Submit(t, p.Form(t, "delete")), http.StatusUnprocessableEntity, "Tick the box first.")
	harness.MustShow(t, b.Get(t, "/account"), http.StatusOK, who.Email)
	harness.MustShow(t, b.Submit(t, p.Form(t, "delete"), "confirm", "yes"), http.StatusOK, `id="account-deleted"`)
	if harness.CookieOf(s, b) != "" {
		t.Error("the browser keeps its cookie")
	}
	for name, b := range map[string]*harness.Browser{"this": b, "the other": other} {
		if p := b.Get(t, "/account"); p.URL.Path != "/login" {
			t.Errorf("%s session lives: %s", name, p.URL)
		}
	}
	rp := harness.Quiet(s, "openid offline_access")
	if r := rp.Refresh(t, tokens.RefreshToken); r.Error != "invalid_grant" {
		t.Errorf("the refresh token: %d %s", r.Status, r.Error)
	}
	if p := harness.SubmitLogin(t, s.Browser(t), who); p.URL.Path != "/login" {
		t.Errorf("the password leads to %s", p.URL)
	}
	if got := subjects(t, s, who); !strings.Contains(got, "deleted") {
		t.Errorf("mails: %q", got)
	}
	if _, err := s.App.Store.OrganizationBySlug(t.Context(), "workshop"); err == nil {
		t.Error("the organization lives on without anybody")
	}
}

func testADeletionThatIsBlocked(t *testing.T, s *harness.Server) {
	b := s.Browser(t)
	harness.SignIn(t, b, harness.Alice)
	p := b.Get(t, "/account/delete")
	if harness.MustShow(t, p, http.StatusOK, `id="blocked"`, "Acme Corp", "Make someone else an owner"); len(p.Forms) > 0 {
		t.Error("there is a button that cannot work")
	}
	harness.MustShow(t, harness.Post(t, b, "/account/delete", "confirm", "yes"), http.StatusUnprocessableEntity, `id="blocked"`, "Your account was not deleted.")
	harness.MustShow(t, b.Get(t, "/account"), http.StatusOK, harness.Alice.Email)
}

// The last superadmin is told before and after that the account stays.
func TestTheLastSuperadminCannotLeave(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{})
	b := s.Browser(t)
	harness.SignIn(t, b, harness.Admin)
	harness.MustShow(t, b.Get(t, "/account/delete"), http.StatusOK, "You are the last superadmin")
	harness.MustShow(t, harness.Post(t, b, "/account/delete", "confirm", "yes"), http.StatusUnprocessableEntity, "You are the last superadmin")
	if harness.GreetedUser(t, s, b) != harness.Admin.Email {
		t.Error("the account is gone")
	}
}
