package provider

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4"
	"github.com/sallyport-id/sallyport/internal/oauth"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
)

// registered are redirect URIs that are worth confusing with others.
var registered = []string{"https://good.example/cb", "https://good.example/cb?a=1", "http://127.0.0.1/cb", "http://[::1]:7000/six?a=1", "https://127.0.0.1/tls", "http://localhost/name", "com.example.app:/cb"}

func fuzzClient(applicationType string) *client {
	return &client{Client: &storage.Client{ID: "app", Metadata: storage.Metadata{ApplicationType: applicationType, RedirectURIs: registered}}}
}

// loopbackVariant reports whether Go's URL parser reads raw as a registered http
// loopback URI with another port. The matcher does not parse; this does.
func loopbackVariant(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" || u.User != nil || u.Fragment != "" || strings.Contains(raw, "#") {
		return false
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return false
		}
	}
	return slices.ContainsFunc(registered, func(r string) bool {
		v, err := url.Parse(r)
		return err == nil && v.Scheme == "http" && (v.Hostname() == "127.0.0.1" || v.Hostname() == "::1") &&
			v.Hostname() == u.Hostname() && v.EscapedPath() == u.EscapedPath() && v.RawQuery == u.RawQuery && v.ForceQuery == u.ForceQuery
	})
}

// RFC 9700, section 4.1: whatever matches is a registered string, or for a native
// client what a real parser takes for the same loopback URI at another port.
func FuzzRedirectMatcher(f *testing.F) {
	for _, uri := range append(slices.Clone(registered), "http://127.0.0.1:51004/cb", "http://127.0.0.1:80@evil.example/cb", "http://[::1]:1/six?a=1", "http://127.0.0.1:0x50/cb",
		"http://127.0.0.1:\t80/cb", "http://127.0.0.1\\@evil/cb", "http://127.0.0.1:65536/cb", "http://127.0.0.1?/cb", "https://good.example/cb#", "") {
		f.Add(uri)
	}
	web, native := fuzzClient("web"), fuzzClient("native")
	f.Fuzz(func(t *testing.T, raw string) {
		exact := slices.Contains(registered, raw)
		if got := web.matchRedirect(raw); got != exact {
			t.Errorf("a web client may be answered at %q: %v, registered: %v", raw, got, exact)
		}
		if native.matchRedirect(raw) && !exact && !loopbackVariant(raw) {
			t.Errorf("a native client may be answered at %q, which no parser takes for a registered loopback URI", raw)
		}
	})
}

// An authorization request from the wire: what is accepted has one meaning, and
// the answer goes where it should with the state as it came.
func FuzzAuthorizeQuery(f *testing.F) {
	for _, raw := range []string{"redirect_uri=https%3A%2F%2Fgood.example%2Fcb&state=a%26b%23&prompt=none&max_age=0", "redirect_uri=https://good.example/cb?a=1&state=&claims=%7B%22userinfo%22%3Anull%7D",
		"redirect_uri=http://127.0.0.1:1/cb&response_mode=form_post&acr_values=1+2", "max_age=9223372036854775807&prompt=login+consent", "max_age=-1", "code_challenge=" + strings.Repeat("a", 43) + "&code_challenge_method=S256",
		"a=1&a=2", "%zz", "claims=%7B%22id_token%22%3A%7B%22acr%22%3A%7B%22essential%22%3Atrue%2C%22values%22%3A%5B%22x%22%5D%7D%7D%7D", "prompt=none+login", "&&&=&="} {
		f.Add(raw)
	}
	p := &Provider{issuer: "https://id.example"}
	c := fuzzClient("native")
	f.Fuzz(func(t *testing.T, raw string) {
		params, err := web.Query(&http.Request{URL: &url.URL{RawQuery: raw}}, "resource", "audience")
		if err != nil {
			return
		}
		q := &request{client: c, params: params, maxAge: -1}
		if q.matchRedirectURI() == nil {
			checkAnswer(t, q, p.issuer)
		}
		if p.checkPrompt(t.Context(), q) == nil {
			if q.maxAge < -1 || q.maxAge > math.MaxInt32*time.Second || (q.prompted("none") && len(q.prompt) > 1) {
				t.Errorf("%q: max_age %v, prompt %q", raw, q.maxAge, q.prompt)
			}
			if after := q.signInAfter(time.Now()); after.After(time.Now()) {
				t.Errorf("%q wants a sign-in in the future, %v", raw, after)
			}
		}
		if p.checkChallenge(t.Context(), q) == nil {
			if v := params.Get("code_challenge"); v != "" && (len(v) != 43 || params.Get("code_challenge_method") != "S256") {
				t.Errorf("%q: a challenge that is not S256 is accepted", raw)
			}
		}
		if p.checkClaims(t.Context(), q) == nil && q.claims != "" && (!json.Valid([]byte(q.claims)) || strings.ContainsRune(q.claims, 0)) {
			t.Errorf("%q: claims are kept as %q", raw, q.claims)
		}
	})
}

