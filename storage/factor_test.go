package storage

import (
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// waitingApp is an authenticator app that its person has not shown yet.
func waitingApp(t *testing.T, s *Store, user uuid.UUID) *Factor {
	t.Helper()
	f := &Factor{ID: uuid.Must(uuid.NewV7()), UserID: user, Kind: FactorTOTP, Name: "Phone", Sealed: []byte("sealed"), CreatedAt: s.clock()}
	if err := s.Factors.Begin(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	return f
}

// enrolment is what confirms f: a key answers a challenge, an app a code of step 100.
func enrolment(s *Store, f *Factor, codes ...string) *NewFactor {
	n := &NewFactor{Factor: *f, Event: &Event{Type: "factor.enrolled", User: f.UserID}}
	if f.Kind == FactorWebAuthn {
		n.Challenge, n.ChallengeExpires = secret.HashOf(f.ID.String()), s.clock().Add(5*time.Minute)
	} else {
		n.Factor.Counter = 100
	}
	for _, c := range codes {
		n.RecoveryCodes = append(n.RecoveryCodes, secret.HashOf(c))
	}
	return n
}

func aKey(s *Store, user uuid.UUID, credential string) *Factor {
	return &Factor{ID: uuid.Must(uuid.NewV7()), UserID: user, Kind: FactorWebAuthn, Name: "Laptop", Credential: json.RawMessage(`{"id":"` + credential + `"}`),
		CredentialHash: secret.HashOf(credential), Passkey: true, CreatedAt: s.clock()}
}

func mustConfirm(t *testing.T, s *Store, n *NewFactor) (codes bool) {
	t.Helper()
	codes, err := s.Factors.Confirm(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	return codes
}

// enrolApp gives a person a confirmed authenticator app.
func enrolApp(t *testing.T, s *Store, user uuid.UUID, codes ...string) *Factor {
	t.Helper()
	f := waitingApp(t, s, user)
	mustConfirm(t, s, enrolment(s, f, codes...))
	return f
}

func enrolKey(t *testing.T, s *Store, user uuid.UUID, credential string) *Factor {
	t.Helper()
	f := aKey(s, user, credential)
	mustConfirm(t, s, enrolment(s, f))
	return f
}

// wantKinds checks users.factors, by which every sign-in decides.
func wantKinds(t *testing.T, s *Store, user uuid.UUID, want ...string) {
	t.Helper()
	u, err := s.User(t.Context(), user)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, u.Factors, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("users.factors (-want +got):\n%s", diff)
	}
}

// spend signs the person in with use.
func spend(t *testing.T, s *Store, user uuid.UUID, use *FactorUse) error {
	t.Helper()
	in := signIn(s, user, secret.Hash{}, secret.HashOf(secret.NewToken("")))
	in.PasswordHash, in.Use = "", use
	_, err := s.SignIn(t.Context(), in)
	return err
}

// MF-08: until the person has shown that they hold it, it counts for nothing.
func TestAFactorCountsOnceItIsConfirmed(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		stopClock(s)
		alice := person(t, s, "alice@acme-corp.com")
		f := waitingApp(t, s, alice)
		wantKinds(t, s, alice)
		if err := spend(t, s, alice, &FactorUse{Factor: f.ID, Counter: 7}); !errors.Is(err, ErrSpent) {
			t.Errorf("signing in with one that waits: got %v, want ErrSpent", err)
		}
		n := enrolment(s, f, "one", "two")
		n.Factor.Name = "New phone"
		n.Mails = []*Message{{Kind: "mail", Payload: []byte(`{}`)}}
		if !mustConfirm(t, s, n) {
			t.Error("the recovery codes were not taken")
		}
		wantKinds(t, s, alice, FactorTOTP)
		got, err := s.Factors.List(t.Context(), alice)
		if err != nil {
			t.Fatal(err)
		}
		want := *f
		want.Name, want.Counter, want.ConfirmedAt = "New phone", 100, s.clock()
		if diff := cmp.Diff([]Factor{want}, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("factors (-want +got):\n%s", diff)
		}
		if _, err := s.Factors.Confirm(t.Context(), enrolment(s, f)); !errors.Is(err, ErrSpent) {
			t.Errorf("confirming again: got %v, want ErrSpent", err)
		}
		if diff := cmp.Diff([]string{"factor.enrolled"}, eventTypes(t, s)); diff != "" {
			t.Error(diff)
		}
		if n := count(t, s, "outbox"); n != 1 {
			t.Errorf("%d mails, want 1", n)
		}
	})
}

