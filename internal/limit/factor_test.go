package limit

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/device"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// codes types wrong ones until one is refused. Each goes with a new half session
// if session is "", and from an address of its own.
func (s *site) codes(g *Guard, account, session, device string, most int) (int, *Blocked) {
	s.t.Helper()
	for n := range most {
		challenge := session
		if session == "" {
			challenge = uuid.NewString()
		}
		from := netip.AddrFrom4([4]byte{10, byte(n >> 8), byte(n), 1})
		a, err := g.BeginCode(account, secret.HashOf(challenge), source(g, device, from))
		if err == nil {
			_, err = s.finish(a, false)
		}
		if blocked, ok := errors.AsType[*Blocked](err); ok {
			return n, blocked
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
	return most, nil
}

// Section 10: five wrong codes and the password has to be shown again, on whatever node.
func TestAHalfSessionBearsFiveWrongCodes(t *testing.T) {
	s := newSite(t)
	one, two := s.node(), s.node()
	if n, _ := s.codes(one, "bob", "half", "", 3); n != 3 {
		t.Fatalf("refused after %d", n)
	}
	n, blocked := s.codes(two, "bob", "half", "", 9)
	if n != 2 || blocked == nil || !blocked.Challenge {
		t.Errorf("on another node: %d more, then %+v; want 2 and that the half session is used up", n, blocked)
	}
	s.clock.add(23 * time.Hour)
	if n, blocked := s.codes(one, "bob", "half", "", 1); n != 0 || !blocked.Challenge {
		t.Errorf("waiting helped: %d, %+v", n, blocked)
	}
	if n, _ := s.codes(one, "bob", "another half", "", 1); n != 1 {
		t.Error("another half session is refused too")
	}
}

// The page ends the half session with the answer to the fifth wrong code.
func TestTheFifthWrongCodeExhausts(t *testing.T) {
	s := newSite(t)
	g := s.node()
	for n := 1; n <= 5; n++ {
		a, err := g.BeginCode("bob", secret.HashOf("half"), source(g, "", netip.MustParseAddr("192.0.2.1")))
		if err == nil {
			err = a.Reserve(t.Context(), nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Failed(t.Context(), uuid.Nil); err != nil {
			t.Fatal(err)
		}
		if a.Exhausted() != (n == 5) {
			t.Errorf("after wrong code %d: exhausted %v", n, a.Exhausted())
		}
		a.End(t.Context())
	}
}

// An attacker with the password can begin any number of sessions, so wrong codes are counted for the account:
// 20 a minute, and 10 an hour after 100.
func TestAnAccountBearsAHundredWrongCodes(t *testing.T) {
	s := newSite(t)
	g := s.node()
	total := 0
	for range 5 {
		n, blocked := s.codes(g, "bob", "", "", 50)
		if n != 20 || blocked.Challenge || blocked.RetryAfter <= 0 {
			t.Errorf("in a minute: %d, then %+v; want 20 and when to come again", n, blocked)
		}
		// A right password changes nothing about codes.
		if _, err := s.guess(g, "bob", "192.0.2.1", "", true); err != nil {
			t.Fatal(err)
		}
		total += n
		s.clock.add(time.Minute)
	}
	for range 12 { // two hours
		n, _ := s.codes(s.node(), "bob", "", "", 50)
		total += n
		s.clock.add(10 * time.Minute)
	}
	if total != 120 {
		t.Errorf("got %d in two hours, want 100 and 20", total)
	}
	if _, err := s.code(g, "bob", "owner", "", true); err != nil {
		t.Fatalf("the owner: %v", err)
	}
	if n, _ := s.codes(g, "bob", "", "", 50); n != 20 {
		t.Errorf("after a right code: %d in a minute, want 20", n)
	}
}

// The budget of a browser's own is for those that got through with a code. A
// stolen password earns device cookies without end, and they are worth none.
func TestAPasswordEarnsNoBudgetForCodes(t *testing.T) {
	s := newSite(t)
	g := s.node()
	owner, err := s.guess(g, "bob", "192.0.2.1", "", true)
	if err != nil {
		t.Fatal(err)
	}
	if owner, err = s.code(g, "bob", "owner", owner, true); err != nil {
		t.Fatal(err)
	}
	stolen, err := s.guess(g, "bob", "192.0.2.66", "", true)
	if err != nil {
		t.Fatal(err)
	}
	s.codes(g, "bob", "", "", 50)
	if n, _ := s.codes(g, "bob", "", stolen, 50); n != 0 {
		t.Errorf("a device cookie that the password earned: %d more wrong codes, want 0", n)
	}
	if _, err := s.code(s.node(), "bob", "later", owner, true); err != nil {
		t.Errorf("the owner's browser: %v", err)
	}
	// A password does not take the proof of the factor away.
	if owner, err = s.guess(g, "bob", "192.0.2.1", owner, true); err != nil {
		t.Fatal(err)
	}
	if _, err := s.code(g, "bob", "even later", owner, true); err != nil {
		t.Errorf("the owner's browser after another password: %v", err)
	}
}

// The notice of a sign-in from a new device asks what the browser has shown before.
func TestNewDevicesAreKnownAfterTheFirstSignIn(t *testing.T) {
	s := newSite(t)
	g := s.node()
	known := func(cookie string) (bool, bool, bool) {
		from := source(g, cookie, netip.MustParseAddr("192.0.2.1"))
		p, errP := g.Begin("bob", from)
		f, errF := g.BeginCode("bob", secret.HashOf("x"), from)
		if err := errors.Join(errP, errF); err != nil {
			t.Fatal(err)
		}
		return !g.Devices.KnownSince(from.Device, "bob", device.ByPassword).IsZero(), p.Known(), f.Known()
	}
	want := func(when, cookie string, any, password, factor bool) {
		t.Helper()
		if a, p, f := known(cookie); a != any || p != password || f != factor {
			t.Errorf("%s: known %v, for a password %v, for a code %v; want %v, %v, %v", when, a, p, f, any, password, factor)
		}
	}
	want("at first", "", false, false, false)
	cookie, err := s.guess(g, "bob", "192.0.2.1", "", true)
	if err != nil {
		t.Fatal(err)
	}
	want("after the password", cookie, true, true, false)
	if cookie, err = s.code(g, "bob", "half", cookie, true); err != nil {
		t.Fatal(err)
	}
	want("after the code", cookie, true, true, true)
	if strings.Count(cookie, ".") != 2 {
		t.Errorf("the cookie is %s, want one proof for one account and one for any", cookie)
	}
	want("after a passkey", g.Devices.Mark(g.Devices.Read(request("")), "bob", device.ByFactor), true, true, true)
	if !g.Devices.KnownSince(g.Devices.Read(request(cookie)), "alice", device.ByPassword).IsZero() ||
		!g.Devices.KnownSince(g.Devices.Read(request("garbage")), "bob", device.ByPassword).IsZero() {
		t.Error("a browser is known to an account it never signed in to")
	}
}

// A burst of codes gets no further than single ones, whichever way it is spread.
func TestBurstsOfCodes(t *testing.T) {
	s := newSite(t)
	g := s.node()
	burst := func(account string, session func(n int) string) int64 {
		var compared atomic.Int64
		var wg sync.WaitGroup
		for n := range 64 {
			wg.Go(func() {
				from := netip.AddrFrom4([4]byte{10, 0, byte(n), 1})
				a, err := g.BeginCode(account, secret.HashOf(session(n)), source(g, "", from))
				if err == nil {
					_, err = s.finish(a, false)
				}
				if err == nil {
					compared.Add(1)
				} else if _, ok := errors.AsType[*Blocked](err); !ok {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		return compared.Load()
	}
	if n := burst("bob", func(int) string { return "half" }); n != 5 {
		t.Errorf("one half session: %d codes were compared, want 5", n)
	}
	if n := burst("alice", func(n int) string { return fmt.Sprint(n) }); n != 20 {
		t.Errorf("many half sessions: %d codes were compared, want 20", n)
	}
	if n := len(g.running); n != 0 {
		t.Errorf("%d budgets are still thought to be busy", n)
	}
}
