package storage

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"modernc.org/sqlite"
)

// Engine names a database engine. Every difference between the two that is not
// a second SQL literal beside the first is in this file.
type Engine string

const (
	SQLite   Engine = "sqlite"
	Postgres Engine = "postgres"
)

// connectors returns how to open the writer and the reader of url. PostgreSQL
// has one pool for both.
func connectors(rawURL string) (engine Engine, writer, reader driver.Connector, err error) {
	scheme, rest, ok := strings.Cut(rawURL, "://")
	if !ok {
		return "", nil, nil, fmt.Errorf("a database URL is sqlite://PATH or postgres://…, this one has no scheme")
	}
	switch scheme {
	case "postgres", "postgresql":
		c, err := newPgConnector(rawURL)
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // u shows the URL, which may have a password
		}
		if err != nil {
			return "", nil, nil, fmt.Errorf("the PostgreSQL URL cannot be read: %w", err)
		}
		return Postgres, c, nil, nil
	case "sqlite":
		path, err := filepath.Abs(rest)
		if err != nil {
			return "", nil, nil, err
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return "", nil, nil, fmt.Errorf("the folder of the SQLite file: %w", err)
		}
		// Created here so that the mode is ours: the file holds people's data.
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return "", nil, nil, fmt.Errorf("the SQLite file: %w", err)
		}
		if err := f.Close(); err != nil {
			return "", nil, nil, err
		}
		return SQLite, sqliteConnector(path, false), sqliteConnector(path, true), nil
	}
	return "", nil, nil, fmt.Errorf("a database URL is sqlite://PATH or postgres://…, not %s://", scheme)
}

// sqliteConnector opens path with write-ahead logging and synchronous=FULL: what
// was acknowledged survives a power cut. Transactions of the writer take the
// write lock when they begin, so none fails half-way for want of it. They wait for
// it in small steps (busyWait), and retry looks in between whether there is time left.
func sqliteConnector(path string, readOnly bool) driver.Connector {
	q := url.Values{"_pragma": {
		"busy_timeout(" + milliseconds(busyWait) + ")", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)",
		"temp_store(MEMORY)", "cache_size(-8000)", "mmap_size(134217728)",
	}}
	if readOnly {
		q["_pragma"] = append(q["_pragma"], "query_only(1)")
	} else {
		q.Set("_txlock", "immediate")
	}
	return dsnConnector{file: path, dsn: "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode(), driver: &sqlite.Driver{}}
}

// dsnConnector opens a data source name with a driver that has no connector of its own.
type dsnConnector struct {
	file   string
	dsn    string
	driver driver.Driver
}

func (c dsnConnector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }
func (c dsnConnector) Driver() driver.Driver                        { return c.driver }

// size sets the pools: as many idle connections as open ones, so that none is
// opened anew under load. SQLite has one writer by nature.
func size(engine Engine, writer, reader *sql.DB, conns int) {
	if engine == SQLite {
		writer.SetMaxOpenConns(1)
		reader.SetMaxOpenConns(conns)
		reader.SetMaxIdleConns(conns)
		return
	}
	conns = max(2, conns) // Migrate holds its lock on one and works on another
	writer.SetMaxOpenConns(conns)
	writer.SetMaxIdleConns(conns)
}

// membershipsJSON is a scalar subquery: the live organizations of users row u as
// a JSON array of membershipRow, ordered by slug; NULL or empty if there are none.
func (e Engine) membershipsJSON() string {
	const rows = ` FROM memberships m2 JOIN organizations o2 ON o2.id = m2.organization_id WHERE m2.user_id = u.id AND o2.deleted_at IS NULL)`
	const columns = `'id', o2.id, 'slug', o2.slug, 'name', o2.name, 'role', m2.role, 'since', m2.created_at, 'settings', o2.settings`
	if e == Postgres {
		return `(SELECT CAST(json_agg(json_build_object(` + columns + `) ORDER BY o2.slug) AS text)` + rows
	}
	return `(SELECT json_group_array(json_object(` + columns + `) ORDER BY o2.slug)` + rows
}

// forEngines builds a statement that is used often once for each engine.
func forEngines(build func(Engine) string) map[Engine]string {
	return map[Engine]string{SQLite: build(SQLite), Postgres: build(Postgres)}
}

// casts are placeholders for a SELECT list. PostgreSQL cannot infer their types
// there; SQLite has no such types and needs none.
func (e Engine) casts(types ...string) string {
	var b strings.Builder
	for i, t := range types {
		if i > 0 {
			b.WriteString(", ")
		}
		if e == Postgres {
			b.WriteString("CAST(? AS " + t + ")")
		} else {
			b.WriteByte('?')
		}
	}
	return b.String()
}

// forShare keeps the rows a SELECT read as they are until the transaction ends.
// SQLite's writer is alone anyway.
func (e Engine) forShare() string {
	if e == Postgres {
		return ` FOR SHARE`
	}
	return ""
}

// forUpdate is forShare for one who will change them.
func (e Engine) forUpdate() string {
	if e == Postgres {
		return ` FOR UPDATE`
	}
	return ""
}

// snapshot begins a transaction that sees the database as it is when it first reads, whatever others change meanwhile.
// Each of SQLite's does.
func (e Engine) snapshot() *sql.TxOptions {
	if e == Postgres {
		return &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	}
	return nil
}

// greatest is the function that returns the greatest of its arguments.
func (e Engine) greatest() string {
	if e == Postgres {
		return "GREATEST"
	}
	return "MAX"
}
