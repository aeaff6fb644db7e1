// Package counter keeps the counters that all nodes share: in Redis if it is given and
// answers, else in the database. They are not moved from one to the other.
package counter

import (
	"context"
	"errors"
	"slices"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/sallyport-id/sallyport/internal/redis"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

const redisKeys = "sallyport:attempts:"

// countScript is storage.Count for one counter, so that it works in a cluster: KEYS[1],
// then what is added to its failures and running attempts, and its window in milliseconds.
var countScript = goredis.NewScript(`
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
	store *storage.Store
	redis *redis.Client // may be nil
	now   func() time.Time
}

// New returns counters in redis, which may be nil, or else in store.
func New(store *storage.Store, redis *redis.Client, now func() time.Time) *Counters {
	return &Counters{store: store, redis: redis, now: now}
}

// UseRedis tells whether Redis counts now.
func (c *Counters) UseRedis() bool { return c.redis.Available() }

// Count adds to counters and returns what they hold now, and whether Redis does it.
func (c *Counters) Count(ctx context.Context, add []storage.Counter) (seen []storage.Counter, inRedis bool, err error) {
	if c.UseRedis() {
		if seen, err = c.countInRedis(ctx, add); err == nil {
			return seen, true, nil
		}
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
		add = slices.Clone(add)
		for i := range add {
			add[i].Running = 0
		}
	}
	return c.store.Count(ctx, add)
}

func (c *Counters) countInRedis(ctx context.Context, add []storage.Counter) ([]storage.Counter, error) {
	out := make([]storage.Counter, len(add))
	err := c.redis.Do(ctx, func(ctx context.Context) error {
		now := c.now()
		answers := make([]*goredis.Cmd, len(add))
		_, err := c.redis.Pipelined(ctx, func(p goredis.Pipeliner) error {
			for i, a := range add {
				answers[i] = countScript.Eval(ctx, p, []string{redisKeys + a.Hash.String()}, a.N, a.Running,
					a.ExpiresAt.Sub(now).Milliseconds())
			}
			return nil
		})
		if err != nil {
			return err
		}
		for i, a := range answers {
			held, err := a.Int64Slice()
			if err == nil && len(held) != 3 {
				err = errors.New("unexpected answer from Redis to a count")
			}
			if err != nil {
				return err
			}
			out[i] = storage.Counter{Hash: add[i].Hash, N: held[0], Running: held[1],
				ExpiresAt: now.Add(time.Duration(held[2]) * time.Millisecond)}
		}
		return nil
	})
	return out, err
}

// Forget sets counters back in both places: the other may count tomorrow.
func (c *Counters) Forget(ctx context.Context, hashes []secret.Hash) error {
	var all []storage.Counter
	for _, h := range hashes {
		all = append(all, storage.Counter{Hash: h, N: storage.Forget, ExpiresAt: c.now()})
	}
	if len(all) > 0 && c.UseRedis() {
		_, _ = c.countInRedis(ctx, all) // a failure is logged, and ends with the window
	}
	_, err := c.store.Count(ctx, all)
	return err
}
