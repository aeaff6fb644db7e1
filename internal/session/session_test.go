package session

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/device"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

var discardLog = slog.New(slog.DiscardHandler)

// site is an installation, and a browser that visits it.
type site struct {
	*Manager
	t       *testing.T
	store   *storage.Store
	now     time.Time
	cookies map[string]string
	agent   string
	address string
}

func newSite(t *testing.T, change func(*Config)) *site {
	t.Helper()
	s := &site{t: t, now: time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC), cookies: map[string]string{}, agent: firefox, address: "192.0.2.1"}
	clock := func() time.Time { return s.now }
	store, err := storage.Open(t.Context(), storage.Config{URL: "sqlite://" + filepath.Join(t.TempDir(), "test.db"), Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.store = store
	keys, err := secret.NewKeyring([][]byte{bytes.Repeat([]byte{1}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := secret.NewSealer([][]byte{bytes.Repeat([]byte{2}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	c := Config{Store: store, Keys: keys, Sealer: sealer, Lifetime: 24 * time.Hour, Idle: 2 * time.Hour, Protection: Strong,
		Devices: device.New(keys, false, clock), Address: func(*http.Request) netip.Addr { return netip.MustParseAddr(s.address) },
		RequestID: func(context.Context) string { return "req" }, Now: clock}
	if change != nil {
		change(&c)
	}
	if s.Manager, err = New(c); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) request() *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("User-Agent", s.agent)
	for name, value := range s.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	return r
}

// take keeps what the response sets, as a browser does.
func (s *site) take(w *httptest.ResponseRecorder) {
	for _, c := range w.Result().Cookies() {
		if c.MaxAge < 0 {
			delete(s.cookies, c.Name)
		} else {
			s.cookies[c.Name] = c.Value
		}
	}
}

func (s *site) person() uuid.UUID {
	s.t.Helper()
	u := storage.User{ID: uuid.Must(uuid.NewV7()), Sub: uuid.New(), CreatedAt: s.now, UpdatedAt: s.now}
	u.Email = u.ID.String() + "@example.com"
	u.EmailKey = u.Email
	if err := s.store.CreateUsers(s.t.Context(), &storage.NewUser{User: u, PasswordHash: "phc"}); err != nil {
		s.t.Fatal(err)
	}
	return u.ID
}

func (s *site) signIn(user uuid.UUID) {
	s.t.Helper()
	w := httptest.NewRecorder()
	if err := s.startIn(w, s.request(), SignIn{User: user, PasswordHash: "phc", ACR: "urn:sallyport:acr:pwd", AMR: []string{"pwd"}}); err != nil {
		s.t.Fatal(err)
	}
	s.take(w)
}

// startIn signs the user in as pages do.
func (s *site) startIn(w http.ResponseWriter, r *http.Request, in SignIn) error {
	token, err := s.Start(r.Context(), s.Source(r), in)
	if err == nil {
		s.SetCookies(w, r, token, "")
	}
	return err
}

// standing is what a request of the browser makes of its session.
func (s *site) standing() Status {
	s.t.Helper()
	c, err := s.Current(s.request())
	if err != nil {
		s.t.Fatal(err)
	}
	if c == nil {
		return Ended
	}
	return c.Status
}

// visit is nil if nobody is signed in.
func (s *site) visit() *storage.SessionContext {
	s.t.Helper()
	v, err := s.store.SessionContext(s.t.Context(), storage.SessionQuery{Browser: s.Browser(s.request())})
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	} else if err != nil {
		s.t.Fatal(err)
	}
	return v
}

// gorilla's zero Options have none of these, and redisstore sends none of them.
func TestTheCookieLine(t *testing.T) {
	for secure, want := range map[bool]string{
		true:  "; Path=/; Expires=…; Max-Age=86400; HttpOnly; Secure; SameSite=Lax",
		false: "; Path=/; Expires=…; Max-Age=86400; HttpOnly; SameSite=Lax",
	} {
		s := newSite(t, func(c *Config) { c.Secure = secure })
		w := httptest.NewRecorder()
		if _, err := s.Ensure(w, s.request()); err != nil {
			t.Fatal(err)
		}
		name := map[bool]string{true: "__Host-sp_browser=", false: "sp_browser="}[secure]
		line, ok := strings.CutPrefix(w.Header().Get("Set-Cookie"), name)
		if !ok || !isToken(line[:tokenChars]) {
			t.Fatalf("got %q", w.Header().Get("Set-Cookie"))
		}
		before, rest, _ := strings.Cut(line[tokenChars:], "Expires=")
		_, after, _ := strings.Cut(rest, ";")
		if got := before + "Expires=…;" + after; got != want {
			t.Errorf("secure %v: got %q, want %q", secure, got, want)
		}
	}
}

// SS-04, SS-05: what is not exactly one token is nobody, and never becomes a token.
func TestForeignCookies(t *testing.T) {
	s := newSite(t, nil)
	good, other := secret.NewToken(""), secret.NewToken("")
	for name, header := range map[string]string{
		"none":            "",
		"empty":           "sp_browser=",
		"short":           "sp_browser=" + good[:42],
		"long":            "sp_browser=" + good + "A",
		"100 kB":          "sp_browser=" + strings.Repeat("A", 100_000),
		"path":            "sp_browser=" + "../../" + good[6:],
		"wrong alphabet":  "sp_browser=" + strings.Repeat("+", 43),
		"stray last bits": "sp_browser=" + good[:42] + "B",
		"quoted":          `sp_browser="` + good + `"`,
		"two":             "sp_browser=" + good + "; sp_browser=" + other,
		"good and bad":    "sp_browser=" + good + "; sp_browser=x",
		"other name":      "__Host-sp_browser=" + good,
		"garbage":         ";=;;sp_browser;=" + good,
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Cookie", header)
		if got := s.Browser(r); !got.IsZero() {
			t.Errorf("%s: taken for a browser", name)
		}
		w := httptest.NewRecorder()
		got, err := s.Ensure(w, r)
		if err != nil || got == secret.HashOf(good) || got.IsZero() || strings.Contains(w.Header().Get("Set-Cookie"), good) {
			t.Errorf("%s: Ensure gave %v, %v", name, got, err)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Cookie", strings.Repeat("a=b; ", 200)+"sp_browser="+good+"; sp_browser="+good)
	if got := s.Browser(r); got != secret.HashOf(good) {
		t.Error("the same cookie twice among 200 others is not taken")
	}
}

func TestEnsureKeepsTheBrowserItHas(t *testing.T) {
	s := newSite(t, nil)
	r, w := s.request(), httptest.NewRecorder()
	first, err := s.Ensure(w, r)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Browser(r); got != first {
		t.Error("the same request does not see its new token")
	}
	s.take(w)
	w = httptest.NewRecorder()
	if again, err := s.Ensure(w, s.request()); err != nil || again != first || len(w.Header()["Set-Cookie"]) != 0 {
		t.Errorf("got %v, %v, %v", again, err, w.Header())
	}
}

// SS-01: neither a planted token nor one that was the browser's own lives through a sign-in.
func TestSignInGivesANewToken(t *testing.T) {
	s := newSite(t, nil)
	planted := secret.NewToken("")
	s.cookies["sp_browser"] = planted
	user := s.person()
	s.signIn(user)
	first := s.cookies["sp_browser"]
	v := s.visit()
	if first == planted || v == nil || v.User.ID != user {
		t.Fatalf("token kept: %v; visit %+v", first == planted, v)
	}
	if v.Session.Browser != "Firefox on Linux" || v.Session.Network4 != "192.0.2.0/24" || v.Session.Network6 != "" {
		t.Errorf("made from %q, %q, %q", v.Session.Browser, v.Session.Network4, v.Session.Network6)
	}
	s.now = s.now.Add(time.Minute)
	s.signIn(user)
	if again := s.visit(); again == nil || again.Session.ID != v.Session.ID || s.cookies["sp_browser"] == first {
		t.Errorf("signing in again: %+v", again)
	}
	s.cookies["sp_browser"] = first
	if s.visit() != nil {
		t.Error("the token before still signs in")
	}
}

func TestARefusedSignInChangesNothing(t *testing.T) {
	s := newSite(t, nil)
	w := httptest.NewRecorder()
	err := s.startIn(w, s.request(), SignIn{User: s.person(), PasswordHash: "another"})
	if !errors.Is(err, storage.ErrConflict) || len(w.Header()["Set-Cookie"]) != 0 {
		t.Errorf("got %v, cookies %v", err, w.Header()["Set-Cookie"])
	}
}

func TestSignOut(t *testing.T) {
	s := newSite(t, nil)
	s.signIn(s.person())
	kept := s.cookies["sp_browser"]
	r, w := s.request(), httptest.NewRecorder()
	if err := s.SignOut(w, r); err != nil {
		t.Fatal(err)
	}
	if !s.Browser(r).IsZero() {
		t.Error("the request still has a browser")
	}
	s.take(w)
	if line := w.Header().Get("Set-Cookie"); len(s.cookies) != 0 || !strings.Contains(line, "Max-Age=0") || !strings.Contains(line, "Path=/") {
		t.Errorf("the cookie stays: %q", line)
	}
	s.cookies["sp_browser"] = kept
	if s.visit() != nil {
		t.Error("the token still signs in")
	}
	if err := s.SignOut(httptest.NewRecorder(), s.request()); err != nil {
		t.Errorf("a second time: %v", err)
	}
}

// One response never sets the cookie twice: browsers do not agree on which wins.
func TestOneCookieAResponse(t *testing.T) {
	s := newSite(t, nil)
	r, w := s.request(), httptest.NewRecorder()
	http.SetCookie(w, &http.Cookie{Name: "other", Value: "1"})
	if _, err := s.Ensure(w, r); err != nil {
		t.Fatal(err)
	}
	if err := s.startIn(w, r, SignIn{User: s.person(), PasswordHash: "phc"}); err != nil {
		t.Fatal(err)
	}
	if lines := w.Header()["Set-Cookie"]; len(lines) != 2 || tokenHash(w.Result().Cookies()[1].Value) != s.Browser(r) {
		t.Errorf("got %q", lines)
	}
}

// SS-06: a form's token is good for one browser and one purpose.
func TestCSRF(t *testing.T) {
	s := newSite(t, nil)
	mine, other := secret.HashOf("a"), secret.HashOf("b")
	token := s.CSRFToken(mine, "consent:1")
	if !s.VerifyCSRF(mine, "consent:1", token) {
		t.Error("its own form is refused")
	}
	none := s.CSRFToken(secret.Hash{}, "consent:1")
	for name, ok := range map[string]bool{
		"another browser": s.VerifyCSRF(other, "consent:1", token),
		"another purpose": s.VerifyCSRF(mine, "consent:2", token),
		"no token":        s.VerifyCSRF(mine, "consent:1", ""),
		"cut":             s.VerifyCSRF(mine, "consent:1", token[:42]),
		"line break":      s.VerifyCSRF(mine, "consent:1", token+"\n"),
		"no browser":      s.VerifyCSRF(secret.Hash{}, "consent:1", none),
	} {
		if ok {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestASessionsRowIsWrittenWhenThatIsDue(t *testing.T) {
	s := newSite(t, nil)
	row := &storage.Session{LastSeenAt: s.now, ExpiresAt: s.now.Add(3 * time.Hour)}
	for _, step := range []struct {
		after time.Duration
		due   bool
	}{{59 * time.Second, false}, {time.Minute, true}, {2 * time.Hour, true}} {
		start := s.now
		s.now = row.LastSeenAt.Add(step.after)
		now, idle, due := s.Touch(t.Context(), row)
		if !now.Equal(s.now) || due != step.due || idle.Sub(now) != 2*time.Hour+time.Minute {
			t.Errorf("after %v: got due %v, idle %v; want %v, and 2h1m", step.after, due, idle.Sub(now), step.due)
		}
		s.now = start
	}
}
