package api_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// linkToken is the token of the last mail's link.
func linkToken(t *testing.T, s *harness.Server, email string) string {
	t.Helper()
	link, err := url.Parse(s.LastMail(t, email).Link)
	if err != nil {
		t.Fatal(err)
	}
	return link.Query().Get("token")
}

// The holder of a link may still not guess the password of the account with it: wrong
// ones count as at the sign-in. The link bears it.
func TestPasswordsCannotBeGuessedWithALink(t *testing.T) {
	for _, confirm := range []string{"true", "false"} {
		harness.EachEngine(t, harness.Options{Environ: []string{"SALLYPORT_CONFIRM_EMAIL=" + confirm}}, func(t *testing.T, s *harness.Server) {
			const email, password = "carol@example.com", "a quite unusual phrase 3"
			newCaller(t, s).call(t, "POST", "/auth/register", object{"email": email, "password": password})
			verify := object{"token": linkToken(t, s, email), "password": "not the password 9"}
			for range 10 {
				newCaller(t, s).refused(t, "VALIDATION_ERROR", "POST", "/auth/verify-email", verify)
			}
			for _, p := range []string{"not the password 9", password} {
				verify["password"] = p
				if r := newCaller(t, s).refused(t, "RATE_LIMIT_EXCEEDED", "POST", "/auth/verify-email", verify); r.Header.Get("Retry-After") == "" {
					t.Error("no Retry-After")
				}
			}
			newCaller(t, s).refused(t, "RATE_LIMIT_EXCEEDED", "POST", "/auth/login", object{"email": email, "password": password})
			s.Clock.Advance(10*time.Minute + time.Second)
			if r := newCaller(t, s).want(t, http.StatusOK, "POST", "/auth/verify-email", verify); r.get("password_required") != false {
				t.Errorf("with the password: %s", r.Body)
			}
			newCaller(t, s).want(t, http.StatusOK, "POST", "/auth/login", object{"email": email, "password": password})
		})
	}
}

// Where nobody can be mailed another link the proof brings the password along.
func TestAProofBringsThePasswordAlong(t *testing.T) {
	harness.EachEngine(t, harness.Options{Environ: []string{"SALLYPORT_CONFIRM_EMAIL=true", "SALLYPORT_RECOVERY=false"}}, func(t *testing.T, s *harness.Server) {
		const email, mine = "carol@example.com", "quite another phrase 4"
		newCaller(t, s).call(t, "POST", "/auth/register", object{"email": email, "password": "a quite unusual phrase 3"})
		verify := object{"token": linkToken(t, s, email)}
		for _, bad := range []string{"", "password"} {
			verify["new_password"] = bad
			if r := newCaller(t, s).refused(t, "VALIDATION_ERROR", "POST", "/auth/verify-email", verify); len(r.Error.Details["new_password"]) == 0 {
				t.Errorf("got %s", r.Body)
			}
		}
		verify["new_password"] = mine
		if r := newCaller(t, s).want(t, http.StatusOK, "POST", "/auth/verify-email", verify); r.get("password_required") != false {
			t.Errorf("got %s", r.Body)
		}
		newCaller(t, s).want(t, http.StatusOK, "POST", "/auth/login", object{"email": email, "password": mine})
	})
}

// A personal access token that comes along with a sign-in is not who signs in: the
// response about half a session tells no more for it.
func TestAPersonalTokenAtTheSignInTellsNothing(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		alice := newCaller(t, s)
		alice.signIn(t, harness.Alice, true)
		pat := alice.want(t, http.StatusCreated, "POST", "/users/me/tokens",
			object{"name": "CI", "organization_id": organization(t, alice, "acme-corp"), "scopes": []string{identity.ScopeRead, identity.ScopeWrite}}).text("token")
		bob := newCaller(t, s)
		bob.signIn(t, harness.Bob, true)
		bob.enrolTOTP(t)
		login := object{"email": harness.Bob.Email, "password": harness.Bob.Password, "token": true}
		type answer struct {
			required, methods, user, platform any
		}
		seen := func(token string) (a answer) {
			c := newCaller(t, s)
			c.token = token
			r := c.want(t, http.StatusOK, "POST", "/auth/login", login)
			user, _ := r.get("user").(map[string]any)
			methods, _ := r.get("methods").([]any)
			return answer{r.get("mfa_required"), len(methods), len(user), r.Message}
		}
		if without, with := seen(""), seen(pat); without != with || with.required != true || with.user != 1 {
			t.Errorf("without the header %+v, with it %+v", without, with)
		}
	})
}

// The browser that made an account is no new device at the next sign-in.
func TestWhatRegistersIsKnown(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		who := harness.Person{Email: "joined@example.com", Password: "a quite unusual phrase 3"}
		o, err := s.App.Identity.Organizations.BySlug(t.Context(), identity.Operator(), "acme-corp")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.App.Identity.Invitations.Create(t.Context(), identity.Operator(), o.ID, who.Email, storage.RoleMember); err != nil {
			t.Fatal(err)
		}
		c := newCaller(t, s)
		c.want(t, http.StatusCreated, "POST", "/auth/register", object{"invitation": linkToken(t, s, who.Email), "password": who.Password, "token": true})
		before := len(s.Mail(t, who.Email))
		c.signIn(t, who, true)
		if got := len(s.Mail(t, who.Email)); got != before {
			t.Errorf("%d mails: %q", got-before, s.LastMail(t, who.Email).Subject)
		}
		newCaller(t, s).signIn(t, who, false) // a browser: a program of the same name and network is none
		if got := len(s.Mail(t, who.Email)); got != before+1 {
			t.Errorf("another device: %d mails, want one", got-before)
		}
	})
}
