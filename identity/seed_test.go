package identity

import (
	"errors"
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/storage"
)

func (in *installation) seed(t *testing.T, o SeedOptions) {
	t.Helper()
	if err := in.Seed(t.Context(), Operator(), o); err != nil {
		t.Fatal(err)
	}
}

// People, organizations and clients of the sample data are there, with the numbered
// ones; seeding again changes nothing.
func TestTheSampleDataIsAllThere(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		for range 2 { // again changes nothing
			in.seed(t, SeedOptions{Users: 3, Organizations: 4, Clients: 2})
		}
		in.seed(t, SeedOptions{Users: 5})
		for email, want := range map[string]struct {
			password, roles string
			superadmin      bool
		}{
			"bob@acme-corp.com":    {samplePassword, "acme-corp member", false},
			"alice@acme-corp.com":  {samplePassword, "acme-corp owner, tech-startup admin", false},
			"admin@sallyport.test": {sampleAdminPassword, "", true},
			"user0@acme-corp.com":  {samplePassword, "acme-corp member, org0 owner, org3 owner", false},
			"user4@acme-corp.com":  {samplePassword, "acme-corp member", false},
		} {
			u, hash, err := in.store.UserWithPassword(t.Context(), email)
			if err != nil {
				t.Fatalf("%s: %v", email, err)
			}
			if ok, _, err := in.passwords.Verify(t.Context(), hash, want.password); err != nil || !ok {
				t.Errorf("%s: the password is another: %v", email, err)
			}
			all, err := in.store.Memberships(t.Context(), u.ID, "", 0)
			if err != nil {
				t.Fatal(err)
			}
			var roles string
			for n, m := range all {
				if n > 0 {
					roles += ", "
				}
				roles += m.Organization.Slug + " " + m.Role
			}
			if roles != want.roles || hasRole(u, storage.RoleSuperadmin) != want.superadmin || u.EmailVerifiedAt.IsZero() {
				t.Errorf("%s: got %q, platform roles %v, proven %v", email, roles, u.PlatformRoles, u.EmailVerifiedAt)
			}
		}
		for id, text := range map[string]string{"acme-portal-001": "acme_secret_portal_2024", "data-api-001": "data_secret_api_2024", SampleRP: SampleRPSecret, "client1": "client1_secret_2024"} {
			in.wantSecret(t, in.Identity, id, text, true)
		}
		if c := in.read(t, "acme-mobile-001"); !c.Public() || !c.Native() {
			t.Errorf("acme-mobile-001: got %+v", c.Metadata)
		}
		resources, err := in.store.Resources(t.Context())
		if err != nil || len(resources) != 1 || !slices.Equal(resources[0].ServedBy, []string{"data-api-001"}) || len(resources[0].Scopes) != 2 {
			t.Errorf("resources: got %+v, %v", resources, err)
		}
	})
}

func TestBobHasEveryStandardClaim(t *testing.T) {
	p := bobsProfile()
	for _, v := range []reflect.Value{reflect.ValueOf(p), reflect.ValueOf(*p.Address)} {
		for n := range v.NumField() {
			if v.Field(n).IsZero() {
				t.Errorf("%s is empty", v.Type().Field(n).Name)
			}
		}
	}
}

// The file at the root and the one in the binary are one.
func TestTheSampleFileIsTheOneAtTheRoot(t *testing.T) {
	root, err := os.ReadFile("../clients.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if string(root) != string(sampleManifest) {
		t.Error("clients.yaml and identity/sample.yaml differ: copy one over the other")
	}
	in := onSQLite(t)
	in.seed(t, SeedOptions{})
	// Seeded clients are not the file's, so it would take them over; nothing else about them differs.
	p := in.plan(t, string(root))
	if slices.ContainsFunc(p.Changes, func(c Change) bool { return c.Action != "take over" || len(c.Details) > 0 }) {
		t.Errorf("a plan of clients.yaml after a seed: got %v, want takeovers alone", p)
	}
}

// What was seeded is nobody's: a clients.yaml of somebody's own does not stop it.
func TestAFileOfOnesOwnLeavesTheSampleDataAlone(t *testing.T) {
	in := onSQLite(t)
	in.seed(t, SeedOptions{})
	if p := in.apply(t, header+someApp); changes(p) != "create app" {
		t.Errorf("got %v, want one creation", p)
	}
}

func TestTheSampleRelyingPartyMayMove(t *testing.T) {
	in := onSQLite(t)
	in.seed(t, SeedOptions{})
	in.seed(t, SeedOptions{SampleRP: "http://localhost:5003"})
	want := []string{"http://localhost:5001/callback", "http://localhost:5003/callback"}
	if got := in.read(t, SampleRP).Metadata.RedirectURIs; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestSampleDataIsRefusedInProduction(t *testing.T) {
	in := onSQLite(t, inProduction)
	if err := in.Seed(t.Context(), Operator(), SeedOptions{}); !errors.Is(err, ErrProduction) {
		t.Errorf("got %v, want ErrProduction", err)
	}
	if all, err := in.store.Users(t.Context(), uuid.Nil, 1); err != nil || len(all) != 0 {
		t.Errorf("people: got %v, %v, want none", all, err)
	}
}

// More than a batch, with a remainder.
func TestManyPeopleAreSeeded(t *testing.T) {
	in := onSQLite(t)
	const many = 2*seedBatch + 7
	last := 0
	in.seed(t, SeedOptions{Users: many, Progress: func(_ string, done, of int) { last = done }})
	if _, err := in.UserByEmail(t.Context(), Operator(), "user1006@acme-corp.com"); err != nil || last != many {
		t.Errorf("the last one: %v, progress to %d", err, last)
	}
}
