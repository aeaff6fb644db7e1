package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/harness"
)

// RFC 6750 section 3, RFC 9470 section 3: a program learns what is wrong with its
// token: nothing was sent, it is bad, it may not do this, or the sign-in is too old.
func TestRefusalsSayWhatTheyWant(t *testing.T) {
	s := harness.Start(t, "sqlite", harness.Options{Environ: []string{"SALLYPORT_CORS_ORIGINS=https://console.example.com"}})
	refused := func(c *caller, method, path string, body any) (string, *reply) {
		t.Helper()
		r := c.call(t, method, path, body)
		if r.Success {
			t.Fatalf("%s %s: %s", method, path, r.Body)
		}
		return strings.Join(r.Header.Values("WWW-Authenticate"), " | "), r
	}
	c := newCaller(t, s)
	if got, _ := refused(c, "GET", "/auth/me", nil); got != "Bearer" {
		t.Errorf("without a token: %q", got)
	}
	if got, _ := refused(c, "POST", "/auth/login", object{"email": harness.Bob.Email, "password": "wrong"}); got != "Bearer" {
		t.Errorf("a wrong password: %q", got)
	}
	for _, token := range []string{"x", "sp_st_" + strings.Repeat("A", 43), "sp_pat_" + strings.Repeat("A", 43)} {
		c.token = token
		got, r := refused(c, "GET", "/users/me", nil)
		if !strings.HasPrefix(got, `Bearer error="invalid_token", error_description="`) || len(r.Error.Details) != 0 {
			t.Errorf("%.8s: %q, %s", token, got, r.Body)
		}
	}
	c.token = ""
	c.signIn(t, harness.Bob, true)
	made := c.want(t, http.StatusCreated, "POST", "/users/me/tokens", object{"name": "x", "organization_id": organization(t, c, "acme-corp"), "scopes": []string{"sallyport:read"}})
	s.Clock.Advance(6 * time.Minute)
	c.headers["Origin"] = "https://console.example.com"
	for _, e := range [][2]string{{"DELETE", "/users/me"}, {"POST", "/auth/totp/enroll"}, {"POST", "/auth/webauthn/register/begin"}} {
		got, r := refused(c, e[0], e[1], nil)
		if got != `Bearer error="insufficient_user_authentication", max_age="300"` || r.Error.Type != "AUTHENTICATION_ERROR" || r.Error.Details["auth_time"] == nil {
			t.Errorf("%s %s after 6 minutes: %q, %s", e[0], e[1], got, r.Body)
		}
		if exposed := r.Header.Get("Access-Control-Expose-Headers"); !strings.Contains(exposed, "Www-Authenticate") && !strings.Contains(exposed, "WWW-Authenticate") {
			t.Errorf("a page of another origin may read %q", exposed)
		}
	}
	personal := newCaller(t, s)
	personal.token = made.text("token")
	if got, _ := refused(personal, "DELETE", "/users/me", nil); got != `Bearer error="insufficient_scope", scope="sallyport:write"` {
		t.Errorf("a scope that is lacking: %q", got)
	}
}
