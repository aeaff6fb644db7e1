package campaigns

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// inTime is when a request must have been answered that waits for the database,
// and when all is well again after the database is.
const inTime = 5 * time.Second

// wantUnavailable sends requests of all kinds at once, several of each, and checks
// that each is 503 with Retry-After in time.
func wantUnavailable(t *testing.T, when string, n *node, kinds map[string]func() (int, http.Header)) {
	t.Helper()
	var all sync.WaitGroup
	for kind, ask := range kinds {
		for range 4 {
			all.Go(func() {
				begin := time.Now()
				status, header := ask()
				took := time.Since(begin)
				if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" || took > inTime {
					t.Errorf("%s, %s answers %d after %v, Retry-After %q; want 503 with Retry-After within %v", when, kind, status, took.Round(time.Millisecond), header.Get("Retry-After"), inTime)
				}
			})
		}
	}
	for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/jwks.json", "/healthz"} {
		if status, _ := n.get(path); status != http.StatusOK {
			t.Errorf("%s, %s answers %d", when, path, status)
		}
	}
	all.Wait()
}

// wantReadiness checks what /readyz says, and that it says so within two seconds.
func wantReadiness(t *testing.T, when string, n *node, want ...string) {
	t.Helper()
	begin := time.Now()
	_, body := n.get("/readyz")
	took := time.Since(begin)
	for _, w := range want {
		if strings.Contains(body, w) && took <= 2*time.Second {
			return
		}
	}
	t.Errorf("%s, /readyz says %s after %v; want %v within 2s", when, strings.TrimSpace(body), took.Round(time.Millisecond), want)
}

// wantRecovery waits until every kind of request succeeds again.
func wantRecovery(t *testing.T, when string, begin time.Time, kinds map[string]func() (int, http.Header)) {
	t.Helper()
	for kind, ask := range kinds {
		for {
			status, _ := ask()
			if status == http.StatusOK {
				break
			}
			if time.Since(begin) > inTime {
				t.Errorf("%s, %s still answers %d after %v", when, kind, status, time.Since(begin).Round(time.Millisecond))
				break
			}
		}
	}
}

// asks are requests that need the database: one that writes a row, one that reads,
// and one that ends a token.
func asks(t testing.TB, n *node, tokens *harness.Tokens) map[string]func() (int, http.Header) {
	portal, machine := n.portal(), n.machine()
	return map[string]func() (int, http.Header){
		"client_credentials": func() (int, http.Header) {
			got := machine.Token(t, url.Values{"grant_type": {"client_credentials"}})
			return got.Status, got.Header
		},
		"introspection": func() (int, http.Header) {
			return portal.Post(t, "/oauth2/introspect", url.Values{"token": {tokens.AccessToken}}, nil)
		},
		"revocation": func() (int, http.Header) {
			return portal.Post(t, "/oauth2/revoke", url.Values{"token": {tokens.AccessToken}}, nil)
		},
	}
}

// A table that somebody locks makes the requests that need it wait. Each is 503 in
// time, none of those happens afterwards, and all is well once the lock is gone.
func TestALockedTableIsAnsweredInTime(t *testing.T) {
	for name, make := range map[string]func(*testing.T) *installation{
		"direct": func(t *testing.T) *installation { return install(t, storage.Postgres) }, "PgBouncer": installPooled,
	} {
		t.Run(name, func(t *testing.T) {
			in := make(t)
			n := in.node(t)
			tokens := n.portal().SignIn(t, n.browser(t), harness.Bob, nil)
			kinds := asks(t, n, tokens)
			const issued = `SELECT count(*) FROM access_tokens WHERE client_id = 'data-api-001'`
			before := in.scalar(t, issued)
			for _, table := range []string{"access_tokens", "clients", "grants"}[:size(1, 3)] {
				release := in.lockTable(t, table)
				under := map[string]func() (int, http.Header){"introspection": kinds["introspection"]}
				if table == "access_tokens" {
					under = kinds
				}
				wantUnavailable(t, table+" is locked", n, under)
				wantReadiness(t, table+" is locked", n, `"ready"`, `"degraded"`)
				release()
				wantRecovery(t, table+" is free again", time.Now(), map[string]func() (int, http.Header){"introspection": kinds["introspection"]})
			}
			if after := in.scalar(t, issued); after != before {
				t.Errorf("%d tokens were issued by requests that were answered 503", after-before)
			}
			wantRecovery(t, "at the end", time.Now(), kinds)
		})
	}
}

