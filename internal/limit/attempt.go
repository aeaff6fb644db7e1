package limit

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/device"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/tally"
	"github.com/sallyport-id/sallyport/storage"
)

const (
	// maxWait is how long an attempt waits while others on the same budget run.
	maxWait = 5 * time.Second
	// pollInterval is when an attempt looks again that waits for those of other nodes.
	pollInterval = 100 * time.Millisecond
)

// Source is where a request comes from: its address and its device cookie.
type Source struct {
	Address netip.Addr
	Device  device.Device
}

// inFlight counts the attempts on one budget that run in this process, and wakes those
// that wait when one ends.
type inFlight struct {
	n    int64
	wake chan struct{}
}

// counted is one budget that an attempt is counted in.
type counted struct {
	budget
	hash secret.Hash
	seen storage.Counter // as it was last
}

// exhausted reports whether failures and attempts that run, this one too, are too many.
func (c *counted) exhausted() bool { return c.seen.N+c.seen.Running > c.limit }

// Attempt is one sign-in with a password, or one code of a second factor. It
// belongs to one goroutine.
type Attempt struct {
	g         *Guard
	kind      *kind
	account   string
	challenge secret.Hash
	from      Source
	known     time.Time // when this device last got through such an attempt; zero if never
	counted   []counted
	acquired  bool
	reserved  bool
	inRedis   bool // the reservation
}

// Begin starts an attempt on the account with that folded address, or whatever
// else stands for what was typed. *Blocked if this process knows that it must
// wait. End must be called.
func (g *Guard) Begin(account string, from Source) (*Attempt, error) {
	return (&Attempt{g: g, kind: &passwords, account: account, from: from}).begin()
}

// BeginCode starts an attempt with a code of a second factor on the account with
// that folded address. challenge stands for what the first factor earned and five
// wrong codes use up: the hash of the half session's token. *Blocked as for Begin;
// its Challenge tells that another first factor is needed. End must be called.
func (g *Guard) BeginCode(account string, challenge secret.Hash, from Source) (*Attempt, error) {
	return (&Attempt{g: g, kind: &codes, account: account, challenge: challenge, from: from}).begin()
}

func (a *Attempt) begin() (*Attempt, error) {
	a.known = a.g.Devices.KnownSince(a.from.Device, a.account, a.kind.proof)
	a.counted = nil
	for _, b := range a.kind.budgets {
		subject := []string{a.account}
		switch {
		case b.of == ofAddress && a.Known(): // where others may have used everything up
			continue
		case b.of == ofAddress:
			subject = []string{prefix(a.from.Address)}
		case b.of == ofChallenge:
			subject = []string{a.challenge.String()}
		case a.Known():
			subject = append(subject, a.from.Device.Token)
		}
		a.counted = append(a.counted, counted{budget: b, hash: a.g.name(b.window, subject...)})
	}
	return a, a.blocked()
}

// Known reports whether this device got through such an attempt on the account
// before: with a password, or for a code with a second factor. If not, it is new.
func (a *Attempt) Known() bool { return !a.known.IsZero() }

// Reader adds to counters as storage.LoginRecord does, and tells when the account's
// password was set.
type Reader = func(ctx context.Context, add []storage.Counter) (seen []storage.Counter, changed time.Time, err error)

// Reserve counts the attempt as running; *Blocked if it must wait longer than a
// request can. read may be nil. A device that knew an earlier password only keeps no
// budget of its own, and is new.
func (a *Attempt) Reserve(ctx context.Context, read Reader) error {
	timeout := time.NewTimer(maxWait)
	defer timeout.Stop()
	for {
		ended := a.acquire()
		if ended == nil {
			changed, err := a.reserve(ctx, read)
			if err != nil {
				return err
			}
			if a.Known() && a.known.Before(changed) {
				a.End(ctx)
				a.from.Device, read = a.g.Devices.Without(a.from.Device, a.account), nil
				if _, err := a.begin(); err != nil {
					return err
				}
				continue
			}
			if err := a.blocked(); err != nil || a.hasRoom() {
				return err
			}
			a.End(ctx)
			again := make(chan struct{})
			time.AfterFunc(pollInterval, func() { close(again) })
			ended = again
		}
		select {
		case <-ended:
		case <-ctx.Done():
			return ctx.Err()
		case <-timeout.C:
			a.g.tally.Throttled(tally.Subject{Event: a.kind.event}, a.from.Address)
			return &Blocked{RetryAfter: time.Second}
		}
		if err := a.blocked(); err != nil {
			return err
		}
	}
}

func (a *Attempt) reserve(ctx context.Context, read Reader) (changed time.Time, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), countTimeout)
	defer cancel()
	add := a.changes(1, func(*counted) int64 { return 0 })
	var seen []storage.Counter
	a.inRedis = a.g.shared.UseRedis()
	if read != nil && !a.inRedis {
		seen, changed, err = read(ctx, add)
	} else {
		if read != nil {
			_, changed, err = read(ctx, nil)
		}
		if err == nil {
			seen, a.inRedis, err = a.g.shared.Count(ctx, add)
		}
	}
	a.reserved = err == nil
	a.merge(seen)
	return changed, err
}

