package storage

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

func answerOf(s *Store, flow, browser secret.Hash, user uuid.UUID, scopes ...string) *Answer {
	return &Answer{
		Flow: flow, Browser: browser, ClientID: "app",
		Consent:  FlowConsent{UserID: user, Scopes: scopes},
		Remember: s.clock().Add(180 * 24 * time.Hour),
		Event:    &Event{Type: "consent.granted", User: user, Client: "app"},
	}
}

// remembered is what a new visit of the browser finds.
func remembered(t *testing.T, s *Store, browser secret.Hash) *Consent {
	t.Helper()
	v, err := s.SessionContext(t.Context(), SessionQuery{Browser: browser, ClientID: "app"})
	if err != nil {
		t.Fatal(err)
	}
	return v.Consent
}

func TestAnAnswerIsKeptInTheFlowAndRemembered(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		clock := stopClock(s)
		user := guest(t, s)
		mustSignIn(t, s, signIn(s, user, secret.Hash{}, browserOf("b")))
		flow := flowOf(t, s, browserOf("b"), nil)
		a := answerOf(s, flow, browserOf("b"), user, "openid", "email")
		if err := s.AnswerConsent(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&a.Consent, mustFlow(t, s, flow).Consent); diff != "" {
			t.Errorf("in the flow (-want +got):\n%s", diff)
		}
		want := &Consent{UserID: user, ClientID: "app", Scopes: []string{"openid", "email"}, GrantedAt: clock.t, ExpiresAt: clock.t.Add(180 * 24 * time.Hour)}
		if diff := cmp.Diff(want, remembered(t, s, browserOf("b"))); diff != "" {
			t.Errorf("remembered (-want +got):\n%s", diff)
		}
		if n := counted(t, s, `SELECT count(*) FROM audit_events WHERE type = 'consent.granted'`); n != 1 {
			t.Errorf("got %d events, want 1", n)
		}
	})
}

func TestWhatIsNotToBeRememberedIsNot(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		stopClock(s)
		user := guest(t, s)
		mustSignIn(t, s, signIn(s, user, secret.Hash{}, browserOf("b")))
		for _, denied := range []bool{true, false} {
			a := answerOf(s, flowOf(t, s, browserOf("b"), nil), browserOf("b"), user, "openid")
			a.Consent.Denied = denied
			if !denied {
				a.Remember = time.Time{}
			}
			if err := s.AnswerConsent(t.Context(), a); err != nil {
				t.Fatal(err)
			}
			if got := remembered(t, s, browserOf("b")); got != nil {
				t.Errorf("denied %v: remembered %+v", denied, got)
			}
			if f := mustFlow(t, s, a.Flow); f.Consent == nil || f.Consent.Denied != denied {
				t.Errorf("denied %v: the flow has %+v", denied, f.Consent)
			}
		}
	})
}

// CN-05: however often and wherever an answer is sent, it has one outcome.
func TestAnAnswerCountsOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		stopClock(s)
		user := guest(t, s)
		mustSignIn(t, s, signIn(s, user, secret.Hash{}, browserOf("b")))
		flow := flowOf(t, s, browserOf("b"), nil)
		var won atomic.Int64
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				a := answerOf(s, flow, browserOf("b"), user, "openid")
				a.Consent.Denied = i%2 == 0
				if err := s.AnswerConsent(context.Background(), a); err == nil {
					won.Add(1)
				} else if !errors.Is(err, ErrSpent) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Errorf("%d answers counted, want 1", won.Load())
		}
		if n := counted(t, s, `SELECT count(*) FROM audit_events WHERE type = 'consent.granted'`); n != 1 {
			t.Errorf("got %d events, want 1", n)
		}
	})
}

