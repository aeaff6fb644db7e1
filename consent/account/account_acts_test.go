package account_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

func TestThePagesOfAnAccount(t *testing.T) {
	harness.EachEngine(t, withAccounts, func(t *testing.T, s *harness.Server) {
		t.Run("overview", func(t *testing.T) { testTheOverview(t, s) })
		t.Run("profile", func(t *testing.T) { testTheProfile(t, s) })
		t.Run("unproven", func(t *testing.T) { testAnUnprovenAccount(t, s) })
		t.Run("password", func(t *testing.T) { testChangingThePassword(t, s) })
		t.Run("first password", func(t *testing.T) { testSettingAFirstPassword(t, s) })
		t.Run("guessing", func(t *testing.T) { testGuessingTheCurrentPassword(t, s) })
		t.Run("app", func(t *testing.T) { testAnAuthenticatorApp(t, s) })
		t.Run("passkey", func(t *testing.T) { testAPasskey(t, s) })
		t.Run("codes", func(t *testing.T) { testRecoveryCodes(t, s) })
		t.Run("required", func(t *testing.T) { testARequiredSecondStepStays(t, s) })
		t.Run("deadline", func(t *testing.T) { testADeadlineAhead(t, s) })
		t.Run("organizations", func(t *testing.T) { testOrganizationsAreListed(t, s) })
		t.Run("others", func(t *testing.T) { testWhatIsOfOthersIsNotFound(t, s) })
		t.Run("export", func(t *testing.T) { testTheDownload(t, s) })
		t.Run("deletion", func(t *testing.T) { testDeletingAnAccount(t, s) })
		t.Run("blocked", func(t *testing.T) { testADeletionThatIsBlocked(t, s) })
	})
}

func testTheOverview(t *testing.T, s *harness.Server) {
	b := s.Browser(t)
	harness.SignIn(t, b, harness.Alice)
	p := b.Get(t, "/account")
	harness.MustShow(t, p, http.StatusOK, harness.Alice.Email, "Acme Corp and 1 more", "Signed in only here", ">Set<", ">Off<", "None")
	if out := b.Submit(t, p.Form(t, "")); out.URL.Path != "/" || strings.Contains(out.Body, harness.Alice.Email) {
		t.Errorf("the button signs out: %d at %s", out.Status, out.URL)
	}
}

func testTheProfile(t *testing.T, s *harness.Server) {
	b, who := s.Browser(t), harness.NewPerson(t, s, "profile@example.com")
	harness.SignIn(t, b, who)
	form := b.Get(t, "/account/profile").Form(t, "profile")
	p := b.Submit(t, form, "name", "Pat Profile", "nickname", "Pat", "phone_number", "+44 20 7946 0000", "locale", "en-GB", "zoneinfo", "Europe/London")
	harness.MustShow(t, p, http.StatusOK, "Your profile is saved.", `value="Pat Profile"`, "Confirmed", "To change it, contact support")
	if got := s.User(t, who).Profile; got.Name != "Pat Profile" || got.Nickname != "Pat" || got.Zoneinfo != "Europe/London" || got.PhoneNumberVerified {
		t.Errorf("saved %+v", got)
	}
	p = b.Submit(t, p.Form(t, "profile"), "name", "Other", "zoneinfo", "Nowhere/At all")
	harness.MustShow(t, p, http.StatusUnprocessableEntity, `id="zoneinfo-error"`, `value="Other"`)
	if got := s.User(t, who).Profile; got.Name != "Pat Profile" {
		t.Errorf("half of a wrong form was saved: %+v", got)
	}
	// What the form does not show cannot be set by it.
	harness.Post(t, b, "/account/profile", "email", "other@example.com", "phone_number_verified", "true", "platform_roles", "superadmin")
	if u := s.User(t, who); len(u.PlatformRoles) > 0 || u.Profile.PhoneNumberVerified {
		t.Errorf("a field that is not shown was taken: %+v", u)
	}
}

