package api_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/harness"
)

func TestOnesOwnAccount(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		c := newCaller(t, s)
		c.signIn(t, harness.Bob, true)
		browser := s.Browser(t)
		tokens := s.Portal().SignIn(t, browser, harness.Bob, nil)

		c.want(t, http.StatusOK, "PATCH", "/users/me", object{"nickname": "Bobby", "phone_number": "+1 555 0100"})
		for _, bad := range []any{object{"email": "eve@example.com"}, object{"platform_roles": []string{"superadmin"}}, object{"sub": "x"}, object{"nickname": 7}} { // AD-04
			c.refused(t, "VALIDATION_ERROR", "PATCH", "/users/me", bad)
		}
		if me := c.want(t, http.StatusOK, "GET", "/users/me", nil); !strings.Contains(me.Body, `"nickname":"Bobby"`) || me.text("email") != harness.Bob.Email {
			t.Errorf("got %s", me.Body)
		}

		grants := c.want(t, http.StatusOK, "GET", "/users/me/grants", nil).list(t)
		if len(grants) != 1 || grants[0]["client_id"] != "acme-portal-001" {
			t.Fatalf("grants: %v", grants)
		}
		id := grants[0]["id"].(string)
		other := newCaller(t, s)
		other.signIn(t, harness.Alice, true)
		other.refused(t, "NOT_FOUND", "DELETE", "/users/me/grants/"+id, nil)
		c.want(t, http.StatusOK, "DELETE", "/users/me/grants/"+id, nil)
		if again := s.Portal().Refresh(t, tokens.RefreshToken); again.Status == http.StatusOK {
			t.Error("the grant lives on")
		}
		if p := browser.Get(t, s.Portal().Authorize(url.Values{"prompt": {"none"}}).URL); p.Away == nil || p.Away.Query().Get("error") != "consent_required" {
			t.Errorf("without asking again it got %v", p.Away)
		}
		s.Portal().SignIn(t, browser, harness.Bob, url.Values{"scope": {"openid"}})
		if n := len(c.want(t, http.StatusOK, "GET", "/users/me/grants", nil).list(t)); n != 1 {
			t.Errorf("%d grants, want the new one", n)
		}
		s.Clock.Advance(3 * time.Hour) // the browser's session has idled out, and with it what is not offline
		d := newCaller(t, s)
		d.signIn(t, harness.Bob, true)
		if n := len(d.want(t, http.StatusOK, "GET", "/users/me/grants", nil).list(t)); n != 0 {
			t.Errorf("%d dead grants are listed", n)
		}
		c = d

		if export := c.want(t, http.StatusOK, "GET", "/users/me/export", nil); !strings.Contains(export.Body, harness.Bob.Email) || strings.Contains(export.Body, "argon2") {
			t.Errorf("the export is %s", export.Body)
		}

		s.Clock.Advance(6 * time.Minute)
		change := object{"current_password": harness.Bob.Password, "new_password": "quite another phrase 4"}
		for _, e := range [][2]string{{"POST", "/users/me/password"}, {"DELETE", "/users/me"}, {"GET", "/users/me/export"}, {"POST", "/users/me/tokens"}, {"POST", "/auth/totp/enroll"}} {
			c.refused(t, "AUTHENTICATION_ERROR", e[0], e[1], object{})
		}
		c.signIn(t, harness.Bob, true)
		c.refused(t, "VALIDATION_ERROR", "POST", "/users/me/password", object{"current_password": "wrong", "new_password": "quite another phrase 4"})
		c.want(t, http.StatusOK, "POST", "/users/me/password", change)
		c.want(t, http.StatusOK, "GET", "/users/me", nil) // this session stays
		other.signIn(t, harness.Alice, true)
		other.refused(t, "CONFLICT", "DELETE", "/users/me", nil)
		c.want(t, http.StatusOK, "DELETE", "/users/me", nil)
		c.refused(t, "AUTHENTICATION_ERROR", "GET", "/users/me", nil)
		c.token = ""
		c.refused(t, "AUTHENTICATION_ERROR", "POST", "/auth/login", object{"email": harness.Bob.Email, "password": "quite another phrase 4"})
	})
}

