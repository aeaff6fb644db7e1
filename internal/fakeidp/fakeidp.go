// Package fakeidp is identity providers that speak the real protocols, for tests and for `sallyport demo`: an OpenID
// provider as Google, Microsoft or anybody runs one, GitHub with its API, and one of SAML. Nothing of it is safe:
// whoever asks is signed in as whom they choose. A test makes one lie with Lie.
//
//	New ──▶ Provider.Handler   the provider, behind an httptest.Server or the listener of the demo
//	        SignInAs           /authorize answers at once for this person; else it shows a page to choose from
//	        Lie                the next answers are wrong in one way
//	NewSAML ─▶ SAML.Response   the answer of a SAML provider, signed and encrypted as its SAMLConfig says
//	        ReadRequest        what a service provider asked, if its signature is right
package fakeidp

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// The kinds of providers.
const (
	OIDC      = "oidc"
	Google    = "google"
	Microsoft = "microsoft"
	GitHub    = "github"
)

// Person is somebody whom the provider knows.
type Person struct {
	Subject       string
	Email         string
	EmailVerified bool
	Name          string
	Tenant        string   // of Microsoft
	Methods       []string // amr
	Session       string   // sid
}

// Lie is one way in which a provider is wrong.
type Lie string

// The lies of a provider.
const (
	Honest            Lie = ""
	WrongIssuer       Lie = "iss"
	WrongAudience     Lie = "aud"
	OtherParty        Lie = "azp"
	WrongNonce        Lie = "nonce"
	NoNonce           Lie = "no nonce"
	Unsigned          Lie = "alg none"
	SignedBySecret    Lie = "HS256 with the client secret"
	OtherKey          Lie = "signed by another key"
	Expired           Lie = "expired"
	OfTomorrow        Lie = "iat and nbf of tomorrow"
	NoSubject         Lie = "no sub"
	WrongAccessHash   Lie = "at_hash"
	WrongCodeHash     Lie = "c_hash"
	OldSignIn         Lie = "auth_time of yesterday"
	NoToken           Lie = "no ID token"
	WrongAnswerIssuer Lie = "iss of the answer"
	NoAnswerIssuer    Lie = "no iss in the answer"
	OtherUserinfo     Lie = "userinfo of another person"
	Garbage           Lie = "garbage at the token endpoint"
	Huge              Lie = "a huge answer at the token endpoint"
	Redirects         Lie = "a redirect at the token endpoint"
	Silent            Lie = "no answer at the token endpoint"
	SaysNo            Lie = "access_denied"
	WrongMetadata     Lie = "another issuer in the discovery document"
	Down              Lie = "500 everywhere"
)

// Config is a provider.
type Config struct {
	Kind string
	// BaseURL is where it listens, without a slash.
	BaseURL      string
	ClientID     string
	ClientSecret string
	People       []Person
	Now          func() time.Time
}

// Provider is safe for concurrent use.
type Provider struct {
	Config
	mu     sync.Mutex
	lie    Lie
	who    *Person
	key    *ecdsa.PrivateKey
	kid    string
	codes  map[string]grant
	tokens map[string]Person
	asked  []url.Values
	redeem int
}

// grant is what a code stands for.
type grant struct {
	person                        Person
	redirectURI, nonce, challenge string
}

// New returns a provider with a new key.
func New(c Config) *Provider {
	if c.Now == nil {
		c.Now = time.Now
	}
	p := &Provider{Config: c, codes: map[string]grant{}, tokens: map[string]Person{}}
	p.Rotate()
	return p
}

// Rotate replaces the key that signs.
func (p *Provider) Rotate() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.key, p.kid = newKey(), rand.Text()
}

func newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return key
}

// Lie makes the next answers wrong in one way; Honest ends that.
func (p *Provider) Lie(l Lie) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lie = l
}

// SignInAs makes /authorize answer for that person without a page; nil shows the page again.
func (p *Provider) SignInAs(who *Person) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.who = who
}

