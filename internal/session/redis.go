package session

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Redis is a client of one server, a cluster, or what sentinels name.
type Redis = redis.UniversalClient

// silent stands for go-redis's own logger, which writes to standard error past
// ours. What goes wrong comes back as errors, and those are logged.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// The logger belongs to the whole process: once, before there is a client that uses it.
var silence = sync.OnceFunc(func() { redis.SetLogger(silent{}) })

// OpenRedis returns a client for REDIS_URL without connecting: redis:// or
// rediss://HOST:PORT/DB, redis+cluster://HOST:PORT,HOST:PORT, and
// redis+sentinel://HOST:PORT,HOST:PORT/MASTER. An empty URL is nil, no Redis.
func OpenRedis(raw string) (Redis, error) {
	if raw == "" {
		return nil, nil
	}
	silence()
	scheme, rest, _ := strings.Cut(raw, "://")
	kind, tls := strings.CutPrefix(scheme, "rediss")
	if !tls {
		kind = strings.TrimPrefix(scheme, "redis")
	}
	hosts := ""
	if kind == "+cluster" || kind == "+sentinel" {
		// Several hosts are no URL: the first stands for all while it is parsed.
		authority, path, _ := strings.Cut(rest, "/")
		user, list, ok := strings.Cut(authority, "@")
		if !ok {
			user, list = "", authority
		} else {
			user += "@"
		}
		hosts = list
		first, _, _ := strings.Cut(list, ",")
		raw = "redis://" + user + first
		if tls {
			raw = "rediss://" + user + first
		}
		if kind == "+sentinel" && path == "" {
			return nil, fmt.Errorf("a redis+sentinel URL ends in /MASTER, the name of the master")
		}
		rest = path
	} else if kind != "" {
		return nil, fmt.Errorf("the scheme is redis, rediss, redis+cluster or redis+sentinel")
	}
	one, err := redis.ParseURL(raw)
	if err != nil {
		return nil, fmt.Errorf("the URL cannot be read") // the library's error repeats the URL with its password
	}
	o := &redis.UniversalOptions{Addrs: []string{one.Addr}, DB: one.DB, Username: one.Username, Password: one.Password, TLSConfig: one.TLSConfig,
		// Redis only saves time: when it does not answer at once, the database does.
		DialTimeout: time.Second, ReadTimeout: 250 * time.Millisecond, WriteTimeout: 250 * time.Millisecond, MaxRetries: 1, DialerRetries: 1,
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
	return redis.NewUniversalClient(o), nil
}

// PingRedis reports whether Redis answers.
func PingRedis(ctx context.Context, r Redis) error { return r.Ping(ctx).Err() }

// DiagnoseRedis says in words why Redis cannot be used, and what to do. It quotes no secret.
func DiagnoseRedis(err error) (cause, remedy string) {
	var (
		fromServer redis.Error
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
