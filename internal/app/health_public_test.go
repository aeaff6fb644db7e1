package app

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sallyport-id/sallyport/internal/redis"
)

// Strangers read this answer: what is wrong is one word for each part, without causes, counts and dates.
func TestPublicHealthTellsNoCauses(t *testing.T) {
	type checks = map[string]string
	for _, tc := range []struct {
		name            string
		found           checks
		redis, mail     bool
		database, cache string
		mailbox         string
	}{
		{"all well", checks{"database": "ok", "redis": "ok", "mail": "ok", "writes": "ok"}, true, true, "ok", "ok", "ok"},
		{"nothing configured", checks{"database": "ok", "mail": "ok"}, false, false, "ok", "not used", "not used"},
		{"a full disk", checks{"database": "ok", "writes": "the disk is full", "mail": "ok"}, false, true, "degraded", "not used", "ok"},
		{"a clock that is off", checks{"database": "ok", "clock": "this node's clock is 9s off", "mail": "ok"}, false, true, "degraded", "not used", "ok"},
		{"Redis away", checks{"database": "ok", "redis": "no connection", "mail": "ok"}, true, true, "ok", "degraded", "ok"},
		{"mail that does not leave", checks{"database": "ok", "mail": "mail has failed since 1970, and 3 messages wait"}, false, true, "ok", "not used", "degraded"},
		{"no database", checks{"database": "no answer", "redis": "ok"}, true, true, "unavailable", "ok", "unknown"},
	} {
		s := &Server{app: &App{Config: &Config{}}}
		if tc.mail {
			s.app.Config.Mail.Provider = "smtp"
		}
		if tc.redis {
			s.app.Redis, _ = redis.Open("redis://127.0.0.1:1", nil, nil)
		}
		got := s.public(Health{Status: "degraded", Checks: tc.found}).Checks
		if diff := cmp.Diff(checks{"database": tc.database, "redis": tc.cache, "mail": tc.mailbox}, got); diff != "" {
			t.Errorf("%s: checks (-want +got):\n%s", tc.name, diff)
		}
		for cause := range maps.Values(tc.found) {
			for word := range maps.Values(got) {
				if cause != "ok" && strings.Contains(word, cause) {
					t.Errorf("%s: %q tells a cause", tc.name, word)
				}
			}
		}
	}
}