// Nothing attaches to an address that is not proven, and the page says how to prove it.
func testAnUnprovenAccount(t *testing.T, s *harness.Server) {
	b, who := s.Browser(t), harness.Person{Email: "unproven@example.com", Password: "correct horse battery staple"}
	b.Submit(t, b.Get(t, "/register").Form(t, "register"), "email", who.Email, "password", who.Password)
	p := b.Get(t, "/account")
	if p.URL.Path != "/account" {
		t.Fatalf("registering does not sign in: %d at %s", p.Status, p.URL)
	}
	harness.MustShow(t, p, http.StatusOK, `id="unproven"`)
	harness.MustShow(t, b.Get(t, "/account/security"), http.StatusOK, "Confirm your email address before you add anything here")
	for path, to := range map[string]string{"/account/security/app": "/account/email", "/account/security/passkey": "/account/security"} {
		if p := b.Get(t, path); p.URL.Path != to {
			t.Errorf("%s leads to %s", path, p.URL)
		}
	}
	csrf := b.Get(t, "/account/profile").Form(t, "profile").Values.Get("csrf")
	if p := b.Post(t, "/account/security/passkey/begin", url.Values{"csrf": {csrf}}); p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Body, "Confirm your email") {
		t.Errorf("begin: %d %s", p.Status, p.Body)
	}
	sent := len(s.Mail(t, who.Email))
	p = b.Submit(t, b.Get(t, "/account/email").Form(t, "resend"))
	harness.MustShow(t, p, http.StatusOK, "Another mail is on its way.")
	mails := s.Mail(t, who.Email)
	if len(mails) != sent+1 {
		t.Fatalf("%d mails, %d before", len(mails), sent)
	}
	for range 10 {
		if p = b.Submit(t, b.Get(t, "/account/email").Form(t, "resend")); p.Status == http.StatusTooManyRequests {
			break
		}
	}
	harness.MustShow(t, p, http.StatusTooManyRequests, "several mails just now")
	link, err := url.Parse(mails[len(mails)-1].Link)
	if err != nil {
		t.Fatal(err)
	}
	p = b.Get(t, link.RequestURI())
	b.Submit(t, p.Form(t, "verify"))
	harness.MustShow(t, b.Get(t, "/account/email"), http.StatusOK, "nothing left to do")
	if p := b.Get(t, "/account/security/app"); p.URL.Path != "/account/security/app" {
		t.Errorf("a proven person cannot add an app: %s", p.URL)
	}
}

// RT-07, SS-08: a new password ends every other session and every grant at once, on
// every node; this session stays.
func testChangingThePassword(t *testing.T, s *harness.Server) {
	who := harness.NewPerson(t, s, "password@example.com")
	b, other, node := s.Browser(t), s.Browser(t), s.Node(t)
	harness.SignIn(t, b, who)
	harness.SignIn(t, other, who)
	tokens := harness.QuietTokens(t, s, other, "openid offline_access")
	mine := harness.QuietTokens(t, s, b, "openid offline_access")
	form := b.Get(t, "/account/password").Form(t, "change-password")
	harness.MustShow(t, b.Submit(t, form, "current_password", who.Password, "password", "password1"), http.StatusUnprocessableEntity, `id="password-error"`, "too easy to guess")
	harness.MustShow(t, b.Submit(t, form, "current_password", "not it at all", "password", "another horse battery"), http.StatusUnprocessableEntity, "This is not your current password.")
	if p := b.Get(t, "/account"); p.URL.Path != "/account" || strings.Contains(subjects(t, s, who), "password") {
		t.Fatal("a refused change has changed something")
	}
	harness.MustShow(t, b.Submit(t, form, "current_password", who.Password, "password", "another horse battery"), http.StatusOK, "Your password is changed.")
	if p := other.Get(t, "/account"); p.URL.Path != "/login" {
		t.Errorf("the other session lives: %s", p.URL)
	}
	rp := harness.Quiet(node, "openid offline_access")
	for name, tk := range map[string]*harness.Tokens{"the other session's": tokens, "this session's": mine} {
		if r := rp.Refresh(t, tk.RefreshToken); r.Error != "invalid_grant" {
			t.Errorf("%s refresh token: %d %s", name, r.Status, r.Error)
		}
		if status, _ := rp.Userinfo(t, tk.AccessToken); status != http.StatusUnauthorized {
			t.Errorf("%s access token: %d", name, status)
		}
	}
	if got := subjects(t, s, who); !strings.Contains(got, "password") {
		t.Errorf("mails: %q", got)
	}
	harness.SignIn(t, s.Browser(t), harness.Person{Email: who.Email, Password: "another horse battery"})
	if p := harness.SubmitLogin(t, s.Browser(t), who); p.URL.Path != "/login" {
		t.Error("the old password still signs in")
	}
}

