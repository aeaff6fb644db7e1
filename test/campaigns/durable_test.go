package campaigns

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/storage"
)

// FT-01: whatever the server acknowledged is there after SIGKILL at any moment,
// on both engines, and nothing is there by half.
func TestWhatWasAcknowledgedSurvivesAKill(t *testing.T) {
	for _, engine := range []storage.Engine{storage.SQLite, storage.Postgres} {
		t.Run(string(engine), func(t *testing.T) {
			in := install(t, engine)
			in.settings = []string{proxied}
			n := in.node(t)
			l := newLoad(t, n, 6)
			var restarts []time.Duration
			for range size(3, 20) {
				l.runUntilKilled(t, 300*time.Millisecond+rand.N(700*time.Millisecond))
				begin := time.Now()
				n.start(t)
				n.ready(t)
				restarts = append(restarts, time.Since(begin).Round(time.Millisecond))
				l.settle(t)
				l.verify(t, 10)
				if t.Failed() {
					return
				}
			}
			l.verify(t, 0)
			in.invariants(t)
			l.replay(t, 20)
			slices.Sort(restarts)
			t.Logf("%d kills on %s; acknowledged %v, %d codes redeemed, %d tokens revoked; ready again in %v (median), %v (slowest)",
				len(restarts), engine, l.counts, l.redeemed, len(l.revoked), restarts[len(restarts)/2], restarts[len(restarts)-1])
		})
	}
}

// FT-02: while PostgreSQL's connections are cut again and again in the middle of
// statements, requests fail with 503 or not at all; afterwards everything works by
// itself, and no grant was made by half.
func TestCutConnectionsToTheDatabaseLeaveNothingByHalf(t *testing.T) {
	in := install(t, storage.Postgres)
	l := newLoad(t, in.node(t), 6)
	cut := in.readOnly(t) // terminating others changes no data
	defer cut.Close()
	var over atomic.Bool
	var failed, slowest atomic.Int64
	var all sync.WaitGroup
	for _, w := range l.workers {
		all.Go(func() {
			for !over.Load() {
				begin := time.Now()
				_, err := w.step(t)
				slowest.Store(max(slowest.Load(), int64(time.Since(begin))))
				if err == nil {
					continue
				}
				failed.Add(1)
				if !unavailable.MatchString(err.Error()) {
					t.Errorf("while connections are cut: %v; want 503", err)
					return
				}
			}
		})
	}
	cuts := 0
	for end := time.Now().Add(time.Duration(size(3, 10)) * time.Second); time.Now().Before(end); <-time.After(50 * time.Millisecond) {
		var n int
		if err := cut.QueryRow(`SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid() AND (state = 'active' OR random() < 0.3)`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		cuts += n
	}
	over.Store(true)
	all.Wait()
	if t.Failed() {
		return
	}
	l.node.ready(t)
	l.settle(t)
	l.verify(t, 0)
	in.invariants(t)
	t.Logf("%d connections cut; acknowledged %v; %d steps answered 503; slowest step %v", cuts, l.counts, failed.Load(), time.Duration(slowest.Load()).Round(time.Millisecond))
}

// unavailable is how a step reads that was answered with 503, or what the command
// line says.
var unavailable = regexp.MustCompile(`\b503\b|database unavailable`)

// runUntilKilled has all workers work, kills the server after a while and waits
// until everybody has noticed. What fails before the kill is an error.
func (l *load) runUntilKilled(t *testing.T, after time.Duration) {
	t.Helper()
	var killed atomic.Bool
	var all sync.WaitGroup
	for _, w := range l.workers {
		all.Go(func() {
			for !killed.Load() {
				if what, err := w.step(t); err != nil && !killed.Load() {
					t.Errorf("%s fails while nobody is killed: %v", what, err)
					return
				}
			}
		})
	}
	<-time.After(after)
	killed.Store(true)
	l.node.kill()
	all.Wait()
}
