package storage

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

// Two who change settings at once do not lose each other's change: each is given
// what the other has left.
func TestSettingsAreChangedOneAfterAnother(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		acme := organization(t, s, "acme-corp", uuid.Nil)
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if err := s.EditOrganizationSettings(t.Context(), acme.ID, func(o *OrganizationSettings) *Event {
					o.MFA.Require, o.MFA.GraceDays = RequireAny, o.MFA.GraceDays+1
					return &Event{Type: "organization.changed"}
				}); err != nil {
					t.Error(err)
				}
				if err := s.EditPlatformSettings(t.Context(), func(p *PlatformSettings) *Event {
					p.MFA.Require, p.MFA.GraceDays = RequireAny, p.MFA.GraceDays+1
					return &Event{Type: "platform.changed"}
				}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		o, err := s.OrganizationSettings(t.Context(), acme.ID)
		if err != nil || o.MFA.GraceDays != 8 {
			t.Errorf("organization: got %+v, %v, want 8", o, err)
		}
		p, err := s.PlatformSettings(t.Context())
		if err != nil || p.MFA.GraceDays != 8 {
			t.Errorf("platform: got %+v, %v, want 8", p, err)
		}
		events := len(recorded(t, s))
		if err := s.EditPlatformSettings(t.Context(), func(*PlatformSettings) *Event { return nil }); err != nil || len(recorded(t, s)) != events {
			t.Errorf("no change: got %v and %d events, want %d", err, len(recorded(t, s)), events)
		}
	})
}

func TestWhoLacksWhatAPolicyRequires(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		acme := organization(t, s, "acme-corp", uuid.Nil)
		now := s.clock()
		add := func(email, factors string, came time.Time, change string) {
			u := person(t, s, email)
			if _, err := s.exec(t.Context(), `UPDATE users SET factors = ?, created_at = ? WHERE id = ?`, factors, usec(came), id(u)); err != nil {
				t.Fatal(err)
			}
			if _, err := s.exec(t.Context(), `INSERT INTO memberships (organization_id, user_id, role, created_at) VALUES (?, ?, 'member', ?)`, id(acme.ID), id(u), usec(came)); err != nil {
				t.Fatal(err)
			}
			if change == "" {
				return
			}
			if _, err := s.exec(t.Context(), `UPDATE users SET `+change+` WHERE id = ?`, id(u)); err != nil {
				t.Fatal(err)
			}
		}
		add("none@a.example", "", now, "")
		add("app@a.example", FactorTOTP, now, "")
		add("key@a.example", FactorWebAuthn, now, "")
		add("both@a.example", FactorTOTP+" "+FactorWebAuthn, now, "")
		add("early@a.example", "", now.Add(-time.Hour), "")
		add("disabled@a.example", "", now, "disabled_at = 1")
		add("unproven@a.example", "", now, "email_verified_at = NULL")
		person(t, s, "stranger@b.example")

		for name, c := range map[string]struct {
			ask  Lacking
			want []string
		}{
			"any":                 {Lacking{Organization: acme.ID, Require: RequireAny, Until: now}, []string{"none@a.example", "early@a.example"}},
			"totp":                {Lacking{Organization: acme.ID, Require: RequireTOTP, Until: now}, []string{"none@a.example", "key@a.example", "early@a.example"}},
			"passkey":             {Lacking{Organization: acme.ID, Require: RequirePasskey, Until: now}, []string{"none@a.example", "app@a.example", "early@a.example"}},
			"came before":         {Lacking{Organization: acme.ID, Require: RequireAny, Until: now.Add(-time.Minute)}, []string{"early@a.example"}},
			"came after":          {Lacking{Organization: acme.ID, Require: RequireAny, Since: now.Add(-time.Hour), Until: now}, []string{"none@a.example"}},
			"everybody":           {Lacking{Require: RequireAny, Until: now.Add(time.Hour)}, []string{"none@a.example", "early@a.example", "stranger@b.example"}},
			"everybody, came bef": {Lacking{Require: RequireAny, Until: now.Add(-time.Minute)}, []string{"early@a.example"}},
		} {
			var got []string
			c.ask.Limit = 2 // batch by batch
			for {
				batch, err := s.Lacking(t.Context(), c.ask)
				if err != nil {
					t.Fatal(err)
				}
				for _, l := range batch {
					got = append(got, l.User.Email)
					c.ask.After = l.User.ID
				}
				if len(batch) < c.ask.Limit {
					break
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
	})
}

// A person signs in for the first time once, however many of their sign-ins are at the same time.
func TestANewcomerIsWelcomedOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		organization(t, s, "taken", uuid.Nil)
		bob := person(t, s, "bob@acme-corp.com")
		offers := func() []*NewOrganization {
			var all []*NewOrganization
			for _, slug := range []string{"taken", "free-" + uuid.NewString()[:8]} {
				all = append(all, &NewOrganization{Organization: Organization{ID: uuid.Must(uuid.NewV7()), Slug: slug, Name: "Bob's", CreatedAt: s.clock(), UpdatedAt: s.clock()},
					Owner: bob, Event: &Event{Type: "organization.created"}})
			}
			return all
		}
		var mu sync.Mutex
		var made []string
		var all sync.WaitGroup
		for n := range 16 {
			all.Go(func() {
				o, err := s.Welcome(t.Context(), bob, n%2 == 0, offers())
				if err != nil {
					t.Error(err)
				}
				if o != nil {
					mu.Lock()
					defer mu.Unlock()
					made = append(made, o.Slug)
				}
			})
		}
		all.Wait()
		memberships, err := s.Memberships(t.Context(), bob)
		if err != nil || len(memberships) != 1 || len(made) != 1 || memberships[0].Organization.Slug != made[0] || memberships[0].Role != RoleOwner {
			t.Errorf("made %v, belongs to %+v, %v", made, memberships, err)
		}
		if u, err := s.User(t.Context(), bob); err != nil || u.FirstSignInAt.IsZero() {
			t.Errorf("first sign-in: got %v, %v", u.FirstSignInAt, err)
		}
	})
}

func TestWhoBelongsSomewhereNeedsNoOrganizationOfTheirOwn(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		acme := organization(t, s, "acme-corp", uuid.Nil)
		for n, always := range []bool{false, true} {
			u := person(t, s, uuid.NewString()+"@acme-corp.com")
			if err := s.AddMember(t.Context(), acme.ID, u, RoleMember, &Event{}); err != nil {
				t.Fatal(err)
			}
			o, err := s.Welcome(t.Context(), u, always, []*NewOrganization{{Organization: Organization{ID: uuid.New(), Slug: "own" + uuid.NewString()[:8], CreatedAt: s.clock(), UpdatedAt: s.clock()}, Owner: u, Event: &Event{}}})
			if err != nil || (o != nil) != always {
				t.Errorf("%d: always %v: got %v, %v", n, always, o, err)
			}
			if got, err := s.User(t.Context(), u); err != nil || got.FirstSignInAt.IsZero() {
				t.Errorf("first sign-in: got %v, %v", got.FirstSignInAt, err)
			}
		}
	})
}
