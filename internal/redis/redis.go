// Package redis is the connection to Redis, which an installation may do without.
//
// Redis only saves time and database writes. Whatever is kept there has a second place in the database, and a caller
// that finds Redis unavailable uses that one. [Client] holds the one circuit breaker for all callers:
//
//	closed ── a use fails or takes longer than Timeout ──▶ open for 5 s ── then the next use is a trial ──▶ closed or open
//
// While the circuit is open no request waits for Redis. A use is
//
//	if c.Available() {
//		err := c.Do(ctx, func(ctx context.Context) error { return c.Set(ctx, key, value, ttl).Err() })
//	}
package redis

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Timeout is what one use of a Redis that does not answer may cost a request.
const Timeout = 250 * time.Millisecond

const (
	// pause is for how long a Redis that failed is not asked.
	pause = 5 * time.Second
	// slots is how many uses run at a time.
	slots = 8
)

// Client is a pool of connections to one server, a cluster, or the master that sentinels name, with a circuit breaker.
// A nil *Client is an installation without Redis.
type Client struct {
	goredis.UniversalClient

	log     *slog.Logger
	now     func() time.Time
	retryAt atomic.Int64  // microseconds; the circuit is open until then. 0 while Redis works
	slots   chan struct{} // holds one value for each running use
}

// ErrOpened: another use found Redis failing while this one waited for its place.
var ErrOpened = errors.New("the circuit to Redis has opened")

// New returns a Client over connections that are open already. It takes them over: Close closes them.
func New(connections goredis.UniversalClient, log *slog.Logger, now func() time.Time) *Client {
	return &Client{UniversalClient: connections, log: log, now: now, slots: make(chan struct{}, slots)}
}

// Available tells whether Redis is to be asked: there is one, and the circuit is closed.
func (c *Client) Available() bool { return c != nil && c.now().UnixMicro() >= c.retryAt.Load() }

// Do runs use with at most Timeout. An error of use opens the circuit, a success closes it; the log tells of each
// change once. The time begins to run when use does: a burst of our own requests must not pass for a slow Redis.
//
// Do does not look at the circuit as it is when it begins, so that what holds something in Redis can try to give it
// back; all others ask Available first. A circuit that opens while Do waits for its place ends it with ErrOpened:
// behind a Redis that hangs, each of a thousand requests would wait for its own time limit otherwise.
func (c *Client) Do(ctx context.Context, use func(ctx context.Context) error) error {
	before := c.retryAt.Load()
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if c.retryAt.Load() != before && !c.Available() {
		return ErrOpened
	}
	limited, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	err := use(limited)
	switch {
	case ctx.Err() != nil: // the caller gave up, which says nothing about Redis
	case err == nil:
		if c.retryAt.Swap(0) != 0 {
			c.log.Info("Redis is used again")
		}
	case c.retryAt.Swap(c.now().Add(pause).UnixMicro()) == 0:
		c.log.Warn("Redis cannot be used; the database does its work", "error", err)
	}
	return err
}

// silent stands for go-redis's own logger, which writes to standard error past
// ours. What goes wrong comes back as errors, and those are logged.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// The logger belongs to the whole process: once, before there is a client that uses it.
var silence = sync.OnceFunc(func() { goredis.SetLogger(silent{}) })

// Open returns a client for REDIS_URL without connecting: redis:// or
// rediss://HOST:PORT/DB, redis+cluster://HOST:PORT,HOST:PORT, and
// redis+sentinel://HOST:PORT,HOST:PORT/MASTER. An empty URL is nil, no Redis.
func Open(raw string, log *slog.Logger, now func() time.Time) (*Client, error) {
	if raw == "" {
		return nil, nil
	}
	silence()
	o, err := parse(raw)
	if err != nil {
		return nil, err
	}
	return New(goredis.NewUniversalClient(o), log, now), nil
}

