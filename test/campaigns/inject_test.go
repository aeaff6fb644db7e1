package campaigns

import (
	"context"
	"database/sql/driver"
	"math/rand/v2"
	"strings"
	"sync/atomic"

	"github.com/lib/pq"
)

// loser makes transactions lose to others that are not there: where armed, one
// statement or commit in ten fails as PostgreSQL fails it, and has not happened.
type loser struct {
	armed     atomic.Bool
	lost, ran atomic.Int64
}

// wrap is a harness.Options.Wrap.
func (l *loser) wrap(inner driver.Connector) driver.Connector { return &losingConnector{inner, l} }

// lose returns serialization_failure or deadlock_detected once in ten times.
func (l *loser) lose() error {
	if !l.armed.Load() {
		return nil
	}
	l.ran.Add(1)
	if rand.IntN(10) > 0 {
		return nil
	}
	l.lost.Add(1)
	if rand.IntN(2) == 0 {
		return &pq.Error{Severity: "ERROR", Code: "40001", Message: "could not serialize access due to concurrent update"}
	}
	return &pq.Error{Severity: "ERROR", Code: "40P01", Message: "deadlock detected"}
}

type losingConnector struct {
	driver.Connector
	l *loser
}

func (c *losingConnector) Connect(ctx context.Context) (driver.Conn, error) {
	inner, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &losingConn{Conn: inner, l: c.l}, nil
}

// losingConn passes everything on that lib/pq can do and the product uses. In a
// transaction only the commit loses; it takes back what went before.
type losingConn struct {
	driver.Conn
	l    *loser
	inTx bool
}

func (c *losingConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	inner, err := c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return &losingStmt{inner, c, changes(query)}, nil
}

// changes tells statements that can lose at READ COMMITTED from those that only read.
func changes(query string) bool {
	return !strings.HasPrefix(strings.TrimSpace(query), "SELECT")
}

func (c *losingConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	inner, err := c.Conn.(driver.ConnBeginTx).BeginTx(ctx, o)
	if err != nil {
		return nil, err
	}
	c.inTx = true
	return &losingTx{inner, c}, nil
}

func (c *losingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
}

func (c *losingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
}

func (c *losingConn) Ping(ctx context.Context) error { return c.Conn.(driver.Pinger).Ping(ctx) }
func (c *losingConn) ResetSession(ctx context.Context) error {
	return c.Conn.(driver.SessionResetter).ResetSession(ctx)
}
func (c *losingConn) IsValid() bool { return c.Conn.(driver.Validator).IsValid() }
func (c *losingConn) CheckNamedValue(v *driver.NamedValue) error {
	return c.Conn.(driver.NamedValueChecker).CheckNamedValue(v)
}

type losingStmt struct {
	driver.Stmt
	c       *losingConn
	changes bool
}

func (s *losingStmt) lose() error {
	if s.c.inTx || !s.changes {
		return nil
	}
	return s.c.l.lose()
}

func (s *losingStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	if err := s.lose(); err != nil {
		return nil, err
	}
	return s.Stmt.(driver.StmtExecContext).ExecContext(ctx, args)
}

func (s *losingStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	if err := s.lose(); err != nil {
		return nil, err
	}
	return s.Stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
}

func (s *losingStmt) CheckNamedValue(v *driver.NamedValue) error {
	if c, ok := s.Stmt.(driver.NamedValueChecker); ok {
		return c.CheckNamedValue(v)
	}
	return s.c.CheckNamedValue(v)
}

type losingTx struct {
	driver.Tx
	c *losingConn
}

func (t *losingTx) Commit() error {
	t.c.inTx = false
	if err := t.c.l.lose(); err != nil {
		_ = t.Tx.Rollback()
		return err
	}
	return t.Tx.Commit()
}

func (t *losingTx) Rollback() error {
	t.c.inTx = false
	return t.Tx.Rollback()
}
