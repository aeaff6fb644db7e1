package app_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/harness"
)

// LG-03: whoever had the last password is nobody with the next one: their browsers
// have no budgets of their own to guess it with, and when one signs in all the same,
// its owner is told.
func TestANewPasswordIsNewToEveryDevice(t *testing.T) {
	harness.EachEngine(t, harness.Options{Environ: []string{"SALLYPORT_TRUSTED_PROXIES=127.0.0.1/32"}}, func(t *testing.T, s *harness.Server) {
		who := newcomer(t, s, "changed@example.com")
		var devices []*harness.Browser
		for _, address := range []string{"198.51.100.1", "198.51.101.1", "198.51.102.1", "198.51.103.1"} {
			b := harness.BrowserAt(t, s, address)
			harness.SignIn(t, b, who)
			devices = append(devices, b)
		}
		s.Clock.Advance(time.Second)
		const next = "a phrase nobody has used 7"
		if err := s.App.Identity.People.SetPassword(t.Context(), identity.Operator(), s.User(t, who).ID, next, uuid.Nil); err != nil {
			t.Fatal(err)
		}
		compared := 0
		for range 5 {
			for _, b := range devices {
				if p := b.Submit(t, b.Get(t, "/login").Form(t, "login"), "email", who.Email, "password", "not the password"); p.Status == http.StatusUnprocessableEntity {
					compared++
				}
			}
		}
		if compared != 10 {
			t.Errorf("%d guesses by four devices are compared, want the ten of one account", compared)
		}
		s.Clock.Advance(11 * time.Minute)
		who.Password = next
		before := len(s.Mail(t, who.Email))
		for range 2 { // the second time the device is known again
			harness.SignIn(t, devices[0], who)
			devices[0].Submit(t, devices[0].Get(t, "/").FormWith(t, "csrf"))
			if got := len(s.Mail(t, who.Email)); got != before+1 {
				t.Errorf("%d mails tell of a browser that knew the last password, want one", got-before)
			}
		}
	})
}

// A program has no cookie to be known by: it is new where no program of that name
// has signed in from that network before.
func TestProgramsAreAnnouncedOnce(t *testing.T) {
	harness.EachEngine(t, harness.Options{Environ: []string{"SALLYPORT_TRUSTED_PROXIES=127.0.0.1/32"}}, func(t *testing.T, s *harness.Server) {
		who := newcomer(t, s, "program@example.com")
		harness.SignIn(t, s.Browser(t), who)
		for i, step := range []struct {
			from string
			want int
		}{{"192.0.2.1", 1}, {"192.0.2.1", 1}, {"192.0.2.77", 1}, {"198.51.100.1", 2}, {"198.51.100.1", 2}, {"192.0.2.1", 2}} {
			if got := apiLogin(t, s, harness.Forwarded{RoundTripper: s.Transport(), Address: step.from}, who.Email, who.Password, nil); got != http.StatusOK {
				t.Fatalf("%d: signing in gets %d", i, got)
			}
			if got := len(s.Mail(t, who.Email)); got != step.want {
				t.Errorf("%d, from %s: %d mails, want %d", i, step.from, got, step.want)
			}
		}
	})
}
