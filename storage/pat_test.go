package storage

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// token stores a personal access token of a member.
func personalToken(t *testing.T, s *Store, user uuid.UUID, o Organization) *PersonalToken {
	t.Helper()
	p := &PersonalToken{ID: uuid.Must(uuid.NewV7()), Hash: secret.HashOf(uuid.NewString()), UserID: user, Organization: o, Name: "CI",
		Scopes: []string{"sallyport:read", "sallyport:write"}, CreatedAt: s.clock(), ExpiresAt: s.clock().Add(time.Hour)}
	if err := s.CreatePersonalToken(t.Context(), p, 50, &Event{Type: "token.created"}); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestATokenTellsWhoActsAndWhatIsAskedOfThem(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		alice := person(t, s, "alice@acme-corp.com")
		acme := organization(t, s, "acme-corp", alice)
		p := personalToken(t, s, alice, acme)
		got, err := s.TokenHolder(t.Context(), p.Hash)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(p, &got.Token); diff != "" {
			t.Error(diff)
		}
		if got.User.ID != alice || got.Role != RoleOwner || len(got.Requirements) != 0 {
			t.Errorf("got %+v", got)
		}
		policy := MFAPolicy{Require: RequireTOTP, GraceDays: 3, Since: s.clock()}
		if err := s.EditOrganizationSettings(t.Context(), acme.ID, func(set *OrganizationSettings) *Event {
			*set = OrganizationSettings{MFA: policy}
			return &Event{}
		}); err != nil {
			t.Fatal(err)
		}
		if err := s.EditPlatformSettings(t.Context(), func(set *PlatformSettings) *Event {
			*set = PlatformSettings{MFA: policy}
			return &Event{}
		}); err != nil {
			t.Fatal(err)
		}
		got, err = s.TokenHolder(t.Context(), p.Hash)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Requirements) != 2 || got.Requirements[0].Organization == nil || got.Requirements[1].Organization != nil {
			t.Fatalf("got %+v", got.Requirements)
		}
		for _, r := range got.Requirements {
			if r.Policy != policy || r.From.IsZero() {
				t.Errorf("got %+v", r)
			}
		}
		used := s.clock().Add(time.Minute)
		for _, at := range []time.Time{used, used.Add(-time.Second)} { // the later one stays
			if err := s.TouchPersonalTokens(t.Context(), []TokenUse{{p.ID, at}}); err != nil {
				t.Fatal(err)
			}
		}
		p.LastUsedAt = used
		listed, err := s.PersonalTokens(t.Context(), alice)
		if err != nil {
			t.Fatal(err)
		}
		listed[0].Organization.UpdatedAt = p.Organization.UpdatedAt // the settings moved it
		if diff := cmp.Diff([]PersonalToken{*p}, listed); diff != "" {
			t.Error(diff)
		}
	})
}

