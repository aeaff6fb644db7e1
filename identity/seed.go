package identity

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/storage"
)

// The credentials of the sample people. Everybody knows them.
const (
	samplePassword      = "UserPass123!"
	sampleAdminPassword = "AdminPass123!"
)

// SampleRP is the client_id of the sample relying party, SampleRPSecret its
// secret and sampleRPOrigin where it is unless its port was taken.
const (
	SampleRP       = "sample-rp"
	SampleRPSecret = "sample_rp_secret_2024"
	sampleRPOrigin = "http://localhost:5001"
)

// sampleManifest is a copy of the clients.yaml at the root of the repository, for
// where there is none; a test keeps the two the same.
//
//go:embed sample.yaml
var sampleManifest []byte

// ErrProduction: sample data has passwords that everybody knows.
var ErrProduction = errors.New("sample data is refused in production")

// seedBatch is how many rows go into one transaction.
const seedBatch = 500

// SeedOptions says what to create besides the sample data itself.
type SeedOptions struct {
	// Users, Organizations and Clients are how many numbered ones there shall be:
	// user0@acme-corp.com …, members of Acme with bob's password; org0 …; client0 …
	// with the secret client0_secret_2024.
	Users, Organizations, Clients int
	// SampleRP is the origin of the sample relying party; "" is http://localhost:5001.
	SampleRP string
	// Progress, if not nil, hears how much of the numbered data there is.
	Progress func(what string, done, of int)
}

// Seed creates the sample data. What is there already is left as it is, so that
// it can be run again; only the sample relying party learns another address.
func (i *Identity) Seed(ctx context.Context, a Actor, o SeedOptions) error {
	if i.production {
		return ErrProduction
	}
	if err := i.platform(ctx, &a); err != nil {
		return err
	}
	if o.SampleRP == "" {
		o.SampleRP = sampleRPOrigin
	}
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	s := &seeder{i: i, a: a, o: o}
	for _, step := range []func(context.Context) error{s.people, s.organizations, s.clients, s.manyUsers, s.manyOrganizations, s.manyClients} {
		if err := step(ctx); err != nil {
			return fmt.Errorf("seed: %w", err)
		}
	}
	return nil
}

// seeder carries what one step made to the next.
type seeder struct {
	i                 *Identity
	a                 Actor
	o                 SeedOptions
	bob, alice, admin uuid.UUID
	acme              uuid.UUID
	userHash          string // of samplePassword: hashed once for all who have it
}

func (s *seeder) people(ctx context.Context) error {
	for _, p := range []struct {
		id *uuid.UUID
		NewUser
	}{
		{&s.bob, NewUser{Email: "bob@acme-corp.com", Password: samplePassword, Profile: bobsProfile()}},
		{&s.alice, NewUser{Email: "alice@acme-corp.com", Password: samplePassword, Profile: storage.Profile{Name: "Alice Anders", GivenName: "Alice", FamilyName: "Anders"}}},
		{&s.admin, NewUser{Email: "admin@sallyport.test", Password: sampleAdminPassword, Profile: storage.Profile{Name: "Ada Admin"}, Superadmin: true}},
	} {
		u, err := s.i.CreateUser(ctx, s.a, p.NewUser)
		if errors.Is(err, storage.ErrExists) {
			u, err = s.i.store.UserByEmail(ctx, p.Email)
		}
		if err != nil {
			return err
		}
		*p.id = u.ID
	}
	return nil
}

