package consent_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/harness"
)

// The heading says what is asked: an app that does not ask who the person is (OpenID
// Connect Core 1.0, section 3.1.2.1) signs nobody in.
func testTheConsentHeading(t *testing.T, j *journeys) {
	b, rp := j.signedIn(t, harness.Bob), j.client("partner")
	for asked, want := range map[string]string{
		"openid": "wants to sign you in", "email openid": "wants to sign you in", "email": "wants access to your account",
		"profile phone": "wants access to your account", "offline_access email": "wants access to your account",
	} {
		page := b.Get(t, rp.Authorize(scope(asked)).URL)
		if _, heading, _ := strings.Cut(page.Body, "<h1>"); !strings.Contains(heading[:strings.Index(heading, "</h1>")], want) {
			t.Errorf("%s: the heading is %s, want %s", asked, heading[:strings.Index(heading, "</h1>")], want)
		}
	}
}

// Signing out in one tab does not end what waits in another: it asks who is there, and
// keeps nothing of what the person before had answered.
func testSignedOutInAnotherTab(t *testing.T, j *journeys) {
	rp := j.client("partner")
	for name, signOut := range map[string]func(b *harness.Browser) *harness.Page{
		"on the start page": func(b *harness.Browser) *harness.Page { return b.Submit(t, b.Get(t, "/").FormWith(t, "csrf")) },
		"for an app": func(b *harness.Browser) *harness.Page {
			return b.Submit(t, b.Get(t, "/oauth2/logout").FormWith(t, "answer"), "answer", "yes")
		},
		"with an ID token": func(b *harness.Browser) *harness.Page {
			own := j.client("own")
			r := own.Authorize(nil)
			tokens := own.Redeem(t, own.Walk(t, b, r, harness.Bob), r)
			return b.Get(t, "/oauth2/logout?id_token_hint="+tokens.IDToken)
		},
	} {
		b := j.signedIn(t, harness.Bob)
		waiting, asked := b.Get(t, rp.Authorize(scope("openid email", "prompt", "consent")).URL), b.Get(t, rp.Authorize(scope("openid", "prompt", "login")).URL)
		home := b.Get(t, "/").FormWith(t, "csrf")
		if p := signOut(b); p.Status != http.StatusOK {
			t.Fatalf("%s: signing out ends with %d %s", name, p.Status, ended(p))
		}
		if p := b.Submit(t, home); p.Status != http.StatusOK || ended(p) != "/" {
			t.Errorf("%s: signing out twice: %d %s", name, p.Status, ended(p))
		}
		if p := b.Get(t, "/"); strings.Contains(p.Body, harness.Bob.Email) {
			t.Errorf("%s: still signed in", name)
		}
		if p := b.Submit(t, waiting.Form(t, "consent"), "answer", "allow"); ended(p) != "/login" {
			t.Errorf("%s: an answer in the other tab ends at %s, want the sign-in page", name, ended(p))
		}
		if p := b.Submit(t, asked.Form(t, "login"), "email", harness.Bob.Email, "password", harness.Bob.Password); ended(p) != "page:csrf" ||
			!strings.Contains(p.Body, `id="back" href="/oauth2/authorize?flow=`) {
			t.Errorf("%s: the old form: %s, want a page that leads back into the flow", name, ended(p))
		}
		p := logIn(t, b, b.Get(t, waiting.URL.String()), harness.Alice)
		if ended(p) != "/consent" || !strings.Contains(p.Body, harness.Alice.Email) {
			t.Fatalf("%s: signed in in the other tab: %s", name, ended(p))
		}
		if got := ended(b.Submit(t, p.Form(t, "consent"), "answer", "allow", "remember", "")); got != "code" {
			t.Errorf("%s: the other tab's flow ends with %s", name, got)
		}
		if got := ended(b.Get(t, asked.URL.String())); got != "code" && got != "/consent" {
			t.Errorf("%s: the third tab's flow is at %s", name, got)
		}
	}
	// A cookie of a browser that nothing waits for goes with its session.
	b := j.signedIn(t, harness.Bob)
	b.Submit(t, b.Get(t, "/").FormWith(t, "csrf"))
	if left := b.HTTP.Jar.Cookies(b.Get(t, "/").URL); slices.ContainsFunc(left, func(c *http.Cookie) bool { return strings.HasSuffix(c.Name, "sp_browser") }) {
		t.Errorf("after signing out the browser has %v", left)
	}
}

