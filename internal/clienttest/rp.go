package clienttest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/sallyport-id/sallyport/storage"
)

// testRP does what the client's library would.
type testRP struct {
	server http.Handler
	issuer string
	// redirectURI is where the code came to.
	redirectURI string
	peer        string // of the request that the test is part of
	client      *storage.Client
	run         *test
	result      Result
}

func (t *Tester) newTestRP(r *http.Request, c *storage.Client, run *test) *testRP {
	return &testRP{server: t.Server, issuer: t.Issuer, redirectURI: t.Identity.Clients.TestRedirectURI(),
		peer: r.RemoteAddr, client: c, run: run,
		result: Result{ClientID: c.ID, ClientName: c.Name()}}
}

// tokens is the answer of the token endpoint, and what it says when it has none.
type tokens struct {
	AccessToken string `json:"access_token"`
	IDToken     string `json:"id_token"`
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

// finish looks at the answer of the authorization endpoint and at what comes of its code.
func (rp *testRP) finish(ctx context.Context, answer url.Values) {
	switch {
	case answer.Get("error") == "access_denied":
		rp.fail("The app was not allowed to sign you in.", "access_denied "+answer.Get("error_description"))
		rp.result.Advice = "Nothing is wrong with the app. Try again, and choose Allow."
	case answer.Get("error") != "":
		rp.fail("The sign-in was refused.", answer.Get("error")+" "+answer.Get("error_description"))
	case answer.Get("iss") != rp.issuer: // RFC 9207
		rp.fail("The answer came from another server.", "iss is "+answer.Get("iss"))
	default:
		rp.signIn(ctx, answer.Get("code"))
	}
}

// clientCredentials asks for a token without a user.
func (rp *testRP) clientCredentials(ctx context.Context) {
	rp.result.Machine = true
	if got, ok := rp.token(ctx, url.Values{"grant_type": {"client_credentials"}}); ok {
		rp.check("The app authenticated and got an access token", true)
		rp.result.Passed = true
		rp.revoke(ctx, got.AccessToken)
	}
}

// signIn is what comes after the redirect. The ID token comes straight from the
// token endpoint, so that its signature need not be checked (OpenID Connect Core
// 1.0, section 3.1.3.7, point 6); that apps find the key is checked.
func (rp *testRP) signIn(ctx context.Context, code string) {
	got, ok := rp.token(ctx, url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {rp.redirectURI}, "code_verifier": {rp.run.verifier}})
	if !ok {
		return
	}
	rp.check("The code was exchanged for tokens", true)
	header, claims := rp.open(got.IDToken)
	if !rp.check("The ID token is from this server, for this app and this sign-in",
		claims["iss"] == rp.issuer && isFor(claims["aud"], rp.client.ID) && claims["nonce"] == rp.run.nonce && claims["sub"] != nil) {
		rp.fail("The ID token is not the one for this sign-in.", fmt.Sprintf("iss %v, aud %v", claims["iss"], claims["aud"]))
		return
	}
	if !rp.check("Its signing key is published", rp.published(ctx, header["kid"])) {
		rp.fail("The key that signed the ID token is not published.", fmt.Sprintf("kid %v is not in /.well-known/jwks.json", header["kid"]))
		return
	}
	person, status := rp.get(ctx, "/oauth2/userinfo", got.AccessToken)
	if !rp.check("Userinfo tells about the same person", status == http.StatusOK && person["sub"] == claims["sub"]) {
		rp.fail("Userinfo did not answer for the same person.", fmt.Sprintf("status %d", status))
		return
	}
	rp.result.Passed = true
	rp.result.Name, rp.result.Email = text(person["name"]), cmp.Or(text(person["email"]), text(person["sub"]))
	rp.result.Claims = displayedClaims(claims, person)
}

// displayedClaims are the claims in the order in which people look for them.
func displayedClaims(id, person map[string]any) []Claim {
	var all []Claim
	seen := map[string]bool{"nonce": true, "at_hash": true, "sid": true}
	add := func(name string, value any) {
		if value != nil && !seen[name] {
			seen[name] = true
			all = append(all, Claim{Name: name, Value: text(value)})
		}
	}
	for _, name := range []string{"iss", "aud", "sub", "acr", "amr"} {
		add(name, id[name])
	}
	for _, name := range []string{"name", "email", "email_verified"} {
		add(name, person[name])
	}
	for _, claims := range []map[string]any{person, id} {
		for _, name := range slices.Sorted(maps.Keys(claims)) {
			add(name, claims[name])
		}
	}
	return all
}

