package storage

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

func TestOnlyLiveSessionsAreListed(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		clock := stopClock(s)
		user := guest(t, s)
		first := mustSignIn(t, s, signIn(s, user, secret.Hash{}, secret.HashOf("first"))).ID
		clock.add(time.Minute)
		second := signIn(s, user, secret.Hash{}, secret.HashOf("second"))
		second.Session.API = true
		mustSignIn(t, s, second)
		other := guest(t, s)
		mustSignIn(t, s, signIn(s, other, secret.Hash{}, secret.HashOf("other")))
		mustSignIn(t, s, signIn(s, user, secret.Hash{}, secret.HashOf("ended")))
		if ended, err := s.EndSession(t.Context(), secret.HashOf("ended"), EndSignOut, "req"); !ended || err != nil {
			t.Fatal(ended, err)
		}
		all, err := s.Sessions(t.Context(), user)
		if err != nil || len(all) != 2 || all[0].ID != second.Session.ID || !all[0].API || all[1].ID != first || all[1].API {
			t.Fatalf("got %+v, %v, want the two that live, the latest used first", all, err)
		}
		touched := all[1]
		clock.add(time.Minute)
		touched.LastSeenAt, touched.IdleExpiresAt = clock.t, clock.t.Add(2*time.Hour)
		if err := s.TouchSession(t.Context(), &touched); err != nil {
			t.Fatal(err)
		}
		clock.add(119 * time.Minute)
		if all, err := s.Sessions(t.Context(), user); err != nil || len(all) != 1 || all[0].ID != first {
			t.Errorf("idle ones: got %+v, %v, want the one that was touched", all, err)
		}
	})
}

// A session that was used after what is known of it has not been idle.
func TestASessionIsNotEndedAsIdleThatWasUsedSince(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		clock := stopClock(s)
		token, start := secret.HashOf("token"), clock.t
		mustSignIn(t, s, signIn(s, guest(t, s), secret.Hash{}, token))
		clock.add(time.Hour)
		if ended, err := s.EndIdleSession(t.Context(), token, start.Add(-time.Second), clock.t); ended || err != nil {
			t.Errorf("used since: ended %v, %v", ended, err)
		}
		if _, err := liveSession(t, s, token); err != nil {
			t.Errorf("used since: %v", err)
		}
		if ended, err := s.EndIdleSession(t.Context(), token, start, clock.t); !ended || err != nil {
			t.Errorf("not used since: ended %v, %v", ended, err)
		}
		if _, err := liveSession(t, s, token); !errors.Is(err, ErrNotFound) {
			t.Errorf("not used since: %v, want ErrNotFound", err)
		}
		if why, err := s.SessionEnd(t.Context(), token); why != EndIdle || err != nil {
			t.Errorf("ended by %q, %v", why, err)
		}
	})
}

func TestASessionThatItsPersonEndsTakesItsGrantsAlong(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		user, other := person(t, s, "alice@acme-corp.com"), guest(t, s)
		one, oneEnded := access(t, s, user, "app", uuid.Nil)
		two, twoEnded := access(t, s, user, "app", uuid.Nil)
		_, threeEnded := access(t, s, user, "app", uuid.Nil)
		e := func() *Event { return &Event{Type: "session.ended", User: user} }
		if err := s.EndSessionOf(t.Context(), other, one, e()); !errors.Is(err, ErrNotFound) {
			t.Errorf("somebody else's: got %v, want ErrNotFound", err)
		}
		wantEnds(t, oneEnded, "", "")
		if err := s.EndSessionOf(t.Context(), user, one, e()); err != nil {
			t.Errorf("got %v", err)
		}
		wantEnds(t, oneEnded, EndByPerson, EndByPerson)
		wantEnds(t, twoEnded, "", "")
		if err := s.EndSessionOf(t.Context(), user, one, e()); !errors.Is(err, ErrNotFound) {
			t.Errorf("again: got %v, want ErrNotFound", err)
		}
		token := personalToken(t, s, user, organization(t, s, "acme-corp", user))
		orphan := grantTo(t, s, user, uuid.Nil, true)
		if err := s.EndOtherSessions(t.Context(), user, two, e()); err != nil {
			t.Fatal(err)
		}
		wantEnds(t, twoEnded, "", "")
		wantEnds(t, threeEnded, EndByPerson, EndByPerson)
		if _, err := s.TokenHolder(t.Context(), token.Hash); !errors.Is(err, ErrNotFound) {
			t.Errorf("a personal access token: got %v, want ErrNotFound", err)
		}
		if !isRevoked(t, s, orphan) {
			t.Error("a grant of no session is left")
		}
		if got := counted(t, s, `SELECT count(*) FROM audit_events WHERE type = 'session.ended'`); got != 2 {
			t.Errorf("got %d events, want two", got)
		}
	})
}

// RT-07: whoever changes how they prove who they are ends what others may have begun.
func TestAChangeOfSecondStepsEndsWhatIsElsewhere(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		user := person(t, s, "alice@acme-corp.com")
		acme := organization(t, s, "acme-corp", user)
		app := enrolApp(t, s, user)
		enrolKey(t, s, user, "stays")
		e := func() *Event { return &Event{Type: "test", User: user} }
		for what, act := range map[string]func(keep uuid.UUID) error{
			"new recovery codes": func(keep uuid.UUID) error {
				return s.Factors.ReplaceRecoveryCodes(t.Context(), user, keep, []secret.Hash{secret.HashOf(uuid.NewString())}, e())
			},
			"another factor": func(keep uuid.UUID) error {
				n := enrolment(s, aKey(s, user, uuid.NewString()))
				n.Keep = keep
				_, err := s.Factors.Confirm(t.Context(), n)
				return err
			},
			"one less": func(keep uuid.UUID) error {
				return s.Factors.Remove(t.Context(), &FactorRemoval{UserID: user, Factors: []uuid.UUID{app.ID}, Keep: keep, Events: []*Event{e()}})
			},
		} {
			token := personalToken(t, s, user, acme)
			here, hereEnded := access(t, s, user, "app", uuid.Nil)
			_, elsewhereEnded := access(t, s, user, "app", uuid.Nil)
			if err := act(here); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			wantEnds(t, hereEnded, "", "")
			wantEnds(t, elsewhereEnded, EndFactorChanged, EndFactorChanged)
			if _, err := s.TokenHolder(t.Context(), token.Hash); !errors.Is(err, ErrNotFound) {
				t.Errorf("%s: a personal access token: got %v, want ErrNotFound", what, err)
			}
		}
	})
}