// MF-08: of two that wait, the first is gone, so that nobody confirms what they were not shown.
func TestOneFactorOfAKindWaits(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		alice := person(t, s, "alice@acme-corp.com")
		done := enrolApp(t, s, alice)
		first := waitingApp(t, s, alice)
		second := waitingApp(t, s, alice)
		if _, err := s.Factors.Confirm(t.Context(), enrolment(s, first)); !errors.Is(err, ErrSpent) {
			t.Errorf("confirming the first: got %v, want ErrSpent", err)
		}
		mustConfirm(t, s, enrolment(s, second))
		all, err := s.Factors.List(t.Context(), alice)
		if err != nil {
			t.Fatal(err)
		}
		if len(all) != 2 || all[0].ID != done.ID || all[1].ID != second.ID {
			t.Errorf("got %v, want the confirmed one and the second", all)
		}
	})
}

// An address belongs to nobody until proven, so nothing attaches to it.
func TestFactorsDoNotAttachToAnUnprovenAddress(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		eve := guest(t, s)
		f := &Factor{ID: uuid.Must(uuid.NewV7()), UserID: eve, Kind: FactorTOTP, Sealed: []byte("x"), CreatedAt: s.clock()}
		if err := s.Factors.Begin(t.Context(), f); !errors.Is(err, ErrConflict) {
			t.Errorf("beginning: got %v, want ErrConflict", err)
		}
		if _, err := s.Factors.Confirm(t.Context(), enrolment(s, aKey(s, eve, "c"))); !errors.Is(err, ErrConflict) {
			t.Errorf("enrolling: got %v, want ErrConflict", err)
		}
		if n := count(t, s, "factors"); n != 0 {
			t.Errorf("%d factors, want none", n)
		}
	})
}

// A credential answers for one person, and an answered challenge for one enrolment.
func TestACredentialIsEnrolledOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		alice, bob := person(t, s, "alice@acme-corp.com"), person(t, s, "bob@acme-corp.com")
		key := enrolKey(t, s, alice, "credential")
		if _, err := s.Factors.Confirm(t.Context(), enrolment(s, aKey(s, bob, "credential"))); !errors.Is(err, ErrExists) {
			t.Errorf("another's credential: got %v, want ErrExists", err)
		}
		again := enrolment(s, aKey(s, alice, "another"))
		again.Challenge = secret.HashOf(key.ID.String())
		if _, err := s.Factors.Confirm(t.Context(), again); !errors.Is(err, ErrSpent) {
			t.Errorf("the same challenge: got %v, want ErrSpent", err)
		}
		wantKinds(t, s, alice, FactorWebAuthn)
		wantKinds(t, s, bob)
	})
}

func TestThereIsALimitOfFactors(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		alice := person(t, s, "alice@acme-corp.com")
		for range MaxFactors {
			enrolKey(t, s, alice, uuid.NewString())
		}
		if _, err := s.Factors.Confirm(t.Context(), enrolment(s, aKey(s, alice, "one more"))); !errors.Is(err, ErrConflict) {
			t.Errorf("one more: got %v, want ErrConflict", err)
		}
		enrolApp(t, s, alice) // of another kind
	})
}

// The other sessions began under other rules.
func TestEnrollingAndRemovingEndTheOtherSessions(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		alice, bob := person(t, s, "alice@acme-corp.com"), person(t, s, "bob@acme-corp.com")
		here, mine := access(t, s, alice, "app", uuid.Nil)
		_, elsewhere := access(t, s, alice, "app", uuid.Nil)
		_, bobs := access(t, s, bob, "app", uuid.Nil)
		n := enrolment(s, aKey(s, alice, "credential"))
		n.Keep = here
		mustConfirm(t, s, n)
		wantEnds(t, mine, "", "")
		wantEnds(t, elsewhere, EndFactorChanged, EndFactorChanged)
		wantEnds(t, bobs, "", "")
		_, later := access(t, s, alice, "app", uuid.Nil)
		if err := s.Factors.Remove(t.Context(), &FactorRemoval{UserID: alice, Factors: []uuid.UUID{n.Factor.ID}, Keep: here, Events: []*Event{{Type: "factor.removed"}}}); err != nil {
			t.Fatal(err)
		}
		wantEnds(t, mine, "", "")
		wantEnds(t, later, EndFactorChanged, EndFactorChanged)
		wantEnds(t, bobs, "", "")
	})
}

