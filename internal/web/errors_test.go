package web

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The header and the sentence beside it never tell of a time that is too short.
func TestWhenToComeBack(t *testing.T) {
	got := map[string]string{}
	for _, d := range []time.Duration{
		time.Millisecond, time.Minute, 61 * time.Second, 10 * time.Minute, 59*time.Minute + time.Second, time.Hour, 61 * time.Minute,
	} {
		h := http.Header{}
		SetRetryAfter(h, d)
		got[d.String()] = h.Get("Retry-After") + ": " + Wait(d)
	}
	want := map[string]string{
		"1ms": "1: a minute", "1m0s": "60: a minute", "1m1s": "61: 2 minutes", "10m0s": "600: 10 minutes",
		"59m1s": "3541: an hour", "1h0m0s": "3600: an hour", "1h1m0s": "3660: 2 hours",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
