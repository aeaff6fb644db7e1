package app_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// What signing in promises beside a password that is compared.
func TestSigningIn(t *testing.T) {
	harness.EachEngine(t, harness.Options{Clients: harness.Clients, Host: "localhost"}, func(t *testing.T, s *harness.Server) {
		t.Run("where to", func(t *testing.T) { testWhereSigningInLeads(t, s) })
		t.Run("new devices", func(t *testing.T) { testNewDevicesAreAnnounced(t, s) })
		t.Run("newcomers", func(t *testing.T) { testNewcomersAreWelcome(t, s) })
		t.Run("passkey", func(t *testing.T) { testSigningInWithAPasskey(t, s) })
		t.Run("bad passkeys", func(t *testing.T) { testPasskeysThatSignNobodyIn(t, s) })
		t.Run("fixation", func(t *testing.T) { testEveryWayInGivesANewToken(t, s) })
	})
}

// A mail tells of a new device also whoever has not signed in for so long that all
// their sessions are swept: of a dormant account nobody else will notice.
func TestADormantAccountIsToldOfANewDevice(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		harness.SignIn(t, s.Browser(t), harness.Bob)
		s.Clock.Advance(40 * 24 * time.Hour)
		gone := map[string]int64{}
		sweeper := storage.Sweeper{Store: s.App.Store, Pace: storage.Pace{Rest: storage.Hurry}, Swept: func(table string, n int64) { gone[table] += n }}
		if err := sweeper.Run(t.Context()); err != nil || gone["sessions"] != 1 {
			t.Fatalf("swept %v, %v, want the session", gone, err)
		}
		harness.SignIn(t, s.Browser(t), harness.Bob)
		if all := s.Mail(t, harness.Bob.Email); len(all) != 1 || !strings.Contains(all[0].Subject, "sign-in") {
			t.Errorf("got %+v, want the one about a new device", all)
		}
	})
}

// RU-15: after a sign-in without a flow a browser goes to pages of ours alone.
func testWhereSigningInLeads(t *testing.T, s *harness.Server) {
	token := strings.Repeat("A", 43)
	for to, want := range map[string]string{
		"/account": "/account", "/account/security": "/account/security", "/invite?token=" + token: "/invite?token=" + token,
		"": "/", "//evil.example": "/", "/\\evil.example": "/", "https:evil.example": "/", "/account?next=//evil.example": "/", "javascript:alert(1)": "/",
		"/oauth2/authorize?client_id=quiet": "/", "/account\r\nLocation: https://evil.example": "/",
	} {
		b := s.Browser(t)
		page := b.Get(t, "/login?to="+url.QueryEscape(to))
		for _, f := range page.Forms {
			if f.Action.Host != page.URL.Host || strings.Contains(f.Action.String(), "evil") {
				t.Errorf("%q: a form of the page posts to %s", to, f.Action)
			}
		}
		got := landing(t, b, page.Form(t, "login"), "email", harness.Bob.Email, "password", harness.Bob.Password)
		if got != want {
			t.Errorf("%q leads to %q, want %q", to, got, want)
		}
	}
	for i, step := range [][2]string{{"/account/security", "/account/security"}, {"", "/account"}, {"//evil.example", "/account"}, {"/account?next=//evil.example", "/account"}} {
		b := s.Browser(t)
		form := b.Get(t, "/register?to="+url.QueryEscape(step[0])).Form(t, "register")
		if got := landing(t, b, form, "email", fmt.Sprintf("to%d@example.com", i), "password", newPassword); got != step[1] {
			t.Errorf("registering, %q leads to %q, want %q", step[0], got, step[1])
		}
	}
	if p := s.Browser(t).Get(t, "/login?to="+url.QueryEscape("/invite?token="+token)); href(t, p, "register") != "/invite?token="+token {
		t.Errorf("who comes from an invitation registers at %s", href(t, p, "register"))
	}
}

