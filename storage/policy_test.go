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

func TestPeopleAreReadInTheOrderInWhichTheyCame(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		now := s.clock()
		came := map[string]time.Time{"b@a.example": now, "c@a.example": now, "d@a.example": now.Add(time.Minute), "a@a.example": now.Add(-time.Hour)}
		for _, email := range []string{"b@a.example", "c@a.example", "d@a.example", "a@a.example"} {
			raw(t, s, `UPDATE users SET created_at = ? WHERE id = ?`, usec(came[email]), id(person(t, s, email)))
		}
		for name, c := range map[string]struct {
			after ArrivalKey
			until time.Time
			want  []string
		}{
			"everybody":                   {ArrivalKey{}, now.Add(time.Hour), []string{"a@a.example", "b@a.example", "c@a.example", "d@a.example"}},
			"until, inclusively":          {ArrivalKey{}, now, []string{"a@a.example", "b@a.example", "c@a.example"}},
			"after a time, exclusively":   {ArrivalKey{now.Add(-time.Hour), uuid.Max}, now, []string{"b@a.example", "c@a.example"}},
			"after everybody of one time": {ArrivalKey{now, uuid.Max}, now.Add(time.Hour), []string{"d@a.example"}},
			"nobody":                      {ArrivalKey{}, now.Add(-2 * time.Hour), nil},
		} {
			var got []string
			for n := 2; n == 2; { // batch by batch
				batch, err := s.Arrivals(t.Context(), c.after, c.until, 2)
				if err != nil {
					t.Fatal(err)
				}
				for _, u := range batch {
					got = append(got, u.Email)
					c.after = ArrivalKey{u.CreatedAt, u.ID}
				}
				n = len(batch)
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
				o, err := s.OnFirstSignIn(t.Context(), bob, n%2 == 0, offers())
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
		memberships, err := s.Memberships(t.Context(), bob, "", 0)
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
			o, err := s.OnFirstSignIn(t.Context(), u, always, []*NewOrganization{{Organization: Organization{ID: uuid.New(), Slug: "own" + uuid.NewString()[:8], CreatedAt: s.clock(), UpdatedAt: s.clock()}, Owner: u, Event: &Event{}}})
			if err != nil || (o != nil) != always {
				t.Errorf("%d: always %v: got %v, %v", n, always, o, err)
			}
			if got, err := s.User(t.Context(), u); err != nil || got.FirstSignInAt.IsZero() {
				t.Errorf("first sign-in: got %v, %v", got.FirstSignInAt, err)
			}
		}
	})
}
