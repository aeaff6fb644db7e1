package app

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/metrics"
	"github.com/sallyport-id/sallyport/internal/outbox"
)

// A job that deletes, or tells people, by the time runs on one node and by a right clock; a job that only this node can do
// runs on each.
func TestJobsThatGoByTheClockAreLeased(t *testing.T) {
	s := &Server{app: &App{Identity: &identity.Domain{}}, metrics: metrics.New(), outbox: outbox.NewWorker(outbox.Config{})}
	leased := map[string]bool{"sweep": true, "lapse": true, "mfa-notices": true}
	seen := map[string]bool{}
	for _, job := range s.jobs() {
		if job.Leased != leased[job.Name] {
			t.Errorf("%s: leased %v, want %v", job.Name, job.Leased, leased[job.Name])
		}
		if seen[job.Name] || job.Every <= 0 || job.Run == nil || job.Failed == "" {
			t.Errorf("%s: the row is double or not whole", job.Name)
		}
		seen[job.Name] = true
	}
	for name := range leased {
		if !seen[name] {
			t.Errorf("there is no job %s", name)
		}
	}
	// A job that writes what is in memory must write once more at the end, or each update of the program loses it.
	for _, job := range s.jobs() {
		switch job.Name {
		case "uses", "refusals", "failures", "outbox":
			if job.AtStop == nil {
				t.Errorf("%s does nothing at the end", job.Name)
			}
		}
	}
}

// A flush that SIGTERM cuts short may have been written already; the one at the end would write the same failures again.
func TestAFlushIsNotCutShortByAShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		err := finishing(func(ctx context.Context) error {
			stop()
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(4 * time.Second):
				return nil
			}
		})(ctx)
		if err != nil {
			t.Errorf("a flush of four seconds: %v", err)
		}
		err = finishing(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })(ctx)
		if err == nil {
			t.Error("a flush that never ends was not ended")
		}
	})
}
