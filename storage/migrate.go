package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"
	"github.com/sallyport-id/sallyport/migrations"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// ErrNewerSchema: the database was migrated by a newer release than this one.
var ErrNewerSchema = errors.New("the database's schema is newer than this program")

// migrationTime is how long migrating may take, waiting for another node that migrates included.
const migrationTime = time.Hour

// Migration is one numbered step of the schema.
type Migration struct {
	Version int64
	Name    string
	Applied bool
}

// Migrate applies what is missing, each migration in a transaction of its own,
// so that a start after a crash goes on where the last one committed. Nodes that
// start together wait for the one that migrates. When nothing is missing it
// takes one look at the version table and no lock. ErrNewerSchema if this binary
// is older than the schema.
func (s *Store) Migrate(ctx context.Context) error {
	return s.migrate(ctx, migrations.FS)
}

func (s *Store) migrate(ctx context.Context, all fs.FS) error {
	pending, err := s.pending(ctx, all)
	if err != nil || !pending {
		return fault("migrate", err)
	}
	ctx, done := limit(WithLongCalls(ctx, migrationTime), false)
	defer done()
	err = s.withMigrationLock(ctx, func() error {
		// Looked at again by goose under the lock: another node may have been first.
		p, err := s.provider(all)
		if err != nil {
			return err
		}
		return retry(ctx, func() error { // each migration is one transaction
			_, err := p.Up(ctx)
			return err
		})
	})
	return fault("migrate", err)
}

// MigrateDown takes the newest applied migration back, data included.
// ErrNotFound when none is applied.
func (s *Store) MigrateDown(ctx context.Context) error {
	return s.migrateDown(ctx, migrations.FS)
}

func (s *Store) migrateDown(ctx context.Context, all fs.FS) error {
	if _, err := s.pending(ctx, all); err != nil {
		return fault("migrate down", err)
	}
	ctx, done := limit(WithLongCalls(ctx, migrationTime), false)
	defer done()
	err := s.withMigrationLock(ctx, func() error {
		p, err := s.provider(all)
		if err != nil {
			return err
		}
		err = retry(ctx, func() error {
			_, err := p.Down(ctx)
			return err
		})
		if errors.Is(err, goose.ErrNoNextVersion) {
			return ErrNotFound
		}
		return err
	})
	return fault("migrate down", err)
}

// Pending tells whether Migrate would change anything. It changes nothing itself.
func (s *Store) Pending(ctx context.Context) (bool, error) {
	pending, err := s.pending(ctx, migrations.FS)
	return pending, fault("look for migrations", err)
}

func (s *Store) pending(ctx context.Context, all fs.FS) (bool, error) {
	known, err := s.status(ctx, all)
	return slices.ContainsFunc(known, func(m Migration) bool { return !m.Applied }), err
}

// MigrationStatus lists all migrations by number. It changes nothing.
func (s *Store) MigrationStatus(ctx context.Context) ([]Migration, error) {
	known, err := s.status(ctx, migrations.FS)
	return known, fault("list migrations", err)
}

func (s *Store) status(ctx context.Context, all fs.FS) ([]Migration, error) {
	known, err := listMigrations(all, string(s.engine))
	if err != nil {
		return nil, err
	}
	applied, err := s.appliedMigrations(ctx)
	if err != nil {
		return nil, err
	}
	for i := range known {
		known[i].Applied = slices.Contains(applied, known[i].Version)
	}
	var newest, last int64
	if n := len(known); n > 0 {
		newest = known[n-1].Version
	}
	if len(applied) > 0 {
		last = slices.Max(applied)
	}
	if last > newest {
		return nil, fmt.Errorf("%w: it is at %d, this release knows %d; start a release at least as new as the one that migrated it, or restore the backup taken before",
			ErrNewerSchema, last, newest)
	}
	return known, nil
}

// appliedMigrations reads goose's table, which is not there before the first
// migration. It goes around the prepared statements: those would outlive the
// schema that they were planned for.
func (s *Store) appliedMigrations(ctx context.Context) ([]int64, error) {
	ctx, done := limit(ctx, false)
	defer done()
	there := `SELECT count(*) FROM sqlite_master WHERE name = 'goose_db_version'`
	if s.engine == Postgres {
		there = `SELECT count(to_regclass('goose_db_version'))`
	}
	var n int
	if err := s.aside.QueryRowxContext(ctx, there).Scan(&n); err != nil || n == 0 {
		return nil, err
	}
	var versions []int64
	rows, err := s.aside.QueryxContext(ctx, `SELECT version_id FROM goose_db_version WHERE version_id > 0`)
	err = scanAll(rows, err, func(r *sqlx.Rows) error {
		var v int64
		err := r.Scan(&v)
		versions = append(versions, v)
		return err
	})
	return versions, err
}