// A personal access token acts in one organization, within its scopes, and on no credential.
func TestPersonalAccessTokens(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		c := newCaller(t, s)
		c.signIn(t, harness.Alice, true)
		acme := organization(t, c, "acme-corp")
		in := object{"name": "backup", "organization_id": acme, "scopes": []string{"sallyport:read"}}
		for field, value := range (object{"expires_in_days": 91, "scopes": []string{"sallyport:admin"}, "name": ""}) {
			bad := object{"name": "x", "organization_id": acme, "scopes": []string{"sallyport:read"}}
			bad[field] = value
			c.refused(t, "VALIDATION_ERROR", "POST", "/users/me/tokens", bad)
		}
		made := c.want(t, http.StatusCreated, "POST", "/users/me/tokens", in)
		personal := newCaller(t, s)
		personal.token = made.text("token")
		if !strings.HasPrefix(personal.token, identity.TokenPrefix) {
			t.Fatalf("got %s", made.Body)
		}
		if list := c.want(t, http.StatusOK, "GET", "/users/me/tokens", nil); strings.Contains(list.Body, personal.token) || len(list.list(t)) != 1 {
			t.Errorf("the list is %s", list.Body)
		}
		if all := personal.want(t, http.StatusOK, "GET", "/users/me/organizations", nil).list(t); len(all) != 1 || all[0]["slug"] != "acme-corp" {
			t.Errorf("it sees %v", all)
		}
		for _, e := range [][2]string{{"PATCH", "/users/me"}, {"GET", "/users/me/tokens"}, {"POST", "/users/me/tokens"}, {"POST", "/users/me/password"}, {"GET", "/users/me/export"}, {"DELETE", "/users/me"},
			{"GET", "/auth/me"}, {"GET", "/auth/sessions"}, {"POST", "/auth/totp/enroll"}, {"GET", "/organizations/" + acme + "/security-policy"}} {
			personal.refused(t, "AUTHORIZATION_ERROR", e[0], e[1], nil)
		}
		c.want(t, http.StatusOK, "DELETE", "/users/me/tokens/"+made.text("id"), nil)
		personal.refused(t, "AUTHENTICATION_ERROR", "GET", "/users/me", nil)
	})
}

// DO-01, HT-07: what cannot be understood is refused in the envelope, at once.
func TestBadInput(t *testing.T) {
	s := harness.Start(t, "sqlite", harness.Options{})
	c := newCaller(t, s)
	deep := `{"email":` + strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5001)
	for name, body := range map[string]string{
		"nothing": "", "no JSON": "{", "a list": "[]", "a string": `"x"`, "two values": `{"email":"a"} {}`, "rest": `{"email":"a"}x`, "NaN": `{"email":NaN}`,
		"deep": deep, "deep lists": `{"email":` + strings.Repeat("[", 10000), "UTF-8": "{\"email\":\"\xff\"}",
	} {
		if r := c.call(t, "POST", "/auth/login", body); r.Error == nil || r.Error.Type != "BAD_REQUEST" || r.Status != http.StatusBadRequest {
			t.Errorf("%s: got %d %s", name, r.Status, r.Body)
		}
	}
	for name, body := range map[string]string{
		"unknown": `{"email":"a@b.c","password":"x","admin":true}`, "twice": `{"email":"a@b.c","email":"d@e.f","password":"x"}`,
		"twice by case": `{"email":"a@b.c","Email":"d@e.f","password":"x"}`, "an array": `{"email":["a@b.c","d@e.f"],"password":"x"}`, "a number": `{"email":1,"password":"x"}`,
	} {
		c.refused(t, "VALIDATION_ERROR", "POST", "/auth/login", body)
		_ = name
	}
	for _, email := range []string{"a@x,b@y", "a@x\r\nBcc: b@y", "<a@x>", "a@x@y", "", strings.Repeat("a", 300) + "@x.y"} { // RS-02
		s.Clock.Advance(time.Minute) // five recoveries a minute
		c.refused(t, "VALIDATION_ERROR", "POST", "/auth/forgot-password", object{"email": email})
	}
	if r := c.call(t, "POST", "/auth/login", `{"email":"`+strings.Repeat("a", 1<<20)+`"}`); r.Error.Type != "PAYLOAD_TOO_LARGE" {
		t.Errorf("1 MiB: got %d", r.Status)
	}
	c.headers["Content-Type"] = "text/plain"
	if r := c.call(t, "POST", "/auth/login", `{"email":"a@b.c","password":"x"}`); r.Status != http.StatusUnsupportedMediaType {
		t.Errorf("text/plain: got %d", r.Status)
	}
	delete(c.headers, "Content-Type")
	if r := c.call(t, "PUT", "/auth/login", nil); r.Status != http.StatusMethodNotAllowed || r.Header.Get("Allow") == "" {
		t.Errorf("PUT: got %d, Allow %q", r.Status, r.Header.Get("Allow"))
	}
	c.refused(t, "NOT_FOUND", "GET", "/no/such/thing", nil)
	for _, token := range []string{"x", "sp_st_short", "sp_pat_x", "sp_st_" + strings.Repeat("A", 43), strings.Repeat("a", 5000), "../../x"} { // SS-04
		c.token = token
		c.refused(t, "AUTHENTICATION_ERROR", "GET", "/auth/me", nil)
	}
}

