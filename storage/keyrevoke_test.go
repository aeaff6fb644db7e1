package storage

import (
	"context"
	"errors"
	"testing"
	"time"
)

// A revocation, its successor's first signature and the event are one transaction, and
// no revocation leaves an algorithm without a key that signs.
func TestARevocationIsAllOrNothing(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		ctx, now := t.Context(), time.Date(2026, 3, 4, 5, 6, 7, 8000, time.UTC)
		for n, kid := range []string{"first", "second"} {
			if err := s.Keys.Add(ctx, signingKey(kid, int64(n+1), now), &Event{Type: "test"}); err != nil {
				t.Fatal(err)
			}
		}
		other := signingKey("other", 1, now)
		other.Alg = "EdDSA"
		if err := s.Keys.Add(ctx, other, &Event{Type: "test"}); err != nil {
			t.Fatal(err)
		}
		if err := s.Keys.Activate(ctx, "first", now.Add(24*time.Hour), &Event{Type: "test"}); err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			name, kid, successor string
			event                *Event
			want                 error
		}{
			{"the active key without a successor", "first", "", &Event{Type: "test"}, ErrConflict},
			{"a successor that does not exist", "first", "nothing", &Event{Type: "test"}, ErrConflict},
			{"a successor of another algorithm", "first", "other", &Event{Type: "test"}, ErrConflict},
			{"the key as its own successor", "first", "first", &Event{Type: "test"}, ErrConflict},
			{"a pending key with a successor", "second", "second", &Event{Type: "test"}, ErrConflict},
			{"a key that does not exist", "nothing", "", &Event{Type: "test"}, ErrConflict},
			{"the active key", "first", "second", &Event{Type: "test"}, nil},
			{"the same again", "first", "second", &Event{Type: "test"}, ErrConflict},
			{"the same again, without a successor", "first", "", &Event{Type: "test"}, ErrConflict},
			{"a pending key", "other", "", &Event{Type: "test"}, nil},
		} {
			events, version := count(t, s, "audit_events"), keyVersion(t, s)
			if err := s.Keys.Revoke(ctx, step.kid, step.successor, now, step.event); !errors.Is(err, step.want) {
				t.Errorf("%s: got %v, want %v", step.name, err, step.want)
			}
			more := 0
			if step.want == nil {
				more = 1
			}
			if got, bumped := count(t, s, "audit_events")-events, keyVersion(t, s)-version; got != more || bumped != int64(more) {
				t.Errorf("%s: %d events and %d versions more, want %d each", step.name, got, bumped, more)
			}
		}
		want := map[string]KeyState{"first": KeyRevoked, "second": KeyActive, "other": KeyRevoked}
		keys, _, err := s.Keys.List(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range keys {
			if k.State != want[k.KID] || (k.State == KeyRevoked) != (k.Sealed == nil) || (k.State == KeyRevoked) != k.RevokedAt.Equal(now) {
				t.Errorf("%s is %s, revoked at %v, with a private half of %d bytes", k.KID, k.State, k.RevokedAt, len(k.Sealed))
			}
		}
		// An event that cannot be written takes the revocation with it.
		if err := s.Keys.Add(ctx, signingKey("third", 3, now), &Event{Type: "test"}); err != nil {
			t.Fatal(err)
		}
		if err := s.Keys.Revoke(ctx, "second", "third", now, &Event{Type: "test", Facts: map[string]any{"x": func() {}}}); err == nil {
			t.Error("a revocation without its event succeeded")
		}
		if keys, _, err = s.Keys.List(context.WithoutCancel(ctx)); err != nil {
			t.Fatal(err)
		}
		for _, k := range keys {
			if k.KID == "second" && k.State != KeyActive {
				t.Errorf("without its event the key is %s, want active", k.State)
			}
		}
	})
}
