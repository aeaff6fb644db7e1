package limit

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// Redis may fail between what an attempt asks the database for and its decision.
func TestRedisFailsWhileAnAttemptRuns(t *testing.T) {
	s := newSite(t)
	s.guesses(s.node(), "bob", "", 20) // counted in the database
	server := miniredis.RunT(t)
	s.redis = redis.NewClient(&redis.Options{Addr: server.Addr(), MaxRetries: -1})
	t.Cleanup(func() { s.redis.Close() })
	g := s.node()
	a, err := g.Begin(request(""), "bob", netip.MustParseAddr("192.0.2.1"))
	if err != nil {
		t.Fatal(err)
	}
	defer a.End()
	counters := a.Counters()
	g.shared.failed(errors.New("gone")) // by another request
	c, err := s.store.Claimant(t.Context(), "bob", counters)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := errors.AsType[*Blocked](a.Allow(t.Context(), c.Counters)); !ok {
		t.Error("the attempt got through, and nobody looked")
	}
}

// A guess each at a thousand made-up addresses leaves nothing behind that lasts.
func TestSingleGuessesAtManyAccountsAreForgotten(t *testing.T) {
	s := newSite(t)
	g := s.node()
	for i := range 1000 {
		from := netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1}).String()
		if _, err := s.guess(g, fmt.Sprint("nobody", i, "@example.com"), from, "", false); err != nil {
			t.Fatal(err)
		}
	}
	s.clock.add(11 * time.Minute)
	s.store.Sweep(t.Context(), 10_000)
	for i := range 1000 {
		var names []secret.Hash
		for _, b := range passwords.budgets {
			if b.of == ofAccount {
				names = append(names, g.name(b.window, fmt.Sprint("nobody", i, "@example.com")))
			}
		}
		if c, err := s.store.Claimant(t.Context(), "", names); err != nil || len(c.Counters) > 0 {
			t.Fatalf("of number %d: %v, %v", i, c.Counters, err)
		}
	}
}

// Bursts of failures at once, each of which began before another was counted, make
// patience run out as single ones do.
func TestPatienceRunsOutInBursts(t *testing.T) {
	s := newSite(t)
	total := 0
	for range 12 {
		g := s.node()
		var running []*Attempt
		for i := range 10 {
			a, err := g.Begin(request(""), "bob", netip.AddrFrom4([4]byte{10, 0, byte(i), 1}))
			if err != nil {
				break
			}
			c, err := s.store.Claimant(t.Context(), "bob", a.Counters())
			if err != nil {
				t.Fatal(err)
			}
			if a.Allow(t.Context(), c.Counters) != nil {
				a.End()
				break
			}
			running = append(running, a)
		}
		for _, a := range running {
			if err := a.Failed(t.Context(), uuid.Nil); err != nil {
				t.Fatal(err)
			}
			a.End()
			total++
		}
		s.clock.add(10 * time.Minute)
	}
	if total != 110 {
		t.Errorf("got %d in two hours, want a hundred and then ten an hour", total)
	}
}
