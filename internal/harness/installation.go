package harness

import (
	"testing"

	"github.com/sallyport-id/sallyport/internal/app"
	"github.com/sallyport-id/sallyport/storage"
)

// Installation is an opened installation without a server: its database and its rules.
type Installation struct {
	*app.App
	Clock *Clock
}

// EachInstallation runs f as a subtest on an empty installation for each engine.
func EachInstallation(t *testing.T, f func(t *testing.T, in *Installation)) {
	t.Helper()
	for _, engine := range []storage.Engine{storage.SQLite, storage.Postgres} {
		t.Run(string(engine), func(t *testing.T) { f(t, Open(t, engine)) })
	}
}

// Open opens an empty installation on a new database.
func Open(t testing.TB, engine storage.Engine) *Installation {
	t.Helper()
	clock := &Clock{}
	cfg, err := app.Load(app.LoadOptions{Dir: t.TempDir(), Environ: []string{
		"SALLYPORT_ISSUER=http://127.0.0.1:5000", "SALLYPORT_LISTEN=127.0.0.1:5000", "SALLYPORT_DATABASE_URL=" + NewDatabase(t, engine),
		"SALLYPORT_ENV=testing", "SALLYPORT_SECRET_KEY=" + testKey, "SALLYPORT_ENCRYPTION_KEY=" + testKey,
	}})
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.Open(t.Context(), cfg, app.Options{Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return &Installation{App: a, Clock: clock}
}

// Client reads a client.
func (in *Installation) Client(t testing.TB, clientID string) *storage.Client {
	t.Helper()
	c, err := in.Store.Client(t.Context(), clientID)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// WantSecret checks whether a secret is accepted for a client.
func (in *Installation) WantSecret(t testing.TB, clientID, text string, want bool) {
	t.Helper()
	if ok, err := in.Identity.Clients.VerifySecret(t.Context(), in.Client(t, clientID), text); err != nil || ok != want {
		t.Errorf("secret of %s: got %v, %v, want %v", clientID, ok, err, want)
	}
}
