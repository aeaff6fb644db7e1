package storage

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"
)

// Config says what a Store opens.
type Config struct {
	// URL is sqlite://PATH or postgres://….
	URL string
	// Conns bounds the pool; 0 chooses by the number of processors.
	Conns int
	// Now is the node's clock; nil is the system's.
	Now func() time.Time
	// DatabaseNow is the database's clock to a test that moves Now; nil asks the database.
	DatabaseNow func() time.Time
	// Wrap, if set, goes around every connection, for counting round trips.
	Wrap func(driver.Connector) driver.Connector
}

// Store is the database. It is safe for concurrent use.
type Store struct {
	Keys    Keys
	Logos   Logos
	Outbox  Outbox
	Factors Factors

	engine Engine
	writer *sqlx.DB
	reader *sqlx.DB // the writer again on PostgreSQL
	aside  *sqlx.DB // for looking at the database; the reader again on SQLite
	path   string   // of the SQLite file
	now    func() time.Time

	databaseNow func() time.Time // nil outside tests

	mu    sync.RWMutex
	stmts map[prepared]*sqlx.Stmt

	named sync.Map // a query with names → *namedQuery
}

type prepared struct {
	db    *sqlx.DB
	query string
}

// Open opens the database without touching its schema; see Migrate.
func Open(ctx context.Context, c Config) (*Store, error) {
	engine, w, r, err := connectors(c.URL)
	if err != nil {
		return nil, err
	}
	wrap := c.Wrap
	if wrap == nil {
		wrap = func(c driver.Connector) driver.Connector { return c }
	}
	s := newStore(c, engine)
	if d, ok := w.(dsnConnector); ok {
		s.path = d.file
	}
	conns := c.Conns
	if conns == 0 {
		conns = max(8, 4*runtime.NumCPU())
	}
	// The driver names choose sqlx's placeholder style, nothing else.
	if engine == Postgres {
		s.writer = sqlx.NewDb(sql.OpenDB(wrap(w)), "postgres")
		s.reader = s.writer
		s.aside = sqlx.NewDb(sql.OpenDB(wrap(w)), "postgres")
		s.aside.SetMaxOpenConns(asideConns)
		s.aside.SetMaxIdleConns(asideConns)
	} else {
		s.writer = sqlx.NewDb(sql.OpenDB(wrap(w)), "sqlite3")
		s.reader = sqlx.NewDb(sql.OpenDB(wrap(r)), "sqlite3")
		s.aside = s.reader
	}
	size(engine, s.writer.DB, s.reader.DB, conns)
	if p, ok := w.(*pgConnector); ok {
		err = p.findMode(ctx)
	}
	if err == nil {
		err = s.writer.PingContext(ctx)
	}
	if err != nil {
		_ = s.Close()
		return nil, fault("open the database", err)
	}
	return s, nil
}

// newStore returns a Store without connections.
func newStore(c Config, engine Engine) *Store {
	s := &Store{engine: engine, now: c.Now, databaseNow: c.DatabaseNow, stmts: map[prepared]*sqlx.Stmt{}}
	if s.now == nil {
		s.now = time.Now
	}
	s.Keys, s.Logos, s.Outbox, s.Factors = Keys{s}, Logos{s}, Outbox{s}, Factors{s}
	return s
}

// Engine tells which engine this is.
func (s *Store) Engine() Engine { return s.engine }

// Close closes all connections.
func (s *Store) Close() error {
	if s.reader == s.writer {
		return errors.Join(s.aside.Close(), s.writer.Close())
	}
	return errors.Join(s.reader.Close(), s.writer.Close())
}

// Ping asks the database for its clock and returns it; ErrUnavailable if there is no answer.
func (s *Store) Ping(ctx context.Context) (time.Time, error) {
	q := `SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)`
	if s.engine == SQLite {
		q = `SELECT CAST(unixepoch('subsec') * 1000000 AS INTEGER)`
	}
	ctx, done := limit(ctx, false)
	defer done()
	var t time.Time
	err := s.aside.QueryRowxContext(ctx, q).Scan(instant{&t})
	return t, fault("ping", err)
}

// clock is the node's time as the database keeps it.
func (s *Store) clock() time.Time { return s.now().UTC().Truncate(time.Microsecond) }

