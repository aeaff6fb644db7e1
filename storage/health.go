package storage

import (
	"context"
	"errors"
	"strings"

	"github.com/lib/pq"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// asideConns is how many connections to PostgreSQL a node has for looking at the
// database besides those of its pool. A look that queued behind requests would say
// that the database is gone when only a table is locked.
const asideConns = 2

// TryWrite writes what is gone a moment later, and takes new space on the
// database's disk for it. Rows that change within the space of dead ones would
// succeed on a full disk for a while. Trouble says what its error means.
func (s *Store) TryWrite(ctx context.Context) error {
	ctx, done := limit(ctx, false)
	defer done()
	const write = `INSERT INTO leases (name, holder, fence, expires_at) VALUES ('write-test', ?, 1, 0)
		ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, fence = leases.fence + 1`
	if s.engine == SQLite {
		err := s.inTx(ctx, func(t *tx) error {
			return t.do(ctx, write, strings.Repeat("x", 64<<10))
		})
		if err == nil {
			_, err = s.exec(ctx, `DELETE FROM leases WHERE name = 'write-test'`)
		}
		return fault("try to write", err)
	}
	// By itself: the driver begins transactions as READ WRITE, whatever the session's default is.
	if _, err := s.aside.ExecContext(ctx, s.aside.Rebind(write), ""); err != nil {
		return fault("try to write", err)
	}
	begun, err := s.aside.BeginTxx(ctx, nil)
	if err != nil {
		return fault("try to write", err)
	}
	// 400 kB that do not fit into 64 kB of memory go to a file of their own.
	_, err = begun.ExecContext(ctx, `SET LOCAL work_mem = '64kB'; SELECT count(*) FROM generate_series(1, 20000)`)
	return fault("try to write", errors.Join(err, begun.Rollback()))
}

// Trouble says in a few words why an error of the database passes only when an operator acts.
func Trouble(err error) string {
	var pe *pq.Error
	var se *sqlite.Error
	switch {
	case errors.As(err, &pe):
		switch pe.Code {
		case "25006":
			return "the database is read-only"
		case "53100":
			return "the database's disk is full"
		case "55P03", "57014":
			return "another transaction holds a lock"
		}
	case errors.As(err, &se):
		switch se.Code() & 0xff {
		case sqlite3.SQLITE_READONLY:
			return "the database file is read-only"
		case sqlite3.SQLITE_FULL:
			return "the disk of the database file is full"
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
			return "another process holds the lock of the database file"
		}
	}
	return "a write failed"
}