// A user without a password sets one: a fresh sign-in by passkey is enough.
func testSettingAFirstPassword(t *testing.T, s *harness.Server) {
	if _, err := s.App.Identity.People.Create(t.Context(), identity.Operator(), identity.NewUser{Email: "no-password@example.com"}); err != nil {
		t.Fatal(err)
	}
	without := harness.Person{Email: "no-password@example.com"}
	key := s.SecurityKey(t, without)
	b := s.Browser(t)
	if p := b.Ceremony(t, b.Get(t, "/login").FormWith(t, "credential"), key); p.URL.Path != "/" {
		t.Fatalf("the passkey leads to %d %s", p.Status, p.URL)
	}
	harness.MustShow(t, b.Get(t, "/account"), http.StatusOK, ">None<")
	p := b.Get(t, "/account/password")
	if harness.MustShow(t, p, http.StatusOK, "Set a password"); strings.Contains(p.Body, "current-password") {
		t.Error("a password is asked for that there is not")
	}
	without.Password = "correct horse battery staple"
	b.Submit(t, p.Form(t, "change-password"), "password", without.Password)
	if p := harness.SubmitLogin(t, s.Browser(t), without); p.URL.Path != "/login/factor" {
		t.Errorf("the new password leads to %s", p.URL)
	}
}

// Guessing the current password uses up the same budget as signing in.
func testGuessingTheCurrentPassword(t *testing.T, s *harness.Server) {
	b, who := s.Browser(t), harness.NewPerson(t, s, "guessed@example.com")
	harness.SignIn(t, b, who)
	form := b.Get(t, "/account/password").Form(t, "change-password")
	for i := range 10 {
		harness.MustShow(t, b.Submit(t, form, "current_password", fmt.Sprintf("guess number %d", i), "password", "another horse battery"), http.StatusUnprocessableEntity)
	}
	elsewhere := s.Node(t).Browser(t)
	elsewhere.HTTP.Jar = b.HTTP.Jar
	harness.MustShow(t, elsewhere.Submit(t, form, "current_password", who.Password, "password", "another horse battery"), http.StatusTooManyRequests)
	p := b.Submit(t, form, "current_password", who.Password, "password", "another horse battery")
	if harness.MustShow(t, p, http.StatusTooManyRequests, "too many wrong passwords"); p.Header.Get("Retry-After") == "" {
		t.Error("nobody says when to come back")
	}
	if p := harness.SubmitLogin(t, b, who); p.Status != http.StatusTooManyRequests {
		t.Errorf("signing in after ten guesses: %d at %s", p.Status, p.URL)
	}
}

