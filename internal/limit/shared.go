package limit

import (
	"context"
	"errors"
	"log/slog"
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
	redisKeys  = "sallyport:limit:"
)

// addScript adds to one counter and starts its window if it does not run. One
// key a script, so that it works in a cluster.
var addScript = redis.NewScript(`
local n = redis.call('INCRBY', KEYS[1], ARGV[1])
local left = redis.call('PTTL', KEYS[1])
if left < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]); left = tonumber(ARGV[2]) end
return {n, left}`)

// shared are the counters that all nodes see: in Redis if it is there and
// answers, else in the database. They are not moved from one to the other.
type shared struct {
	store   *storage.Store
	redis   redis.UniversalClient // may be nil
	log     *slog.Logger
	now     func() time.Time
	retryAt atomic.Int64 // microseconds; Redis is not asked before
}

func (s *shared) useRedis() bool {
	return s.redis != nil && s.now().UnixMicro() >= s.retryAt.Load()
}

// failed reports whether Redis let us down, and keeps away from it for a while.
func (s *shared) failed(err error) bool {
	if err == nil {
		return false
	}
	if s.retryAt.Swap(s.now().Add(redisRetry).UnixMicro()) == 0 {
		s.log.Warn("Redis does not count failures; the database does", "error", err)
	}
	return true
}

func (s *shared) worked() {
	if s.retryAt.Swap(0) != 0 {
		s.log.Info("Redis counts failures again")
	}
}

// count adds and returns the values after it.
func (s *shared) count(ctx context.Context, add []storage.Counter) ([]storage.Counter, error) {
	if s.useRedis() {
		out, err := s.countInRedis(ctx, add)
		if !s.failed(err) {
			return out, nil
		}
	}
	return s.store.Count(ctx, add)
}

func (s *shared) countInRedis(ctx context.Context, add []storage.Counter) ([]storage.Counter, error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	now := s.now()
	answers := make([]*redis.Cmd, len(add))
	_, err := s.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, c := range add {
			answers[i] = addScript.Eval(ctx, p, []string{redisKeys + c.Hash.String()}, c.N, max(1, c.ExpiresAt.Sub(now).Milliseconds()))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := make([]storage.Counter, len(add))
	for i, a := range answers {
		pair, err := a.Int64Slice()
		if err == nil && len(pair) != 2 {
			err = errors.New("limit: Redis answered something else than was asked")
		}
		if err != nil {
			return nil, err
		}
		out[i] = storage.Counter{Hash: add[i].Hash, N: pair[0], ExpiresAt: now.Add(time.Duration(pair[1]) * time.Millisecond)}
	}
	s.worked()
	return out, nil
}

// read returns the counters that run.
func (s *shared) read(ctx context.Context, hashes []secret.Hash) ([]storage.Counter, error) {
	if s.useRedis() {
		out, err := s.readFromRedis(ctx, hashes)
		if !s.failed(err) {
			return out, nil
		}
	}
	c, err := s.store.Claimant(ctx, "", hashes) // nobody has no address
	if err != nil {
		return nil, err
	}
	return c.Counters, nil
}

func (s *shared) readFromRedis(ctx context.Context, hashes []secret.Hash) ([]storage.Counter, error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	now := s.now()
	values := make([]*redis.StringCmd, len(hashes))
	left := make([]*redis.DurationCmd, len(hashes))
	_, err := s.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, h := range hashes {
			values[i] = p.Get(ctx, redisKeys+h.String())
			left[i] = p.PTTL(ctx, redisKeys+h.String())
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, err
	}
	var out []storage.Counter
	for i := range hashes {
		n, err := values[i].Int64()
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if ttl := left[i].Val(); ttl > 0 {
			out = append(out, storage.Counter{Hash: hashes[i], N: n, ExpiresAt: now.Add(ttl)})
		}
	}
	s.worked()
	return out, nil
}

// reset makes counters begin anew, in both places: the other may count tomorrow.
func (s *shared) reset(ctx context.Context, hashes []secret.Hash) error {
	if s.useRedis() {
		ctx, cancel := context.WithTimeout(ctx, redisTimeout)
		defer cancel()
		_, err := s.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, h := range hashes {
				p.Del(ctx, redisKeys+h.String())
			}
			return nil
		})
		s.failed(err)
	}
	return s.store.ResetCounters(ctx, hashes)
}
