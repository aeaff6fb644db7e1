package api_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/internal/harness"
)

// A single-page application signs somebody in, proves a second step, and ends it.
func TestASessionTokenFromPasswordToLogout(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		c := newCaller(t, s)
		c.refused(t, "AUTHENTICATION_ERROR", "GET", "/auth/me", nil)
		r := c.signIn(t, harness.Bob, true)
		if !strings.HasPrefix(c.token, "sp_st_") || r.get("mfa_required") != false || len(r.Header.Values("Set-Cookie")) > 1 {
			t.Fatalf("login answers %s, cookies %v", r.Body, r.Header.Values("Set-Cookie"))
		}
		for _, line := range r.Header.Values("Set-Cookie") {
			if strings.Contains(line, "sp_browser") {
				t.Error("a session token came with a session cookie")
			}
		}
		secret, recovery := c.enrolTOTP(t)
		if len(recovery) != 3 {
			t.Errorf("recovery codes: %v", recovery)
		}
		me := c.want(t, http.StatusOK, "GET", "/auth/me", nil)
		if me.text("acr") != assurance.ACRMFA || cmp.Diff([]any{"pwd", "otp", "mfa"}, me.get("amr")) != "" {
			t.Errorf("after enrolling: %s", me.Body)
		}

		// MF-04: a session that has only shown the password carries no rights.
		nextStep(s)
		half := newCaller(t, s)
		r = half.signIn(t, harness.Bob, true)
		if r.get("mfa_required") != true || cmp.Diff([]any{"totp", "recovery"}, r.get("methods")) != "" {
			t.Fatalf("the second sign-in answers %s", r.Body)
		}
		for _, e := range [][2]string{{"GET", "/users/me"}, {"GET", "/auth/sessions"}, {"POST", "/auth/totp/enroll"}, {"GET", "/users/me/export"}, {"POST", "/users/me/tokens"}, {"DELETE", "/users/me"}} {
			half.refused(t, "MFA_REQUIRED", e[0], e[1], nil)
		}
		before := half.token
		half.refused(t, "VALIDATION_ERROR", "POST", "/auth/totp/verify", object{"code": "000000"})
		half.take(half.want(t, http.StatusOK, "POST", "/auth/totp/verify", object{"code": code(t, s, secret)}))
		if half.token == before {
			t.Error("SS-01: the token is the same after the second step")
		}
		half.want(t, http.StatusOK, "GET", "/users/me", nil)
		old := newCaller(t, s)
		old.token = before
		old.refused(t, "AUTHENTICATION_ERROR", "GET", "/users/me", nil)

		half.want(t, http.StatusOK, "POST", "/auth/logout", nil)
		half.refused(t, "AUTHENTICATION_ERROR", "GET", "/users/me", nil)
		c.want(t, http.StatusOK, "GET", "/users/me", nil)
	})
}

// A session token is for this API alone, and the cookie of a browser no token.
func TestSessionTokensAndCookiesAreNotEachOther(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		c := newCaller(t, s)
		c.signIn(t, harness.Bob, true)
		b := s.Browser(t)
		u, err := url.Parse(s.Issuer)
		if err != nil {
			t.Fatal(err)
		}
		b.HTTP.Jar.SetCookies(u, []*http.Cookie{{Name: "sp_browser", Value: strings.TrimPrefix(c.token, "sp_st_")}})
		if page := b.Get(t, s.Portal().Authorize(nil).URL); page.URL.Path != "/login" {
			t.Errorf("a session token as cookie leads to %s", page.URL)
		}
		if status, _ := s.Portal().Userinfo(t, c.token); status != http.StatusUnauthorized {
			t.Errorf("userinfo takes a session token: %d", status)
		}
		cookie := newCaller(t, s)
		cookie.signIn(t, harness.Alice, false)
		for _, k := range cookie.http.Jar.Cookies(u) {
			if k.Name == "sp_browser" {
				other := newCaller(t, s)
				for _, token := range []string{k.Value, "sp_st_" + k.Value} {
					other.token = token
					other.refused(t, "AUTHENTICATION_ERROR", "GET", "/auth/me", nil)
				}
			}
		}
	})
}