// Enrolling an app: the key counts after its first code, steps the session up, ends
// the others, and is told of by mail.
func testAnAuthenticatorApp(t *testing.T, s *harness.Server) {
	who := harness.NewPerson(t, s, "app@example.com")
	b, other := s.Browser(t), s.Browser(t)
	harness.SignIn(t, b, who)
	harness.SignIn(t, other, who)
	before := harness.CookieOf(s, b)
	p := b.Get(t, "/account/security/app")
	harness.MustShow(t, p, http.StatusOK, "data:image/png;base64,")
	key := harness.TOTPKey(t, p)
	if again := harness.TOTPKey(t, b.Get(t, "/account/security/app")); again != key {
		t.Error("loading the page again throws the key away that may be in the app")
	}
	wrong := b.Submit(t, p.Form(t, "app"), "code", "000000", "name", "Phone")
	if harness.MustShow(t, wrong, http.StatusUnprocessableEntity, "This code is not right."); strings.Contains(wrong.Body, key) || harness.KeyText.MatchString(wrong.Body) {
		t.Error("the key is shown again")
	}
	done := b.Submit(t, wrong.Form(t, "app"), "code", harness.TOTP(t, key, s.Clock.Now()))
	harness.MustShow(t, done, http.StatusOK, "Your authenticator app is set up", who.Email)
	if codes := harness.RecoveryCodes(t, done); len(codes) != 3 {
		t.Errorf("recovery codes %q", codes)
	}
	if harness.CookieOf(s, b) == before {
		t.Error("the session's token is the one from before")
	}
	if p := other.Get(t, "/account"); p.URL.Path != "/login" {
		t.Errorf("the other session lives: %s", p.URL)
	}
	list := b.Get(t, "/account/security")
	harness.MustShow(t, list, http.StatusOK, "Phone", "Authenticator app", "3 recovery codes left")
	if got := subjects(t, s, who); strings.Count(got, "\n") > 1 || !strings.Contains(strings.ToLower(got), "sign-in method") {
		t.Errorf("mails: %q", got)
	}
	claims := harness.Claims(t, harness.QuietTokens(t, s, b, "openid").IDToken)
	if claims["acr"] != assurance.ACRMFA || !cmp.Equal(claims["amr"], []any{"pwd", "otp", "mfa"}) {
		t.Errorf("stepped up to %v by %v", claims["acr"], claims["amr"])
	}
	path := harness.FactorPath(t, list)
	harness.MustShow(t, b.Submit(t, b.Get(t, path).Form(t, "rename"), "name", ""), http.StatusUnprocessableEntity, `id="name-error"`)
	harness.MustShow(t, b.Submit(t, b.Get(t, path).Form(t, "rename"), "name", "Old phone <b>"), http.StatusOK, "The name is saved.", "Old phone")
	ask := b.Get(t, path+"/remove")
	harness.MustShow(t, ask, http.StatusOK, "Old phone", "your recovery codes stop working")
	harness.MustShow(t, b.Submit(t, ask.Form(t, "confirm")), http.StatusOK, "It is removed.", `id="no-factors"`)
	if got := subjects(t, s, who); strings.Count(got, "\n") < 1 {
		t.Errorf("mails: %q", got)
	}
	harness.SignIn(t, s.Browser(t), who)
}

func testAPasskey(t *testing.T, s *harness.Server) {
	b, who := s.Browser(t), harness.NewPerson(t, s, "passkey@example.com")
	harness.SignIn(t, b, who)
	key := s.Authenticator(t)
	p := b.Get(t, "/account/security/passkey")
	harness.MustShow(t, p, http.StatusOK, `value="Firefox on Linux"`)
	form := p.Form(t, "passkey")
	if p := b.Submit(t, form, "credential", "{}"); p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Body, "Nothing was added") {
		t.Errorf("no credential: %d %s", p.Status, p.Body)
	}
	answer := b.Answer(t, form, key)
	harness.MustShow(t, b.Submit(t, form, "credential", answer, "name", "Laptop"), http.StatusOK, "is set up")
	claims := harness.Claims(t, harness.QuietTokens(t, s, b, "openid").IDToken)
	if claims["acr"] != assurance.ACRPhishingResistant {
		t.Errorf("stepped up to %v by %v", claims["acr"], claims["amr"])
	}
	// The challenge was answered: it counts no more, in this form or a new one.
	p = b.Get(t, "/account/security/passkey")
	harness.MustShow(t, b.Submit(t, p.Form(t, "passkey"), "credential", answer), http.StatusUnprocessableEntity, "Nothing was added")
	harness.MustShow(t, b.Get(t, "/account/security"), http.StatusOK, "Laptop")
	// Adding an app to it does not take away what the passkey has proven.
	app := b.Get(t, "/account/security/app")
	harness.MustShow(t, b.Submit(t, app.Form(t, "app"), "code", harness.TOTP(t, harness.TOTPKey(t, app), s.Clock.Now())), http.StatusOK, "The authenticator app is added.")
	if claims := harness.Claims(t, harness.QuietTokens(t, s, b, "openid").IDToken); claims["acr"] != assurance.ACRPhishingResistant {
		t.Errorf("with an app too: %v", claims["acr"])
	}
	again := s.Browser(t)
	if p := again.Ceremony(t, again.Get(t, "/login").FormWith(t, "credential"), key); p.URL.Path != "/" {
		t.Errorf("the passkey leads to %d %s", p.Status, p.URL)
	}
}

