package storage

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// postgresTests is the PostgreSQL that tests make their databases in, and the
// migrated database that they are copied from.
var postgresTests struct {
	once     sync.Once
	err      error
	admin    *sqlx.DB
	template string
}

func TestMain(m *testing.M) {
	code := m.Run()
	if p := &postgresTests; p.template != "" {
		if _, err := p.admin.Exec(`DROP DATABASE IF EXISTS ` + p.template + ` WITH (FORCE)`); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// eachEngine runs f as a subtest on a migrated, empty database of each engine.
func eachEngine(t *testing.T, f func(t *testing.T, s *Store)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		s := open(t, sqliteURL(t))
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		f(t, s)
	})
	t.Run("postgres", func(t *testing.T) { f(t, open(t, postgresURL(t))) })
}

// eachEmpty is eachEngine with the URL of a database that was never migrated.
func eachEmpty(t *testing.T, f func(t *testing.T, databaseURL string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { f(t, sqliteURL(t)) })
	t.Run("postgres", func(t *testing.T) { f(t, createPostgres(t, "template0")) })
}

func open(t *testing.T, databaseURL string) *Store {
	t.Helper()
	s, err := Open(t.Context(), Config{URL: databaseURL, Conns: 8})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func sqliteURL(t *testing.T) string {
	t.Helper()
	return "sqlite://" + filepath.Join(t.TempDir(), "test.db")
}

// postgresURL is a migrated database of this test's own.
func postgresURL(t *testing.T) string {
	t.Helper()
	needPostgres(t)
	p := &postgresTests
	p.once.Do(func() { p.err = preparePostgres(context.Background()) })
	if p.err != nil {
		t.Fatal(p.err)
	}
	return createPostgres(t, p.template)
}

func preparePostgres(ctx context.Context) error {
	p := &postgresTests
	admin, err := sqlx.ConnectContext(ctx, "postgres", os.Getenv("SALLYPORT_TEST_POSTGRES_URL"))
	if err != nil {
		return err
	}
	p.admin = admin
	name := databaseName()
	if _, err := admin.ExecContext(ctx, `CREATE DATABASE `+name+` TEMPLATE template0`); err != nil {
		return err
	}
	p.template = name
	s, err := Open(ctx, Config{URL: databaseURL(name)})
	if err != nil {
		return err
	}
	defer s.Close()
	return s.Migrate(ctx)
}

func createPostgres(t *testing.T, template string) string {
	t.Helper()
	needPostgres(t)
	admin, err := sqlx.Connect("postgres", os.Getenv("SALLYPORT_TEST_POSTGRES_URL"))
	if err != nil {
		t.Fatal(err)
	}
	name := databaseName()
	if _, err := admin.Exec(`CREATE DATABASE ` + name + ` TEMPLATE ` + template); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer admin.Close()
		if _, err := admin.Exec(`DROP DATABASE ` + name + ` WITH (FORCE)`); err != nil {
			t.Error(err)
		}
	})
	return databaseURL(name)
}

func needPostgres(t *testing.T) {
	t.Helper()
	if os.Getenv("SALLYPORT_TEST_POSTGRES_URL") == "" {
		t.Fatal("SALLYPORT_TEST_POSTGRES_URL is not set: run `make test`, which starts a PostgreSQL for the tests")
	}
}

func databaseName() string { return fmt.Sprintf("sallyport_test_%x", secret.Random(8)) }

func databaseURL(name string) string {
	u, err := url.Parse(os.Getenv("SALLYPORT_TEST_POSTGRES_URL"))
	if err != nil {
		panic(err)
	}
	u.Path = "/" + name
	return u.String()
}
