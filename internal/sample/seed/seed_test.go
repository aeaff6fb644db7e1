package seed_test

import (
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/manifest"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/internal/sample"
	"github.com/sallyport-id/sallyport/internal/sample/seed"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

// installation is an empty installation with what these tests ask of it.
type installation struct{ *harness.Installation }

func eachEngine(t *testing.T, f func(t *testing.T, in *installation)) {
	t.Helper()
	harness.EachInstallation(t, func(t *testing.T, in *harness.Installation) { f(t, &installation{in}) })
}

func onSQLite(t *testing.T) *installation {
	t.Helper()
	return &installation{harness.Open(t, storage.SQLite)}
}

func (in *installation) seed(t *testing.T, o seed.Options) {
	t.Helper()
	if err := in.Seeder.Seed(t.Context(), identity.Operator(), o); err != nil {
		t.Fatal(err)
	}
}

// People, organizations and clients of the sample data are there, with the numbered
// ones; seeding again changes nothing.
func TestTheSampleDataIsAllThere(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		passwords, err := secret.NewPasswords(secret.PasswordConfig{})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // again changes nothing
			in.seed(t, seed.Options{Users: 3, Organizations: 4, Clients: 2})
		}
		in.seed(t, seed.Options{Users: 5})
		for email, want := range map[string]struct {
			password, roles string
			superadmin      bool
		}{
			"bob@acme-corp.com":    {sample.Password, "acme-corp member", false},
			"alice@acme-corp.com":  {sample.Password, "acme-corp owner, tech-startup admin", false},
			"admin@sallyport.test": {sample.AdminPassword, "", true},
			"user0@acme-corp.com":  {sample.Password, "acme-corp member, org0 owner, org3 owner", false},
			"user4@acme-corp.com":  {sample.Password, "acme-corp member", false},
		} {
			u, hash, err := in.Store.UserWithPassword(t.Context(), email)
			if err != nil {
				t.Fatalf("%s: %v", email, err)
			}
			if ok, _, err := passwords.Verify(t.Context(), hash, want.password); err != nil || !ok {
				t.Errorf("%s: the password is another: %v", email, err)
			}
			all, err := in.Store.Memberships(t.Context(), u.ID, "", 0)
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
			if roles != want.roles || slices.Contains(u.PlatformRoles, storage.RoleSuperadmin) != want.superadmin || u.EmailVerifiedAt.IsZero() {
				t.Errorf("%s: got %q, platform roles %v, proven %v", email, roles, u.PlatformRoles, u.EmailVerifiedAt)
			}
		}
		for id, text := range map[string]string{"acme-portal-001": "acme_secret_portal_2024", "data-api-001": "data_secret_api_2024", sample.ClientID: sample.ClientSecret, "client1": "client1_secret_2024"} {
			in.WantSecret(t, id, text, true)
		}
		if c := in.Client(t, "acme-mobile-001"); !c.Public() || !c.Native() {
			t.Errorf("acme-mobile-001: got %+v", c.Metadata)
		}
		resources, err := in.Store.Resources(t.Context())
		if err != nil || len(resources) != 1 || !slices.Equal(resources[0].ServedBy, []string{"data-api-001"}) || len(resources[0].Scopes) != 2 {
			t.Errorf("resources: got %+v, %v", resources, err)
		}
	})
}

// The file at the root and the one in the binary are one.
func TestTheSampleFileIsTheOneAtTheRoot(t *testing.T) {
	root, err := os.ReadFile("../../../clients.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if string(root) != string(sample.Clients) {
		t.Error("clients.yaml and internal/sample/clients.yaml differ: copy one over the other")
	}
	in := onSQLite(t)
	in.seed(t, seed.Options{})
	// Seeded clients are not the file's, so it would take them over; nothing else about them differs.
	p, err := in.Manifest.Plan(t.Context(), identity.Operator(), manifest.Read("clients.yaml", root, manifest.Source{}))
	if err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(p.Changes, func(c manifest.Change) bool { return c.Action != "take over" || len(c.Details) > 0 }) {
		t.Errorf("a plan of clients.yaml after a seed: got %v, want takeovers alone", p)
	}
}

// Sample data belongs to no file, so that an operator's own clients.yaml neither stops seeding nor removes it.
func TestAFileOfOnesOwnLeavesTheSampleDataAlone(t *testing.T) {
	in := onSQLite(t)
	in.seed(t, seed.Options{})
	own := []byte("version: 1\nclients:\n  - client_id: app\n    redirect_uris: [https://a.example/cb]\n")
	p, err := in.Manifest.Apply(t.Context(), identity.Operator(), manifest.Read("clients.yaml", own, manifest.Source{}), nil)
	if err != nil || len(p.Changes) != 1 || p.Changes[0].Action != "create" {
		t.Errorf("got %v, %v, want one creation", p, err)
	}
}

func TestTheSampleRelyingPartyMayMove(t *testing.T) {
	in := onSQLite(t)
	in.seed(t, seed.Options{})
	in.seed(t, seed.Options{RelyingParty: "http://localhost:5003"})
	want := []string{"http://localhost:5001/callback", "http://localhost:5003/callback"}
	if got := in.Client(t, sample.ClientID).Metadata.RedirectURIs; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestSampleDataIsRefusedInProduction(t *testing.T) {
	in := onSQLite(t)
	production := seed.New(seed.Config{Store: in.Store, Identity: in.Identity, Production: true})
	if err := production.Seed(t.Context(), identity.Operator(), seed.Options{}); !errors.Is(err, seed.ErrProduction) {
		t.Errorf("got %v, want seed.ErrProduction", err)
	}
	if all, err := in.Store.Users(t.Context(), uuid.Nil, 1); err != nil || len(all) != 0 {
		t.Errorf("people: got %v, %v, want none", all, err)
	}
}

// More than a batch, with a remainder.
func TestManyPeopleAreSeeded(t *testing.T) {
	in := onSQLite(t)
	const many = 2*seed.Batch + 7
	last := 0
	in.seed(t, seed.Options{Users: many, Progress: func(_ string, done, of int) { last = done }})
	if _, err := in.Identity.People.ByEmail(t.Context(), identity.Operator(), "user1006@acme-corp.com"); err != nil || last != many {
		t.Errorf("the last one: %v, progress to %d", err, last)
	}
}