// Asked are the authorization requests so far.
func (p *Provider) Asked() []url.Values {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

// Issuer is what the provider calls itself: for Microsoft the template for all tenants.
func (p *Provider) Issuer() string {
	if p.Kind == Microsoft {
		return p.BaseURL + "/{tenantid}/v2.0"
	}
	return p.BaseURL
}

// Redeemed is how often the token endpoint was asked.
func (p *Provider) Redeemed() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.redeem
}

func (p *Provider) lying(l Lie) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lie == l
}

// Handler answers at BaseURL.
func (p *Provider) Handler() http.Handler {
	m := http.NewServeMux()
	if p.Kind == GitHub {
		m.HandleFunc("GET /login/oauth/authorize", p.authorize)
		m.HandleFunc("POST /login/oauth/access_token", p.token)
		m.HandleFunc("GET /api/v3/user", p.user)
		m.HandleFunc("GET /api/v3/user/emails", p.emails)
	} else {
		m.HandleFunc("GET /.well-known/openid-configuration", p.metadata)
		m.HandleFunc("GET /{tenant}/v2.0/.well-known/openid-configuration", p.metadata)
		m.HandleFunc("GET /authorize", p.authorize)
		m.HandleFunc("POST /token", p.token)
		m.HandleFunc("GET /keys", p.keys)
		m.HandleFunc("GET /userinfo", p.userinfo)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.lying(Down) {
			http.Error(w, "down", http.StatusInternalServerError)
			return
		}
		m.ServeHTTP(w, r)
	})
}

func (p *Provider) metadata(w http.ResponseWriter, _ *http.Request) {
	issuer := p.Issuer()
	if p.lying(WrongMetadata) {
		issuer = "https://elsewhere.example"
	}
	doc := map[string]any{"issuer": issuer, "authorization_endpoint": p.BaseURL + "/authorize", "token_endpoint": p.BaseURL + "/token",
		"jwks_uri": p.BaseURL + "/keys", "userinfo_endpoint": p.BaseURL + "/userinfo", "response_types_supported": []string{"code"},
		"subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"ES256"},
		"code_challenge_methods_supported": []string{"S256"}}
	if p.Kind == OIDC {
		doc["authorization_response_iss_parameter_supported"] = true
	}
	writeJSON(w, doc)
}

var choose = template.Must(template.New("").Parse(`<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>Fake {{.Kind}}</title>
<h1>Fake {{.Kind}}</h1><p>This is no real provider. Who are you?</p>
{{range .People}}<p><a class="person" href="?{{$.Query}}&amp;as={{.Subject}}">{{.Name}} ({{.Email}})</a></p>
{{end}}<p><a id="cancel" href="?{{.Query}}&amp;as=">Cancel</a></p></html>`))

