package harness

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	_ "github.com/lib/pq" // for making and dropping databases
	"github.com/sallyport-id/sallyport/storage"
)

// variable is a value that `make test` provides.
func variable(t testing.TB, name string) string {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		t.Fatalf("%s is not set: run `make test`, which starts what tests need, or set it yourself", name)
	}
	return v
}

// NewDatabase returns the URL of an empty database of this test's own with its
// schema in place: copying one is faster than migrating each.
func NewDatabase(t testing.TB, engine storage.Engine) string {
	t.Helper()
	if engine == storage.SQLite {
		migrated, err := sqliteTemplate()
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "sallyport.db")
		if err := os.WriteFile(path, migrated, 0o600); err != nil {
			t.Fatal(err)
		}
		return "sqlite://" + path
	}
	server := variable(t, "SALLYPORT_TEST_POSTGRES_URL")
	return createDatabase(t, server, template(t, server))
}

// sqliteTemplate returns the file of a migrated SQLite database, made once in each test binary.
var sqliteTemplate = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "sallyport-template")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "sallyport.db")
	s, err := storage.Open(context.Background(), storage.Config{URL: "sqlite://" + path})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(s.Migrate(context.Background()), s.Close()); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// EmptyDatabase is the URL of a database of this test's own without a schema.
func EmptyDatabase(t testing.TB, engine storage.Engine) string {
	t.Helper()
	if engine == storage.SQLite {
		return "sqlite://" + filepath.Join(t.TempDir(), "sallyport.db")
	}
	return createDatabase(t, variable(t, "SALLYPORT_TEST_POSTGRES_URL"), "template0")
}

var templates sync.Map // server URL → func() (string, error)

// template is a migrated database that others are copied from, one a test binary.
// It is left behind: the next binary's is another, and the server of `make test` goes away.
func template(t testing.TB, server string) string {
	t.Helper()
	made, _ := templates.LoadOrStore(server, sync.OnceValues(func() (string, error) {
		name := "template_" + strings.ReplaceAll(uuid.NewString(), "-", "")
		if err := admin(server, `CREATE DATABASE `+name); err != nil {
			return "", err
		}
		s, err := storage.Open(t.Context(), storage.Config{URL: at(server, name)})
		if err != nil {
			return "", err
		}
		defer s.Close()
		return name, s.Migrate(t.Context())
	}))
	name, err := made.(func() (string, error))()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func createDatabase(t testing.TB, server, template string) string {
	t.Helper()
	name := "test_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	if err := admin(server, `CREATE DATABASE `+name+` TEMPLATE `+template); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := admin(server, `DROP DATABASE `+name+` WITH (FORCE)`); err != nil {
			t.Error(err)
		}
	})
	return at(server, name)
}

func admin(server, statement string) error {
	db, err := sql.Open("postgres", server)
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}

// at is the server's URL with another database.
func at(server, database string) string {
	u, err := url.Parse(server)
	if err != nil {
		panic(err)
	}
	u.Path = "/" + database
	return u.String()
}