func testRecoveryCodes(t *testing.T, s *harness.Server) {
	b, who := s.Browser(t), harness.NewPerson(t, s, "codes@example.com")
	harness.SignIn(t, b, who)
	if p := b.Get(t, "/account/security/codes"); p.URL.Path != "/account/security" {
		t.Errorf("without a second step: %s", p.URL)
	}
	phone := s.Phone(t, who)
	thief := s.Browser(t)
	harness.SignInWith(t, thief, who, phone)
	harness.SignInWith(t, b, who, phone)
	ask := b.Get(t, "/account/security/codes")
	harness.MustShow(t, ask, http.StatusOK, "stop working", "Every other device")
	p := b.Submit(t, ask.Form(t, "confirm"))
	if at := thief.Get(t, "/account").URL.Path; at != "/login" {
		t.Errorf("another session leads to %s, want it ended", at)
	}
	harness.MustShow(t, p, http.StatusOK, "The codes you had before stopped working")
	codes := harness.RecoveryCodes(t, p)
	if len(codes) != 3 || cmp.Equal(codes, phone.RecoveryCodes) {
		t.Errorf("codes %q", codes)
	}
	if got := subjects(t, s, who); !strings.Contains(strings.ToLower(got), "sign-in method") && !strings.Contains(got, "recovery codes") {
		t.Errorf("mails: %q", got)
	}
	tryCode := func(code string) int {
		b := s.Browser(t)
		harness.SubmitLogin(t, b, who)
		return b.Submit(t, b.Get(t, "/login/factor?method=recovery").FormWith(t, "code"), "code", code).Status
	}
	if got := tryCode(phone.RecoveryCodes[0]); got != http.StatusUnprocessableEntity {
		t.Errorf("an old code is answered with %d", got)
	}
	if got := tryCode(codes[0]); got != http.StatusOK {
		t.Errorf("a new code is answered with %d", got)
	}
	harness.MustShow(t, b.Get(t, "/account/security"), http.StatusOK, "2 recovery codes left")
}

// MF-09: what an organization requires cannot be taken away.
func testARequiredSecondStepStays(t *testing.T, s *harness.Server) {
	b, phone := s.Browser(t), s.Phone(t, harness.Bob)
	harness.SignInWith(t, b, harness.Bob, phone)
	acme, err := s.App.Store.OrganizationBySlug(t.Context(), "acme-corp")
	if err != nil {
		t.Fatal(err)
	}
	harness.RequirePolicy(t, s, acme.ID, storage.MFAPolicy{Require: storage.RequireAny})
	defer harness.RequirePolicy(t, s, acme.ID, storage.MFAPolicy{})
	path := harness.FactorPath(t, b.Get(t, "/account/security"))
	p := b.Submit(t, b.Get(t, path+"/remove").Form(t, "confirm"))
	harness.MustShow(t, p, http.StatusUnprocessableEntity, "is required of you")
	harness.MustShow(t, b.Get(t, "/account/security"), http.StatusOK, "Phone")
}

func testADeadlineAhead(t *testing.T, s *harness.Server) {
	b := s.Browser(t)
	harness.SignIn(t, b, harness.Alice)
	startup, err := s.App.Store.OrganizationBySlug(t.Context(), "tech-startup")
	if err != nil {
		t.Fatal(err)
	}
	harness.RequirePolicy(t, s, startup.ID, storage.MFAPolicy{Require: storage.RequirePasskey, GraceDays: 30, Since: s.Clock.Now().UTC()})
	defer harness.RequirePolicy(t, s, startup.ID, storage.MFAPolicy{})
	day := s.Clock.Now().UTC().AddDate(0, 0, 30).Format("2 January 2006")
	harness.MustShow(t, b.Get(t, "/account"), http.StatusOK, `id="due"`, "Tech Startup", "a passkey or security key", day, `href="/account/security"`)
	harness.MustShow(t, b.Get(t, "/account/security"), http.StatusOK, `id="due"`, day)
}

func testOrganizationsAreListed(t *testing.T, s *harness.Server) {
	b := s.Browser(t)
	harness.SignIn(t, b, harness.Alice)
	harness.MustShow(t, b.Get(t, "/account/organizations"), http.StatusOK, "Acme Corp", "Owner", "Tech Startup", "Admin")
}

