package setup

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// app stands in for a client: it does what its library would.
type app struct {
	server http.Handler
	issuer *url.URL
	peer   string // of the request that the test is part of
	client *storage.Client
	trial  *trial
	page   *templates.SetupTested
}

func (p *Pages) stand(r *http.Request, c *storage.Client, t *trial) (*app, error) {
	issuer, err := url.Parse(p.Issuer)
	return &app{server: p.Server, issuer: issuer, peer: r.RemoteAddr, client: c, trial: t, page: &templates.SetupTested{AppName: c.Name()}}, err
}

// tokens is the answer of the token endpoint, and what it says when it has none.
type tokens struct {
	AccessToken string `json:"access_token"`
	IDToken     string `json:"id_token"`
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

// asApp exchanges the code of an answer and looks at what comes of it.
func (p *Pages) asApp(r *http.Request, c *storage.Client, t *trial, answer url.Values) *templates.SetupTested {
	a, err := p.stand(r, c, t)
	switch {
	case err != nil:
		a.fail("This server could not ask itself.", err.Error())
	case answer.Get("error") == "access_denied":
		a.fail("The app was not allowed to sign you in.", "access_denied "+answer.Get("error_description"))
		a.page.Advice = "Nothing is wrong with the app. Try again, and choose Allow."
	case answer.Get("error") != "":
		a.fail("The sign-in was refused.", answer.Get("error")+" "+answer.Get("error_description"))
	case answer.Get("iss") != p.Issuer: // RFC 9207
		a.fail("The answer came from another server.", "iss is "+answer.Get("iss"))
	default:
		a.signIn(r.Context(), answer.Get("code"), p.Identity.TestRedirectURI(), p.Issuer)
	}
	return a.page
}

// asMachine asks for a token without anybody.
func (p *Pages) asMachine(r *http.Request, c *storage.Client, t *trial) *templates.SetupTested {
	a, err := p.stand(r, c, t)
	if err != nil {
		a.fail("This server could not ask itself.", err.Error())
		return a.page
	}
	a.page.Machine = true
	if got, ok := a.token(r.Context(), url.Values{"grant_type": {"client_credentials"}}); ok {
		a.check("The app authenticated and got an access token", true)
		a.page.Passed = true
		a.revoke(r.Context(), got.AccessToken)
	}
	return a.page
}

// signIn is what comes after the redirect. The ID token comes straight from the
// token endpoint, so that its signature need not be checked (OpenID Connect Core
// 1.0, section 3.1.3.7, point 6); that apps find the key is checked.
func (a *app) signIn(ctx context.Context, code, redirectURI, issuer string) {
	got, ok := a.token(ctx, url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirectURI}, "code_verifier": {a.trial.verifier()}})
	if !ok {
		return
	}
	a.check("The code was exchanged for tokens", true)
	header, claims := a.open(got.IDToken)
	if !a.check("The ID token is from this server, for this app and this sign-in",
		claims["iss"] == issuer && isFor(claims["aud"], a.client.ID) && claims["nonce"] == a.trial.nonce() && claims["sub"] != nil) {
		a.fail("The ID token is not the one for this sign-in.", fmt.Sprintf("iss %v, aud %v", claims["iss"], claims["aud"]))
		return
	}
	if !a.check("Its signing key is published", a.published(ctx, header["kid"])) {
		a.fail("The key that signed the ID token is not published.", fmt.Sprintf("kid %v is not in /.well-known/jwks.json", header["kid"]))
		return
	}
	person, status := a.get(ctx, "/oauth2/userinfo", got.AccessToken)
	if !a.check("Userinfo tells about the same person", status == http.StatusOK && person["sub"] == claims["sub"]) {
		a.fail("Userinfo did not answer for the same person.", fmt.Sprintf("status %d", status))
		return
	}
	a.page.Passed = true
	a.page.Account = templates.Account{Name: text(person["name"]), Email: cmp.Or(text(person["email"]), text(person["sub"]))}
	a.page.Claims = told(claims, person)
}