// authorize sends the browser back with a code, after the page to choose from.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	to, err := url.Parse(q.Get("redirect_uri"))
	if err != nil || q.Get("client_id") != p.ClientID {
		http.Error(w, "unknown client", http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	p.asked = append(p.asked, q)
	who, lie := p.who, p.lie
	p.mu.Unlock()
	if q.Has("as") {
		who = &Person{}
		for i := range p.People {
			if p.People[i].Subject == q.Get("as") {
				who = &p.People[i]
			}
		}
	}
	if who == nil {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_ = choose.Execute(w, map[string]any{"Kind": p.Kind, "People": p.People, "Query": template.URL(r.URL.RawQuery)}) // to a browser that may be gone
		return
	}
	answer := url.Values{"state": {q.Get("state")}}
	if p.Kind == OIDC && lie != NoAnswerIssuer {
		answer.Set("iss", p.Issuer())
	}
	if lie == WrongAnswerIssuer {
		answer.Set("iss", "https://elsewhere.example")
	}
	if who.Subject == "" || lie == SaysNo {
		answer.Set("error", "access_denied")
	} else {
		code := rand.Text()
		answer.Set("code", code)
		p.mu.Lock()
		p.codes[code] = grant{*who, q.Get("redirect_uri"), q.Get("nonce"), q.Get("code_challenge")}
		p.mu.Unlock()
	}
	to.RawQuery = answer.Encode()
	http.Redirect(w, r, to.String(), http.StatusFound)
}

// token redeems a code, once.
func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	id, secret, basic := r.BasicAuth()
	if !basic {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	if id != p.ClientID || secret != p.ClientSecret {
		refuse(w, p.Kind, "invalid_client", "incorrect_client_credentials")
		return
	}
	code := r.PostFormValue("code")
	p.mu.Lock()
	p.redeem++
	g, ok := p.codes[code]
	delete(p.codes, code)
	lie := p.lie
	p.mu.Unlock()
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !ok || g.redirectURI != r.PostFormValue("redirect_uri") || g.challenge != encode(sum[:]) {
		refuse(w, p.Kind, "invalid_grant", "bad_verification_code")
		return
	}
	switch lie {
	case Garbage:
		_, _ = w.Write([]byte("<html>not what you think"))
		return
	case Huge:
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"access_token":"` + strings.Repeat("x", 4<<20) + `"}`))
		return
	case Redirects:
		http.Redirect(w, r, "http://169.254.169.254/", http.StatusTemporaryRedirect)
		return
	case Silent:
		<-r.Context().Done()
		return
	}
	access := rand.Text()
	p.mu.Lock()
	p.tokens[access] = g.person
	p.mu.Unlock()
	out := map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": 3600}
	if p.Kind != GitHub && lie != NoToken {
		out["id_token"] = p.idToken(g, code, access, lie)
	}
	writeJSON(w, out)
}

// refuse is an error of the token endpoint; GitHub says 200 and has codes of its own.
func refuse(w http.ResponseWriter, kind, code, github string) {
	if kind == GitHub {
		writeJSON(w, map[string]string{"error": github})
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": code})
}

// claims are those of a person, in the words of the kind.
func (p *Provider) claims(who Person) map[string]any {
	c := map[string]any{"sub": who.Subject, "name": who.Name}
	if who.Email != "" {
		c["email"] = who.Email
		if p.Kind != Microsoft { // which has no such claim
			c["email_verified"] = who.EmailVerified
		} else if who.EmailVerified {
			c["xms_edov"] = true
		}
	}
	if p.Kind == Microsoft {
		c["tid"], c["oid"] = who.Tenant, who.Subject
		c["sub"] = "pairwise-" + who.Subject
	}
	return c
}

// idToken is an ID token, with what is wrong about it.
func (p *Provider) idToken(g grant, code, access string, lie Lie) string {
	now := p.Now()
	c := p.claims(g.person)
	maps.Copy(c, map[string]any{"iss": strings.Replace(p.Issuer(), "{tenantid}", g.person.Tenant, 1), "aud": p.ClientID,
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "nonce": g.nonce, "at_hash": half(access), "c_hash": half(code),
		"auth_time": now.Unix()})
	if len(g.person.Methods) > 0 {
		c["amr"] = g.person.Methods
	}
	if g.person.Session != "" {
		c["sid"] = g.person.Session
	}
	if change := lies[lie]; change != nil {
		change(c, now)
	}
	return p.sign(c, lie)
}

// LogoutToken is what the provider posts when a person has signed out there; change makes it wrong, nil leaves it
// right.
func (p *Provider) LogoutToken(who Person, change func(c map[string]any)) string {
	now := p.Now()
	c := map[string]any{"iss": p.Issuer(), "aud": p.ClientID, "iat": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(), "jti": rand.Text(),
		"sub": who.Subject, "events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": struct{}{}}}
	if who.Session != "" {
		c["sid"] = who.Session
	}
	if change != nil {
		change(c)
	}
	return p.sign(c, Honest)
}

// sign is a token with these claims.
func (p *Provider) sign(c map[string]any, lie Lie) string {
	p.mu.Lock()
	key, kid := p.key, p.kid
	p.mu.Unlock()
	switch lie {
	case Unsigned:
		return encodeJSON(map[string]string{"alg": "none"}) + "." + encodeJSON(c) + "."
	case SignedBySecret:
		input := encodeJSON(map[string]string{"alg": "HS256"}) + "." + encodeJSON(c)
		mac := hmac.New(sha256.New, []byte(p.ClientSecret))
		mac.Write([]byte(input))
		return input + "." + encode(mac.Sum(nil))
	case OtherKey:
		key = newKey()
	}
	input := encodeJSON(map[string]string{"alg": "ES256", "kid": kid}) + "." + encodeJSON(c)
	sum := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return input + "." + encode(append(fill(r), fill(s)...))
}

// lies are the changes to the claims.
var lies = map[Lie]func(c map[string]any, now time.Time){
	WrongIssuer:   func(c map[string]any, _ time.Time) { c["iss"] = "https://elsewhere.example" },
	WrongAudience: func(c map[string]any, _ time.Time) { c["aud"] = "another-client" },
	OtherParty: func(c map[string]any, _ time.Time) {
		c["aud"] = []any{c["aud"], "another-client"}
		c["azp"] = "another-client"
	},
	WrongNonce:      func(c map[string]any, _ time.Time) { c["nonce"] = "of-another-sign-in" },
	NoNonce:         func(c map[string]any, _ time.Time) { delete(c, "nonce") },
	Expired:         func(c map[string]any, now time.Time) { c["exp"] = now.Add(-time.Hour).Unix() },
	OfTomorrow:      func(c map[string]any, now time.Time) { c["iat"] = now.Add(24 * time.Hour).Unix(); c["nbf"] = c["iat"] },
	NoSubject:       func(c map[string]any, _ time.Time) { delete(c, "sub"); delete(c, "oid") },
	WrongAccessHash: func(c map[string]any, _ time.Time) { c["at_hash"] = half("another") },
	WrongCodeHash:   func(c map[string]any, _ time.Time) { c["c_hash"] = half("another") },
	OldSignIn:       func(c map[string]any, now time.Time) { c["auth_time"] = now.Add(-24 * time.Hour).Unix() },
	OtherUserinfo:   func(c map[string]any, _ time.Time) { delete(c, "email") },
}

func (p *Provider) keys(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	key, kid := p.key.PublicKey, p.kid
	p.mu.Unlock()
	point, err := key.Bytes() // 0x04, x, y
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	writeJSON(w, map[string]any{"keys": []any{map[string]string{"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": kid,
		"x": encode(point[1:33]), "y": encode(point[33:])}}})
}

// bearer is the person of an access token; it answers 401 if there is none.
func (p *Provider) bearer(w http.ResponseWriter, r *http.Request) (Person, bool) {
	p.mu.Lock()
	who, ok := p.tokens[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	p.mu.Unlock()
	if !ok {
		http.Error(w, "who are you", http.StatusUnauthorized)
	}
	return who, ok
}

func (p *Provider) userinfo(w http.ResponseWriter, r *http.Request) {
	if who, ok := p.bearer(w, r); ok {
		c := p.claims(who)
		if p.lying(OtherUserinfo) {
			c["sub"] = "another"
		}
		writeJSON(w, c)
	}
}

func (p *Provider) user(w http.ResponseWriter, r *http.Request) {
	if who, ok := p.bearer(w, r); ok {
		id, _ := new(big.Int).SetString(who.Subject, 10) // a number by the test's own choice
		writeJSON(w, map[string]any{"id": id, "login": "renamed-by-anybody", "name": who.Name})
	}
}

func (p *Provider) emails(w http.ResponseWriter, r *http.Request) {
	if who, ok := p.bearer(w, r); ok {
		writeJSON(w, []any{map[string]any{"email": "other@users.example", "primary": false, "verified": true},
			map[string]any{"email": who.Email, "primary": true, "verified": who.EmailVerified}})
	}
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // to a client that may be gone
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func encodeJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps of strings and numbers always encode
	}
	return encode(b)
}

// half is the left half of a hash (OpenID Connect Core 1.0, section 3.1.3.6).
func half(text string) string {
	h := crypto.SHA256.New()
	h.Write([]byte(text))
	return encode(h.Sum(nil)[:16])
}

// fill is a number in the 32 bytes of a signature's half.
func fill(n *big.Int) []byte { return n.FillBytes(make([]byte, 32)) }