// users.factors says at every sign-in what is still owed: it must never lag.
func TestTheKindsOfAPersonAreKeptTrue(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		alice := person(t, s, "alice@acme-corp.com")
		remove := func(f *Factor) {
			t.Helper()
			if err := s.Factors.Remove(t.Context(), &FactorRemoval{UserID: alice, Factors: []uuid.UUID{f.ID}, Events: []*Event{{Type: "factor.removed"}}}); err != nil {
				t.Fatal(err)
			}
		}
		key := enrolKey(t, s, alice, "a")
		wantKinds(t, s, alice, FactorWebAuthn)
		first, second := enrolApp(t, s, alice), enrolApp(t, s, alice)
		wantKinds(t, s, alice, FactorTOTP, FactorWebAuthn)
		remove(first)
		wantKinds(t, s, alice, FactorTOTP, FactorWebAuthn)
		remove(key)
		wantKinds(t, s, alice, FactorTOTP)
		remove(second)
		wantKinds(t, s, alice)
	})
}

func TestOnlyOnesOwnConfirmedFactorsAreRemovedAndRenamed(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		alice, bob := person(t, s, "alice@acme-corp.com"), person(t, s, "bob@acme-corp.com")
		bobs, waiting := enrolApp(t, s, bob), waitingApp(t, s, alice)
		for _, f := range []*Factor{bobs, waiting} {
			if err := s.Factors.Remove(t.Context(), &FactorRemoval{UserID: alice, Factors: []uuid.UUID{f.ID}, Events: []*Event{{}}}); !errors.Is(err, ErrNotFound) {
				t.Errorf("removing: got %v, want ErrNotFound", err)
			}
			if err := s.Factors.Rename(t.Context(), alice, f.ID, "Mine", &Event{}); !errors.Is(err, ErrNotFound) {
				t.Errorf("renaming: got %v, want ErrNotFound", err)
			}
		}
		wantKinds(t, s, bob, FactorTOTP)
		if err := s.Factors.Rename(t.Context(), bob, bobs.ID, "Tablet", &Event{Type: "factor.renamed"}); err != nil {
			t.Fatal(err)
		}
		all, err := s.Factors.List(t.Context(), bob)
		if err != nil || len(all) != 1 || all[0].Name != "Tablet" {
			t.Errorf("got %v, %v, want the tablet", all, err)
		}
	})
}

