package storage

import (
	"errors"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// Recovery codes come with the first factor, are spent and never deleted while
// they could come again, and count for their person alone.
func TestRecoveryCodes(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		alice, bob := person(t, s, "alice@acme-corp.com"), person(t, s, "bob@acme-corp.com")
		enrolApp(t, s, alice, "one", "two", "three")
		enrolApp(t, s, bob, "bobs")
		if mustConfirm(t, s, enrolment(s, aKey(s, alice, "credential"), "four")) {
			t.Error("codes were given out beside unspent ones")
		}
		use := func(user uuid.UUID, code string) error {
			return spend(t, s, user, &FactorUse{RecoveryCode: []secret.Hash{secret.HashOf("under another key"), secret.HashOf(code)},
				Event: &Event{Type: "factor.recovery_code_used", User: user}, Mails: []*Message{{Kind: "mail", Payload: []byte(`{}`)}}})
		}
		for _, c := range []struct {
			code  string
			there bool
			want  error
		}{{"one", true, nil}, {"one", false, ErrSpent}, {"four", false, ErrSpent}, {"bobs", false, ErrSpent}, {"two", true, nil}} {
			there, _, err := s.Factors.HasRecoveryCode(t.Context(), alice, []secret.Hash{secret.HashOf(c.code)})
			if err != nil || there != c.there {
				t.Errorf("%s is there: got %v, %v, want %v", c.code, there, err, c.there)
			}
			if err := use(alice, c.code); !errors.Is(err, c.want) {
				t.Errorf("%s: got %v, want %v", c.code, err, c.want)
			}
		}
		if _, left, err := s.Factors.HasRecoveryCode(t.Context(), alice, nil); err != nil || left != 1 {
			t.Errorf("left: got %d, %v, want 1", left, err)
		}
		if left, err := s.Factors.CountRecoveryCodes(t.Context(), alice); err != nil || left != 1 {
			t.Errorf("left: got %d, %v, want 1", left, err)
		}
		if n := counted(t, s, `SELECT count(*) FROM audit_events WHERE type = 'factor.recovery_code_used'`); n != 2 {
			t.Errorf("%d events of use, want 2", n)
		}
		if n := count(t, s, "outbox"); n != 2 {
			t.Errorf("%d mails, want 2", n)
		}
		if err := s.Factors.ReplaceRecoveryCodes(t.Context(), alice, uuid.Nil, []secret.Hash{secret.HashOf("new")}, &Event{Type: "factor.recovery_codes_regenerated"}); err != nil {
			t.Fatal(err)
		}
		if err := use(alice, "three"); !errors.Is(err, ErrSpent) {
			t.Errorf("a replaced code: got %v, want ErrSpent", err)
		}
		if err := use(alice, "new"); err != nil {
			t.Errorf("a new code: %v", err)
		}
		if left, err := s.Factors.CountRecoveryCodes(t.Context(), bob); err != nil || left != 1 {
			t.Errorf("left of bob's: got %d, %v, want 1", left, err)
		}
	})
}

// Codes without a factor would be a second password.
func TestRecoveryCodesGoWithTheLastFactor(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		alice := person(t, s, "alice@acme-corp.com")
		if err := s.Factors.ReplaceRecoveryCodes(t.Context(), alice, uuid.Nil, []secret.Hash{secret.HashOf("early")}, &Event{}); !errors.Is(err, ErrConflict) {
			t.Errorf("without a factor: got %v, want ErrConflict", err)
		}
		first, second := enrolApp(t, s, alice, "one"), enrolApp(t, s, alice)
		for want, f := range []*Factor{0: first, 1: second} {
			if err := s.Factors.Remove(t.Context(), &FactorRemoval{UserID: alice, Factors: []uuid.UUID{f.ID}, Events: []*Event{{Type: "factor.removed"}}}); err != nil {
				t.Fatal(err)
			}
			if left, err := s.Factors.CountRecoveryCodes(t.Context(), alice); err != nil || left != 1-want {
				t.Errorf("left: got %d, %v, want %d", left, err, 1-want)
			}
		}
	})
}

// The last code is answered with new ones, once: else it would let its person in for
// the last time. Two last ones at once leave exactly one set.
func TestTheLastRecoveryCodeMakesNewOnes(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		alice := person(t, s, "alice@acme-corp.com")
		enrolApp(t, s, alice, "one", "two", "three")
		use := func(code string) *FactorUse {
			return &FactorUse{RecoveryCode: []secret.Hash{secret.HashOf(code)}, Renewal: []secret.Hash{secret.HashOf("new for " + code), secret.HashOf("and for " + code)},
				RenewalEvent: &Event{Type: "factor.recovery_codes_regenerated", User: alice}}
		}
		first := use("one")
		if err := spend(t, s, alice, first); err != nil || first.Renewed || first.Left != 2 {
			t.Fatalf("the first of three: %v, renewed %v, %d left", err, first.Renewed, first.Left)
		}
		two, three := use("two"), use("three")
		var wait sync.WaitGroup
		for _, u := range []*FactorUse{two, three} {
			wait.Go(func() {
				if err := spend(t, s, alice, u); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		if two.Renewed == three.Renewed {
			t.Errorf("renewed: %v and %v, want one of them", two.Renewed, three.Renewed)
		}
		if left, err := s.Factors.CountRecoveryCodes(t.Context(), alice); err != nil || left != 2 {
			t.Errorf("left: got %d, %v, want the two new ones", left, err)
		}
		if n := counted(t, s, `SELECT count(*) FROM audit_events WHERE type = 'factor.recovery_codes_regenerated'`); n != 1 {
			t.Errorf("%d events, want 1", n)
		}
		again := use("one")
		if err := spend(t, s, alice, again); !errors.Is(err, ErrSpent) || again.Renewed {
			t.Errorf("a used one: %v, renewed %v", err, again.Renewed)
		}
	})
}