// Connections that have gone silent cost the requests that use them 503 in time, and
// nobody else: once new connections are served, all is well within five seconds.
func TestSilentConnectionsAreGivenUp(t *testing.T) {
	in := install(t, storage.Postgres)
	r := startRelay(t, databaseAddress(t, in))
	n := in.through(t, r.address).node(t)
	tokens := n.portal().SignIn(t, n.browser(t), harness.Bob, nil)
	kinds := asks(t, n, tokens)
	for range size(1, 3) {
		// Old ones are silent, new ones are served.
		r.silence()
		wantRecovery(t, "new connections are served", time.Now(), kinds)
		wantReadiness(t, "new connections are served", n, `"ready"`, `"degraded"`)
		// All are silent, and then new ones are served.
		r.deaf.Store(true)
		r.silence()
		wantUnavailable(t, "the database is silent", n, kinds)
		wantReadiness(t, "the database is silent", n, `"unavailable"`)
		r.deaf.Store(false)
		wantRecovery(t, "the database is back", time.Now(), kinds)
	}
	waitFor(t, "readiness", func() bool { status, _ := n.get("/readyz"); return status == http.StatusOK })
	in.invariants(t)
}

// Under load, on two nodes, tables are locked again and again. What was acknowledged
// is there, and what was answered 503 is not.
func TestWhatWasAnswered503DidNotHappen(t *testing.T) {
	in := install(t, storage.Postgres)
	loads := []*load{newLoad(t, in.node(t), 4), newLoad(t, in.node(t), 4)}
	loads[1].serial = 1 << 20 // people of its own
	tokens := loads[0].node.portal().SignIn(t, loads[0].node.browser(t), harness.Bob, nil)
	const issued = `SELECT count(*) FROM access_tokens WHERE client_id = 'data-api-001'`
	before := in.scalar(t, issued)
	var over atomic.Bool
	var failed, slowest atomic.Int64
	var all sync.WaitGroup
	for _, l := range loads {
		for _, w := range l.workers {
			all.Go(func() {
				for !over.Load() {
					what, err := w.step(t)
					if err == nil {
						continue
					}
					failed.Add(1)
					if !unavailable.MatchString(err.Error()) {
						t.Errorf("%s, while the database hangs: %v; want 503", what, err)
						return
					}
				}
			})
			all.Go(func() {
				for !over.Load() { // what a request takes is measured by one that is a single request
					begin := time.Now()
					status, _ := l.node.portal().Post(t, "/oauth2/introspect", url.Values{"token": {tokens.AccessToken}}, nil)
					slowest.Store(max(slowest.Load(), int64(time.Since(begin))))
					if status != http.StatusOK && status != http.StatusServiceUnavailable {
						t.Errorf("introspection answers %d", status)
						return
					}
					<-time.After(20 * time.Millisecond)
				}
			})
		}
	}
	locked := 0
	for range size(1, 6) {
		release := in.lockTable(t, []string{"access_tokens", "grants", "codes"}[locked%3])
		<-time.After(5 * time.Second) // the requests of this time are the campaign
		release()
		locked++
		<-time.After(2 * time.Second)
	}
	acknowledged := func() (n int64) {
		for _, l := range loads {
			l.note(func() { n += int64(len(l.machine)) })
		}
		return n
	}
	over.Store(true)
	all.Wait()
	if got, want := in.scalar(t, issued)-before, acknowledged(); got != want {
		t.Errorf("after locks, %d tokens are there and %d were acknowledged: %d were answered 503 and happened", got, want, got-want)
	}
	for _, l := range loads {
		l.settle(t)
		l.verify(t, 20)
	}
	in.invariants(t)
	t.Logf("%d locks; acknowledged %v %v; %d steps answered 503, 0 of which happened; slowest request %v",
		locked, loads[0].counts, loads[1].counts, failed.Load(), time.Duration(slowest.Load()).Round(time.Millisecond))
	if time.Duration(slowest.Load()) > inTime {
		t.Errorf("a request took %v", time.Duration(slowest.Load()))
	}
}

