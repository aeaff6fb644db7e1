package storage

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/lib/pq"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

var (
	// ErrNotFound: no such live row. It never tells whether there once was one.
	ErrNotFound = errors.New("not found")
	// ErrExists: a row with this unique value is there already.
	ErrExists = errors.New("already exists")
	// ErrSpent: a thing of single use was used, revoked or has expired.
	ErrSpent = errors.New("already spent")
	// ErrWithdrawn is an ErrSpent: what the write rests on was withdrawn since it was read.
	ErrWithdrawn = fmt.Errorf("%w: withdrawn meanwhile", ErrSpent)
	// ErrConflict: the row changed since it was read, or a rule over several rows would break.
	ErrConflict = errors.New("conflict")
	// ErrLastSuperadmin is an ErrConflict: without this user there is no administrator of
	// the installation.
	ErrLastSuperadmin = fmt.Errorf("%w: nobody else is superadmin; make somebody one first", ErrConflict)
	// ErrUnavailable: the database cannot be reached or cannot write now; trying again later may help.
	ErrUnavailable = errors.New("database unavailable")
)

// fault wraps err with the operation and, where the driver's error has a
// meaning of ours, with that meaning.
func fault(op string, err error) error {
	switch kind := classify(err); {
	case err == nil:
		return nil
	case kind != nil && !errors.Is(err, kind):
		return fmt.Errorf("%s: %w: %w", op, kind, err)
	default:
		return fmt.Errorf("%s: %w", op, err)
	}
}

func classify(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	var pe *pq.Error
	if errors.As(err, &pe) {
		if pe.Fatal() { // it ended the connection, or did not let it begin: closed for connections, gone, another password
			return ErrUnavailable
		}
		return classifyPostgres(string(pe.Code))
	}
	var se *sqlite.Error
	if errors.As(err, &se) {
		return classifySQLite(se.Code())
	}
	var ne net.Error
	if errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || (errors.As(err, &ne) && !errors.Is(err, context.Canceled)) {
		return ErrUnavailable
	}
	return nil
}

// classifyPostgres maps SQLSTATE codes (PostgreSQL, Appendix A).
func classifyPostgres(code string) error {
	switch {
	case code == "23505":
		return ErrExists
	case code == "23503":
		return ErrConflict
	case strings.HasPrefix(code, "08"), strings.HasPrefix(code, "53"), strings.HasPrefix(code, "57P"),
		code == "25006", code == "58030",
		code == "57014", code == "55P03", // the statement or lock timeout of our sessions
		code == "26000", code == "42P05": // a pooler changed its mode
		return ErrUnavailable
	}
	return nil
}

func classifySQLite(code int) error {
	switch code {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
		return ErrExists
	case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		return ErrConflict
	}
	switch code & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR,
		sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY:
		return ErrUnavailable
	}
	return nil
}

// busy reports that another process holds the lock of the SQLite file; nothing was written.
func busy(err error) bool {
	var se *sqlite.Error
	return errors.As(err, &se) && se.Code()&0xff == sqlite3.SQLITE_BUSY
}

// retryable reports a transaction that lost to another and may simply run again.
func retryable(err error) bool {
	var pe *pq.Error
	return errors.As(err, &pe) && (pe.Code == "40001" || pe.Code == "40P01")
}
