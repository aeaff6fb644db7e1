package limit

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

const (
	// maxWait is how long an attempt waits while others on the same account run.
	maxWait = 5 * time.Second
	// countTimeout bounds the statement that counts a failure. It does not end with
	// the request: who hangs up early is counted too.
	countTimeout = 5 * time.Second
)

// The places of an attempt's counters.
const (
	ofShort = iota
	ofPatience
	ofLong
	ofMinute
	ofHour
	counters
)

// Attempt is one sign-in with a password. It belongs to one goroutine.
type Attempt struct {
	g       *Guard
	names   [counters]secret.Hash
	account string
	address netip.Addr
	browser string // device token, "" if the browser has none
	devices []string
	since   uint64
	flying  bool
}

// flight counts the attempts on one account that run, and wakes those that wait
// when one ends.
type flight struct {
	n    int64
	wake chan struct{}
}

// Begin starts an attempt on the account with that folded address, or whatever
// else stands for what was typed. *Blocked if this process knows that it must
// wait. End must be called.
func (g *Guard) Begin(r *http.Request, account string, address netip.Addr) (*Attempt, error) {
	a := &Attempt{g: g, account: account, address: address}
	a.browser, a.devices = g.device.read(r)
	subject := []string{account}
	if g.device.knows(a.browser, a.devices, account) {
		subject = []string{account, a.browser}
	}
	from := prefix(address)
	a.names = [counters]secret.Hash{
		ofShort: g.name(accountShort, subject...), ofPatience: g.name(patience, subject...), ofLong: g.name(accountLong, subject...),
		ofMinute: g.name(addressMinute, from), ofHour: g.name(addressHour, from),
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	a.since = g.seq
	now := g.now()
	if err := a.blocked(now, now.Add(-trustFront)); err != nil {
		g.tally.throttled(uuid.Nil, address, now)
		return nil, err
	}
	return a, nil
}

// Counters are what storage.Claimant is to read for this attempt; nil if Redis keeps them.
func (a *Attempt) Counters() []secret.Hash {
	if a.g.shared.useRedis() {
		return nil
	}
	return a.names[:]
}

// Allow decides with what Counters found. *Blocked if the attempt must wait
// longer than a request can.
func (a *Attempt) Allow(ctx context.Context, seen []storage.Counter) error {
	g := a.g
	if g.shared.useRedis() {
		var err error
		if seen, err = g.shared.read(ctx, a.names[:]); err != nil {
			return err
		}
	}
	timeout := time.NewTimer(maxWait)
	defer timeout.Stop()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.learn(a.since, a.names[:], seen, g.now())
	for {
		now := g.now()
		if err := a.blocked(now, time.Time{}); err != nil {
			g.tally.throttled(uuid.Nil, a.address, now)
			return err
		}
		f := g.flights[a.names[ofShort]]
		if f == nil {
			f = &flight{wake: make(chan struct{})}
			g.flights[a.names[ofShort]] = f
		}
		if f.n < a.free(now) {
			f.n++
			a.flying = true
			return nil
		}
		wake := f.wake
		g.mu.Unlock()
		err := wait(ctx, wake, timeout.C)
		g.mu.Lock()
		if err != nil {
			return err
		}
	}
}

func wait(ctx context.Context, wake <-chan struct{}, timeout <-chan time.Time) error {
	select {
	case <-wake:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timeout:
		return &Blocked{RetryAfter: time.Second}
	}
}

// blocked says whether a budget is used up, as far as the front has seen it since
// then. g.mu is held.
func (a *Attempt) blocked(now, since time.Time) error {
	var wait time.Duration
	for place, w := range a.windows(now) {
		left, k := a.g.left(w, a.names[place], now)
		if left <= 0 && !k.seenAt.Before(since) {
			wait = max(wait, k.expires.Sub(now))
		}
	}
	if wait > 0 {
		return &Blocked{RetryAfter: wait}
	}
	return nil
}

// free is how many attempts on the account may run at once. g.mu is held.
func (a *Attempt) free(now time.Time) int64 {
	free, _ := a.g.left(accountShort, a.names[ofShort], now)
	if a.impatient(now) {
		long, _ := a.g.left(accountLong, a.names[ofLong], now)
		free = min(free, long)
	}
	return free
}

// impatient: there were so many failures without a success that the account's
// budget is the one for an hour. g.mu is held.
func (a *Attempt) impatient(now time.Time) bool {
	left, _ := a.g.left(patience, a.names[ofPatience], now)
	return left <= 0
}

// windows are those that can block. g.mu is held.
func (a *Attempt) windows(now time.Time) map[int]window {
	all := map[int]window{ofShort: accountShort, ofMinute: addressMinute, ofHour: addressHour}
	if a.impatient(now) {
		all[ofLong] = accountLong
	}
	return all
}

// Failed counts a failure of what was tried on the person, uuid.Nil if there is
// none. It counts even if the caller has hung up.
func (a *Attempt) Failed(ctx context.Context, person uuid.UUID) error {
	g := a.g
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), countTimeout)
	defer cancel()
	now := g.now()
	one := func(place int, w window) storage.Counter {
		return storage.Counter{Hash: a.names[place], N: 1, ExpiresAt: now.Add(w.length)}
	}
	add := []storage.Counter{one(ofShort, accountShort), one(ofPatience, patience), one(ofMinute, addressMinute), one(ofHour, addressHour)}
	g.mu.Lock()
	if a.impatient(now) {
		add = append(add, one(ofLong, accountLong))
	}
	g.mu.Unlock()
	seen, err := g.shared.count(ctx, add)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tally.failed(person, a.address, now)
	g.raise(seen, now)
	return err
}

// Succeeded forgets the account's failures, but not the address's, and gives the
// browser a budget of its own for this account.
func (a *Attempt) Succeeded(ctx context.Context, w http.ResponseWriter) {
	g := a.g
	g.device.remember(w, a.browser, a.devices, a.account)
	own := a.names[:ofLong+1]
	now := g.now()
	g.mu.Lock()
	failures := int64(0)
	for _, h := range own {
		k, _ := g.front.Get(h)
		failures += k.running(now)
	}
	g.mu.Unlock()
	if failures == 0 {
		return
	}
	if err := g.shared.reset(ctx, own); err != nil {
		g.log.Warn("the failures before a sign-in still count", "error", err)
	}
}

// End lets the next attempt on the account run.
func (a *Attempt) End() {
	g := a.g
	g.mu.Lock()
	defer g.mu.Unlock()
	if !a.flying {
		return
	}
	a.flying = false
	f := g.flights[a.names[ofShort]]
	f.n--
	close(f.wake)
	f.wake = make(chan struct{})
	if f.n == 0 {
		delete(g.flights, a.names[ofShort]) // those that wait make a new one
	}
}

// prefix is what counts as one address: a customer's IPv6 line has a /64 at least.
func prefix(addr netip.Addr) string {
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		return netip.PrefixFrom(addr, 64).Masked().String()
	}
	return addr.String()
}
