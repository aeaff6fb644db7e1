package harness

import (
	"bytes"
	"context"
	"database/sql/driver"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/manifest"
	"github.com/sallyport-id/sallyport/internal/app"
	"github.com/sallyport-id/sallyport/internal/sample/seed"
	"github.com/sallyport-id/sallyport/storage"
)

// Options say what a test's server differs in.
type Options struct {
	// Environ are further settings, "SALLYPORT_SESSION_PROTECTION=off".
	Environ []string
	// Host is the issuer's; "" is 127.0.0.1. WebAuthn needs a name: "localhost".
	Host string
	// Redis gives the server the Redis of `make test`.
	Redis bool
	// Empty leaves the sample data out.
	Empty bool
	// Clients is a clients.yaml that is applied besides the sample data.
	Clients string
	// Count counts round trips in Server.Counter; the background workers rest.
	Count bool
	// Wrap goes around every database connection, for making them fail; not with Count.
	Wrap func(driver.Connector) driver.Connector
	// Now goes around the clock, for tests that make it do more than tell the time.
	Now func(clock func() time.Time) func() time.Time
}

// Server is one node of an installation.
type Server struct {
	App     *app.App
	Server  *app.Server
	Issuer  string
	Clock   *Clock
	Counter *Counter
	Log     *Log

	http        *httptest.Server
	options     Options
	databaseURL string
}

// EachEngine runs f as a subtest on a new server for each engine.
func EachEngine(t *testing.T, o Options, f func(t *testing.T, s *Server)) {
	t.Helper()
	for _, engine := range []storage.Engine{storage.SQLite, storage.Postgres} {
		t.Run(string(engine), func(t *testing.T) { f(t, Start(t, engine, o)) })
	}
}

// Start starts a server with the sample data on a new database.
func Start(t testing.TB, engine storage.Engine, o Options) *Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if o.Host != "" {
		address = strings.Replace(address, "127.0.0.1", o.Host, 1)
	}
	s := &Server{Issuer: "http://" + address, Clock: &Clock{}, Counter: &Counter{}, options: o, databaseURL: NewDatabase(t, engine)}
	s.open(t, l)
	return s
}

// Node starts a second node of the same installation: same database, same keys,
// same clock, same issuer, with further settings. Its clients reach it under the
// issuer's name.
func (s *Server) Node(t testing.TB, environ ...string) *Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &Server{Issuer: s.Issuer, Clock: s.Clock, Counter: &Counter{}, options: s.options, databaseURL: s.databaseURL}
	n.options.Empty = true // the data is there
	n.options.Environ = append(slices.Clone(s.options.Environ), environ...)
	n.open(t, l)
	return n
}

// Moved starts the installation on another database, of which it is an exact copy: same keys, same clock, same issuer.
func (s *Server) Moved(t testing.TB, databaseURL string) *Server {
	t.Helper()
	other := *s
	other.databaseURL = databaseURL
	return other.Node(t)
}

// testKey is the SECRET_KEY and ENCRYPTION_KEY of all test servers.
const testKey = "x1NYSPboxXLY7MeEE4Jxr74haZa5SLcXvUqN3ulKIFE="

func (s *Server) open(t testing.TB, l net.Listener) {
	t.Helper()
	environ := append([]string{
		"SALLYPORT_ISSUER=" + s.Issuer, "SALLYPORT_LISTEN=" + l.Addr().String(), "SALLYPORT_DATABASE_URL=" + s.databaseURL,
		"SALLYPORT_ENV=testing", "SALLYPORT_SECRET_KEY=" + testKey, "SALLYPORT_ENCRYPTION_KEY=" + testKey,
	}, s.options.Environ...)
	if s.options.Redis {
		environ = append(environ, "SALLYPORT_REDIS_URL="+variable(t, "SALLYPORT_TEST_REDIS_URL"))
	}
	cfg, err := app.Load(app.LoadOptions{Environ: environ, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	s.Log = &Log{}
	o := app.Options{Now: s.Clock.Now, Log: slog.New(slog.NewTextHandler(s.Log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	if o.Wrap = s.options.Wrap; o.Wrap == nil {
		o.Wrap = s.Counter.Wrap
	}
	if s.options.Now != nil {
		o.Now = s.options.Now(o.Now)
	}
	ctx := context.WithoutCancel(t.Context())
	if s.App, err = app.Open(ctx, cfg, o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.App.Close(); err != nil {
			t.Error(err)
		}
	})
	if !s.options.Empty {
		if err := s.App.Seeder.Seed(ctx, identity.Operator(), seed.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	if s.options.Clients != "" && !s.options.Empty {
		s.Apply(t, s.options.Clients)
	}
	if s.Server, err = s.App.NewServer(ctx); err != nil {
		t.Fatal(err)
	}
	background, stop := context.WithCancel(ctx)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		if !s.options.Count { // what the workers ask the database is not what a request costs
			s.Server.Run(background)
		}
	}()
	s.http = &httptest.Server{Listener: l, Config: &http.Server{Handler: s.Server.Handler(), ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelWarn),
		BaseContext: func(net.Listener) context.Context { return context.WithValue(ctx, requestKey{}, true) }}}
	s.http.Start()
	t.Cleanup(func() {
		s.http.Close()
		stop()
		<-stopped
		if s.App.Store.Engine() == storage.Postgres {
			s.Counter.Statements.checkPlans(t)
		}
		if t.Failed() {
			t.Logf("log of %s:\n%s", s.Issuer, s.Log)
		}
	})
}

// Transport reaches this node for the issuer's URLs, whichever address they name.
func (s *Server) Transport() *http.Transport {
	issuer, _ := url.Parse(s.Issuer)
	node := s.http.Listener.Addr().String()
	return &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if addr == issuer.Host {
			addr = node
		}
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}, MaxIdleConnsPerHost: 64}
}

// Apply makes the clients of a clients.yaml known; those that the sample data
// brought stay. The server sees them at once.
func (s *Server) Apply(t testing.TB, clientsYAML string) {
	t.Helper()
	m := manifest.Read("clients.yaml", []byte(clientsYAML), manifest.Source{})
	if _, err := s.App.Manifest.Apply(t.Context(), identity.Operator(), m, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.App.Registry.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Log keeps what a server logs.
type Log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write appends a record.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// String is all that was logged.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