// checkAnswer asserts that an answer to q goes to a registered place and echoes its state.
func checkAnswer(t *testing.T, q *request, issuer string) {
	t.Helper()
	if !slices.Contains(registered, q.target.uri) && !loopbackVariant(q.target.uri) {
		t.Fatalf("the answer goes to %q", q.target.uri)
	}
	to := q.target.withParams(q.target.withStateAndIssuer(issuer, []param{{"code", "x"}})...)
	u, err := url.Parse(to)
	if err != nil || strings.ContainsAny(to, "\r\n\x00 #") || !strings.HasPrefix(to, q.target.uri) {
		t.Fatalf("the answer is %q: %v", to, err)
	}
	got := u.Query()
	if got.Has("state") != q.params.Has("state") || got.Get("state") != q.params.Get("state") || got.Get("iss") != issuer || got.Get("code") != "x" {
		t.Errorf("state %q comes back as %q in %q", q.params.Get("state"), got.Get("state"), to)
	}
}

// A token request from the wire says in at most one way who its client is.
func FuzzTokenForm(f *testing.F) {
	f.Add("", "grant_type=authorization_code&code=sp_ac_x&code_verifier="+strings.Repeat("a", 43)+"&client_id=app")
	f.Add("Basic YXBwOnNlY3JldA==", "grant_type=refresh_token&client_id=app")
	f.Add("", "client_id=app&client_secret=x&client_assertion=y")
	f.Add("", "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=a.b.c")
	f.Add("Bearer x", "%00=1")
	f.Fuzz(func(t *testing.T, authorization, body string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/oauth2/token", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		form, err := web.Form(r)
		if err != nil {
			return
		}
		if cred, err := readCredentials(r, form); err == nil {
			checkCredentials(t, cred, form, authorization)
		}
		for _, prefix := range []string{codePrefix, accessPrefix, refreshPrefix} {
			if token := form.Get("code"); isWellFormed(token, prefix) && (len(token) != 49 || url.QueryEscape(token) != token) {
				t.Errorf("%q is taken for a token", token)
			}
		}
		verifier, challenge := form.Get("code_verifier"), form.Get("code_challenge")
		sum := sha256.Sum256([]byte(verifier))
		right := base64.RawURLEncoding.EncodeToString(sum[:])
		if verifyChallenge(challenge, verifier) && challenge != right && challenge+verifier != "" {
			t.Errorf("verifier %q passes for challenge %q", verifier, challenge)
		}
		if len(verifier) >= 43 && len(verifier) <= 128 && strings.Trim(verifier, "abcdefghijklmnopqrstuvwxyz") == "" && !verifyChallenge(right, verifier) {
			t.Errorf("verifier %q does not pass for its own challenge", verifier)
		}
	})
}

func checkCredentials(t *testing.T, cred *credentials, form url.Values, authorization string) {
	t.Helper()
	ways := map[string]bool{"client_secret_basic": authorization != "", "client_secret_post": form.Get("client_secret") != "", "private_key_jwt": form.Get("client_assertion") != ""}
	for method, used := range ways {
		if used != (cred.method == method) {
			t.Errorf("the method is %s, and %s is used: %v", cred.method, method, used)
		}
	}
	if !slices.Contains(oauth.AuthMethods(), cred.method) || (cred.method == "none") != (len(cred.secrets) == 0 && cred.assertion == "") {
		t.Errorf("%+v", cred)
	}
	if id := form.Get("client_id"); id != "" && id != cred.id {
		t.Errorf("client_id is %q, the credentials are of %q", id, cred.id)
	}
}

// RFC 6749, section 2.3.1: what a client encodes arrives, and what it does not
// encode is at least among the readings.
func FuzzBasicHeader(f *testing.F) {
	f.Add("Basic YXBwOnNlY3JldA==", "app", "secret")
	f.Add("basic  OjE=", "a:b", "p%41:ss+w/rd ü")
	f.Add("Basic", "", "%zz")
	f.Add("Basic "+strings.Repeat("A", 5000), "a+b", "+")
	f.Fuzz(func(t *testing.T, header, id, secret string) {
		if cred, err := readBasic(header, ""); err == nil && (cred.method != "client_secret_basic" || len(cred.secrets) == 0 || len(cred.secrets) > 2) {
			t.Errorf("%q is read as %+v", header, cred)
		}
		encode := func(id, secret string) string {
			return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
		}
		cred, err := readBasic(encode(url.QueryEscape(id), url.QueryEscape(secret)), "")
		if err != nil || cred.id != id || cred.secrets[0] != secret {
			t.Errorf("%q, %q encoded is read as %+v, %v", id, secret, cred, err)
		}
		if cred, err := readBasic(encode(url.QueryEscape(id), secret), id); err != nil || !slices.Contains(cred.secrets, secret) {
			t.Errorf("%q, %q as it is is read as %+v, %v", id, secret, cred, err)
		}
		if _, err := readBasic(encode(url.QueryEscape(id), secret), id+"x"); err == nil {
			t.Errorf("a header of %q passes for client_id %q", id, id+"x")
		}
	})
}

