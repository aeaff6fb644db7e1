package limit

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/sallyport-id/sallyport/internal/counter"
	"github.com/sallyport-id/sallyport/internal/device"
	"github.com/sallyport-id/sallyport/internal/redis"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/tally"
	"github.com/sallyport-id/sallyport/storage"
)

const (
	// cacheFor is for how long what this process knows refuses somebody without a
	// look at the shared counter, which another node or an operator may have reset.
	cacheFor = 5 * time.Second
	// cacheSize bounds the memory that made-up names can take: about 100 bytes each.
	cacheSize = 1 << 16
	// countTimeout bounds a statement that counts. It does not end with the request:
	// whoever hangs up early is counted too.
	countTimeout = 4 * time.Second
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
	Store   *storage.Store
	Keys    *secret.Keyring
	Devices *device.Devices
	Tally   *tally.Tally
	Redis   *redis.Client // may be nil
	Logger  *slog.Logger
	Now     func() time.Time
}

// Guard is safe for use by several goroutines.
type Guard struct {
	// Devices are the device cookies that the guard goes by.
	Devices *device.Devices

	shared *counter.Counters
	names  secret.Subkeys // of counters
	tally  *tally.Tally
	log    *slog.Logger
	now    func() time.Time
	cache  *lru.Cache[secret.Hash, usedUp]

	mu      sync.Mutex
	running map[secret.Hash]*inFlight
}

// usedUp is a window that bears no more, as this process saw it last.
type usedUp struct{ until, seenAt time.Time }

// New returns a Guard for c, or an error that says what c lacks.
func New(c Config) (*Guard, error) {
	if c.Store == nil || c.Keys == nil || c.Devices == nil || c.Tally == nil || c.Logger == nil || c.Now == nil {
		return nil, errors.New("limit: store, keys, devices, tally, logger and clock are needed")
	}
	cache, err := lru.New[secret.Hash, usedUp](cacheSize)
	if err != nil {
		return nil, err
	}
	return &Guard{
		Devices: c.Devices, tally: c.Tally, log: c.Logger, now: c.Now,
		shared: counter.New(c.Store, c.Redis, c.Now), names: c.Keys.Subkeys("limit"),
		cache: cache, running: map[secret.Hash]*inFlight{},
	}, nil
}

// merge keeps in the cache what a shared counter of w says.
func (g *Guard) merge(w window, c storage.Counter) {
	if c.N >= w.limit {
		g.cache.Add(c.Hash, usedUp{until: c.ExpiresAt, seenAt: g.now()})
	} else {
		g.cache.Remove(c.Hash)
	}
}

// usedUp tells for how long a window bears no more, as far as was seen a moment ago.
func (g *Guard) usedUp(h secret.Hash) time.Duration {
	u, _ := g.cache.Get(h)
	if now := g.now(); !u.seenAt.Before(now.Add(-cacheFor)) {
		return u.until.Sub(now)
	}
	return 0
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
