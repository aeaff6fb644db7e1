package limit

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// LG-03: ten guesses in ten minutes, from however many addresses, on however many nodes.
func TestAnAccountBearsTenFailuresInTenMinutes(t *testing.T) {
	s := newSite(t)
	one, two := s.node(), s.node()
	if n, _ := s.guesses(one, "bob", "", 6); n != 6 {
		t.Fatalf("blocked after %d", n)
	}
	n, wait := s.guesses(two, "bob", "", 20)
	if n != 4 || wait != 10*time.Minute {
		t.Errorf("on another node: %d more, wait %v; want 4 and 10m", n, wait)
	}
	if n, _ := s.guesses(one, "bob", "", 1); n != 0 {
		t.Error("the first node does not know what the second one counted")
	}
	if n, _ := s.guesses(one, "alice", "", 1); n != 1 {
		t.Error("another account is blocked too")
	}
	s.clock.add(10*time.Minute - time.Second)
	if n, _ := s.guesses(two, "bob", "", 1); n != 0 {
		t.Error("free a second too early")
	}
	s.clock.add(time.Second)
	if n, _ := s.guesses(two, "bob", "", 20); n != 10 {
		t.Errorf("ten minutes later: %d guesses, want 10", n)
	}
}

// LG-03: after a hundred failures without a success, ten an hour.
func TestAHundredConsecutiveFailuresSlowGuessing(t *testing.T) {
	s := newSite(t)
	g := s.node()
	total := 0
	for range 10 {
		n, _ := s.guesses(g, "bob", "", 20)
		total += n
		s.clock.add(10 * time.Minute)
	}
	if total != 100 {
		t.Fatalf("got %d in the first hundred minutes, want 100", total)
	}
	total = 0
	for i := range 12 { // two hours
		n, wait := s.guesses(s.node(), "bob", "", 20)
		if left := time.Hour - time.Duration(i%6)*10*time.Minute; wait != left {
			t.Errorf("after %d more: wait %v, want %v", total, wait, left)
		}
		total += n
		s.clock.add(10 * time.Minute)
	}
	if total != 20 {
		t.Errorf("got %d in the next two hours, want 20", total)
	}
	// The owner is not locked out for good, and a success starts over.
	if _, err := s.guess(g, "bob", "192.0.2.1", "", true); err != nil {
		t.Fatal(err)
	}
	total = 0
	for range 6 {
		n, _ := s.guesses(g, "bob", "", 20)
		total += n
		s.clock.add(10 * time.Minute)
	}
	if total != 60 {
		t.Errorf("after a success: got %d in an hour, want 60", total)
	}
}

func TestASuccessForgetsTheAccountsFailuresOnEveryNode(t *testing.T) {
	s := newSite(t)
	one, two := s.node(), s.node()
	s.guesses(one, "bob", "", 9)
	if _, err := s.guess(two, "bob", "192.0.2.1", "", true); err != nil {
		t.Fatal(err)
	}
	if n, _ := s.guesses(one, "bob", "", 20); n != 10 {
		t.Errorf("got %d, want 10", n)
	}
}

// Only failures count: an office behind one address signs in all day.
func TestAddresses(t *testing.T) {
	s := newSite(t)
	g := s.node()
	for i := range 300 {
		if _, err := s.guess(g, string(rune('a'+i%26)), "192.0.2.1", "", true); err != nil {
			t.Fatalf("success %d: %v", i, err)
		}
	}
	tries := func(from string, most int) int {
		for i := range most {
			if _, err := s.guess(g, uuid.NewString(), from, "", false); err != nil {
				return i
			}
		}
		return most
	}
	if n := tries("192.0.2.1", 30); n != 20 {
		t.Errorf("in a minute: %d, want 20", n)
	}
	if _, err := s.guess(g, "bob", "192.0.2.1", "", true); err == nil {
		t.Error("a success gets through while the address is blocked: its failures would tell the right password")
	}
	if n := tries("192.0.2.2", 1); n != 1 {
		t.Error("the neighbour is blocked too")
	}
	tries("192.0.2.3", 19)
	if _, err := s.guess(g, "bob", "192.0.2.3", "", true); err != nil {
		t.Fatal(err)
	}
	if n := tries("192.0.2.3", 5); n != 1 {
		t.Errorf("after a success of its own account an attacker has %d guesses left, want 1", n)
	}
	total := 20
	for range 10 {
		s.clock.add(time.Minute)
		total += tries("192.0.2.1", 30)
	}
	if total != 100 {
		t.Errorf("in an hour: %d, want 100", total)
	}
	// A customer's line has a /64 at least, so one address is not one customer.
	if n := tries("2001:db8:0:1::1", 12) + tries("2001:db8:0:1:ffff::2", 12); n != 20 {
		t.Errorf("over one /64: %d, want 20", n)
	}
	if n := tries("2001:db8:0:2::1", 1); n != 1 {
		t.Error("the next /64 is blocked too")
	}
}

