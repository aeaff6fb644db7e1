package peers

import (
	"cmp"
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
	// login and callback are paths of the relying party: where a sign-in begins, and its redirect URI. button is the selector
	// of what begins the sign-in on the page login; "" is #sign-in, if there is one.
	login, button, callback string
	// slow says that scripts show who has signed in, after the page has loaded.
	slow bool
	// user is the selector of what shows who has signed in; "" is #user.
	user string
	// open starts an application behind the relying party and returns the URL where a sign-in begins; nil when there is none.
	open func(t *testing.T, p place) string
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
	// host is the relying party's; "" is localhost, which for a browser is another site than the issuer's 127.0.0.1.
	host string
	// environ configures the application.
	environ []string
	// person signs in, for Acme Corp; the zero value is Bob.
	person harness.Person
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
	public := strings.Contains(a.client, "token_endpoint_auth_method: none")
	if !strings.Contains(a.client, "require_pkce") && !public {
		lines = append(lines, "require_pkce: auto")
	}
	if a.keyed {
		lines = append(lines, "token_endpoint_auth_method: private_key_jwt", "jwks: {keys: ["+publicKey(t, p.secret)+"]}")
	} else if !public {
		lines = append(lines, "secret: "+p.secret)
	}
	if a.client != "" {
		lines = append(lines, strings.Split(strings.TrimSpace(a.client), "\n")...)
	}
	s.Apply(t, "version: 1\nclients:\n  - "+strings.Join(lines, "\n    ")+"\n")
}

// Each relying party signs a person in, or is told why not, in each of its attempts.
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
					host := cmp.Or(a.host, "localhost")
					at := place{issuer: s.Issuer, port: port, url: "http://" + host + ":" + port, secret: rand.Text() + rand.Text(),
						clientID: p.folder + "-" + port, environ: append(slices.Clone(a.environ), "HOST="+host)}
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
	begin := at.url + p.login
	if p.open != nil {
		begin = p.open(t, at)
	}
	who := cmp.Or(a.person, harness.Bob)
	tab := harness.Chromium(t)
	signIn(t, tab, begin, cmp.Or(p.button, "#sign-in"), who)
	if a.refused != "" {
		if told := heard(t, tab, said) + s.Log.String()[before:]; !strings.Contains(told, a.refused) {
			t.Fatalf("nothing tells of %q:\n%s", a.refused, told)
		}
		return "refused: " + a.refused
	}
	selector := cmp.Or(p.user, "#user")
	if p.slow {
		tab.Wait(t, selector)
	}
	if strings.HasPrefix(tab.Location(t), s.Issuer) || !has(t, tab, selector) {
		t.Fatalf("nobody is signed in:\n%s", heard(t, tab, said))
	}
	shown := tab.Text(t, selector)
	if !strings.Contains(shown, who.Email) || !strings.Contains(shown, a.shows) {
		t.Fatalf("the relying party shows %q, want %s and %q\n%s", shown, who.Email, a.shows, heard(t, tab, said))
	}
	t.Logf("the relying party shows %s", shown)
	return "OK"
}

// signIn opens a relying party and does what it and Sallyport ask for.
func signIn(t *testing.T, tab *harness.Tab, url, button string, who harness.Person) {
	t.Helper()
	tab.Open(t, url)
	if has(t, tab, button) {
		tab.Follow(t, button)
	}
	if has(t, tab, "form#login") {
		tab.SignIn(t, who)
	}
	if has(t, tab, "form#org") {
		tab.Follow(t, "button[name=organization][value=acme-corp]")
	}
	if has(t, tab, "#allow") {
		tab.Follow(t, "#allow")
	}
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

var peers = slices.Concat(pythonPeers, nodePeers, javaPeers, keycloakPeers, groupPeers)
