package identity

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

// installation is an Identity over an empty database.
type installation struct {
	*Identity
	store *storage.Store
	now   time.Time
}

// configured is how tests change what an installation is made of.
type configured func(*Config)

// eachEngine runs f on an empty installation over each engine.
func eachEngine(t *testing.T, f func(t *testing.T, in *installation), how ...configured) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { f(t, install(t, sqliteURL(t), how...)) })
	t.Run("postgres", func(t *testing.T) { f(t, install(t, postgresURL(t), how...)) })
}

// onSQLite is for rules that no engine can change.
func onSQLite(t testing.TB, how ...configured) *installation {
	t.Helper()
	return install(t, sqliteURL(t), how...)
}

func install(t testing.TB, databaseURL string, how ...configured) *installation {
	t.Helper()
	in := &installation{now: time.Now().UTC().Truncate(time.Microsecond)}
	clock := func() time.Time { return in.now }
	var err error
	if in.store, err = storage.Open(t.Context(), storage.Config{URL: databaseURL, Conns: 8, Now: clock}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := in.store.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := in.store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := Config{Store: in.store, Passwords: cheapPasswords(t), ClientSecrets: subkeys(t, 1), ContextWords: []string{"Sallyport", "https://id.wonderland.example"}, Now: clock}
	for _, h := range how {
		h(&c)
	}
	in.Identity = New(c)
	return in
}

// cheapPasswords costs tests no time; what it costs in earnest is not their subject.
func cheapPasswords(t testing.TB) *secret.Passwords {
	t.Helper()
	p, err := secret.NewPasswords(secret.PasswordConfig{Argon2: secret.Argon2Params{MemoryKiB: 8, Time: 1, Threads: 1}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// subkeys are those of an installation with keys 1 … n, the n-th in use.
func subkeys(t testing.TB, n byte) secret.Subkeys {
	t.Helper()
	var keys [][]byte
	for k := n; k > 0; k-- {
		key := make([]byte, 32)
		key[0] = k
		keys = append(keys, key)
	}
	ring, err := secret.NewKeyring(keys)
	if err != nil {
		t.Fatal(err)
	}
	return ring.Subkeys("client-secret")
}

func inProduction(c *Config) { c.Production = true }

func sqliteURL(t testing.TB) string {
	t.Helper()
	return "sqlite://" + filepath.Join(t.TempDir(), "test.db")
}

func postgresURL(t *testing.T) string {
	t.Helper()
	raw := os.Getenv("SALLYPORT_TEST_POSTGRES_URL")
	if raw == "" {
		t.Fatal("SALLYPORT_TEST_POSTGRES_URL is not set: run `make test`, which starts a PostgreSQL for the tests")
	}
	admin, err := sqlx.Connect("postgres", raw)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("sallyport_test_%x", secret.Random(8))
	if _, err := admin.Exec(`CREATE DATABASE ` + name + ` TEMPLATE template0`); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer admin.Close()
		if _, err := admin.ExecContext(context.Background(), `DROP DATABASE `+name+` WITH (FORCE)`); err != nil {
			t.Error(err)
		}
	})
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

func (in *installation) user(t *testing.T, email string, superadmin bool) *storage.User {
	t.Helper()
	u, err := in.CreateUser(t.Context(), Operator(), NewUser{Email: email, Password: "a quiet river bends north", Superadmin: superadmin})
	if err != nil {
		t.Fatal(err)
	}
	return u
}