// SS-06: what a cookie authorizes needs the header, and comes from a page of this origin.
func TestChangesByCookieNeedTheirHeader(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		c := newCaller(t, s)
		c.signIn(t, harness.Bob, false)
		csrf := c.csrf
		if csrf == "" || c.token != "" {
			t.Fatal("a sign-in by cookie gives out no CSRF token, or a session token")
		}
		c.want(t, http.StatusOK, "PATCH", "/users/me", object{"nickname": "Bobby"})
		c.csrf = ""
		c.refused(t, "AUTHORIZATION_ERROR", "PATCH", "/users/me", object{"nickname": "Eve"})
		c.csrf = csrf[:len(csrf)-2] + "AA"
		c.refused(t, "AUTHORIZATION_ERROR", "DELETE", "/auth/sessions", nil)
		c.csrf = csrf
		for header, value := range map[string]string{"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"} {
			c.headers[header] = value
			c.refused(t, "AUTHORIZATION_ERROR", "PATCH", "/users/me", object{"nickname": "Eve"})
			c.refused(t, "AUTHORIZATION_ERROR", "POST", "/auth/login", object{"email": harness.Alice.Email, "password": harness.Alice.Password})
			delete(c.headers, header)
		}
		if me := c.want(t, http.StatusOK, "GET", "/users/me", nil); !strings.Contains(me.Body, "Bobby") {
			t.Errorf("the profile is %s", me.Body)
		}
	})
}

// masked takes out of a response what differs between any two.
func masked(r *reply) string {
	text := regexp.MustCompile(`"request_id":"[^"]*"`).ReplaceAllString(r.Body, "")
	for _, name := range []string{"Date", "X-Request-Id", "Set-Cookie"} {
		r.Header.Del(name)
	}
	var header strings.Builder
	if err := r.Header.Write(&header); err != nil {
		return err.Error()
	}
	return header.String() + text
}

// LG-01: whether an address has an account shows nowhere.
func TestAddressesCannotBeProbed(t *testing.T) {
	harness.EachEngine(t, harness.Options{Environ: []string{"SALLYPORT_CONFIRM_EMAIL=true"}}, func(t *testing.T, s *harness.Server) {
		ctx := t.Context()
		for _, email := range []string{"disabled@example.com", "passwordless@example.com"} {
			password := "correct horse battery 7"
			if strings.HasPrefix(email, "passwordless") {
				password = ""
			}
			u, err := s.App.Identity.People.Create(ctx, identity.Operator(), identity.NewUser{Email: email, Password: password})
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(email, "disabled") {
				if _, err := s.App.Identity.People.Disable(ctx, identity.Operator(), u.ID); err != nil {
					t.Fatal(err)
				}
			}
		}
		people := []string{"nobody@example.com", harness.Bob.Email, "BOB@ACME-CORP.COM", "disabled@example.com", "passwordless@example.com"}
		for path, body := range map[string]func(email string) object{
			"/auth/login":           func(email string) object { return object{"email": email, "password": "not the password 9"} },
			"/auth/forgot-password": func(email string) object { return object{"email": email} },
			"/auth/register": func(email string) object {
				return object{"email": email, "password": "a quite unusual phrase 3", "name": "N"}
			},
		} {
			seen := map[string]string{}
			for _, email := range people {
				seen[masked(newCaller(t, s).call(t, "POST", path, body(email)))] = email
			}
			if len(seen) != 1 {
				t.Errorf("%s tells people apart: %v", path, seen)
			}
		}
	})
}

