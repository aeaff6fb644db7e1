package provider_test

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// RFC 9126, on one server for all of it.
func TestPushedRequests(t *testing.T) {
	eachEngineWithPeers(t, func(t *testing.T, p *peers) {
		t.Run("APushedRequestIsAnsweredAsRFC9126Says", func(t *testing.T) { testAPushedRequestIsAnsweredAsRFC9126Says(t, p) })
		t.Run("APushedRequestIsSpentByItsCodeAndBoundToItsClient", func(t *testing.T) { testAPushedRequestIsSpentByItsCodeAndBoundToItsClient(t, p) })
		t.Run("APushedRequestGivesOneCode", func(t *testing.T) { testAPushedRequestGivesOneCode(t, p) })
		t.Run("PushedCredentialsAreNeverStored", func(t *testing.T) { testPushedCredentialsAreNeverStored(t, p) })
		t.Run("WhoAnAssertionForAPushedRequestMayBeFor", func(t *testing.T) { testWhoAnAssertionForAPushedRequestMayBeFor(t, p) })
		t.Run("AClientThatMustPush", func(t *testing.T) { testAClientThatMustPush(t, p) })
	})
}

// push pushes a request and returns its request_uri.
func push(t testing.TB, rp *harness.RP, r *harness.Request) string {
	t.Helper()
	var answer struct {
		RequestURI string `json:"request_uri"`
		problem
	}
	if status, _ := rp.Post(t, "/oauth2/par", r.Params, &answer); status != http.StatusCreated {
		t.Fatalf("pushing gets %d %+v", status, answer)
	}
	return answer.RequestURI
}

func pushedURL(rp *harness.RP, uri string, more ...string) string {
	q := url.Values{"client_id": {rp.ClientID}, "request_uri": {uri}}
	for i := 0; i+1 < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	return "/oauth2/authorize?" + q.Encode()
}

func testAPushedRequestIsAnsweredAsRFC9126Says(t *testing.T, p *peers) {
	rp := p.peer("web")
	var answer struct {
		RequestURI string `json:"request_uri"`
		ExpiresIn  int    `json:"expires_in"`
	}
	status, header := rp.Post(t, "/oauth2/par", rp.Authorize(nil).Params, &answer)
	if status != http.StatusCreated || header.Get("Cache-Control") != "no-store" || header.Get("Content-Type") != "application/json" {
		t.Errorf("answer %d %v, want 201, no-store and JSON", status, header)
	}
	// At least 128 bits that nobody guesses (RFC 9126, section 7.1).
	token, ok := strings.CutPrefix(answer.RequestURI, "urn:ietf:params:oauth:request_uri:")
	if !ok || len(token) < 43 || answer.ExpiresIn != 300 {
		t.Errorf("got %+v", answer)
	}
	for name, tc := range map[string]struct {
		change url.Values
		want   string
	}{
		"request_uri in the form": {url.Values{"request_uri": {answer.RequestURI}}, "invalid_request"},
		"foreign redirect_uri":    {url.Values{"redirect_uri": {"https://evil.example/cb"}}, "invalid_request"},
		"no redirect_uri":         {url.Values{"redirect_uri": nil}, "invalid_request"},
		"another client":          {url.Values{"client_id": {"other"}}, "invalid_request"},
		"scope not registered":    {url.Values{"scope": {"openid files:read"}}, "invalid_scope"},
		"implicit":                {url.Values{"response_type": {"token"}}, "unsupported_response_type"},
		"plain PKCE":              {url.Values{"code_challenge_method": {"plain"}}, "invalid_request"},
		"prompt none and login":   {url.Values{"prompt": {"none login"}}, "invalid_request"},
	} {
		var got problem
		if status, _ := rp.Post(t, "/oauth2/par", rp.Authorize(tc.change).Params, &got); status != http.StatusBadRequest || got.Error != tc.want {
			t.Errorf("%s: %d %+v, want 400 %s", name, status, got, tc.want)
		}
	}
	stranger := p.RP("web", "not the secret", peerRedirect, "openid")
	if status, header := stranger.Post(t, "/oauth2/par", stranger.Authorize(nil).Params, nil); status != http.StatusUnauthorized || header.Get("WWW-Authenticate") == "" {
		t.Errorf("a wrong secret gets %d", status)
	}
}

