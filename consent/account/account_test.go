package account_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// withAccounts is a server whose pages can make passkeys.
var withAccounts = harness.Options{Host: "localhost", Clients: harness.Clients}

// sensitive are the pages that ask for a sign-in within the last five minutes.
var sensitive = []string{"/account/password", "/account/security/app", "/account/security/passkey", "/account/security/codes",
	"/account/security/{id}/remove", "/account/linked/confirm", "/account/linked/remove", "/account/data", "/account/delete"}

// accountPaths are all routes of people's own pages, with an id in the place of the variable.
func accountPaths(s *harness.Server, id uuid.UUID) map[string][]string {
	all := map[string][]string{}
	for path, methods := range s.Server.Routes() {
		if path == "/account" || strings.HasPrefix(path, "/account/") {
			all[strings.ReplaceAll(path, "{id}", id.String())] = methods
		}
	}
	return all
}

// subjects are those of the mails to a person.
func subjects(t *testing.T, s *harness.Server, who harness.Person) string {
	t.Helper()
	var all []string
	for _, m := range s.Mail(t, who.Email) {
		all = append(all, m.Subject)
	}
	return strings.Join(all, "\n")
}

// SS-12, MF-04, MF-07: nobody sees or does anything at /account before all that
// the sign-in owes is proven, by any route and any method.
func TestNothingOfAnAccountIsOpenBeforeAllIsProven(t *testing.T) {
	harness.EachEngine(t, withAccounts, func(t *testing.T, s *harness.Server) {
		nobody, half, overdue := s.Browser(t), s.Browser(t), s.Browser(t)
		s.Phone(t, harness.Bob)
		if p := harness.SubmitLogin(t, half, harness.Bob); p.URL.Path != "/login/factor" {
			t.Fatalf("a password alone leads to %s", p.URL)
		}
		carol := harness.NewPerson(t, s, "carol@example.com")
		harness.SignIn(t, overdue, carol)
		if _, err := s.App.Identity.Policies.SetPlatformMFA(t.Context(), identity.Operator(), storage.MFAPolicy{Require: storage.RequirePasskey}); err != nil {
			t.Fatal(err)
		}
		if err := s.App.Registry.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		paths := accountPaths(s, uuid.New())
		if len(paths) < 15 {
			t.Fatalf("only %d routes: %v", len(paths), paths)
		}
		before := harness.StoredState(t, s)
		for name, tc := range map[string]struct {
			b  *harness.Browser
			to string
		}{"nobody": {nobody, "/login"}, "half": {half, "/login/factor"}, "overdue": {overdue, "/login/factor"}} {
			for path, methods := range paths {
				if strings.HasSuffix(path, "/begin") {
					if p := tc.b.Post(t, path, url.Values{}); p.Status != http.StatusForbidden || !strings.Contains(p.Body, "error") {
						t.Errorf("%s, POST %s: %d %s", name, path, p.Status, p.Body)
					}
					continue
				}
				// A session that lacks only a required enrolment may read there which organization asks for it.
				readable := name == "overdue" && path == "/account/organizations"
				if slices.Contains(methods, http.MethodGet) && !readable {
					if p := tc.b.Get(t, path); p.URL.Path != tc.to || p.URL.Query().Get("to") != path {
						t.Errorf("%s, GET %s: %d at %s", name, path, p.Status, p.URL)
					}
				}
				if slices.Contains(methods, http.MethodPost) {
					if p := tc.b.Post(t, path, url.Values{"confirm": {"yes"}, "password": {"another horse battery"}, "client": {"quiet"}}); p.URL.Path != tc.to || p.URL.Query().Get("to") != path {
						t.Errorf("%s, POST %s: %d at %s", name, path, p.Status, p.URL)
					}
				}
			}
		}
		if after := harness.StoredState(t, s); after != before {
			t.Errorf("something has changed:\n%s\nbecame\n%s", before, after)
		}
	})
}