// The mail of a registration proves the address; whoever proves it without having
// registered must choose a password.
func TestRegisteringAndProvingAnAddress(t *testing.T) {
	harness.EachEngine(t, harness.Options{Environ: []string{"SALLYPORT_CONFIRM_EMAIL=true"}}, func(t *testing.T, s *harness.Server) {
		const password = "a quite unusual phrase 3"
		for email, proof := range map[string]object{"carol@example.com": {"password": password}, "dave@example.com": {}} {
			c := newCaller(t, s)
			c.want(t, http.StatusAccepted, "POST", "/auth/register", object{"email": email, "password": password, "name": "New"})
			c.refused(t, "AUTHENTICATION_ERROR", "POST", "/auth/login", object{"email": email, "password": password})
			link, err := url.Parse(s.LastMail(t, email).Link)
			if err != nil || link.Path != "/verify" {
				t.Fatalf("the mail leads to %v", link)
			}
			proof["token"] = link.Query().Get("token")
			other := newCaller(t, s)
			r := other.want(t, http.StatusOK, "POST", "/auth/verify-email", proof)
			other.refused(t, "BAD_REQUEST", "POST", "/auth/verify-email", proof)
			login := object{"email": email, "password": password, "token": true}
			if proof["password"] != nil {
				other.take(other.want(t, http.StatusOK, "POST", "/auth/login", login))
				if me := other.want(t, http.StatusOK, "GET", "/users/me", nil); me.get("email_verified") != true {
					t.Errorf("got %s", me.Body)
				}
				continue
			}
			if r.get("password_required") != true {
				t.Fatalf("got %s", r.Body)
			}
			other.refused(t, "AUTHENTICATION_ERROR", "POST", "/auth/login", login)
			other.want(t, http.StatusOK, "POST", "/auth/reset-password", object{"token": r.text("password_token"), "password": "quite another phrase 4"})
			login["password"] = "quite another phrase 4"
			other.want(t, http.StatusOK, "POST", "/auth/login", login)
		}
	})
}

// RS-04, MF-07: a reset leaves the second step as it is and ends every session.
func TestAResetKeepsTheSecondStep(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		c := newCaller(t, s)
		c.signIn(t, harness.Bob, true)
		_, recovery := c.enrolTOTP(t)
		c.want(t, http.StatusAccepted, "POST", "/auth/forgot-password", object{"email": harness.Bob.Email})
		link, err := url.Parse(s.LastMail(t, harness.Bob.Email).Link)
		if err != nil {
			t.Fatal(err)
		}
		reset := object{"token": link.Query().Get("token"), "password": "password"}
		c.token = ""
		c.refused(t, "VALIDATION_ERROR", "POST", "/auth/reset-password", reset)
		reset["password"] = "quite another phrase 4"
		c.want(t, http.StatusOK, "POST", "/auth/reset-password", reset)
		c.refused(t, "BAD_REQUEST", "POST", "/auth/reset-password", reset)
		r := c.signIn(t, harness.Person{Email: harness.Bob.Email, Password: "quite another phrase 4"}, true)
		if r.get("mfa_required") != true {
			t.Errorf("after a reset: %s", r.Body)
		}
		c.take(c.want(t, http.StatusOK, "POST", "/auth/recovery-codes/verify", object{"code": strings.ToUpper(recovery[0])}))
		c.refused(t, "VALIDATION_ERROR", "POST", "/auth/recovery-codes/verify", object{"code": recovery[0]})
		if left := c.want(t, http.StatusOK, "GET", "/auth/recovery-codes", nil); left.get("left") != 2.0 {
			t.Errorf("got %s", left.Body)
		}
		// The last one is answered with new ones.
		r = c.want(t, http.StatusOK, "POST", "/auth/recovery-codes/verify", object{"code": recovery[1]})
		if c.take(r); r.get("recovery_codes_left") != 1.0 || r.get("recovery_codes") != nil {
			t.Errorf("with one left: %s", r.Body)
		}
		r = c.want(t, http.StatusOK, "POST", "/auth/recovery-codes/verify", object{"code": recovery[2]})
		if codes, _ := r.get("recovery_codes").([]any); r.get("recovery_codes_left") != 3.0 || len(codes) != 3 {
			t.Errorf("with none left: %s", r.Body)
		}
	})
}

// Limits hold here as on the pages: they are the same counters.
func TestGuessingIsBounded(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		wrong := object{"email": harness.Bob.Email, "password": "not the password 9"}
		for i := range 10 {
			wrong["email"] = []string{harness.Bob.Email, "BOB@acme-corp.com", " bob@Acme-Corp.com "}[i%3]
			newCaller(t, s).refused(t, "AUTHENTICATION_ERROR", "POST", "/auth/login", wrong)
		}
		r := newCaller(t, s).refused(t, "RATE_LIMIT_EXCEEDED", "POST", "/auth/login", object{"email": harness.Bob.Email, "password": harness.Bob.Password})
		if r.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		b := s.Browser(t)
		if page := b.Submit(t, b.Get(t, s.Issuer+"/login").Form(t, "login"), "email", harness.Bob.Email, "password", harness.Bob.Password); page.Status != http.StatusTooManyRequests {
			t.Errorf("the page answers %d", page.Status)
		}

		c := newCaller(t, s)
		c.signIn(t, harness.Alice, true)
		c.enrolTOTP(t)
		c.signIn(t, harness.Alice, true)
		for range 4 {
			c.refused(t, "VALIDATION_ERROR", "POST", "/auth/totp/verify", object{"code": "000000"})
		}
		c.call(t, "POST", "/auth/totp/verify", object{"code": "000000"})
		if r := c.call(t, "GET", "/auth/me", nil); r.Status != http.StatusUnauthorized {
			t.Errorf("after five wrong codes the half session still lives: %s", r.Body)
		}
	})
}

