package consent_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/harness"
)

const journeyClients = `
version: 1
clients:
  - {client_id: partner, client_name: The Partner, secret: secret-of-partner-Zr8wq1LkVbX0, redirect_uris: [https://app.example/cb],
     grant_types: [authorization_code, refresh_token], scope: openid profile email phone offline_access, logo_uri: https://app.example/logo.png,
     policy_uri: https://app.example/policy, tos_uri: https://app.example/terms}
  - {client_id: own, client_name: Our Own, secret: secret-of-own-Zr8wq1LkVbX0, redirect_uris: [https://app.example/cb], scope: openid profile, skip_consent: true}
  - {client_id: spa, client_name: Single Page, token_endpoint_auth_method: none, redirect_uris: [https://spa.example/cb], scope: openid profile}
`

// The journey over the whole server: every page as a person meets it.
func TestTheWholeJourney(t *testing.T) {
	harness.EachEngine(t, harness.Options{Clients: journeyClients}, func(t *testing.T, s *harness.Server) {
		j := &journeys{s}
		t.Run("consent page", func(t *testing.T) { testTheConsentPage(t, j) })
		t.Run("heading", func(t *testing.T) { testTheConsentHeading(t, j) })
		t.Run("forged", func(t *testing.T) { testForgedConsent(t, j) })
		t.Run("one outcome", func(t *testing.T) { testConsentHasOneOutcome(t, j) })
		t.Run("asked again", func(t *testing.T) { testWhatIsAskedAgain(t, j) })
		t.Run("who skips", func(t *testing.T) { testWhoSkipsConsent(t, j) })
		t.Run("two people", func(t *testing.T) { testTwoPeopleInOneBrowser(t, j) })
		t.Run("tabs", func(t *testing.T) { testTabsReloadAndBack(t, j) })
		t.Run("signed out", func(t *testing.T) { testSignedOutInAnotherTab(t, j) })
		t.Run("no cookies", func(t *testing.T) { testABrowserWithoutCookies(t, j) })
		t.Run("expired", func(t *testing.T) { testFlowsThatEnd(t, j) })
		t.Run("sign in again", func(t *testing.T) { testSigningInAgain(t, j) })
		t.Run("login errors", func(t *testing.T) { testLoginErrorsAreOne(t, j) })
		t.Run("180 days", func(t *testing.T) { testConsentIsForgotten(t, j) })
	})
}

type journeys struct{ *harness.Server }

func (j *journeys) client(id string) *harness.RP {
	switch id {
	case "spa":
		return j.RP(id, "", "https://spa.example/cb", "openid")
	case "mobile":
		return j.Mobile()
	}
	return j.RP(id, "secret-of-"+id+"-Zr8wq1LkVbX0", "https://app.example/cb", "openid")
}

func (j *journeys) signedIn(t *testing.T, who harness.Person) *harness.Browser {
	t.Helper()
	b := j.Browser(t)
	if p := logIn(t, b, b.Get(t, "/login"), who); p.URL.Path != "/" {
		t.Fatalf("%s cannot sign in: %d at %s", who.Email, p.Status, p.URL)
	}
	return b
}

func logIn(t *testing.T, b *harness.Browser, page *harness.Page, who harness.Person) *harness.Page {
	t.Helper()
	return b.Submit(t, page.Form(t, "login"), "email", who.Email, "password", who.Password)
}

// ended is "code", the error that went to the app, "page:" and the error on a page, or the path of another page.
func ended(p *harness.Page) string {
	if p.Away != nil {
		if q := p.Away.Query(); q.Get("code") == "" {
			return q.Get("error")
		}
		return "code"
	}
	if _, rest, ok := strings.Cut(p.Body, `data-error="`); ok {
		code, _, _ := strings.Cut(rest, `"`)
		return "page:" + code
	}
	return p.URL.Path
}

var scopePattern = regexp.MustCompile(`data-scope="([^"]*)"`)

// askedFor are the scopes that a consent page lists.
func askedFor(p *harness.Page) string {
	var out []string
	for _, m := range scopePattern.FindAllStringSubmatch(p.Body, -1) {
		out = append(out, m[1])
	}
	return strings.Join(out, " ")
}

