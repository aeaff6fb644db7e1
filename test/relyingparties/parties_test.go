package relyingparties

import (
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sallyport-id/sallyport/internal/harness"
)

func TestMain(m *testing.M) {
	code := m.Run()
	harness.StopChromium()
	os.Exit(code)
}

// findings are what a relying party learned through its library. It shows them as
// JSON in #result after sign-in, and what failed in #failure.
type findings struct {
	IDToken  map[string]any `json:"id_token"` // verified claims
	Nonce    string         `json:"nonce"`    // the one it sent
	Userinfo map[string]any `json:"userinfo"`
	// Refreshed are the verified claims of the ID token that a refresh brought.
	Refreshed map[string]any `json:"refreshed"`
	// Introspected is about a living access token, Ended about the same after revocation.
	Introspected map[string]any `json:"introspected"`
	Ended        map[string]any `json:"ended"`
}

const scopes = "openid profile email offline_access org orgs"

// register makes a relying party at a URL known: GET URL/login begins a sign-in,
// URL/callback is where it comes back, URL/logout signs out and ends at URL/signed-out.
func register(t *testing.T, s *harness.Server, url string, clients ...string) {
	t.Helper()
	var b strings.Builder
	b.WriteString("version: 1\nclients:\n")
	for _, c := range clients {
		b.WriteString(strings.ReplaceAll(c, "URL", url))
	}
	s.Apply(t, b.String())
}

const (
	webID, webSecret = "reports", "Jc5QkYw0TqS8dM2vR7nXb1LfZ3hAeP9u"

	webClient = `
  - client_id: ` + webID + `
    client_name: Acme Reports
    redirect_uris: [URL/callback]
    post_logout_redirect_uris: [URL/signed-out]
    grant_types: [authorization_code, refresh_token, client_credentials]
    scope: ` + scopes + `
    secret: ` + webSecret + `
`
)

// party is a relying party written in Go: three handlers around a library.
type party struct {
	*httptest.Server
	url   string // on localhost: for a browser another site than the issuer
	login http.HandlerFunc
	// callback answers with what it found; logout is the URL that ends the session.
	callback func(w http.ResponseWriter, r *http.Request) (*findings, error)
	logout   func(r *http.Request) (string, error)
}

func newParty(t *testing.T) *party {
	t.Helper()
	p := &party{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) { p.login(w, r) })
	mux.HandleFunc("GET /callback", func(w http.ResponseWriter, r *http.Request) {
		f, err := p.callback(w, r)
		show(w, f, err)
	})
	mux.HandleFunc("GET /logout", func(w http.ResponseWriter, r *http.Request) {
		to, err := p.logout(r)
		if err != nil {
			show(w, nil, err)
			return
		}
		http.Redirect(w, r, to, http.StatusSeeOther)
	})
	mux.HandleFunc("GET /signed-out", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `<!doctype html><p id="bye">%s</p>`, template.HTMLEscapeString(r.URL.Query().Get("state")))
	})
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	p.url = strings.Replace(p.URL, "127.0.0.1", "localhost", 1)
	return p
}

func show(w http.ResponseWriter, f *findings, err error) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if err != nil {
		fmt.Fprintf(w, `<!doctype html><pre id="failure">%s</pre>`, template.HTMLEscapeString(err.Error()))
		return
	}
	text, _ := json.Marshal(f)
	fmt.Fprintf(w, `<!doctype html><pre id="result">%s</pre>`, template.HTMLEscapeString(string(text)))
}

// signIn opens the relying party in a tab, signs in, picks Acme if asked to,
// allows what is asked, and returns what the relying party found.
func signIn(t *testing.T, tab *harness.Tab, url string, who harness.Person) *findings {
	t.Helper()
	journey(t, tab, url, who)
	if !has(t, tab, "#result") {
		t.Fatalf("the relying party failed at %s:\n%s", tab.Location(t), tab.Text(t, "body"))
	}
	var f findings
	if err := json.Unmarshal([]byte(tab.Text(t, "#result")), &f); err != nil {
		t.Fatal(err)
	}
	return &f
}

