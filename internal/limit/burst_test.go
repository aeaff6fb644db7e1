package limit_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/limit"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// burst makes n attempts at once, in turn on all nodes. All that are compared are
// held until no more come, so that a count that is late would let too many through.
func (a *attack) burst(n, nodes int, begin func(g *limit.Guard, i int) (*limit.Attempt, error), right bool) (compared int64) {
	a.t.Helper()
	var count atomic.Int64
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			attempt, err := begin(a.nodes[i%nodes], i)
			if err == nil {
				defer attempt.End(a.t.Context())
				err = attempt.Reserve(a.t.Context(), nil)
			}
			switch _, blocked := errors.AsType[*limit.Blocked](err); {
			case err == nil && right:
				count.Add(1)
				attempt.Succeeded(a.t.Context())
			case err == nil:
				count.Add(1)
				if err := attempt.Failed(a.t.Context(), uuid.Nil); err != nil {
					a.t.Error(err)
				}
			case !blocked:
				a.t.Error(err)
			}
		})
	}
	wg.Wait()
	return count.Load()
}

func addressOf(i int) netip.Addr { return netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}) }

// A burst gets no further than single guesses, on one node, on two and on three.
func TestABurstOnSeveralNodesGetsNoFurther(t *testing.T) {
	everyStore(t, func(t *testing.T, a *attack) {
		for _, c := range []struct {
			name  string
			tries int
			most  int64
			begin func(g *limit.Guard, i int, round string) (*limit.Attempt, error)
		}{
			{"passwords for one account", 64, 10, func(g *limit.Guard, i int, round string) (*limit.Attempt, error) {
				return g.Begin("bob"+round, limit.Source{Address: addressOf(i)})
			}},
			{"passwords for made-up accounts from one address", 300, 20, func(g *limit.Guard, i int, round string) (*limit.Attempt, error) {
				return g.Begin(fmt.Sprint("nobody", i, round), limit.Source{Address: addressOf(5000 + len(round))})
			}},
			{"passwords from one IPv6 network", 100, 20, func(g *limit.Guard, i int, round string) (*limit.Attempt, error) {
				network := [16]byte{0x20, 1, 0xd, 0xb8, 0, 0, 0, byte(len(round)), 15: byte(i)}
				return g.Begin(fmt.Sprint("somebody", i, round), limit.Source{Address: netip.AddrFrom16(network)})
			}},
			{"codes of one account", 64, 20, func(g *limit.Guard, i int, round string) (*limit.Attempt, error) {
				return g.BeginCode("carol"+round, secret.HashOf(fmt.Sprint(i, round)), limit.Source{Address: addressOf(i + 1000)})
			}},
			{"codes of one half session", 64, 5, func(g *limit.Guard, i int, round string) (*limit.Attempt, error) {
				return g.BeginCode("dave"+round, secret.HashOf("half"+round), limit.Source{Address: addressOf(i + 2000)})
			}},
			{"codes from one address", 64, 20, func(g *limit.Guard, i int, round string) (*limit.Attempt, error) {
				return g.BeginCode(fmt.Sprint("erin", i, round), secret.HashOf(fmt.Sprint(i, "e", round)), limit.Source{Address: addressOf(6000 + len(round))})
			}},
		} {
			for nodes := 1; nodes <= len(a.nodes); nodes++ {
				round := fmt.Sprintf("%0*d", nodes, 0) // as long as the number of nodes
				begin := func(g *limit.Guard, i int) (*limit.Attempt, error) { return c.begin(g, i, c.name+round) }
				if got := a.burst(c.tries, nodes, begin, false); got != c.most {
					t.Errorf("%s, %d nodes: %d of %d are compared, want %d", c.name, nodes, got, c.tries, c.most)
				}
			}
		}
	})
}

// Right passwords at once all get through, however many nodes they come to.
func TestRightPasswordsAtOnceWaitForEachOther(t *testing.T) {
	everyStore(t, func(t *testing.T, a *attack) {
		begin := func(g *limit.Guard, i int) (*limit.Attempt, error) {
			return g.Begin("bob", limit.Source{Address: netip.MustParseAddr("192.0.2.1")})
		}
		if got := a.burst(24, 3, begin, true); got != 24 {
			t.Errorf("%d of 24 get through", got)
		}
	})
}

