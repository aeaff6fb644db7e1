package storage

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func signingKey(kid string, generation int64, at time.Time) *SigningKey {
	return &SigningKey{KID: kid, Alg: "ES256", Generation: generation, State: KeyPending, Public: []byte(`{"kid":"` + kid + `"}`),
		Sealed: []byte("sealed " + kid), CreatedAt: at, ActivatesAt: at.Add(time.Hour)}
}

// A step that another node took first, or that comes too early, changes nothing:
// no row, no version, no event. One that succeeds changes all three.
func TestEveryStepOfAKeyIsGuarded(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		ctx, now := t.Context(), time.Date(2026, 3, 4, 5, 6, 7, 8000, time.UTC)
		due := now.Add(time.Hour)
		if err := s.Keys.Add(ctx, signingKey("first", 1, now.Add(-time.Hour)), &Event{Type: "test"}); err != nil {
			t.Fatal(err)
		}
		if err := s.Keys.Activate(ctx, "first", now, &Event{Type: "test"}); err != nil {
			t.Fatal(err)
		}
		add := func(ctx context.Context, e *Event) error {
			return s.Keys.Add(ctx, signingKey("second", 2, now), e)
		}
		activate := func(at time.Time) func(context.Context, *Event) error {
			return func(ctx context.Context, e *Event) error { return s.Keys.Activate(ctx, "second", at, e) }
		}
		expedite := func(ctx context.Context, e *Event) error {
			return s.Keys.Expedite(ctx, "second", now.Add(time.Minute), e)
		}
		archive := func(before time.Time) func(context.Context, *Event) error {
			return func(ctx context.Context, e *Event) error { return s.Keys.Archive(ctx, "first", due, before, e) }
		}
		remove := func(before time.Time) func(context.Context, *Event) error {
			return func(ctx context.Context, e *Event) error { return s.Keys.Delete(ctx, "first", before, e) }
		}
		for _, step := range []struct {
			name string
			do   func(context.Context, *Event) error
			want error
		}{
			{"add", add, nil},
			{"add the same generation", func(ctx context.Context, e *Event) error { return s.Keys.Add(ctx, signingKey("other", 2, now), e) }, ErrExists},
			{"activate too early", activate(due.Add(-time.Microsecond)), ErrConflict},
			{"expedite", expedite, nil},
			{"expedite again", expedite, ErrConflict},
			{"activate", activate(due), nil},
			{"activate again", activate(due), ErrConflict},
			{"reseal the wrong value", func(ctx context.Context, e *Event) error {
				return s.Keys.Reseal(ctx, "second", []byte("x"), []byte("y"), e)
			}, ErrConflict},
			{"archive too early", archive(due.Add(-time.Microsecond)), ErrConflict},
			{"delete what is not archived", remove(due), ErrConflict},
			{"archive", archive(due), nil},
			{"archive again", archive(due), ErrConflict},
			{"delete too early", remove(due.Add(-time.Microsecond)), ErrConflict},
		} {
			events, version := count(t, s, "audit_events"), keyVersion(t, s)
			if err := step.do(ctx, &Event{Type: "test"}); !errors.Is(err, step.want) {
				t.Errorf("%s: got %v, want %v", step.name, err, step.want)
			}
			more := 0
			if step.want == nil {
				more = 1
			}
			if got := count(t, s, "audit_events") - events; got != more {
				t.Errorf("%s: %d events, want %d", step.name, got, more)
			}
			if got := keyVersion(t, s) - version; got != int64(more) {
				t.Errorf("%s: the version grew by %d, want %d", step.name, got, more)
			}
		}
		keys, _, err := s.Keys.List(ctx)
		if err != nil {
			t.Fatal(err)
		}
		second, first := signingKey("second", 2, now), signingKey("first", 1, now.Add(-time.Hour))
		second.State, second.ActivatesAt, second.ActiveAt = KeyActive, now.Add(time.Minute), due
		first.State, first.Sealed, first.ActiveAt, first.RetiredAt, first.ArchivedAt = KeyArchived, nil, now, due, due
		if diff := cmp.Diff([]SigningKey{*second, *first}, keys); diff != "" {
			t.Errorf("keys (-want +got):\n%s", diff)
		}
		if err := remove(due)(ctx, &Event{Type: "test"}); err != nil {
			t.Errorf("delete: %v", err)
		}
	})
}

func keyVersion(t *testing.T, s *Store) int64 {
	t.Helper()
	n, err := s.Version(t.Context(), VersionKeys)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