// journey is signIn without looking at where it ends.
func journey(t *testing.T, tab *harness.Tab, url string, who harness.Person) {
	t.Helper()
	tab.Open(t, url)
	tab.SignIn(t, who)
	if has(t, tab, "form#org") {
		tab.Follow(t, "button[name=organization][value=acme-corp]")
	}
	if text := tab.Text(t, "main"); !strings.Contains(text, "for Acme Corp") || !strings.Contains(text, who.Email) {
		t.Errorf("the consent page does not say who signs in and for whom:\n%s", text)
	}
	tab.Follow(t, "#allow")
}

func has(t *testing.T, tab *harness.Tab, selector string) bool {
	t.Helper()
	var found bool
	tab.Eval(t, fmt.Sprintf("document.querySelector(%q) !== null", selector), &found)
	return found
}

// check holds findings against what a relying party must be told: OpenID Connect
// Core 1.0 sections 2, 5.3.2 and 12.2, and which organization (product promise).
func (f *findings) check(t *testing.T, s *harness.Server, clientID string, who harness.Person, role string) {
	t.Helper()
	for name, claims := range map[string]map[string]any{"ID token": f.IDToken, "refreshed ID token": f.Refreshed} {
		if claims["iss"] != s.Issuer || !isAudience(claims["aud"], clientID) || claims["sub"] == "" || claims["sub"] != f.IDToken["sub"] {
			t.Errorf("%s: iss, aud, sub are %v, %v, %v, want %s, %s and one sub", name, claims["iss"], claims["aud"], claims["sub"], s.Issuer, clientID)
		}
		if claims["auth_time"] != f.IDToken["auth_time"] || claims["auth_time"] == nil {
			t.Errorf("%s: auth_time is %v, want what it was at sign-in, %v", name, claims["auth_time"], f.IDToken["auth_time"])
		}
	}
	if f.Nonce == "" || f.IDToken["nonce"] != f.Nonce {
		t.Errorf("nonce is %v, want the one that was sent, %q", f.IDToken["nonce"], f.Nonce)
	}
	if f.Userinfo["sub"] != f.IDToken["sub"] || f.Userinfo["email"] != who.Email {
		t.Errorf("userinfo is about %v (%v), want %v (%s)", f.Userinfo["sub"], f.Userinfo["email"], f.IDToken["sub"], who.Email)
	}
	for name, claims := range map[string]map[string]any{"ID token": f.IDToken, "refreshed ID token": f.Refreshed, "userinfo": f.Userinfo} {
		checkOrganization(t, name, claims, role)
	}
	if f.Introspected != nil {
		if f.Introspected["active"] != true || f.Introspected["sub"] != f.IDToken["sub"] {
			t.Errorf("introspection answers %v, want active for %v", f.Introspected, f.IDToken["sub"])
		}
		if diff := cmp.Diff(map[string]any{"active": false}, f.Ended); diff != "" {
			t.Errorf("introspection after revocation (-want +got):\n%s", diff)
		}
	}
}

func checkOrganization(t *testing.T, name string, claims map[string]any, role string) {
	t.Helper()
	got := map[string]any{"org_slug": claims["org_slug"], "org_name": claims["org_name"], "org_roles": claims["org_roles"]}
	want := map[string]any{"org_slug": "acme-corp", "org_name": "Acme Corp", "org_roles": []any{role}}
	if diff := cmp.Diff(want, got); diff != "" || claims["org_id"] == nil {
		t.Errorf("%s: organization (-want +got):\n%s\norg_id %v", name, diff, claims["org_id"])
	}
}

// isAudience: aud is one string or a list of them (OpenID Connect Core 1.0, section 2).
func isAudience(aud any, clientID string) bool {
	list, isList := aud.([]any)
	return aud == clientID || isList && len(list) == 1 && list[0] == clientID
}

// signOut signs out at the relying party and sees that the provider's session is gone too.
func signOut(t *testing.T, tab *harness.Tab, url string) {
	t.Helper()
	tab.Open(t, url+"/logout")
	tab.Wait(t, "#bye")
	if got := tab.Location(t); !strings.HasPrefix(got, url+"/signed-out") {
		t.Errorf("signing out ends at %s, want %s/signed-out", got, url)
	}
	tab.Open(t, url+"/login")
	tab.Wait(t, "form#login")
}
