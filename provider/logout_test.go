package provider_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/harness"
)

const peerOut = "https://app.example/out"

func TestRPInitiatedLogout(t *testing.T) {
	eachEngineWithPeers(t, func(t *testing.T, p *peers) {
		t.Run("at once", func(t *testing.T) { testLogoutWithItsHint(t, p) })
		t.Run("asked", func(t *testing.T) { testLogoutThatAsks(t, p) })
		t.Run("refused", func(t *testing.T) { testLogoutsThatGoNowhere(t, p) })
		t.Run("from elsewhere", func(t *testing.T) { testLogoutFromAnotherSite(t, p) })
	})
}

func logoutURL(pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return "/oauth2/logout?" + q.Encode()
}

// in reports whether somebody is signed in in a browser, as a relying party sees it.
func (p *peers) in(t testing.TB, b *harness.Browser) bool {
	t.Helper()
	got := ask(t, b, p.peer("web"), url.Values{"prompt": {"none"}})
	if got != "code" && got != "login_required" {
		t.Fatalf("prompt=none gets %s", got)
	}
	return got == "code"
}

// Rows 1 to 3 of the suite's plan, where the hint's session is this one: no question.
func testLogoutWithItsHint(t *testing.T, p *peers) {
	rp := p.peer("web")
	for name, tc := range map[string]struct {
		more []string
		want string // "" is the page that says so
		wait time.Duration
	}{
		"with a state":    {[]string{"post_logout_redirect_uri", peerOut, "state", strings.Repeat("s&=x", 32)}, peerOut + "?state=" + url.QueryEscape(strings.Repeat("s&=x", 32)), 0},
		"without":         {[]string{"post_logout_redirect_uri", peerOut}, peerOut, 0},
		"nowhere to go":   {nil, "", 0},
		"state alone":     {[]string{"state", "x"}, "", 0},
		"its client":      {[]string{"post_logout_redirect_uri", peerOut, "client_id", "web"}, peerOut, 0},
		"an expired hint": {[]string{"post_logout_redirect_uri", peerOut}, peerOut, 61 * time.Minute},
	} {
		b := p.signedIn(t, harness.Bob)
		tokens := tokensFor(t, b, rp, nil)
		p.Clock.Advance(tc.wait)
		page := b.Get(t, logoutURL(append(tc.more, "id_token_hint", tokens.IDToken)...))
		switch {
		case tc.want == "" && (page.Away != nil || page.Status != 200 || !strings.Contains(page.Body, `id="signed-out"`)):
			t.Errorf("%s: %d, away to %v, want the page that says so", name, page.Status, page.Away)
		case tc.want != "" && (page.Away == nil || page.Away.String() != tc.want):
			t.Errorf("%s: away to %v, want %s", name, page.Away, tc.want)
		}
		if p.in(t, b) {
			t.Errorf("%s: still signed in", name)
		}
		if status, _ := rp.Userinfo(t, tokens.AccessToken); status != 401 {
			t.Errorf("%s: the access token lives on: %d", name, status)
		}
		if again := b.Get(t, logoutURL(append(tc.more, "id_token_hint", tokens.IDToken)...)); again.Status >= 400 {
			t.Errorf("%s once more: %d", name, again.Status)
		}
	}
}

