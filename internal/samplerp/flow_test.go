package samplerp

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// fakeProvider is somebody else's provider, which the true one cannot be asked
// to play: it lies on request.
type fakeProvider struct {
	*httptest.Server
	key       *rsa.PrivateKey
	asked     url.Values     // the last authorization request
	lie       map[string]any // claims that replace the right ones
	userSub   string
	revoked   url.Values
	refreshes int
}

func newFakeProvider(t *testing.T) *fakeProvider {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeProvider{key: key, userSub: "s1"}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		f.answer(w, map[string]any{"issuer": f.URL, "authorization_endpoint": f.URL + "/authorize", "token_endpoint": f.URL + "/token",
			"jwks_uri": f.URL + "/jwks", "userinfo_endpoint": f.URL + "/userinfo", "revocation_endpoint": f.URL + "/revoke",
			"end_session_endpoint": f.URL + "/logout", "authorization_response_iss_parameter_supported": true})
	})
	mux.HandleFunc("GET /jwks", func(w http.ResponseWriter, _ *http.Request) {
		f.answer(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k1", Algorithm: "RS256", Use: "sig"}}})
	})
	mux.HandleFunc("POST /token", f.token(t))
	mux.HandleFunc("GET /userinfo", func(w http.ResponseWriter, _ *http.Request) {
		if f.revoked != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		f.answer(w, map[string]any{"sub": f.userSub, "name": "Bob", "updated_at": noon.Unix()})
	})
	mux.HandleFunc("POST /revoke", func(_ http.ResponseWriter, r *http.Request) { r.ParseForm(); f.revoked = r.PostForm })
	f.Server = httptest.NewServer(mux)
	t.Cleanup(f.Close)
	return f
}

func (f *fakeProvider) answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

func (f *fakeProvider) token(t *testing.T) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		if id, secret, _ := r.BasicAuth(); id != "sample" || secret != "s%26" {
			t.Errorf("client: got %q %q, want it form-encoded", id, secret)
		}
		claims := map[string]any{"iss": f.URL, "aud": "sample", "sub": "s1", "iat": noon.Unix(), "exp": noon.Unix() + 3600, "acr": "urn:sallyport:acr:pwd"}
		switch r.PostFormValue("grant_type") {
		case "authorization_code":
			sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
			if got, want := base64.RawURLEncoding.EncodeToString(sum[:]), f.asked.Get("code_challenge"); got != want {
				t.Errorf("code_verifier: got challenge %q, want %q", got, want)
			}
			claims["nonce"] = f.asked.Get("nonce")
		case "refresh_token":
			f.refreshes++
			if r.PostFormValue("refresh_token") != "sp_rt_1" {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusBadRequest)
				f.answer(w, map[string]any{"error": "invalid_grant", "error_description": "spent"})
				return
			}
		}
		for name, v := range f.lie {
			claims[name] = v
		}
		f.answer(w, map[string]any{"access_token": "sp_at_" + r.PostFormValue("grant_type"), "token_type": "Bearer", "expires_in": 900,
			"refresh_token": "sp_rt_" + string(rune('1'+f.refreshes)), "scope": "openid offline_access", "id_token": f.sign(t, claims)})
	}
}

func (f *fakeProvider) sign(t *testing.T, claims map[string]any) string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: f.key, KeyID: "k1"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// visitor is a browser in front of the app, which follows no redirects.
type visitor struct {
	t        *testing.T
	app      *httptest.Server
	rp       *RP
	provider *fakeProvider
	client   *http.Client
}