func (s *Store) provider(all fs.FS) (*goose.Provider, error) {
	dir, err := fs.Sub(all, string(s.engine))
	if err != nil {
		return nil, err
	}
	dialect := goose.DialectSQLite3
	if s.engine == Postgres {
		dialect = goose.DialectPostgres
	}
	return goose.NewProvider(dialect, s.writer.DB, dir, goose.WithDisableGlobalRegistry(true))
}

// migrationLock names the advisory lock; any number that others do not use.
const migrationLock = 0x53616c6c79

// withMigrationLock runs fn while no other process migrates this database. The
// lock goes with its holder's connection, so a killed node leaves none behind.
//
// On PostgreSQL it is an advisory lock of a transaction rather than of a session:
// behind a pooler a session's lock can end up with somebody else. On SQLite it is
// the exclusive lock of an empty database beside the file, because the file's own
// lock is what the migration needs (docs/decisions/0003-migration-lock.md).
func (s *Store) withMigrationLock(ctx context.Context, fn func() error) error {
	if s.engine == SQLite {
		return s.withLockFile(ctx, fn)
	}
	locked, err := s.writer.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = locked.Rollback() }() // it changed nothing; this gives the lock back
	if _, err := locked.ExecContext(ctx, `SET LOCAL idle_in_transaction_session_timeout = 0`); err != nil {
		return err
	}
	if _, err := locked.ExecContext(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(migrationLock)); err != nil {
		return err
	}
	return fn()
}

// withLockFile polls rather than let SQLite wait, so that ctx can end it.
func (s *Store) withLockFile(ctx context.Context, fn func() error) error {
	path := s.path + ".migrate"
	beside := sql.OpenDB(dsnConnector{file: path, dsn: "file:" + (&url.URL{Path: path}).EscapedPath(), driver: &sqlite.Driver{}})
	defer beside.Close()
	conn, err := beside.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close() // the open transaction ends with it
	for {
		_, err := conn.ExecContext(ctx, `BEGIN EXCLUSIVE`)
		if err == nil {
			return fn()
		}
		var held *sqlite.Error
		if !errors.As(err, &held) || held.Code()&0xff != sqlite3.SQLITE_BUSY {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the lock %s: %w", path, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

var migrationName = regexp.MustCompile(`^[a-z0-9]+(_[a-z0-9]+)*$`)

// CreateMigration writes two empty migrations with the next number, one for each
// engine, into dir/postgres and dir/sqlite and returns their paths. name is lower-case
// words joined by underscores.
func CreateMigration(dir, name string) ([]string, error) {
	if !migrationName.MatchString(name) {
		return nil, fmt.Errorf("a migration's name is lower-case words joined by underscores, such as add_invitations, not %q", name)
	}
	engines := []Engine{Postgres, SQLite}
	var next int64 = 1
	for _, e := range engines {
		known, err := listMigrations(os.DirFS(dir), string(e))
		if err != nil {
			return nil, err
		}
		if n := len(known); n > 0 {
			next = max(next, known[n-1].Version+1)
		}
	}
	var paths []string
	for _, e := range engines {
		path := filepath.Join(dir, string(e), fmt.Sprintf("%05d_%s.sql", next, name))
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if err != nil {
			return paths, err
		}
		_, err = f.WriteString("-- +goose Up\n\n-- +goose Down\n")
		if err := errors.Join(err, f.Close()); err != nil {
			return paths, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// listMigrations returns the migrations in a folder by number.
func listMigrations(all fs.FS, dir string) ([]Migration, error) {
	files, err := fs.ReadDir(all, dir)
	if err != nil {
		return nil, err
	}
	var known []Migration
	for _, f := range files {
		number, name, ok := strings.Cut(strings.TrimSuffix(f.Name(), ".sql"), "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if !ok || err != nil || filepath.Ext(f.Name()) != ".sql" {
			return nil, fmt.Errorf("%s/%s is not NUMBER_name.sql", dir, f.Name())
		}
		known = append(known, Migration{Version: version, Name: name})
	}
	slices.SortFunc(known, func(a, b Migration) int { return int(a.Version - b.Version) })
	return known, nil
}
