package provider_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/harness"
)

// An authorization request is read strictly, answered exactly, and its errors are
// those of the standards: one server and one sign-in serve all cases.
func TestAuthorizationRequestsAreReadStrictlyAndAnsweredExactly(t *testing.T) {
	harness.EachEngine(t, harness.Options{Clients: redirectClients}, func(t *testing.T, s *harness.Server) {
		b := s.Browser(t)
		redirectPortal(s).SignIn(t, b, harness.Bob, nil)
		for name, test := range map[string]func(*testing.T, *harness.Server, *harness.Browser){
			"errors":            errorsGoToTheClient,
			"accepted":          acceptedParameters,
			"state and nonce":   stateAndNonceAreEchoedWhole,
			"form_post":         formPostIsEscaped,
			"max_age":           maxAgeIsANumber,
			"repeated":          repeatedParametersStayHere,
			"post":              postIsBoundByItsFirstVisitor,
			"flow of another":   aFlowBelongsToItsBrowser,
			"scope of a client": unknownScopesAreLeftOut,
		} {
			t.Run(name, func(t *testing.T) { test(t, s, b) })
		}
	})
}

// RFC 6749, section 4.1.2.1: with a good client and redirect URI an
// error goes there, with state and iss (RFC 9207) and nothing else, however it is to come.
func errorsGoToTheClient(t *testing.T, s *harness.Server, b *harness.Browser) {
	for _, tc := range []struct {
		name  string
		extra url.Values
		want  string
	}{
		{"no response_type", url.Values{"response_type": nil}, "invalid_request"},
		{"empty response_type", url.Values{"response_type": {""}}, "invalid_request"},
		{"implicit", url.Values{"response_type": {"token"}}, "unsupported_response_type"},
		{"id_token", url.Values{"response_type": {"id_token"}}, "unsupported_response_type"},
		{"hybrid", url.Values{"response_type": {"code id_token"}}, "unsupported_response_type"},
		{"code twice", url.Values{"response_type": {"code code"}}, "unsupported_response_type"},
		{"code in capitals", url.Values{"response_type": {"CODE"}}, "unsupported_response_type"},
		{"none", url.Values{"response_type": {"none"}}, "unsupported_response_type"},
		{"fragment", url.Values{"response_mode": {"fragment"}}, "invalid_request"},
		{"web_message", url.Values{"response_mode": {"web_message"}}, "invalid_request"},
		{"jwt", url.Values{"response_mode": {"query.jwt"}}, "invalid_request"},
		{"unknown mode", url.Values{"response_mode": {"FORM_POST"}}, "invalid_request"},
		{"known scope, not registered", url.Values{"scope": {"openid email"}}, "invalid_scope"},
		{"scope of a resource, not registered", url.Values{"scope": {"openid api:read"}}, "invalid_scope"},
		{"org:slug without org", url.Values{"scope": {"openid org:acme-corp"}}, "invalid_scope"},
		{"no known scope", url.Values{"scope": {"nonsense"}}, "invalid_scope"},
		{"OPENID is not openid", url.Values{"scope": {"OPENID"}}, "invalid_scope"},
		{"no scope", url.Values{"scope": nil}, "invalid_scope"},
		{"registration", url.Values{"registration": {"{}"}}, "registration_not_supported"},
		{"request_uri", url.Values{"request_uri": {"https://good.example/object"}}, "request_uri_not_supported"},
		{"request_uri inside", url.Values{"request_uri": {"http://169.254.169.254/latest"}}, "request_uri_not_supported"},
		{"request", url.Values{"request": {"eyJhbGciOiJub25lIn0.e30."}}, "invalid_request_object"},
		{"prompt=none login", url.Values{"prompt": {"none login"}}, "invalid_request"},
		{"prompt=create", url.Values{"prompt": {"create"}}, "invalid_request"},
		{"prompt=None", url.Values{"prompt": {"None"}}, "invalid_request"},
		{"plain", url.Values{"code_challenge_method": {"plain"}}, "invalid_request"},
		{"no method means plain", url.Values{"code_challenge_method": nil}, "invalid_request"},
		{"unknown method", url.Values{"code_challenge_method": {"S512"}}, "invalid_request"},
		{"method without challenge", url.Values{"code_challenge": nil}, "invalid_request"},
		{"challenge of 42", url.Values{"code_challenge": {strings.Repeat("a", 42)}}, "invalid_request"},
		{"challenge of 44", url.Values{"code_challenge": {strings.Repeat("a", 43) + "="}}, "invalid_request"},
		{"challenge with +", url.Values{"code_challenge": {strings.Repeat("a", 42) + "+"}}, "invalid_request"},
		{"hint is no token", url.Values{"id_token_hint": {"a.b.c"}}, "invalid_request"},
		{"claims are no JSON", url.Values{"claims": {"{"}}, "invalid_request"},
	} {
		for _, mode := range []string{"", "query", "form_post"} {
			extra := maps.Clone(tc.extra)
			if mode != "" && !extra.Has("response_mode") {
				extra.Set("response_mode", mode)
			}
			r := redirectPortal(s).Authorize(extra)
			got := answerOf(t, b.Get(t, r.URL), r, s.Issuer)
			if got.Get("error") != tc.want || got.Get("error_description") == "" || len(got) != 4 {
				t.Errorf("%s (%s): the client gets %v, want %s with a description, state and iss", tc.name, mode, got, tc.want)
			}
			if d := got.Get("error_description"); strings.ContainsFunc(d, func(c rune) bool { return c < 0x20 || c > 0x7e || c == '"' || c == '\\' }) {
				t.Errorf("%s: the description has characters outside RFC 6749's set: %q", tc.name, d)
			}
		}
	}
}

