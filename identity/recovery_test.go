package identity

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/request"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

func otherSealer(t testing.TB) *secret.Sealer {
	t.Helper()
	s, err := secret.NewSealer([][]byte{bytes.Repeat([]byte{8}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// resetLink is the link of a recovery.
func (in *installation) resetLink(t testing.TB, u *storage.User) string {
	t.Helper()
	in.letters(t)
	if err := in.Registrations.RequestRecovery(t.Context(), strings.ToUpper(u.Email), ReturnTo{}, request.Info{Device: "Safari on macOS", Network: "203.0.113.0/24"}, "req"); err != nil {
		t.Fatal(err)
	}
	return token(t, in.work(t), u.Email, "passwordreset", "/recover/reset")
}

// RS-04: a reset sets the password, ends what was, and leaves the second factor.
func TestAResetChangesThePasswordAndNotTheSecondFactor(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		bob := in.user(t, "bob@acme-corp.com", false)
		in.factor(t, bob, "Phone")
		live := in.session(t, bob)
		in.grant(t, bob, live)
		other, link := in.resetLink(t, bob), in.resetLink(t, bob)
		for range 2 {
			if u, err := in.Registrations.OpenReset(t.Context(), link); err != nil || u.ID != bob.ID {
				t.Fatalf("the page: got %+v, %v", u, err)
			}
		}
		var faults FieldErrors
		if err := in.Registrations.Reset(t.Context(), link, "password1", request.Info{}, "req"); !errors.As(err, &faults) {
			t.Errorf("a common password: got %v, want faults", err)
		}
		if !in.lives(t, live) || in.granted(t, bob) != 1 || !in.signsIn(t, bob.Email, oldPassword) {
			t.Error("opening the link or a refused password has changed something")
		}
		if err := in.Registrations.Reset(t.Context(), link, newPassword, request.Info{Device: "Safari on macOS"}, "req"); err != nil {
			t.Fatal(err)
		}
		if in.lives(t, live) || in.granted(t, bob) != 0 || in.signsIn(t, bob.Email, oldPassword) || !in.signsIn(t, bob.Email, newPassword) {
			t.Error("the password is not the new one, or something that the old one made is left")
		}
		if now, err := in.store.User(t.Context(), bob.ID); err != nil || len(now.Factors) != 1 {
			t.Errorf("second factors: got %+v, %v, want the one there was", now, err)
		}
		if sessions, err := in.store.Sessions(t.Context(), bob.ID); err != nil || len(sessions) != 0 {
			t.Errorf("the link alone has opened %d sessions, %v", len(sessions), err)
		}
		got := in.letters(t)
		if len(got) != 1 || got[0].Kind != "passwordchanged" || got[0].To != bob.Email || !strings.Contains(got[0].Text, "Safari on macOS") {
			t.Errorf("mails: got %+v", got)
		}
		for name, dead := range map[string]string{"used": link, "the other one": other, "unknown": secret.NewToken(""), "empty": ""} {
			_, opened := in.Registrations.OpenReset(t.Context(), dead)
			if used := in.Registrations.Reset(t.Context(), dead, "eleven geese cross the moat", request.Info{}, ""); opened != ErrLink || used != ErrLink {
				t.Errorf("%s: got %v, %v, want ErrLink", name, opened, used)
			}
		}
	})
}

func TestWhenALinkToResetIsWorthNothing(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		for name, spoil := range map[string]func(u *storage.User) error{
			"the person is disabled": func(u *storage.User) error {
				_, err := in.People.Disable(t.Context(), Operator(), u.ID)
				return err
			},
			"the person is gone": func(u *storage.User) error { return in.People.Delete(t.Context(), Operator(), u.ID) },
			"the address changed": func(u *storage.User) error {
				return in.People.SetEmail(t.Context(), Operator(), u.ID, uuid.NewString()+"@a.example")
			},
			"the password was changed": func(u *storage.User) error {
				return in.People.SetPassword(t.Context(), Operator(), u.ID, "eleven geese cross the moat", uuid.Nil)
			},
			"half an hour is over": func(*storage.User) error { in.now = in.now.Add(30 * time.Minute); return nil },
		} {
			u := in.user(t, uuid.NewString()+"@acme-corp.com", false)
			link := in.resetLink(t, u)
			if err := spoil(u); err != nil {
				t.Fatal(err)
			}
			_, opened := in.Registrations.OpenReset(t.Context(), link)
			used := in.Registrations.Reset(t.Context(), link, newPassword, request.Info{}, "")
			if opened != ErrLink || used != ErrLink || in.signsIn(t, u.Email, newPassword) {
				t.Errorf("%s: got %v, %v, want ErrLink", name, opened, used)
			}
		}
	})
}

