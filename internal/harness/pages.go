package harness

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/storage"
)

var (
	codeText = regexp.MustCompile(`<pre class="code-text" id="codes">([^<]+)</pre>`)
	// RowText matches a row of a list of factors or sessions: its id, and whether it is this session.
	RowText = regexp.MustCompile(`data-(?:factor|session)="([0-9a-f-]{36})"( data-current)?`)
)

// RecoveryCodes returns the recovery codes that a page shows.
func RecoveryCodes(t *testing.T, p *Page) []string {
	t.Helper()
	m := codeText.FindStringSubmatch(p.Body)
	if m == nil {
		t.Fatalf("%s (%d) shows no codes:\n%s", p.URL, p.Status, p.Body)
	}
	return strings.Fields(m[1])
}

// FactorPath returns the page of the first factor in the list.
func FactorPath(t *testing.T, p *Page) string {
	t.Helper()
	m := RowText.FindStringSubmatch(p.Body)
	if m == nil {
		t.Fatalf("%s (%d) lists nothing:\n%s", p.URL, p.Status, p.Body)
	}
	return "/account/security/" + m[1]
}

// RequirePolicy sets the policy of an organization about second factors.
func RequirePolicy(t *testing.T, s *Server, organization uuid.UUID, policy storage.MFAPolicy) {
	t.Helper()
	if err := s.App.Store.EditOrganizationSettings(t.Context(), organization, func(set *storage.OrganizationSettings) *storage.Event {
		*set = storage.OrganizationSettings{MFA: policy}
		return &storage.Event{Type: storage.EventOrganizationMFAPolicyChanged, Organization: organization}
	}); err != nil {
		t.Fatal(err)
	}
}

// OtherSessions returns the ids of the listed sessions other than this one.
func OtherSessions(t *testing.T, p *Page) []string {
	t.Helper()
	var ids []string
	for _, m := range RowText.FindAllStringSubmatch(p.Body, -1) {
		if m[2] == "" {
			ids = append(ids, m[1])
		}
	}
	return ids
}

// MustBeSignedOut checks that the sign-in page does not take a session that was ended for one that lives.
func MustBeSignedOut(t *testing.T, b *Browser) {
	t.Helper()
	if p := b.Get(t, "/login"); strings.Contains(p.Body, "You are signed in already") {
		t.Error("the sign-in page says that a user is signed in")
	}
}

// Post sends a form to a path as a page would, with a valid CSRF token of the browser.
func Post(t *testing.T, b *Browser, path string, fields ...string) *Page {
	t.Helper()
	form := url.Values{"csrf": {"none"}}
	if p := b.Get(t, "/account"); p.URL.Path == "/account" {
		form.Set("csrf", b.Get(t, "/account/profile").Form(t, "profile").Values.Get("csrf"))
	}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return b.Post(t, path, form)
}

// MustShow checks the status of a page, that it says all of these, and that it is not cached.
func MustShow(t *testing.T, p *Page, status int, all ...string) {
	t.Helper()
	if p.Status != status {
		t.Errorf("%s: %d, want %d:\n%s", p.URL, p.Status, status, p.Body)
	}
	text := html.UnescapeString(p.Body)
	for _, want := range all {
		if !strings.Contains(text, want) {
			t.Errorf("%s does not say %q:\n%s", p.URL, want, p.Body)
		}
	}
	if p.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s may be kept: %v", p.URL, p.Header["Cache-Control"])
	}
}

// NewPerson creates a user with a verified address and a password.
func NewPerson(t *testing.T, s *Server, email string) Person {
	t.Helper()
	who := Person{Email: email, Password: "correct horse battery staple"}
	if _, err := s.App.Identity.People.Create(t.Context(), identity.Operator(), identity.NewUser{Email: email, Password: who.Password}); err != nil {
		t.Fatal(err)
	}
	return who
}

// SubmitLogin sends the form of /login and returns where it leads.
func SubmitLogin(t *testing.T, b *Browser, who Person) *Page {
	t.Helper()
	return b.Submit(t, b.Get(t, "/login").Form(t, "login"), "email", who.Email, "password", who.Password)
}