// told are the claims in an order that people look for them.
func told(id, person map[string]any) []templates.SetupClaim {
	var all []templates.SetupClaim
	seen := map[string]bool{"nonce": true, "at_hash": true, "sid": true}
	add := func(name string, value any) {
		if value != nil && !seen[name] {
			seen[name] = true
			all = append(all, templates.SetupClaim{Name: name, Value: text(value)})
		}
	}
	for _, name := range []string{"iss", "aud", "sub", "acr", "amr"} {
		add(name, id[name])
	}
	for _, name := range []string{"name", "email", "email_verified"} {
		add(name, person[name])
	}
	for _, claims := range []map[string]any{person, id} {
		var names []string
		for name := range claims {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
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
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

// isFor reports whether an aud claim names the client.
func isFor(aud any, clientID string) bool {
	list, _ := aud.([]any)
	return aud == clientID || slices.Contains(list, any(clientID))
}

func (a *app) check(title string, ok bool) bool {
	a.page.Checks = append(a.page.Checks, templates.SetupItem{Title: title, Done: ok})
	return ok
}

func (a *app) fail(problem, detail string) {
	a.page.Problem, a.page.Detail = problem, strings.TrimSpace(detail)
}

// token asks the token endpoint with the app's own way of authenticating.
func (a *app) token(ctx context.Context, form url.Values) (got tokens, ok bool) {
	status, body := a.ask(ctx, http.MethodPost, "/oauth2/token", form, "")
	if err := json.Unmarshal(body, &got); err != nil || status != http.StatusOK || got.AccessToken == "" {
		a.fail("The token endpoint refused the app.", fmt.Sprintf("status %d %s %s", status, got.Error, got.Description))
		return got, false
	}
	return got, true
}

// revoke leaves no token behind that has no grant to end with. It is not part of
// what is tested.
func (a *app) revoke(ctx context.Context, token string) {
	a.ask(ctx, http.MethodPost, "/oauth2/revoke", url.Values{"token": {token}}, "")
}

// open reads a JWT without checking its signature.
func (a *app) open(jwt string) (header, claims map[string]any) {
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
func (a *app) published(ctx context.Context, kid any) bool {
	set, _ := a.get(ctx, "/.well-known/jwks.json", "")
	keys, _ := set["keys"].([]any)
	return kid != nil && slices.ContainsFunc(keys, func(k any) bool {
		key, _ := k.(map[string]any)
		return key["kid"] == kid
	})
}

// get reads a JSON document, with an access token if there is one. Userinfo may be
// signed.
func (a *app) get(ctx context.Context, path, token string) (claims map[string]any, status int) {
	status, body := a.ask(ctx, http.MethodGet, path, nil, token)
	if json.Unmarshal(body, &claims) != nil {
		_, claims = a.open(string(body))
	}
	return claims, status
}

// ask sends a request to this very server, through all that stands before its
// endpoints. A POST is authenticated as the app.
func (a *app) ask(ctx context.Context, method, path string, form url.Values, token string) (status int, body []byte) {
	m := &a.client.Metadata
	if method == http.MethodPost && m.TokenEndpointAuthMethod != "client_secret_basic" {
		form.Set("client_id", a.client.ID)
		if m.TokenEndpointAuthMethod == "client_secret_post" {
			form.Set("client_secret", a.trial.clientSecret())
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, a.issuer.JoinPath(path).String(), strings.NewReader(form.Encode()))
	if err != nil {
		return 0, nil
	}
	r.RemoteAddr = a.peer
	r.RequestURI = path
	switch {
	case token != "":
		r.Header.Set("Authorization", "Bearer "+token)
	case method == http.MethodPost:
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if m.TokenEndpointAuthMethod == "client_secret_basic" {
			r.SetBasicAuth(url.QueryEscape(a.client.ID), url.QueryEscape(a.trial.clientSecret()))
		}
	}
	w := &recorder{header: http.Header{}}
	a.server.ServeHTTP(w, r)
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
