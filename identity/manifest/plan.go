package manifest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/storage"
)

// Config has what a Planner needs.
type Config struct {
	Store    *storage.Store
	Identity *identity.Domain
	// GrantTypes are what the token endpoint offers.
	GrantTypes []string
	// Production forbids creating organizations that a file names.
	Production bool
	Now        func() time.Time
}

// Planner compares files with the registry and applies them. It is safe for concurrent use.
type Planner struct {
	store      *storage.Store
	identity   *identity.Domain
	grantTypes []string
	production bool
	now        func() time.Time
}

// New returns a Planner.
func New(c Config) *Planner {
	return &Planner{store: c.Store, identity: c.Identity, grantTypes: c.GrantTypes, production: c.Production,
		now: c.Now}
}

// Plan is what a clients.yaml would change in the registry.
type Plan struct {
	Changes []Change
	// Notes are for the operator, about things that applying the file does not change.
	Notes []string

	version int64 // of the registry it was made from
}

// Change is a change of one client or resource.
type Change struct {
	// Action is create, update, enable, disable, delete, take over or release. A client that is taken over belongs to
	// the file from then on and is disabled when the file no longer names it; one that is released no longer belongs
	// to the file. The same holds for resources, which are deleted instead of disabled.
	Action string
	// Name is the client_id or the resource's identifier; What is "client" or "resource".
	What, Name string
	// Details are lines: a field with its old and new value. Secrets are named, never shown.
	Details []string

	apply func(context.Context, *storage.RegistryEdit, identity.Actor) error
}

// IsEmpty reports whether file and registry agree.
func (p *Plan) IsEmpty() bool { return len(p.Changes) == 0 }

// String is the plan as a readable diff.
func (p *Plan) String() string {
	var b strings.Builder
	marks := map[string]string{"create": "+", "update": "~", "enable": "~", "disable": "-", "delete": "-",
		"take over": "~", "release": "~"}
	for _, c := range p.Changes {
		fmt.Fprintf(&b, "%s %s %s: %s\n", marks[c.Action], c.What, c.Name, c.Action)
		for _, d := range c.Details {
			fmt.Fprintf(&b, "    %s\n", d)
		}
	}
	for _, n := range p.Notes {
		fmt.Fprintf(&b, "! %s\n", n)
	}
	return b.String()
}

// Plan compares a file with the registry. The error is FileErrors if the file cannot be applied.
//
// A client that the file no longer names is disabled, not deleted, because deletion cannot be undone and a line can be
// lost by accident. Naming it again enables it. A resource is deleted: it consists only of its definition. A client
// that a person has disabled stays disabled whatever the file says.
func (p *Planner) Plan(ctx context.Context, a identity.Actor, m *File) (*Plan, error) {
	if err := p.identity.Authorize(ctx, &a, identity.ReadPlatform, uuid.Nil); err != nil {
		return nil, err
	}
	pl, err := p.compare(ctx, m)
	if err != nil {
		return nil, err
	}
	for n := range m.Clients {
		pl.client(&m.Clients[n])
	}
	pl.resources()
	if err := pl.faults.err(); err != nil {
		return nil, err
	}
	pl.removed()
	return &pl.plan, nil
}

// Apply makes the registry what the file says, completely or not at all, and returns what it changed. If the registry
// changes in the meantime, it compares again. progress, if not nil, is told how many changes are made.
func (p *Planner) Apply(ctx context.Context, a identity.Actor, m *File, progress func(done, of int)) (*Plan, error) {
	for try := 0; ; try++ {
		if err := p.identity.Authorize(ctx, &a, identity.ManagePlatform, uuid.Nil); err != nil {
			return nil, err
		}
		plan, err := p.Plan(ctx, a, m)
		if err != nil {
			return nil, err
		}
		if plan.IsEmpty() {
			return plan, nil
		}
		err = p.store.EditRegistry(ctx, plan.version, func(r *storage.RegistryEdit) error {
			for n, c := range plan.Changes {
				if err := c.apply(ctx, r, a); err != nil {
					return fmt.Errorf("%s %s: %w", c.What, c.Name, err)
				}
				if progress != nil {
					progress(n+1, len(plan.Changes))
				}
			}
			return nil
		})
		if err == nil || try == 4 || !(errors.Is(err, storage.ErrConflict) || errors.Is(err, storage.ErrExists)) {
			return plan, err
		}
	}
}

