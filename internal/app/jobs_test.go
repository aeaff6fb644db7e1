package app

import (
	"testing"

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
	// What is only in memory would be lost with each update of the program.
	for _, job := range s.jobs() {
		switch job.Name {
		case "uses", "refusals", "failures", "outbox":
			if job.AtStop == nil {
				t.Errorf("%s does nothing at the end", job.Name)
			}
		}
	}
}
