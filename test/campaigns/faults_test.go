package campaigns

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// FT-10: transactions and single statements that lose to others are run again,
// and what they write is there once.
func TestLostTransactionsAreRunAgain(t *testing.T) {
	l := &loser{}
	s := harness.Start(t, storage.Postgres, harness.Options{Wrap: l.wrap})
	rp := s.Portal()
	b := s.Browser(t)
	rp.SignIn(t, b, harness.Bob, nil)
	l.armed.Store(true)
	n := size(40, 200)
	families := map[string]bool{}
	for i := range n {
		tokens := rp.SignIn(t, b, harness.Bob, nil)
		if tokens = rp.Refresh(t, tokens.RefreshToken); tokens.Status != http.StatusOK {
			t.Fatalf("a refresh gets %v", refused(tokens))
		}
		families[tokens.RefreshToken] = true
		if got := s.Machine().Token(t, url.Values{"grant_type": {"client_credentials"}}); got.Status != http.StatusOK {
			t.Fatalf("client_credentials gets %v", refused(got))
		}
		if i%2 == 0 {
			if status, _ := rp.Post(t, "/oauth2/revoke", url.Values{"token": {tokens.RefreshToken}}, nil); status != http.StatusOK {
				t.Fatalf("a revocation answers %d", status)
			}
			delete(families, tokens.RefreshToken)
		}
		if i%10 == 0 {
			name := "lost" + uuid.NewString()[:8] + "@acme-corp.com"
			if _, err := s.App.Identity.People.Create(t.Context(), identity.Operator(), identity.NewUser{Email: name, Password: "correct-horse-battery"}); err != nil {
				t.Fatal(err)
			}
			rp.SignIn(t, s.Browser(t), harness.Alice, nil) // with the pages' own writes
		}
	}
	l.armed.Store(false)
	if l.lost.Load() == 0 {
		t.Fatal("nothing was made to lose")
	}
	for refresh := range families {
		if got := rp.Introspect(t, refresh); got["active"] != true {
			t.Errorf("a refresh token after lost transactions: %v", got)
		}
	}
	t.Logf("%d of %d writes lost and were run again", l.lost.Load(), l.ran.Load())
}

// FT-11: a panic costs one request, or restarts one worker, and nothing else: not
// the process, nor the connection of a transaction it happened in. SQLite has one
// connection that writes, so a lost one would be noticed at once.
func TestAPanicCostsOneRequest(t *testing.T) {
	var armed atomic.Int64 // how many looks at the clock until it panics
	now := func(clock func() time.Time) func() time.Time {
		return func() time.Time {
			// The edge itself looks at the clock around what it recovers from.
			caller, _, _, _ := runtime.Caller(1)
			if armed.Load() > 0 && !strings.Contains(runtime.FuncForPC(caller).Name(), "internal/web.") && armed.Add(-1) == 0 {
				panic("the clock is broken")
			}
			return clock()
		}
	}
	for _, engine := range []storage.Engine{storage.SQLite, storage.Postgres} {
		t.Run(string(engine), func(t *testing.T) {
			s := harness.Start(t, engine, harness.Options{Now: now})
			rp, b := s.Portal(), s.Browser(t)
			refresh := rp.SignIn(t, b, harness.Bob, nil).RefreshToken
			broken := 0
			// The clock panics at each place in turn where a request reads it.
			for i := range int64(30) {
				code := issuedBy(t, rp, b)
				armed.Store(i + 1)
				got := rp.Token(t, redemption(rp, code, code.request.Verifier))
				revoked, _ := rp.Post(t, "/oauth2/revoke", url.Values{"token": {refresh}}, nil)
				armed.Store(0)
				if got.Status == http.StatusInternalServerError || revoked == http.StatusInternalServerError {
					broken++
				}
				if after := rp.SignIn(t, b, harness.Bob, nil); after.Status != http.StatusOK {
					t.Fatalf("after a panic a sign-in gets %v", refused(after))
				} else {
					refresh = after.RefreshToken
				}
			}
			if broken == 0 {
				t.Error("no request met the panic")
			}
			// No request is sent: the next to read the clock is a background job.
			for end := time.Now().Add(time.Minute); !strings.Contains(s.Log.String(), "a background job panicked"); <-time.After(20 * time.Millisecond) {
				armed.CompareAndSwap(0, 1)
				if time.Now().After(end) {
					t.Fatal("no job looked at the clock within a minute")
				}
			}
			armed.Store(0)
			if after := rp.SignIn(t, b, harness.Bob, nil); after.Status != http.StatusOK {
				t.Fatalf("after a job's panic a sign-in gets %v", refused(after))
			}
			metrics := httptest.NewRecorder()
			s.Server.Admin().ServeHTTP(metrics, httptest.NewRequest(http.MethodGet, "http://localhost/metrics", nil))
			if !strings.Contains(metrics.Body.String(), "sallyport_worker_panics_total{") {
				t.Error("no metric tells of the job's panic")
			}
		})
	}
}

