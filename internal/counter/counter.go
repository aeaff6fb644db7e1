// Package counter keeps the counters that all nodes share: in Redis if it is given and
// answers, else in the database. They are not moved from one to the other.
package counter

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

const (
	// redisTimeout is what a slow Redis may cost; then the database counts.
	redisTimeout = 250 * time.Millisecond
	// redisRetry is for how long a Redis that failed is not asked again.
	redisRetry = 5 * time.Second
	redisSlots = 8
	redisKeys  = "sallyport:attempts:"
)

// countScript is storage.Count for one counter, so that it works in a cluster: KEYS[1],
// then what is added to its failures and running attempts, and its window in milliseconds.
var countScript = redis.NewScript(`
local held, left = redis.call('HMGET', KEYS[1], 'n', 'running'), redis.call('PTTL', KEYS[1])
local was = tonumber(held[1] or '0')
local n, running = math.max(0, was + ARGV[1]), math.max(0, tonumber(held[2] or '0') + ARGV[2])
if left <= 0 or was == 0 and (tonumber(ARGV[1]) > 0 or running == 0) then left = tonumber(ARGV[3]) end
if left <= 0 or n == 0 and running == 0 then
	redis.call('DEL', KEYS[1])
else
	redis.call('HSET', KEYS[1], 'n', n, 'running', running)
	redis.call('PEXPIRE', KEYS[1], left)
end
return {n, running, left}`)

// Counters are safe for use by several goroutines.
type Counters struct {
	store   *storage.Store
	redis   redis.UniversalClient // may be nil
	log     *slog.Logger
	now     func() time.Time
	retryAt atomic.Int64 // microseconds; Redis is not asked before
	// slots are taken by what asks Redis. Only then does its time begin to run: a burst
	// of ours must not pass for a slow Redis, and get the database's budgets on top.
	slots chan struct{}
}

// New returns counters in redis, which may be nil, or else in store.
func New(store *storage.Store, redis redis.UniversalClient, log *slog.Logger, now func() time.Time) *Counters {
	return &Counters{store: store, redis: redis, log: log, now: now, slots: make(chan struct{}, redisSlots)}
}

// UseRedis tells whether Redis counts now.
func (c *Counters) UseRedis() bool {
	return c.redis != nil && c.now().UnixMicro() >= c.retryAt.Load()
}

// failed keeps away for a while from a Redis that let us down.
func (c *Counters) failed(err error) {
	if c.retryAt.Swap(c.now().Add(redisRetry).UnixMicro()) == 0 {
		c.log.Warn("Redis does not count failures; the database does", "error", err)
	}
}

// Count adds to counters and returns what they hold now, and whether Redis does it.
func (c *Counters) Count(ctx context.Context, add []storage.Counter) (seen []storage.Counter, inRedis bool, err error) {
	if c.UseRedis() {
		if seen, err = c.countInRedis(ctx, add); err == nil {
			return seen, true, nil
		}
		c.failed(err)
	}
	seen, err = c.store.Count(ctx, add)
	return seen, false, err
}

// Settle is Count where the attempt was reserved. If Redis is lost meanwhile, the
// database counts its failure, and has no reservation of it.
func (c *Counters) Settle(ctx context.Context, inRedis bool, add []storage.Counter) ([]storage.Counter, error) {
	if inRedis {
		seen, err := c.countInRedis(ctx, add)
		if err == nil {
			return seen, nil
		}
		c.failed(err)
		add = slices.Clone(add)
		for i := range add {
			add[i].Running = 0
		}
	}
	return c.store.Count(ctx, add)
}

func (c *Counters) countInRedis(ctx context.Context, add []storage.Counter) ([]storage.Counter, error) {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	now := c.now()
	answers := make([]*redis.Cmd, len(add))
	_, err := c.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, a := range add {
			answers[i] = countScript.Eval(ctx, p, []string{redisKeys + a.Hash.String()}, a.N, a.Running, a.ExpiresAt.Sub(now).Milliseconds())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := make([]storage.Counter, len(add))
	for i, a := range answers {
		held, err := a.Int64Slice()
		if err == nil && len(held) != 3 {
			err = errors.New("unexpected answer from Redis to a count")
		}
		if err != nil {
			return nil, err
		}
		out[i] = storage.Counter{Hash: add[i].Hash, N: held[0], Running: held[1], ExpiresAt: now.Add(time.Duration(held[2]) * time.Millisecond)}
	}
	if c.retryAt.Swap(0) != 0 {
		c.log.Info("Redis counts failures again")
	}
	return out, nil
}

// Forget sets counters back in both places: the other may count tomorrow.
func (c *Counters) Forget(ctx context.Context, hashes []secret.Hash) error {
	var all []storage.Counter
	for _, h := range hashes {
		all = append(all, storage.Counter{Hash: h, N: storage.Forget, ExpiresAt: c.now()})
	}
	if len(all) > 0 && c.UseRedis() {
		if _, err := c.countInRedis(ctx, all); err != nil {
			c.failed(err)
		}
	}
	_, err := c.store.Count(ctx, all)
	return err
}
