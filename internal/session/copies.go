package session

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/gorilla/sessions"
	"github.com/rbcervilla/redisstore/v9"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

// copyVersion is the first byte of every copy. Others are not read: they are of
// another release.
const copyVersion = 1

const (
	// copyTimeout bounds what a slow Redis may cost a request that does not need it.
	copyTimeout = 250 * time.Millisecond
	// copyRetry is for how long a Redis that failed is left alone.
	copyRetry = 5 * time.Second
)

// copyName is the cookie that redisstore believes to read. What it takes for the
// cookie's value is the hash: the token itself never reaches Redis.
const copyName = "hash"

// copies is the hot copy of sessions in Redis. A nil *copies has none. A Redis
// that does not answer is as good as none; the log says so once.
type copies struct {
	redis   *redisstore.RedisStore
	log     *slog.Logger
	now     func() time.Time
	retryAt atomic.Int64 // microseconds; Redis is not asked before. 0 while it works
}

func newCopies(c Config) *copies {
	if c.Redis == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), copyTimeout)
	defer cancel()
	// The error is that of a first ping: the store works as soon as Redis does.
	store, err := redisstore.NewRedisStore(ctx, c.Redis)
	store.KeyPrefix("sallyport:session:")
	store.Serializer(serializer{})
	store.KeyGen(func() (string, error) {
		return "", errors.New("session: a copy has the hash of its session's token for an id")
	})
	out := &copies{redis: store, log: c.Logger, now: c.Now}
	out.note(err)
	return out
}

// put stores a copy until the session could have run out.
func (c *copies) put(ctx context.Context, row *storage.Session) {
	if c == nil {
		return
	}
	s := sessions.NewSession(c.redis, copyName)
	s.ID = row.TokenHash.String()
	s.Values["expires"] = row.IdleExpiresAt
	s.Options.MaxAge = max(1, int(row.ExpiresAt.Sub(row.LastSeenAt)/time.Second))
	c.save(ctx, s)
}

// drop removes a copy.
func (c *copies) drop(ctx context.Context, browser secret.Hash) {
	if c == nil || browser.IsZero() {
		return
	}
	s := sessions.NewSession(c.redis, copyName)
	s.ID = browser.String()
	s.Options.MaxAge = -1
	c.save(ctx, s)
}

func (c *copies) save(ctx context.Context, s *sessions.Session) {
	if c.resting() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, copyTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	if err == nil {
		err = c.redis.Save(r, discard{}, s)
	}
	c.note(err)
}

// get returns until when the session lives as far as the copy knows.
func (c *copies) get(ctx context.Context, browser secret.Hash) (expires time.Time, ok bool) {
	if c == nil || c.resting() {
		return expires, false
	}
	ctx, cancel := context.WithTimeout(ctx, copyTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	if err != nil {
		return expires, false
	}
	r.AddCookie(&http.Cookie{Name: copyName, Value: browser.String()})
	s, err := c.redis.New(r, copyName)
	if errors.Is(err, errCopy) {
		return expires, false
	}
	c.note(err)
	if err != nil || s.IsNew {
		return expires, false
	}
	expires, ok = s.Values["expires"].(time.Time)
	return expires, ok
}

func (c *copies) resting() bool { return c.now().UnixMicro() < c.retryAt.Load() }

// note logs the first failure and the first success after it.
func (c *copies) note(err error) {
	switch {
	case errors.Is(err, context.Canceled): // the caller's doing
	case err == nil:
		if c.retryAt.Swap(0) != 0 {
			c.log.Info("Redis keeps copies of sessions again")
		}
	case c.retryAt.Swap(c.now().Add(copyRetry).UnixMicro()) == 0:
		c.log.Warn("Redis does not keep copies of sessions; the database has them all", "error", err)
	}
}

// errCopy: what Redis holds is not a copy of ours.
var errCopy = errors.New("session: not a copy of a session")

// copied is a copy as it is written.
type copied struct {
	Expires time.Time `json:"expires"`
}

// serializer writes JSON behind a version byte: redisstore's own is gob, which
// should not meet bytes that others may have written.
type serializer struct{}

func (serializer) Serialize(s *sessions.Session) ([]byte, error) {
	expires, ok := s.Values["expires"].(time.Time)
	if !ok {
		return nil, errCopy
	}
	b, err := json.Marshal(copied{Expires: expires})
	return append([]byte{copyVersion}, b...), err
}

func (serializer) Deserialize(b []byte, s *sessions.Session) error {
	var c copied
	if len(b) < 1 || len(b) > 4096 || b[0] != copyVersion || json.Unmarshal(b[1:], &c) != nil {
		return errCopy
	}
	s.Values["expires"] = c.Expires
	return nil
}

// discard takes the Set-Cookie that redisstore would send: without HttpOnly,
// Secure and SameSite, and not ours.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}
