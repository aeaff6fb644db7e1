// Package seed creates the sample data of package sample in an installation that is not in production.
package seed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/manifest"
	"github.com/sallyport-id/sallyport/internal/sample"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

// ErrProduction: sample data has passwords that everybody knows.
var ErrProduction = errors.New("sample data is refused in production")

// seedBatch is how many rows go into one transaction.
const seedBatch = 500

// Config is what a Seeder is made of.
type Config struct {
	Store      *storage.Store
	Identity   *identity.Domain
	Passwords  *secret.Passwords
	Production bool
	Now        func() time.Time
}

// Seeder creates the sample data.
type Seeder struct {
	store      *storage.Store
	identity   *identity.Domain
	passwords  *secret.Passwords
	production bool
	now        func() time.Time
}

// New returns a Seeder.
func New(c Config) *Seeder {
	return &Seeder{store: c.Store, identity: c.Identity, passwords: c.Passwords, production: c.Production, now: c.Now}
}

func (s *Seeder) clock() time.Time { return s.now().UTC().Truncate(time.Microsecond) }

// Options says what to create besides the sample data itself.
type Options struct {
	// Users, Organizations and Clients are how many numbered ones there shall be:
	// user0@acme-corp.com …, members of Acme with bob's password; org0 …; client0 …
	// with the secret client0_secret_2024.
	Users, Organizations, Clients int
	// RelyingParty is the origin of the sample relying party; "" is http://localhost:5001.
	RelyingParty string
	// Progress, if not nil, hears how much of the numbered data there is.
	Progress func(what string, done, of int)
}

// Seed creates the sample data. Objects that exist are left as they are, so that
// it can be run again; only the sample relying party learns another address.
func (p *Seeder) Seed(ctx context.Context, a identity.Actor, o Options) error {
	if p.production {
		return ErrProduction
	}
	if err := p.identity.Authorize(ctx, &a, identity.ManagePlatform, uuid.Nil); err != nil {
		return err
	}
	if o.RelyingParty == "" {
		o.RelyingParty = sample.Origin
	}
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	s := &run{Seeder: p, a: a, o: o}
	for _, step := range []func(context.Context) error{s.people, s.organizations, s.clients, s.manyUsers,
		s.manyOrganizations, s.manyClients} {
		if err := step(ctx); err != nil {
			return fmt.Errorf("seed: %w", err)
		}
	}
	return nil
}

// run carries what one step made to the next.
type run struct {
	*Seeder
	a                 identity.Actor
	o                 Options
	bob, alice, admin uuid.UUID
	acme              uuid.UUID
	userHash          string // of sample.Password: hashed once for all who have it
}

func (s *run) people(ctx context.Context) error {
	for _, p := range []struct {
		id *uuid.UUID
		identity.NewUser
	}{
		{&s.bob, identity.NewUser{Email: "bob@acme-corp.com", Password: sample.Password, Profile: bobsProfile()}},
		{&s.alice, identity.NewUser{Email: "alice@acme-corp.com", Password: sample.Password,
			Profile: storage.Profile{Name: "Alice Anders", GivenName: "Alice", FamilyName: "Anders"}}},
		{&s.admin, identity.NewUser{Email: "admin@sallyport.test", Password: sample.AdminPassword,
			Profile: storage.Profile{Name: "Ada Admin"}, Superadmin: true}},
	} {
		u, err := s.identity.People.Create(ctx, s.a, p.NewUser)
		if errors.Is(err, storage.ErrExists) {
			u, err = s.store.UserByEmail(ctx, p.Email)
		}
		if err != nil {
			return err
		}
		*p.id = u.ID
	}
	return nil
}