// landing is what a form's answer redirects to.
func landing(t *testing.T, b *harness.Browser, f *harness.Form, set ...string) string {
	t.Helper()
	values := url.Values{}
	for name, v := range f.Values {
		values[name] = v
	}
	for i := 0; i+1 < len(set); i += 2 {
		values.Set(set[i], set[i+1])
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.Action.String(), strings.NewReader(values.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := b.HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusSeeOther {
		t.Errorf("POST %s answers %d", f.Action, resp.StatusCode)
	}
	return resp.Header.Get("Location")
}

// A mail tells of a new device, and of no other: not of a person's first session,
// not of a browser that was used before.
func testNewDevicesAreAnnounced(t *testing.T, s *harness.Server) {
	who := newcomer(t, s, "devices@example.com")
	first := s.Browser(t)
	for i, step := range []struct {
		what string
		b    *harness.Browser
		want int
	}{{"the first session", first, 0}, {"the same browser", first, 0}, {"another browser", s.Browser(t), 1}, {"the first browser again", first, 1}} {
		harness.SignIn(t, step.b, who)
		step.b.Submit(t, step.b.Get(t, "/").FormWith(t, "csrf"))
		if got := len(s.Mail(t, who.Email)); got != step.want {
			t.Errorf("%d, %s: %d mails, want %d", i, step.what, got, step.want)
		}
	}
	mail := s.LastMail(t, who.Email)
	if !strings.Contains(mail.Text, "Firefox on Linux") || !strings.Contains(mail.Text, "127.0.0.0/24") || mail.Link != s.Issuer+"/account" {
		t.Errorf("the mail says:\n%s", mail.Text)
	}
	// With a second step the password alone is no sign-in, and tells nobody.
	phone := s.Phone(t, who)
	before := len(s.Mail(t, who.Email))
	b := s.Browser(t)
	step := b.Submit(t, b.Get(t, "/login").Form(t, "login"), "email", who.Email, "password", who.Password)
	if got := len(s.Mail(t, who.Email)); got != before {
		t.Errorf("half a session: %d mails", got-before)
	}
	b.Submit(t, step.FormWith(t, "code"), "code", phone.Code(t))
	if got := len(s.Mail(t, who.Email)); got != before+1 {
		t.Errorf("the whole session: %d mails, want one", got-before)
	}
	// The browser in which somebody made their account is known from then on.
	joined, member := s.Browser(t), harness.Person{Email: "joined@example.com", Password: newPassword}
	joined.Submit(t, joined.Get(t, invite(t, s, member.Email, storage.RoleMember)).Form(t, "register"), "password", member.Password)
	before = len(s.Mail(t, member.Email))
	joined.Submit(t, joined.Get(t, "/").FormWith(t, "csrf"))
	harness.SignIn(t, joined, member)
	if got := len(s.Mail(t, member.Email)); got != before {
		t.Errorf("the browser that registered: %d mails: %q", got-before, s.LastMail(t, member.Email).Subject)
	}
	// Where the address is not proven, the mailbox may be somebody else's.
	unproven := harness.Person{Email: "unproven@example.com", Password: newPassword}
	b = s.Browser(t)
	register(t, b, b.Get(t, "/register"), unproven)
	before = len(s.Mail(t, unproven.Email))
	harness.SignIn(t, s.Browser(t), unproven)
	if got := len(s.Mail(t, unproven.Email)); got != before {
		t.Errorf("an address that is not proven got %d mails", got-before)
	}
}

// newcomer is a person whose address is proven, and who has never signed in.
func newcomer(t *testing.T, s *harness.Server, email string) harness.Person {
	t.Helper()
	who := harness.Person{Email: email, Password: newPassword}
	if _, err := s.App.Identity.People.Create(t.Context(), identity.Operator(), identity.NewUser{Email: who.Email, Password: who.Password}); err != nil {
		t.Fatal(err)
	}
	return who
}

// PERSONAL_ORG=uninvited: an organization of their own at the first sign-in, once.
func testNewcomersAreWelcome(t *testing.T, s *harness.Server) {
	who := newcomer(t, s, "welcome@example.com")
	memberships := func() int {
		t.Helper()
		all, err := s.App.Store.Memberships(t.Context(), s.User(t, who).ID, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	if memberships() != 0 {
		t.Fatal("there is an organization before the first sign-in")
	}
	for range 2 {
		harness.SignIn(t, s.Browser(t), who)
		if got := memberships(); got != 1 {
			t.Errorf("%d organizations, want one", got)
		}
	}
	if s.User(t, who).FirstSignInAt.IsZero() {
		t.Error("the first sign-in is not noted")
	}
}

// A passkey needs no address and no password, and is as much as can be asked for.
func testSigningInWithAPasskey(t *testing.T, s *harness.Server) {
	who := newcomer(t, s, "passkey@example.com")
	key := s.SecurityKey(t, who)
	b := s.Browser(t)
	r := harness.Quiet(s, "openid").Authorize(url.Values{"acr_values": {"phr"}})
	page := b.Get(t, r.URL)
	done := b.Ceremony(t, page.FormWith(t, "credential"), key)
	if done.Away == nil || done.Away.Query().Get("code") == "" {
		t.Fatalf("the passkey ends at %d %s:\n%s", done.Status, done.URL, done.Body)
	}
	claims := harness.Claims(t, harness.Quiet(s, "").Redeem(t, done.Away.Query().Get("code"), r).IDToken)
	if amr, _ := claims["amr"].([]any); claims["acr"] != "phr" || claims["sub"] != s.User(t, who).Sub.String() || !slices.Contains(amr, any("mfa")) {
		t.Errorf("the ID token says %v", claims)
	}
	b = s.Browser(t)
	if p := b.Ceremony(t, b.Get(t, "/login?to=%2Faccount").FormWith(t, "credential"), key); p.URL.Path != "/account" {
		t.Errorf("without a flow it leads to %d %s", p.Status, p.URL)
	}
	if !strings.Contains(s.LastMail(t, who.Email).Subject, "device") && !strings.Contains(s.LastMail(t, who.Email).Text, "device") {
		t.Errorf("a passkey on a new device is announced by %q", s.LastMail(t, who.Email).Subject)
	}
	before := len(s.Mail(t, who.Email))
	b.Submit(t, b.Get(t, "/").FormWith(t, "csrf"))
	b.Ceremony(t, b.Get(t, "/login").FormWith(t, "credential"), key)
	if got := len(s.Mail(t, who.Email)); got != before {
		t.Errorf("on a known device: %d mails", got-before)
	}
}

// One answer for whatever is wrong with a passkey.
func testPasskeysThatSignNobodyIn(t *testing.T, s *harness.Server) {
	who := newcomer(t, s, "badkeys@example.com")
	key := s.SecurityKey(t, who)
	disabled := newcomer(t, s, "gone@example.com")
	goneKey := s.SecurityKey(t, disabled)
	if _, err := s.App.Identity.People.Disable(t.Context(), identity.Operator(), s.User(t, disabled).ID); err != nil {
		t.Fatal(err)
	}
	elsewhere := s.Browser(t)
	theirs := elsewhere.Answer(t, elsewhere.Get(t, "/login").FormWith(t, "credential"), key)

	answers := map[string]func(b *harness.Browser, f *harness.Form) string{
		"nothing":               func(*harness.Browser, *harness.Form) string { return "" },
		"no JSON":               func(*harness.Browser, *harness.Form) string { return "{" },
		"null":                  func(*harness.Browser, *harness.Form) string { return "null" },
		"another browser's":     func(*harness.Browser, *harness.Form) string { return theirs },
		"a key that nobody has": func(b *harness.Browser, f *harness.Form) string { return b.Answer(t, f, s.Authenticator(t)) },
		"a disabled person's":   func(b *harness.Browser, f *harness.Form) string { return b.Answer(t, f, goneKey) },
		"late": func(b *harness.Browser, f *harness.Form) string {
			a := b.Answer(t, f, key)
			s.Clock.Advance(6 * time.Minute)
			return a
		},
		"without user verification": func(b *harness.Browser, f *harness.Form) string {
			k := *key
			k.Options.UserNotVerified = true
			return b.Answer(t, f, &k)
		},
		"from another site's origin": func(b *harness.Browser, f *harness.Form) string {
			k := *key
			k.Origin = "https://evil.example"
			return b.Answer(t, f, &k)
		},
		"for another relying party": func(b *harness.Browser, f *harness.Form) string {
			k := *key
			k.RPID = "evil.example"
			return b.Answer(t, f, &k)
		},
	}
	looks := map[string]string{}
	for name, answer := range answers {
		b := s.Browser(t)
		form := b.Get(t, "/login").FormWith(t, "credential")
		p := b.Submit(t, form, "credential", answer(b, form))
		says(t, name, p, http.StatusUnprocessableEntity, "This passkey did not work here", `id="login-submit"`)
		looks[name] = look(p, "")
		if strings.Contains(b.Get(t, "/").Body, "@example.com") {
			t.Errorf("%s signs in", name)
		}
	}
	alike(t, "passkeys", looks)
	// What signed in once does so once: the browser's token is another now, and the answer is used.
	used := s.Browser(t)
	usedForm := used.Get(t, "/login").FormWith(t, "credential")
	usedAnswer := used.Answer(t, usedForm, key)
	if p := used.Submit(t, usedForm, "credential", usedAnswer); p.URL.Path != "/" {
		t.Fatalf("the passkey leads to %d %s", p.Status, p.URL)
	}
	says(t, "the form once more", used.Submit(t, usedForm, "credential", usedAnswer), http.StatusForbidden, `data-error="csrf"`)
	fresh := used.Get(t, "/login").FormWith(t, "credential")
	says(t, "the answer once more", used.Submit(t, fresh, "credential", usedAnswer), http.StatusUnprocessableEntity, "This passkey did not work here")
}

// SS-01: whichever way somebody comes in, a token from before is worth nothing.
func testEveryWayInGivesANewToken(t *testing.T, s *harness.Server) {
	key := s.SecurityKey(t, newcomer(t, s, "fixed@example.com"))
	for name, enter := range map[string]func(b *harness.Browser){
		"a passkey": func(b *harness.Browser) { b.Ceremony(t, b.Get(t, "/login").FormWith(t, "credential"), key) },
		"registering": func(b *harness.Browser) {
			register(t, b, b.Get(t, "/register"), harness.Person{Email: "fixed2@example.com", Password: newPassword})
		},
		"by invitation": func(b *harness.Browser) {
			link := invite(t, s, "fixed3@example.com", storage.RoleMember)
			b.Submit(t, b.Get(t, link).Form(t, "register"), "password", newPassword)
		},
	} {
		b := s.Browser(t)
		b.Get(t, "/login")
		before := harness.CookieOf(s, b)
		enter(b)
		if after := harness.CookieOf(s, b); before == "" || after == before || !strings.Contains(b.Get(t, "/").Body, "fixed") {
			t.Errorf("%s: the token was %q and is %q", name, before, after)
		}
	}
}
