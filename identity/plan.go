package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/storage"
)

// Plan is what a clients.yaml would change in the registry.
type Plan struct {
	Changes []Change
	// Notes are what the operator should know and apply does not change.
	Notes []string

	version int64 // of the registry it was made from
}

// Change is one client or resource that would be another afterwards.
type Change struct {
	// Action is create, update, enable, disable, delete, take over (what is registered becomes the file's: from then on it
	// is disabled or deleted when the file names it no more) or release (it is the file's no more).
	Action string
	// What is "client" or "resource", Name its client_id or identifier.
	What, Name string
	// Details are one line each: a field with its old and new value. Secrets are
	// named, never shown.
	Details []string

	apply func(context.Context, *storage.RegistryEdit, Actor) error
}

// Empty reports that file and registry agree.
func (p *Plan) Empty() bool { return len(p.Changes) == 0 }

// String is the plan as a diff for people.
func (p *Plan) String() string {
	var b strings.Builder
	marks := map[string]string{"create": "+", "update": "~", "enable": "~", "disable": "-", "delete": "-", "take over": "~", "release": "~"}
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

// Plan compares a manifest with the registry. The error is ManifestFaults if the
// file cannot be applied, with all that is wrong with it.
//
// A client that the file named once and names no more is disabled, not deleted:
// deleting cannot be undone, and a file can lose lines by accident. Naming it
// again enables it. A resource is deleted; its definition is all there is of it.
// A client that a person has disabled stays so whatever the file says.
func (i *Identity) Plan(ctx context.Context, a Actor, m *Manifest) (*Plan, error) {
	if err := i.canReadPlatform(ctx, a); err != nil {
		return nil, err
	}
	pl, err := i.newPlanner(ctx, m)
	if err != nil {
		return nil, err
	}
	for n := range m.clients {
		pl.client(&m.clients[n])
	}
	pl.resources()
	if err := pl.faults.err(); err != nil {
		return nil, err
	}
	pl.removed()
	return &pl.plan, nil
}

// Apply makes the registry what the file says, whole or not at all, and returns
// what it changed. When the registry changes meanwhile it compares again. progress,
// if not nil, hears how many of the changes are made.
func (i *Identity) Apply(ctx context.Context, a Actor, m *Manifest, progress func(done, of int)) (*Plan, error) {
	for try := 0; ; try++ {
		if err := i.platform(ctx, &a); err != nil {
			return nil, err
		}
		plan, err := i.Plan(ctx, a, m)
		if err != nil {
			return nil, err
		}
		if plan.Empty() {
			return plan, nil
		}
		err = i.store.EditRegistry(ctx, plan.version, func(r *storage.RegistryEdit) error {
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

// CreateNamedOrganizations creates the organizations that m names, on a development installation that has none at all, and
// returns their slugs: so the clients.yaml of the repository applies to an empty database. Everywhere else it does nothing,
// and Plan reports an organization that is missing as a fault. A file with faults creates nothing.
func (i *Identity) CreateNamedOrganizations(ctx context.Context, a Actor, m *Manifest) ([]string, error) {
	if i.production || m.Err() != nil {
		return nil, nil
	}
	if some, err := i.Organizations(ctx, a, uuid.Nil, 1); err != nil || len(some) > 0 {
		return nil, err
	}
	var created []string
	for n := range m.clients {
		slug := m.clients[n].organization
		if slug == "" || slices.Contains(created, slug) || CheckSlug(slug) != nil {
			continue
		}
		_, err := i.CreateOrganization(ctx, a, slug, nameOfSlug(slug), uuid.Nil)
		if errors.Is(err, storage.ErrExists) { // its organization was deleted: Plan reports it
			continue
		}
		if err != nil {
			return created, err
		}
		created = append(created, slug)
	}
	return created, nil
}

// nameOfSlug is a first name for the organization with that slug: "Acme Corp" for acme-corp.
func nameOfSlug(slug string) string {
	words := strings.FieldsFunc(slug, func(r rune) bool { return r == '-' })
	for n, w := range words {
		words[n] = strings.ToUpper(w[:1]) + w[1:]
	}
	return strings.Join(words, " ")
}

// planner compares one manifest with the registry as it was at one version.
type planner struct {
	i             *Identity
	m             *Manifest
	faults        ManifestFaults
	clients       map[string]*storage.Client // tombstones too
	present       []storage.Resource
	organizations map[string]uuid.UUID // by slug, of those the file names
	named         map[string]bool      // client_ids in the file
	known         func(scope string) bool
	plan          Plan
}

func (i *Identity) newPlanner(ctx context.Context, m *Manifest) (*planner, error) {
	pl := &planner{i: i, m: m, faults: slices.Clone(m.faults), clients: map[string]*storage.Client{}, organizations: map[string]uuid.UUID{}, named: map[string]bool{}}
	var err error
	if pl.plan.version, err = i.store.Version(ctx, storage.VersionRegistry); err != nil {
		return nil, err
	}
	all, err := i.store.Clients(ctx, storage.ClientQuery{Deleted: true})
	if err != nil {
		return nil, err
	}
	for _, c := range all {
		pl.clients[c.ID] = c
	}
	if pl.present, err = i.store.Resources(ctx); err != nil {
		return nil, err
	}
	for n := range m.clients {
		c := &m.clients[n]
		pl.named[c.ID] = true
		if _, asked := pl.organizations[c.organization]; c.organization == "" || asked {
			continue
		}
		pl.organizations[c.organization] = uuid.Nil
		o, err := i.store.OrganizationBySlug(ctx, c.organization)
		if err == nil {
			pl.organizations[c.organization] = o.ID
		} else if !errors.Is(err, storage.ErrNotFound) {
			return nil, err
		}
	}
	pl.known = definedBy(pl.resourcesAfter())
	return pl, nil
}

// resourcesAfter are the resources there will be: those of the file, and those
// that are not the file's to remove.
func (pl *planner) resourcesAfter() []storage.Resource {
	var all []storage.Resource
	named := map[string]bool{}
	for n := range pl.m.resources {
		all = append(all, pl.m.resources[n].Resource)
		named[pl.m.resources[n].Identifier] = true
	}
	for _, r := range pl.present {
		if !named[r.Identifier] && r.ManagedBy != storage.ManagedByFile {
			all = append(all, r)
		}
	}
	return all
}

func (pl *planner) fault(line int, problem, remedy string) {
	pl.faults = append(pl.faults, ManifestFault{File: pl.m.file, Line: line, Problem: problem, Remedy: remedy})
}

func (pl *planner) client(want *manifestClient) {
	what := "client " + clip(want.ID)
	if want.organization != "" {
		if want.Organization = pl.organizations[want.organization]; want.Organization == uuid.Nil {
			pl.fault(want.places.line("organization", 0), fmt.Sprintf("%s: there is no organization %q", what, clip(want.organization)),
				"create it: sallyport orgs create "+clip(want.organization))
		}
	}
	var scopes Faults
	checkScopes(&scopes, &want.Metadata, pl.known)
	checkOffered(&scopes, &want.Metadata, pl.i.grantTypes)
	for _, f := range scopes {
		pl.fault(want.places.line(f.Field, f.Item), what+": "+f.Field+" "+f.Problem, f.Remedy)
	}
	have := pl.clients[want.ID]
	switch {
	case have == nil:
		pl.create(want)
	case !have.DeletedAt.IsZero():
		pl.fault(want.places.line("client_id", 0), what+": the client was deleted, and a client_id is never given out again", "choose another client_id")
	default:
		pl.update(have, want)
	}
}
