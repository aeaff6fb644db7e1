package storage

import (
	"context"
	"database/sql/driver"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/sallyport-id/sallyport/migrations"
)

// withNext is the embedded migrations and one more, as a later release has them.
func withNext(t *testing.T) fs.FS {
	t.Helper()
	later := fstest.MapFS{}
	err := fs.WalkDir(migrations.FS, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(migrations.FS, path)
		later[path] = &fstest.MapFile{Data: b}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	next := "-- +goose Up\nCREATE TABLE later (id text PRIMARY KEY);\nINSERT INTO later (id) VALUES ('once');\n-- +goose Down\nDROP TABLE later;\n"
	later["postgres/99999_later.sql"] = &fstest.MapFile{Data: []byte(next)}
	later["sqlite/99999_later.sql"] = &fstest.MapFile{Data: []byte(next)}
	return later
}

func TestUpDownUpGivesTheSameSchema(t *testing.T) {
	eachEmpty(t, func(t *testing.T, url string) {
		ctx, s := t.Context(), open(t, url)
		if pending, err := s.Pending(ctx); err != nil || !pending {
			t.Fatalf("Pending of an empty database = %v, %v, want true", pending, err)
		}
		if err := s.Migrate(ctx); err != nil {
			t.Fatal(err)
		}
		before := schemaOf(t, s)
		if pending, err := s.Pending(ctx); err != nil || pending {
			t.Fatalf("Pending after Migrate = %v, %v, want false", pending, err)
		}
		known, err := s.MigrationStatus(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for range known {
			if err := s.MigrateDown(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if got := schemaOf(t, s); len(got.Columns) != 0 {
			t.Errorf("left over after all the way down: %v", got)
		}
		if err := s.MigrateDown(ctx); !errors.Is(err, ErrNotFound) {
			t.Errorf("MigrateDown of an empty database: got %v, want ErrNotFound", err)
		}
		if err := s.Migrate(ctx); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, schemaOf(t, s)); diff != "" {
			t.Errorf("up, down, up differs from up (-first +second):\n%s", diff)
		}
	})
}

// UP-03: an old node must not write to a schema that it does not understand.
func TestAnOldBinaryRefusesANewerSchema(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		if err := s.migrate(ctx, withNext(t)); err != nil {
			t.Fatal(err)
		}
		for name, f := range map[string]func(context.Context) error{
			"Migrate":     s.Migrate,
			"MigrateDown": s.MigrateDown,
			"Pending":     func(ctx context.Context) error { _, err := s.Pending(ctx); return err },
		} {
			if err := f(ctx); !errors.Is(err, ErrNewerSchema) || !strings.Contains(err.Error(), "99999") {
				t.Errorf("%s: got %v, want ErrNewerSchema that names version 99999", name, err)
			}
		}
	})
}

// UP-03: every node of a new release starts at the same moment.
func TestNodesThatStartTogetherMigrateOnce(t *testing.T) {
	eachEmpty(t, func(t *testing.T, url string) {
		ctx, later := t.Context(), withNext(t)
		var wg sync.WaitGroup
		for range 6 {
			s := open(t, url)
			wg.Go(func() {
				if err := s.migrate(ctx, later); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		var n int
		if err := open(t, url).writer.Get(&n, `SELECT count(*) FROM goose_db_version WHERE version_id > 0`); err != nil {
			t.Fatal(err)
		}
		known, err := listMigrations(later, "postgres")
		if err != nil {
			t.Fatal(err)
		}
		if n != len(known) {
			t.Errorf("%d migrations were recorded, want %d", n, len(known))
		}
	})
}

// UP-01: the process is killed after any statement of a migration, then started again.
func TestAKilledMigrationCompletesAtTheNextStart(t *testing.T) {
	eachEmpty(t, func(t *testing.T, url string) {
		ctx, kills := t.Context(), 0
		for n := 1; ; n++ {
			life, end := context.WithCancel(ctx)
			d := &dying{end: end}
			d.left.Store(int64(n))
			s, err := Open(life, Config{URL: url, Wrap: func(c driver.Connector) driver.Connector { return dyingConnector{c, d} }})
			if err != nil {
				t.Fatal(err)
			}
			err = s.Migrate(life)
			end()
			_ = s.Close()
			if err == nil {
				break
			}
			if d.left.Load() > 0 {
				t.Fatalf("before the kill after %d statements: %v", n, err)
			}
			kills++
		}
		if kills < 50 {
			t.Errorf("only %d kills, want one for each of at least 50 statements", kills)
		}
		got := schemaOf(t, open(t, url))
		clean := sqliteURL(t)
		if strings.HasPrefix(url, "postgres") {
			clean = postgresURL(t)
		}
		s := open(t, clean)
		if err := s.Migrate(ctx); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(schemaOf(t, s), got); diff != "" {
			t.Errorf("differs from a clean install (-clean +killed):\n%s", diff)
		}
	})
}

// dying counts down statements, after which nothing reaches the database any more.
type dying struct {
	left atomic.Int64
	end  context.CancelFunc
}

var errKilled = errors.New("killed")

func (d *dying) statement() error {
	if d.left.Add(-1) <= 0 {
		d.end()
		return errKilled
	}
	return nil
}

type dyingConnector struct {
	driver.Connector
	d *dying
}

func (c dyingConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &dyingConn{conn, c.d}, nil
}

type dyingConn struct {
	driver.Conn
	d *dying
}

func (c *dyingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if err := c.d.statement(); err != nil {
		return nil, err
	}
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
}

func (c *dyingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
}

func (c *dyingConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	tx, err := c.Conn.(driver.ConnBeginTx).BeginTx(ctx, o)
	return dyingTx{tx, c}, err
}

type dyingTx struct {
	driver.Tx
	c *dyingConn
}

// Commit is a statement too: the process may die before it.
func (t dyingTx) Commit() error {
	if err := t.c.d.statement(); err != nil {
		return err
	}
	return t.Tx.Commit()
}

// Rollback sends nothing, as a dead process does not: the pool closes the
// connection, and the database has to notice.
func (t dyingTx) Rollback() error {
	if t.c.d.left.Load() <= 0 {
		return driver.ErrBadConn
	}
	return t.Tx.Rollback()
}

// Cold starts are fast: with nothing to do Migrate asks at most twice.
func TestMigrateWithNothingToDoAsksTwice(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		var asked atomic.Int64
		url := "sqlite://" + s.path
		if s.engine == Postgres {
			var name string
			if err := s.writer.Get(&name, `SELECT current_database()`); err != nil {
				t.Fatal(err)
			}
			url = databaseURL(name)
		}
		counted, err := Open(t.Context(), Config{URL: url, Wrap: func(c driver.Connector) driver.Connector { return countingConnector{c, &asked} }})
		if err != nil {
			t.Fatal(err)
		}
		defer counted.Close()
		if err := counted.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := asked.Load(); got > 2 {
			t.Errorf("%d queries, want at most 2", got)
		}
	})
}

type countingConnector struct {
	driver.Connector
	n *atomic.Int64
}

func (c countingConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &countingConn{Conn: conn, n: c.n}, nil
}

// countingConn sees every statement prepared, because it offers no short cut.
type countingConn struct {
	driver.Conn
	n *atomic.Int64
}

func (c *countingConn) Prepare(query string) (driver.Stmt, error) {
	c.n.Add(1)
	return c.Conn.Prepare(query)
}

func TestCreateMigrationNumbersBothEnginesAlike(t *testing.T) {
	dir := t.TempDir()
	for _, e := range []string{"postgres", "sqlite"} {
		if err := os.Mkdir(filepath.Join(dir, e), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "sqlite", "00007_init.sql"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	paths, err := CreateMigration(dir, "add_invitations")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{filepath.Join(dir, "postgres", "00008_add_invitations.sql"), filepath.Join(dir, "sqlite", "00008_add_invitations.sql")}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}
	for _, bad := range []string{"", "Add", "a b", "../x", "a__b"} {
		if _, err := CreateMigration(dir, bad); err == nil {
			t.Errorf("CreateMigration(%q) succeeded", bad)
		}
	}
}
