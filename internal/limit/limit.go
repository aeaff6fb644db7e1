// Package limit bounds guessing, of passwords, codes and client secrets, and what
// anybody may ask for without having signed in.
//
//	budget      failures            counted for
//	account     10 in 10 minutes    the folded address, whether anybody has it or not;
//	            10 in an hour       after 100 without a success between, not counting
//	                                those that were alone in their ten minutes
//	codes       20 in a minute      the same, for the codes of second factors;
//	            10 in an hour       after 100 without a success between
//	challenge   5                   one half session: what a password alone has earned
//	device      as account, codes   one browser that got through that before
//	address     20 in a minute,     an IPv4 address or an IPv6 /64
//	            100 in an hour      (passwords only)
//	client      600 in a minute     a client_id
//
//	budget      requests
//	address     10 registrations a minute, 5 recoveries a minute
//	mailbox     5 mails of one kind an hour
//	address     300 new flows a minute, 2,000 unfinished ones; 300 pushed requests a
//	            minute of public clients
//	client      6,000 pushed requests a minute
//
// Those of the last two rows are counted by the statement that writes the row.
// Only failures count where there is something to guess, so an office behind one
// address signs in all day. A window begins with its first failure. The device's
// budget is apart from the account's, so that strangers who use the latter up
// cannot lock the owner out.
//
// # One sign-in
//
//	a, err := guard.Begin(r, emailKey, address)       // what this process knows already costs no query
//	defer a.End()
//	claimant := store.Claimant(…, a.Counters())       // person, hash and counters in one statement
//	err = a.Allow(ctx, claimant.Counters)
//	…compare…
//	a.Failed(ctx, user) or a.Succeeded(ctx, w)
//
// A code of a second factor goes the same way with BeginFactor. Between Allow and
// End, as many attempts on one account run at once as failures are left; more wait. So a burst of guesses gets no further than single ones.
//
// # Where counters are kept
//
// In Redis if it is given and answers, else in the table counters, shared by all
// nodes; in both under keyed hashes. What this process saw last is kept in front.
// Run writes failures to the audit log, one event a person or client and minute.
package limit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/redis/go-redis/v9"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

// Blocked is the error for somebody who has to wait: 429 with Retry-After.
type Blocked struct {
	RetryAfter time.Duration
	// Challenge: this half session has used up its wrong codes. Waiting does not help;
	// it is to end, and the first factor is to be shown again.
	Challenge bool
}

func (b *Blocked) Error() string { return fmt.Sprintf("too many attempts; again in %v", b.RetryAfter) }

// Config is what a Guard needs.
type Config struct {
	Store  *storage.Store
	Keys   *secret.Keyring
	Secure bool                  // the issuer is https
	Redis  redis.UniversalClient // may be nil
	Logger *slog.Logger
	Now    func() time.Time
}

// Guard is safe for use by several goroutines.
type Guard struct {
	store  *storage.Store
	shared *shared
	names  secret.Subkeys // of counters
	device devices
	log    *slog.Logger
	now    func() time.Time

	mu      sync.Mutex
	front   *lru.Cache[secret.Hash, known]
	seq     uint64 // grows with every change of front
	flights map[secret.Hash]*flight
	clients *lru.Cache[secret.Hash, pending]

	tally tally
}

// frontSize bounds the memory that made-up names can take: about 100 bytes each.
const frontSize = 1 << 16

// New returns a Guard for c, or an error that says what c lacks.
func New(c Config) (*Guard, error) {
	if c.Store == nil || c.Keys == nil || c.Logger == nil || c.Now == nil {
		return nil, errors.New("limit: store, keys, logger and clock are needed")
	}
	front, err := lru.New[secret.Hash, known](frontSize)
	if err != nil {
		return nil, err
	}
	clients, err := lru.New[secret.Hash, pending](frontSize)
	if err != nil {
		return nil, err
	}
	return &Guard{
		store:   c.Store,
		shared:  &shared{store: c.Store, redis: c.Redis, log: c.Logger, now: c.Now},
		names:   c.Keys.Subkeys("limit"),
		device:  newDevices(c.Keys, c.Secure),
		log:     c.Logger,
		now:     c.Now,
		front:   front,
		clients: clients,
		flights: map[secret.Hash]*flight{},
		tally:   tally{all: map[failing]*failures{}},
	}, nil
}

// Run writes the audit events of failed sign-ins every minute until ctx ends,
// and then what is left.
func (g *Guard) Run(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
		g.flushOrWarn(ctx)
	}
}

func (g *Guard) flushOrWarn(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := g.Flush(ctx); err != nil {
		g.log.Warn("failed sign-ins wait to be written to the audit log", "error", err)
	}
}

// name is the counter of what is counted in a window. It is keyed, so that the
// table tells nobody which addresses were tried.
func (g *Guard) name(w window, what ...string) secret.Hash {
	parts := [][]byte{[]byte(w.name)}
	for _, s := range what {
		parts = append(parts, []byte(s))
	}
	return g.names.MAC(parts...)
}