// answerOf is what the client is told, by redirect or by form, checked for where it
// goes, state and iss.
func answerOf(t *testing.T, p *harness.Page, r *harness.Request, issuer string) url.Values {
	t.Helper()
	var got url.Values
	switch {
	case p.Away != nil:
		got = p.Away.Query()
		if at := p.Away.Scheme + "://" + p.Away.Host + p.Away.Path; at != r.Params.Get("redirect_uri") || p.Away.Fragment != "" || p.Status != http.StatusSeeOther {
			t.Errorf("%d to %s, want 303 to %s and no fragment", p.Status, p.Away, r.Params.Get("redirect_uri"))
		}
	case len(p.Forms) == 1 && p.Forms[0].ID == "form-post":
		got = p.Forms[0].Values
		if p.Forms[0].Action.String() != r.Params.Get("redirect_uri") || !strings.EqualFold(p.Forms[0].Method, "post") {
			t.Errorf("the form goes by %s to %s, want POST to %s", p.Forms[0].Method, p.Forms[0].Action, r.Params.Get("redirect_uri"))
		}
	default:
		t.Errorf("the client gets nothing: %d at %s, error %q", p.Status, p.URL, errorShown(p))
		return url.Values{}
	}
	for name, want := range map[string]string{"state": r.Params.Get("state"), "iss": issuer} {
		if v := got[name]; len(v) != 1 || v[0] != want {
			t.Errorf("%s is %q, want %q once", name, v, want)
		}
	}
	return got
}

// codeOf asserts that a request is answered with a code and nothing but code, state, iss.
func codeOf(t *testing.T, s *harness.Server, b *harness.Browser, r *harness.Request) string {
	t.Helper()
	got := answerOf(t, b.Get(t, r.URL), r, s.Issuer)
	if got.Get("code") == "" || len(got) != 3 {
		t.Errorf("the client gets %v, want code, state and iss", got)
	}
	return got.Get("code")
}

// The suite's oidcc-display-*, -login-hint, -ui-locales, -claims-locales and
// unknown-parameter modules; RFC 6749 section 3.1: what is not known is ignored.
func acceptedParameters(t *testing.T, s *harness.Server, b *harness.Browser) {
	for _, extra := range []url.Values{
		{"display": {"page"}}, {"display": {"popup"}}, {"display": {"nonsense"}}, {"ui_locales": {"se"}}, {"claims_locales": {"se"}}, {"login_hint": {"bob@acme-corp.com"}},
		{"login_hint": {`"><script>alert(1)</script>`}}, {"extra": {"foobar"}}, {"acr_values": {"1 2"}}, {"nonce": nil}, {"prompt": {""}}, {"response_mode": {"query"}}, {"response_mode": {""}},
		{"scope": {"profile openid"}}, {"scope": {"openid openid"}}, {"code_challenge": nil, "code_challenge_method": nil}, {"max_age": {"10000"}}, {"resource": {""}}, {"audience": {"a", "b"}},
		{"claims": {`{"userinfo":{"name":{"essential":true}}}`}},
	} {
		codeOf(t, s, b, redirectPortal(s).Authorize(extra))
	}
	// The hint fills in the page and cannot break out of it.
	hint := `"><script>alert(1)</script>`
	p := s.Browser(t).Get(t, redirectPortal(s).Authorize(url.Values{"login_hint": {hint}}).URL)
	if got := p.Form(t, "login").Values.Get("email"); got != hint || strings.Contains(p.Body, "<script>alert") {
		t.Errorf("the page shows login_hint as %q, want %q, escaped", got, hint)
	}
}

