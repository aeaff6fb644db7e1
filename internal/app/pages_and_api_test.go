package app_test

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// door is how somebody reaches what both pages and API do.
type door interface {
	// login returns the status of a sign-in with a password.
	login(t *testing.T, who harness.Person) int
	// code sends a code of an app or, with recovery, a recovery code; ok if it was right.
	code(t *testing.T, code string, recovery bool) (ok bool)
	// signedIn reports whether the session lives and lacks no second factor.
	signedIn(t *testing.T) bool
	changePassword(t *testing.T, from, to string) int
	// browser keeps the cookies.
	browser() *harness.Browser
}

// pages is the door of people.
type pages struct{ *harness.Browser }

func (d pages) browser() *harness.Browser { return d.Browser }

func (d pages) login(t *testing.T, who harness.Person) int {
	return d.Submit(t, d.Get(t, "/login?to=/account").Form(t, "login"), "email", who.Email, "password", who.Password).Status
}

func (d pages) code(t *testing.T, code string, recovery bool) bool {
	p := d.Get(t, "/login/factor")
	if recovery {
		p = d.Get(t, "/login/factor?method=recovery")
	}
	if p.URL.Path != "/login/factor" {
		return false
	}
	p = d.Submit(t, p.Form(t, "factor"), "code", code)
	return p.Status == http.StatusOK && p.URL.Path != "/login"
}

func (d pages) signedIn(t *testing.T) bool {
	return strings.Contains(d.Get(t, "/").Body, `id="account"`)
}

func (d pages) changePassword(t *testing.T, from, to string) int {
	return d.Submit(t, d.Get(t, "/account/password").Form(t, "change-password"), "current_password", from, "password", to).Status
}

// program is the door of programs: by cookie, or with a token.
type program struct {
	*harness.Browser
	issuer       string
	byToken      bool
	token, csrf  string
	lastResponse string
}

func (d *program) browser() *harness.Browser { return d.Browser }

func (d *program) call(t *testing.T, method, path, body string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, d.issuer+"/api/v1"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Origin", d.issuer)
	req.Header.Set("X-CSRF-Token", d.csrf)
	if d.token != "" {
		req.Header.Set("Authorization", "Bearer "+d.token)
	}
	resp, err := d.HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	d.lastResponse = string(answer)
	if found := regexp.MustCompile(`"token":"(sp_st_[^"]+)"`).FindStringSubmatch(d.lastResponse); found != nil {
		d.token = found[1]
	}
	if found := regexp.MustCompile(`"csrf_token":"([^"]+)"`).FindStringSubmatch(d.lastResponse); found != nil {
		d.csrf = found[1]
	}
	return resp.StatusCode
}

func object(t *testing.T, members map[string]any) string {
	t.Helper()
	b, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (d *program) login(t *testing.T, who harness.Person) int {
	d.token = ""
	return d.call(t, http.MethodPost, "/auth/login", object(t, map[string]any{"email": who.Email, "password": who.Password, "token": d.byToken}))
}

func (d *program) code(t *testing.T, code string, recovery bool) bool {
	path := map[bool]string{false: "/auth/totp/verify", true: "/auth/recovery-codes/verify"}[recovery]
	return d.call(t, http.MethodPost, path, object(t, map[string]any{"code": code})) == http.StatusOK
}

func (d *program) signedIn(t *testing.T) bool {
	return d.call(t, http.MethodGet, "/auth/me", "") == http.StatusOK && strings.Contains(d.lastResponse, `"mfa_required":false`)
}

func (d *program) changePassword(t *testing.T, from, to string) int {
	return d.call(t, http.MethodPost, "/users/me/password", object(t, map[string]any{"current_password": from, "new_password": to}))
}

// Pages and API do alike what both do.
func TestPagesAndAPIDoTheSame(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{Clients: harness.Clients, Host: "localhost", Environ: []string{"SALLYPORT_TRUSTED_PROXIES=127.0.0.1/32,::1/128"}})
	for name, open := range map[string]func() door{
		"pages":         func() door { return pages{s.Browser(t)} },
		"API by cookie": func() door { return &program{Browser: s.Browser(t), issuer: s.Issuer} },
		"API by token":  func() door { return &program{Browser: s.Browser(t), issuer: s.Issuer, byToken: true} },
	} {
		prefix := strings.ToLower(strings.ReplaceAll(name, " ", "-"))
		t.Run(name+"/five wrong codes", func(t *testing.T) {
			for kind, recovery := range map[string]bool{"app": false, "recovery": true} {
				testWrongCodesAt(t, s, open(), harness.NewPerson(t, s, prefix+"-"+kind+"@example.com"), recovery)
			}
		})
		t.Run(name+"/password change", func(t *testing.T) {
			testPasswordChangeAt(t, s, open(), harness.NewPerson(t, s, prefix+"-password@example.com"))
		})
	}
	t.Run("pages/step-up", func(t *testing.T) { testWrongCodesAtAStepUp(t, s) })
}

