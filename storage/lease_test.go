package storage

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// FT-06: a node that was paused finds its lease taken over, once, under a higher fence.
func TestALeaseHasOneHolder(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		ctx, now := t.Context(), time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
		s.now = func() time.Time { return now }
		for _, step := range []struct {
			holder string
			after  time.Duration
			ok     bool
			fence  int64
		}{
			{"a", 0, true, 1},
			{"b", 0, false, 0},
			{"a", 30 * time.Second, true, 1}, // renewed: it is the same lease
			{"b", 59 * time.Second, false, 0},
			{"b", time.Second, true, 2}, // "a" was paused for too long
			{"a", 0, false, 0},
			{"b", 2 * time.Minute, true, 3}, // late itself: what it did before may be stale
		} {
			now = now.Add(step.after)
			fence, ok, err := s.lease(ctx, "job", step.holder, time.Minute)
			if err != nil || ok != step.ok || fence != step.fence {
				t.Errorf("Lease(%s) = %d, %v, %v, want %d, %v", step.holder, fence, ok, err, step.fence, step.ok)
			}
		}
		if err := s.Release(ctx, "job", "a"); err != nil {
			t.Fatal(err)
		}
		if _, ok, err := s.lease(ctx, "job", "a", time.Minute); ok || err != nil {
			t.Errorf("after somebody else's Release: %v, %v, want it still taken", ok, err)
		}
		if err := s.Release(ctx, "job", "b"); err != nil {
			t.Fatal(err)
		}
		if fence, ok, err := s.lease(ctx, "job", "a", time.Minute); !ok || fence != 4 || err != nil {
			t.Errorf("after its Release: %d, %v, %v, want fence 4", fence, ok, err)
		}
		if _, ok, err := s.lease(ctx, "another job", "c", time.Minute); !ok || err != nil {
			t.Errorf("another lease: %v, %v, want it free", ok, err)
		}
	})
}

// CK-01: a node whose clock was a year ahead and that is gone keeps no job from being done.
func TestALeaseFromTheFutureIsFree(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
		s.now = func() time.Time { return now.Add(365 * 24 * time.Hour) }
		if _, ok, err := s.lease(t.Context(), "job", "dead", time.Minute); !ok || err != nil {
			t.Fatal(ok, err)
		}
		s.now = func() time.Time { return now }
		if fence, ok, err := s.lease(t.Context(), "job", "a", time.Minute); fence != 2 || !ok || err != nil {
			t.Errorf("got %d, %v, %v, want it taken over under a new fence", fence, ok, err)
		}
		// One that a holder can have wanted is not.
		s.now = func() time.Time { return now.Add(-2*time.Minute - maxLead + time.Minute) }
		if _, ok, err := s.lease(t.Context(), "job", "b", time.Minute); ok || err != nil {
			t.Errorf("a good lease: %v, %v, want it kept", ok, err)
		}
	})
}

func TestALeaseIsTakenByOneOfMany(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		var won atomic.Int64
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				_, ok, err := s.lease(t.Context(), "job", fmt.Sprint(i), time.Hour)
				if err != nil {
					t.Error(err)
				}
				if ok {
					won.Add(1)
				}
			})
		}
		wg.Wait()
		if got := won.Load(); got != 1 {
			t.Errorf("%d hold the lease, want 1", got)
		}
	})
}