// text is a claim as people read it.
func text(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	if v == nil {
		return ""
	}
	b, _ := json.Marshal(v) // it was JSON before
	return string(b)
}

// isFor reports whether an aud claim names the client.
func isFor(aud any, clientID string) bool {
	list, _ := aud.([]any)
	return aud == clientID || slices.Contains(list, any(clientID))
}

func (rp *testRP) check(title string, ok bool) bool {
	rp.result.Checks = append(rp.result.Checks, Check{title, ok})
	return ok
}

func (rp *testRP) fail(problem, detail string) {
	rp.result.Problem, rp.result.Detail = problem, strings.TrimSpace(detail)
}

// token asks the token endpoint with the app's own way of authenticating.
func (rp *testRP) token(ctx context.Context, form url.Values) (got tokens, ok bool) {
	status, body := rp.ask(ctx, http.MethodPost, "/oauth2/token", form, "")
	if err := json.Unmarshal(body, &got); err != nil || status != http.StatusOK || got.AccessToken == "" {
		rp.fail("The token endpoint refused the app.", fmt.Sprintf("status %d %s %s", status, got.Error, got.Description))
		return got, false
	}
	return got, true
}

// revoke leaves no token behind that has no grant to end with. It is not part of
// what is tested.
func (rp *testRP) revoke(ctx context.Context, token string) {
	rp.ask(ctx, http.MethodPost, "/oauth2/revoke", url.Values{"token": {token}}, "")
}

// open reads a JWT without checking its signature.
func (rp *testRP) open(jwt string) (header, claims map[string]any) {
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return nil, nil
	}
	read := func(part string) (m map[string]any) {
		raw, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil || json.Unmarshal(raw, &m) != nil {
			return nil
		}
		return m
	}
	return read(parts[0]), read(parts[1])
}

// published reports whether apps find a key.
func (rp *testRP) published(ctx context.Context, kid any) bool {
	set, _ := rp.get(ctx, "/.well-known/jwks.json", "")
	keys, _ := set["keys"].([]any)
	return kid != nil && slices.ContainsFunc(keys, func(k any) bool {
		key, _ := k.(map[string]any)
		return key["kid"] == kid
	})
}

// get reads a JSON document, with an access token if there is one. Userinfo may be
// signed.
func (rp *testRP) get(ctx context.Context, path, token string) (claims map[string]any, status int) {
	status, body := rp.ask(ctx, http.MethodGet, path, nil, token)
	if json.Unmarshal(body, &claims) != nil {
		_, claims = rp.open(string(body))
	}
	return claims, status
}

// ask sends a request to this very server, through all that stands before its
// endpoints. A POST is authenticated as the app.
func (rp *testRP) ask(ctx context.Context, method, path string, form url.Values, token string) (status int, body []byte) {
	m := &rp.client.Metadata
	if method == http.MethodPost && m.TokenEndpointAuthMethod != "client_secret_basic" {
		form.Set("client_id", rp.client.ID)
		if m.TokenEndpointAuthMethod == "client_secret_post" {
			form.Set("client_secret", rp.run.secret)
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, rp.issuer+path, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, nil
	}
	r.RemoteAddr = rp.peer
	r.RequestURI = path
	switch {
	case token != "":
		r.Header.Set("Authorization", "Bearer "+token)
	case method == http.MethodPost:
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if m.TokenEndpointAuthMethod == "client_secret_basic" {
			r.SetBasicAuth(url.QueryEscape(rp.client.ID), url.QueryEscape(rp.run.secret))
		}
	}
	w := &recorder{header: http.Header{}}
	rp.server.ServeHTTP(w, r)
	return w.status, w.body.Bytes()
}

// recorder keeps an answer.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header is the answer's.
func (w *recorder) Header() http.Header { return w.header }

// WriteHeader keeps the first final status.
func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
}

// Write keeps what it is given.
func (w *recorder) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}
