package provider

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/storage"
)

// usageInterval is how often last uses are written, refusalInterval how often refusals are: their developer waits for
// them.
const (
	usageInterval   = 30 * time.Second
	refusalInterval = 3 * time.Second
)

// usage collects when grants were last used, beside what identity notes about
// clients, so that no token request waits for that to be written. A grant's is
// written at most once an hour; a crash loses no more than the last interval of it.
type usage struct {
	store    *storage.Store
	identity *identity.Identity
	log      *slog.Logger
	pace     storage.Pace
	// refusalPace is apart from pace: a minute of refusals is another amount of work than a last use.
	refusalPace storage.Pace

	mu     sync.Mutex
	grants map[uuid.UUID]time.Time
}

func newUsage(c Config) *usage {
	return &usage{store: c.Store, identity: c.Identity, log: c.Log, refusalPace: storage.Pace{Smallest: 1, Largest: 50},
		grants: map[uuid.UUID]time.Time{}}
}

// record notes the use of the grant of a token request.
func (u *usage) record(t *tokenRequest) {
	if t.auth == nil || t.now.Sub(t.auth.Grant.LastUsedAt) < identity.UseInterval {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.grants[t.auth.Grant.ID] = t.now
}

// run writes until ctx ends, and once more then.
func (u *usage) run(ctx context.Context) {
	tick := time.NewTicker(usageInterval)
	defer tick.Stop()
	refusals := time.NewTicker(refusalInterval)
	defer refusals.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			u.write(last, &storage.Pace{Rest: storage.Hurry})
			u.writeRefusals(last, &storage.Pace{Rest: storage.Hurry})
			return
		case <-refusals.C:
			u.writeRefusals(ctx, &u.refusalPace)
		case <-tick.C:
			u.write(ctx, &u.pace)
		}
	}
}

func (u *usage) writeRefusals(ctx context.Context, pace *storage.Pace) {
	if err := u.identity.WriteRefusals(ctx, pace); err != nil {
		u.log.Warn("refusals of clients were not written", "error", err)
	}
}

func (u *usage) write(ctx context.Context, pace *storage.Pace) {
	u.mu.Lock()
	seen := u.grants
	u.grants = map[uuid.UUID]time.Time{}
	u.mu.Unlock()
	if err := u.identity.WriteUses(ctx, pace); err != nil {
		u.log.Warn("last uses of clients were not written", "error", err)
	}
	grants := make([]storage.GrantUse, 0, len(seen))
	for id, at := range seen {
		grants = append(grants, storage.GrantUse{GrantID: id, At: at})
	}
	slices.SortFunc(grants, func(a, b storage.GrantUse) int { return bytes.Compare(a.GrantID[:], b.GrantID[:]) })
	err := storage.PaceEach(ctx, pace, grants, func(batch []storage.GrantUse) error { return u.store.TouchGrants(ctx, batch) })
	if err != nil {
		u.log.Warn("last uses of grants were not written", "error", err)
	}
}
