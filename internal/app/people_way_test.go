package app_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/harness"
)

// A user who came from an app, or wanted a page, and resets a forgotten password on
// the way, goes on there afterwards; in the browser that asked, and in no other.
func TestTheWayOnSurvivesAMail(t *testing.T) {
	harness.EachEngine(t, harness.Options{Clients: harness.Clients}, func(t *testing.T, s *harness.Server) {
		b := s.Browser(t)
		r := harness.Quiet(s, "openid").Authorize(nil)
		flow := b.Get(t, r.URL).URL.Query().Get("flow")
		ask := func(path string) *harness.Form {
			t.Helper()
			s.Clock.Advance(time.Minute)
			b.Submit(t, b.Get(t, path).Form(t, "recover"), "email", harness.Bob.Email)
			return b.Get(t, s.LastMail(t, harness.Bob.Email).Link).Form(t, "reset")
		}
		ask("/recover?flow=" + flow)
		elsewhere := s.Browser(t)
		in := elsewhere.Submit(t, elsewhere.Get(t, s.LastMail(t, harness.Bob.Email).Link).Form(t, "reset"), "password", "nine quiet badgers dig")
		if in.URL.Path != "/login" || in.URL.Query().Has("flow") {
			t.Errorf("in another browser the way leads to %s", in.URL)
		}
		in = b.Submit(t, ask("/recover?flow="+flow), "password", newPassword)
		done := b.Submit(t, in.Form(t, "login"), "password", newPassword)
		if done.Away == nil || done.Away.Query().Get("code") == "" || done.Away.Query().Get("state") != r.State {
			t.Fatalf("signed in after %s, the way ends at %s, away to %v", in.URL, done.URL, done.Away)
		}
		b = s.Browser(t)
		in = b.Submit(t, ask("/recover?to=%2Faccount%2Fsessions"), "password", "nine quiet badgers dig")
		if p := b.Submit(t, in.Form(t, "login"), "password", "nine quiet badgers dig"); p.URL.Path != "/account/sessions" {
			t.Errorf("signed in after %s, the way leads to %s", in.URL, p.URL)
		}
	})
	harness.EachEngine(t, confirming(), func(t *testing.T, s *harness.Server) {
		b, who := s.Browser(t), carol()
		register(t, b, b.Get(t, "/register?to=%2Faccount%2Fsessions"), who)
		in := b.Submit(t, b.Get(t, s.LastMail(t, who.Email).Link).Form(t, "verify"))
		if p := b.Submit(t, in.Form(t, "login"), "password", who.Password); p.URL.Path != "/account/sessions" {
			t.Errorf("registered, the way leads from %s to %s", in.URL, p.URL)
		}
	})
}

// Where no link resets a password, no mail leads to the page that would send one, and
// whoever proves an address elsewhere chooses the password in the same request.
func TestNoDeadEndWithoutRecovery(t *testing.T) {
	links := regexp.MustCompile(`https?://[^\s<>"]+`)
	harness.EachEngine(t, confirming("SALLYPORT_RECOVERY=false"), func(t *testing.T, s *harness.Server) {
		who := carol()
		first := s.Browser(t)
		link := registerAnew(t, s, first, who)
		registerAnew(t, s, s.Browser(t), harness.Bob)
		bob := s.User(t, harness.Bob)
		if err := s.App.Identity.People.SetPassword(t.Context(), identity.Operator(), bob.ID, newPassword, uuid.Nil); err != nil {
			t.Fatal(err)
		}
		mails := s.AllMail(t)
		if len(mails) < 3 {
			t.Fatalf("%d mails, want one each of a registration, an address that is taken, a new password", len(mails))
		}
		for _, m := range mails {
			for _, l := range links.FindAllString(m.Text, -1) {
				b := s.Browser(t)
				resp, err := b.HTTP.Get(l)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if !slices.Contains([]int{http.StatusOK, http.StatusSeeOther}, resp.StatusCode) {
					t.Errorf("%q: %s answers %d", m.Subject, l, resp.StatusCode)
				}
			}
		}

		b := s.Browser(t)
		page := b.Get(t, link)
		says(t, "the link elsewhere", page, http.StatusOK, `id="password"`, "is not used")
		for _, bad := range []string{"", "short"} {
			says(t, "no good password", b.Submit(t, page.Form(t, "verify"), "password", bad), http.StatusUnprocessableEntity, `id="password-error"`)
		}
		mine := harness.Person{Email: who.Email, Password: "nine quiet badgers dig"}
		if p := b.Submit(t, page.Form(t, "verify"), "password", mine.Password); p.URL.Path != "/login" || p.URL.Query().Get("notice") != "verified" {
			t.Errorf("confirmed with a password: %d at %s", p.Status, p.URL)
		}
		if !signsIn(t, s, mine) || signsIn(t, s, who) {
			t.Error("the password is not the one that was chosen with the proof")
		}

		// In the browser that registered nothing is asked for.
		dora := harness.Person{Email: "dora@example.com", Password: newPassword}
		link = registerAnew(t, s, first, dora)
		page = first.Get(t, link)
		if page.Form(t, "verify").Values.Has("password") {
			t.Error("whoever registered is asked for another password")
		}
		in := first.Submit(t, page.Form(t, "verify"))
		if u, err := url.Parse(in.URL.String()); err != nil || u.Path != "/login" || !signsIn(t, s, dora) {
			t.Errorf("confirmed in the same browser: at %s", in.URL)
		}
	})
}