// CheckURL tells what is wrong with a REDIS_URL that Open would refuse.
func CheckURL(raw string) error {
	if raw == "" {
		return nil
	}
	_, err := parse(raw)
	return err
}

// parse reads REDIS_URL. Its errors do not repeat the URL, which may hold a password.
func parse(raw string) (*goredis.UniversalOptions, error) {
	scheme, rest, _ := strings.Cut(raw, "://")
	kind, tls := strings.CutPrefix(scheme, "rediss")
	if !tls {
		kind = strings.TrimPrefix(scheme, "redis")
	}
	hosts := ""
	if kind == "+cluster" || kind == "+sentinel" {
		// A list of hosts is no URL: it is parsed with the first host alone.
		authority, path, _ := strings.Cut(rest, "/")
		at := strings.Index(authority, "@") + 1
		hosts = authority[at:]
		first, _, _ := strings.Cut(hosts, ",")
		raw = strings.TrimSuffix(scheme, kind) + "://" + authority[:at] + first
		if kind == "+sentinel" && path == "" {
			return nil, fmt.Errorf("a redis+sentinel URL ends in /MASTER, the name of the master")
		}
		rest = path
	} else if kind != "" {
		return nil, fmt.Errorf("the scheme is redis, rediss, redis+cluster or redis+sentinel")
	}
	one, err := goredis.ParseURL(raw)
	if err != nil {
		return nil, fmt.Errorf("the URL cannot be read") // the library's error repeats the URL with its password
	}
	o := &goredis.UniversalOptions{Addrs: []string{one.Addr}, DB: one.DB, Username: one.Username,
		Password: one.Password, TLSConfig: one.TLSConfig,
		// Redis only saves time: when it does not answer at once, the database does.
		DialTimeout: time.Second, ReadTimeout: Timeout, WriteTimeout: Timeout, MaxRetries: 1, DialerRetries: 1,
		ContextTimeoutEnabled:    true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}}
	if hosts != "" {
		o.Addrs = strings.Split(hosts, ",")
	}
	if kind == "+sentinel" {
		if o.MasterName, err = url.PathUnescape(rest); err != nil {
			return nil, fmt.Errorf("the master's name cannot be read")
		}
	}
	o.IsClusterMode = kind == "+cluster"
	return o, nil
}

// Close closes the connections, if there are any.
func (c *Client) Close() error {
	if c == nil {
		return nil
	}
	return c.UniversalClient.Close()
}

// Diagnose says in words why Redis cannot be used, and what to do. It quotes no secret.
func Diagnose(err error) (cause, remedy string) {
	var (
		fromServer goredis.Error
		name       *net.DNSError
		network    net.Error
		authority  x509.UnknownAuthorityError
		host       x509.HostnameError
	)
	text := err.Error()
	switch {
	case strings.Contains(text, "WRONGPASS"), strings.Contains(text, "ERR AUTH"), strings.Contains(text, "invalid password"):
		return "it refuses the user or the password", "correct them in REDIS_URL"
	case strings.Contains(text, "NOAUTH"):
		return "it wants a password", "write it into REDIS_URL: redis://:PASSWORD@HOST"
	case strings.Contains(text, "NOPERM"):
		return "the user may not do that: " + text, "give it the rights (ACL SETUSER)"
	case errors.As(err, &fromServer):
		return "it answers: " + text, "see what Redis's documentation says of that"
	case errors.As(err, &authority), errors.As(err, &host):
		return "its certificate is not trusted: " + text, "add its authority to the system's, and use a name that the certificate has"
	case errors.As(err, &name):
		return "the host name " + name.Name + " does not resolve", "correct REDIS_URL"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "no answer in time", "check that it runs, that rediss:// is for TLS and redis:// for none, and the firewall"
	case errors.As(err, &network):
		return "no connection: " + text, "check that it runs and listens there, and REDIS_URL"
	}
	return text, "check REDIS_URL, and that rediss:// is for TLS and redis:// for none"
}