// CreateNamedOrganizations creates the organizations that m names in a development installation without any, and
// returns their slugs, so that the clients.yaml of the repository applies to an empty database. Elsewhere it does
// nothing, and Plan reports a missing organization as an error. A file with errors creates nothing.
func (p *Planner) CreateNamedOrganizations(ctx context.Context, a identity.Actor, m *File) ([]string, error) {
	if p.production || m.Err() != nil {
		return nil, nil
	}
	if some, err := p.identity.Organizations.List(ctx, a, uuid.Nil, 1); err != nil || len(some) > 0 {
		return nil, err
	}
	var created []string
	for n := range m.Clients {
		slug := m.Clients[n].OrganizationSlug
		if slug == "" || slices.Contains(created, slug) || identity.CheckSlug(slug) != nil {
			continue
		}
		_, err := p.identity.Organizations.Create(ctx, a, slug, nameOfSlug(slug), uuid.Nil)
		if errors.Is(err, storage.ErrExists) { // an organization with this slug was deleted, which Plan reports
			continue
		}
		if err != nil {
			return created, err
		}
		created = append(created, slug)
	}
	return created, nil
}

// nameOfSlug is the first name of an organization with that slug: "Acme Corp" for acme-corp.
func nameOfSlug(slug string) string {
	words := strings.FieldsFunc(slug, func(r rune) bool { return r == '-' })
	for n, w := range words {
		words[n] = strings.ToUpper(w[:1]) + w[1:]
	}
	return strings.Join(words, " ")
}

// comparison compares a file with one version of the registry.
type comparison struct {
	planner       *Planner
	m             *File
	faults        FileErrors
	clients       map[string]*storage.Client // tombstones too
	present       []storage.Resource
	organizations map[string]uuid.UUID // by slug, of those the file names
	named         map[string]bool      // client_ids in the file
	known         func(scope string) bool
	plan          Plan
}

func (p *Planner) compare(ctx context.Context, m *File) (*comparison, error) {
	pl := &comparison{planner: p, m: m, faults: slices.Clone(m.faults), clients: map[string]*storage.Client{},
		organizations: map[string]uuid.UUID{}, named: map[string]bool{}}
	var err error
	if pl.plan.version, err = p.store.Version(ctx, storage.VersionRegistry); err != nil {
		return nil, err
	}
	all, err := p.store.Clients(ctx, storage.ClientQuery{Deleted: true})
	if err != nil {
		return nil, err
	}
	for _, c := range all {
		pl.clients[c.ID] = c
	}
	if pl.present, err = p.store.Resources(ctx); err != nil {
		return nil, err
	}
	for n := range m.Clients {
		c := &m.Clients[n]
		pl.named[c.ID] = true
		if _, asked := pl.organizations[c.OrganizationSlug]; c.OrganizationSlug == "" || asked {
			continue
		}
		pl.organizations[c.OrganizationSlug] = uuid.Nil
		o, err := p.store.OrganizationBySlug(ctx, c.OrganizationSlug)
		if err == nil {
			pl.organizations[c.OrganizationSlug] = o.ID
		} else if !errors.Is(err, storage.ErrNotFound) {
			return nil, err
		}
	}
	pl.known = identity.DefinedScopes(pl.resourcesAfter())
	return pl, nil
}

// resourcesAfter are the resources after applying the file: its own, and those that it does not own.
func (pl *comparison) resourcesAfter() []storage.Resource {
	var all []storage.Resource
	named := map[string]bool{}
	for n := range pl.m.Resources {
		all = append(all, pl.m.Resources[n].Resource)
		named[pl.m.Resources[n].Identifier] = true
	}
	for _, r := range pl.present {
		if !named[r.Identifier] && r.ManagedBy != storage.ManagedByFile {
			all = append(all, r)
		}
	}
	return all
}

func (pl *comparison) fault(line int, problem, remedy string) {
	pl.faults = append(pl.faults, FileError{File: pl.m.name, Line: line, Problem: problem, Remedy: remedy})
}

func (pl *comparison) client(want *Client) {
	what := "client " + identity.Clip(want.ID)
	if want.OrganizationSlug != "" {
		if want.Organization = pl.organizations[want.OrganizationSlug]; want.Organization == uuid.Nil {
			pl.fault(want.places.line("organization", 0), fmt.Sprintf("%s: there is no organization %q", what,
				identity.Clip(want.OrganizationSlug)),
				"create it: sallyport orgs create "+identity.Clip(want.OrganizationSlug))
		}
	}
	var scopes identity.FieldErrors
	identity.CheckScopes(&scopes, &want.Metadata, pl.known)
	identity.CheckOffered(&scopes, &want.Metadata, pl.planner.grantTypes)
	for _, f := range scopes {
		pl.fault(want.places.line(f.Field, f.Item), what+": "+f.Field+" "+f.Problem, f.Remedy)
	}
	have := pl.clients[want.ID]
	switch {
	case have == nil:
		pl.create(want)
	case !have.DeletedAt.IsZero():
		pl.fault(want.places.line("client_id", 0),
			what+": the client was deleted, and a client_id is never given out again", "choose another client_id")
	default:
		pl.update(have, want)
	}
}