func scope(s string, more ...string) url.Values {
	v := url.Values{"scope": {s}}
	for i := 0; i+1 < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	return v
}

// CN-03, and what the page must tell.
func testTheConsentPage(t *testing.T, j *journeys) {
	b := j.signedIn(t, harness.Bob)
	page := b.Get(t, j.client("partner").Authorize(scope("openid email")).URL)
	for _, want := range []string{"The Partner", "bob@acme-corp.com", "<strong dir=\"ltr\">app.example</strong>", `id="allow"`, `id="deny"`, `name="remember"`, `id="switch"`,
		"https://app.example/policy", "https://app.example/terms", j.Clock.Now().Add(180 * 24 * time.Hour).UTC().Format("2 January 2006")} {
		if !strings.Contains(page.Body, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if got := askedFor(page); got != "openid email" {
		t.Errorf("it asks for %q", got)
	}
	if page.Form(t, "consent").Values.Get("remember") != "on" {
		t.Error("remember is not checked")
	}
	login := j.Browser(t).Get(t, j.client("partner").Authorize(nil).URL)
	for name, p := range map[string]*harness.Page{"consent": page, "login": login, "logout": b.Get(t, "/oauth2/logout"), "error": b.Get(t, "/oauth2/authorize")} {
		csp := p.Header.Get("Content-Security-Policy")
		if !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") || p.Header.Get("X-Frame-Options") != "DENY" || p.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", name, p.Header)
		}
		// Chromium holds every redirect after a form's POST against form-action.
		if name == "consent" || name == "login" {
			if strings.Contains(csp, "form-action") {
				t.Errorf("%s: %s would keep the person from where the app goes on to", name, csp)
			}
		} else if !strings.Contains(csp, "form-action 'self';") {
			t.Errorf("%s: %s", name, csp)
		}
	}
}

// CN-01: an answer is this person's, for this flow and exactly these scopes.
func testForgedConsent(t *testing.T, j *journeys) {
	rp := j.client("partner")
	bobs, alices := j.signedIn(t, harness.Bob), j.signedIn(t, harness.Alice)
	small := bobs.Get(t, rp.Authorize(scope("openid")).URL)
	large := bobs.Get(t, rp.Authorize(scope("openid email phone")).URL)
	hers := alices.Get(t, rp.Authorize(scope("openid email phone")).URL)
	token := func(p *harness.Page) string { return p.Form(t, "consent").Values.Get("csrf") }
	for name, csrf := range map[string]string{"none": "", "malformed": "x", "another person's": token(hers), "another request's": token(small),
		"the switch form's": large.FormWith(t, "switch").Values.Get("csrf"), "zeroes": strings.Repeat("A", 43)} {
		if p := bobs.Submit(t, large.Form(t, "consent"), "answer", "allow", "csrf", csrf); p.Status != http.StatusForbidden || ended(p) != "page:csrf" {
			t.Errorf("%s: %d %s", name, p.Status, ended(p))
		}
	}
	// The page of the small request, sent to the large one's address and the other way round.
	form := *small.Form(t, "consent")
	form.Action = large.Form(t, "consent").Action
	if p := bobs.Submit(t, &form, "answer", "allow"); p.Status != http.StatusForbidden {
		t.Errorf("an answer to a smaller request: %d %s", p.Status, ended(p))
	}
	// Alice's own form in Bob's browser: the flow is not his.
	if p := bobs.Submit(t, hers.Form(t, "consent"), "answer", "allow"); ended(p) != "page:flow_elsewhere" {
		t.Errorf("another browser's flow: %s", ended(p))
	}
	if p := bobs.Get(t, large.Form(t, "consent").Action.String()+"&answer=allow&csrf="+token(large)); ended(p) != "/consent" {
		t.Errorf("an answer by GET: %s", ended(p))
	}
	for name, p := range map[string]*harness.Page{"small": small, "large": large} {
		if got := ended(bobs.Get(t, p.URL.String())); got != "/consent" {
			t.Errorf("after all that, the %s request is at %s", name, got)
		}
	}
	if p := bobs.Submit(t, large.Form(t, "consent"), "answer", "allow", "remember", ""); ended(p) != "code" {
		t.Errorf("the true answer: %s", ended(p))
	}
}

