package app_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// No page is a dead end: what is unknown leads to the start page, whoever administers the
// server finds the way back to its set-up, and what was done is said.
func TestPagesAreNoDeadEnds(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{})
	for _, path := range []string{"/nothing-here", "/account/nothing", "/admin/nothing", "/consent?flow=" + strings.Repeat("A", 43), "/login?flow=short",
		"/oauth2/authorize?flow=" + strings.Repeat("B", 43)} {
		if p := s.Browser(t).Get(t, path); p.Status < 400 || !strings.Contains(p.Body, `id="back" href="/"`) {
			t.Errorf("%s: %d without a way on:\n%s", path, p.Status, p.Body)
		}
	}
	for who, want := range map[harness.Person]bool{harness.Admin: true, harness.Bob: false} {
		b := s.Browser(t)
		harness.SignIn(t, b, who)
		for _, path := range []string{"/", "/account"} {
			if got := strings.Contains(b.Get(t, path).Body, `href="/setup"`); got != want {
				t.Errorf("%s at %s: a way to the set-up %v, want %v", who.Email, path, got, want)
			}
		}
	}
	who := harness.NewPerson(t, s, "unproven@example.com")
	s.Exec(t, `UPDATE users SET email_verified_at = NULL WHERE email_key = 'unproven@example.com'`)
	b := s.Browser(t)
	harness.SignIn(t, b, who)
	harness.Post(t, b, "/account/email")
	all := s.Mail(t, who.Email)
	if len(all) == 0 {
		t.Fatal("no mail to confirm the address")
	}
	text := all[len(all)-1].Text
	if strings.Contains(strings.ToLower(text), "button") {
		t.Errorf("a text mail speaks of a button:\n%s", text)
	}
	link := all[len(all)-1].Link
	p := b.Submit(t, b.Get(t, link).Form(t, ""))
	harness.MustShow(t, p, http.StatusOK, "Your email address is confirmed.")
}
