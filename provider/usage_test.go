package provider

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/storage"
)

// A client that refreshes every minute costs one write an hour, and many grants are written in many transactions.
func TestTheLastUseOfAGrantIsWrittenOnceAnHour(t *testing.T) {
	store, err := storage.Open(t.Context(), storage.Config{URL: "sqlite://" + filepath.Join(t.TempDir(), "test.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	u := newUsage(Config{Store: store, Identity: identity.New(identity.Config{Store: store})})
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for name, c := range map[string]struct {
		last time.Time
		want bool
	}{
		"never used":                {time.Time{}, true},
		"used a minute ago":         {now.Add(-time.Minute), false},
		"used 59 minutes ago":       {now.Add(-59 * time.Minute), false},
		"used an hour ago":          {now.Add(-time.Hour), true},
		"used by a node that leads": {now.Add(time.Second), false},
	} {
		grant := storage.Grant{ID: uuid.New(), LastUsedAt: c.last}
		u.record(&tokenRequest{now: now, auth: &storage.Authorization{Grant: grant}})
		if _, noted := u.grants[grant.ID]; noted != c.want {
			t.Errorf("%s: noted %t, want %t", name, noted, c.want)
		}
	}
	for range 300 {
		u.record(&tokenRequest{now: now, auth: &storage.Authorization{Grant: storage.Grant{ID: uuid.New()}}})
	}
	pauses := 0
	u.pace = storage.Pace{Largest: 100, Rest: func(context.Context, time.Duration) error { pauses++; return nil }}
	err = (&Provider{usage: u}).WriteUses(t.Context())
	if err != nil || len(u.grants) != 0 || pauses < 3 {
		t.Errorf("%d grants are left after %d pauses: %v", len(u.grants), pauses, err)
	}
}