func (s *seeder) organizations(ctx context.Context) error {
	for _, n := range []struct {
		slug, name string
		roles      map[uuid.UUID]string
	}{
		{"acme-corp", "Acme Corp", map[uuid.UUID]string{s.alice: storage.RoleOwner, s.bob: storage.RoleMember}},
		{"tech-startup", "Tech Startup", map[uuid.UUID]string{s.alice: storage.RoleAdmin}},
	} {
		o, err := s.i.CreateOrganization(ctx, s.a, n.slug, n.name, uuid.Nil)
		if errors.Is(err, storage.ErrExists) {
			o, err = s.i.store.OrganizationBySlug(ctx, n.slug)
		}
		if err != nil {
			return err
		}
		if s.acme == uuid.Nil {
			s.acme = o.ID
		}
		for user, role := range n.roles {
			if err := s.i.AddMember(ctx, s.a, o.ID, user, role); err != nil && !errors.Is(err, storage.ErrExists) {
				return err
			}
		}
	}
	return nil
}

// clients registers the clients of the sample clients.yaml, but as nobody's: a
// clients.yaml of the installation's own must not find them to be its to remove.
func (s *seeder) clients(ctx context.Context) error {
	m := ReadManifest("sample.yaml", sampleManifest, ManifestSource{})
	if err := m.Err(); err != nil {
		return err
	}
	return s.i.store.EditRegistry(ctx, 0, func(r *storage.RegistryEdit) error {
		for n := range m.clients {
			if err := s.client(ctx, r, &m.clients[n]); err != nil {
				return err
			}
		}
		present, err := s.i.store.Resources(ctx)
		if err != nil {
			return err
		}
		for n := range m.resources {
			res := m.resources[n].Resource
			if slices.ContainsFunc(present, func(p storage.Resource) bool { return p.Identifier == res.Identifier }) {
				continue
			}
			res.ManagedBy = ""
			if err := r.PutResource(ctx, &res, with(s.a.event(storage.EventResourceCreated), "resource", res.Identifier)); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *seeder) client(ctx context.Context, r *storage.RegistryEdit, want *manifestClient) error {
	c := want.Client
	c.ManagedBy = ""
	if want.organization != "" {
		c.Organization = s.acme
	}
	if c.ID == SampleRP && s.o.SampleRP != sampleRPOrigin {
		c.Metadata.RedirectURIs = append(c.Metadata.RedirectURIs, s.o.SampleRP+"/callback")
		c.Metadata.PostLogoutRedirectURIs = append(c.Metadata.PostLogoutRedirectURIs, s.o.SampleRP+"/")
	}
	have, err := s.i.store.Client(ctx, c.ID)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		if want.secret != "" {
			c.Secrets = []storage.ClientSecret{s.i.storedSecret(c.ID, want.secret)}
		}
		return r.CreateClient(ctx, &c, clientEvent(s.a, storage.EventClientCreated, &c))
	case err != nil:
		return err
	case c.ID == SampleRP && have.DeletedAt.IsZero() && !slices.Contains(have.Metadata.RedirectURIs, s.o.SampleRP+"/callback"):
		have.Metadata.RedirectURIs = c.Metadata.RedirectURIs
		have.Metadata.PostLogoutRedirectURIs = c.Metadata.PostLogoutRedirectURIs
		return r.UpdateClient(ctx, have, with(clientEvent(s.a, storage.EventClientUpdated, have), "changed", []string{"redirect_uris", "post_logout_redirect_uris"}))
	}
	return nil
}

// bobsProfile has every standard claim (OpenID Connect Core 1.0, section 5.1).
func bobsProfile() storage.Profile {
	return storage.Profile{
		Name: "Bob Baker", GivenName: "Bob", FamilyName: "Baker", MiddleName: "Benjamin", Nickname: "Bobby",
		ProfileURL: "https://acme-corp.example/people/bob", Picture: "https://acme-corp.example/people/bob.png", Website: "https://bob.example",
		Gender: "male", Birthdate: "1985-04-12", Zoneinfo: "Europe/Berlin", Locale: "en-GB",
		PhoneNumber: "+49 30 5550100", PhoneNumberVerified: true,
		Address: &storage.Address{Formatted: "1 Road Runner Lane\n10115 Berlin\nGermany", StreetAddress: "1 Road Runner Lane",
			Locality: "Berlin", Region: "Berlin", PostalCode: "10115", Country: "Germany"},
	}
}