// MF-09: of two that are removed at once, the second finds that it is the last one.
func TestWhatIsRequiredStays(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		alice := person(t, s, "alice@acme-corp.com")
		app, key := enrolApp(t, s, alice, "code"), enrolKey(t, s, alice, "credential")
		_, ended := access(t, s, alice, "app", uuid.Nil)
		var refused, removed atomic.Int64
		var wg sync.WaitGroup
		for _, f := range []*Factor{app, key} {
			wg.Go(func() {
				switch err := s.Factors.Remove(t.Context(), &FactorRemoval{UserID: alice, Factors: []uuid.UUID{f.ID}, Required: [][]string{{FactorTOTP, FactorWebAuthn}}, Events: []*Event{{Type: "factor.removed"}}}); {
				case err == nil:
					removed.Add(1)
				case errors.Is(err, ErrConflict):
					refused.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if removed.Load() != 1 || refused.Load() != 1 {
			t.Errorf("%d removed and %d refused, want one each", removed.Load(), refused.Load())
		}
		wantEnds(t, ended, EndFactorChanged, EndFactorChanged)
		all, err := s.Factors.List(t.Context(), alice)
		if err != nil || len(all) != 1 {
			t.Fatalf("got %v, %v, want one factor", all, err)
		}
		wantKinds(t, s, alice, all[0].Kind)
		if left, err := s.Factors.CountRecoveryCodes(t.Context(), alice); err != nil || left != 1 {
			t.Errorf("recovery codes left: got %d, %v, want 1", left, err)
		}
		// Each set is looked at by itself.
		key2 := enrolKey(t, s, alice, "second")
		if err := s.Factors.Remove(t.Context(), &FactorRemoval{UserID: alice, Factors: []uuid.UUID{key2.ID}, Required: [][]string{{all[0].Kind}, {"another kind"}}, Events: []*Event{{}}}); !errors.Is(err, ErrConflict) {
			t.Errorf("a second set: got %v, want ErrConflict", err)
		}
	})
}

// MF-01, WA-03: a step or a signature counter that did not grow was used before.
func TestACounterOnlyGrows(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		clock := stopClock(s)
		alice, bob := person(t, s, "alice@acme-corp.com"), person(t, s, "bob@acme-corp.com")
		app, key := enrolApp(t, s, alice), enrolKey(t, s, alice, "credential")
		for _, c := range []struct {
			what    string
			user    uuid.UUID
			factor  *Factor
			counter int64
			want    error
		}{
			{"the step that enrolled it", alice, app, 100, ErrSpent},
			{"the next step", alice, app, 101, nil},
			{"the same step", alice, app, 101, ErrSpent},
			{"an earlier step", alice, app, 99, ErrSpent},
			{"zero of an app", alice, app, 0, ErrSpent},
			{"another person's app", bob, app, 102, ErrSpent},
			{"a key that does not count", alice, key, 0, nil},
			{"a key that does not count, again", alice, key, 0, nil},
			{"a key that counts", alice, key, 5, nil},
			{"the same count", alice, key, 5, ErrSpent},
			{"a lower count", alice, key, 4, ErrSpent},
			{"zero after counts", alice, key, 0, ErrSpent},
		} {
			clock.add(time.Second)
			if err := spend(t, s, c.user, &FactorUse{Factor: c.factor.ID, Counter: c.counter}); !errors.Is(err, c.want) {
				t.Errorf("%s: got %v, want %v", c.what, err, c.want)
			}
		}
		all, err := s.Factors.List(t.Context(), alice)
		if err != nil {
			t.Fatal(err)
		}
		if all[0].Counter != 101 || all[1].Counter != 5 || !all[1].LastUsedAt.After(all[0].LastUsedAt) {
			t.Errorf("got %+v, want counters 101 and 5, each with its last use", all)
		}
	})
}

// What a use changes of a credential's record is kept; nothing else touches it.
func TestAUseKeepsTheRecordOfTheCredential(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		alice := person(t, s, "alice@acme-corp.com")
		key := enrolKey(t, s, alice, "credential")
		for _, c := range []struct {
			given json.RawMessage
			want  string
		}{{nil, string(key.Credential)}, {json.RawMessage(`{"id":"credential","flags":{}}`), `{"id":"credential","flags":{}}`}} {
			if err := spend(t, s, alice, &FactorUse{Factor: key.ID, Credential: c.given}); err != nil {
				t.Fatal(err)
			}
			f, u, err := s.Factors.FindByCredential(t.Context(), secret.HashOf("credential"))
			if err != nil {
				t.Fatal(err)
			}
			if string(f.Credential) != c.want || u.ID != alice {
				t.Errorf("got %s of %s, want %s of %s", f.Credential, u.ID, c.want, alice)
			}
		}
		if _, _, err := s.Factors.FindByCredential(t.Context(), secret.HashOf("nobody's")); !errors.Is(err, ErrNotFound) {
			t.Errorf("nobody's credential: got %v, want ErrNotFound", err)
		}
		if _, err := s.DisableUser(t.Context(), alice, &Event{Type: "user.disabled"}); err != nil {
			t.Fatal(err)
		}
		if _, u, err := s.Factors.FindByCredential(t.Context(), secret.HashOf("credential")); err != nil || u.Active() {
			t.Errorf("of a disabled person: got %v, %v, want them, disabled", u, err)
		}
	})
}

// A failed sign-in spends nothing: the code still works.
func TestAUseIsSpentWithTheSignInOrNotAtAll(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		alice := person(t, s, "alice@acme-corp.com")
		app := enrolApp(t, s, alice)
		in := signIn(s, alice, browserOf("no session"), browserOf("after"))
		in.PasswordHash, in.StepUp, in.Use = "", true, &FactorUse{Factor: app.ID, Counter: 101}
		if _, err := s.SignIn(t.Context(), in); !errors.Is(err, ErrConflict) {
			t.Fatalf("a step-up without a session: got %v, want ErrConflict", err)
		}
		if err := spend(t, s, alice, &FactorUse{Factor: app.ID, Counter: 101}); err != nil {
			t.Errorf("the same step after it: %v", err)
		}
	})
}