// Byte for byte or not at all. There is no least length: state is the
// client's business (suite: 128 characters; fosite would want 8).
func stateAndNonceAreEchoedWhole(t *testing.T, s *harness.Server, b *harness.Browser) {
	rp := redirectPortal(s)
	for _, v := range []string{"1", "%00", "a b+c&d=e#f?g/h;i", `"><script>alert('x')</script>`, "Zoë ✓ 日本 \u202e", "\r\nSet-Cookie: a=b", "%0d%0aLocation:", strings.Repeat("x", 128), strings.Repeat("é", 1024)} {
		r := rp.Authorize(url.Values{"state": {v}, "nonce": {v}})
		tokens := rp.Redeem(t, codeOf(t, s, b, r), r)
		if got := harness.Claims(t, tokens.IDToken)["nonce"]; got != v {
			t.Errorf("nonce %q comes back as %q", v, got)
		}
	}
	empty := rp.Authorize(url.Values{"state": {""}, "nonce": {""}})
	codeOf(t, s, b, empty)
	// No state, no state: the client must not find one it did not send.
	absent := b.Get(t, rp.Authorize(url.Values{"state": nil, "nonce": nil}).URL)
	if absent.Away == nil || absent.Away.Query().Has("state") || absent.Away.Query().Get("code") == "" {
		t.Errorf("without state the client gets %v", absent.Away)
	}
	for _, n := range []int{4096, 65536} {
		for _, name := range []string{"state", "nonce"} {
			r := rp.Authorize(url.Values{name: {strings.Repeat("x", n)}})
			if got := answerOf(t, b.Get(t, r.URL), r, s.Issuer); got.Get("error") != "invalid_request" {
				t.Errorf("a %s of %d bytes gets %q, want invalid_request", name, n, got.Get("error"))
			}
		}
	}
	// A NUL is in no text that a database keeps; nobody knows what to redirect then.
	if p := b.Get(t, rp.Authorize(url.Values{"state": {"a\x00b"}}).URL); p.Away != nil || p.Status != http.StatusBadRequest {
		t.Errorf("a NUL in state ends with %d, away %v; want a page", p.Status, p.Away)
	}
}

// A text that the client sent stands in the page as text, and the page may post to the
// app, from where the app may redirect to anywhere.
func formPostIsEscaped(t *testing.T, s *harness.Server, b *harness.Browser) {
	state := `"></form><script>alert(1)</script><form action="https://evil.example">`
	r := redirectPortal(s).Authorize(url.Values{"response_mode": {"form_post"}, "state": {state}})
	p := b.Get(t, r.URL)
	if got := answerOf(t, p, r, s.Issuer); got.Get("code") == "" || strings.Contains(p.Body, "<script>alert") {
		t.Errorf("the form holds %v; is the state escaped? %v", got, !strings.Contains(p.Body, "<script>alert"))
	}
	csp := p.Header.Get("Content-Security-Policy")
	if strings.Contains(csp, "form-action") || !strings.Contains(csp, "script-src 'self';") || strings.Contains(csp, "unsafe") {
		t.Errorf("Content-Security-Policy is %q", csp)
	}
	if p.Header.Get("Cache-Control") != "no-store" || p.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("a page with a code may be kept: %q, %q", p.Header.Get("Cache-Control"), p.Header.Get("Referrer-Policy"))
	}
}