// CORS_ORIGINS may call with tokens from a browser, nobody else, and never with cookies.
func TestOriginsOfBrowsers(t *testing.T) {
	s := harness.Start(t, "sqlite", harness.Options{Environ: []string{"SALLYPORT_CORS_ORIGINS=https://console.example.com"}})
	for origin, allowed := range map[string]bool{"https://console.example.com": true, "https://evil.example": false} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, s.Issuer+"/api/v1/auth/login", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Origin", origin)
		req.Header.Set("Access-Control-Request-Method", http.MethodPost)
		req.Header.Set("Access-Control-Request-Headers", "content-type")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := resp.Header.Get("Access-Control-Allow-Origin") == origin; got != allowed || resp.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: preflight %v", origin, resp.Header)
		}
		c := newCaller(t, s)
		c.headers["Origin"], c.headers["Sec-Fetch-Site"] = origin, "cross-site"
		r := c.call(t, "POST", "/auth/login", object{"email": harness.Bob.Email, "password": harness.Bob.Password, "token": true})
		if (r.Status == http.StatusOK) != allowed || (r.Header.Get("Access-Control-Allow-Origin") == origin) != allowed {
			t.Errorf("%s: login answers %d, %v", origin, r.Status, r.Header)
		}
	}
}

// An unknown path is answered like the others: in the envelope, and to pages of
// CORS_ORIGINS too.
func TestWhatIsNotThereIsInTheEnvelope(t *testing.T) {
	const console = "https://console.example.com"
	s := harness.Start(t, "sqlite", harness.Options{Environ: []string{"SALLYPORT_CORS_ORIGINS=" + console}})
	for _, origin := range []string{console, "https://evil.example"} {
		c := newCaller(t, s)
		c.headers["Origin"] = origin
		for path, status := range map[string]int{"": http.StatusNotFound, "/no/such/thing": http.StatusNotFound, "/auth/login": http.StatusMethodNotAllowed} {
			r := c.want(t, status, "PUT", path, nil)
			if allowed := r.Header.Get("Access-Control-Allow-Origin") == origin; allowed != (origin == console) || r.Header.Get("Vary") != "Origin" {
				t.Errorf("PUT %s from %s: %v", path, origin, r.Header)
			}
		}
	}
	resp, err := s.Browser(t).HTTP.Get(s.Issuer + "/apix")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound || resp.Header.Get("Vary") != "" {
		t.Errorf("a neighbour of the API: %d, %v", resp.StatusCode, resp.Header)
	}
}

// A person sees an organization whose policy they do not meet, and since when it asks
// for more, though applications learn nothing of it and nothing else is possible.
func TestAPersonSeesSinceWhenAnOrganizationAsksForASecondStep(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		c := newCaller(t, s)
		c.signIn(t, harness.Alice, true)
		const path, since = "/users/me/organizations", "two_step_verification_overdue_since"
		overdue := func() (slugs []string) {
			t.Helper()
			for _, o := range c.want(t, http.StatusOK, "GET", path, nil).list(t) {
				if o[since] != nil {
					slugs = append(slugs, o["slug"].(string))
				}
			}
			return slugs
		}
		acme := "/organizations/" + organization(t, c, "acme-corp") + "/security-policy"
		if got := overdue(); got != nil {
			t.Errorf("without a policy: %v", got)
		}
		c.want(t, http.StatusOK, "PUT", acme, object{"mfa": object{"require": "totp", "grace_days": 1}})
		if got := overdue(); got != nil {
			t.Errorf("within the grace: %v", got)
		}
		s.Clock.Advance(25 * time.Hour)
		c.signIn(t, harness.Alice, true)
		if got := overdue(); !slices.Equal(got, []string{"acme-corp"}) {
			t.Errorf("after it: %v", got)
		}
		c.refused(t, "COMPLIANCE_REQUIRED", "GET", "/users/me/grants", nil)
		c.refused(t, "COMPLIANCE_REQUIRED", "GET", acme, nil)
		c.enrolTOTP(t)
		if got := overdue(); got != nil {
			t.Errorf("enrolled: %v", got)
		}
		half := newCaller(t, s)
		half.signIn(t, harness.Alice, true)
		half.refused(t, "MFA_REQUIRED", "GET", path, nil)
	})
}