// A mailed token verifies only its own address: the row is looked at again under
// its lock, whatever was read before.
func TestALinkProvesTheAddressItWasMailedTo(t *testing.T) {
	in := onSQLite(t)
	u := in.unproven(t, "bob@acme-corp.com")
	err := in.store.VerifyEmail(t.Context(), &storage.EmailVerification{UserID: u.ID, EmailKey: "another@acme-corp.com", Event: &storage.Event{Type: "test"}})
	if !errors.Is(err, storage.ErrConflict) || !errors.Is(linkError(err), ErrLink) {
		t.Errorf("got %v, want ErrConflict, which is ErrLink", err)
	}
}

func TestRecoveryCanBeClosed(t *testing.T) {
	in := onSQLite(t, func(c *Config) { c.Accounts.Recovery = false })
	bob := in.user(t, "bob@acme-corp.com", false)
	if err := in.Registrations.RequestRecovery(t.Context(), bob.Email, ReturnTo{}, request.Info{}, ""); err != ErrRecoveryClosed || in.Registrations.IsRecoveryOpen() {
		t.Errorf("got %v", err)
	}
	var faults FieldErrors
	in.People.recovery = true
	if err := in.Registrations.RequestRecovery(t.Context(), "bob@acme-corp.com,eve@evil.example", ReturnTo{}, request.Info{}, ""); !errors.As(err, &faults) {
		t.Errorf("RS-02: got %v, want a fault", err)
	}
}

// factor gives a person a confirmed authenticator app whose seed is CANARY.
func (in *installation) factor(t testing.TB, u *storage.User, name string) {
	t.Helper()
	f := storage.Factor{ID: uuid.Must(uuid.NewV7()), UserID: u.ID, Kind: storage.FactorTOTP, Name: name, Sealed: []byte("CANARY"), CreatedAt: in.now}
	if err := in.store.Factors.Begin(t.Context(), &f); err != nil {
		t.Fatal(err)
	}
	f.Counter = 1
	n := &storage.NewFactor{Factor: f, RecoveryCodes: []secret.Hash{secret.HashOf("CANARY")}, Event: &storage.Event{Type: "factor.enrolled", User: u.ID}}
	if _, err := in.store.Factors.Confirm(t.Context(), n); err != nil {
		t.Fatal(err)
	}
}

// A mailbox gets 5 mails of a kind an hour. The tries of one that cannot be written
// are not mails.
func TestAnAnswerThatIsTriedAgainIsCountedOnce(t *testing.T) {
	counted := map[string]int{}
	fiveAnHour := func(c *Config) {
		c.Accounts.ConfirmEmail = true
		c.Mail.Wait = func(_ context.Context, kind, emailKey string) (time.Duration, error) {
			counted[kind+emailKey]++
			return time.Duration(max(0, counted[kind+emailKey]-5)), nil
		}
	}
	eachEngine(t, func(t *testing.T, in *installation) {
		clear(counted)
		bob := in.user(t, "bob@acme-corp.com", false)
		for kind, ask := range map[string]func() error{
			recoveryRequested: func() error {
				return in.Registrations.RequestRecovery(t.Context(), bob.Email, ReturnTo{}, request.Info{}, "")
			},
			registrationRequested: func() error {
				return in.Registrations.Request(t.Context(), Registration{Email: "new@acme-corp.com", Password: oldPassword})
			},
		} {
			if err := ask(); err != nil {
				t.Fatal(err)
			}
			try := func() error {
				t.Helper()
				in.now = in.now.Add(2 * time.Minute)
				all, err := in.store.Outbox.Lease(t.Context(), kind, 10, time.Minute)
				if err != nil || len(all) != 1 {
					t.Fatalf("%s: got %d messages, %v", kind, len(all), err)
				}
				return in.MessageHandlers()[kind].Deliver(t.Context(), all[0])
			}
			in.database(t, `ALTER TABLE links RENAME TO links_away`)
			for range 6 {
				if err := try(); err == nil {
					t.Fatalf("%s: links are stored without their table", kind)
				}
			}
			in.database(t, `ALTER TABLE links_away RENAME TO links`)
			if err := try(); err != nil {
				t.Fatal(err)
			}
			if got := in.letters(t); len(got) != 1 {
				t.Errorf("%s: got %d mails, want one", kind, len(got))
			}
			in.now = in.now.Add(2 * time.Minute)
			in.waiting(t, kind)
		}
		for what, n := range counted {
			if n != 1 {
				t.Errorf("%s was counted %d times", what, n)
			}
		}
	}, fiveAnHour)
}
