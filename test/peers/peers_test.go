package peers

import (
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// peer is a relying party that other people wrote.
type peer struct {
	folder string
	// lock is the file of the folder that pins versions; version finds the library's in it.
	lock, version string
	// login and callback are paths of the relying party: where a sign-in begins, or a page with a button #sign-in that begins
	// it, and its redirect URI.
	login, callback string
	// install installs a folder; start starts what it made and returns what it says.
	install  func(t *testing.T, folder string) string
	start    func(t *testing.T, dir string, p place) *harness.Log
	attempts []attempt
}

// attempt is one way of registering and configuring a relying party.
type attempt struct {
	// settings are what somebody who follows the documentation reads; "" is nothing but what the library asks for.
	settings string
	// client has further lines of clients.yaml, separated by newlines. require_pkce is auto unless it says otherwise.
	client string
	// keyed registers private_key_jwt with an RSA key, which is the application's CLIENT_SECRET in PEM.
	keyed bool
	// environ configures the application.
	environ []string
	// shows must be among what #user shows besides the email address.
	shows string
	// refused is the cause that redirect, page or log must tell when the attempt must fail; "" when it must succeed.
	refused string
}

// place is where a relying party runs, and what it is told.
type place struct {
	issuer, port, url, clientID, secret string
	environ                             []string
}

// env is the environment of an application.
func (p place) env() []string {
	return append([]string{"ISSUER=" + p.issuer, "CLIENT_ID=" + p.clientID, "CLIENT_SECRET=" + p.secret, "PORT=" + p.port,
		"PYTHONUNBUFFERED=1"}, p.environ...)
}

const scopes = "openid profile email"

// register makes the relying party at a place known, as `clients create` does, but for the attempt's own lines.
func register(t *testing.T, s *harness.Server, callback string, p place, a attempt) {
	t.Helper()
	lines := []string{"client_id: " + p.clientID, "client_name: Acme Reports", "redirect_uris: [" + p.url + callback + "]"}
	if !strings.Contains(a.client, "scope:") {
		lines = append(lines, "scope: "+scopes)
	}
	if !strings.Contains(a.client, "require_pkce") {
		lines = append(lines, "require_pkce: auto")
	}
	if a.keyed {
		lines = append(lines, "token_endpoint_auth_method: private_key_jwt", "jwks: {keys: ["+publicKey(t, p.secret)+"]}")
	} else {
		lines = append(lines, "secret: "+p.secret)
	}
	if a.client != "" {
		lines = append(lines, strings.Split(strings.TrimSpace(a.client), "\n")...)
	}
	s.Apply(t, "version: 1\nclients:\n  - "+strings.Join(lines, "\n    ")+"\n")
}

// Each relying party signs Bob in, or is told why not, in each of its attempts.
func TestPeers(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{})
	for _, p := range peers {
		t.Run(p.folder, func(t *testing.T) {
			name := p.folder + " " + p.pinned(t)
			dir := p.install(t, p.folder)
			for i, a := range p.attempts {
				t.Run(fmt.Sprint(i), func(t *testing.T) {
					t.Logf("%s: %s", name, a.settings)
					result := "fails"
					defer func() { results.add(name, a.settings, result) }()
					port := freePort(t)
					at := place{issuer: s.Issuer, port: port, url: "http://localhost:" + port, secret: rand.Text() + rand.Text(),
						clientID: fmt.Sprintf("%s-%d", p.folder, i), environ: a.environ}
					if a.keyed {
						at.secret = newKey(t)
					}
					register(t, s, p.callback, at, a)
					result = p.try(t, s, dir, at, a)
				})
			}
		})
	}
}

// pinned is the library's version.
func (p peer) pinned(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(p.folder, p.lock))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(p.version).FindSubmatch(content)
	if found == nil {
		t.Fatalf("%s of %s does not match %s", p.lock, p.folder, p.version)
	}
	return string(found[1])
}

// try makes one attempt and returns how it ended.
func (p peer) try(t *testing.T, s *harness.Server, dir string, at place, a attempt) string {
	t.Helper()
	before := len(s.Log.String())
	said := p.start(t, dir, at)
	tab := harness.Chromium(t)
	tab.Open(t, at.url+p.login)
	if has(t, tab, "#sign-in") {
		tab.Follow(t, "#sign-in")
	}
	if has(t, tab, "form#login") {
		tab.SignIn(t, harness.Bob)
	}
	if has(t, tab, "#allow") {
		tab.Follow(t, "#allow")
	}
	if a.refused != "" {
		if told := heard(t, tab, said) + s.Log.String()[before:]; !strings.Contains(told, a.refused) {
			t.Fatalf("nothing tells of %q:\n%s", a.refused, told)
		}
		return "refused: " + a.refused
	}
	if !has(t, tab, "#user") {
		t.Fatalf("nobody is signed in:\n%s", heard(t, tab, said))
	}
	shown := tab.Text(t, "#user")
	if !strings.Contains(shown, harness.Bob.Email) || !strings.Contains(shown, a.shows) {
		t.Fatalf("the relying party shows %q, want %s and %q", shown, harness.Bob.Email, a.shows)
	}
	return "OK"
}

// heard is all that a sign-in told: redirects of the tab, the page it ended at, and what the relying party wrote.
func heard(t *testing.T, tab *harness.Tab, said *harness.Log) string {
	t.Helper()
	var b strings.Builder
	for _, x := range tab.Exchanges() {
		u, err := url.Parse(x.Location)
		if err != nil || x.Location == "" {
			continue
		}
		fmt.Fprintf(&b, "%s%s %s %s\n", u.Host, u.Path, u.Query().Get("error"), u.Query().Get("error_description"))
	}
	fmt.Fprintf(&b, "%s\n%s\n%s", tab.Location(t), tab.Text(t, "body"), said)
	return b.String()
}

func has(t *testing.T, tab *harness.Tab, selector string) bool {
	t.Helper()
	var found bool
	tab.Eval(t, fmt.Sprintf("document.querySelector(%q) !== null", selector), &found)
	return found
}

var peers = slices.Concat(pythonPeers, nodePeers)
