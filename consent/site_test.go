package consent_test

import (
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/consent"
	"github.com/sallyport-id/sallyport/consent/login"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/factor"
	"github.com/sallyport-id/sallyport/internal/device"
	"github.com/sallyport-id/sallyport/internal/limit"
	"github.com/sallyport-id/sallyport/internal/mail"
	"github.com/sallyport-id/sallyport/internal/page"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/signin"
	"github.com/sallyport-id/sallyport/internal/tally"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

const issuer = "https://id.example.com"

// site is the pages over a real store, with the least of an authorization
// endpoint: it asks the steps and says "done" where a code would be issued.
type site struct {
	t         *testing.T
	now       time.Time
	store     *storage.Store
	sessions  *session.Manager
	passwords *secret.Passwords
	routes    *web.Router
	client    *storage.Client
	scopes    []string
	asksOrg   bool
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, now: time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC), scopes: []string{"openid", "email"},
		client: &storage.Client{ID: "app", Metadata: storage.Metadata{ClientName: "Acme Portal", TokenEndpointAuthMethod: "client_secret_basic"}}}
	clock := func() time.Time { return s.now }
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	s.store = must(storage.Open(t.Context(), storage.Config{URL: "sqlite://" + filepath.Join(t.TempDir(), "test.db"), Now: clock}))
	t.Cleanup(func() { s.store.Close() })
	if err := s.store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	keys := must(secret.NewKeyring([][]byte{secret.Random(32)}))
	edge := must(web.New(web.Config{Issuer: issuer, Templates: must(templates.New(templates.Brand{})), Logger: log, Now: clock}))
	sealer := must(secret.NewSealer([][]byte{secret.Random(32)}))
	s.sessions = must(session.New(session.Config{Store: s.store, Keys: keys, Sealer: sealer, Secure: true, Lifetime: 24 * time.Hour, Idle: 2 * time.Hour, Protection: session.Strong,
		Devices: device.New(keys, true, clock), Address: web.ClientIP, RequestID: web.RequestID, Now: clock}))
	s.passwords = must(secret.NewPasswords(secret.PasswordConfig{Argon2: secret.Argon2Params{MemoryKiB: 64, Time: 1, Threads: 1}, BcryptCost: 4}))
	limits := must(limit.New(limit.Config{Store: s.store, Keys: keys, Devices: device.New(keys, true, clock), Tally: tally.New(s.store, clock), Logger: log, Now: clock}))
	s.routes = edge.NewRouter()
	letters := mail.NewWriter(sealer, issuer)
	people := identity.New(identity.Config{Store: s.store, Issuer: issuer, Now: clock,
		Passwords: identity.PasswordConfig{Hasher: s.passwords}, Mail: identity.MailConfig{Writer: letters, Sealer: sealer}})
	// Else "/" is the first run.
	must(people.People.Create(t.Context(), identity.Operator(), identity.NewUser{Email: "root@example.com", Superadmin: true}))
	factors := must(factor.New(factor.Config{Store: s.store, Sealer: sealer, Keys: keys, Mail: letters, Identity: people, Issuer: issuer, Name: func() string { return "Sallyport" }, Now: clock}))
	registry := storage.NewRegistry(s.store)
	sequence := must(signin.New(signin.Config{Store: s.store, Registry: registry, Sessions: s.sessions, Limits: limits, Identity: people, Factors: factors,
		Annotate: web.Annotate, Now: clock}))
	pages := &page.Deps{Web: edge, Store: s.store, Registry: registry, Sessions: s.sessions, SignIn: sequence, Identity: people, Factors: factors,
		LoadFlow: s.loadFlow, Issuer: issuer, Now: clock}
	login.New(pages, login.Config{}).Mount(s.routes)
	consent.Pages{Deps: pages}.Mount(s.routes)
	s.routes.Handle("/oauth2/authorize", edge.Handle(s.authorize), http.MethodGet)
	return s
}

// loadFlow is the provider's, without the protocol.
func (s *site) loadFlow(r *http.Request) (*storage.FlowState, error) {
	f, err := s.store.Flow(r.Context(), secret.HashOf(r.URL.Query().Get("flow")))
	if err != nil || f.BrowserHash != s.sessions.Browser(r) || !f.SpentAt.IsZero() {
		return nil, &web.Error{Status: http.StatusBadRequest, Code: "flow_elsewhere", Err: err}
	}
	j := &storage.FlowState{Flow: f, Client: s.client, Scopes: s.scopes, RedirectURI: "https://app.example.com/cb", NeedsOrganization: s.asksOrg, Now: s.now,
		NextStep: "/login", ResumeURL: "/oauth2/authorize?flow=" + r.URL.Query().Get("flow")}
	v, err := s.store.SessionContext(r.Context(), storage.SessionQuery{Browser: f.BrowserHash, ClientID: s.client.ID, OrganizationID: f.OrganizationID})
	if errors.Is(err, storage.ErrNotFound) {
		return j, nil
	} else if err != nil {
		return nil, err
	}
	j.Session, j.Organization, j.Role, j.Consent = v, v.Organization, v.Role, v.Consent
	if s.asksOrg && j.Organization == nil {
		j.Consent = nil
		j.Choices, err = s.store.Choices(r.Context(), v.User.ID, s.client.ID)
	}
	j.NextStep = consent.NextStep(j)
	return j, err
}

