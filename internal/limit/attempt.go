package limit

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
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

// flight counts the attempts on one budget that run, and wakes those that wait
// when one ends.
type flight struct {
	n    int64
	wake chan struct{}
}

// Attempt is one sign-in with a password, or one code of a second factor. It
// belongs to one goroutine.
type Attempt struct {
	g         *Guard
	kind      *kind
	names     []secret.Hash // of the counters, in the order of kind.budgets
	account   string
	address   netip.Addr
	challenge secret.Hash
	browser   string // device token, "" if the browser has none
	devices   []string
	earned    time.Time // when this browser last got through such an attempt; zero if never
	renamed   bool      // names are not those that Counters gave
	since     uint64
	flying    bool
	// redis is where the counters were to be read when the attempt began. That may
	// change meanwhile, but what was read must be what is decided by.
	redis bool
}

// Begin starts an attempt on the account with that folded address, or whatever
// else stands for what was typed. *Blocked if this process knows that it must
// wait. End must be called.
func (g *Guard) Begin(r *http.Request, account string, address netip.Addr) (*Attempt, error) {
	return g.begin(r, &passwords, account, secret.Hash{}, address)
}

// BeginFactor starts an attempt with a code of a second factor on the account with
// that folded address. challenge stands for what the first factor earned and five
// wrong codes use up: the hash of the half session's token. *Blocked as for Begin;
// its Challenge tells that another first factor is needed. End must be called.
func (g *Guard) BeginFactor(r *http.Request, account string, challenge secret.Hash, address netip.Addr) (*Attempt, error) {
	return g.begin(r, &factors, account, challenge, address)
}

func (g *Guard) begin(r *http.Request, k *kind, account string, challenge secret.Hash, address netip.Addr) (*Attempt, error) {
	a := &Attempt{g: g, kind: k, account: account, address: address, redis: g.shared.useRedis()}
	a.browser, a.devices = g.device.read(r)
	a.earned = g.device.knows(a.browser, a.devices, account, k.proof)
	a.challenge = challenge
	a.nameCounters()
	g.mu.Lock()
	defer g.mu.Unlock()
	a.since = g.seq
	now := g.now()
	if err := a.blocked(now, now.Add(-trustFront)); err != nil {
		g.tally.throttled(a.failing(uuid.Nil), address, now)
		return nil, err
	}
	return a, nil
}

// nameCounters picks the counters: the device's own where it is known.
func (a *Attempt) nameCounters() {
	subject := []string{a.account}
	if a.Known() {
		subject = []string{a.account, a.browser}
	}
	a.names = nil
	for _, b := range a.kind.budgets {
		switch b.of {
		case ofAccount:
			a.names = append(a.names, a.g.name(b.window, subject...))
		case ofAddress:
			a.names = append(a.names, a.g.name(b.window, prefix(a.address)))
		case ofChallenge:
			a.names = append(a.names, a.g.name(b.window, a.challenge.String()))
		}
	}
}

// failing is what the audit log is told of this attempt's failures.
func (a *Attempt) failing(person uuid.UUID) failing {
	return failing{event: a.kind.event, user: person}
}

// Known reports whether this browser got through such an attempt on the account
// before: with a password, or for a code with a second factor. If not, this is a
// new device.
func (a *Attempt) Known() bool { return !a.earned.IsZero() }

// Since tells, before Allow, from when on getting through counts: whoever had the
// account's last password, or its last owner, keeps no budget of their own with it,
// and is a new device.
func (a *Attempt) Since(changed time.Time) {
	if !a.Known() || !a.earned.Before(changed) {
		return
	}
	a.earned, a.devices, a.renamed = time.Time{}, a.without(), true
	a.nameCounters()
}

// without is the device's cookie without what it earned on this account.
func (a *Attempt) without() []string {
	return slices.DeleteFunc(slices.Clone(a.devices), func(e string) bool {
		return !a.g.device.knows(a.browser, []string{e}, a.account, byPassword).IsZero()
	})
}

// Counters are what storage.Claimant is to read for this attempt; nil if Redis keeps
// them: then Allow reads them itself.
func (a *Attempt) Counters() []secret.Hash {
	if a.redis {
		return nil
	}
	return a.names
}

// Allow decides with what Counters found. *Blocked if the attempt must wait
// longer than a request can.
func (a *Attempt) Allow(ctx context.Context, seen []storage.Counter) error {
	if a.redis || a.renamed {
		return a.AllowAlone(ctx)
	}
	return a.decide(ctx, seen)
}

// AllowAlone is Allow where no person is read that the counters could come with.
func (a *Attempt) AllowAlone(ctx context.Context) error {
	seen, err := a.g.shared.read(ctx, a.names) // of Redis, or of the database if that has failed since
	if err != nil {
		return err
	}
	return a.decide(ctx, seen)
}

