package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/harness"
)

// No database stores NUL in a text. The caller is told so; it is never an internal error.
func TestTextWithNULIsRefused(t *testing.T) {
	const bad = "a\x00b@example.com"
	bodies := map[string]object{
		"/auth/login":           {"email": bad, "password": "x"},
		"/auth/register":        {"email": bad, "password": bad, "name": bad, "invitation": bad},
		"/auth/forgot-password": {"email": bad},
		"/auth/reset-password":  {"token": bad, "password": bad},
		"/auth/verify-email":    {"token": bad, "password": bad},
	}
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		c := newCaller(t, s)
		for path, body := range bodies {
			if r := c.call(t, "POST", path, body); r.Status != http.StatusBadRequest {
				t.Errorf("%s: %d %s, want 400", path, r.Status, r.Body)
			}
		}
		if r := c.call(t, "POST", "/auth/login", `{"email":"a@example.com","password":"x","a\u0000":1}`); r.Status != http.StatusBadRequest {
			t.Errorf("the name of a member: %d %s, want 400", r.Status, r.Body)
		}
		c.signIn(t, harness.Bob, true)
		if r := c.call(t, "PATCH", "/users/me", object{"address": object{"formatted": bad}}); r.Status != http.StatusBadRequest {
			t.Errorf("the profile: %d %s, want 400", r.Status, r.Body)
		}
	})
}

// MF-04: who knows a password and nothing else learns nothing of the person by it.
func TestAHalfSessionTellsNothingOfThePerson(t *testing.T) {
	const phone = "+49 30 5550123"
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		c := newCaller(t, s)
		c.signIn(t, harness.Bob, true)
		c.want(t, http.StatusOK, "PATCH", "/users/me", object{"phone_number": phone, "name": "Robert Canary"})
		secret, _ := c.enrolTOTP(t)
		thief := newCaller(t, s)
		in, me := thief.signIn(t, harness.Bob, true), thief.want(t, http.StatusOK, "GET", "/auth/me", nil)
		for what, r := range map[string]*reply{"auth/login": in, "auth/me": me} {
			if r.get("mfa_required") != true {
				t.Fatalf("%s: no second step is owed: %s", what, r.Body)
			}
			for _, canary := range []string{phone, "Canary", s.User(t, harness.Bob).Sub.String(), "created_at"} {
				if strings.Contains(r.Body, canary) {
					t.Errorf("%s tells %q: %s", what, canary, r.Body)
				}
			}
		}
		thief.want(t, http.StatusUnauthorized, "GET", "/users/me", nil)
		nextStep(s)
		thief.take(thief.want(t, http.StatusOK, "POST", "/auth/totp/verify", object{"code": code(t, s, secret)}))
		if whole := thief.want(t, http.StatusOK, "GET", "/auth/me", nil); !strings.Contains(whole.Body, phone) {
			t.Errorf("after the second step: %s", whole.Body)
		}
	})
}

// Enrolling needs a fresh sign-in, above all where the second step is the
// first one: a session that was found open must not get one of its finder's.
func TestAnOverdueSecondStepNeedsAFreshSignIn(t *testing.T) {
	harness.EachEngine(t, harness.Options{Host: "localhost"}, func(t *testing.T, s *harness.Server) {
		owner, c := newCaller(t, s), newCaller(t, s)
		owner.signIn(t, harness.Alice, true)
		c.signIn(t, harness.Bob, true)
		owner.want(t, http.StatusOK, "PUT", "/organizations/"+organization(t, owner, "acme-corp")+"/security-policy", object{"mfa": object{"require": "any", "grace_days": 0}})
		s.Clock.Advance(6 * time.Minute)
		c.refused(t, "COMPLIANCE_REQUIRED", "GET", "/users/me", nil)
		c.refused(t, "AUTHENTICATION_ERROR", "POST", "/auth/totp/enroll", object{})
		c.refused(t, "AUTHENTICATION_ERROR", "POST", "/auth/webauthn/register/begin", object{})
		c.signIn(t, harness.Bob, true)
		secret := c.want(t, http.StatusOK, "POST", "/auth/totp/enroll", object{}).text("secret")
		// A second call shows the same secret, and what has begun may take a while.
		if again := c.want(t, http.StatusOK, "POST", "/auth/totp/enroll", object{}).text("secret"); again != secret {
			t.Error("asking again throws the first secret away")
		}
		s.Clock.Advance(6 * time.Minute)
		c.refused(t, "AUTHENTICATION_ERROR", "POST", "/auth/totp/enroll", object{})
		other := newCaller(t, s)
		other.signIn(t, harness.Bob, true)
		other.refused(t, "BAD_REQUEST", "POST", "/auth/totp/verify-enrollment", object{"code": code(t, s, secret)})
		c.want(t, http.StatusCreated, "POST", "/auth/totp/verify-enrollment", object{"code": code(t, s, secret)})
	})
}