// SignInWith signs in with a password and a code.
func SignInWith(t *testing.T, b *Browser, who Person, phone *Phone) *Page {
	t.Helper()
	p := SubmitLogin(t, b, who)
	if p.URL.Path == "/login/factor" {
		p = b.Submit(t, p.FormWith(t, "code"), "code", phone.Code(t))
	}
	if p.URL.Path != "/" || p.Status != http.StatusOK {
		t.Fatalf("%s cannot sign in: %d at %s:\n%s", who.Email, p.Status, p.URL, p.Body)
	}
	return p
}

// KeyText matches the TOTP key on an enrolment page.
var KeyText = regexp.MustCompile(`<code id="key"[^>]*>([A-Z2-7 ]+)</code>`)

// TOTPKey is the key that a page shows for an authenticator app.
func TOTPKey(t *testing.T, p *Page) string {
	t.Helper()
	m := KeyText.FindStringSubmatch(p.Body)
	if m == nil {
		t.Fatalf("%s (%d) shows no key:\n%s", p.URL, p.Status, p.Body)
	}
	return strings.ReplaceAll(m[1], " ", "")
}

// CookieName is the name of the browser's one cookie without TLS.
const CookieName = "sp_browser"

// Clients is a clients.yaml with the client quiet, which gets its code without a page as soon as a user is signed in.
const Clients = `
version: 1
clients:
  - {client_id: quiet, client_name: Quiet, secret: secret-of-quiet-Zr8wq1LkVbX0, redirect_uris: [https://quiet.example/cb], skip_consent: true,
     grant_types: [authorization_code, refresh_token], scope: openid profile email offline_access org, web_origins: [https://pages.quiet.example]}
`

// Quiet is the client of Clients, which gets its code without a page.
func Quiet(s *Server, scope string) *RP {
	return s.RP("quiet", "secret-of-quiet-Zr8wq1LkVbX0", "https://quiet.example/cb", scope)
}

// QuietTokens returns the tokens that quiet gets in a browser that is signed in.
func QuietTokens(t *testing.T, s *Server, b *Browser, scope string) *Tokens {
	t.Helper()
	rp := Quiet(s, scope)
	r := rp.Authorize(nil)
	p := b.Get(t, r.URL)
	if p.Away == nil || p.Away.Query().Get("code") == "" {
		t.Fatalf("no code: %d at %s, away to %v", p.Status, p.URL, p.Away)
	}
	return rp.Redeem(t, p.Away.Query().Get("code"), r)
}

// SignIn signs a user in by password and checks that the home page greets them.
func SignIn(t *testing.T, b *Browser, who Person) *Page {
	t.Helper()
	p := b.Get(t, "/login")
	p = b.Submit(t, p.Form(t, "login"), "email", who.Email, "password", who.Password)
	if p.URL.Path != "/" || !strings.Contains(p.Body, who.Email) {
		t.Fatalf("%s cannot sign in: %d at %s", who.Email, p.Status, p.URL)
	}
	return p
}

// CookieOf returns the value of the browser's cookie, "" without one.
func CookieOf(s *Server, b *Browser) string {
	u, _ := url.Parse(s.Issuer)
	for _, c := range b.HTTP.Jar.Cookies(u) {
		if c.Name == CookieName {
			return c.Value
		}
	}
	return ""
}

// SetCookie puts a value in the place of the browser's cookie.
func SetCookie(s *Server, b *Browser, value string) {
	u, _ := url.Parse(s.Issuer)
	b.HTTP.Jar.SetCookies(u, []*http.Cookie{{Name: CookieName, Value: value, Path: "/"}})
}

// GreetedUser opens "/" with extra header fields and returns the address of the user it greets, or the status.
func GreetedUser(t *testing.T, s *Server, b *Browser, fields ...string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Issuer+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	p := b.Do(t, req)
	if p.Status != http.StatusOK {
		return fmt.Sprint(p.Status)
	}
	for _, who := range []Person{Bob, Alice, Admin} {
		if strings.Contains(p.Body, who.Email) {
			return who.Email
		}
	}
	return ""
}

// BrowserAt returns a browser whose requests come from an address.
func BrowserAt(t *testing.T, s *Server, address string) *Browser {
	t.Helper()
	transport := s.Transport()
	t.Cleanup(transport.CloseIdleConnections)
	return NewBrowser(t, s.Issuer, Forwarded{transport, address})
}

// Forwarded is a proxy that reports Address as the client's.
type Forwarded struct {
	http.RoundTripper
	Address string
}