func (a *Attempt) decide(ctx context.Context, seen []storage.Counter) error {
	g := a.g
	timeout := time.NewTimer(maxWait)
	defer timeout.Stop()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.learn(a.since, a.names, seen, g.now())
	for {
		now := g.now()
		if err := a.blocked(now, time.Time{}); err != nil {
			g.tally.throttled(a.failing(uuid.Nil), a.address, now)
			return err
		}
		full := a.full(now)
		if full == nil {
			a.fly()
			return nil
		}
		wake := full.wake
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
	var b *Blocked
	for place, budget := range a.kind.budgets {
		left, k := a.g.left(budget.window, a.names[place], now)
		if !a.blocks(budget, now) || left > 0 || k.seenAt.Before(since) {
			continue
		}
		if b == nil {
			b = &Blocked{RetryAfter: time.Second}
		}
		if budget.of == ofChallenge {
			b.Challenge = true // waiting does not help
		} else {
			b.RetryAfter = max(b.RetryAfter, k.expires.Sub(now))
		}
	}
	if b != nil {
		return b
	}
	return nil
}

// blocks reports whether a budget can refuse this attempt. g.mu is held.
func (a *Attempt) blocks(b budget, now time.Time) bool {
	switch b.rule {
	case counts:
		return false
	case blocksLate:
		return a.impatient(now)
	}
	return true
}

// impatient: there were so many failures without a success that the account's
// budget is the one for an hour. g.mu is held.
func (a *Attempt) impatient(now time.Time) bool {
	for place, b := range a.kind.budgets {
		if b.rule == counts {
			left, _ := a.g.left(b.window, a.names[place], now)
			return left <= 0
		}
	}
	return false
}

// full is a flight in which no other attempt has room: there run as many as
// failures are left. g.mu is held.
func (a *Attempt) full(now time.Time) *flight {
	for place, b := range a.kind.budgets {
		left, _ := a.g.left(b.window, a.names[place], now)
		if f := a.g.flights[a.names[place]]; f != nil && b.of != ofAddress && a.blocks(b, now) && f.n >= left {
			return f
		}
	}
	return nil
}

// fly counts the attempt among those that run. g.mu is held.
func (a *Attempt) fly() {
	a.flying = true
	for place, b := range a.kind.budgets {
		if b.of == ofAddress {
			continue
		}
		f := a.g.flights[a.names[place]]
		if f == nil {
			f = &flight{wake: make(chan struct{})}
			a.g.flights[a.names[place]] = f
		}
		f.n++
	}
}

// Failed counts a failure of what was tried on the person, uuid.Nil if there is
// none. It counts even if the caller has hung up.
func (a *Attempt) Failed(ctx context.Context, person uuid.UUID) error {
	g := a.g
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), countTimeout)
	defer cancel()
	now := g.now()
	var add, patient []storage.Counter
	g.mu.Lock()
	for place, b := range a.kind.budgets {
		c := storage.Counter{Hash: a.names[place], N: 1, ExpiresAt: now.Add(b.length)}
		k, _ := g.front.Peek(c.Hash)
		switch {
		case b.rule == blocksLate && !a.impatient(now):
		case b.later && k.running(now) == 0:
			patient = append(patient, c)
		default:
			add = append(add, c)
		}
	}
	g.mu.Unlock()
	seen, err := g.shared.count(ctx, add)
	if more := a.second(seen, patient); err == nil && len(more) > 0 {
		var begun []storage.Counter
		begun, err = g.shared.count(ctx, more)
		seen = append(seen, begun...)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tally.failed(a.failing(person), a.address, now)
	g.raise(seen, now)
	return err
}

// second is what begins to be counted because this failure was not the only one in
// the account's window: the second counts for the first too. seen is what the
// shared counter said, so that of failures at once each has its number.
func (a *Attempt) second(seen, patient []storage.Counter) []storage.Counter {
	var n int64
	for _, c := range seen {
		if c.Hash == a.names[0] {
			n = c.N
		}
	}
	if n < 2 {
		return nil
	}
	for i := range patient {
		if n == 2 {
			patient[i].N = 2
		}
	}
	return patient
}

// Exhausted reports whether the challenge bears no more wrong codes: what the
// first factor earned is used up, and the half session is to end.
func (a *Attempt) Exhausted() bool {
	g := a.g
	g.mu.Lock()
	defer g.mu.Unlock()
	for place, b := range a.kind.budgets {
		if left, _ := g.left(b.window, a.names[place], g.now()); b.of == ofChallenge && left <= 0 {
			return true
		}
	}
	return false
}

// Succeeded forgets the account's failures, but not the address's, and gives the
// browser a budget of its own for this account.
func (a *Attempt) Succeeded(ctx context.Context, w http.ResponseWriter) {
	g := a.g
	now, proof := g.now(), a.kind.proof
	if !g.device.knows(a.browser, a.devices, a.account, byFactor).IsZero() {
		proof = byFactor // is not lost to a password
	}
	g.device.remember(w, a.browser, a.devices, a.account, proof, now)
	var own []secret.Hash
	failures := int64(0)
	g.mu.Lock()
	for place, b := range a.kind.budgets {
		if b.of != ofAddress {
			k, _ := g.front.Get(a.names[place])
			own, failures = append(own, a.names[place]), failures+k.running(now)
		}
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
	for place, b := range a.kind.budgets {
		if b.of == ofAddress {
			continue
		}
		f := g.flights[a.names[place]]
		f.n--
		close(f.wake)
		f.wake = make(chan struct{})
		if f.n == 0 {
			delete(g.flights, a.names[place]) // those that wait look again
		}
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
