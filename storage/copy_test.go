package storage

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fillAll puts rows with every kind of value in every table: the schema says which there are, so none is forgotten.
func fillAll(t *testing.T, s *Store) {
	t.Helper()
	from, err := s.writer.BeginTxx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Rollback()
	lite := open(t, sqliteURL(t))
	if err := lite.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	shape, err := lite.writer.BeginTxx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer shape.Rollback()
	pg, err := open(t, postgresURL(t)).writer.BeginTxx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer pg.Rollback()
	tables, err := copyTables(t.Context(), SQLite, shape, pg)
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		if table.name == "versions" {
			continue
		}
		var optional []string
		if err := shape.Select(&optional, `SELECT name FROM pragma_table_info(?) WHERE "notnull" = 0 AND pk = 0`, table.name); err != nil {
			t.Fatal(err)
		}
		for n := range 250 {
			values := make([]any, len(table.columns))
			for c, kind := range table.kinds {
				if n%3 == 0 && slices.Contains(optional, table.columns[c]) {
					continue
				}
				values[c] = sample(kind, n)
			}
			q := `INSERT INTO ` + table.name + ` (` + strings.Join(table.columns, ", ") + `) VALUES (` + strings.TrimSuffix(strings.Repeat("?, ", len(values)), ", ") + `)`
			if _, err := from.Exec(from.Rebind(q), values...); err != nil {
				t.Fatalf("%s: %v", table.name, err)
			}
		}
	}
	if err := from.Commit(); err != nil {
		t.Fatal(err)
	}
}

// sample is the value of row n, the same for each column of a type, so that references lead somewhere.
func sample(kind string, n int) any {
	switch kind {
	case "uuid":
		return fmt.Sprintf("019a0000-0000-7000-8000-%012x", n)
	case "bytea":
		return []byte{0, 0xff, '\'', byte(n), byte(n >> 8)}
	case "boolean":
		return n%2 == 0
	case "integer":
		return int64(n)
	case "text":
		return fmt.Sprintf("Ünï'cödé \" \\ \n %d 🗝", n)
	}
	return int64(n) * 1_000_000_007
}