// stmt prepares query once for each pool; database/sql prepares it again on
// connections that have not seen it.
func (s *Store) stmt(ctx context.Context, db *sqlx.DB, query string) (*sqlx.Stmt, error) {
	k := prepared{db, query}
	s.mu.RLock()
	st := s.stmts[k]
	s.mu.RUnlock()
	if st != nil {
		return st, nil
	}
	st, err := db.PreparexContext(ctx, db.Rebind(query))
	if err != nil {
		return nil, err
	}
	return s.keep(k, st), nil
}

// keep is the statement that all calls use: st, unless another came first.
func (s *Store) keep(k prepared, st *sqlx.Stmt) *sqlx.Stmt {
	s.mu.Lock()
	defer s.mu.Unlock()
	if won := s.stmts[k]; won != nil {
		// Closing waits for the connection that prepared it, on which another call may wait
		// for a row by now, whose owner waits for mu, or is the caller of this.
		go func() { _ = st.Close() }()
		return won
	}
	s.stmts[k] = st
	return st
}

// maxTries is how often a transaction or statement runs that loses to others.
const maxTries = 5

// retry runs do again when PostgreSQL says that it lost to another transaction: a
// statement of its own can be the victim of a deadlock too. do may run more than once.
// While another process writes to the SQLite file, it runs do until ctx leaves no time.
func retry(ctx context.Context, do func() error) error {
	for try := 1; ; try++ {
		err := do()
		if err == nil {
			return nil
		}
		if busy(err) {
			if end, bounded := ctx.Deadline(); bounded && time.Until(end) > busyWait {
				continue
			}
			return err
		}
		if try == maxTries || !retryable(err) {
			return err
		}
	}
}

// result is a row or the error that kept it away.
type result struct {
	row   *sqlx.Row
	err   error
	ctx   context.Context
	again func() *sqlx.Row // nil where a retry is not the statement's own business
	done  func()           // ends the call; nil in a transaction
}

func (r result) Scan(dest ...any) error {
	if r.done != nil {
		defer r.done()
	}
	if r.err != nil {
		return r.err
	}
	dest = targets(dest)
	if r.again == nil {
		return r.row.Scan(dest...)
	}
	row := r.row
	return retry(r.ctx, func() error {
		if row == nil {
			row = r.again()
		}
		err := row.Scan(dest...)
		row = nil
		return err
	})
}

// row reads one row from the reader.
func (s *Store) row(ctx context.Context, query string, args ...any) result {
	ctx, done := limit(ctx, false)
	st, err := s.stmt(ctx, s.reader, query)
	if err != nil {
		return result{err: err, done: done}
	}
	return result{row: st.QueryRowxContext(ctx, args...), done: done}
}

// rowW reads one row from the writer: for statements that change something and answer.
func (s *Store) rowW(ctx context.Context, query string, args ...any) result {
	ctx, done := limit(ctx, true)
	st, err := s.stmt(ctx, s.writer, query)
	if err != nil {
		return result{err: err, done: done}
	}
	run := func() *sqlx.Row { return st.QueryRowxContext(ctx, args...) }
	return result{row: run(), ctx: ctx, again: run, done: done}
}

// rows calls each for every row that the reader finds; each scans it.
func (s *Store) rows(ctx context.Context, each func(scanner) error, query string, args ...any) error {
	ctx, done := limit(ctx, false)
	defer done()
	if callOf(ctx).long && s.engine == Postgres {
		return s.inTx(ctx, func(t *tx) error { return t.rows(ctx, each, query, args...) })
	}
	st, err := s.stmt(ctx, s.reader, query)
	if err != nil {
		return err
	}
	rows, err := st.QueryxContext(ctx, args...)
	return scanAll(rows, err, converting(each))
}

func scanAll(rows *sqlx.Rows, err error, each func(*sqlx.Rows) error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// exec changes something and returns how many rows it touched.
func (s *Store) exec(ctx context.Context, query string, args ...any) (n int64, err error) {
	ctx, done := limit(ctx, true)
	defer done()
	if callOf(ctx).long && s.engine == Postgres {
		err = s.inTx(ctx, func(t *tx) error {
			n, err = t.exec(ctx, query, args...)
			return err
		})
		return n, err
	}
	st, err := s.stmt(ctx, s.writer, query)
	if err != nil {
		return 0, err
	}
	var res sql.Result
	err = retry(ctx, func() error {
		res, err = st.ExecContext(ctx, args...)
		return err
	})
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}
