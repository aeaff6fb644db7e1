package harness

import (
	"context"
	"database/sql/driver"
	"sync"
	"sync/atomic"
)

// Counter counts what goes over the wire to the database: one round trip for
// each statement that is prepared or run, and for BEGIN, COMMIT and ROLLBACK.
// Reading the rest of a result and closing statements cost none.
type Counter struct {
	// Statements are what HTTP requests asked.
	Statements Statements

	trips atomic.Int64
	rows  atomic.Int64

	mu  sync.Mutex
	log []string
}

// Trips are the round trips since the last Reset, with what each was for.
func (c *Counter) Trips() (int64, []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.trips.Load(), append([]string(nil), c.log...)
}

// Rows are the rows that were read from results since the last Reset.
func (c *Counter) Rows() int64 { return c.rows.Load() }

// Reset begins to count anew.
func (c *Counter) Reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trips.Store(0)
	c.rows.Store(0)
	c.log = nil
}

func (c *Counter) run(ctx context.Context, query string) {
	c.Statements.record(ctx, query)
	c.trip(query)
}

func (c *Counter) trip(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trips.Add(1)
	c.log = append(c.log, what)
}

// Wrap is an app.Options.Wrap that counts with c.
func (c *Counter) Wrap(inner driver.Connector) driver.Connector { return &connector{inner, c} }

type connector struct {
	driver.Connector
	c *Counter
}

func (w *connector) Connect(ctx context.Context) (driver.Conn, error) {
	inner, err := w.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{inner, w.c}, nil
}

// conn passes everything on to a connection and counts. Both drivers implement
// all the optional interfaces that are passed on here.
type conn struct {
	driver.Conn
	c *Counter
}

func (w *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	w.c.trip("PREPARE " + query)
	inner, err := w.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return &stmt{inner, query, w.c}, nil
}

func (w *conn) Prepare(query string) (driver.Stmt, error) {
	return w.PrepareContext(context.Background(), query)
}

func (w *conn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	w.c.trip("BEGIN")
	inner, err := w.Conn.(driver.ConnBeginTx).BeginTx(ctx, o)
	if err != nil {
		return nil, err
	}
	return &transaction{inner, w.c}, nil
}

func (w *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	w.c.run(ctx, query)
	return w.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
}

func (w *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	w.c.run(ctx, query)
	return counted(w.c)(w.Conn.(driver.QueryerContext).QueryContext(ctx, query, args))
}

func (w *conn) Ping(ctx context.Context) error {
	if p, ok := w.Conn.(driver.Pinger); ok {
		return p.Ping(ctx)
	}
	return nil
}

func (w *conn) ResetSession(ctx context.Context) error {
	if r, ok := w.Conn.(driver.SessionResetter); ok {
		return r.ResetSession(ctx)
	}
	return nil
}

func (w *conn) IsValid() bool {
	v, ok := w.Conn.(driver.Validator)
	return !ok || v.IsValid()
}

func (w *conn) CheckNamedValue(v *driver.NamedValue) error {
	if c, ok := w.Conn.(driver.NamedValueChecker); ok {
		return c.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

type stmt struct {
	driver.Stmt
	query string
	c     *Counter
}

func (s *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	s.c.run(ctx, s.query)
	return s.Stmt.(driver.StmtExecContext).ExecContext(ctx, args)
}

func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	s.c.run(ctx, s.query)
	return counted(s.c)(s.Stmt.(driver.StmtQueryContext).QueryContext(ctx, args))
}

func (s *stmt) CheckNamedValue(v *driver.NamedValue) error {
	if c, ok := s.Stmt.(driver.NamedValueChecker); ok {
		return c.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

// rows counts what is read of a result.
type rows struct {
	driver.Rows
	c *Counter
}

func counted(c *Counter) func(driver.Rows, error) (driver.Rows, error) {
	return func(inner driver.Rows, err error) (driver.Rows, error) {
		if err != nil {
			return nil, err
		}
		return &rows{inner, c}, nil
	}
}

func (r *rows) Next(into []driver.Value) error {
	err := r.Rows.Next(into)
	if err == nil {
		r.c.rows.Add(1)
	}
	return err
}

type transaction struct {
	driver.Tx
	c *Counter
}

func (t *transaction) Commit() error   { t.c.trip("COMMIT"); return t.Tx.Commit() }
func (t *transaction) Rollback() error { t.c.trip("ROLLBACK"); return t.Tx.Rollback() }