// What weakens the account, or tells all about it, asks for a fresh sign-in,
// when it is opened and when it is sent; afterwards the page is there.
func TestWhatWeakensAnAccountAsksForAFreshSignIn(t *testing.T) {
	harness.EachEngine(t, withAccounts, func(t *testing.T, s *harness.Server) {
		b := s.Browser(t)
		phone := s.Phone(t, harness.Bob)
		harness.SignInWith(t, b, harness.Bob, phone)
		factors, err := s.App.Factors.List(t.Context(), s.User(t, harness.Bob).ID)
		if err != nil {
			t.Fatal(err)
		}
		id := factors.Factors[0].ID
		csrf := b.Get(t, "/account/profile").Form(t, "profile").Values.Get("csrf")
		for path, methods := range accountPaths(s, id) {
			if p := b.Get(t, path); slices.Contains(methods, http.MethodGet) && p.URL.Path != path &&
				path != "/account/apps/disconnect" && path != "/account/linked/remove" && !strings.HasPrefix(path, "/account/sessions/") {
				t.Errorf("a fresh sign-in is led from %s to %s", path, p.URL)
			}
		}
		s.Clock.Advance(identity.FreshFor + time.Second)
		before := s.Contents(t)
		for path, methods := range accountPaths(s, id) {
			asks := slices.Contains(sensitive, strings.ReplaceAll(path, id.String(), "{id}"))
			if asks || slices.Contains(methods, http.MethodGet) {
				p := b.Get(t, path)
				if led := p.URL.Path == "/login"; led != asks || asks && (p.URL.Query().Get("to") != path || !strings.Contains(p.Body, "Sign in again")) {
					t.Errorf("later GET %s leads to %s", path, p.URL)
				}
			}
			if !asks {
				continue
			}
			p := b.Post(t, path, url.Values{"csrf": {csrf}, "confirm": {"yes"}, "current_password": {harness.Bob.Password}, "password": {"another horse battery"}})
			if path == "/account/security/app" { // the key that waits in this session may still be confirmed
				harness.MustShow(t, p, http.StatusUnprocessableEntity, "not right")
				continue
			}
			if p.URL.Path != "/login" || p.URL.Query().Get("to") != path {
				t.Errorf("later POST %s: %d at %s", path, p.Status, p.URL)
			}
		}
		if p := b.Post(t, "/account/security/passkey/begin", url.Values{"csrf": {csrf}}); p.Status != http.StatusForbidden || strings.Contains(p.Body, "publicKey") {
			t.Errorf("later begin: %d %s", p.Status, p.Body)
		}
		if after := s.Contents(t); withoutTouches(after) != withoutTouches(before) {
			t.Errorf("something has changed:\n%s\nbecame\n%s", before, after)
		}
		// Whom the page expects is filled in, and the way leads back, by the second step.
		p := b.Get(t, "/account/password")
		if p.Form(t, "login").Values.Get("email") != harness.Bob.Email {
			t.Error("the form does not know who is there")
		}
		p = b.Submit(t, p.Form(t, "login"), "password", harness.Bob.Password)
		if p.URL.Path != "/login/factor" {
			t.Fatalf("the password leads to %s", p.URL)
		}
		if p = b.Submit(t, p.FormWith(t, "code"), "code", phone.Code(t)); p.URL.Path != "/account/password" {
			t.Errorf("the second step leads to %s", p.URL)
		}
	})
}

// withoutTouches leaves out what looking around writes: last_seen_at, counters.
func withoutTouches(contents string) string {
	lines := slices.DeleteFunc(strings.Split(contents, "\n"), func(l string) bool {
		table, _, _ := strings.Cut(l, " ")
		return slices.Contains([]string{"sessions", "counters", "leases", "versions", "keys", "outbox", "settings"}, table)
	})
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// SESSION_PROTECTION: from elsewhere, a session is over, good for little, or good.
func TestSessionProtectionOnTheAccountPages(t *testing.T) {
	const elsewhere = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
	for protection, want := range map[string]struct{ see, weaken, back string }{
		"strong": {"/login", "/login", "/login"}, "basic": {"/account", "/login", "/account"}, "off": {"/account", "/account/password", "/account"},
	} {
		t.Run(protection, func(t *testing.T) {
			s := harness.Start(t, storage.SQLite, harness.Options{Environ: []string{"SALLYPORT_SESSION_PROTECTION=" + protection}})
			b := s.Browser(t)
			harness.SignIn(t, b, harness.Bob)
			open := func(path, agent string) string {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Issuer+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				if agent != "" {
					req.Header.Set("User-Agent", agent)
				}
				resp, err := b.HTTP.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if to := resp.Header.Get("Location"); to != "" {
					path, _, _ = strings.Cut(to, "?")
				}
				return path
			}
			if got := open("/account/password", ""); got != "/account/password" {
				t.Fatalf("from where it was made: %s", got)
			}
			if got := open("/account", elsewhere); got != want.see {
				t.Errorf("to see from elsewhere: %s, want %s", got, want.see)
			}
			harness.SignIn(t, b, harness.Bob)
			if got := open("/account/password", elsewhere); got != want.weaken {
				t.Errorf("to weaken from elsewhere: %s, want %s", got, want.weaken)
			}
			if got := open("/account", ""); got != want.back {
				t.Errorf("back where it was made: %s, want %s", got, want.back)
			}
		})
	}
}

// What the page claims was done was done: a link cannot make it say so.
func TestWhatWasDoneIsNotTakenFromALink(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{})
	b, other := s.Browser(t), s.Browser(t)
	harness.SignIn(t, b, harness.Bob)
	harness.SignIn(t, other, harness.Alice)
	p := harness.Post(t, b, "/account/profile", "nickname", "Bobby")
	harness.MustShow(t, p, http.StatusOK, "Your profile is saved.")
	for _, link := range []string{"/account/profile?done=profile", "/account/profile?done=profile.x", "/account/profile?done=password." + strings.TrimPrefix(p.URL.Query().Get("done"), "profile.")} {
		if p := b.Get(t, link); strings.Contains(p.Body, `id="done"`) {
			t.Errorf("%s says that something was done", link)
		}
	}
	if p := other.Get(t, p.URL.RequestURI()); strings.Contains(p.Body, `id="done"`) {
		t.Error("another person's link says that something was done")
	}
}
