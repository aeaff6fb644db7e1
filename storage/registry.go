package storage

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
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
	clients *expirable.LRU[string, *cached]
	orgs    *expirable.LRU[uuid.UUID, cachedOrganization]
	origins *expirable.LRU[string, cachedOrigin]

	mu       sync.Mutex
	scopes   atomic.Pointer[ScopeIndex]
	settings atomic.Pointer[cachedSettings]
}

type cachedSettings struct {
	version  int64
	settings PlatformSettings
}

// Settings returns the installation's own rules.
func (r *Registry) Settings(ctx context.Context) (PlatformSettings, error) {
	version := r.version.Load()
	if c := r.settings.Load(); c != nil && c.version == version {
		return c.settings, nil
	}
	settings, err := r.store.PlatformSettings(ctx)
	if err != nil {
		return settings, err
	}
	r.settings.Store(&cachedSettings{version, settings})
	return settings, nil
}

// cached is a client, or nil for a client_id that nobody has. Unknown ids are
// remembered too, so that guessing them costs no query each.
type cached struct {
	version int64
	client  *Client
	parsed  atomic.Value // by ParsedClient
}

// ScopeIndex answers what the scopes of all resource servers mean. It is immutable.
type ScopeIndex struct {
	version   int64
	resources []Resource
	audience  map[string][]string // scope → identifiers of the resources that define it
	scopesOf  map[string]map[string]string
}

// Audience are the resources that define scope, nil if none does.
func (x *ScopeIndex) Audience(scope string) []string { return x.audience[scope] }

// ResourceScopes are the scopes that a resource defines; nil if there is no such resource.
func (x *ScopeIndex) ResourceScopes(identifier string) map[string]string {
	return x.scopesOf[identifier]
}

// Serves reports whether a client acts as one of the resources in audience.
func (x *ScopeIndex) Serves(clientID string, audience []string) bool {
	return slices.ContainsFunc(x.resources, func(r Resource) bool {
		return slices.Contains(audience, r.Identifier) && slices.Contains(r.ServedBy, clientID)
	})
}

// Scopes are all scopes that resources define, sorted.
func (x *ScopeIndex) Scopes() []string { return slices.Sorted(maps.Keys(x.audience)) }

// NewRegistry returns an empty copy that fills as it is asked. Run keeps it true.
func NewRegistry(store *Store, log *slog.Logger) *Registry {
	return &Registry{store: store, log: log, clients: expirable.NewLRU[string, *cached](20_000, nil, time.Hour),
		orgs:    expirable.NewLRU[uuid.UUID, cachedOrganization](20_000, nil, time.Hour),
		origins: expirable.NewLRU[string, cachedOrigin](20_000, nil, time.Hour)}
}

// Client returns an active or disabled client by its client_id. ErrNotFound for
// unknown and deleted ones.
func (r *Registry) Client(ctx context.Context, clientID string) (*Client, error) {
	c, err := r.cachedClient(ctx, clientID)
	if err != nil {
		return nil, err
	}
	return c.client, nil
}

// ParsedClient returns what parse makes of a client, made once for each version of its
// registration that this process holds. All callers must give the same parse.
func (r *Registry) ParsedClient(ctx context.Context, clientID string, parse func(*Client) (any, error)) (any, error) {
	c, err := r.cachedClient(ctx, clientID)
	if err != nil {
		return nil, err
	}
	if known := c.parsed.Load(); known != nil {
		return known, nil
	}
	parsed, err := parse(c.client)
	if err == nil {
		c.parsed.Store(parsed)
	}
	return parsed, err
}

func (r *Registry) cachedClient(ctx context.Context, clientID string) (*cached, error) {
	// The version is read before the row: a change in between makes the entry stale, never fresh.
	version := r.version.Load()
	if c, ok := r.clients.Get(clientID); ok && c.version == version {
		if c.client == nil {
			return nil, ErrNotFound
		}
		return c, nil
	}
	if len(clientID) == 0 || len(clientID) > 255 {
		return nil, ErrNotFound
	}
	c, err := r.store.Client(ctx, clientID)
	if errors.Is(err, ErrNotFound) || (err == nil && !c.DeletedAt.IsZero()) {
		c, err = nil, ErrNotFound
	}
	known := &cached{version: version, client: c}
	if err == nil || errors.Is(err, ErrNotFound) {
		r.clients.Add(clientID, known)
	}
	return known, err
}

// Resources returns all resource servers. The slice is shared.
func (r *Registry) Resources(ctx context.Context) ([]Resource, error) {
	x, err := r.Scopes(ctx)
	if err != nil {
		return nil, err
	}
	return x.resources, nil
}

// Scopes returns the index of all resources' scopes.
func (r *Registry) Scopes(ctx context.Context) (*ScopeIndex, error) {
	if x := r.scopes.Load(); x != nil && x.version == r.version.Load() {
		return x, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	x := &ScopeIndex{version: r.version.Load(), audience: map[string][]string{}, scopesOf: map[string]map[string]string{}}
	if won := r.scopes.Load(); won != nil && won.version == x.version {
		return won, nil
	}
	var err error
	if x.resources, err = r.store.Resources(ctx); err != nil {
		return nil, err
	}
	for _, res := range x.resources {
		x.scopesOf[res.Identifier] = res.Scopes
		for scope := range res.Scopes {
			x.audience[scope] = append(x.audience[scope], res.Identifier)
		}
	}
	r.scopes.Store(x)
	return x, nil
}

type cachedOrigin struct {
	version int64
	known   bool
}

// KnownOrigin reports whether a browser origin belongs to any enabled client. Unknown ones are remembered too, as
// unknown client_ids are.
func (r *Registry) KnownOrigin(ctx context.Context, origin string) (bool, error) {
	version := r.version.Load()
	if c, ok := r.origins.Get(origin); ok && c.version == version {
		return c.known, nil
	}
	if !isOrigin(origin) {
		return false, nil
	}
	known, err := r.store.isOriginOfClient(ctx, origin)
	if err == nil {
		r.origins.Add(origin, cachedOrigin{version, known})
	}
	return known, err
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

type cachedOrganization struct {
	version      int64
	organization *Organization
}

// Organization returns a live organization as it was at the last change of the
// registry, for what needs its name but no decision: tokens of its own clients.
func (r *Registry) Organization(ctx context.Context, organizationID uuid.UUID) (*Organization, error) {
	version := r.version.Load()
	if c, ok := r.orgs.Get(organizationID); ok && c.version == version {
		return c.organization, nil
	}
	o, err := r.store.Organization(ctx, organizationID)
	if err != nil {
		return nil, err
	}
	r.orgs.Add(organizationID, cachedOrganization{version, o})
	return o, nil
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
