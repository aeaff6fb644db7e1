package consent_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

func TestSigningInAndOutOfThisServer(t *testing.T) {
	s := newSite(t)
	s.person("bob@example.com")
	b := s.browser()
	if b.signedIn() {
		t.Fatal("a stranger is signed in")
	}
	at, w := b.signIn("/login", " BOB@example.com ")
	if at != "/" || !strings.Contains(w.Body.String(), "bob@example.com") || !b.signedIn() {
		t.Fatalf("at %s: %d\n%s", at, w.Code, w.Body)
	}
	_, home := b.get("/")
	if at, _ := b.send("/logout", "csrf", token(home, "/logout")); at != "/" || b.signedIn() {
		t.Errorf("signed out: at %s, still in %v", at, b.signedIn())
	}
	if at, _ := b.send("/logout"); at != "/" {
		t.Errorf("out already: at %s", at)
	}
}

// The whole way: who, for which organization, may it; then nothing is asked again.
func TestAJourney(t *testing.T) {
	s := newSite(t)
	s.asksOrg = true
	var ids []uuid.UUID
	for _, slug := range []string{"acme-corp", "tech-startup"} {
		o := storage.Organization{ID: uuid.Must(uuid.NewV7()), Slug: slug, Name: strings.ToUpper(slug), CreatedAt: s.now, UpdatedAt: s.now}
		if err := s.store.CreateOrganizations(t.Context(), &storage.NewOrganization{Organization: o, Event: &storage.Event{Type: "organization.created"}}); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, o.ID)
	}
	s.person("alice@example.com", ids...)
	b := s.browser()
	flow := "?flow=" + b.flow()
	at, w := b.get("/oauth2/authorize" + flow)
	if at != "/login"+flow || !strings.Contains(w.Body.String(), "Sign in to <bdi>Acme Portal</bdi>") || !strings.Contains(w.Body.String(), "cancel=1") {
		t.Fatalf("first at %s\n%s", at, w.Body)
	}
	if csp := w.Header().Get("Content-Security-Policy"); strings.Contains(csp, "form-action") {
		t.Errorf("the way back to the app is blocked: %s", csp)
	}
	if at, _ = b.signIn("/login"+flow, "alice@example.com"); at != "/org"+flow {
		t.Fatalf("after signing in at %s", at)
	}
	// OR-04: a slug that is not hers is refused, and nothing is chosen.
	if _, w := b.post("/org"+flow, "organization", "evil-corp"); w.Code != http.StatusForbidden {
		t.Errorf("another organization: got %d", w.Code)
	}
	if at, w = b.post("/org"+flow, "organization", "tech-startup"); at != "/consent"+flow || !strings.Contains(w.Body.String(), "TECH-STARTUP") {
		t.Fatalf("after choosing at %s\n%s", at, w.Body)
	}
	// Back: she may pick again.
	if at, w = b.post("/org"+flow, "organization", "acme-corp"); at != "/consent"+flow || !strings.Contains(w.Body.String(), "ACME-CORP") {
		t.Fatalf("after choosing again at %s", at)
	}
	for _, want := range []string{"See your email address", "app.example.com", "alice@example.com", "28 August 2027", `id="remember"`} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("the consent page does not say %q", want)
		}
	}
	at, w = b.post("/consent"+flow, "answer", "allow", "remember", "on")
	if want := "done alice@example.com " + ids[0].String(); w.Body.String() != want {
		t.Fatalf("at %s: got %q, want %q", at, w.Body, want)
	}
	for _, page := range []string{"/login", "/consent"} {
		if at, _ := b.get(page + flow); !strings.HasPrefix(at, "/oauth2/authorize") {
			t.Errorf("%s after it is answered: at %s", page, at)
		}
	}
	again := "?flow=" + b.flow()
	if at, _ = b.get("/oauth2/authorize" + again); at != "/org"+again {
		t.Fatalf("the second time at %s", at)
	}
	if _, w = b.post("/org"+again, "organization", "acme-corp"); !strings.HasPrefix(w.Body.String(), "done") {
		t.Errorf("remembered, but asked again: %s", w.Body)
	}
}