// OpenID Connect Core 1.0, section 3.1.2.1; fosite drops 0 and garbage silently.
func maxAgeIsANumber(t *testing.T, s *harness.Server, b *harness.Browser) {
	for _, v := range []string{"-1", "-0", "1e9", "", " ", "5 ", "+5", "1.0", "0x10", "1_000", "garbage", "9223372036854775808", "99999999999999999999999", "-9223372036854775809", "\u0661"} {
		r := redirectPortal(s).Authorize(url.Values{"max_age": {v}})
		if got := answerOf(t, b.Get(t, r.URL), r, s.Issuer); got.Get("error") != "invalid_request" {
			t.Errorf("max_age=%q gets %v, want invalid_request", v, got)
		}
	}
	for _, v := range []string{"1000000000", "9223372036854775807", "100000"} {
		codeOf(t, s, b, redirectPortal(s).Authorize(url.Values{"max_age": {v}}))
	}
	// 0 asks for a sign-in now, and is not "no limit".
	r := redirectPortal(s).Authorize(url.Values{"max_age": {"0"}})
	if p := b.Get(t, r.URL); p.Away != nil || p.URL.Path != "/login" {
		t.Errorf("max_age=0 ends at %s, away %v; want the sign-in page", p.URL, p.Away)
	}
	none := redirectPortal(s).Authorize(url.Values{"max_age": {"0"}, "prompt": {"none"}})
	if got := answerOf(t, b.Get(t, none.URL), none, s.Issuer); got.Get("error") != "login_required" {
		t.Errorf("max_age=0 with prompt=none gets %v, want login_required", got)
	}
}

// RFC 6749, section 3.1: a parameter may occur once. With a repeated one two parsers
// could read two values, so nothing of the request is believed.
func repeatedParametersStayHere(t *testing.T, s *harness.Server, b *harness.Browser) {
	base := redirectPortal(s).Authorize(nil)
	for _, name := range append(slices.Sorted(maps.Keys(base.Params)), "prompt", "max_age", "request", "flow") {
		twice := base.Params.Encode() + "&" + url.Values{name: {base.Params.Get(name)}}.Encode()
		if !base.Params.Has(name) {
			twice += "&" + name + "=x"
		}
		if p := b.Get(t, s.Issuer+"/oauth2/authorize?"+twice); p.Away != nil || p.Status != http.StatusBadRequest || errorShown(p) == "" {
			t.Errorf("%s twice ends with %d %q, away %v; want a page here", name, p.Status, errorShown(p), p.Away)
		}
	}
	for _, raw := range []string{"&x=%zz", "&x=%ff", "&%00=1", "&a;b=1"} {
		if p := b.Get(t, base.URL+raw); p.Away != nil || p.Status != http.StatusBadRequest {
			t.Errorf("%s ends with %d, away %v; want a page here", raw, p.Status, p.Away)
		}
	}
}

// postAuthorize sends a request as the page of another site would: a form, from a
// foreign origin. It does not follow the answer.
func postAuthorize(t *testing.T, s *harness.Server, b *harness.Browser, r *harness.Request) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.Issuer+"/oauth2/authorize", strings.NewReader(r.Params.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", "https://good.example")
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	resp, err := b.HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp
}

