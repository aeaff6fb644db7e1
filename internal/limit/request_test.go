package limit

import (
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// Section 10: registrations and recoveries are counted for the address, on all nodes.
func TestRequestsOfAnAddress(t *testing.T) {
	for _, withRedis := range []bool{false, true} {
		s := newSite(t)
		if withRedis {
			s.redis = miniredis.RunT(t).Addr()
		}
		one, two := s.node(), s.node()
		takes := func(g *Guard, what Request, from string) int {
			for n := range 20 {
				err := g.Take(t.Context(), what, "bob", Source{Address: netip.MustParseAddr(from)})
				if blocked, ok := errors.AsType[*Blocked](err); ok {
					if blocked.RetryAfter <= 0 || blocked.RetryAfter > time.Minute {
						t.Errorf("wait %v, want a minute at most", blocked.RetryAfter)
					}
					return n
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			return 20
		}
		if n := takes(one, Registration, "192.0.2.1"); n != 10 {
			t.Errorf("redis %v: %d registrations in a minute, want 10", withRedis, n)
		}
		if n := takes(two, Registration, "192.0.2.1"); n != 0 {
			t.Errorf("redis %v: %d more on another node", withRedis, n)
		}
		if n := takes(two, Recovery, "192.0.2.1"); n != 5 {
			t.Errorf("redis %v: %d recoveries in a minute, want 5", withRedis, n)
		}
		if n := takes(one, Recovery, "2001:db8::1") + takes(one, Recovery, "2001:db8::ffff:2"); n != 5 {
			t.Errorf("redis %v: %d recoveries of one /64, want 5", withRedis, n)
		}
		if withRedis {
			continue // whose clock is its own
		}
		s.clock.add(time.Minute)
		if n := takes(two, Registration, "192.0.2.1"); n != 10 {
			t.Errorf("a minute later: %d, want 10", n)
		}
	}
}

// A burst of requests gets no further than single ones.
func TestBurstsOfRequests(t *testing.T) {
	s := newSite(t)
	nodes := []*Guard{s.node(), s.node()}
	var taken atomic.Int64
	var wg sync.WaitGroup
	for n := range 32 {
		wg.Go(func() {
			if nodes[n%2].Take(t.Context(), Recovery, "bob", Source{Address: netip.MustParseAddr("192.0.2.1")}) == nil {
				taken.Add(1)
			}
		})
	}
	wg.Wait()
	if taken.Load() != 5 {
		t.Errorf("%d requests at once, want 5", taken.Load())
	}
}

// RS-06: no mailbox gets more than five mails of a kind an hour, wherever they are asked for.
func TestMailboxesAreNotFlooded(t *testing.T) {
	s := newSite(t)
	one, two := s.node(), s.node()
	mails := func(g *Guard, kind, to string) (sent int) {
		for range 1000 {
			wait, err := g.TakeMailbox(t.Context(), kind, to)
			if err != nil {
				t.Fatal(err)
			}
			if wait == 0 {
				sent++
			}
		}
		return sent
	}
	if n := mails(one, "reset", "bob@example.com"); n != 5 {
		t.Errorf("%d mails in an hour, want 5", n)
	}
	if n := mails(two, "reset", "bob@example.com"); n != 0 {
		t.Errorf("%d more on another node", n)
	}
	if n := mails(two, "verify", "bob@example.com") + mails(two, "reset", "alice@example.com"); n != 10 {
		t.Errorf("another kind and another mailbox get %d, want 5 each", n)
	}
	s.clock.add(time.Hour)
	if n := mails(one, "reset", "bob@example.com"); n != 5 {
		t.Errorf("an hour later: %d, want 5", n)
	}
}

// `sallyport admin unlock`: the account's failures are forgotten, at once here and soon elsewhere.
func TestUnlock(t *testing.T) {
	s := newSite(t)
	one, two := s.node(), s.node()
	for range 11 { // until the limit of consecutive failures is reached
		s.guesses(one, "bob", "", 20)
		s.clock.add(10 * time.Minute)
	}
	s.guesses(one, "bob", "", 20)
	s.codes(one, "bob", "", "", 50)
	s.guesses(two, "bob", "", 1)
	if err := one.Unlock(t.Context(), "bob"); err != nil {
		t.Fatal(err)
	}
	if n, _ := s.guesses(one, "bob", "", 20); n != 10 {
		t.Errorf("%d guesses, want 10", n)
	}
	if n, _ := s.codes(one, "bob", "", "", 50); n != 20 {
		t.Errorf("%d codes, want 20", n)
	}
	if err := one.Unlock(t.Context(), "bob"); err != nil {
		t.Fatal(err)
	}
	s.clock.add(cacheFor + time.Second)
	if n, _ := s.guesses(two, "bob", "", 20); n != 10 {
		t.Errorf("on another node: %d guesses, want 10", n)
	}
}
