package app

import (
	"os"
	"strings"
	"testing"
	"time"
)

// A supervisor must give the process the time that draining and finishing take.
func TestExamplesGiveTheProcessTimeToStop(t *testing.T) {
	if drain := mustLoad(t).DrainDelay; drain != 0 {
		t.Errorf("development: got DRAIN_DELAY %v, want 0", drain)
	}
	cfg := mustLoad(t, "SALLYPORT_DRAIN_DELAY=7")
	if cfg.DrainDelay != 7*time.Second {
		t.Errorf("got %v, want 7 s", cfg.DrainDelay)
	}
	const drain = 5 * time.Second // production's default, see .env.example
	if drain+drainTime >= 30*time.Second {
		t.Errorf("stopping takes up to %v, and the examples give 30 s", drain+drainTime)
	}
	for file, settings := range map[string][]string{
		"../../compose.yaml":       {"stop_grace_period: 30s"},
		"../../docs/operations.md": {"TimeoutStopSec=30", "terminationGracePeriodSeconds: 30"},
		"../../.env.example":       {"DRAIN_DELAY="},
	} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, setting := range settings {
			if !strings.Contains(string(text), setting) {
				t.Errorf("%s lacks %s", file, setting)
			}
		}
	}
}