// RFC 7515: nothing but what the client's key has signed comes out, whatever the
// parts of the JWS say.
func FuzzClientAssertion(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, nil)
	if err != nil {
		f.Fatal(err)
	}
	const signed = `{"iss":"app","sub":"app","aud":"https://id.example","jti":"1","exp":1}`
	jws, err := signer.Sign([]byte(signed))
	if err != nil {
		f.Fatal(err)
	}
	compact, err := jws.CompactSerialize()
	if err != nil {
		f.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	f.Add(compact, []byte(signed))
	f.Add(encode([]byte(`{"alg":"none"}`))+"."+encode([]byte(signed))+".", []byte(`{"sub":["a"]}`))
	f.Add(encode([]byte(`{"alg":"ES256","crit":["b64"],"b64":false}`))+".e30.AAAA", []byte(`{"aud":["a","b"],"exp":1e400}`))
	f.Add(strings.Repeat(".", 1000), []byte(`{"sub":"a","sub":"b"}`))
	f.Add("..", []byte("null"))
	p, c := &Provider{issuer: "https://id.example"}, fuzzClient("web")
	c.jwks = &jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public()}}}
	f.Fuzz(func(t *testing.T, raw string, payload []byte) {
		for _, alg := range []string{"", "ES256", "none", "HS256"} {
			got, err := p.verifyClientJWS(t.Context(), c, raw, alg)
			if err == nil && (string(got) != signed || alg == "none" || alg == "HS256") {
				t.Errorf("with alg %q %q verifies as %q, which was never signed", alg, raw, got)
			}
		}
		_ = unverifiedSubject(raw)
		sub := unverifiedSubject("e30." + encode(payload) + ".x")
		var a assertionClaims
		if err := json.Unmarshal(payload, &a); sub != "" && (err != nil || a.Subject != sub || !utf8.ValidString(sub)) {
			t.Errorf("the client is looked up as %q, and the claims will say %q, %v", sub, a.Subject, err)
		}
		for _, when := range []float64{a.Expires, a.Issued, a.From} {
			if at := unixFloat(when); at.Unix() < 0 || at.Unix() > 1<<40 {
				t.Errorf("%v is the time %v", when, at)
			}
		}
	})
}

// RFC 9101: what comes out of a request object are parameters as a form has them;
// fosite makes "%!s(float64=1)" of a number.
func FuzzRequestObject(f *testing.F) {
	for _, payload := range []string{`{"client_id":"app","max_age":0,"scope":"openid"}`, `{"claims":{"userinfo":{"name":null}},"max_age":1e3}`, `{"state":"a\u0000b"}`, `{"max_age":1.5}`, `{"scope":["openid"]}`,
		`{"nonce":{"a":1}}`, `{"request":"x","request_uri":"y","aud":["a","b"],"exp":1e309}`, `{"a":9007199254740993,"b":-1,"c":true,"d":null}`, `[]`, `null`, `{"state":"\ud800"}`, strings.Repeat(`{"a":`, 1000)} {
		f.Add([]byte(payload))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		params, claims, err := readObject(payload)
		if err != nil {
			return
		}
		var members map[string]any
		if err := json.Unmarshal(payload, &members); err != nil || claims == nil {
			t.Fatalf("%q is read, and is no object: %v", payload, err)
		}
		for name, v := range params {
			if len(v) != 1 || !utf8.ValidString(v[0]) || strings.ContainsRune(v[0], 0) || slices.Contains(objectOnly, name) {
				t.Errorf("%q has the parameter %q = %q", payload, name, v)
			}
			switch m := members[name].(type) {
			case string:
				if v[0] != m {
					t.Errorf("%s: %q became %q", name, m, v[0])
				}
			case float64:
				if n, err := strconv.ParseInt(v[0], 10, 64); err != nil || float64(n) != m {
					t.Errorf("%s: %v became %q", name, m, v[0])
				}
			case bool:
				if v[0] != strconv.FormatBool(m) {
					t.Errorf("%s: %v became %q", name, m, v[0])
				}
			default:
				if name != "claims" || !json.Valid([]byte(v[0])) {
					t.Errorf("%s: %T became %q", name, m, v[0])
				}
			}
		}
	})
}