// testWrongCodesAt: five wrong codes end a session that still needs its second factor.
// One that has proven it keeps what it has, and takes no more codes.
func testWrongCodesAt(t *testing.T, s *harness.Server, d door, who harness.Person, recovery bool) {
	phone := s.Phone(t, who)
	right := func() string {
		if recovery {
			code := phone.RecoveryCodes[0]
			phone.RecoveryCodes = phone.RecoveryCodes[1:]
			return code
		}
		s.Clock.Advance(time.Minute)
		return phone.Code(t)
	}
	d.login(t, who)
	before := harness.CookieOf(s, d.browser())
	for range 5 {
		d.code(t, "000000", recovery)
	}
	if d.code(t, right(), recovery) || d.signedIn(t) {
		t.Error("five wrong codes leave a session that needs its second factor")
	}
	if harness.CookieOf(s, d.browser()) != before {
		t.Error("five wrong codes take the browser's token away, and with it a flow that waits")
	}
	s.Clock.Advance(time.Minute)
	d.login(t, who)
	if !d.code(t, right(), recovery) || !d.signedIn(t) {
		t.Fatal("a right code after another sign-in is refused")
	}
	api, ok := d.(*program)
	if !ok {
		return // pages ask for a code only where one is owed
	}
	for range 5 {
		d.code(t, "000000", recovery)
	}
	if !d.signedIn(t) {
		t.Error("five wrong codes at a step-up end the session")
	}
	if d.code(t, right(), recovery) || !strings.Contains(api.lastResponse, "too many wrong codes") {
		t.Errorf("the challenge takes another code: %s", api.lastResponse)
	}
}

// testWrongCodesAtAStepUp: the same for a page that asks somebody for a code who came by passkey.
func testWrongCodesAtAStepUp(t *testing.T, s *harness.Server) {
	who := harness.NewPerson(t, s, "step-up@example.com")
	phone, key := s.Phone(t, who), s.SecurityKey(t, who)
	harness.RequireFactor(t, s, "", storage.RequireTOTP, 0)
	defer harness.RequireFactor(t, s, "", "", 0)
	rp := harness.Quiet(s, "openid")
	for name, extra := range map[string]string{"with an app": rp.Authorize(nil).URL, "without": "/login?to=/account"} {
		s.Clock.Advance(2 * time.Minute)
		b := s.Browser(t)
		p := harness.SignInByPasskey(t, b, &harness.Request{URL: extra}, key)
		token := harness.CookieOf(s, b)
		for n := range 5 {
			if p.URL.Path != "/login/factor" {
				t.Fatalf("%s: wrong code %d: at %s with %d", name, n+1, p.URL, p.Status)
			}
			p = b.Submit(t, p.Form(t, "factor"), "code", "000000")
		}
		harness.MustShow(t, p, http.StatusOK, "too many wrong codes")
		if p.URL.Path != "/login" || harness.CookieOf(s, b) != token {
			t.Errorf("%s: the fifth wrong code leads to %s", name, p.URL)
		}
		if p := b.Get(t, "/account"); p.URL.Path != "/login/factor" {
			t.Errorf("%s: the session has lost what it had proven: %s", name, p.URL)
		}
		p = b.Submit(t, p.Form(t, "login"), "email", who.Email, "password", who.Password)
		p = b.Submit(t, p.Form(t, "factor"), "code", phone.Code(t))
		if p.Away == nil && p.Status != http.StatusOK || p.URL.Path == "/login/factor" {
			t.Errorf("%s: a right code after another sign-in: %d at %s", name, p.Status, p.URL)
		}
	}
}

// testPasswordChangeAt: whoever changes the password has shown that they know it, so their
// earlier failures are forgotten, and what strangers fail at does not lock this device out.
func testPasswordChangeAt(t *testing.T, s *harness.Server, d door, who harness.Person) {
	d.login(t, who)
	for range 9 {
		if status := d.changePassword(t, "wrong", "another correct horse"); status != http.StatusUnprocessableEntity && status != http.StatusBadRequest {
			t.Fatalf("a wrong password: %d", status)
		}
	}
	if status := d.changePassword(t, who.Password, "another correct horse"); status != http.StatusOK {
		t.Fatalf("the right one: %d", status)
	}
	for range 9 {
		if status := d.changePassword(t, "wrong", "a third correct horse"); status != http.StatusUnprocessableEntity && status != http.StatusBadRequest {
			t.Fatalf("failures before the change still count: %d", status)
		}
	}
	who.Password = "another correct horse"
	stranger := pages{harness.BrowserAt(t, s, "203.0.113.77")}
	for range 12 {
		stranger.login(t, harness.Person{Email: who.Email, Password: "guess"})
	}
	if status := d.login(t, who); status != http.StatusOK {
		t.Errorf("strangers lock the device out on which the password was changed: %d", status)
	}
}
