package limit_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/uuid"
	goredis "github.com/redis/go-redis/v9"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/device"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/internal/limit"
	"github.com/sallyport-id/sallyport/internal/redis"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/tally"
	"github.com/sallyport-id/sallyport/storage"
)

// attack is a day of guessing at one account, with three nodes and a clock that runs fast.
type attack struct {
	t     *testing.T
	now   time.Time
	store *storage.Store
	nodes []*limit.Guard
	keys  *secret.Keyring
	redis *miniredis.Miniredis // nil: the database counts
}

func newAttack(t *testing.T, engine storage.Engine, withRedis bool) *attack {
	t.Helper()
	a := &attack{t: t, now: time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return a.now }
	var err error
	if a.store, err = storage.Open(t.Context(), storage.Config{URL: harness.NewDatabase(t, engine), Now: clock}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.store.Close() })
	if err := a.store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	keys, err := secret.NewKeyring([][]byte{secret.Random(32)})
	if err != nil {
		t.Fatal(err)
	}
	a.keys = keys
	if withRedis {
		a.redis = miniredis.RunT(t)
	}
	for range 3 {
		a.nodes = append(a.nodes, a.node())
	}
	return a
}

// node is another node of the installation.
func (a *attack) node() *limit.Guard {
	a.t.Helper()
	clock, log := func() time.Time { return a.now }, slog.New(slog.NewTextHandler(io.Discard, nil))
	c := limit.Config{Store: a.store, Keys: a.keys, Devices: device.New(a.keys, false, clock), Tally: tally.New(a.store, clock), Logger: log, Now: clock}
	if a.redis != nil {
		client := redis.New(goredis.NewClient(&goredis.Options{Addr: a.redis.Addr(), MaxRetries: -1}), log, clock)
		a.t.Cleanup(func() { client.Close() })
		c.Redis = client
	}
	g, err := limit.New(c)
	if err != nil {
		a.t.Fatal(err)
	}
	return g
}

func (a *attack) pass(d time.Duration) {
	a.now = a.now.Add(d)
	if a.redis != nil {
		a.redis.FastForward(d)
	}
}

func request(device string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/login", nil)
	if device != "" {
		r.AddCookie(&http.Cookie{Name: "sp_device", Value: device})
	}
	return r
}

// finish reports whether an attempt that began got as far as a comparison.
func (a *attack) finish(attempt *limit.Attempt, err error, account string, right bool) (compared bool, device string) {
	a.t.Helper()
	if err == nil {
		defer attempt.End(a.t.Context())
		err = attempt.Reserve(a.t.Context(), func(ctx context.Context, add []storage.Counter) ([]storage.Counter, time.Time, error) {
			c, err := a.store.LoginRecord(ctx, account, add)
			return c.Counters, c.PasswordChangedAt, err
		})
	}
	if _, ok := errors.AsType[*limit.Blocked](err); ok {
		return false, ""
	}
	if err != nil {
		a.t.Fatal(err)
	}
	if !right {
		if err := attempt.Failed(a.t.Context(), uuid.Nil); err != nil {
			a.t.Fatal(err)
		}
		return true, ""
	}
	return true, attempt.Succeeded(a.t.Context())
}

// source is where a browser with that device cookie is.
func (a *attack) source(cookie string, address netip.Addr) limit.Source {
	return limit.Source{Address: address, Device: a.nodes[0].Devices.Read(request(cookie))}
}

func (a *attack) password(node int, typed, device string, from netip.Addr, right bool) (bool, string) {
	a.t.Helper()
	account, err := identity.EmailKey(typed)
	if err != nil {
		a.t.Fatal(err)
	}
	attempt, err := a.nodes[node].Begin(account, a.source(device, from))
	return a.finish(attempt, err, account, right)
}

func (a *attack) code(node int, challenge, device string, from netip.Addr, right bool) (bool, string) {
	a.t.Helper()
	const account = "owner@example.com"
	attempt, err := a.nodes[node].BeginCode(account, secret.HashOf(challenge), a.source(device, from))
	return a.finish(attempt, err, account, right)
}