// RFC 9126 section 7.3; and the conformance suite visits twice before signing in.
func testAPushedRequestIsSpentByItsCodeAndBoundToItsClient(t *testing.T, p *peers) {
	rp, b := p.peer("web"), p.signedIn(t, harness.Bob)
	r := rp.Authorize(nil)
	uri := push(t, rp, r)
	stranger := p.Browser(t)
	for range 2 {
		if got := outcome(stranger.Get(t, pushedURL(rp, uri))); got != "at:/login" {
			t.Fatalf("before signing in: %s", got)
		}
	}
	if got := outcome(b.Get(t, pushedURL(p.peer("other"), uri))); got != "page:invalid_request_uri" {
		t.Errorf("another client: %s", got)
	}
	// Parameters outside the request object do not count (RFC 9101, section 5).
	page := b.Get(t, pushedURL(rp, uri, "redirect_uri", "https://evil.example/cb", "scope", "openid roles", "state", "outer", "prompt", "login"))
	if outcome(page) != "code" || page.Away.Host != "app.example" || page.Away.Query().Get("state") != r.State {
		t.Fatalf("got %s %v", outcome(page), page.Away)
	}
	if tokens := rp.Redeem(t, page.Away.Query().Get("code"), r); tokens.Scope != rp.Scope {
		t.Errorf("scope %q, want %q", tokens.Scope, rp.Scope)
	}
	for name, browser := range map[string]*harness.Browser{"the same browser": b, "another": p.Browser(t)} {
		if got := outcome(browser.Get(t, pushedURL(rp, uri))); got != "page:invalid_request_uri" {
			t.Errorf("after its code, %s: %s", name, got)
		}
	}
	// The flow that another browser began with it cannot end in a second code.
	if got := outcome(stranger.Get(t, "/oauth2/authorize?client_id=web&request_uri="+url.QueryEscape("urn:ietf:params:oauth:request_uri:"+secret.NewToken("")))); got != "page:invalid_request_uri" {
		t.Errorf("guessed: %s", got)
	}

	uri = push(t, rp, rp.Authorize(nil))
	p.Clock.Advance(5*time.Minute + time.Second)
	if got := outcome(b.Get(t, pushedURL(rp, uri))); got != "page:invalid_request_uri" {
		t.Errorf("expired: %s", got)
	}
}

// Two flows of one pushed request, in two browsers: one code.
func testAPushedRequestGivesOneCode(t *testing.T, p *peers) {
	rp := p.peer("web")
	uri := push(t, rp, rp.Authorize(nil))
	one, two := p.Browser(t), p.Browser(t)
	waiting := two.Get(t, pushedURL(rp, uri))
	if got := outcome(one.WalkTo(t, p.Issuer+pushedURL(rp, uri), harness.Bob)); got != "code" {
		t.Fatalf("the first: %s", got)
	}
	got := two.Submit(t, waiting.Form(t, "login"), "email", harness.Bob.Email, "password", harness.Bob.Password)
	// The statement that gives no code may have ended the flow.
	if o := outcome(got); o != "page:flow_expired" && o != "page:flow_finished" || got.Status != http.StatusBadRequest {
		t.Errorf("the second: %d %s", got.Status, outcome(got))
	}
}