// A server that can only be read is degraded and not down: what reads goes on, what
// writes is 503. When it can be written again, or another one can, no connection of
// before stands in the way.
func TestAReadOnlyDatabaseIsLeftBehind(t *testing.T) {
	in := install(t, storage.Postgres)
	n := in.node(t)
	tokens := n.portal().SignIn(t, n.browser(t), harness.Bob, nil)
	kinds := asks(t, n, tokens)
	writes := map[string]func() (int, http.Header){"client_credentials": kinds["client_credentials"]}
	cut := in.open(t, "")
	defer cut.Close()
	cut.SetMaxOpenConns(1)
	reconnect := func() {
		if _, err := cut.Exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`); err != nil {
			t.Fatal(err)
		}
	}
	for range size(1, 3) {
		in.exec(t, `ALTER DATABASE `+in.database(t)+` SET default_transaction_read_only = on`)
		reconnect()
		waitFor(t, "a read-only session", func() bool {
			status, _ := writes["client_credentials"]()
			return status == http.StatusServiceUnavailable
		})
		wantUnavailable(t, "the database is read-only", n, writes)
		if status, _ := kinds["introspection"](); status != http.StatusOK {
			t.Errorf("introspection while the database is read-only: %d", status)
		}
		waitFor(t, "degraded", func() bool {
			status, body := n.get("/readyz")
			return status == http.StatusOK && strings.Contains(body, "degraded")
		})
		if _, body := get(http.DefaultTransport, "http://"+n.admin+"/readyz"); !strings.Contains(body, "the database is read-only") {
			t.Errorf("/readyz for operators does not say why: %s", body)
		}
		// No connection is cut now: those that were opened read-only must go by themselves.
		for _, statement := range []string{`SET default_transaction_read_only = off`, `ALTER DATABASE ` + in.database(t) + ` RESET default_transaction_read_only`} {
			if _, err := cut.Exec(statement); err != nil {
				t.Fatal(err)
			}
		}
		wantRecovery(t, "the database can be written again", time.Now(), writes)
	}
	waitFor(t, "readiness", func() bool { _, body := n.get("/readyz"); return strings.Contains(body, `"ready"`) })
	in.invariants(t)
}

// Behind PgBouncer in transaction mode two nodes refresh many families at once, and
// nothing of one transaction gets in the way of another.
func TestBehindAPoolerInTransactionMode(t *testing.T) {
	in := installPooled(t)
	l, other := newLoad(t, in.node(t), 4), in.node(t)
	var refreshes []string
	for range size(1, 4) * 16 {
		refreshes = append(refreshes, l.node.portal().SignIn(t, l.workers[0].browser, harness.Bob, nil).RefreshToken)
	}
	for range size(3, 10) {
		inParallel(t, len(refreshes), 16, func(t testing.TB, i int) {
			got := []*node{l.node, other}[i%2].portal().Refresh(t, refreshes[i])
			if got.Status != http.StatusOK {
				t.Errorf("a refresh gets %v", refused(got))
				return
			}
			refreshes[i] = got.RefreshToken
		})
	}
	var over atomic.Bool
	var all sync.WaitGroup
	for _, w := range l.workers {
		all.Go(func() {
			for !over.Load() {
				if what, err := w.step(t); err != nil {
					t.Errorf("%s: %v", what, err)
					return
				}
			}
		})
	}
	<-time.After(time.Duration(size(2, 20)) * time.Second)
	over.Store(true)
	all.Wait()
	l.verify(t, 20)
	in.invariants(t)
	t.Logf("%d families refreshed; acknowledged %v", len(refreshes), l.counts)
}

// A pooler that would break requests at random is refused at the start, with what
// to set. In session mode it is as good as none.
func TestAPoolerThatDoesNotKeepSettingsIsRefused(t *testing.T) {
	in := install(t, storage.Postgres)
	for mode, wants := range map[string][]string{
		"transaction": {"ALTER ROLE", "IN DATABASE", "statement_timeout = '2000'", "lock_timeout = '1500'", "idle_in_transaction_session_timeout = '5000'",
			"enable_seqscan = 'off'", "enable_hashjoin = 'off'", "enable_mergejoin = 'off'", "jit = 'off'"},
		"statement": {"pool_mode = session or transaction"}, "session": nil,
	} {
		s, err := storage.Open(t.Context(), storage.Config{URL: in.through(t, startPgBouncer(t, in, mode)).url})
		if err == nil {
			_, err = s.AcquireJob(t.Context(), "pooled", "me", time.Second)
			_ = s.Close()
		}
		if (err != nil) != (wants != nil) || err != nil && !errors.Is(err, storage.ErrPooler) {
			t.Errorf("pool_mode %s: %v", mode, err)
		}
		for _, want := range wants {
			if err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("pool_mode %s: the refusal %q lacks %q", mode, err, want)
			}
		}
	}
}