// RP-Initiated Logout 1.0, section 2: without a hint of this very session the
// person is asked, or any page on the web could sign people out.
func testLogoutThatAsks(t *testing.T, p *peers) {
	rp := p.peer("web")
	bobs, alices := p.signedIn(t, harness.Bob), p.signedIn(t, harness.Alice)
	elsewhere := p.signedIn(t, harness.Bob)
	alice, another := tokensFor(t, alices, rp, nil).IDToken, tokensFor(t, elsewhere, rp, nil).IDToken
	for name, tc := range map[string]struct {
		target, want string
	}{
		"no parameters":          {"/oauth2/logout", ""},
		"state alone":            {logoutURL("state", "x"), ""},
		"another person's hint":  {logoutURL("id_token_hint", alice, "post_logout_redirect_uri", peerOut, "state", "x"), peerOut + "?state=x"},
		"another session's hint": {logoutURL("id_token_hint", another, "post_logout_redirect_uri", peerOut), peerOut},
		"client_id alone":        {logoutURL("client_id", "web", "post_logout_redirect_uri", peerOut, "state", "x"), peerOut + "?state=x"},
	} {
		page := bobs.Get(t, tc.target)
		if page.Away != nil || page.Status != 200 || !strings.Contains(page.Body, `id="logout-yes"`) || !strings.Contains(page.Body, harness.Bob.Email) {
			t.Fatalf("%s: %d away to %v, want the question", name, page.Status, page.Away)
		}
		form := page.FormWith(t, "answer")
		if got := bobs.Submit(t, form, "answer", "no"); got.Away != nil || !p.in(t, bobs) {
			t.Errorf("%s, no: away to %v, signed in %v", name, got.Away, p.in(t, bobs))
		}
		// The answer is this browser's own.
		if got := bobs.Submit(t, form, "answer", "yes", "csrf", strings.Repeat("A", 43)); got.Status != http.StatusForbidden || !p.in(t, bobs) {
			t.Errorf("%s, forged: %d, signed in %v", name, got.Status, p.in(t, bobs))
		}
		foreign := alices.Get(t, "/oauth2/logout").FormWith(t, "answer").Values.Get("csrf")
		if got := bobs.Submit(t, form, "answer", "yes", "csrf", foreign); got.Status != http.StatusForbidden || !p.in(t, bobs) {
			t.Errorf("%s, with another's token: %d, signed in %v", name, got.Status, p.in(t, bobs))
		}
		for _, time := range []string{"first", "second"} { // a double click ends the same way
			got := bobs.Submit(t, form, "answer", "yes")
			if tc.want == "" && !strings.Contains(got.Body, `id="signed-out"`) || tc.want != "" && (got.Away == nil || got.Away.String() != tc.want) {
				t.Errorf("%s, %s yes: %d %s away to %v, want %q", name, time, got.Status, outcome(got), got.Away, tc.want)
			}
		}
		if p.in(t, bobs) {
			t.Errorf("%s: still signed in", name)
		}
		bobs = p.signedIn(t, harness.Bob)
	}
	if !p.in(t, alices) || !p.in(t, elsewhere) {
		t.Error("another browser was signed out too")
	}
}