// OpenID Connect Core 1.0, section 3.1.2.1: a POST may come from another
// site, without cookies. It makes a flow that the first browser to come takes,
// within a minute; nobody else can go on with it.
func postIsBoundByItsFirstVisitor(t *testing.T, s *harness.Server, b *harness.Browser) {
	rp := redirectPortal(s)
	r := rp.Authorize(nil)
	resp := postAuthorize(t, s, s.Browser(t), r)
	location := resp.Header.Get("Location")
	if resp.StatusCode != http.StatusSeeOther || !strings.HasPrefix(location, "/oauth2/authorize?flow=") || len(resp.Header["Set-Cookie"]) > 0 {
		t.Fatalf("the POST answers %d to %q with cookies %q; want 303 to the flow and no cookie", resp.StatusCode, location, resp.Header["Set-Cookie"])
	}
	got := answerOf(t, b.Get(t, location), r, s.Issuer)
	if got.Get("code") == "" {
		t.Fatalf("the browser that takes the flow gets %v, want a code", got)
	}
	rp.Redeem(t, got.Get("code"), r)
	if p := b.Get(t, location); p.Away != nil || errorShown(p) != "flow_finished" {
		t.Errorf("a flow answered twice: %d %q, away %v", p.Status, errorShown(p), p.Away)
	}

	// Another browser has it: ours must not be made to finish it.
	other := s.Browser(t)
	location = postAuthorize(t, s, other, rp.Authorize(nil)).Header.Get("Location")
	if p := other.Get(t, location); p.URL.Path != "/login" {
		t.Fatalf("the first browser is at %s, want the sign-in page", p.URL)
	}
	if p := b.Get(t, location); p.Away != nil || errorShown(p) != "flow_elsewhere" {
		t.Errorf("the second browser gets %d %q, away %v; want flow_elsewhere", p.Status, errorShown(p), p.Away)
	}

	// Too late: the link may have been sent to somebody.
	location = postAuthorize(t, s, other, rp.Authorize(nil)).Header.Get("Location")
	s.Clock.Advance(61 * time.Second)
	if p := b.Get(t, location); p.Away != nil || p.Status != http.StatusBadRequest {
		t.Errorf("after 61 s the flow ends with %d %q, away %v; want a page", p.Status, errorShown(p), p.Away)
	}

	// Its errors go where those of a GET go, and stay here where those do.
	bad := rp.Authorize(url.Values{"scope": {"openid email"}})
	if resp := postAuthorize(t, s, b, bad); resp.StatusCode != http.StatusSeeOther || !strings.HasPrefix(resp.Header.Get("Location"), "https://good.example/cb?error=invalid_scope&") {
		t.Errorf("a bad scope by POST answers %d to %q", resp.StatusCode, resp.Header.Get("Location"))
	}
	if resp := postAuthorize(t, s, b, rp.Authorize(url.Values{"redirect_uri": {"https://evil.example/"}})); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a bad redirect_uri by POST answers %d to %q", resp.StatusCode, resp.Header.Get("Location"))
	}
	// A flow of a GET is no parameter of a POST, and the query of a POST does not count.
	inQuery := b.Post(t, "/oauth2/authorize?"+rp.Authorize(nil).Params.Encode(), url.Values{})
	if inQuery.Away != nil || errorShown(inQuery) != "unknown_client" {
		t.Errorf("parameters in the URL of a POST count: %d %q, away %v", inQuery.Status, errorShown(inQuery), inQuery.Away)
	}
}

// An attacker's half-finished flow is worth nothing in the victim's browser,
// on any of the pages (RFC 9700, section 4.7).
func aFlowBelongsToItsBrowser(t *testing.T, s *harness.Server, b *harness.Browser) {
	attacker := s.Browser(t)
	p := attacker.Get(t, redirectPortal(s).Authorize(nil).URL)
	flow := p.URL.Query().Get("flow")
	if p.URL.Path != "/login" || flow == "" {
		t.Fatalf("the request ends at %s, want the sign-in page with a flow", p.URL)
	}
	for _, path := range []string{"/oauth2/authorize", "/login", "/consent", "/org"} {
		for want, victim := range map[string]*harness.Browser{"flow_elsewhere": b, "missing_cookie": s.Browser(t)} {
			if p := victim.Get(t, path+"?flow="+flow); p.Away != nil || errorShown(p) != want {
				t.Errorf("%s with the attacker's flow: %d %q, away %v; want %s", path, p.Status, errorShown(p), p.Away, want)
			}
		}
	}
	for _, flow := range []string{"x", strings.Repeat("A", 43), strings.Repeat("A", 5000), "../../etc/passwd", "' OR 1=1 --"} {
		if p := b.Get(t, "/oauth2/authorize?flow="+url.QueryEscape(flow)); p.Away != nil || errorShown(p) != "flow_expired" {
			t.Errorf("flow %.20q: %d %q, away %v; want flow_expired", flow, p.Status, errorShown(p), p.Away)
		}
	}
}

// Unknown scopes are ignored, and the token response says what was granted.
func unknownScopesAreLeftOut(t *testing.T, s *harness.Server, b *harness.Browser) {
	rp := redirectPortal(s)
	r := rp.Authorize(url.Values{"scope": {"nonsense openid Profile profile:read   profile openid"}})
	tokens := rp.Redeem(t, codeOf(t, s, b, r), r)
	if tokens.Scope != "openid profile" || tokens.RefreshToken != "" {
		t.Errorf("granted are %q with refresh token %q, want openid profile and none", tokens.Scope, tokens.RefreshToken)
	}
	// Another redirect, parameters and all, is kept as registered: RFC 6749, section 3.1.2.
	q := rp.Authorize(url.Values{"redirect_uri": {"https://good.example/cb?tenant=1"}})
	if p := b.Get(t, q.URL); p.Away == nil || !strings.HasPrefix(p.Away.RawQuery, "tenant=1&code=") {
		t.Errorf("the answer is %s, want the registered query first", fmt.Sprint(p.Away))
	}
}