// Lists without anything in them say what they are for.
func TestEmptyListsOfAnAccount(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{Environ: []string{"SALLYPORT_PERSONAL_ORG=never"}})
	b := s.Browser(t)
	harness.SignIn(t, b, harness.Admin)
	harness.MustShow(t, b.Get(t, "/account/organizations"), http.StatusOK, `id="no-organizations"`)
	harness.MustShow(t, b.Get(t, "/account/apps"), http.StatusOK, `id="no-apps"`)
	// An issuer that is an address cannot have passkeys: none is offered.
	p := b.Get(t, "/account/security")
	if harness.MustShow(t, p, http.StatusOK, `id="no-factors"`, `id="add-app"`); strings.Contains(p.Body, "add-passkey") {
		t.Error("a passkey is offered where there are none")
	}
	if p := b.Get(t, "/account/security/passkey"); p.URL.Path != "/account/security" {
		t.Errorf("the page for passkeys leads to %s", p.URL)
	}
}

// An id of somebody else's is as good as none.
func testWhatIsOfOthersIsNotFound(t *testing.T, s *harness.Server) {
	owner, thief := harness.NewPerson(t, s, "owner@example.com"), harness.NewPerson(t, s, "thief@example.com")
	phone := s.Phone(t, owner)
	theirs, b := s.Browser(t), s.Browser(t)
	harness.SignInWith(t, theirs, owner, phone)
	harness.QuietTokens(t, s, theirs, "openid")
	harness.SignIn(t, b, thief)
	factor := harness.FactorPath(t, theirs.Get(t, "/account/security"))
	session := "/account/sessions/" + harness.RowText.FindStringSubmatch(theirs.Get(t, "/account/sessions").Body)[1] + "/end"
	before := withoutTouches(s.Contents(t))
	for _, path := range []string{factor, factor + "/remove", session, "/account/security/" + uuid.NewString(), "/account/sessions/" + uuid.NewString() + "/end",
		"/account/security/x", "/account/sessions/X/end", "/account/apps/disconnect?client=quiet", "/account/apps/disconnect?client=x%2F..%2Fy"} {
		if p := b.Get(t, path); p.Status != http.StatusNotFound {
			t.Errorf("GET %s: %d at %s", path, p.Status, p.URL)
		}
		path, _, _ = strings.Cut(path, "?")
		if p := harness.Post(t, b, path, "name", "Mine", "client", "quiet"); p.Status != http.StatusNotFound {
			t.Errorf("POST %s: %d at %s", path, p.Status, p.URL)
		}
	}
	if after := withoutTouches(s.Contents(t)); after != before {
		t.Errorf("something has changed:\n%s", cmp.Diff(before, after))
	}
	if p := theirs.Get(t, "/account"); p.URL.Path != "/account" {
		t.Errorf("the owner is at %s", p.URL)
	}
}

// A person whose organization asks for a second step that they have yet to set up sees
// that on their own page, and nothing else of their account.
func TestThePageOfOrganizationsSaysSinceWhenOneAsksForASecondStep(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		b := s.Browser(t)
		harness.SignIn(t, b, harness.Alice)
		tech, err := s.App.Store.OrganizationBySlug(t.Context(), "tech-startup")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.App.Identity.Policies.SetMFA(t.Context(), identity.Operator(), tech.ID, storage.MFAPolicy{Require: storage.RequirePasskey}); err != nil {
			t.Fatal(err)
		}
		p := b.Get(t, "/account/organizations")
		harness.MustShow(t, p, http.StatusOK, "Acme Corp", "Tech Startup", "Requires two-step verification since "+s.Clock.Now().UTC().Format("2 January 2006"))
		if n := strings.Count(p.Body, "Requires two-step verification"); n != 1 {
			t.Errorf("%d organizations ask, want 1", n)
		}
		for _, path := range []string{"/account", "/account/security", "/account/apps"} {
			if p := b.Get(t, path); p.URL.Path != "/login/factor" {
				t.Errorf("%s leads to %s", path, p.URL)
			}
		}
		s.Phone(t, harness.Alice)
		harness.EnterPassword(t, b, harness.Alice)
		if p := b.Get(t, "/account/organizations"); p.URL.Path != "/login/factor" || strings.Contains(p.Body, "Acme Corp") {
			t.Errorf("a half session is shown %s", p.URL)
		}
	})
}