// Wrong secrets of a client are counted together, whatever node they come to.
func TestWrongSecretsOnSeveralNodesAreCountedTogether(t *testing.T) {
	everyStore(t, func(t *testing.T, a *attack) {
		var counted atomic.Int64
		var wg sync.WaitGroup
		for i := range 700 {
			wg.Go(func() {
				err := a.nodes[i%3].ClientFailure(context.Background(), "app")
				if err == nil {
					counted.Add(1)
				} else if _, ok := errors.AsType[*limit.Blocked](err); !ok {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if counted.Load() != 600 {
			t.Errorf("%d wrong secrets, want 600", counted.Load())
		}
	})
}

// An attempt that was not decided is given back: an error of ours is no wrong guess. One
// that never ended, as by a crash, counts until its window ends.
func TestOnlyWhatWasDecidedCounts(t *testing.T) {
	everyStore(t, func(t *testing.T, a *attack) {
		reserve := func(i int) *limit.Attempt {
			t.Helper()
			attempt, err := a.nodes[i%3].Begin("bob", limit.Source{Address: addressOf(i)})
			if err == nil {
				err = attempt.Reserve(t.Context(), nil)
			}
			if err != nil {
				t.Fatalf("%d: %v", i, err)
			}
			return attempt
		}
		for i := range 40 {
			reserve(i).End(t.Context())
		}
		for i := range 10 {
			reserve(i) // and the node is gone
		}
		fresh := a.node()
		refused := func() bool {
			attempt, err := fresh.Begin("bob", limit.Source{Address: addressOf(77)})
			if err != nil {
				return true
			}
			gone, cancel := context.WithCancel(t.Context())
			cancel()
			err = attempt.Reserve(gone, nil) // it would wait for one of them to end
			attempt.End(t.Context())
			return err != nil
		}
		if !refused() {
			t.Error("an attempt that never ended is forgotten")
		}
		a.pass(10 * time.Minute)
		if refused() {
			t.Error("it counts for longer than its window")
		}
	})
}

// The neighbours behind an address cannot refuse a device that is known to an account,
// and it has no more than its own budget there.
func TestAKnownDeviceIsNotRefusedForItsNeighbours(t *testing.T) {
	everyStore(t, func(t *testing.T, a *attack) {
		office := netip.MustParseAddr("192.0.2.1")
		_, device := a.password(0, "owner@example.com", "", office, true)
		_, device = a.code(0, "first", device, office, true)
		for i := range 30 { // passwords and codes share the address's minute
			a.password(i%3, fmt.Sprintf("nobody%d@example.com", i), "", office, false)
		}
		for _, what := range []limit.Request{limit.Registration, limit.Recovery} {
			for i := range 12 {
				_ = a.nodes[i%3].Take(t.Context(), what, fmt.Sprintf("nobody%d@example.com", i), limit.Source{Address: office})
			}
		}
		if ok, _ := a.password(1, "owner@example.com", "", office, true); ok {
			t.Error("an unknown device gets through")
		}
		if ok, _ := a.password(1, "another@example.com", device, office, true); ok {
			t.Error("a device gets through for an account that it is not known to")
		}
		if ok, _ := a.code(2, "second", device, office, true); !ok {
			t.Error("a known device is refused for a code")
		}
		ok, device := a.password(1, "owner@example.com", device, office, true)
		if !ok {
			t.Error("a known device is refused for a password")
		}
		source := func(device string) limit.Source { return a.source(device, office) }
		for _, what := range []limit.Request{limit.Registration, limit.Recovery} {
			if err := a.nodes[0].Take(t.Context(), what, "owner@example.com", source("")); err == nil {
				t.Error("an unknown device may ask for more")
			}
			if err := a.nodes[0].Take(t.Context(), what, "owner@example.com", source(device)); err != nil {
				t.Errorf("a known device: %v", err)
			}
			if err := a.nodes[0].Take(t.Context(), what, "another@example.com", source(device)); err == nil {
				t.Error("a device may ask for more about an account that it is not known to")
			}
		}
		compared := 0
		for range 15 {
			if ok, _ := a.password(0, "owner@example.com", device, office, false); ok {
				compared++
			}
		}
		if compared != 10 {
			t.Errorf("%d guesses from a known device, want 10", compared)
		}
		if n := a.spent(t, office); n > 0 {
			t.Errorf("a known device's guesses count %d for its neighbours", n)
		}
	})
}

// spent is by how much an address has fewer guesses than it had a minute ago.
func (a *attack) spent(t *testing.T, from netip.Addr) int {
	t.Helper()
	a.pass(time.Minute)
	for i := range 20 {
		if ok, _ := a.password(0, fmt.Sprintf("late%d@example.com", i), "", from, false); !ok {
			return 20 - i
		}
	}
	return 0
}