// issuedBy is a code for a browser that is signed in.
func issuedBy(t testing.TB, rp *harness.RP, b *harness.Browser) issued {
	t.Helper()
	r := rp.Authorize(nil)
	p := b.Get(t, r.URL)
	if p.Away == nil || p.Away.Query().Get("code") == "" {
		t.Fatalf("authorize ends at %s with %d", p.URL, p.Status)
	}
	return issued{p.Away.Query().Get("code"), r}
}

// FT-09: another process that holds SQLite's write lock makes writers wait; one
// that keeps it gets them 503, and all is well when it lets go. Readers read on.
func TestABusySQLiteFileIsWaitedFor(t *testing.T) {
	in := install(t, storage.SQLite)
	n, m := in.node(t), in.node(t) // two processes on one file
	rp := n.portal()
	tokens := rp.SignIn(t, n.browser(t), harness.Bob, nil)
	if got := m.portal().Refresh(t, tokens.RefreshToken); got.Status != http.StatusOK {
		t.Fatalf("a refresh at the second process gets %v", refused(got))
	}
	release := holdWriteLock(t, in)
	waiting := make(chan *harness.Tokens, 1)
	go func() {
		waiting <- n.machine().Token(t, url.Values{"grant_type": {"client_credentials"}})
	}()
	if status, _ := rp.Userinfo(t, tokens.AccessToken); status != http.StatusOK {
		t.Errorf("userinfo while another process writes: %d, want 200", status)
	}
	release()
	if got := <-waiting; got.Status != http.StatusOK {
		t.Errorf("a write that had to wait gets %v", refused(got))
	}
	release = holdWriteLock(t, in)
	kinds := asks(t, n, tokens)
	delete(kinds, "introspection")
	wantUnavailable(t, "another process holds the lock", n, kinds)
	waitFor(t, "degraded", func() bool {
		status, body := n.get("/readyz")
		return status == http.StatusOK && strings.Contains(body, "degraded")
	})
	release()
	if got := n.machine().Token(t, url.Values{"grant_type": {"client_credentials"}}); got.Status != http.StatusOK {
		t.Errorf("after the lock is free, a write gets %v", refused(got))
	}
	in.invariants(t)
}

// holdWriteLock takes SQLite's write lock until release is called.
func holdWriteLock(t *testing.T, in *installation) (release func()) {
	t.Helper()
	db := in.open(t, "")
	conn, err := db.Conn(context.WithoutCancel(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.ExecContext(t.Context(), `BEGIN IMMEDIATE`); err != nil {
		t.Fatal(err)
	}
	return func() {
		if _, err := conn.ExecContext(t.Context(), `ROLLBACK`); err != nil {
			t.Error(err)
		}
		_, _ = conn.Close(), db.Close()
	}
}