// LG-01: whatever is wrong, the answer is the same.
func TestFailuresTellNothing(t *testing.T) {
	s := newSite(t)
	s.person("bob@example.com")
	disabled := s.person("eve@example.com")
	if _, err := s.store.DisableUser(t.Context(), disabled, &storage.Event{Type: "user.disabled"}); err != nil {
		t.Fatal(err)
	}
	nobody := storage.User{ID: uuid.Must(uuid.NewV7()), Sub: uuid.New(), Email: "sso@example.com", EmailKey: "sso@example.com", CreatedAt: s.now, UpdatedAt: s.now}
	if err := s.store.CreateUsers(t.Context(), &storage.NewUser{User: nobody}); err != nil {
		t.Fatal(err)
	}
	b := s.browser()
	var first string
	for _, tc := range [][2]string{
		{"bob@example.com", "wrong"}, {"eve@example.com", "correct horse"}, {"sso@example.com", "correct horse"}, {"who@example.com", "correct horse"},
		{"not an address", "x"}, {"", ""}, {"bob@example.com", strings.Repeat("x", 300)}, {`"><script>alert(1)</script>`, "x"}, {strings.Repeat("a", 5000) + "@example.com", "x"},
	} {
		_, w := b.post("/login", "email", tc[0], "password", tc[1])
		body := regexp.MustCompile(`(id="email"[^>]*) value="[^"]*"| autofocus`).ReplaceAllString(w.Body.String(), "")
		got := fmt.Sprint(w.Code, w.Header()["Set-Cookie"], w.Header()["Content-Type"], body)
		if first == "" {
			first = got
		}
		if w.Code != http.StatusUnprocessableEntity || got != first {
			t.Errorf("%.30q, %.20q: %d, differs from the first: %v", tc[0], tc[1], w.Code, got != first)
		}
		if tc[1] != "x" && tc[1] != "" && strings.Contains(w.Body.String(), tc[1]) {
			t.Error("the password is on the page")
		}
		if strings.Contains(w.Body.String(), "<script>alert") {
			t.Error("what was typed became markup")
		}
	}
	if b.signedIn() {
		t.Error("signed in after all")
	}
}

// LG-03: the answer to too many is 429 with Retry-After, for accounts that do not exist too.
func TestTooManyFailures(t *testing.T) {
	s := newSite(t)
	s.person("bob@example.com")
	for _, email := range []string{"bob@example.com", "nobody@example.com"} {
		b := s.browser()
		for i := range 11 {
			b.address = fmt.Sprintf("198.51.100.%d:1", i+len(email))
			spelling := []string{email, strings.ToUpper(email), " " + email}[i%3]
			_, w := b.post("/login", "email", spelling, "password", "wrong")
			want := http.StatusUnprocessableEntity
			if i == 10 {
				want = http.StatusTooManyRequests
			}
			if w.Code != want {
				t.Fatalf("%s, attempt %d: got %d, want %d", email, i+1, w.Code, want)
			}
			if i == 10 && (w.Header().Get("Retry-After") != "600" || !strings.Contains(w.Body.String(), "Try again in 10 minutes.")) {
				t.Errorf("Retry-After %q\n%s", w.Header().Get("Retry-After"), w.Body)
			}
		}
		if _, w := b.signIn("/login", email); w.Code != http.StatusTooManyRequests {
			t.Errorf("%s: the right password gets %d: it would be told apart", email, w.Code)
		}
	}
}

// SS-06: a form that this browser was not given for this act does nothing.
func TestForgedForms(t *testing.T) {
	s := newSite(t)
	s.person("bob@example.com")
	mallory := s.browser()
	flowOfMallory := mallory.flow()
	_, page := mallory.get("/login?flow=" + flowOfMallory)
	b := s.browser()
	flow := b.flow()
	_, own := b.get("/login")
	for name, csrf := range map[string]string{
		"none": "", "another browser's": token(page, "/login"), "another act's": token(own, "/login"), "garbage": strings.Repeat("A", 43),
	} {
		if _, w := b.send("/login?flow="+flow, "csrf", csrf, "email", "bob@example.com", "password", "correct horse"); w.Code != http.StatusForbidden || b.signedIn() {
			t.Errorf("%s: got %d", name, w.Code)
		}
	}
	// RU-16: another browser's flow is not this one's to finish.
	if _, w := b.get("/login?flow=" + flowOfMallory); w.Code != http.StatusBadRequest {
		t.Errorf("another browser's flow: got %d", w.Code)
	}
	b.header.Set("Sec-Fetch-Site", "cross-site")
	if _, w := b.post("/login", "email", "bob@example.com", "password", "correct horse"); w.Code != http.StatusForbidden {
		t.Errorf("from another site: got %d", w.Code)
	}
	b.header = http.Header{}
	if at, _ := b.get("/login?email=bob@example.com&password=correct+horse"); at == "/" || b.signedIn() {
		t.Error("a GET signs in")
	}
	b.signIn("/login", "bob@example.com")
	if _, w := b.send("/logout", "csrf", token(own, "/login")); w.Code != http.StatusForbidden || !b.signedIn() {
		t.Errorf("forged sign-out: got %d", w.Code)
	}
}

