package seed

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/oauth"
	"github.com/sallyport-id/sallyport/internal/sample"
	"github.com/sallyport-id/sallyport/storage"
)

// batches calls make for 0 ≤ from < to ≤ n and tells how far it has come.
func (s *run) batches(ctx context.Context, what string, n int, make func(ctx context.Context, from,
	to int) error) error {
	for from := 0; from < n; from += seedBatch {
		to := min(from+seedBatch, n)
		err := make(ctx, from, to)
		if errors.Is(err, storage.ErrExists) {
			err = s.oneByOne(ctx, from, to, make)
		}
		if err != nil {
			return err
		}
		s.o.Progress(what, to, n)
	}
	return nil
}

// oneByOne makes what a batch could not, because some of it was there.
func (s *run) oneByOne(ctx context.Context, from, to int, make func(ctx context.Context, from, to int) error) error {
	for n := from; n < to; n++ {
		if err := make(ctx, n, n+1); err != nil && !errors.Is(err, storage.ErrExists) {
			return err
		}
	}
	return nil
}

func (s *run) manyUsers(ctx context.Context) error {
	if s.o.Users == 0 {
		return nil
	}
	var err error
	if s.userHash, err = s.passwords.Hash(ctx, sample.Password); err != nil {
		return err
	}
	return s.batches(ctx, "users", s.o.Users, func(ctx context.Context, from, to int) error {
		var people []*storage.NewUser
		for n := from; n < to; n++ {
			email := numberedEmail(n)
			p := identity.PrepareUser(s.a, identity.NewUser{Email: email,
				Profile: storage.Profile{Name: fmt.Sprintf("User %d", n)}}, email, s.clock())
			p.PasswordHash = s.userHash
			p.Roles = map[uuid.UUID]string{s.acme: storage.RoleMember}
			p.Events = append(p.Events, identity.MembershipEvent(s.a, storage.EventMembershipCreated, s.acme, p.User.ID,
				storage.RoleMember))
			people = append(people, p)
		}
		return s.store.CreateUsers(ctx, people...)
	})
}

func numberedEmail(n int) string { return fmt.Sprintf("user%d@acme-corp.com", n) }

// manyOrganizations gives each to one of the numbered people, as far as there are some.
func (s *run) manyOrganizations(ctx context.Context) error {
	return s.batches(ctx, "organizations", s.o.Organizations, func(ctx context.Context, from, to int) error {
		var all []*storage.NewOrganization
		for n := from; n < to; n++ {
			var owner uuid.UUID
			if s.o.Users > 0 {
				u, err := s.store.UserByEmail(ctx, numberedEmail(n%s.o.Users))
				if err != nil {
					return err
				}
				owner = u.ID
			}
			all = append(all, identity.PrepareOrganization(s.a, fmt.Sprintf("org%d", n), fmt.Sprintf("Organization %d",
				n), owner, s.clock()))
		}
		return s.store.CreateOrganizations(ctx, all...)
	})
}

func (s *run) manyClients(ctx context.Context) error {
	return s.batches(ctx, "clients", s.o.Clients, func(ctx context.Context, from, to int) error {
		return s.store.EditRegistry(ctx, 0, func(r *storage.RegistryEdit) error {
			for n := from; n < to; n++ {
				id := fmt.Sprintf("client%d", n)
				c := &storage.Client{ID: id, Metadata: storage.Metadata{
					ClientName:   fmt.Sprintf("Client %d", n),
					RedirectURIs: []string{sample.Origin + "/callback"},
					GrantTypes:   oauth.Names(oauth.GrantTypes()),
					Scope:        "openid profile email offline_access org api:read",
				}}
				identity.SetDefaults(&c.Metadata)
				c.Secrets = []storage.ClientSecret{s.identity.Clients.StoredSecret(id, id+"_secret_2024")}
				if err := r.CreateClient(ctx, c, identity.ClientEvent(s.a, storage.EventClientCreated, c)); err != nil {
					return err
				}
			}
			return nil
		})
	})
}