// CN-05: deny, back, double submit: one outcome, and no flow that hangs.
func testConsentHasOneOutcome(t *testing.T, j *journeys) {
	rp, b := j.client("partner"), j.signedIn(t, harness.Bob)
	r := rp.Authorize(nil)
	page := b.Get(t, r.URL)
	denied := b.Submit(t, page.Form(t, "consent"), "answer", "deny")
	if q := denied.Away.Query(); q.Get("error") != "access_denied" || q.Get("state") != r.State || q.Get("iss") != j.Issuer || q.Get("code") != "" {
		t.Errorf("denied: %v", denied.Away)
	}
	over := func(name string, p *harness.Page) {
		t.Helper()
		if p.Status != http.StatusBadRequest || ended(p) != "page:flow_finished" || !strings.Contains(p.Body, `id="back" href="https://app.example"`) {
			t.Errorf("%s: %d %s, want the page that leads back to the app", name, p.Status, ended(p))
		}
	}
	over("back after a denial", b.Get(t, page.URL.String()))
	over("allowed after a denial", b.Submit(t, page.Form(t, "consent"), "answer", "allow"))
	if got := ended(b.Get(t, rp.Authorize(nil).URL)); got != "/consent" {
		t.Errorf("a denial was remembered: %s", got)
	}

	page = b.Get(t, rp.Authorize(nil).URL)
	if got := ended(b.Submit(t, page.Form(t, "consent"), "answer", "allow", "remember", "")); got != "code" {
		t.Errorf("allowed: %s", got)
	}
	over("allowed twice", b.Submit(t, page.Form(t, "consent"), "answer", "allow", "remember", ""))
	over("denied after it was allowed", b.Submit(t, page.Form(t, "consent"), "answer", "deny"))

	// Cancel on the sign-in page (the suite's user-rejects).
	stranger := j.Browser(t)
	r = rp.Authorize(nil)
	page = stranger.Get(t, r.URL)
	_, cancel, _ := strings.Cut(page.Body, `id="cancel" href="`)
	cancel, _, _ = strings.Cut(cancel, `"`)
	if p := stranger.Get(t, strings.ReplaceAll(cancel, "&amp;", "&")); ended(p) != "access_denied" || p.Away.Query().Get("state") != r.State {
		t.Errorf("cancelled: %s %v", ended(p), p.Away)
	}
	over("signing in after a cancel", logIn(t, stranger, page, harness.Bob))
}

// Only scopes not yet granted are asked; what is not to be remembered is asked again.
func testWhatIsAskedAgain(t *testing.T, j *journeys) {
	rp, b := j.client("partner"), j.signedIn(t, harness.Bob)
	for i, step := range []struct {
		request  url.Values
		asks     string // "" goes through without a page
		remember string
	}{
		{scope("openid"), "openid", ""},
		{scope("openid"), "openid", "on"},
		{scope("openid"), "", ""},
		{scope("openid email"), "email", ""}, // not remembered
		{scope("openid email"), "email", "on"},
		{scope("openid email"), "", ""},
		{scope("email openid"), "", ""},
		{scope("openid offline_access"), "offline_access", "on"},
		{scope("openid email offline_access"), "", ""},
		{scope("openid email", "prompt", "consent"), "openid email", ""},
		{scope("openid email"), "", ""}, // an answer that is not to be remembered forgets nothing
		{scope("openid profile phone"), "profile phone", "on"},
		{scope("openid profile email phone offline_access"), "", ""},
	} {
		page := b.Get(t, rp.Authorize(step.request).URL)
		if step.asks == "" {
			if ended(page) != "code" {
				t.Fatalf("step %d, %v: %s asks for %q", i, step.request, ended(page), askedFor(page))
			}
			continue
		}
		if ended(page) != "/consent" || askedFor(page) != step.asks {
			t.Fatalf("step %d, %v: %s asks for %q, want %q", i, step.request, ended(page), askedFor(page), step.asks)
		}
		silent := url.Values{"prompt": {"none"}, "scope": step.request["scope"]}
		if got := ended(b.Get(t, rp.Authorize(silent).URL)); got != "consent_required" && !step.request.Has("prompt") {
			t.Fatalf("step %d, silently: %s", i, got)
		}
		if got := ended(b.Submit(t, page.Form(t, "consent"), "answer", "allow", "remember", step.remember)); got != "code" {
			t.Fatalf("step %d, allowed: %s", i, got)
		}
	}
}

