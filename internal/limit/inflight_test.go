package limit

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

// Redis may fail between the reservation of an attempt and its end.
func TestRedisFailsWhileAnAttemptRuns(t *testing.T) {
	for _, right := range []bool{false, true} {
		s := newSite(t)
		server := miniredis.RunT(t)
		s.redis = server.Addr()
		g := s.node()
		a, err := g.Begin("bob", Source{Address: netip.MustParseAddr("192.0.2.1")})
		if err == nil {
			err = a.Reserve(t.Context(), s.read("bob"))
		}
		if err != nil {
			t.Fatal(err)
		}
		server.Close()
		want := int64(1)
		if right {
			a.Succeeded(t.Context())
			want = 0
		} else if err := a.Failed(t.Context(), uuid.Nil); err != nil {
			t.Fatal(err)
		}
		a.End(t.Context())
		if n, running := s.hold(g.name(passwords.budgets[0].window, "bob")); n != want || running != 0 {
			t.Errorf("right %v: the database holds %d failures and %d that run, want %d and none", right, n, running, want)
		}
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
	if err := (&storage.Sweeper{Store: s.store, Pace: storage.Pace{Rest: storage.Hurry}}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		var names []secret.Hash
		for _, b := range passwords.budgets {
			if b.of == ofAccount {
				names = append(names, g.name(b.window, fmt.Sprint("nobody", i, "@example.com")))
			}
		}
		if n, running := s.hold(names...); n != 0 || running != 0 {
			t.Fatalf("of number %d: %d failures, %d that run", i, n, running)
		}
	}
}

// Bursts of failures at once, each of which began before another was counted, reach
// the limit of consecutive failures as single ones do.
func TestBurstsReachTheConsecutiveLimit(t *testing.T) {
	s := newSite(t)
	total := 0
	for range 12 {
		g := s.node()
		var running []*Attempt
		for i := range 10 {
			a, err := g.Begin("bob", Source{Address: netip.AddrFrom4([4]byte{10, 0, byte(i), 1})})
			if err != nil {
				break
			}
			if a.Reserve(t.Context(), s.read("bob")) != nil {
				a.End(t.Context())
				break
			}
			running = append(running, a)
		}
		for _, a := range running {
			if err := a.Failed(t.Context(), uuid.Nil); err != nil {
				t.Fatal(err)
			}
			a.End(t.Context())
			total++
		}
		s.clock.add(10 * time.Minute)
	}
	if total != 110 {
		t.Errorf("got %d in two hours, want a hundred and then ten an hour", total)
	}
}