// RoundTrip implements http.RoundTripper.
func (f Forwarded) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Forwarded-For", f.Address)
	return f.RoundTripper.RoundTrip(r)
}

// RequireFactor sets the second factor that an organization of the sample data requires; the slug "" is the installation.
func RequireFactor(t *testing.T, s *Server, slug, what string, graceDays int) {
	t.Helper()
	policy := storage.MFAPolicy{Require: what, GraceDays: graceDays, Since: s.Clock.Now().UTC().Add(-time.Hour)}
	if slug == "" {
		if err := s.App.Store.EditPlatformSettings(t.Context(), func(set *storage.PlatformSettings) *storage.Event {
			*set = storage.PlatformSettings{MFA: policy}
			return &storage.Event{Type: storage.EventPlatformMFAPolicyChanged}
		}); err != nil {
			t.Fatal(err)
		}
		if err := s.App.Registry.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		return
	}
	o, err := s.App.Store.OrganizationBySlug(t.Context(), slug)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.App.Store.EditOrganizationSettings(t.Context(), o.ID, func(set *storage.OrganizationSettings) *storage.Event {
		*set = storage.OrganizationSettings{MFA: policy}
		return &storage.Event{Type: storage.EventOrganizationMFAPolicyChanged, Organization: o.ID}
	}); err != nil {
		t.Fatal(err)
	}
}

// SignInByPasskey signs in with a passkey as first factor.
func SignInByPasskey(t *testing.T, b *Browser, r *Request, key *Authenticator) *Page {
	t.Helper()
	p := b.Get(t, r.URL)
	for i := range p.Forms {
		if p.Forms[i].WebAuthn == "get" {
			return b.Ceremony(t, &p.Forms[i], key)
		}
	}
	t.Fatalf("the page %s has no passkey form", p.URL)
	return nil
}

// EnterPassword signs a user in up to the page that asks for the second factor, and returns that page.
func EnterPassword(t *testing.T, b *Browser, who Person) *Page {
	t.Helper()
	p := b.Get(t, "/login")
	p = b.Submit(t, p.Form(t, "login"), "email", who.Email, "password", who.Password)
	if p.URL.Path != "/login/factor" || p.Status != http.StatusOK {
		t.Fatalf("%s is not asked for a second step: %d at %s", who.Email, p.Status, p.URL)
	}
	return p
}

// OpenSecondFactor sends an authorization request and returns the page that asks for the second factor.
func OpenSecondFactor(t *testing.T, b *Browser, r *Request) *Page {
	t.Helper()
	p := b.Get(t, r.URL)
	if p.URL.Path != "/login/factor" || p.Status != http.StatusOK {
		t.Fatalf("no second step is asked for: %d at %s, away to %v", p.Status, p.URL, p.Away)
	}
	return p
}

// Portal is the sample client acme-portal-001 with a scope.
func Portal(s *Server, scope string) *RP {
	return s.RP("acme-portal-001", "", "http://localhost:5001/callback", scope)
}

// touched matches columns that every request may write.
var touched = regexp.MustCompile(` (?:last_seen_at|idle_expires_at|updated_at)=[0-9]*`)

// StoredState returns the rows that a request of a browser could change. Of the outbox it lists the ids only, because
// workers send messages meanwhile.
func StoredState(t *testing.T, s *Server) string {
	t.Helper()
	tables := []string{"sessions", "flows", "consents", "grants", "codes", "audit_events", "memberships", "users", "passwords", "recovery_codes", "links", "invitations", "organizations",
		"external_identities"}
	var out []string
	for _, line := range strings.Split(s.Contents(t), "\n") {
		table, row, _ := strings.Cut(line, " ")
		if table == "outbox" {
			id, _, _ := strings.Cut(row, " ")
			out = append(out, table+" "+id)
		}
		if slices.Contains(tables, table) {
			out = append(out, touched.ReplaceAllString(line, ""))
		}
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// Ada is the first administrator in tests of the first run.
var Ada = Person{Email: "ada@example.com", Password: "a quiet river bends north"}

// SetupToken makes a new token for /setup.
func SetupToken(t *testing.T, s *Server) string {
	t.Helper()
	token, _, err := s.App.Identity.Installation.NewSetupToken(t.Context(), identity.Operator())
	if err != nil {
		t.Fatal(err)
	}
	return token
}