// Everything is there after two ways, by the hashes of every table.
func TestACopyOfACopyIsTheSame(t *testing.T) {
	first := open(t, sqliteURL(t))
	if err := first.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	fillAll(t, first)
	second, third := open(t, createPostgres(t, "template0")), open(t, sqliteURL(t))
	seen := map[string]bool{}
	there, err := first.CopyTo(t.Context(), second, func(table string, done, of int64) { seen[table] = done == of })
	if err != nil {
		t.Fatal(err)
	}
	back, err := second.CopyTo(t.Context(), third, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(there, back); diff != "" {
		t.Errorf("the copy differs (-want +got):\n%s", diff)
	}
	for _, c := range there {
		if want := map[bool]int64{true: 2, false: 250}[c.Table == "versions"]; c.Rows != want || !seen[c.Table] {
			t.Errorf("%s: %d rows, want %d; told of its end: %t", c.Table, c.Rows, want, seen[c.Table])
		}
	}
}

func TestACopyIsRefusedWhereItWouldMixOrLose(t *testing.T) {
	lite := open(t, sqliteURL(t))
	if err := lite.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	person(t, lite, "bob@acme-corp.com")
	for name, c := range map[string]struct {
		from, to func(t *testing.T) *Store
		want     string
	}{
		"a target with one person": {func(*testing.T) *Store { return lite }, func(t *testing.T) *Store {
			s := open(t, postgresURL(t))
			person(t, s, "alice@acme-corp.com")
			return s
		}, "not empty"},
		"a target with a lease only": {func(*testing.T) *Store { return lite }, func(t *testing.T) *Store {
			s := open(t, postgresURL(t))
			raw(t, s, `INSERT INTO leases (name, holder, fence, expires_at) VALUES ('sweep', 'h', 1, 1)`)
			return s
		}, "not empty"},
		"a target of a newer release": {func(*testing.T) *Store { return lite }, func(t *testing.T) *Store {
			s := open(t, postgresURL(t))
			raw(t, s, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)`)
			return s
		}, "newer than this program"},
		"a source without a schema": {func(t *testing.T) *Store { return open(t, sqliteURL(t)) },
			func(t *testing.T) *Store { return open(t, postgresURL(t)) }, "lacks migrations"},
		"the same engine": {func(*testing.T) *Store { return lite }, func(t *testing.T) *Store { return open(t, sqliteURL(t)) }, "own tools"},
		"a table that the target lacks": {func(t *testing.T) *Store {
			s := open(t, sqliteURL(t))
			if err := s.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			raw(t, s, `CREATE TABLE notes (id TEXT PRIMARY KEY)`)
			return s
		}, func(t *testing.T) *Store { return open(t, postgresURL(t)) }, "different tables"},
	} {
		t.Run(name, func(t *testing.T) {
			to := c.to(t)
			if _, err := c.from(t).CopyTo(t.Context(), to, nil); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

// A copy that fails half-way leaves an empty database, into which it can be done again.
func TestACopyThatFailsLeavesNothing(t *testing.T) {
	lite, pg := open(t, sqliteURL(t)), open(t, postgresURL(t))
	if err := lite.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	fillAll(t, lite)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := lite.CopyTo(ctx, pg, func(table string, _, _ int64) {
		if table == "sessions" {
			cancel()
		}
	})
	if err == nil {
		t.Fatal("a copy that was ended says that it is done")
	}
	raw(t, lite, `UPDATE users SET profile = ? WHERE email LIKE '% 7 %'`, "\x00 which PostgreSQL cannot store")
	if _, err := lite.CopyTo(t.Context(), pg, nil); err == nil {
		t.Error("a value that PostgreSQL cannot store was copied")
	}
	raw(t, lite, `UPDATE users SET profile = '{}'`)
	if n := count(t, pg, "users"); n != 0 {
		t.Errorf("%d people are left in the target", n)
	}
	if _, err := lite.CopyTo(t.Context(), pg, nil); err != nil || count(t, pg, "users") != 250 {
		t.Errorf("once more: %v", err)
	}
}

// A copy may take longer than a request, statement by statement and as a whole, whichever side PostgreSQL is.
func TestACopyOutlastsTheLimitsOfRequests(t *testing.T) {
	lite, pg, back := open(t, sqliteURL(t)), open(t, postgresURL(t)), open(t, sqliteURL(t))
	for _, s := range []*Store{lite, pg} {
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	person(t, lite, "bob@acme-corp.com")
	wait := `pg_sleep(` + milliseconds(callLimit) + ` / 1000.0)`
	raw(t, pg, `CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM `+wait+`; RETURN NEW; END'`)
	raw(t, pg, `CREATE TRIGGER wait AFTER INSERT ON users FOR EACH STATEMENT EXECUTE FUNCTION wait()`)
	if _, err := lite.CopyTo(t.Context(), pg, nil); err != nil {
		t.Errorf("into PostgreSQL: %v", err)
	}
	_, err := pg.CopyTo(t.Context(), back, func(table string, _, _ int64) {
		if table != "users" {
			return
		}
		if _, err := pg.exec(WithLongCalls(t.Context(), time.Minute), `SELECT `+wait); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Errorf("out of PostgreSQL: %v", err)
	}
}

// A server that goes on writing would lose what it writes after the copy.
func TestADatabaseInUseIsRecognised(t *testing.T) {
	for _, url := range []string{sqliteURL(t), postgresURL(t)} {
		s, err := Open(t.Context(), Config{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if used, err := InUse(t.Context(), url); err != nil || !used {
			t.Errorf("%s, open: in use %t, %v", s.engine, used, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if used, err := InUse(t.Context(), url); err != nil || used {
			t.Errorf("%s, closed: in use %t, %v", s.engine, used, err)
		}
	}
}
