package storage

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/golang-lru/v2/expirable"
)

// RegistryPoll is how long a process may act on a registration that another has changed: Refresh is called that often.
const RegistryPoll = 500 * time.Millisecond

// Registry is this process's copy of clients, resources, settings, connections and names of organizations. Each change
// of them makes a new version and notes what it changed, in one transaction. The version is polled, so a change is seen everywhere within a second, and what it
// names is forgotten and nothing else. What the Registry hands out is immutable.
type Registry struct {
	store    *Store
	clients  *expirable.LRU[string, *cachedClient]
	orgs     *expirable.LRU[uuid.UUID, *Organization]
	origins  *expirable.LRU[string, bool]
	scopes   atomic.Pointer[ScopeIndex]
	settings atomic.Pointer[PlatformSettings]
	// connections are those that belong to no organization and are enabled; nil before they are read.
	connections atomic.Pointer[[]Connection]
	loading     sync.Mutex // one reads the scopes for all

	version atomic.Int64
	mu      sync.Mutex // of version and refreshed together with what is cached
	// refreshed is when Refresh last succeeded.
	refreshed time.Time
	// resources are what scopes was made of, nil before it is read; changed are those that must be read again.
	resources []Resource
	changed   []string
}

// remember caches what was read at a version, by calling put, unless a change was seen since: it may be older than that.
func (r *Registry) remember(version int64, put func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.version.Load() == version {
		put()
	}
}

// Refresh looks for a new version and forgets what changed.
func (r *Registry) Refresh(ctx context.Context) error {
	now := r.store.clock()
	version, changes, all, err := r.store.registryChanges(ctx, r.version.Load())
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.version.Store(version)
	// A sweep that has not finished may have left some rows of a version and deleted others.
	late := now.Sub(r.refreshed) > keepChange/2
	r.refreshed = now
	if all || late {
		r.clients.Purge()
		r.orgs.Purge()
		r.origins.Purge()
		r.settings.Store(nil)
		r.connections.Store(nil)
		r.scopes.Store(nil)
		r.resources, r.changed = nil, nil
		return nil
	}
	for _, c := range changes {
		r.forget(c)
	}
	return nil
}

func (r *Registry) forget(c registryChange) {
	switch c.kind {
	case changedClient:
		r.clients.Remove(c.id)
	case changedOrigin:
		r.origins.Remove(c.id)
	case changedOrganization:
		if organization, err := uuid.Parse(c.id); err == nil {
			r.orgs.Remove(organization)
		}
	case changedSettings:
		r.settings.Store(nil)
	case changedConnections:
		r.connections.Store(nil)
	case changedResource:
		r.scopes.Store(nil)
		r.changed = append(r.changed, c.id)
	}
}

// Settings returns the installation's own rules.
func (r *Registry) Settings(ctx context.Context) (PlatformSettings, error) {
	version := r.version.Load()
	if settings := r.settings.Load(); settings != nil {
		return *settings, nil
	}
	settings, err := r.store.PlatformSettings(ctx)
	if err == nil {
		r.remember(version, func() { r.settings.Store(&settings) })
	}
	return settings, err
}

// Connections returns the connections that belong to no organization and are enabled, by name. The slice is shared.
func (r *Registry) Connections(ctx context.Context) ([]Connection, error) {
	version := r.version.Load()
	if known := r.connections.Load(); known != nil {
		return *known, nil
	}
	all, err := r.store.Connections(ctx)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(c Connection) bool { return !c.Enabled() })
	r.remember(version, func() { r.connections.Store(&all) })
	return all, nil
}

// ScopeIndex answers what the scopes of all resource servers mean. It is immutable.
type ScopeIndex struct {
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

// NewRegistry returns an empty copy that fills as it is asked. Refresh keeps it true.
func NewRegistry(store *Store) *Registry {
	return &Registry{store: store, clients: expirable.NewLRU[string, *cachedClient](20_000, nil, time.Hour),
		orgs:    expirable.NewLRU[uuid.UUID, *Organization](20_000, nil, time.Hour),
		origins: expirable.NewLRU[string, bool](20_000, nil, time.Hour)}
}

// cachedClient is a client, or nil for a client_id that no client has: guessing them costs no query each.
type cachedClient struct {
	client *Client
	parsed atomic.Value // by ParsedClient
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

func (r *Registry) cachedClient(ctx context.Context, clientID string) (*cachedClient, error) {
	version := r.version.Load()
	c, cached := r.clients.Get(clientID)
	if !cached {
		if len(clientID) == 0 || len(clientID) > 255 {
			return nil, ErrNotFound
		}
		read, err := r.store.Client(ctx, clientID)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return nil, err
		}
		c = &cachedClient{}
		if read != nil && read.DeletedAt.IsZero() {
			c.client = read
		}
		r.remember(version, func() { r.clients.Add(clientID, c) })
	}
	if c.client == nil {
		return nil, ErrNotFound
	}
	return c, nil
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
	if x := r.scopes.Load(); x != nil {
		return x, nil
	}
	r.loading.Lock()
	defer r.loading.Unlock()
	if x := r.scopes.Load(); x != nil {
		return x, nil
	}
	r.mu.Lock()
	version, resources, changed := r.version.Load(), r.resources, slices.Clone(r.changed)
	r.mu.Unlock()
	var err error
	if resources == nil {
		resources, err = r.store.Resources(ctx)
	} else {
		resources, err = r.store.reread(ctx, resources, changed)
	}
	if err != nil {
		return nil, err
	}
	slices.SortFunc(resources, func(a, b Resource) int { return strings.Compare(a.Identifier, b.Identifier) })
	x := &ScopeIndex{resources: resources, audience: map[string][]string{}, scopesOf: map[string]map[string]string{}}
	for _, res := range resources {
		x.scopesOf[res.Identifier] = res.Scopes
		for scope := range res.Scopes {
			x.audience[scope] = append(x.audience[scope], res.Identifier)
		}
	}
	r.remember(version, func() {
		r.scopes.Store(x)
		r.resources, r.changed = resources, nil
	})
	return x, nil
}

// reread returns resources with those that changed read again.
func (s *Store) reread(ctx context.Context, resources []Resource, changed []string) ([]Resource, error) {
	kept := slices.DeleteFunc(slices.Clone(resources), func(r Resource) bool { return slices.Contains(changed, r.Identifier) })
	slices.Sort(changed)
	for _, identifier := range slices.Compact(changed) {
		found, err := s.resources(ctx, identifier)
		if err != nil {
			return nil, err
		}
		kept = append(kept, found...)
	}
	return kept, nil
}

// KnownOrigin reports whether a browser origin belongs to any enabled client. Unknown ones are remembered too, as
// unknown client_ids are.
func (r *Registry) KnownOrigin(ctx context.Context, origin string) (bool, error) {
	version := r.version.Load()
	if known, cached := r.origins.Get(origin); cached {
		return known, nil
	}
	if !isOrigin(origin) {
		return false, nil
	}
	known, err := r.store.isOriginOfClient(ctx, origin)
	if err == nil {
		r.remember(version, func() { r.origins.Add(origin, known) })
	}
	return known, err
}

// Organization returns a live organization as it was at its last change, for what needs its name but no decision: tokens
// of its own clients.
func (r *Registry) Organization(ctx context.Context, organizationID uuid.UUID) (*Organization, error) {
	version := r.version.Load()
	if o, cached := r.orgs.Get(organizationID); cached {
		return o, nil
	}
	o, err := r.store.Organization(ctx, organizationID)
	if err == nil {
		r.remember(version, func() { r.orgs.Add(organizationID, o) })
	}
	return o, err
}
