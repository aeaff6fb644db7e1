package storage

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/google/uuid"
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

// executor is the Store, where a statement is a transaction of its own, or a tx.
type executor interface {
	exec(ctx context.Context, query string, args ...any) (int64, error)
}

// execOr runs a statement and returns unchanged, such as ErrSpent, if it touched no row: the guard in its condition did
// not hold.
func execOr(ctx context.Context, x executor, unchanged error, query string, args ...any) error {
	n, err := x.exec(ctx, query, args...)
	if err == nil && n == 0 {
		err = unchanged
	}
	return err
}

// statement is a query with its arguments.
type statement struct {
	query string
	args  []any
}

// tx is a transaction on the writer.
type tx struct {
	s      *Store
	tx     *sqlx.Tx
	missed []string // statements to prepare once the connection is free again

	authorized map[uuid.UUID]Authority // by actor; see authorize
}

func (t *tx) exec(ctx context.Context, query string, args ...any) (int64, error) {
	st, err := t.stmt(ctx, query)
	if err != nil {
		return 0, err
	}
	res, err := st.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (t *tx) row(ctx context.Context, query string, args ...any) result {
	st, err := t.stmt(ctx, query)
	if err != nil {
		return result{err: err}
	}
	return result{row: st.QueryRowxContext(ctx, args...)}
}

// do is exec where the number of rows does not matter.
func (t *tx) do(ctx context.Context, query string, args ...any) error {
	_, err := t.exec(ctx, query, args...)
	return err
}

// doWith runs a guarded statement as execOr does, and writes the event of what it changed.
func (t *tx) doWith(ctx context.Context, e *Event, unchanged error, query string, args ...any) error {
	if err := execOr(ctx, t, unchanged, query, args...); err != nil {
		return err
	}
	return t.event(ctx, e)
}

// require returns unmet if the condition that the query reads is false.
func (t *tx) require(ctx context.Context, unmet error, query string, args ...any) error {
	var met bool
	err := t.row(ctx, query, args...).Scan(&met)
	if err == nil && !met {
		err = unmet
	}
	return err
}

// execAll runs statements one after the other.
func (t *tx) execAll(ctx context.Context, all ...statement) error {
	for _, q := range all {
		if err := t.do(ctx, q.query, q.args...); err != nil {
			return err
		}
	}
	return nil
}

// execNamed is exec with named arguments (:name), for statements that have more than a few.
func (t *tx) execNamed(ctx context.Context, query string, args map[string]any) (int64, error) {
	query, values, err := t.s.bindNamed(query, args)
	if err != nil {
		return 0, err
	}
	return t.exec(ctx, query, values...)
}

// rowNamed is row with named arguments.
func (t *tx) rowNamed(ctx context.Context, query string, args map[string]any) result {
	query, values, err := t.s.bindNamed(query, args)
	if err != nil {
		return result{err: err}
	}
	return t.row(ctx, query, values...)
}

// namedQuery is a query with a ? in the place of each name, and the names in that order.
type namedQuery struct {
	query string
	names []any
}

// bindNamed returns the query with ? for its names (:name), and their values in that order. Each query is parsed once:
// sqlx takes longer to parse the statement of a sign-in than everything else that it does for it.
func (s *Store) bindNamed(query string, args map[string]any) (string, []any, error) {
	parsed, ok := s.named.Load(query)
	if !ok {
		// Bound to their own names, the values that sqlx returns are the names in their order.
		itself := make(map[string]any, len(args))
		for name := range args {
			itself[name] = name
		}
		bound, names, err := sqlx.Named(query, itself)
		if err != nil {
			return "", nil, err
		}
		parsed, _ = s.named.LoadOrStore(query, &namedQuery{bound, names})
	}
	q := parsed.(*namedQuery)
	values := make([]any, len(q.names))
	for n, name := range q.names {
		value, ok := args[name.(string)]
		if !ok {
			return "", nil, fmt.Errorf("no argument for :%v in %.80q", name, query)
		}
		values[n] = value
	}
	return q.query, values, nil
}

func (t *tx) rows(ctx context.Context, each func(scanner) error, query string, args ...any) error {
	st, err := t.stmt(ctx, query)
	if err != nil {
		return err
	}
	rows, err := st.QueryxContext(ctx, args...)
	return scanAll(rows, err, converting(each))
}

// stmt is the prepared query inside t. What was not prepared before is prepared on
// t's own connection, and for everybody after it: preparing it for everybody now
// takes another connection, and transactions that hold all of them would wait for
// one another for ever.
func (t *tx) stmt(ctx context.Context, query string) (*sqlx.Stmt, error) {
	t.s.mu.RLock()
	st := t.s.stmts[prepared{t.s.writer, query}]
	t.s.mu.RUnlock()
	if st != nil {
		return t.tx.StmtxContext(ctx, st), nil
	}
	t.missed = append(t.missed, query)
	return t.tx.PreparexContext(ctx, t.tx.Rebind(query))
}

// inTx runs fn in one transaction and commits. It runs again when PostgreSQL
// says that the transaction lost to another; fn may run more than once.
func (s *Store) inTx(ctx context.Context, fn func(*tx) error) error {
	within, done := limit(ctx, false)
	defer done()
	return retry(within, func() error {
		err := s.once(within, fn)
		if err != nil && within.Err() != nil && ctx.Err() == nil {
			// The statement that came too late says only that the transaction is gone.
			err = fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		return err
	})
}

// change is inTx for a method of the Store: an error names the operation.
func (s *Store) change(ctx context.Context, op string, fn func(*tx) error) error {
	return fault(op, s.inTx(ctx, fn))
}

// touch runs statements in one transaction, such as the times at which rows were last used.
func (s *Store) touch(ctx context.Context, op string, all []statement) error {
	return s.change(ctx, op, func(t *tx) error { return t.execAll(ctx, all...) })
}

// touchRow notes when a row was last used, unless a later use is noted already.
func touchRow(table string, id any, at time.Time) statement {
	return statement{`UPDATE ` + table + ` SET last_used_at = ? WHERE id = ? AND (last_used_at IS NULL OR last_used_at < ?)`, []any{usec(at), id, usec(at)}}
}

func (s *Store) once(ctx context.Context, fn func(*tx) error) error {
	begun, err := s.writer.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	t := &tx{s: s, tx: begun}
	finished := false
	defer func() {
		if !finished { // fn panicked: the connection must not be lost with it
			_ = begun.Rollback()
		}
	}()
	err = fn(t)
	finished = true
	if err != nil {
		if rbErr := begun.Rollback(); rbErr != nil && !errors.Is(rbErr, sql.ErrTxDone) {
			return fmt.Errorf("%w (and the rollback: %v)", err, rbErr)
		}
		return err
	}
	if err := begun.Commit(); err != nil {
		return err
	}
	for _, q := range t.missed {
		_, _ = s.stmt(ctx, s.writer, q) // the next transaction tries again
	}
	return nil
}
