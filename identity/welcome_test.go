package identity

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sallyport-id/sallyport/storage"
)

func personalOrg(value string) configured { return func(c *Config) { c.Accounts.PersonalOrg = value } }

// PERSONAL_ORG, at the first sign-in and never again.
func TestWhoGetsAnOrganizationOfTheirOwn(t *testing.T) {
	for value, want := range map[string][2]int{ // for who belongs to none, and to one
		PersonalAlways: {1, 2}, PersonalUninvited: {1, 1}, PersonalNever: {0, 1}, "": {0, 1},
	} {
		t.Run("PERSONAL_ORG="+value, func(t *testing.T) {
			eachEngine(t, func(t *testing.T, in *installation) {
				acme, _ := in.organization(t, "acme")
				member := in.member(t, acme, "member@acme.example", storage.RoleMember)
				for n, a := range []Actor{{UserID: in.user(t, "bob@example.com", false).ID}, member} {
					for range 2 {
						u, err := in.store.User(t.Context(), a.UserID)
						if err != nil {
							t.Fatal(err)
						}
						// Stale, as two sign-ins at once read it; and as it is.
						for _, seen := range []*storage.User{u, {ID: u.ID, Email: u.Email}} {
							if err := in.Accounts.OnFirstSignIn(t.Context(), seen); err != nil {
								t.Fatal(err)
							}
						}
					}
					all, err := in.store.Memberships(t.Context(), a.UserID, "", 0)
					if err != nil || len(all) != want[n] {
						t.Fatalf("person %d: got %+v, %v, want %d organizations", n, all, err, want[n])
					}
					if want[n] > n && all[n].Role != storage.RoleOwner {
						t.Errorf("their own: got %+v", all[n])
					}
					if u, err := in.store.User(t.Context(), a.UserID); err != nil || u.FirstSignInAt.IsZero() {
						t.Errorf("first sign-in: got %v, %v", u.FirstSignInAt, err)
					}
				}
			}, personalOrg(value))
		})
	}
}

// No name keeps anybody from signing in, and none takes the slug of a company.
func TestWhatAnOwnOrganizationIsCalled(t *testing.T) {
	for from, want := range map[[2]string][2]string{
		{"Bob", "bob@x.example"}:                     {"Bob’s organization", "bobs-organization"},
		{"", "bob.smith+test@x.example"}:             {"bob.smith+test’s organization", "bob-smithtests-organization"},
		{"Jörg  Müller", ""}:                         {"Jörg  Müller’s organization", "jorg-mullers-organization"},
		{"Acme Corp", ""}:                            {"Acme Corp’s organization", "acme-corps-organization"},
		{"admin", ""}:                                {"admin’s organization", "admins-organization"},
		{"株式会社", "x@x.example"}:                      {"株式会社’s organization", "personal-organization"},
		{"123", ""}:                                  {"123’s organization", "personal-organization"},
		{"-- 4x Ann O'Hara --", ""}:                  {"-- 4x Ann O'Hara --’s organization", "x-ann-oharas-organization"},
		{"\u202eevil\x00\n", ""}:                     {"evil’s organization", "evils-organization"},
		{" ", "\u200b@x.example"}:                    {"My organization", "personal-organization"},
		{strings.Repeat("long ", 60), "x@x.example"}: {strings.Repeat("long ", 15) + "long ’s organization", "long-long-long-lo-organization"},
	} {
		name, slug := personalOrganizationName(&storage.User{Email: from[1], Profile: storage.Profile{Name: from[0]}})
		if want[0] = strings.ReplaceAll(want[0], "long ’", "long’"); name != want[0] || slug != want[1] {
			t.Errorf("%q: got %q, %q, want %q", from, name, slug, want)
		}
		var faults FieldErrors
		checkName(&faults, "name", name, 100)
		if err := CheckSlug(slug); err != nil || len(faults) > 0 {
			t.Errorf("%q: %q, %q: %v %v", from, name, slug, err, faults)
		}
	}
}

func TestPeopleOfOneNameGetOrganizationsOfTheirOwn(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		for _, email := range []string{"bob@a.example", "bob@b.example", "bob@c.example"} {
			u := in.user(t, email, false)
			if err := in.Accounts.OnFirstSignIn(t.Context(), u); err != nil {
				t.Fatal(err)
			}
			all, err := in.store.Memberships(t.Context(), u.ID, "", 0)
			if err != nil || len(all) != 1 || !strings.HasPrefix(all[0].Organization.Slug, "bobs-organization") || all[0].Organization.Name != "bob’s organization" {
				t.Errorf("got %+v, %v", all, err)
			}
			// The slug says their name: it is a personal detail of the event, which goes with the person.
			events, err := in.store.EventsAbout(t.Context(), u.ID, 1)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(map[string]string{"slug": all[0].Organization.Slug}, events[0].Personal); diff != "" || events[0].Type != "organization.created" {
				t.Errorf("%+v: %s", events[0], diff)
			}
		}
	}, personalOrg(PersonalUninvited))
}

// Of sixteen first sign-ins at once, one makes the organization.
func TestAFirstSignInMakesOneOrganization(t *testing.T) {
	eachTwo(t, func(t *testing.T, nodes [2]*installation) {
		u := nodes[0].user(t, "bob@a.example", false)
		allOf16(t, nodes, func(in *installation) error { return in.Accounts.OnFirstSignIn(t.Context(), u) })
		if all, err := nodes[0].store.Memberships(t.Context(), u.ID, "", 0); err != nil || len(all) != 1 {
			t.Errorf("got %+v, %v, want one organization", all, err)
		}
	}, personalOrg(PersonalAlways))
}