// No redirect, and nobody is signed out.
func testLogoutsThatGoNowhere(t *testing.T, p *peers) {
	b := p.signedIn(t, harness.Bob)
	hint := tokensFor(t, b, p.peer("web"), nil).IDToken
	claims := harness.Claims(t, hint)
	swapped := harness.Claims(t, hint)
	swapped["iss"], swapped["aud"] = "web", p.Issuer
	const uri, token = "page:invalid_post_logout_redirect_uri", "page:invalid_id_token_hint"
	const unnamed, unknown = "page:missing_client", "page:unknown_client"
	for name, tc := range map[string]struct{ target, want string }{
		"unregistered":          {logoutURL("id_token_hint", hint, "post_logout_redirect_uri", "https://app.example/elsewhere"), uri},
		"a query added":         {logoutURL("id_token_hint", hint, "post_logout_redirect_uri", peerOut+"?foo=bar"), uri},
		"a fragment added":      {logoutURL("id_token_hint", hint, "post_logout_redirect_uri", peerOut+"#x"), uri},
		"another client's":      {logoutURL("id_token_hint", hint, "post_logout_redirect_uri", "http://localhost:5001/"), uri},
		"a redirect URI":        {logoutURL("id_token_hint", hint, "post_logout_redirect_uri", peerRedirect), uri},
		"javascript:":           {logoutURL("id_token_hint", hint, "post_logout_redirect_uri", "javascript:alert(1)"), uri},
		"no hint":               {logoutURL("post_logout_redirect_uri", peerOut, "state", "x"), unnamed},
		"no hint, unregistered": {logoutURL("post_logout_redirect_uri", "https://evil.example/"), unnamed},
		"empty client_id":       {logoutURL("client_id", "", "post_logout_redirect_uri", peerOut), unnamed},
		"unknown client":        {logoutURL("client_id", "nobody", "post_logout_redirect_uri", peerOut), unknown},
		"alg none":              {logoutURL("id_token_hint", unsigned(t, claims), "post_logout_redirect_uri", peerOut), token},
		"signed by the client":  {logoutURL("id_token_hint", p.jws(t, "RS256", "JWT", swapped), "post_logout_redirect_uri", peerOut), token},
		"signature cut off":     {logoutURL("id_token_hint", hint[:strings.LastIndex(hint, ".")+1], "post_logout_redirect_uri", peerOut), token},
		"nonsense":              {logoutURL("id_token_hint", "x"), token},
		"another client's id":   {logoutURL("id_token_hint", hint, "client_id", "other", "post_logout_redirect_uri", peerOut), token},
		"repeated":              {logoutURL("id_token_hint", hint) + "&post_logout_redirect_uri=" + url.QueryEscape(peerOut) + "&post_logout_redirect_uri=x", "page:invalid_request"},
	} {
		page := b.Get(t, tc.target)
		if got := outcome(page); got != tc.want || page.Status != http.StatusBadRequest {
			t.Errorf("%s: %d %s, want %s", name, page.Status, got, tc.want)
		}
		if !strings.Contains(page.Body, "You are still signed in here.") || !strings.Contains(page.Body, harness.Bob.Email) {
			t.Errorf("%s: the page does not say who is signed in", name)
		}
		if back := strings.Contains(page.Body, `id="back"`); back != strings.Contains(page.Body, "go back to the app") {
			t.Errorf("%s: the page has a link to the app: %v; its advice says otherwise", name, back)
		}
		if !p.in(t, b) {
			t.Fatalf("%s: signed out", name)
		}
		// With nobody signed in the rules for where to go are the same, and there is nothing to sign out of.
		page = p.Browser(t).Get(t, tc.target)
		if got := outcome(page); got != tc.want || strings.Contains(page.Body, "still signed in") || strings.Contains(page.Body, `id="logout-yes"`) {
			t.Errorf("%s, nobody signed in: %s", name, got)
		}
	}
	// The person can sign out whatever is wrong with the request.
	for name, target := range map[string]string{
		"the address":   logoutURL("id_token_hint", hint, "post_logout_redirect_uri", "https://app.example/elsewhere"),
		"the hint":      logoutURL("id_token_hint", "x", "post_logout_redirect_uri", peerOut),
		"no client":     logoutURL("post_logout_redirect_uri", peerOut),
		"the client":    logoutURL("client_id", "nobody", "post_logout_redirect_uri", peerOut),
		"the parameter": logoutURL("state", "x") + "&state=y",
	} {
		b = p.signedIn(t, harness.Bob)
		out := b.Submit(t, b.Get(t, target).FormWith(t, "answer"))
		if out.Away != nil || !strings.Contains(out.Body, `id="signed-out"`) || p.in(t, b) {
			t.Errorf("%s is wrong: signing out on the page ends with %s", name, outcome(out))
		}
	}
}

// A relying party may POST (section 2), from its own site: that request has no
// cookie of ours. It goes on as a GET, and only with what belongs there.
func testLogoutFromAnotherSite(t *testing.T, p *peers) {
	rp, b := p.peer("web"), p.signedIn(t, harness.Bob)
	hint := tokensFor(t, b, rp, nil).IDToken
	form := url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {peerOut}, "state": {"x"}, "answer": {"yes"}, "more": {"x"}}
	resp, body := answerTo(t, rp, http.MethodPost, "/oauth2/logout", http.Header{"Content-Type": {"application/x-www-form-urlencoded"},
		"Origin": {"https://app.example"}, "Sec-Fetch-Site": {"cross-site"}}, form.Encode())
	next, err := resp.Location()
	if err != nil || resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("POST answers %d %s", resp.StatusCode, body)
	}
	if q := next.Query(); next.Path != "/oauth2/logout" || q.Get("id_token_hint") != hint || q.Has("answer") || q.Has("more") || q.Has("csrf") {
		t.Errorf("it goes on to %s", next)
	}
	if page := b.Get(t, next.String()); page.Away == nil || page.Away.String() != peerOut+"?state=x" || p.in(t, b) {
		t.Errorf("and then to %v", page.Away)
	}
	// Without a hint, a forged POST only leads to the question.
	b = p.signedIn(t, harness.Bob)
	if page := b.Post(t, "/oauth2/logout", url.Values{"answer": {"yes"}}); !strings.Contains(page.Body, `id="logout-yes"`) || !p.in(t, b) {
		t.Errorf("a forged POST ends at %s %s", page.URL, outcome(page))
	}
}
