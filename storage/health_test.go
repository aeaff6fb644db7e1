package storage

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// A write that is tried tells a database that is locked, read-only or full from one
// that is well, and from one another.
func TestATriedWriteSaysWhatIsWrong(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		want := func(when, trouble string) {
			t.Helper()
			err := s.TryWrite(ctx)
			if (err == nil) != (trouble == "") || err != nil && (!errors.Is(err, ErrUnavailable) || !strings.Contains(Trouble(err), trouble)) {
				t.Errorf("%s: %v, want %q", when, err, trouble)
			}
		}
		do := func(statements ...string) {
			t.Helper()
			for _, q := range statements {
				if _, err := s.writer.ExecContext(ctx, q); err != nil {
					t.Fatal(err)
				}
			}
		}
		want("at first", "")
		if s.engine == SQLite {
			other := open(t, "sqlite://"+s.path)
			held, err := other.writer.BeginTxx(ctx, nil)
			if err != nil {
				t.Fatal(err)
			}
			want("locked", "lock")
			if err := held.Rollback(); err != nil {
				t.Fatal(err)
			}
			var pages string
			if err := s.writer.GetContext(ctx, &pages, `PRAGMA page_count`); err != nil {
				t.Fatal(err)
			}
			var limit string
			do(`CREATE TABLE filler (x BLOB)`)
			if err := s.writer.GetContext(ctx, &limit, `PRAGMA max_page_count = `+pages); err != nil {
				t.Fatal(err)
			}
			for err = nil; err == nil; {
				_, err = s.writer.ExecContext(ctx, `INSERT INTO filler VALUES (zeroblob(1000))`)
			}
			want("full", "full")
			do(`PRAGMA max_page_count = 1000000`)
			want("with space again", "")
			do(`PRAGMA query_only = 1`)
			want("read-only", "read-only")
			do(`PRAGMA query_only = 0`)
			want("at last", "")
			return
		}
		held, err := s.writer.BeginTxx(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := held.ExecContext(ctx, `LOCK TABLE leases IN ACCESS EXCLUSIVE MODE`); err != nil {
			t.Fatal(err)
		}
		want("locked", "lock")
		if err := held.Rollback(); err != nil {
			t.Fatal(err)
		}
		want("unlocked", "")
		var name string
		if err := s.writer.GetContext(ctx, &name, `SELECT current_database()`); err != nil {
			t.Fatal(err)
		}
		do(`ALTER DATABASE ` + name + ` SET default_transaction_read_only = on`)
		other := open(t, databaseURL(name))
		if err := other.TryWrite(ctx); err == nil || !strings.Contains(Trouble(err), "read-only") {
			t.Errorf("read-only: %v", err)
		}
		do(`ALTER DATABASE ` + name + ` RESET default_transaction_read_only`)
		want("at last", "")
	})
}

// The calls of a request add up: a database that is slow, rather than
// silent, does not hold a request longer than one that is silent.
func TestTheCallsOfARequestShareOneLimit(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		ctx := WithRequestLimit(t.Context())
		b := ctx.Value(budgetKey{}).(*budget)
		if _, err := s.Version(ctx, VersionKeys); err != nil {
			t.Fatal(err)
		}
		if left := time.Duration(b.left.Load()); left <= 0 || left >= requestLimit {
			t.Errorf("after a call %v are left of %v", left, requestLimit)
		}
		b.left.Store(0)
		for name, call := range map[string]func(context.Context) error{
			"a read":  func(ctx context.Context) error { _, err := s.Version(ctx, VersionKeys); return err },
			"a write": func(ctx context.Context) error { return s.Release(ctx, "nothing", "nobody") },
			"a transaction": func(ctx context.Context) error {
				return s.inTx(ctx, func(t *tx) error {
					_, err := t.bump(ctx, VersionKeys)
					return err
				})
			},
		} {
			if err := call(ctx); !errors.Is(fault("", err), ErrUnavailable) {
				t.Errorf("%s, with no time left: %v, want ErrUnavailable", name, err)
			}
			if err := call(WithLongCalls(ctx, time.Minute)); err != nil {
				t.Errorf("%s that may take long: %v", name, err)
			}
		}
	})
}

// A long call may take longer than the server's timeout for ordinary statements,
// which ends the others.
func TestLongCallsOutlastTheStatementTimeout(t *testing.T) {
	s, err := Open(t.Context(), Config{URL: postgresURL(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	sleep := `SELECT pg_sleep(` + milliseconds(statementLimit+time.Second) + ` / 1000.0)`
	if _, err := s.exec(t.Context(), sleep); !errors.Is(fault("", err), ErrUnavailable) {
		t.Errorf("an ordinary call: %v, want ErrUnavailable", err)
	}
	if _, err := s.exec(WithLongCalls(t.Context(), time.Minute), sleep); err != nil {
		t.Errorf("a long call: %v", err)
	}
	if err := s.inTx(t.Context(), func(tx *tx) error { _, err := tx.exec(t.Context(), sleep); return err }); !errors.Is(fault("", err), ErrUnavailable) {
		t.Errorf("a transaction: %v, want ErrUnavailable", err)
	}
}
