package app_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/harness"
)

// missed are the mails to a person which say that a second step was not passed.
func missed(t *testing.T, s *harness.Server, who harness.Person) (found []harness.Mail) {
	t.Helper()
	for _, m := range s.Mail(t, who.Email) {
		if strings.HasPrefix(m.Subject, "Someone entered your") {
			found = append(found, m)
		}
	}
	return found
}

func wantMissed(t *testing.T, s *harness.Server, who harness.Person, when string, want int) {
	t.Helper()
	if got := len(missed(t, s, who)); got != want {
		t.Errorf("%s: %d mails about a second step that was not passed, want %d", when, got, want)
	}
}

// untilNoon moves the clock to the next noon, so that what follows is within one day.
func untilNoon(s *harness.Server) {
	now := s.Clock.Now().UTC()
	s.Clock.Advance(now.Truncate(24 * time.Hour).Add(36 * time.Hour).Sub(now))
}

func TestARightPasswordWithoutTheSecondStepIsMailedOnceADay(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		untilNoon(s)
		s.Phone(t, harness.Bob)
		first := s.Browser(t)
		harness.EnterPassword(t, first, harness.Bob)
		s.Clock.Advance(9 * time.Minute)
		harness.EnterPassword(t, first, harness.Bob) // the same session again: that puts nothing off
		wantMissed(t, s, harness.Bob, "within ten minutes", 0)
		s.Clock.Advance(2 * time.Minute)
		wantMissed(t, s, harness.Bob, "after ten minutes", 1)
		mail := missed(t, s, harness.Bob)[0]
		for _, want := range []string{"Firefox on Linux", "127.0.0.0/24", "did not complete two-step verification", "change it right away"} {
			if !strings.Contains(strings.Join(strings.Fields(mail.Text), " "), want) {
				t.Errorf("the mail lacks %q:\n%s", want, mail.Text)
			}
		}
		if mail.Link != s.Issuer+"/account/password" {
			t.Errorf("its button leads to %s", mail.Link)
		}

		// Signed out, replaced by another person's session, and asked for by a program.
		out := s.Browser(t)
		out.Submit(t, harness.EnterPassword(t, out, harness.Bob).FormWith(t, "switch"))
		replaced := s.Browser(t)
		harness.EnterPassword(t, replaced, harness.Bob)
		harness.SignIn(t, replaced, harness.Alice)
		if status := apiLogin(t, s, s.Transport(), harness.Bob.Email, harness.Bob.Password, nil); status != http.StatusOK {
			t.Fatalf("auth/login answers %d", status)
		}
		s.Clock.Advance(11 * time.Minute)
		wantMissed(t, s, harness.Bob, "three more on the same day", 1)

		s.Clock.Advance(24 * time.Hour)
		harness.EnterPassword(t, first, harness.Bob)
		s.Clock.Advance(11 * time.Minute)
		wantMissed(t, s, harness.Bob, "the next day", 2)
		if told := strings.Count(s.Contents(t), "session.second_step_missed"); told != 2 {
			t.Errorf("%d events tell of it, want 2", told)
		}
	})
}

func TestASecondStepPassedInTimeOrNotOwedIsNotMailed(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		untilNoon(s)
		phone := s.Phone(t, harness.Bob)
		b := s.Browser(t)
		p := harness.EnterPassword(t, b, harness.Bob)
		s.Clock.Advance(5 * time.Minute)
		b.Submit(t, p.Form(t, "factor"), "code", phone.Code(t))
		s.Clock.Advance(time.Hour)
		wantMissed(t, s, harness.Bob, "a step passed in time", 0)

		harness.EnterPassword(t, b, harness.Bob)
		s.Clock.Advance(time.Hour)
		wantMissed(t, s, harness.Bob, "a browser that passed one before", 0)

		wrong := s.Browser(t)
		wrong.Submit(t, wrong.Get(t, "/login").Form(t, "login"), "email", harness.Bob.Email, "password", "not the password")
		harness.SignIn(t, s.Browser(t), harness.Alice)
		s.Clock.Advance(time.Hour)
		wantMissed(t, s, harness.Bob, "a wrong password", 0)
		wantMissed(t, s, harness.Alice, "a person without a second factor", 0)

		// A new browser is told of all the same.
		harness.EnterPassword(t, s.Browser(t), harness.Bob)
		s.Clock.Advance(11 * time.Minute)
		wantMissed(t, s, harness.Bob, "another browser", 1)
	})
}