// Whatever ends a person's access ends their tokens, and none comes back to life.
func TestATokenDiesWithWhatItStandsFor(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		owner := person(t, s, "owner@acme-corp.com")
		for name, end := range map[string]func(user uuid.UUID, o Organization, p *PersonalToken) error{
			"revoked": func(user uuid.UUID, _ Organization, p *PersonalToken) error {
				return s.RevokePersonalToken(t.Context(), user, p.ID, &Event{Type: "token.revoked"})
			},
			"expired": func(_ uuid.UUID, _ Organization, p *PersonalToken) error {
				_, err := s.exec(t.Context(), `UPDATE personal_access_tokens SET expires_at = ? WHERE id = ?`, usec(s.clock()), id(p.ID))
				return err
			},
			"removed, and back again": func(user uuid.UUID, o Organization, _ *PersonalToken) error {
				return errors.Join(s.RemoveMember(t.Context(), o.ID, user, &Event{}), s.AddMember(t.Context(), o.ID, user, RoleAdmin, &Event{}))
			},
			"disabled, and back again": func(user uuid.UUID, _ Organization, _ *PersonalToken) error {
				_, err := s.DisableUser(t.Context(), user, &Event{})
				_, again := s.EnableUser(t.Context(), user, &Event{})
				return errors.Join(err, again)
			},
			"another password": func(user uuid.UUID, _ Organization, _ *PersonalToken) error {
				return s.SetPassword(t.Context(), user, "new", uuid.Nil, &Event{})
			},
			"deleted": func(user uuid.UUID, _ Organization, _ *PersonalToken) error {
				return s.DeleteUser(t.Context(), user, uuid.Nil, &Event{})
			},
			"no member, whatever the token says": func(user uuid.UUID, o Organization, _ *PersonalToken) error {
				_, err := s.exec(t.Context(), `DELETE FROM memberships WHERE user_id = ? AND organization_id = ?`, id(user), id(o.ID))
				return err
			},
			"disabled, whatever the token says": func(user uuid.UUID, _ Organization, _ *PersonalToken) error {
				_, err := s.exec(t.Context(), `UPDATE users SET disabled_at = ? WHERE id = ?`, usec(s.clock()), id(user))
				return err
			},
			"an organization that is gone, whatever the token says": func(_ uuid.UUID, o Organization, _ *PersonalToken) error {
				_, err := s.exec(t.Context(), `UPDATE organizations SET deleted_at = ? WHERE id = ?`, usec(s.clock()), id(o.ID))
				return err
			},
			"an unproven address, whatever the token says": func(user uuid.UUID, _ Organization, _ *PersonalToken) error {
				_, err := s.exec(t.Context(), `UPDATE users SET email_verified_at = NULL WHERE id = ?`, id(user))
				return err
			},
		} {
			user, o := person(t, s, uuid.NewString()+"@acme-corp.com"), organization(t, s, "o"+uuid.NewString()[:8], owner)
			if err := s.AddMember(t.Context(), o.ID, user, RoleAdmin, &Event{}); err != nil {
				t.Fatal(err)
			}
			p := personalToken(t, s, user, o)
			if _, err := s.TokenHolder(t.Context(), p.Hash); err != nil {
				t.Fatal(err)
			}
			if err := end(user, o, p); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if _, err := s.TokenHolder(t.Context(), p.Hash); !errors.Is(err, ErrNotFound) {
				t.Errorf("%s: got %v, want ErrNotFound", name, err)
			}
		}
	})
}

func TestWhoGetsAToken(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		alice, bob := person(t, s, "alice@acme-corp.com"), person(t, s, "bob@acme-corp.com")
		acme := organization(t, s, "acme-corp", alice)
		create := func(user uuid.UUID, limit int) error {
			return s.CreatePersonalToken(t.Context(), &PersonalToken{ID: uuid.New(), Hash: secret.HashOf(uuid.NewString()), UserID: user, Organization: acme,
				CreatedAt: s.clock(), ExpiresAt: s.clock().Add(time.Hour)}, limit, &Event{})
		}
		if err := create(bob, 50); !errors.Is(err, ErrNotFound) {
			t.Errorf("no member: got %v, want ErrNotFound", err)
		}
		if err := create(alice, 1); err != nil {
			t.Fatal(err)
		}
		if err := create(alice, 1); !errors.Is(err, ErrConflict) {
			t.Errorf("one too many: got %v, want ErrConflict", err)
		}
		if _, err := s.exec(t.Context(), `UPDATE users SET email_verified_at = NULL WHERE id = ?`, id(alice)); err != nil {
			t.Fatal(err)
		}
		if err := create(alice, 50); !errors.Is(err, ErrNotFound) {
			t.Errorf("unproven: got %v, want ErrNotFound", err)
		}
		tokens, err := s.PersonalTokens(t.Context(), alice)
		if err != nil || len(tokens) != 1 {
			t.Fatalf("got %v, %v", tokens, err)
		}
		if err := s.RevokePersonalToken(t.Context(), bob, tokens[0].ID, &Event{}); !errors.Is(err, ErrNotFound) {
			t.Errorf("revoking another's: got %v, want ErrNotFound", err)
		}
	})
}
