package app_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// MF-04: whoever has only the password of somebody with a second step neither sees
// where they belong nor answers for them. A consent that was remembered then would
// let its app in whenever the person themself is signed in.
func TestAHalfSessionAnswersNothing(t *testing.T) {
	harness.EachEngine(t, harness.Options{Clients: harness.Clients}, func(t *testing.T, s *harness.Server) {
		phone := s.Phone(t, harness.Alice)
		b := s.Browser(t)
		harness.EnterPassword(t, b, harness.Alice)
		r := s.Portal().Authorize(nil)
		flow := harness.OpenSecondFactor(t, b, r).URL.Query().Get("flow")
		if p := b.Get(t, "/consent?flow="+flow); p.URL.Path != "/login/factor" {
			t.Errorf("/consent leads to %d at %s", p.Status, p.URL)
		}
		if p := b.Post(t, "/consent?flow="+flow, url.Values{"answer": {"allow"}, "remember": {"on"}}); p.URL.Path != "/login/factor" {
			t.Errorf("an answer leads to %d at %s", p.Status, p.URL)
		}
		org := harness.Quiet(s, "openid org").Authorize(nil)
		flow = harness.OpenSecondFactor(t, b, org).URL.Query().Get("flow")
		if p := b.Get(t, "/org?flow="+flow); p.URL.Path != "/login/factor" || strings.Contains(p.Body, "Tech Startup") {
			t.Errorf("/org leads to %d at %s", p.Status, p.URL)
		}
		p := b.Submit(t, b.Get(t, r.URL).Form(t, "factor"), "code", phone.Code(t))
		if p.URL.Path != "/consent" {
			t.Errorf("after the second step: %d at %s", p.Status, p.URL)
		}
	})
}

// MF-04 over the route table, so that a route that is added cannot be forgotten:
// what a half session is shown by any of them names nothing that is its person's,
// and writes nothing of theirs.
func TestNoRouteServesAHalfSession(t *testing.T) {
	const canary = "+49 30 5550123"
	harness.EachEngine(t, harness.Options{Clients: harness.Clients}, func(t *testing.T, s *harness.Server) {
		s.Phone(t, harness.Alice)
		me := identity.Actor{UserID: s.User(t, harness.Alice).ID}
		number := canary
		if err := s.App.Identity.Accounts.UpdateProfile(t.Context(), me, identity.ProfilePatch{PhoneNumber: &number}); err != nil {
			t.Fatal(err)
		}
		b := s.Browser(t)
		harness.EnterPassword(t, b, harness.Alice)
		flow := harness.OpenSecondFactor(t, b, harness.Quiet(s, "openid org").Authorize(nil)).URL.Query().Get("flow")
		routes := s.Server.Routes()
		if len(routes) < 60 {
			t.Fatalf("only %d routes", len(routes))
		}
		for path, methods := range routes {
			if path == "/dev/mail" || strings.HasPrefix(path, "/dev/mail/") || !slices.Contains(methods, http.MethodGet) {
				continue // development's own view of the database
			}
			path = strings.NewReplacer("{id}", uuid.NewString(), "{file}", "passkey.js").Replace(path)
			for _, query := range []string{"", "?flow=" + flow} {
				p := b.Get(t, path+query)
				for _, secret := range []string{canary, "Tech Startup", "Acme Corp"} {
					if strings.Contains(p.Body, secret) {
						t.Errorf("%s%s tells %q: %d at %s", path, query, secret, p.Status, p.URL)
					}
				}
			}
		}
		if p := b.Get(t, "/login/factor"); p.Status != http.StatusOK {
			t.Fatalf("on the way the half session was lost, and nothing is shown by all this: %d at %s", p.Status, p.URL)
		}
		all, err := s.App.Store.Sessions(t.Context(), me.UserID)
		if err != nil || len(all) != 1 || all[0].ACR != assurance.ACRPassword {
			t.Errorf("sessions: %v, %v", all, err)
		}
		if got, err := s.App.Store.Factors.List(t.Context(), me.UserID); err != nil || len(got) != 1 || got[0].Kind != storage.FactorTOTP {
			t.Errorf("factors: %v, %v", got, err)
		}
	})
}
