package manifest_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/internal/sample/seed"
	"github.com/sallyport-id/sallyport/storage"
)

// installation is an empty installation with what these tests ask of it.
type installation struct{ *harness.Installation }

func eachEngine(t *testing.T, f func(t *testing.T, in *installation)) {
	t.Helper()
	harness.EachInstallation(t, func(t *testing.T, in *harness.Installation) { f(t, &installation{in}) })
}

func onSQLite(t testing.TB) *installation {
	t.Helper()
	return &installation{harness.Open(t, storage.SQLite)}
}

func (in *installation) client(t *testing.T, n identity.NewClient) {
	t.Helper()
	if _, _, err := in.Identity.Clients.Create(t.Context(), identity.Operator(), n); err != nil {
		t.Fatal(err)
	}
}

// A file lets go of a client by naming it no more. A person who decides about that client afterwards owns it.
func TestAClientThatTheFileNamesNoMoreBelongsToWhoEnablesIt(t *testing.T) {
	in := onSQLite(t)
	in.apply(t, header+someApp)
	in.apply(t, "version: 1\n")
	if c := in.Client(t, "app"); c.Active() || c.ManagedBy != storage.ManagedByFileOnce {
		t.Fatalf("got %+v", c)
	}
	if err := in.Identity.Clients.Enable(t.Context(), identity.Operator(), "app"); err != nil {
		t.Fatal(err)
	}
	if c := in.Client(t, "app"); !c.Active() || c.ManagedBy != "" {
		t.Errorf("enabled: active %v, managed by %q", c.Active(), c.ManagedBy)
	}
	if text, err := in.Manifest.Export(t.Context(), identity.Operator()); err != nil || !strings.Contains(string(text), "client_id: app") {
		t.Errorf("it is not exported: %s, %v", text, err)
	}
}

// A platform admin may look at what a file would change, and change nothing.
func TestAPlatformAdminPlansAndExportsAndDoesNotApply(t *testing.T) {
	in := onSQLite(t)
	ctx := t.Context()
	actors := map[string]identity.Actor{"nobody": {}}
	for _, role := range []string{storage.RoleSuperadmin, storage.RolePlatformAdmin} {
		u, err := in.Identity.People.Create(ctx, identity.Operator(), identity.NewUser{Email: role + "@wonderland.example"})
		if err == nil {
			_, err = in.Identity.People.AddPlatformRole(ctx, identity.Operator(), u.ID, role)
		}
		if err != nil {
			t.Fatal(err)
		}
		actors[role] = identity.Actor{UserID: u.ID}
	}
	file := readText("version: 1\nclients: []\n")
	for act, do := range map[string]func(a identity.Actor) error{
		"plan":   func(a identity.Actor) error { _, err := in.Manifest.Plan(ctx, a, file); return err },
		"export": func(a identity.Actor) error { _, err := in.Manifest.Export(ctx, a); return err },
		"apply":  func(a identity.Actor) error { _, err := in.Manifest.Apply(ctx, a, file, nil); return err },
		"seed":   func(a identity.Actor) error { return in.Seeder.Seed(ctx, a, seed.Options{}) },
	} {
		for who, a := range actors {
			allowed := who == storage.RoleSuperadmin || who == storage.RolePlatformAdmin && (act == "plan" || act == "export")
			if err := do(a); (err == nil) != allowed || !allowed && !errors.Is(err, identity.ErrForbidden) {
				t.Errorf("%s by %s: got %v, want it allowed: %v", act, who, err, allowed)
			}
		}
	}
}