func newVisitor(t *testing.T) *visitor {
	t.Helper()
	f := newFakeProvider(t)
	rp := New(Config{Issuer: f.URL, ClientID: "sample", ClientSecret: "s&", BaseURL: "http://localhost:5001",
		Now: func() time.Time { return noon }})
	app := serve(t, rp)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{t: t, app: app, rp: rp, provider: f, client: &http.Client{Jar: jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

func (v *visitor) get(path string) (*http.Response, string) {
	v.t.Helper()
	return v.read(v.client.Get(v.app.URL + path))
}

// press sends one of the page's forms.
func (v *visitor) press(path string, form url.Values) (*http.Response, string) {
	v.t.Helper()
	_, body := v.get("/")
	_, rest, _ := strings.Cut(body, `name="csrf" value="`)
	csrf, _, _ := strings.Cut(rest, `"`)
	if form == nil {
		form = url.Values{}
	}
	form.Set("csrf", csrf)
	return v.read(v.client.PostForm(v.app.URL+path, form))
}

func (v *visitor) read(response *http.Response, err error) (*http.Response, string) {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return response, string(body)
}

// leave begins a sign-in and notes what the provider is asked.
func (v *visitor) leave(path string) url.Values {
	v.t.Helper()
	response, _ := v.get(path)
	target, err := url.Parse(response.Header.Get("Location"))
	if err != nil || response.StatusCode != http.StatusSeeOther || target.Path != "/authorize" {
		v.t.Fatalf("%s: got %d to %q, want the provider", path, response.StatusCode, response.Header.Get("Location"))
	}
	v.provider.asked = target.Query()
	return target.Query()
}

// comeBack answers as the provider would.
func (v *visitor) comeBack(asked url.Values) (*http.Response, string) {
	v.t.Helper()
	return v.get("/callback?" + url.Values{"code": {"sp_ac_1"}, "state": {asked.Get("state")}, "iss": {v.provider.URL}}.Encode())
}

func TestSignInFromButtonToPage(t *testing.T) {
	v := newVisitor(t)
	asked := v.leave("/login")
	for name, want := range map[string]string{"response_type": "code", "client_id": "sample", "redirect_uri": "http://localhost:5001/callback",
		"code_challenge_method": "S256", "scope": "openid profile email org orgs roles offline_access"} {
		if got := asked.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	before := v.client.Jar.Cookies(mustParse(t, v.app.URL))[0].Value
	response, body := v.comeBack(asked)
	if response.Header.Get("Location") != "/" {
		t.Fatalf("callback: got %d %s, want / without the code", response.StatusCode, body)
	}
	cookie := response.Cookies()[0]
	if cookie.Value == before || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode {
		t.Errorf("cookie: got %v, want a new session, HttpOnly, Lax", cookie)
	}
	_, body = v.get("/")
	for _, want := range []string{`id="name" dir="auto">Bob`, "sp_at_authorization_code", "updated_at", "1 March 2026"} {
		if !strings.Contains(body, want) {
			t.Errorf("page lacks %q", want)
		}
	}
	// The same answer again: a code is good once, and so is its state.
	if response, _ := v.comeBack(asked); response.StatusCode != http.StatusBadRequest {
		t.Errorf("second time: got %d, want 400", response.StatusCode)
	}
}

func mustParse(t *testing.T, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// OpenID Connect Core 3.1.3.7: each of these would let somebody else in.
func TestTokensThatDoNotFitSignNobodyIn(t *testing.T) {
	for name, lie := range map[string]map[string]any{
		"another nonce":    {"nonce": "other"},
		"no nonce":         {"nonce": ""},
		"another audience": {"aud": "other"},
		"another issuer":   {"iss": "https://evil.example"},
		"expired":          {"exp": noon.Unix() - 1},
		"another at_hash":  {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVisitor(t)
			asked := v.leave("/login")
			v.provider.lie = lie
			response, body := v.comeBack(asked)
			if response.StatusCode != http.StatusBadGateway || !strings.Contains(body, "cannot be trusted") {
				t.Errorf("got %d %s, want a refusal", response.StatusCode, body)
			}
			if _, body := v.get("/"); strings.Contains(body, "sp_at_") {
				t.Error("somebody is signed in")
			}
		})
	}
}

// OpenID Connect Core 5.3.2: userinfo about another person is not used.
func TestUserinfoOfSomebodyElseIsNotShown(t *testing.T) {
	v := newVisitor(t)
	v.provider.userSub = "s2"
	v.comeBack(v.leave("/login"))
	if _, body := v.get("/"); strings.Contains(body, "Bob") || !strings.Contains(body, "about another person") {
		t.Errorf("got %s, want only the refusal", body)
	}
}

func TestRefusalAtTheProviderIsTold(t *testing.T) {
	v := newVisitor(t)
	asked := v.leave("/login")
	_, body := v.get("/callback?" + url.Values{"error": {"access_denied"}, "error_description": {"said no"}, "state": {asked.Get("state")}, "iss": {v.provider.URL}}.Encode())
	for _, want := range []string{"You are not signed in", "access_denied", "said no"} {
		if !strings.Contains(body, want) {
			t.Errorf("page lacks %q", want)
		}
	}
}

func TestRefreshTakesTheNewTokensAndTellsWhenItIsOver(t *testing.T) {
	v := newVisitor(t)
	v.comeBack(v.leave("/login"))
	if response, body := v.press("/refresh", nil); response.StatusCode != http.StatusSeeOther {
		t.Fatalf("refresh: got %d %s", response.StatusCode, body)
	}
	if _, body := v.get("/"); !strings.Contains(body, "sp_at_refresh_token") || !strings.Contains(body, "the old refresh token is spent") {
		t.Error("page does not show the new tokens")
	}
	if _, body := v.press("/refresh", nil); !strings.Contains(body, "invalid_grant") || !strings.Contains(body, "could not be refreshed") {
		t.Errorf("spent token: got %s, want the reason", body)
	}
}

// OpenID Connect Core 12.2: the person may not change on the way.
func TestRefreshAboutSomebodyElseIsRefused(t *testing.T) {
	v := newVisitor(t)
	v.comeBack(v.leave("/login"))
	v.provider.lie = map[string]any{"sub": "s2"}
	if _, body := v.press("/refresh", nil); !strings.Contains(body, "about somebody else") {
		t.Errorf("got %s, want a refusal", body)
	}
	if _, body := v.get("/"); !strings.Contains(body, "sp_at_authorization_code") {
		t.Error("the refused token was kept")
	}
}

func TestRevokingShowsWhatItDid(t *testing.T) {
	v := newVisitor(t)
	v.comeBack(v.leave("/login"))
	v.press("/revoke", url.Values{"token": {"refresh"}})
	if got := v.provider.revoked; got.Get("token") != "sp_rt_1" || got.Get("token_type_hint") != "refresh_token" {
		t.Errorf("revoked: got %v", got)
	}
	_, body := v.get("/")
	for _, want := range []string{`id="userinfo-refused"`, "Revoked the refresh token", "No refresh token is held"} {
		if !strings.Contains(body, want) {
			t.Errorf("page lacks %q", want)
		}
	}
}

func TestSigningOutEndsBothSessions(t *testing.T) {
	v := newVisitor(t)
	v.comeBack(v.leave("/login"))
	response, _ := v.press("/logout", nil)
	target := mustParse(t, response.Header.Get("Location"))
	query := target.Query()
	if target.Path != "/logout" || query.Get("post_logout_redirect_uri") != "http://localhost:5001/" || strings.Count(query.Get("id_token_hint"), ".") != 2 {
		t.Errorf("logout: got %v", target)
	}
	if got := len(v.rp.sessions.byToken); got != 0 {
		t.Errorf("sessions: got %d, want none", got)
	}
	if _, body := v.get("/?state=" + query.Get("state")); !strings.Contains(body, "You are signed out") {
		t.Error("page does not say so")
	}
}

func TestButtonsAskForWhatTheySay(t *testing.T) {
	v := newVisitor(t)
	for path, want := range map[string]map[string]string{
		"/switch?organization=tech-startup": {"organization": "tech-startup"},
		"/switch":                           {"organization": ""},
		"/step-up?kind=mfa":                 {"acr_values": acrMFA},
		"/step-up?kind=again":               {"prompt": "login", "max_age": "0"},
	} {
		asked := v.leave(path)
		for name, value := range want {
			if got := asked.Get(name); got != value {
				t.Errorf("%s: got %s %q, want %q", path, name, got, value)
			}
		}
	}
}