// The way back in leaves nothing of the old, and nobody signed in.
func TestResettingForgetsEveryFactor(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		alice, bob := person(t, s, "alice@acme-corp.com"), person(t, s, "bob@acme-corp.com")
		enrolApp(t, s, alice, "one")
		enrolKey(t, s, alice, "credential")
		waitingApp(t, s, alice)
		enrolApp(t, s, bob, "bobs")
		_, alices := access(t, s, alice, "app", uuid.Nil)
		_, bobs := access(t, s, bob, "app", uuid.Nil)
		if err := s.Factors.Reset(t.Context(), alice, &Event{Type: "user.factors_reset", User: alice}, &Message{Kind: "mail", Payload: []byte(`{}`)}); err != nil {
			t.Fatal(err)
		}
		wantEnds(t, alices, EndFactorChanged, EndFactorChanged)
		wantEnds(t, bobs, "", "")
		wantKinds(t, s, alice)
		wantKinds(t, s, bob, FactorTOTP)
		if n := counted(t, s, `SELECT (SELECT count(*) FROM factors WHERE user_id = ?) + (SELECT count(*) FROM recovery_codes WHERE user_id = ?)`, id(alice), id(alice)); n != 0 {
			t.Errorf("%d rows of alice's are left", n)
		}
		if n := count(t, s, "outbox"); n != 1 {
			t.Errorf("%d mails, want 1", n)
		}
	})
}

// A tombstone can do nothing, and holds nothing that could.
func TestADeletedPersonLeavesNoFactors(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		alice := person(t, s, "alice@acme-corp.com")
		enrolApp(t, s, alice, "one")
		enrolKey(t, s, alice, "credential")
		if err := s.DeleteUser(t.Context(), alice, uuid.Nil, &Event{Type: "user.deleted", User: alice}); err != nil {
			t.Fatal(err)
		}
		if f, r := count(t, s, "factors"), count(t, s, "recovery_codes"); f != 0 || r != 0 {
			t.Errorf("%d factors and %d recovery codes are left", f, r)
		}
		if _, _, err := s.Factors.FindByCredential(t.Context(), secret.HashOf("credential")); !errors.Is(err, ErrNotFound) {
			t.Errorf("the credential: got %v, want ErrNotFound", err)
		}
		if err := s.Factors.Begin(t.Context(), aKey(s, alice, "another")); !errors.Is(err, ErrNotFound) {
			t.Errorf("enrolling: got %v, want ErrNotFound", err)
		}
	})
}

// Seeds move to a new ENCRYPTION_KEY while people use and remove them.
func TestASealedSeedIsReplacedOnlyIfItIsStillThat(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		alice := person(t, s, "alice@acme-corp.com")
		first, second := enrolApp(t, s, alice), waitingApp(t, s, alice)
		enrolKey(t, s, alice, "has no seed")
		page, err := s.Factors.ListSealed(t.Context(), uuid.Nil, 1)
		if err != nil || len(page) != 1 || page[0].ID != first.ID {
			t.Fatalf("the first page: got %v, %v", page, err)
		}
		if page, err = s.Factors.ListSealed(t.Context(), first.ID, 10); err != nil || len(page) != 1 || page[0].ID != second.ID {
			t.Fatalf("the second page: got %v, %v", page, err)
		}
		if err := s.Factors.Reseal(t.Context(), first.ID, first.Sealed, []byte("anew")); err != nil {
			t.Fatal(err)
		}
		if err := s.Factors.Reseal(t.Context(), first.ID, first.Sealed, []byte("late")); !errors.Is(err, ErrSpent) {
			t.Errorf("again: got %v, want ErrSpent", err)
		}
		all, err := s.Factors.List(t.Context(), alice)
		if err != nil || string(all[0].Sealed) != "anew" || string(all[1].Sealed) != "sealed" {
			t.Errorf("got %v, %v", all, err)
		}
	})
}