// Strangers cannot lock an owner out of a browser that was used before.
func TestAKnownBrowserHasABudgetOfItsOwn(t *testing.T) {
	s := newSite(t)
	g := s.node()
	device, err := s.guess(g, "bob", "192.0.2.1", "", true)
	if err != nil {
		t.Fatal(err)
	}
	s.guesses(g, "bob", "", 20)
	if _, err := s.guess(g, "bob", "192.0.2.1", "", true); err == nil {
		t.Error("an unknown browser gets through")
	}
	if _, err := s.guess(s.node(), "bob", "192.0.2.1", device, true); err != nil {
		t.Errorf("the owner's browser: %v", err)
	}
	if n, _ := s.guesses(g, "bob", "", 1); n != 0 {
		t.Error("the owner's success opened the account to strangers again")
	}
	if n, _ := s.guesses(g, "bob", device, 20); n != 10 {
		t.Errorf("from the known browser: %d guesses, want 10", n)
	}
}

// A device cookie is worth nothing for an account it was not made for, or when tampered with.
func TestDeviceCookies(t *testing.T) {
	s := newSite(t)
	g := s.node()
	mine, err := s.guess(g, "mallory", "192.0.2.1", "", true)
	if err != nil {
		t.Fatal(err)
	}
	s.guesses(g, "bob", "", 20)
	for name, device := range map[string]string{
		"another account's": mine,
		"flipped":           mine[:len(mine)-2] + "AA",
		"garbage":           "../../x",
		"huge":              mine + "." + mine + "." + mine + "." + mine,
		"token alone":       mine[:43],
	} {
		if _, err := s.guess(g, "bob", "192.0.2.1", device, true); err == nil {
			t.Errorf("%s: got through", name)
		}
	}
	both, err := s.guess(g, "alice", "192.0.2.1", mine, true)
	if err != nil {
		t.Fatal(err)
	}
	s.guesses(g, "mallory", "", 20)
	if _, err := s.guess(g, "mallory", "192.0.2.1", both, true); err != nil {
		t.Errorf("one browser, two accounts: %v", err)
	}
	for i := range 7 {
		if both, err = s.guess(g, string(rune('a'+i)), "192.0.2.1", both, true); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(both, "."); n != 6 {
		t.Errorf("the cookie has %d proofs, want those of the last 5 accounts and one for any", n)
	}
}

// A burst gets no further than single guesses, and right passwords at once all get through.
func TestBursts(t *testing.T) {
	s := newSite(t)
	g := s.node()
	var compared, refused atomic.Int64
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			_, err := s.guess(g, "bob", netip.AddrFrom4([4]byte{10, 0, byte(i), 1}).String(), "", false)
			if err == nil {
				compared.Add(1)
			} else if _, ok := errors.AsType[*Blocked](err); ok {
				refused.Add(1)
			} else {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if compared.Load() != 10 || refused.Load() != 54 {
		t.Errorf("compared %d, refused %d; want 10 and 54", compared.Load(), refused.Load())
	}
	for range 64 {
		wg.Go(func() {
			if _, err := s.guess(g, "alice", "192.0.2.1", "", true); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(g.running); n != 0 {
		t.Errorf("%d accounts are still thought to be busy", n)
	}
}

// A caller that closes the connection before the answer is counted all the same.
func TestHangingUpDoesNotHelp(t *testing.T) {
	s := newSite(t)
	g := s.node()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	a, err := g.Begin("bob", Source{Address: netip.MustParseAddr("192.0.2.1")})
	if err == nil {
		err = a.Reserve(gone, nil)
	}
	if err == nil {
		err = a.Failed(gone, uuid.Nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	a.End(gone)
	if n, _ := s.guesses(s.node(), "bob", "", 20); n != 9 {
		t.Errorf("%d guesses left, want 9", n)
	}
}

// As many attempts run at once as failures are left; the next one runs when one ends.
func TestAttemptsWaitForEachOther(t *testing.T) {
	s := newSite(t)
	one, two := s.node(), s.node()
	begin := func(g *Guard) *Attempt {
		a, err := g.Begin("bob", Source{Address: netip.MustParseAddr("192.0.2.1")})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	var running []*Attempt
	for n := range 10 {
		a := begin([]*Guard{one, two}[n%2])
		if err := a.Reserve(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		running = append(running, a)
	}
	for _, g := range []*Guard{one, two} {
		answer := make(chan error, 1)
		next := begin(g)
		go func() { answer <- next.Reserve(t.Context(), nil) }()
		running[0].End(t.Context()) // nothing was decided, so nothing counts
		if err := <-answer; err != nil {
			t.Errorf("it does not run when one has ended: %v", err)
		}
		running = append(running[1:], next)
	}
	if _, r := s.hold(one.name(passwords.budgets[0].window, "bob")); r != 10 {
		t.Errorf("%d attempts run, want 10", r)
	}
	for _, a := range running {
		if err := a.Failed(t.Context(), uuid.Nil); err != nil {
			t.Fatal(err)
		}
		a.End(t.Context())
	}
	if n, r := s.hold(one.name(passwords.budgets[0].window, "bob")); n != 10 || r != 0 {
		t.Errorf("%d failures and %d that run, want 10 and none", n, r)
	}
	if len(one.running)+len(two.running) != 0 {
		t.Error("the account is still thought to be busy")
	}
}

// An attempt that waits for others gives up in the end, and leaves nothing behind.
func TestAnAttemptDoesNotWaitForEver(t *testing.T) {
	s := newSite(t)
	g := s.node()
	synctest.Test(t, func(t *testing.T) {
		for range 10 {
			g.running[g.name(passwords.budgets[0].window, "bob")] = &inFlight{n: 10, wake: make(chan struct{})}
		}
		a, err := g.Begin("bob", Source{Address: netip.MustParseAddr("192.0.2.1")})
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := errors.AsType[*Blocked](a.Reserve(t.Context(), nil)); !ok {
			t.Error("it waits for ever")
		}
		a.End(t.Context())
	})
}

// A caller that is known to be blocked costs no query, and an operator's reset is seen soon.
func TestTheFront(t *testing.T) {
	s := newSite(t)
	g := s.node()
	s.guesses(g, "bob", "", 20)
	if err := g.shared.Forget(t.Context(), []secret.Hash{g.name(passwords.budgets[0].window, "bob")}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.guess(g, "bob", "192.0.2.1", "", true); err == nil {
		t.Error("the cache was not asked")
	}
	s.clock.add(cacheFor + time.Second)
	if _, err := s.guess(g, "bob", "192.0.2.1", "", true); err != nil {
		t.Errorf("after a reset and %v: %v", cacheFor, err)
	}
	s.guesses(g, "bob", "", 20)
	s.store.Close()
	if _, err := g.Begin("bob", Source{Address: netip.MustParseAddr("192.0.2.1")}); err == nil {
		t.Error("not refused at once")
	}
}

func TestClientSecrets(t *testing.T) {
	s := newSite(t)
	g := s.node()
	fails := func(g *Guard, client string, most int) int {
		for i := range most {
			err := g.ClientFailure(t.Context(), client)
			if blocked, ok := errors.AsType[*Blocked](err); ok {
				if blocked.RetryAfter != time.Minute {
					t.Errorf("wait %v, want 1m", blocked.RetryAfter)
				}
				return i
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		return most
	}
	if n := fails(g, "app", 1000); n != 600 {
		t.Errorf("got %d, want 600", n)
	}
	if g.ClientBlocked("app") == nil || g.ClientBlocked("other") != nil {
		t.Error("ClientBlocked differs from ClientFailure")
	}
	if n := fails(g, "other", 10); n != 10 {
		t.Errorf("another client: %d, want 10", n)
	}
	if n := fails(s.node(), "app", 1000); n != 0 {
		t.Errorf("on another node: %d more", n)
	}
	s.clock.add(time.Minute)
	if n := fails(g, "app", 10); n != 10 {
		t.Errorf("a minute later: %d, want 10", n)
	}
}

// FT-04: with Redis gone the database counts, and what was known here still holds.
func TestRedisAndItsAbsence(t *testing.T) {
	s := newSite(t)
	server := miniredis.RunT(t)
	s.redis = server.Addr()
	one, two := s.node(), s.node()
	s.guesses(one, "bob", "", 6)
	if n, wait := s.guesses(two, "bob", "", 20); n != 4 || wait != 10*time.Minute {
		t.Errorf("through Redis: %d more, wait %v; want 4 and 10m", n, wait)
	}
	if n, running := s.hold(one.name(passwords.budgets[0].window, "bob")); n != 0 || running != 0 {
		t.Errorf("the database counted as well: %d, %d", n, running)
	}
	if _, err := s.guess(one, "alice", "192.0.2.1", "", false); err != nil {
		t.Fatal(err)
	}
	if _, err := s.guess(one, "alice", "192.0.2.1", "", true); err != nil {
		t.Fatal(err)
	}
	server.FastForward(10 * time.Minute)
	s.clock.add(10 * time.Minute)
	server.Close()
	if n, _ := s.guesses(two, "bob", "", 20); n != 10 {
		t.Errorf("without Redis: %d, want 10", n)
	}
	if n, _ := s.guesses(one, "bob", "", 20); n != 0 {
		t.Errorf("on another node without Redis: %d, want 0", n)
	}
}