// changes are what is added to the counters of the attempt.
func (a *Attempt) changes(running int64, failures func(*counted) int64) []storage.Counter {
	var add []storage.Counter
	for i := range a.counted {
		c, until := &a.counted[i], a.g.now()
		n := failures(c)
		if n > 0 || running > 0 {
			until = until.Add(c.length)
		}
		add = append(add, storage.Counter{Hash: c.hash, N: n, Running: running, ExpiresAt: until})
	}
	return add
}

func (a *Attempt) merge(seen []storage.Counter) {
	for _, s := range seen {
		i := slices.IndexFunc(a.counted, func(c counted) bool { return c.hash == s.Hash })
		a.counted[i].seen = s
		a.g.merge(a.counted[i].window, s)
	}
}

// overConsecutiveLimit reports whether there were so many failures without a success, with those that run, that
// the account's budget is the one for an hour.
func (a *Attempt) overConsecutiveLimit() bool {
	return slices.ContainsFunc(a.counted, func(c counted) bool { return c.rule == counts && (c.exhausted() || a.g.usedUp(c.hash) > 0) })
}

// blocked says whether failures have used a budget up.
func (a *Attempt) blocked() error {
	var b *Blocked
	overLimit := a.overConsecutiveLimit()
	for _, c := range a.counted {
		left := a.g.usedUp(c.hash)
		if left <= 0 || !c.blocks(overLimit) {
			continue
		}
		if b == nil {
			b = &Blocked{RetryAfter: time.Second}
		}
		if c.of == ofChallenge {
			b.Challenge = true // waiting does not help
		} else {
			b.RetryAfter = max(b.RetryAfter, left)
		}
	}
	if b == nil {
		return nil
	}
	a.g.tally.Throttled(tally.Subject{Event: a.kind.event}, a.from.Address)
	return b
}

func (a *Attempt) hasRoom() bool {
	overLimit := a.overConsecutiveLimit()
	return !slices.ContainsFunc(a.counted, func(c counted) bool { return c.blocks(overLimit) && c.exhausted() })
}

// acquire counts the attempt among those that run in this process. Where they leave no
// room, it returns what is closed when one ends: the shared counters need not be asked.
func (a *Attempt) acquire() (ended <-chan struct{}) {
	g := a.g
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range a.counted {
		if f := g.running[c.hash]; f != nil && c.rule == blocks && f.n >= c.limit {
			return f.wake
		}
	}
	for _, c := range a.counted {
		if g.running[c.hash] == nil {
			g.running[c.hash] = &inFlight{wake: make(chan struct{})}
		}
		g.running[c.hash].n++
	}
	a.acquired = true
	return nil
}

// End lets the next attempt run. What was neither a failure nor a success is given back.
func (a *Attempt) End(ctx context.Context) {
	if a.reserved {
		if err := a.settle(ctx, func(*counted) int64 { return 0 }); err != nil {
			a.g.log.Warn("an attempt that was not decided counts as a failure", "error", err)
		}
	}
	if !a.acquired {
		return
	}
	a.acquired = false
	a.g.mu.Lock()
	defer a.g.mu.Unlock()
	for _, c := range a.counted {
		f := a.g.running[c.hash]
		f.n--
		close(f.wake)
		f.wake = make(chan struct{})
		if f.n == 0 {
			delete(a.g.running, c.hash) // those that wait look again
		}
	}
}

// settle ends the reservation and adds failures, even if the caller has hung up.
func (a *Attempt) settle(ctx context.Context, failures func(*counted) int64) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), countTimeout)
	defer cancel()
	running := int64(0)
	if a.reserved {
		running, a.reserved = -1, false
	}
	seen, err := a.g.shared.Settle(ctx, a.inRedis, a.changes(running, failures))
	a.merge(seen)
	return err
}

// Failed counts a failure of what was tried on the person, uuid.Nil if there is
// none. It counts even if the caller has hung up.
func (a *Attempt) Failed(ctx context.Context, person uuid.UUID) error {
	a.g.tally.Failed(tally.Subject{Event: a.kind.event, User: person}, a.from.Address)
	overLimit := a.overConsecutiveLimit()
	// How many there are in the account's first window, with those that ran beside this one.
	place := a.counted[0].seen.N + max(1, a.counted[0].seen.Running)
	return a.settle(ctx, func(c *counted) int64 {
		switch {
		case c.skipsFirst && place == 2:
			return 2 // the one before was left out
		case c.skipsFirst && place == 1, c.rule == blocksLate && !overLimit:
			return 0
		}
		return 1
	})
}

// Exhausted reports whether the challenge bears no more wrong codes: what the
// first factor earned is used up, and the half session is to end.
func (a *Attempt) Exhausted() bool {
	return slices.ContainsFunc(a.counted, func(c counted) bool { return c.of == ofChallenge && c.seen.N >= c.limit })
}

// Succeeded forgets the account's failures, but not the address's. The device cookie that it
// returns gives the device a budget of its own for this account.
func (a *Attempt) Succeeded(ctx context.Context) (cookie string) {
	var own []secret.Hash
	err := a.settle(ctx, func(c *counted) int64 {
		if c.of == ofAddress {
			return 0
		}
		if c.seen.N > 0 {
			own = append(own, c.hash)
		}
		return storage.Forget
	})
	if err == nil && a.inRedis {
		err = a.g.shared.Forget(ctx, own) // the database too, which counts while Redis is away
	}
	if err != nil {
		a.g.log.Warn("the failures before a sign-in still count", "error", err)
	}
	return a.g.Devices.Mark(a.from.Device, a.account, a.kind.proof)
}