// day lets guess work 10 times a minute for 24 hours, from 1,000 addresses in
// turn and on two nodes, and sign in the owner every quarter of an hour. It returns
// how many guesses were compared, in all and in the last hour.
func (a *attack) day(guess func(n int, from netip.Addr) bool, owner func()) (total, lastHour int) {
	n := 0
	for minute := range 24 * 60 {
		for range 10 {
			if guess(n, netip.AddrFrom4([4]byte{198, 18, byte(n % 1000 >> 8), byte(n % 1000)})) {
				total++
				if minute >= 23*60 {
					lastHour++
				}
			}
			n++
		}
		if minute%15 == 0 {
			owner()
		}
		a.pass(time.Minute)
	}
	return total, lastHour
}

// spellings are one address to identity.EmailKey.
var spellings = []string{"owner@example.com", "OWNER@example.com", "Owner@EXAMPLE.COM", " owner@example.com ", "oWnEr@eXaMpLe.CoM"}

// everyStore runs f where counters are kept: in either database, or in Redis.
func everyStore(t *testing.T, f func(t *testing.T, a *attack)) {
	for name, s := range map[string]struct {
		engine    storage.Engine
		withRedis bool
	}{"sqlite": {storage.SQLite, false}, "postgres": {storage.Postgres, false}, "redis": {storage.SQLite, true}} {
		t.Run(name, func(t *testing.T) { f(t, newAttack(t, s.engine, s.withRedis)) })
	}
}

// LG-03: a day of guesses at one password gets a hundred tries, then ten an hour,
// however its address is spelled; the owner gets in all day from a known browser.
func TestADayOfGuessingPasswords(t *testing.T) {
	everyStore(t, func(t *testing.T, a *attack) {
		home := netip.MustParseAddr("192.0.2.1")
		_, device := a.password(0, "owner@example.com", "", home, true)
		total, lastHour := a.day(func(n int, from netip.Addr) bool {
			compared, _ := a.password(n%2, spellings[n%len(spellings)], "", from, false)
			return compared
		}, func() {
			ok, next := a.password(a.now.Minute()%2, "owner@example.com", device, home, true)
			if !ok {
				t.Errorf("%v: the owner does not get in", a.now)
				return
			}
			device = next
		})
		t.Logf("%d guesses in a day, %d in its last hour", total, lastHour)
		if total > 100+24*10 || total < 100 || lastHour > 10 {
			t.Errorf("%d guesses in a day and %d in its last hour, want at most 340 and 10", total, lastHour)
		}
	})
}

// The same for codes, by somebody who has the password: every guess comes from a
// half session and with a device cookie that the password has just earned.
func TestADayOfGuessingCodes(t *testing.T) {
	everyStore(t, func(t *testing.T, a *attack) {
		home := netip.MustParseAddr("192.0.2.1")
		_, device := a.code(0, "owner", "", home, true)
		var stolen []string
		for n := range 20 {
			_, d := a.password(0, "owner@example.com", "", netip.AddrFrom4([4]byte{198, 18, 0, byte(n)}), true)
			stolen = append(stolen, d)
		}
		total, lastHour := a.day(func(n int, from netip.Addr) bool {
			compared, _ := a.code(n%2, fmt.Sprint("half ", n/4), stolen[n%len(stolen)], from, false)
			return compared
		}, func() {
			ok, next := a.code(a.now.Minute()%2, "half of "+a.now.String(), device, home, true)
			if !ok {
				t.Errorf("%v: the owner does not get in", a.now)
				return
			}
			device = next
		})
		t.Logf("%d codes in a day, %d in its last hour", total, lastHour)
		if total > 100+24*10 || total < 100 || lastHour > 10 {
			t.Errorf("%d codes in a day and %d in its last hour, want at most 340 and 10", total, lastHour)
		}
	})
}

func TestTheSpellingsAreOneAddress(t *testing.T) {
	for _, s := range spellings {
		if key, err := identity.EmailKey(s); err != nil || key != strings.ToLower(strings.TrimSpace(s)) {
			t.Errorf("EmailKey(%q) = %q, %v", s, key, err)
		}
	}
}