func testWhoSkipsConsent(t *testing.T, j *journeys) {
	b := j.signedIn(t, harness.Alice)
	for _, step := range []struct{ name, client, want string }{
		{"skip_consent", "own", "code"},
		{"a public client, first", "spa", "/consent"},
		{"a public client, remembered", "spa", "code"},
		// RFC 8252, section 8.6: any program on the device can say that it is this one.
		{"on the device, first", "mobile", "/consent"},
		{"on the device, again", "mobile", "/consent"},
	} {
		page := b.Get(t, j.client(step.client).Authorize(nil).URL)
		if got := ended(page); got != step.want {
			t.Errorf("%s: %s, want %s", step.name, got, step.want)
		}
		if page.Away == nil {
			b.Submit(t, page.Form(t, "consent"), "answer", "allow")
		}
	}
	if got := ended(b.Get(t, j.client("own").Authorize(url.Values{"prompt": {"consent"}}).URL)); got != "/consent" {
		t.Errorf("skip_consent and prompt=consent: %s", got)
	}
	if got := ended(b.Get(t, j.client("mobile").Authorize(url.Values{"prompt": {"none"}}).URL)); got != "consent_required" {
		t.Errorf("on the device, silently: %s", got)
	}
}

// SS-13 and "not you?": a flow ends for exactly one person, who has seen its page.
func testTwoPeopleInOneBrowser(t *testing.T, j *journeys) {
	rp, b := j.client("partner"), j.Browser(t)
	who := func(r *harness.Request, p *harness.Page) string {
		t.Helper()
		if ended(p) != "code" {
			return ended(p)
		}
		tokens := rp.Redeem(t, p.Away.Query().Get("code"), r)
		_, info := rp.Userinfo(t, tokens.AccessToken)
		return fmt.Sprint(info["email"])
	}
	email := scope("openid email phone", "prompt", "consent")
	// Two tabs of one flow: the second person's form is out of date.
	r := rp.Authorize(email)
	one := b.Get(t, r.URL)
	two := b.Get(t, one.URL.String())
	bobs := logIn(t, b, one, harness.Bob)
	if got := logIn(t, b, two, harness.Alice); ended(got) != "/consent" || strings.Contains(got.Body, harness.Alice.Email) {
		t.Errorf("Alice's tab is at %s", ended(got))
	}
	if got := who(r, b.Submit(t, bobs.Form(t, "consent"), "answer", "allow")); got != harness.Bob.Email {
		t.Errorf("the flow ended for %s, want Bob", got)
	}

	// Bob is at the consent page; in another tab Alice signs in; his answer does not count for her.
	r = rp.Authorize(scope("openid email phone", "prompt", "consent"))
	his := b.Get(t, r.URL)
	j.Clock.Advance(time.Second)
	other := rp.Authorize(scope("openid email phone", "prompt", "login consent"))
	hers := logIn(t, b, b.Get(t, other.URL), harness.Alice)
	if got := ended(b.Submit(t, his.Form(t, "consent"), "answer", "allow")); got != "page:csrf" {
		t.Errorf("Bob's answer in Alice's session: %s", got)
	}
	again := b.Get(t, his.URL.String())
	if !strings.Contains(again.Body, harness.Alice.Email) || strings.Contains(again.Body, harness.Bob.Email) {
		t.Error("reloaded, the page does not say that it is Alice now")
	}
	if got := who(r, b.Submit(t, again.Form(t, "consent"), "answer", "allow", "remember", "")); got != harness.Alice.Email {
		t.Errorf("the first flow ended for %s, want Alice", got)
	}
	if got := who(other, b.Submit(t, hers.Form(t, "consent"), "answer", "allow", "remember", "")); got != harness.Alice.Email {
		t.Errorf("the second flow ended for %s, want Alice", got)
	}

	// "Not you?" really switches, and what Alice was about to allow is asked anew.
	r = rp.Authorize(scope("openid email phone", "prompt", "consent"))
	page := b.Get(t, r.URL)
	j.Clock.Advance(time.Second)
	page = b.Submit(t, page.FormWith(t, "switch"), "switch", "1")
	if ended(page) != "/login" || strings.Contains(page.Body, harness.Alice.Email) {
		t.Fatalf("not you: %s", ended(page))
	}
	page = logIn(t, b, page, harness.Bob)
	if ended(page) != "/consent" || !strings.Contains(page.Body, harness.Bob.Email) {
		t.Fatalf("switched: %s", ended(page))
	}
	if got := who(r, b.Submit(t, page.Form(t, "consent"), "answer", "allow")); got != harness.Bob.Email {
		t.Errorf("switched, the flow ended for %s", got)
	}
	if home := b.Get(t, "/"); !strings.Contains(home.Body, harness.Bob.Email) {
		t.Error("the browser is still Alice's")
	}
}

