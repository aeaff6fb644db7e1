package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// A user who enrols an app has its key: there is nothing to guess, so a clumsy start
// blocks nobody.
func TestTyposWhileEnrollingBlockNobody(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{})
	c := newCaller(t, s)
	c.signIn(t, harness.Bob, true)
	secret := c.want(t, http.StatusOK, "POST", "/auth/totp/enroll", object{}).text("secret")
	for range 6 {
		r := c.refused(t, "VALIDATION_ERROR", "POST", "/auth/totp/verify-enrollment", object{"code": "000000"})
		if len(r.Error.Details["code"]) == 0 {
			t.Fatalf("the field is not named: %s", r.Body)
		}
	}
	c.take(c.want(t, http.StatusCreated, "POST", "/auth/totp/verify-enrollment", object{"code": code(t, s, secret)}))
	c.want(t, http.StatusOK, "GET", "/users/me", nil)
}

// A session with the first factor only ends after five wrong codes. A user who has proven more
// keeps that, and is told to sign in again rather than to wait.
func TestASessionThatGuessedSignsInAgain(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{})
	c := newCaller(t, s)
	c.signIn(t, harness.Bob, true)
	secret, _ := c.enrolTOTP(t)
	for range 5 {
		if r := c.call(t, "POST", "/auth/totp/verify", object{"code": "000000"}); r.Status == http.StatusTooManyRequests {
			t.Fatalf("too early: %s", r.Body)
		}
	}
	nextStep(s)
	r := c.refused(t, "AUTHENTICATION_ERROR", "POST", "/auth/totp/verify", object{"code": code(t, s, secret)})
	if r.Header.Get("Retry-After") != "" || !strings.Contains(r.Message, "Sign in again") {
		t.Errorf("got %v: %s", r.Header, r.Body)
	}
	c.want(t, http.StatusOK, "GET", "/users/me", nil)
}

// A wrong code names its field, whatever its kind.
func TestAWrongCodeNamesItsField(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{})
	c := newCaller(t, s)
	c.signIn(t, harness.Bob, true)
	_, recovery := c.enrolTOTP(t)
	c.signIn(t, harness.Bob, true)
	for path, text := range map[string]string{"/auth/totp/verify": "000000", "/auth/recovery-codes/verify": strings.Repeat("0", 16)} {
		if r := c.refused(t, "VALIDATION_ERROR", "POST", path, object{"code": text}); len(r.Error.Details["code"]) == 0 {
			t.Errorf("%s: %s", path, r.Body)
		}
	}
	c.take(c.want(t, http.StatusOK, "POST", "/auth/recovery-codes/verify", object{"code": recovery[0]}))
	if r := c.refused(t, "VALIDATION_ERROR", "POST", "/auth/recovery-codes/verify", object{"code": recovery[0]}); len(r.Error.Details["code"]) == 0 {
		t.Errorf("a used one: %s", r.Body)
	}
}

// One response makes the device known once, and stepping up is no sign-in from a new one.
func TestStepUpIsNoNewDevice(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{})
	c := newCaller(t, s)
	c.signIn(t, harness.Bob, true)
	secret := c.want(t, http.StatusOK, "POST", "/auth/totp/enroll", object{}).text("secret")
	r := c.want(t, http.StatusCreated, "POST", "/auth/totp/verify-enrollment", object{"code": code(t, s, secret)})
	c.take(r)
	devices := 0
	for _, line := range r.Header.Values("Set-Cookie") {
		if strings.Contains(line, "sp_device=") {
			devices++
		}
	}
	if devices != 1 {
		t.Errorf("%d device cookies in one answer, want 1", devices)
	}
	news := func() (n int) {
		for _, m := range s.Mail(t, harness.Bob.Email) {
			if strings.HasPrefix(m.Subject, "New sign-in") {
				n++
			}
		}
		return n
	}
	before := news()
	nextStep(s)
	c.http.Jar = newCaller(t, s).http.Jar // a program that keeps no cookies
	c.take(c.want(t, http.StatusOK, "POST", "/auth/totp/verify", object{"code": code(t, s, secret)}))
	if n := news() - before; n != 0 {
		t.Errorf("%d mails of a new device after a step-up, want none", n)
	}
	nextStep(s)
	other := newCaller(t, s)
	other.signIn(t, harness.Bob, true)
	other.want(t, http.StatusOK, "POST", "/auth/totp/verify", object{"code": code(t, s, secret)})
	if n := news() - before; n != 1 {
		t.Errorf("%d mails after a sign-in from elsewhere, want 1", n)
	}
}

// Removing all apps removes all or none of them.
func TestAllAppsGoOrNone(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{})
	c := newCaller(t, s)
	c.signIn(t, harness.Bob, true)
	c.enrolTOTP(t)
	nextStep(s)
	c.enrolTOTP(t)
	policy := func(require string) {
		t.Helper()
		if _, err := s.App.Identity.Policies.SetPlatformMFA(t.Context(), identity.Operator(), storage.MFAPolicy{Require: require}); err != nil {
			t.Fatal(err)
		}
		if err := s.App.Registry.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	have := func() int {
		list, err := s.App.Factors.List(t.Context(), s.User(t, harness.Bob).ID)
		if err != nil {
			t.Fatal(err)
		}
		return len(list.Factors)
	}
	policy(storage.RequireAny)
	mails := len(s.Mail(t, harness.Bob.Email))
	c.refused(t, "CONFLICT", "POST", "/auth/totp/disable", object{})
	if have() != 2 || len(s.Mail(t, harness.Bob.Email)) != mails {
		t.Errorf("%d apps are left of two, or a mail says that one is gone", have())
	}
	policy("")
	c.want(t, http.StatusOK, "POST", "/auth/totp/disable", object{})
	if have() != 0 {
		t.Errorf("%d apps are left", have())
	}
	c.refused(t, "NOT_FOUND", "POST", "/auth/totp/disable", object{})
}

// The recovery codes are shown once: not even a session that ends at that moment takes
// them along.
func TestTheFirstCodesAreShownWhateverBecomesOfTheSession(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{})
	c := newCaller(t, s)
	c.signIn(t, harness.Bob, true)
	secret := c.want(t, http.StatusOK, "POST", "/auth/totp/enroll", object{}).text("secret")
	s.Exec(t, `CREATE TRIGGER ends AFTER INSERT ON recovery_codes BEGIN UPDATE sessions SET ended_at = 1, end_reason = 'test' WHERE ended_at IS NULL; END`)
	r := c.want(t, http.StatusCreated, "POST", "/auth/totp/verify-enrollment", object{"code": code(t, s, secret)})
	if codes, _ := r.get("recovery_codes").([]any); len(codes) != 3 || r.get("session") != nil {
		t.Errorf("got %s", r.Body)
	}
	c.refused(t, "AUTHENTICATION_ERROR", "GET", "/auth/me", nil)
}
