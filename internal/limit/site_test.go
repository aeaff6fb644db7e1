package limit

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	goredis "github.com/redis/go-redis/v9"
	"github.com/sallyport-id/sallyport/internal/device"
	"github.com/sallyport-id/sallyport/internal/redis"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/tally"
	"github.com/sallyport-id/sallyport/storage"
)

// clock stands still until it is told to move.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.t }

func (c *clock) add(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.t = c.t.Add(d) }

// site is an installation with as many nodes as a test makes.
type site struct {
	t     *testing.T
	clock *clock
	store *storage.Store
	keys  *secret.Keyring
	redis string // the address of one; empty for none
}

func newSite(t *testing.T) *site {
	t.Helper()
	c := &clock{t: time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)}
	store, err := storage.Open(t.Context(), storage.Config{URL: "sqlite://" + filepath.Join(t.TempDir(), "test.db"), Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	keys, err := secret.NewKeyring([][]byte{bytes.Repeat([]byte{1}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	return &site{t: t, clock: c, store: store, keys: keys}
}

func (s *site) node() *Guard {
	s.t.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	var client *redis.Client
	if s.redis != "" {
		client = redis.New(goredis.NewClient(&goredis.Options{Addr: s.redis, MaxRetries: -1}), log, s.clock.now)
		s.t.Cleanup(func() { client.Close() })
	}
	g, err := New(Config{Store: s.store, Keys: s.keys, Devices: device.New(s.keys, false, s.clock.now),
		Tally: tally.New(s.store, s.clock.now), Redis: client, Logger: log, Now: s.clock.now})
	if err != nil {
		s.t.Fatal(err)
	}
	return g
}

// guess is one attempt from an address with a browser's device cookie; it returns
// what the server would answer: nil for a comparison that was made.
func (s *site) guess(g *Guard, account, from, cookie string, right bool) (next string, err error) {
	s.t.Helper()
	a, err := g.Begin(account, source(g, cookie, netip.MustParseAddr(from)))
	if err != nil {
		return "", err
	}
	return s.finish(a, right)
}

// request is one of a browser with that device cookie.
func request(device string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/login", nil)
	if device != "" {
		r.AddCookie(&http.Cookie{Name: "sp_device", Value: device})
	}
	return r
}

// source is where a browser with that device cookie is.
func source(g *Guard, cookie string, address netip.Addr) Source {
	return Source{Address: address, Device: g.Devices.Read(request(cookie))}
}

// code is guess for the code of a second factor within a half session.
func (s *site) code(g *Guard, account, session, device string, right bool) (cookie string, err error) {
	s.t.Helper()
	a, err := g.BeginCode(account, secret.HashOf(session), source(g, device, netip.MustParseAddr("192.0.2.1")))
	if err != nil {
		return "", err
	}
	return s.finish(a, right)
}

func (s *site) finish(a *Attempt, right bool) (cookie string, err error) {
	s.t.Helper()
	defer a.End(s.t.Context())
	if err := a.Reserve(s.t.Context(), s.read(a.account)); err != nil {
		return "", err
	}
	if !right {
		return "", a.Failed(s.t.Context(), uuid.Nil)
	}
	return a.Succeeded(s.t.Context()), nil
}

// read is how a sign-in with a password reads the account that it reserves for.
func (s *site) read(account string) Reader {
	return func(ctx context.Context, add []storage.Counter) ([]storage.Counter, time.Time, error) {
		c, err := s.store.LoginRecord(ctx, account, add)
		if err != nil {
			return nil, time.Time{}, err
		}
		return c.Counters, c.PasswordChangedAt, nil
	}
}

// hold adds nothing to counters and returns what the database holds.
func (s *site) hold(hashes ...secret.Hash) (n, running int64) {
	s.t.Helper()
	for _, h := range hashes {
		c, err := s.store.Count(s.t.Context(), []storage.Counter{{Hash: h, ExpiresAt: s.clock.now()}})
		if err != nil {
			s.t.Fatal(err)
		}
		n, running = n+c[0].N, running+c[0].Running
	}
	return n, running
}

// guesses makes wrong guesses from ever new addresses until one is refused, and
// returns how many were compared and how long to wait.
func (s *site) guesses(g *Guard, account, device string, most int) (int, time.Duration) {
	s.t.Helper()
	for i := range most {
		_, err := s.guess(g, account, netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1}).String(), device, false)
		if blocked, ok := errors.AsType[*Blocked](err); ok {
			return i, blocked.RetryAfter
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
	return most, 0
}