func testTabsReloadAndBack(t *testing.T, j *journeys) {
	rp, b := j.client("own"), j.Browser(t)
	one, two := rp.Authorize(nil), rp.Authorize(nil)
	first, second := b.Get(t, one.URL), b.Get(t, two.URL)
	if reloaded := b.Get(t, first.URL.String()); ended(reloaded) != "/login" {
		t.Errorf("reloaded: %s", ended(reloaded))
	}
	wrong := b.Submit(t, first.Form(t, "login"), "email", harness.Bob.Email, "password", "wrong")
	if ended(wrong) != "/login" || wrong.Status != http.StatusUnprocessableEntity {
		t.Errorf("a wrong password: %d %s", wrong.Status, ended(wrong))
	}
	for name, step := range map[string]struct {
		page *harness.Page
		r    *harness.Request
	}{"first": {wrong, one}, "second": {second, two}} {
		p := logIn(t, b, step.page, harness.Bob)
		if ended(p) != "code" || p.Away.Query().Get("state") != step.r.State {
			t.Errorf("the %s tab ends at %s %v", name, ended(p), p.Away)
		}
	}
	for name, page := range map[string]*harness.Page{"first": first, "second": second} {
		if p := b.Get(t, page.URL.String()); ended(p) != "page:flow_finished" || !strings.Contains(p.Body, `id="back" href="https://app.example"`) {
			t.Errorf("back in the %s tab: %s", name, ended(p))
		}
	}
}

func testFlowsThatEnd(t *testing.T, j *journeys) {
	rp, b := j.client("own"), j.Browser(t)
	page := b.Get(t, rp.Authorize(nil).URL)
	if got := ended(j.Browser(t).Get(t, page.URL.String())); got != "page:missing_cookie" {
		t.Errorf("in another browser, which has no cookie: %s", got)
	}
	if got := ended(j.signedIn(t, harness.Bob).Get(t, page.URL.String())); got != "page:flow_elsewhere" {
		t.Errorf("in another browser: %s", got)
	}
	j.Clock.Advance(31 * time.Minute)
	for name, p := range map[string]*harness.Page{"shown": b.Get(t, page.URL.String()), "sent": logIn(t, b, page, harness.Bob)} {
		if ended(p) != "page:flow_expired" || !strings.Contains(p.Body, `id="back" href="https://app.example"`) {
			t.Errorf("expired, %s: %s", name, ended(p))
		}
	}
	for _, flow := range []string{"x", strings.Repeat("A", 43), strings.Repeat("A", 5000), "%27%20OR%201=1"} {
		for _, path := range []string{"/oauth2/authorize", "/login", "/consent", "/org"} {
			if p := b.Get(t, path+"?flow="+flow); p.Status != http.StatusBadRequest {
				t.Errorf("%s with the flow %.20s: %d %s", path, flow, p.Status, ended(p))
			}
		}
	}

	// A POST may come from another site, without a cookie: the first GET within a minute takes its flow.
	post := func() string {
		t.Helper()
		resp, err := rp.HTTP.PostForm(j.Issuer+"/oauth2/authorize", rp.Authorize(nil).Params)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Set-Cookie") != "" {
			t.Fatalf("POST answers %d %v", resp.StatusCode, resp.Header)
		}
		return resp.Header.Get("Location")
	}
	next := post()
	if got := ended(logIn(t, b, b.Get(t, next), harness.Bob)); got != "code" {
		t.Errorf("a request by POST: %s", got)
	}
	next = post()
	thief := j.Browser(t)
	b.Get(t, "/login")
	if got := ended(thief.Get(t, next)); got != "/login" {
		t.Errorf("the first browser: %s", got)
	}
	if got := ended(b.Get(t, next)); got != "page:flow_elsewhere" {
		t.Errorf("the second browser: %s", got)
	}
	next = post()
	j.Clock.Advance(61 * time.Second)
	if got := ended(b.Get(t, next)); got != "page:flow_elsewhere" {
		t.Errorf("after a minute: %s", got)
	}
}

