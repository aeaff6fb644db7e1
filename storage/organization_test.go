package storage

import (
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

func organization(t *testing.T, s *Store, slug string, owner uuid.UUID) Organization {
	t.Helper()
	o := Organization{ID: uuid.Must(uuid.NewV7()), Slug: slug, Name: "Org " + slug, CreatedAt: s.clock(), UpdatedAt: s.clock()}
	if err := s.CreateOrganizations(t.Context(), &NewOrganization{Organization: o, Owner: owner, Event: &Event{Type: "organization.created"}}); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestAnOrganizationIsFoundByIdAndSlug(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		alice := person(t, s, "alice@acme-corp.com")
		acme, tech := organization(t, s, "acme-corp", alice), organization(t, s, "tech-startup", uuid.Nil)
		byID, err := s.Organization(t.Context(), acme.ID)
		if err != nil {
			t.Fatal(err)
		}
		bySlug, err := s.OrganizationBySlug(t.Context(), "acme-corp")
		if err != nil {
			t.Fatal(err)
		}
		all, err := s.Organizations(t.Context(), uuid.Nil, 10)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]any{&acme, &acme, []Organization{acme, tech}}, []any{byID, bySlug, all}); diff != "" {
			t.Error(diff)
		}
		err = s.CreateOrganizations(t.Context(), &NewOrganization{Organization: Organization{ID: uuid.New(), Slug: "acme-corp", CreatedAt: s.clock(), UpdatedAt: s.clock()}, Event: &Event{}})
		if !errors.Is(err, ErrExists) {
			t.Errorf("the slug again: got %v, want ErrExists", err)
		}
		if err := s.RenameOrganization(t.Context(), acme.ID, "Acme Inc", &Event{Type: "organization.renamed"}); err != nil {
			t.Fatal(err)
		}
		if o, err := s.Organization(t.Context(), acme.ID); err != nil || o.Name != "Acme Inc" || o.Slug != "acme-corp" {
			t.Errorf("renamed: got %+v, %v", o, err)
		}
	})
}

func TestLeavingAnOrganizationRevokesItsGrantsOnly(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		alice, bob := person(t, s, "alice@acme-corp.com"), person(t, s, "bob@acme-corp.com")
		acme, tech := organization(t, s, "acme-corp", alice), organization(t, s, "tech-startup", alice)
		for _, o := range []Organization{acme, tech} {
			if err := s.AddMember(t.Context(), o.ID, bob, RoleMember, &Event{Type: "membership.created"}); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.AddMember(t.Context(), acme.ID, bob, RoleGuest, &Event{}); !errors.Is(err, ErrExists) {
			t.Errorf("a second membership: got %v, want ErrExists", err)
		}
		_, inAcme := access(t, s, bob, "app", acme.ID)
		_, inTech := access(t, s, bob, "app", tech.ID)
		_, inNone := access(t, s, bob, "app", uuid.Nil)
		_, alices := access(t, s, alice, "app", acme.ID)
		if err := s.RemoveMember(t.Context(), acme.ID, bob, &Event{Type: "membership.removed"}); err != nil {
			t.Fatal(err)
		}
		wantEnds(t, inAcme, "", EndMemberRemoved)
		wantEnds(t, inTech, "", "")
		wantEnds(t, inNone, "", "")
		wantEnds(t, alices, "", "")
		if err := s.RemoveMember(t.Context(), acme.ID, bob, &Event{}); !errors.Is(err, ErrNotFound) {
			t.Errorf("removing again: got %v, want ErrNotFound", err)
		}
		if _, err := s.Role(t.Context(), acme.ID, bob); !errors.Is(err, ErrNotFound) {
			t.Errorf("Role: got %v, want ErrNotFound", err)
		}
		mine, err := s.Memberships(t.Context(), bob, "", 0)
		if err != nil || len(mine) != 1 || mine[0].Organization.ID != tech.ID || mine[0].Role != RoleMember {
			t.Errorf("Memberships: got %+v, %v", mine, err)
		}
		members, err := s.Members(t.Context(), tech.ID, uuid.Nil, 10)
		if err != nil || len(members) != 2 || members[1].User.ID != bob {
			t.Errorf("Members: got %+v, %v", members, err)
		}
	})
}

func TestTheLastOwnerStays(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		alice, bob := person(t, s, "alice@acme-corp.com"), person(t, s, "bob@acme-corp.com")
		acme := organization(t, s, "acme-corp", alice)
		if err := s.AddMember(t.Context(), acme.ID, person(t, s, "carol@acme-corp.com"), RoleMember, &Event{}); err != nil {
			t.Fatal(err)
		}
		refused := func(what string, err error) {
			t.Helper()
			if !errors.Is(err, ErrConflict) {
				t.Errorf("%s: got %v, want ErrConflict", what, err)
			}
		}
		refused("remove", s.RemoveMember(t.Context(), acme.ID, alice, &Event{}))
		refused("demote", s.SetRole(t.Context(), acme.ID, alice, RoleAdmin, &Event{}))
		refused("delete", s.DeleteUser(t.Context(), alice, uuid.Nil, &Event{}))

		// A second owner frees the first, but not while nobody can act for the second.
		if err := s.AddMember(t.Context(), acme.ID, bob, RoleOwner, &Event{}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.DisableUser(t.Context(), bob, &Event{}); err != nil {
			t.Fatal(err)
		}
		refused("remove beside a disabled owner", s.RemoveMember(t.Context(), acme.ID, alice, &Event{}))
		if _, err := s.EnableUser(t.Context(), bob, &Event{}); err != nil {
			t.Fatal(err)
		}
		if err := s.DeleteUser(t.Context(), alice, uuid.Nil, &Event{}); err != nil {
			t.Errorf("delete beside another owner: %v", err)
		}
		refused("remove the one left", s.RemoveMember(t.Context(), acme.ID, bob, &Event{}))
	})
}

// OR-06: two owners who leave, step down or are deleted at once; each sees the other still there.
func TestTwoOwnersCannotBothLeave(t *testing.T) {
	leave := map[string]func(t *testing.T, s *Store, o, u uuid.UUID) error{
		"remove": func(t *testing.T, s *Store, o, u uuid.UUID) error { return s.RemoveMember(t.Context(), o, u, &Event{}) },
		"demote": func(t *testing.T, s *Store, o, u uuid.UUID) error {
			return s.SetRole(t.Context(), o, u, RoleMember, &Event{})
		},
		"delete": func(t *testing.T, s *Store, _, u uuid.UUID) error {
			return s.DeleteUser(t.Context(), u, uuid.Nil, &Event{})
		},
	}
	eachEngine(t, func(t *testing.T, s *Store) {
		for how, leave := range leave {
			for range 10 {
				a, b := person(t, s, uuid.NewString()), person(t, s, uuid.NewString())
				o := organization(t, s, uuid.NewString(), a)
				if err := s.AddMember(t.Context(), o.ID, b, RoleOwner, &Event{}); err != nil {
					t.Fatal(err)
				}
				if err := s.AddMember(t.Context(), o.ID, person(t, s, uuid.NewString()), RoleMember, &Event{}); err != nil {
					t.Fatal(err)
				}
				var errs [2]error
				var wg sync.WaitGroup
				for i, u := range []uuid.UUID{a, b} {
					wg.Go(func() { errs[i] = leave(t, s, o.ID, u) })
				}
				wg.Wait()
				if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs[:]...), ErrConflict) {
					t.Fatalf("%s: got %v, want one to leave and one ErrConflict", how, errs)
				}
			}
		}
	})
}