// CN-01, CN-05: an answer is for what was shown, in one flow, once.
func TestConsentForms(t *testing.T) {
	s := newSite(t)
	s.person("bob@example.com")
	b := s.browser()
	one := "?flow=" + b.flow()
	b.signIn("/login"+one, "bob@example.com")
	two := "?flow=" + b.flow()
	_, page := b.get("/consent" + one)
	csrf := token(page, "/consent")
	if _, w := b.send("/consent"+two, "csrf", csrf, "answer", "allow"); w.Code != http.StatusForbidden {
		t.Errorf("another flow's form: got %d", w.Code)
	}
	s.scopes = append(s.scopes, "phone")
	if _, w := b.send("/consent"+one, "csrf", csrf, "answer", "allow"); w.Code != http.StatusForbidden {
		t.Errorf("more scopes than were shown: got %d", w.Code)
	}
	s.scopes = s.scopes[:2]
	b.header.Set("Sec-Fetch-Site", "cross-site")
	if _, w := b.send("/consent"+one, "csrf", csrf, "answer", "allow"); w.Code != http.StatusForbidden {
		t.Errorf("from another site: got %d", w.Code)
	}
	b.header.Del("Sec-Fetch-Site")
	if _, w := b.send("/consent"+one, "csrf", csrf, "answer", "perhaps"); w.Code != http.StatusBadRequest {
		t.Errorf("no answer: got %d", w.Code)
	}
	if _, w := b.send("/consent"+one, "csrf", csrf, "answer", "deny"); !strings.HasPrefix(w.Body.String(), "denied") {
		t.Errorf("denied: got %s", w.Body)
	}
	if _, w := b.send("/consent"+one, "csrf", csrf, "answer", "allow", "remember", "on"); !strings.HasPrefix(w.Body.String(), "denied") {
		t.Errorf("a second answer counted: got %s", w.Body)
	}
	if at, _ := b.get("/oauth2/authorize" + two); at != "/consent"+two {
		t.Errorf("the other flow: at %s", at)
	}
	if _, w := b.post("/consent"+two, "answer", "allow"); !strings.HasPrefix(w.Body.String(), "done") {
		t.Errorf("allowed: got %s", w.Body)
	}
	three := "?flow=" + b.flow()
	if at, _ := b.get("/oauth2/authorize" + three); at != "/consent"+three {
		t.Errorf("not to be remembered, but not asked: at %s", at)
	}
}

// "Not you?" really switches: the other person's session ends, and consent is theirs.
func TestNotYou(t *testing.T) {
	s := newSite(t)
	s.person("bob@example.com")
	s.person("alice@example.com")
	b := s.browser()
	flow := "?flow=" + b.flow()
	b.signIn("/login"+flow, "bob@example.com")
	bobs := b.cookies["__Host-sp_browser"]
	_, page := b.get("/consent" + flow)
	s.now = s.now.Add(time.Second)
	if _, w := b.send("/login/switch"+flow, "csrf", token(page, "/consent")); w.Code != http.StatusForbidden {
		t.Errorf("with the consent's token: got %d", w.Code)
	}
	at, w := b.send("/login/switch"+flow, "csrf", token(page, "/login/switch"))
	if at != "/login"+flow || strings.Contains(w.Body.String(), "bob@example.com") || !strings.Contains(w.Body.String(), "somebody else") {
		t.Fatalf("at %s\n%s", at, w.Body)
	}
	at, w = b.signIn("/login"+flow, "alice@example.com")
	if at != "/consent"+flow || !strings.Contains(w.Body.String(), "alice@example.com") {
		t.Fatalf("at %s\n%s", at, w.Body)
	}
	old := s.browser()
	old.cookies["__Host-sp_browser"] = bobs
	if old.signedIn() {
		t.Error("the first session goes on")
	}
}

// Two tabs: what the first one answered, the second one finds answered.
func TestTwoTabs(t *testing.T) {
	s := newSite(t)
	s.person("bob@example.com")
	b := s.browser()
	one, two := "?flow="+b.flow(), "?flow="+b.flow()
	_, tab := b.get("/login" + two)
	b.signIn("/login"+one, "bob@example.com")
	if at, w := b.send("/login"+two, "csrf", token(tab, "/login"), "email", "bob@example.com", "password", "correct horse"); at != "/consent"+two {
		t.Errorf("the second tab: at %s, %d", at, w.Code)
	}
	if at, _ := b.get("/login" + two); at != "/consent"+two {
		t.Errorf("reloaded: at %s", at)
	}
}

// LG-09: a hash of another kind is replaced when its owner signs in.
func TestOldHashesAreReplaced(t *testing.T) {
	s := newSite(t)
	bob := s.person("bob@example.com")
	old := must(must(secret.NewPasswords(secret.PasswordConfig{Kind: secret.Bcrypt, BcryptCost: 4})).Hash(t.Context(), "correct horse"))
	if err := s.store.SetPassword(t.Context(), bob, old, uuid.Nil, &storage.Event{Type: "password.changed"}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		b := s.browser()
		if at, _ := b.signIn("/login", "bob@example.com"); at != "/" || !b.signedIn() {
			t.Fatalf("at %s", at)
		}
		c, err := s.store.LoginRecord(t.Context(), "bob@example.com", nil)
		if err != nil || !strings.HasPrefix(c.PasswordHash, "$argon2id$") {
			t.Errorf("hash %.10s, %v", c.PasswordHash, err)
		}
	}
	if err := s.store.SetPassword(t.Context(), bob, "$broken", uuid.Nil, &storage.Event{Type: "password.changed"}); err != nil {
		t.Fatal(err)
	}
	if _, w := s.browser().signIn("/login", "bob@example.com"); w.Code != http.StatusUnprocessableEntity {
		t.Errorf("a broken hash: got %d, want a wrong password", w.Code)
	}
}