// A browser that keeps no cookies is told so, with the way to the app, and not that
// something is out of date or of another browser.
func testABrowserWithoutCookies(t *testing.T, j *journeys) {
	b := j.Browser(t)
	b.HTTP.Jar = nil
	for name, p := range map[string]*harness.Page{
		"an authorization request": b.Get(t, j.client("own").Authorize(nil).URL),
		"one that asks to consent": b.Get(t, j.client("partner").Authorize(scope("openid email")).URL),
	} {
		if ended(p) != "page:missing_cookie" || !strings.Contains(p.Body, `id="back" href="https://app.example"`) {
			t.Errorf("%s: %s, want the cookie named and the way to the app", name, ended(p))
		}
	}
	for _, path := range []string{"/login", "/register", "/recover"} {
		form := b.Get(t, path).FormWith(t, "email")
		p := b.Submit(t, form, "email", harness.Bob.Email, "password", harness.Bob.Password)
		if ended(p) != "page:missing_cookie" || !strings.Contains(p.Body, `id="back" href="`+path+`"`) {
			t.Errorf("%s: %s, want the cookie named", path, ended(p))
		}

		// The cookie of a browser that keeps cookies goes when another tab signs in and out.
		b := j.Browser(t)
		form = b.Get(t, path).FormWith(t, "email")
		logIn(t, b, b.Get(t, "/login"), harness.Bob)
		b.Submit(t, b.Get(t, "/").FormWith(t, "csrf"))
		p = b.Submit(t, form, "email", harness.Bob.Email, "password", harness.Bob.Password)
		if ended(p) != "page:missing_cookie" || !strings.Contains(p.Body, "If you signed out in another tab meanwhile, load the page again.") {
			t.Errorf("%s, signed out in another tab: %s, want to be told to load the page again", path, ended(p))
		}
		again := b.Submit(t, b.Get(t, path).FormWith(t, "email"), "email", harness.Bob.Email, "password", harness.Bob.Password, "name", "Bob")
		if got := ended(again); strings.HasPrefix(got, "page:") {
			t.Errorf("%s, loaded again: %s", path, got)
		}
	}
}

// Unknown, disabled and wrong password look the same, but for what was typed.
func testLoginErrorsAreOne(t *testing.T, j *journeys) {
	u, err := j.App.Identity.People.Create(t.Context(), identity.Operator(), identity.NewUser{Email: "dora@example.com", Password: "correct horse battery"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.App.Identity.People.Disable(t.Context(), identity.Operator(), u.ID); err != nil {
		t.Fatal(err)
	}
	varying := regexp.MustCompile(`[A-Za-z0-9_-]{43}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	seen := map[string]string{}
	for name, who := range map[string]harness.Person{"wrong": {Email: harness.Bob.Email, Password: "wrong"}, "unknown": {Email: "nobody@example.com", Password: "wrong"},
		"disabled": {Email: "dora@example.com", Password: "correct horse battery"}, "disabled, wrong": {Email: "dora@example.com", Password: "wrong"},
		"no address": {Email: "nonsense", Password: "x"}, "no password": {Email: harness.Bob.Email}} {
		b := j.Browser(t)
		page := logIn(t, b, b.Get(t, j.client("own").Authorize(nil).URL), who)
		if page.Status != http.StatusUnprocessableEntity || page.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %d %v", name, page.Status, page.Header["Set-Cookie"])
		}
		seen[strings.ReplaceAll(varying.ReplaceAllString(page.Body, "*"), who.Email, "*")] += name + " "
		if strings.Contains(page.Body, "correct horse") {
			t.Errorf("%s: the password is on the page", name)
		}
	}
	if len(seen) != 1 {
		t.Errorf("the pages differ: %v", seen)
	}
}

// A consent counts for 180 days, in the middle of whatever else goes on.
func testConsentIsForgotten(t *testing.T, j *journeys) {
	rp := j.client("partner")
	b := j.signedIn(t, harness.Alice)
	if got := ended(b.WalkTo(t, rp.Authorize(scope("openid phone")).URL, harness.Alice)); got != "code" {
		t.Fatalf("allowed: %s", got)
	}
	for _, step := range []struct {
		wait time.Duration
		want string
	}{{179 * 24 * time.Hour, "code"}, {24*time.Hour + time.Minute, "/consent"}} {
		j.Clock.Advance(step.wait)
		b = j.signedIn(t, harness.Alice)
		if got := ended(b.Get(t, rp.Authorize(scope("openid phone")).URL)); got != step.want {
			t.Errorf("after %v more: %s, want %s", step.wait, got, step.want)
		}
	}
}
