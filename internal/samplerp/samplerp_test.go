package samplerp

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// newApp is the app with a provider that does not run, which is as far as it
// gets alone; the sign-in itself is tested against the true server.
func newApp(t *testing.T) (*RP, *httptest.Server) {
	t.Helper()
	down := httptest.NewServer(http.NotFoundHandler())
	down.Close()
	rp := New(Config{Issuer: down.URL, ClientID: "sample", ClientSecret: "s", BaseURL: "http://localhost:5001/", Now: func() time.Time { return noon },
		People: []Person{{Email: "bob@acme-corp.com", Password: "UserPass123!", Who: "Bob <b>"}}})
	return rp, serve(t, rp)
}

// serve puts the app on an address of the test, where it is asked as its BaseURL would be.
func serve(t *testing.T, rp *RP) *httptest.Server {
	t.Helper()
	h := rp.Handler()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Host = "localhost:5001"
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server
}

// A page whose name resolves to this machine (DNS rebinding) sees nothing of the app.
func TestOnlyTheAppsOwnHostIsAnswered(t *testing.T) {
	rp := New(Config{Issuer: "http://localhost:5000", ClientID: "sample", BaseURL: "http://localhost:5001"})
	for host, want := range map[string]int{
		"localhost:5001": http.StatusOK, "LOCALHOST:5001": http.StatusOK,
		"evil.example:5001": http.StatusSeeOther, "127.0.0.1:5001": http.StatusSeeOther, "localhost": http.StatusSeeOther,
		"localhost:5001.evil.example": http.StatusSeeOther, "": http.StatusSeeOther,
	} {
		for _, path := range []string{"/", "/static/app.css", "/callback?code=a"} {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.Host = host
			w := httptest.NewRecorder()
			rp.Handler().ServeHTTP(w, r)
			refused := w.Code == http.StatusSeeOther && w.Header().Get("Location") == "http://localhost:5001/"
			if refused != (want == http.StatusSeeOther) {
				t.Errorf("%s with Host %q: got %d to %q, want %d", path, host, w.Code, w.Header().Get("Location"), want)
			}
		}
	}
}