// MF-07: whoever must have a second step and has none may do nothing but enrol one.
func TestAnOverdueSecondStep(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		owner := newCaller(t, s)
		owner.signIn(t, harness.Alice, true)
		acme := organization(t, owner, "acme-corp")
		policy := "/organizations/" + acme + "/security-policy"
		c := newCaller(t, s)
		c.signIn(t, harness.Bob, true)
		c.refused(t, "AUTHORIZATION_ERROR", "PUT", policy, object{"mfa": object{"require": "any", "grace_days": 0}})
		owner.want(t, http.StatusOK, "PUT", policy, object{"mfa": object{"require": "any", "grace_days": 7}})
		if me := c.want(t, http.StatusOK, "GET", "/auth/me", nil); me.get("enrollment_required") != false || me.text("enroll_by") == "" {
			t.Errorf("within the grace: %s", me.Body)
		}
		c.want(t, http.StatusOK, "GET", "/users/me", nil)
		list := owner.want(t, http.StatusOK, "GET", "/organizations/"+acme+"/compliance", nil).list(t)
		if len(list) != 2 || list[0]["compliant"] != false {
			t.Errorf("compliance: %v", list)
		}
		s.Clock.Advance(7 * 24 * time.Hour)
		c.signIn(t, harness.Bob, true)
		c.refused(t, "COMPLIANCE_REQUIRED", "GET", "/users/me", nil)
		c.refused(t, "COMPLIANCE_REQUIRED", "GET", "/auth/sessions", nil)
		c.enrolTOTP(t)
		c.want(t, http.StatusOK, "GET", "/users/me", nil)
	})
}

// organization is the id of one of the caller's organizations.
func organization(t *testing.T, c *caller, slug string) string {
	t.Helper()
	for _, o := range c.want(t, http.StatusOK, "GET", "/users/me/organizations", nil).list(t) {
		if o["slug"] == slug {
			return o["id"].(string)
		}
	}
	t.Fatalf("not in %s", slug)
	return ""
}

// RT-07, SS-08: ending a session takes what its applications hold, on every node.
func TestEndingSessions(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		rp, b := s.Portal(), s.Browser(t)
		tokens := rp.SignIn(t, b, harness.Bob, nil)
		c := newCaller(t, s)
		c.signIn(t, harness.Bob, true)
		list := c.want(t, http.StatusOK, "GET", "/auth/sessions", nil).list(t)
		var other string
		for _, one := range list {
			if one["current"] != true {
				other = one["id"].(string)
			}
		}
		if len(list) != 2 || other == "" {
			t.Fatalf("sessions: %v", list)
		}
		stranger := newCaller(t, s)
		stranger.signIn(t, harness.Alice, true)
		stranger.refused(t, "NOT_FOUND", "DELETE", "/auth/sessions/"+other, nil)
		c.want(t, http.StatusOK, "DELETE", "/auth/sessions/"+other, nil)
		c.refused(t, "NOT_FOUND", "DELETE", "/auth/sessions/"+other, nil)
		node := s.Node(t)
		if status, _ := node.Portal().Userinfo(t, tokens.AccessToken); status != http.StatusUnauthorized {
			t.Errorf("its access token still works: %d", status)
		}
		if again := node.Portal().Refresh(t, tokens.RefreshToken); again.Status == http.StatusOK {
			t.Error("its refresh token still works")
		}
		if page := b.Get(t, rp.Authorize(url.Values{"prompt": {"none"}}).URL); page.Away == nil || page.Away.Query().Get("error") != "login_required" {
			t.Errorf("its browser is still signed in: %v", page.Away)
		}
	})
}
