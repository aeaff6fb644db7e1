package storage

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// running are the counters that a sign-in of a stranger would see.
func running(t *testing.T, s *Store, hashes ...secret.Hash) map[secret.Hash]int64 {
	t.Helper()
	var add []Counter
	for _, h := range hashes {
		add = append(add, Counter{Hash: h, ExpiresAt: s.clock()})
	}
	c, err := s.LoginRecord(t.Context(), "nobody@example.com", add)
	if err != nil {
		t.Fatal(err)
	}
	out := map[secret.Hash]int64{}
	for _, n := range c.Counters {
		if n.N > 0 {
			out[n.Hash] = n.N
		}
	}
	return out
}

func TestACounterRunsFromItsFirstCountToItsEnd(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		clock := stopClock(s)
		a, b := browserOf("a"), browserOf("b")
		end := clock.t.Add(10 * time.Minute)
		add := func(n int64, hashes ...secret.Hash) []Counter {
			t.Helper()
			var all []Counter
			for _, h := range hashes {
				all = append(all, Counter{Hash: h, N: n, ExpiresAt: clock.t.Add(10 * time.Minute)})
			}
			got, err := s.Count(t.Context(), all)
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		add(1, a, b)
		clock.add(9 * time.Minute)
		for _, c := range add(2, a) {
			if c.Hash != a || c.N != 3 || !c.ExpiresAt.Equal(end) {
				t.Errorf("got %+v, want 3 until %v: later counts must not move the end", c, end)
			}
		}
		if got := running(t, s, a, b); got[a] != 3 || got[b] != 1 {
			t.Errorf("got %v", got)
		}
		clock.add(time.Minute)
		if got := running(t, s, a, b); len(got) != 0 {
			t.Errorf("after the end: got %v", got)
		}
		if got := add(1, a); got[0].N != 1 || !got[0].ExpiresAt.Equal(clock.t.Add(10*time.Minute)) {
			t.Errorf("a new window: got %+v", got[0])
		}
		add(Forget, a, b)
		if got := running(t, s, a, b); len(got) != 0 {
			t.Errorf("after a reset: got %v", got)
		}
	})
}

// Two nodes count the same things in another order: nothing is lost and nobody waits for ever.
func TestCountsOfSeveralNodesAddUp(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		clock := stopClock(s)
		a, b := browserOf("a"), browserOf("b")
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				both := []Counter{{Hash: a, N: 1, ExpiresAt: clock.t.Add(time.Hour)}, {Hash: b, N: 1, ExpiresAt: clock.t.Add(time.Hour)}}
				if i%2 == 0 {
					both[0], both[1] = both[1], both[0]
				}
				if _, err := s.Count(context.Background(), both); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := running(t, s, a, b); got[a] != 20 || got[b] != 20 {
			t.Errorf("got %v, want 20 each", got)
		}
	})
}

func TestClaimant(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		clock := stopClock(s)
		user := guest(t, s)
		address := user.String() + "@example.com"
		full := []secret.Hash{browserOf("1"), browserOf("2"), browserOf("3"), browserOf("4"), browserOf("5")}
		var all []Counter
		for _, h := range full {
			all = append(all, Counter{Hash: h, N: 7, ExpiresAt: clock.t.Add(time.Hour)})
		}
		for _, add := range [][]Counter{nil, all[:2], all} {
			got, err := s.LoginRecord(t.Context(), address, add)
			if err != nil {
				t.Fatal(err)
			}
			if got.User.ID != user || got.PasswordHash != "phc" || len(got.Counters) != len(add) {
				t.Errorf("%d counters: got person %v, hash %q, %d counters", len(add), got.User.ID, got.PasswordHash, len(got.Counters))
			}
		}
		behind(t, s, `DELETE FROM passwords`)
		behind(t, s, `UPDATE users SET disabled_at = 1`)
		got, err := s.LoginRecord(t.Context(), address, all)
		if err != nil {
			t.Fatal(err)
		}
		if got.PasswordHash != "" || got.User.Active() || got.User.ID != user {
			t.Errorf("a disabled person without a password: got %+v", got)
		}
		if got, err := s.LoginRecord(t.Context(), "nobody@example.com", all); err != nil || got.User.Sub != uuid.Nil || len(got.Counters) != 5 {
			t.Errorf("nobody: got %+v, %v", got, err)
		}
	})
}

// Running attempts are counted apart from failures and move no window, and neither count falls below zero.
func TestWhatRunsIsCountedApart(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		clock := stopClock(s)
		h := browserOf("a")
		add := func(n, running int64, length time.Duration) Counter {
			t.Helper()
			c, err := s.LoginRecord(t.Context(), "nobody@example.com", []Counter{{Hash: h, N: n, Running: running, ExpiresAt: clock.t.Add(length)}})
			if err != nil {
				t.Fatal(err)
			}
			return c.Counters[0]
		}
		want := func(when string, got Counter, n, running int64, left time.Duration) {
			t.Helper()
			if got.N != n || got.Running != running || !got.ExpiresAt.Equal(clock.t.Add(left)) {
				t.Errorf("%s: got %d and %d running for %v, want %d and %d for %v", when, got.N, got.Running, got.ExpiresAt.Sub(clock.t), n, running, left)
			}
		}
		want("two begin", add(0, 2, time.Hour), 0, 2, time.Hour)
		clock.add(10 * time.Minute)
		want("one fails", add(1, -1, time.Hour), 1, 1, time.Hour)
		clock.add(10 * time.Minute)
		want("one begins", add(0, 1, time.Hour), 1, 2, 50*time.Minute)
		want("one succeeds", add(Forget, -1, 0), 0, 1, 50*time.Minute)
		want("one is given back", add(0, -1, 0), 0, 0, 0)
		want("once more", add(0, -1, time.Hour), 0, 0, time.Hour)
	})
}