// The suite's prompt-login, max-age-1 and max-age-10000: the form itself, and a later auth_time.
func testSigningInAgain(t *testing.T, j *journeys) {
	rp, b := j.client("own"), j.signedIn(t, harness.Bob)
	authTime := func(r *harness.Request, p *harness.Page) float64 {
		t.Helper()
		if ended(p) != "code" {
			t.Fatalf("ends at %s", ended(p))
		}
		return harness.Claims(t, rp.Redeem(t, p.Away.Query().Get("code"), r).IDToken)["auth_time"].(float64)
	}
	r := rp.Authorize(nil)
	last := authTime(r, b.Get(t, r.URL))
	for name, tc := range map[string]struct {
		extra url.Values
		asks  bool
	}{
		"prompt=login":          {url.Values{"prompt": {"login"}}, true},
		"prompt=select_account": {url.Values{"prompt": {"select_account"}}, true},
		"max_age=1":             {url.Values{"max_age": {"1"}}, true},
		"max_age=0":             {url.Values{"max_age": {"0"}}, true},
		"max_age=10000":         {url.Values{"max_age": {"10000"}}, false},
		"max_age=15000":         {url.Values{"max_age": {"15000"}}, false},
		"login_hint":            {url.Values{"login_hint": {harness.Alice.Email}}, false},
	} {
		j.Clock.Advance(2 * time.Second)
		r := rp.Authorize(tc.extra)
		page := b.Get(t, r.URL)
		if !tc.asks {
			if got := authTime(r, page); got != last {
				t.Errorf("%s: auth_time %v, want %v as before", name, got, last)
			}
			continue
		}
		if ended(page) != "/login" || !strings.Contains(page.Body, `name="password"`) {
			t.Errorf("%s: %s, want the form", name, ended(page))
			continue
		}
		if silent := tc.extra; silent.Get("prompt") == "" {
			silent.Set("prompt", "none")
			if got := ended(b.Get(t, rp.Authorize(silent).URL)); got != "login_required" {
				t.Errorf("%s, silently: %s", name, got)
			}
		}
		// Leaving the form out does not help: the code is still owed.
		if got := ended(b.Get(t, "/oauth2/authorize?"+page.URL.RawQuery)); got != "/login" {
			t.Errorf("%s, gone around: %s", name, got)
		}
		got := authTime(r, logIn(t, b, page, harness.Bob))
		if got <= last {
			t.Errorf("%s: auth_time %v, want later than %v", name, got, last)
		}
		last = got
	}
	// login_hint fills the form in, and max_age bounds what is said later too.
	if page := j.Browser(t).Get(t, rp.Authorize(url.Values{"login_hint": {`"><script>`}}).URL); strings.Contains(page.Body, "<script>") || page.Form(t, "login").Values.Get("email") != `"><script>` {
		t.Error("login_hint is not shown as it is")
	}
}