// CN-01, RU-16: an answer of another browser, or to a flow that is over, changes nothing.
func TestAnswersFromElsewhereAreRefused(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		clock := stopClock(s)
		user := guest(t, s)
		b := browserOf("b")
		spent, old := flowOf(t, s, b, nil), flowOf(t, s, b, func(f *Flow) { f.ExpiresAt = clock.t.Add(time.Minute) })
		clock.add(time.Minute)
		mine := flowOf(t, s, b, nil)
		if err := s.SpendFlow(t.Context(), spent); err != nil {
			t.Fatal(err)
		}
		for name, a := range map[string]*Answer{
			"another browser":       answerOf(s, mine, browserOf("evil"), user, "openid"),
			"no browser":            answerOf(s, mine, secret.Hash{}, user, "openid"),
			"a flow that ended":     answerOf(s, spent, b, user, "openid"),
			"a flow that ran out":   answerOf(s, old, b, user, "openid"),
			"a flow that never was": answerOf(s, browserOf("none"), b, user, "openid"),
		} {
			if err := s.AnswerConsent(t.Context(), a); !errors.Is(err, ErrSpent) {
				t.Errorf("%s: got %v, want ErrSpent", name, err)
			}
		}
		if n := counted(t, s, `SELECT count(*) FROM consents`) + len(eventTypes(t, s)); n != 0 {
			t.Errorf("%d rows were written", n)
		}
	})
}

// What was allowed before stays allowed, but not what was withdrawn or changed since it was read.
func TestRememberedScopesAddUp(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		clock := stopClock(s)
		user, b := guest(t, s), browserOf("b")
		mustSignIn(t, s, signIn(s, user, secret.Hash{}, b))
		answer := func(seen *Consent, scopes ...string) *Consent {
			t.Helper()
			clock.add(time.Minute)
			a := answerOf(s, flowOf(t, s, b, nil), b, user, scopes...)
			a.Remembered = seen
			if err := s.AnswerConsent(t.Context(), a); err != nil {
				t.Fatal(err)
			}
			return remembered(t, s, b)
		}
		first := answer(nil, "openid", "email")
		second := answer(first, "openid", "profile")
		if diff := cmp.Diff([]string{"openid", "email", "profile"}, second.Scopes); diff != "" {
			t.Errorf("added up (-want +got):\n%s", diff)
		}
		if third := answer(first, "openid"); len(third.Scopes) != 1 {
			t.Errorf("over a row that changed since: got %v, want openid alone", third.Scopes)
		}
		seen := answer(nil, "openid", "email")
		if err := s.WithdrawConsent(t.Context(), user, "app", uuid.Nil, &Event{Type: "consent.withdrawn", User: user}); err != nil {
			t.Fatal(err)
		}
		if got := remembered(t, s, b); got != nil {
			t.Errorf("withdrawn, but remembered: %v", got.Scopes)
		}
		if last := answer(seen, "openid"); len(last.Scopes) != 1 {
			t.Errorf("over a withdrawn row: got %v, want openid alone", last.Scopes)
		}
	})
}

// RT-07: withdrawing ends every grant of that client and organization, offline ones too, and no other.
func TestWithdrawingRevokesTheGrants(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		stopClock(s)
		user, other, organization := guest(t, s), guest(t, s), uuid.Must(uuid.NewV7())
		mine := grantTo(t, s, user, uuid.Must(uuid.NewV7()), true)
		elsewhere, theirs, another := grantTo(t, s, user, uuid.Nil, true), grantTo(t, s, other, uuid.Nil, true), grantTo(t, s, user, uuid.Nil, true)
		behind(t, s, `UPDATE grants SET organization_id = ? WHERE id IN (?, ?)`, id(organization), id(mine), id(theirs))
		behind(t, s, `UPDATE grants SET client_id = 'other', organization_id = ? WHERE id = ?`, id(organization), id(another))
		for range 2 {
			if err := s.WithdrawConsent(t.Context(), user, "app", organization, &Event{Type: "consent.withdrawn", User: user}); err != nil {
				t.Fatal(err)
			}
		}
		if !isRevoked(t, s, mine) {
			t.Error("the grant lives on")
		}
		for name, g := range map[string]uuid.UUID{"no organization": elsewhere, "another person": theirs, "another client": another} {
			if isRevoked(t, s, g) {
				t.Errorf("%s: revoked too", name)
			}
		}
		if n := len(eventTypes(t, s)); n != 1 {
			t.Errorf("got %d events, want 1", n)
		}
	})
}
