package harness

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/secret"
)

// Person is one of the sample people.
type Person struct{ Email, Password string }

// The sample people: Bob is a member of Acme, Alice owns Acme and administers Tech
// Startup, Admin is superadmin and in no organization.
var (
	Bob   = Person{"bob@acme-corp.com", "UserPass123!"}
	Alice = Person{"alice@acme-corp.com", "UserPass123!"}
	Admin = Person{"admin@sallyport.test", "AdminPass123!"}
)

// RP is a relying party. Public clients have no Secret.
type RP struct {
	Issuer      string
	ClientID    string
	Secret      string
	RedirectURI string
	Scope       string
	HTTP        *http.Client
}

// Tokens is the answer of the token endpoint.
type Tokens struct {
	Status       int
	Header       http.Header
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	Scope        string `json:"scope"`
	RefreshToken string `json:"refresh_token"`
	IDToken      string `json:"id_token"`
	Error        string `json:"error"`
	Description  string `json:"error_description"`
}

// RP returns a relying party that reaches this node.
func (s *Server) RP(clientID, secret, redirectURI, scope string) *RP {
	return &RP{Issuer: s.Issuer, ClientID: clientID, Secret: secret, RedirectURI: redirectURI, Scope: scope,
		HTTP: &http.Client{Transport: s.Transport(), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// Portal is the sample web client acme-portal-001, which belongs to Acme.
func (s *Server) Portal() *RP {
	return s.RP("acme-portal-001", "acme_secret_portal_2024", "http://localhost:5001/callback", "openid profile email offline_access org")
}

// Mobile is the sample native client, which is public.
func (s *Server) Mobile() *RP {
	return s.RP("acme-mobile-001", "", "http://127.0.0.1/callback", "openid profile email")
}

// Machine is the sample machine client, which serves its own resource.
func (s *Server) Machine() *RP {
	return s.RP("data-api-001", "data_secret_api_2024", "", "api:read api:write")
}

// Request is one authorization request of an RP, with its state, nonce and verifier.
type Request struct {
	URL                    string
	Params                 url.Values
	State, Nonce, Verifier string
}

// Authorize makes an authorization request. extra overrides or adds parameters; a
// nil value takes one away.
func (rp *RP) Authorize(extra url.Values) *Request {
	r := &Request{State: secret.NewToken(""), Nonce: secret.NewToken(""), Verifier: secret.NewToken("")}
	sum := sha256.Sum256([]byte(r.Verifier))
	r.Params = url.Values{"client_id": {rp.ClientID}, "redirect_uri": {rp.RedirectURI}, "response_type": {"code"}, "scope": {rp.Scope},
		"state": {r.State}, "nonce": {r.Nonce}, "code_challenge_method": {"S256"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}}
	for name, v := range extra {
		if v == nil {
			r.Params.Del(name)
		} else {
			r.Params[name] = v
		}
	}
	r.URL = rp.Issuer + "/oauth2/authorize?" + r.Params.Encode()
	return r
}

// SignIn runs a whole code flow for a person: pages as they come, consent allowed
// and remembered, code exchanged.
func (rp *RP) SignIn(t testing.TB, b *Browser, who Person, extra url.Values) *Tokens {
	t.Helper()
	r := rp.Authorize(extra)
	return rp.Redeem(t, rp.Walk(t, b, r, who), r)
}

// Walk answers the pages of a request until the browser is sent away, and returns
// the code. It fails if that is an error.
func (rp *RP) Walk(t testing.TB, b *Browser, r *Request, who Person) string {
	t.Helper()
	p := b.WalkTo(t, r.URL, who)
	q := p.Away.Query()
	if q.Get("code") == "" || q.Get("state") != r.State || q.Get("iss") != rp.Issuer {
		t.Fatalf("the answer is %s, want a code with state %s and iss %s", p.Away, r.State, rp.Issuer)
	}
	return q.Get("code")
}

// WalkTo answers the pages of a request until the browser is sent away.
func (b *Browser) WalkTo(t testing.TB, target string, who Person) *Page {
	t.Helper()
	p := b.Get(t, target)
	for range 10 {
		if p.Away != nil {
			return p
		}
		switch p.URL.Path {
		case "/login":
			p = b.Submit(t, p.Form(t, "login"), "email", who.Email, "password", who.Password)
		case "/org":
			f := p.FormWith(t, "organization")
			p = b.Submit(t, f, "organization", f.Buttons[0].Value)
		case "/consent":
			p = b.Submit(t, p.FormWith(t, "answer"), "answer", "allow")
		default:
			t.Fatalf("the journey ends at %s with %d:\n%s", p.URL, p.Status, p.Body)
		}
	}
	t.Fatalf("the journey does not end; last at %s with %d:\n%s", p.URL, p.Status, p.Body)
	return nil
}

// Redeem exchanges a code and fails unless there are tokens.
func (rp *RP) Redeem(t testing.TB, code string, r *Request) *Tokens {
	t.Helper()
	tokens := rp.Token(t, url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {rp.RedirectURI}, "code_verifier": {r.Verifier}})
	if tokens.Status != http.StatusOK {
		t.Fatalf("the code gets %d %s: %s", tokens.Status, tokens.Error, tokens.Description)
	}
	return tokens
}

// Refresh uses a refresh token.
func (rp *RP) Refresh(t testing.TB, token string) *Tokens {
	t.Helper()
	return rp.Token(t, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
}

// Token asks the token endpoint, authenticated as this RP.
func (rp *RP) Token(t testing.TB, form url.Values) *Tokens {
	t.Helper()
	var out Tokens
	status, header := rp.Post(t, "/oauth2/token", form, &out)
	out.Status, out.Header = status, header
	return &out
}

// Post sends a form to an endpoint, authenticated as this RP, and decodes the JSON
// answer into v, if there is one.
func (rp *RP) Post(t testing.TB, path string, form url.Values, v any) (int, http.Header) {
	t.Helper()
	if rp.Secret == "" {
		form.Set("client_id", rp.ClientID)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, rp.Issuer+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if rp.Secret != "" {
		req.SetBasicAuth(url.QueryEscape(rp.ClientID), url.QueryEscape(rp.Secret))
	}
	return rp.do(t, req, v)
}

// Userinfo asks who an access token is about.
func (rp *RP) Userinfo(t testing.TB, accessToken string) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, rp.Issuer+"/oauth2/userinfo", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+accessToken)
	claims := map[string]any{}
	status, _ := rp.do(t, req, &claims)
	return status, claims
}

// Introspect asks about a token as this RP.
func (rp *RP) Introspect(t testing.TB, token string) map[string]any {
	t.Helper()
	claims := map[string]any{}
	if status, _ := rp.Post(t, "/oauth2/introspect", url.Values{"token": {token}}, &claims); status != http.StatusOK {
		t.Fatalf("introspection answers %d %v", status, claims)
	}
	return claims
}

func (rp *RP) do(t testing.TB, req *http.Request, v any) (int, http.Header) {
	t.Helper()
	resp, err := rp.HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if v != nil && len(body) > 0 {
		if err := json.Unmarshal(body, v); err != nil {
			t.Fatalf("%s %s answers %d with no JSON: %s", req.Method, req.URL.Path, resp.StatusCode, body)
		}
	}
	return resp.StatusCode, resp.Header
}

// Claims decodes a JWT without checking it.
func Claims(t testing.TB, jwt string) map[string]any {
	t.Helper()
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is no JWT", jwt)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	claims := map[string]any{}
	if err := json.Unmarshal(raw, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}