func (s *run) organizations(ctx context.Context) error {
	for _, n := range []struct {
		slug, name string
		roles      map[uuid.UUID]string
	}{
		{"acme-corp", "Acme Corp", map[uuid.UUID]string{s.alice: storage.RoleOwner, s.bob: storage.RoleMember}},
		{"tech-startup", "Tech Startup", map[uuid.UUID]string{s.alice: storage.RoleAdmin}},
	} {
		o, err := s.identity.Organizations.Create(ctx, s.a, n.slug, n.name, uuid.Nil)
		if errors.Is(err, storage.ErrExists) {
			o, err = s.store.OrganizationBySlug(ctx, n.slug)
		}
		if err != nil {
			return err
		}
		if s.acme == uuid.Nil {
			s.acme = o.ID
		}
		for user, role := range n.roles {
			if err := s.identity.Organizations.AddMember(ctx, s.a, o.ID, user, role); err != nil && !errors.Is(err,
				storage.ErrExists) {
				return err
			}
		}
	}
	return nil
}

// clients registers the clients of the sample clients.yaml, but as nobody's: a
// clients.yaml of the installation's own must not find them to be its to remove.
func (s *run) clients(ctx context.Context) error {
	m := manifest.Read("sample.yaml", sample.Clients, manifest.Source{})
	if err := m.Err(); err != nil {
		return err
	}
	return s.store.EditRegistry(ctx, 0, func(r *storage.RegistryEdit) error {
		for n := range m.Clients {
			if err := s.client(ctx, r, &m.Clients[n]); err != nil {
				return err
			}
		}
		present, err := s.store.Resources(ctx)
		if err != nil {
			return err
		}
		for n := range m.Resources {
			res := m.Resources[n].Resource
			if slices.ContainsFunc(present, func(p storage.Resource) bool { return p.Identifier == res.Identifier }) {
				continue
			}
			res.ManagedBy = ""
			if err := r.PutResource(ctx, &res, identity.WithFact(s.a.Event(storage.EventResourceCreated), "resource",
				res.Identifier)); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *run) client(ctx context.Context, r *storage.RegistryEdit, want *manifest.Client) error {
	c := want.Client
	c.ManagedBy = ""
	if want.OrganizationSlug != "" {
		c.Organization = s.acme
	}
	if c.ID == sample.ClientID && s.o.RelyingParty != sample.Origin {
		c.Metadata.RedirectURIs = append(c.Metadata.RedirectURIs, s.o.RelyingParty+"/callback")
		c.Metadata.PostLogoutRedirectURIs = append(c.Metadata.PostLogoutRedirectURIs, s.o.RelyingParty+"/")
	}
	have, err := s.store.Client(ctx, c.ID)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		if want.Secret != "" {
			c.Secrets = []storage.ClientSecret{s.identity.Clients.StoredSecret(c.ID, want.Secret)}
		}
		return r.CreateClient(ctx, &c, identity.ClientEvent(s.a, storage.EventClientCreated, &c))
	case err != nil:
		return err
	case c.ID == sample.ClientID && have.DeletedAt.IsZero() && !slices.Contains(have.Metadata.RedirectURIs,
		s.o.RelyingParty+"/callback"):
		have.Metadata.RedirectURIs = c.Metadata.RedirectURIs
		have.Metadata.PostLogoutRedirectURIs = c.Metadata.PostLogoutRedirectURIs
		return r.UpdateClient(ctx, have, identity.WithFact(identity.ClientEvent(s.a, storage.EventClientUpdated, have),
			"changed", []string{"redirect_uris", "post_logout_redirect_uris"}))
	}
	return nil
}

// bobsProfile has every standard claim (OpenID Connect Core 1.0, section 5.1).
func bobsProfile() storage.Profile {
	return storage.Profile{
		Name: "Bob Baker", GivenName: "Bob", FamilyName: "Baker", MiddleName: "Benjamin", Nickname: "Bobby",
		ProfileURL: "https://acme-corp.example/people/bob", Picture: "https://acme-corp.example/people/bob.png",
		Website: "https://bob.example",
		Gender:  "male", Birthdate: "1985-04-12", Zoneinfo: "Europe/Berlin", Locale: "en-GB",
		PhoneNumber: "+49 30 5550100", PhoneNumberVerified: true,
		Address: &storage.Address{Formatted: "1 Road Runner Lane\n10115 Berlin\nGermany",
			StreetAddress: "1 Road Runner Lane",
			Locality:      "Berlin", Region: "Berlin", PostalCode: "10115", Country: "Germany"},
	}
}
