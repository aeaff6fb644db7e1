package provider

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/storage"
)

// usage collects when grants were last used, beside what identity notes about
// clients, so that no token request waits for that to be written. A grant's is
// written at most once an hour; a crash loses no more than the last interval of it.
type usage struct {
	store    *storage.Store
	identity *identity.Domain
	pace     storage.Pace
	// refusalPace is apart from pace: a minute of refusals is another amount of work than a last use.
	refusalPace storage.Pace

	mu     sync.Mutex
	grants map[uuid.UUID]time.Time
}

func newUsage(c Config) *usage {
	return &usage{store: c.Store, identity: c.Identity, refusalPace: storage.Pace{Smallest: 1, Largest: 50},
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

// WriteUses writes when clients and grants were last used. It is called every half minute, and
// once more when the server stops.
func (p *Provider) WriteUses(ctx context.Context) error {
	u := p.usage
	u.mu.Lock()
	seen := u.grants
	u.grants = map[uuid.UUID]time.Time{}
	u.mu.Unlock()
	err := u.identity.WriteUses(ctx, &u.pace)
	grants := make([]storage.GrantUse, 0, len(seen))
	for id, at := range seen {
		grants = append(grants, storage.GrantUse{GrantID: id, At: at})
	}
	slices.SortFunc(grants, func(a, b storage.GrantUse) int { return bytes.Compare(a.GrantID[:], b.GrantID[:]) })
	return errors.Join(err, storage.PaceEach(ctx, &u.pace, grants,
		func(batch []storage.GrantUse) error { return u.store.TouchGrants(ctx, batch) }))
}

// WriteRefusals writes what clients were refused. It is called every few seconds: their developers wait for it.
func (p *Provider) WriteRefusals(ctx context.Context) error {
	return p.usage.identity.Clients.WriteRefusals(ctx, &p.usage.refusalPace)
}
