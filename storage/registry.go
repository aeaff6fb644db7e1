package storage

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/expirable"
)

// pollInterval is how long a process may act on a registration that another has changed.
const pollInterval = 500 * time.Millisecond

// Registry is this process's copy of clients and resources. A version row that is
// bumped by every change to them is polled, so a change is seen everywhere within
// a second; what it hands out is immutable.
type Registry struct {
	store   *Store
	log     *slog.Logger
	version atomic.Int64
	clients *expirable.LRU[string, cached]

	mu        sync.Mutex
	resources atomic.Pointer[resourceSet]
}

// cached is a client, or nil for a client_id that nobody has. Unknown ids are
// remembered too, so that guessing them costs no query each.
type cached struct {
	version int64
	client  *Client
}

type resourceSet struct {
	version int64
	all     []Resource
}

// NewRegistry returns an empty copy that fills as it is asked. Run keeps it true.
func NewRegistry(store *Store, log *slog.Logger) *Registry {
	return &Registry{store: store, log: log, clients: expirable.NewLRU[string, cached](20_000, nil, time.Hour)}
}

// Client returns an active or disabled client by its client_id. ErrNotFound for
// unknown and deleted ones.
func (r *Registry) Client(ctx context.Context, clientID string) (*Client, error) {
	// The version is read before the row: a change in between makes the entry stale, never fresh.
	version := r.version.Load()
	if c, ok := r.clients.Get(clientID); ok && c.version == version {
		if c.client == nil {
			return nil, ErrNotFound
		}
		return c.client, nil
	}
	if len(clientID) == 0 || len(clientID) > 255 {
		return nil, ErrNotFound
	}
	c, err := r.store.Client(ctx, clientID)
	if errors.Is(err, ErrNotFound) || (err == nil && !c.DeletedAt.IsZero()) {
		c, err = nil, ErrNotFound
	}
	if err == nil || errors.Is(err, ErrNotFound) {
		r.clients.Add(clientID, cached{version, c})
	}
	return c, err
}

// Resources returns all resource servers. The slice is shared.
func (r *Registry) Resources(ctx context.Context) ([]Resource, error) {
	if set := r.resources.Load(); set != nil && set.version == r.version.Load() {
		return set.all, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	version := r.version.Load()
	if set := r.resources.Load(); set != nil && set.version == version {
		return set.all, nil
	}
	all, err := r.store.Resources(ctx)
	if err != nil {
		return nil, err
	}
	r.resources.Store(&resourceSet{version, all})
	return all, nil
}

// Refresh reads the version row once; everything older is forgotten.
func (r *Registry) Refresh(ctx context.Context) error {
	n, err := r.store.Version(ctx, VersionRegistry)
	if err != nil {
		return err
	}
	r.version.Store(n)
	return nil
}

// Run polls the version row until ctx ends.
func (r *Registry) Run(ctx context.Context) {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := r.Refresh(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			r.log.Warn("the registry cannot see changes", "error", err)
		}
		failing = err != nil
	}
}