func do(t *testing.T, method, address string, form url.Values, cookie string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequest(method, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if cookie != "" {
		request.AddCookie(&http.Cookie{Name: cookieName, Value: cookie})
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

// jwt is an unsigned token, for what only looks at it.
func jwt(t *testing.T, claims map[string]any) string {
	t.Helper()
	part := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	return part(map[string]any{"alg": "RS256", "kid": "k1"}) + "." + part(claims) + ".c2ln"
}

// signIn puts somebody into a session as a sign-in would.
func signIn(t *testing.T, rp *RP) *session {
	t.Helper()
	raw := jwt(t, map[string]any{"iss": rp.cfg.Issuer, "sub": "s1", "name": "Bob <i>", "acr": "urn:sallyport:acr:pwd",
		"org_slug": "acme-corp", "org_name": "Acme Corp", "org_roles": []string{"member"}, "exp": noon.Add(time.Hour).Unix()})
	claims, err := claimsOf(raw)
	if err != nil {
		t.Fatal(err)
	}
	x := rp.sessions.start()
	x.tokens = &tokens{oauth: &oauth2.Token{AccessToken: "sp_at_x", RefreshToken: "sp_rt_hidden", Expiry: noon.Add(15 * time.Minute)},
		idToken: raw, claims: claims, scope: "openid org",
		userinfo: map[string]any{"sub": "s1", "organizations": []any{
			map[string]any{"slug": "acme-corp", "name": "Acme Corp", "roles": []any{"member"}},
			map[string]any{"slug": "tech-startup", "name": "Tech Startup", "roles": []any{"admin"}}}}}
	return x
}

// A newcomer who sees this page first learns what it is and how to go on.
func TestStartPageSaysHowToSignIn(t *testing.T) {
	_, server := newApp(t)
	response, body := do(t, http.MethodGet, server.URL+"/", nil, "")
	if response.StatusCode != http.StatusOK {
		t.Fatalf("status: got %d, want 200", response.StatusCode)
	}
	for _, want := range []string{`id="sign-in" href="/login"`, "bob@acme-corp.com", "UserPass123!", "Bob &lt;b&gt;"} {
		if !strings.Contains(body, want) {
			t.Errorf("page lacks %q", want)
		}
	}
	for _, header := range []struct{ name, want string }{
		{"Content-Security-Policy", "default-src 'none'"},
		{"X-Content-Type-Options", "nosniff"},
		{"Referrer-Policy", "no-referrer"},
		{"Cache-Control", "no-store"},
	} {
		if got := response.Header.Get(header.name); !strings.HasPrefix(got, header.want) {
			t.Errorf("%s: got %q, want it to begin with %q", header.name, got, header.want)
		}
	}
	for _, bad := range []string{"<style", " style=", "onclick", "https://"} {
		if strings.Contains(body, bad) {
			t.Errorf("page has %q, which its policy or its promise forbids", bad)
		}
	}
	for _, file := range []string{"style.css", "copy.js", "mark.svg"} {
		if got, _ := do(t, http.MethodGet, server.URL+"/static/"+file, nil, ""); got.StatusCode != http.StatusOK {
			t.Errorf("%s: got %d, want 200", file, got.StatusCode)
		}
	}
}

// The app starts before the provider and says so instead of failing.
func TestProviderThatDoesNotAnswerIsExplained(t *testing.T) {
	rp, server := newApp(t)
	for _, path := range []string{"/login", "/switch?organization=x", "/step-up", "/callback?code=x&state=y"} {
		response, body := do(t, http.MethodGet, server.URL+path, nil, "")
		if response.StatusCode != http.StatusBadGateway || !strings.Contains(body, "The provider does not answer") || !strings.Contains(body, rp.cfg.Issuer) {
			t.Errorf("%s: got %d %q, want 502 and an explanation", path, response.StatusCode, body)
		}
		if cookies := response.Cookies(); len(cookies) > 0 {
			t.Errorf("%s: got cookies %v, want none", path, cookies)
		}
	}
}

func TestSignedInPageLaysTokensOpen(t *testing.T) {
	rp, server := newApp(t)
	x := signIn(t, rp)
	response, body := do(t, http.MethodGet, server.URL+"/", nil, x.token)
	if response.StatusCode != http.StatusOK {
		t.Fatalf("status: got %d, want 200", response.StatusCode)
	}
	for _, want := range []string{"Bob &lt;i&gt;", "Acme Corp", "urn:sallyport:acr:pwd", "sp_at_x", "Expires in 15 minutes", "in 60 minutes",
		`value="tech-startup"`, `name="csrf" value="` + x.csrf + `"`, `id="has-refresh"`} {
		if !strings.Contains(body, want) {
			t.Errorf("page lacks %q", want)
		}
	}
	// A refresh token is worth the account for weeks; that there is one is enough.
	for _, bad := range []string{"sp_rt_hidden", `value="acme-corp"`, "<i>"} {
		if strings.Contains(body, bad) {
			t.Errorf("page has %q", bad)
		}
	}
}

// Another site must not sign people out or revoke their tokens.
func TestFormsFromElsewhereDoNothing(t *testing.T) {
	rp, server := newApp(t)
	x := signIn(t, rp)
	for _, path := range []string{"/refresh", "/revoke", "/logout"} {
		for _, csrf := range []string{"", "wrong"} {
			response, _ := do(t, http.MethodPost, server.URL+path, url.Values{"csrf": {csrf}}, x.token)
			if response.StatusCode != http.StatusForbidden {
				t.Errorf("%s with csrf %q: got %d, want 403", path, csrf, response.StatusCode)
			}
		}
		if response, _ := do(t, http.MethodGet, server.URL+path, nil, x.token); response.StatusCode == http.StatusOK || response.StatusCode == http.StatusSeeOther {
			t.Errorf("GET %s: got %d, want a refusal", path, response.StatusCode)
		}
		if response, _ := do(t, http.MethodPost, server.URL+path, nil, ""); response.Header.Get("Location") != "/" {
			t.Errorf("%s without a session: got %d to %q, want back to /", path, response.StatusCode, response.Header.Get("Location"))
		}
	}
	if rp.sessions.byToken[x.token] != x || x.tokens == nil {
		t.Error("a forged form ended the session")
	}
}

// A session id that somebody planted in a browser must not become theirs to use.
func TestSessionIDsAreNeverTakenFromTheBrowser(t *testing.T) {
	s := newSessions(func() time.Time { return noon })
	x := s.start()
	before := x.token
	s.renew(x)
	if x.token == before || s.byToken[before] != nil || s.byToken[x.token] != x {
		t.Errorf("renew: got token %q after %q", x.token, before)
	}
	request := httptest.NewRequest(http.MethodGet, "/", nil)
	request.AddCookie(&http.Cookie{Name: cookieName, Value: "planted"})
	if got := s.find(request); got != nil {
		t.Errorf("find: got %v for an id nobody gave out", got)
	}
}

func TestStrangersCannotFillTheMemory(t *testing.T) {
	now := noon
	s := newSessions(func() time.Time { now = now.Add(time.Second); return now })
	first := s.start()
	for range maxSessions {
		s.start()
	}
	if len(s.byToken) != maxSessions || s.byToken[first.token] != nil {
		t.Errorf("got %d sessions, want %d without the oldest", len(s.byToken), maxSessions)
	}
	x := s.start()
	for i := range maxPending + 3 {
		x.remember(pending{state: fmt.Sprint(i)})
	}
	if len(x.pending) != maxPending || x.pending[0].state != "3" {
		t.Errorf("pending: got %d from %q, want %d from 3", len(x.pending), x.pending[0].state, maxPending)
	}
}

// A state answers once (RFC 6749 section 10.12), in whatever order tabs return.
func TestStateIsTakenOnce(t *testing.T) {
	x := &session{}
	x.remember(pending{state: "a", nonce: "1"})
	x.remember(pending{state: "b", nonce: "2"})
	if p, ok := x.take("a"); !ok || p.nonce != "1" {
		t.Errorf("first: got %v %v", p, ok)
	}
	for _, state := range []string{"a", "", "c"} {
		if _, ok := x.take(state); ok {
			t.Errorf("%q: got a sign-in, want none", state)
		}
	}
	if p, ok := x.take("b"); !ok || p.nonce != "2" {
		t.Errorf("second: got %v %v", p, ok)
	}
}

// RFC 9207 section 2.4: another provider's answer, or one that hides its origin
// although the provider always tells.
func TestAnswersOfOtherProvidersAreRefused(t *testing.T) {
	rp := New(Config{Issuer: "https://id.example.com"})
	for _, tc := range []struct {
		query  string
		always bool
		want   bool
	}{
		{"iss=https://id.example.com", true, true},
		{"iss=https://id.example.com", false, true},
		{"", false, true},
		{"", true, false},
		{"iss=", false, false},
		{"iss=https://evil.example", false, false},
		{"iss=https://id.example.com/", true, false},
	} {
		query, err := url.ParseQuery(tc.query)
		if err != nil {
			t.Fatal(err)
		}
		up := &upstream{meta: metadata{IssInResponse: tc.always}}
		if got := rp.checkIssuer(up, query) == nil; got != tc.want {
			t.Errorf("%q (always %v): got accepted %v, want %v", tc.query, tc.always, got, tc.want)
		}
	}
}

func TestClaimsAreExplainedInOrder(t *testing.T) {
	_, payload, err := jwtParts(jwt(t, map[string]any{"zebra": true, "exp": noon.Add(-2 * time.Hour).Unix(), "iss": "x", "big": 12345678901234567,
		"organizations": []any{map[string]any{"slug": "a-rather-long-slug-of-an-organization", "name": "<b>"}}}))
	if err != nil {
		t.Fatal(err)
	}
	got := claimRows(payload, noon)
	want := []claimRow{
		{Name: "iss", Value: "x", Meaning: meanings[0].text},
		{Name: "exp", Value: fmt.Sprint(noon.Add(-2 * time.Hour).Unix()), Meaning: "not valid after: 10:00:00 UTC, 1 March 2026, 2 hours ago"},
		{Name: "big", Value: "12345678901234567"},
		{Name: "organizations", Value: "[\n  {\n    \"name\": \"<b>\",\n    \"slug\": \"a-rather-long-slug-of-an-organization\"\n  }\n]", Nested: true},
		{Name: "zebra", Value: "true"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestWhatIsNoJWTIsShownAsOpaque(t *testing.T) {
	for _, token := range []string{"", "sp_at_abc", "a.b", "a.b.c", "bnVsbA.bnVsbA.x", "e30.W10.x", "e30.e30.x.y"} {
		if !viewToken(token, noon).Opaque {
			t.Errorf("%q: got decoded, want opaque", token)
		}
	}
	if v := viewToken(jwt(t, map[string]any{"sub": "s"}), noon); v.Opaque || !strings.Contains(v.Header, `"kid": "k1"`) {
		t.Errorf("a JWT: got %+v", v)
	}
}

func TestLifetimesAreWorded(t *testing.T) {
	for _, tc := range []struct {
		d    time.Duration
		want string
	}{
		{time.Second, "in 1 second"},
		{90 * time.Second, "in 90 seconds"},
		{15 * time.Minute, "in 15 minutes"},
		{5 * time.Hour, "in 5 hours"},
		{90 * 24 * time.Hour, "in 90 days"},
		{-3 * time.Minute, "3 minutes ago"},
	} {
		if got := life(noon.Add(tc.d), noon); got != tc.want {
			t.Errorf("%v: got %q, want %q", tc.d, got, tc.want)
		}
	}
}

// acr_values is a wish (OpenID Connect Core 3.1.2.1); the app says what came of it.
func TestStepUpSaysWhatCameBack(t *testing.T) {
	for _, tc := range []struct {
		asked, got, want string
	}{
		{"", "urn:sallyport:acr:pwd", ""},
		{acrMFA, acrMFA, "Stepped up"},
		{acrMFA, "urn:sallyport:acr:pwd", "got urn:sallyport:acr:pwd"},
		{acrMFA, "", "no acr at all"},
	} {
		notice := acrNotice(tc.asked, map[string]any{"acr": tc.got})
		if !strings.Contains(notice, tc.want) || (tc.want == "") != (notice == "") {
			t.Errorf("%q → %q: got %q", tc.asked, tc.got, notice)
		}
	}
}

// The provider's words reach the page as text, never as markup.
func TestRefusalsAreShownWithTheirExactWords(t *testing.T) {
	rp, _ := newApp(t)
	for _, code := range []string{"access_denied", "invalid_scope", "something_new"} {
		recorder := httptest.NewRecorder()
		rp.show(recorder, http.StatusOK, page{Problem: refused(code, "<script>no</script>").(*problem)})
		body := recorder.Body.String()
		for _, want := range []string{`<code id="error-code">` + code + `</code>`, "&lt;script&gt;no", `id="retry" href="/login"`} {
			if !strings.Contains(body, want) {
				t.Errorf("%s: page lacks %q", code, want)
			}
		}
	}
}
