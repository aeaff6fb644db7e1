package provider

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/storage"
)

// usageInterval is how often last uses are written.
const usageInterval = 30 * time.Second

// usage collects when grants were last used, beside what identity notes about
// clients, so that no token request waits for that to be written. A crash loses
// no more than the last interval of it.
type usage struct {
	store    *storage.Store
	identity *identity.Identity
	log      *slog.Logger

	mu     sync.Mutex
	grants map[uuid.UUID]time.Time
}

func newUsage(c Config) *usage {
	return &usage{store: c.Store, identity: c.Identity, log: c.Log, grants: map[uuid.UUID]time.Time{}}
}

func (u *usage) record(by *unit) {
	if by.auth == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.grants[by.auth.Grant.ID] = by.now
}

// run writes until ctx ends, and once more then.
func (u *usage) run(ctx context.Context) {
	tick := time.NewTicker(usageInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			u.write(last)
			return
		case <-tick.C:
			u.write(ctx)
		}
	}
}

func (u *usage) write(ctx context.Context) {
	u.mu.Lock()
	grants := u.grants
	u.grants = map[uuid.UUID]time.Time{}
	u.mu.Unlock()
	if err := u.identity.WriteUses(ctx); err != nil {
		u.log.Warn("last uses of clients were not written", "error", err)
	}
	if len(grants) == 0 {
		return
	}
	if err := u.store.TouchGrants(ctx, grants); err != nil {
		u.log.Warn("last uses of grants were not written", "error", err)
	}
}