func (s *site) authorize(w http.ResponseWriter, r *http.Request) error {
	j, err := s.loadFlow(r)
	if err != nil {
		return err
	}
	if j.NextStep != "" {
		http.Redirect(w, r, j.NextStep+"?flow="+r.URL.Query().Get("flow"), http.StatusSeeOther)
		return nil
	}
	answer := "done"
	if j.Flow.Consent != nil && j.Flow.Consent.Denied {
		answer = "denied"
	}
	_, err = fmt.Fprint(w, answer, " ", j.Session.User.Email, " ", j.OrganizationID())
	return err
}

// person has the password "correct horse".
func (s *site) person(email string, organizations ...uuid.UUID) uuid.UUID {
	s.t.Helper()
	p := &storage.NewUser{User: storage.User{ID: uuid.Must(uuid.NewV7()), Sub: uuid.New(), Email: email, EmailKey: email, CreatedAt: s.now, UpdatedAt: s.now},
		PasswordHash: must(s.passwords.Hash(s.t.Context(), "correct horse")), Roles: map[uuid.UUID]string{}}
	for _, o := range organizations {
		p.Roles[o] = storage.RoleMember
	}
	if err := s.store.CreateUsers(s.t.Context(), p); err != nil {
		s.t.Fatal(err)
	}
	return p.User.ID
}

// browser is somebody's browser at the site.
type browser struct {
	*site
	cookies map[string]string
	header  http.Header
	address string
}

func (s *site) browser() *browser {
	return &browser{site: s, cookies: map[string]string{}, header: http.Header{}, address: "192.0.2.1:1234"}
}

func (b *browser) do(method, path string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, issuer+path, strings.NewReader(form.Encode()))
	r.RemoteAddr = b.address
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, v := range b.header {
		r.Header[name] = v
	}
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	w := httptest.NewRecorder()
	b.routes.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c.Value
		}
	}
	return w
}

// get follows redirects to where they end.
func (b *browser) get(path string) (at string, w *httptest.ResponseRecorder) {
	b.t.Helper()
	for range 10 {
		w = b.do(http.MethodGet, path, nil)
		if w.Code != http.StatusSeeOther {
			return path, w
		}
		path = w.Header().Get("Location")
	}
	b.t.Fatalf("redirected without end, last to %s", path)
	return "", nil
}

var (
	formPattern  = regexp.MustCompile(`(?s)<form[^>]*action="([^"]*)".*?</form>`)
	tokenPattern = regexp.MustCompile(`name="csrf" value="([^"]*)"`)
)

// token is the csrf of the page's form for an action that begins so.
func token(w *httptest.ResponseRecorder, action string) string {
	for _, m := range formPattern.FindAllStringSubmatch(w.Body.String(), -1) {
		if t := tokenPattern.FindStringSubmatch(m[0]); t != nil && strings.HasPrefix(html.UnescapeString(m[1]), action) {
			return t[1]
		}
	}
	return ""
}

// post fills in the form of the page at path and follows where it leads.
func (b *browser) post(path string, fields ...string) (at string, w *httptest.ResponseRecorder) {
	b.t.Helper()
	_, page := b.get(path)
	action, _, _ := strings.Cut(path, "?")
	return b.send(path, append(fields, "csrf", token(page, action))...)
}

func (b *browser) send(path string, fields ...string) (at string, w *httptest.ResponseRecorder) {
	b.t.Helper()
	form := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	if w = b.do(http.MethodPost, path, form); w.Code == http.StatusSeeOther {
		return b.get(w.Header().Get("Location"))
	}
	return path, w
}

func (b *browser) signIn(path, email string) (string, *httptest.ResponseRecorder) {
	b.t.Helper()
	return b.post(path, "email", email, "password", "correct horse")
}

// flow starts one in this browser.
func (b *browser) flow() string {
	b.t.Helper()
	b.get("/login")
	id := secret.NewToken("")
	f := &storage.Flow{IDHash: secret.HashOf(id), ClientID: b.client.ID, BrowserHash: secret.HashOf(b.cookies["__Host-sp_browser"]), RequestedAt: b.now, ExpiresAt: b.now.Add(30 * time.Minute)}
	if err := b.store.CreateFlow(b.t.Context(), f, storage.FlowBudget{Unfinished: 100}); err != nil {
		b.t.Fatal(err)
	}
	return id
}

func (b *browser) signedIn() bool {
	_, w := b.get("/")
	return strings.Contains(w.Body.String(), `id="sign-out"`)
}