// fosite keeps the raw form of a pushed request, credentials and all (RFC 9126, section 2.1).
func testPushedCredentialsAreNeverStored(t *testing.T, p *peers) {
	posted := p.peer("posted")
	r := posted.Authorize(url.Values{"client_secret": {peerSecret("posted")}, "state": {"state-of-posted"}})
	status, _ := p.RP("posted", "", peerRedirect, "openid").Post(t, "/oauth2/par", r.Params, nil)
	if status != http.StatusCreated {
		t.Fatalf("client_secret_post gets %d", status)
	}
	keyed := p.peer("keyed")
	assertion := p.assertion(t, "keyed", map[string]any{})
	r = keyed.Authorize(url.Values{"client_assertion": {assertion}, "state": {"state-of-keyed"},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}})
	if status, _ := keyed.Post(t, "/oauth2/par", r.Params, nil); status != http.StatusCreated {
		t.Fatalf("private_key_jwt gets %d", status)
	}
	object := p.peer("object")
	jws := p.jws(t, "RS256", "oauth-authz-req+jwt", p.object("object", map[string]any{"state": "state-of-object"}))
	if status, _ := object.Post(t, "/oauth2/par", url.Values{"request": {jws}, "client_id": {"object"}}, nil); status != http.StatusCreated {
		t.Fatalf("a pushed request object gets %d", status)
	}
	contents := p.Contents(t)
	for _, state := range []string{"state-of-posted", "state-of-keyed", "state-of-object"} {
		if !strings.Contains(contents, state) {
			t.Errorf("%s is not in the database: the test looks in the wrong place", state)
		}
	}
	for name, canary := range map[string]string{"secret": peerSecret("posted"), "assertion": assertion, "object": jws, "the kind": "client_assertion"} {
		if strings.Contains(contents, canary) {
			t.Errorf("the database holds the %s", name)
		}
	}
}

// assertion is a client assertion of a peer for the issuer; change replaces claims.
func (p *peers) assertion(t testing.TB, client string, change map[string]any) string {
	t.Helper()
	now := p.Clock.Now()
	claims := map[string]any{"iss": client, "sub": client, "aud": p.Issuer, "jti": secret.NewToken(""), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()}
	maps.Copy(claims, change)
	return p.jws(t, "ES256", "JWT", claims)
}

// RFC 9126, section 2: at this endpoint the issuer, its own URL and the token
// endpoint's are audiences, each alone; several at once would let another server replay it.
func testWhoAnAssertionForAPushedRequestMayBeFor(t *testing.T, p *peers) {
	rp := p.peer("keyed")
	for name, tc := range map[string]struct {
		aud  any
		want int
	}{
		"issuer":             {p.Issuer, http.StatusCreated},
		"list of the issuer": {[]string{p.Issuer}, http.StatusCreated},
		"token endpoint":     {p.Issuer + "/oauth2/token", http.StatusCreated},
		"this endpoint":      {p.Issuer + "/oauth2/par", http.StatusCreated},
		"two":                {[]string{p.Issuer, "https://other.example"}, http.StatusUnauthorized},
		"another server":     {"https://other.example", http.StatusUnauthorized},
		"another endpoint":   {p.Issuer + "/oauth2/revoke", http.StatusUnauthorized},
		"none":               {nil, http.StatusUnauthorized},
	} {
		r := rp.Authorize(url.Values{"client_assertion": {p.assertion(t, "keyed", map[string]any{"aud": tc.aud})},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}})
		if status, _ := rp.Post(t, "/oauth2/par", r.Params, nil); status != tc.want {
			t.Errorf("%s: got %d, want %d", name, status, tc.want)
		}
	}
}

// RFC 9126 section 5: whoever must push cannot ask in the URL, by form or by object.
func testAClientThatMustPush(t *testing.T, p *peers) {
	rp, b := p.peer("pushing"), p.signedIn(t, harness.Bob)
	r := rp.Authorize(nil)
	page := b.Get(t, r.URL)
	if outcome(page) != "invalid_request" || page.Away.Query().Get("state") != r.State {
		t.Errorf("by GET: %s %v", outcome(page), page.Away)
	}
	if page := b.Post(t, "/oauth2/authorize", r.Params); outcome(page) != "invalid_request" {
		t.Errorf("by POST: %s", outcome(page))
	}
	if got := outcome(b.Get(t, pushedURL(rp, push(t, rp, rp.Authorize(nil))))); got != "code" {
		t.Errorf("pushed: %s", got)
	}
}
