package storage

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lib/pq"
)

// sessionSettings are what every connection to PostgreSQL runs with. They are set
// when it is opened. Behind a pooler in transaction mode a connection has no
// session of its own, so there the role must have them; see checkPooled.
var sessionSettings = []struct {
	name, value string
	// atMost accepts a smaller value than ours, but not 0, from a role that has its own.
	atMost bool
}{
	{"statement_timeout", milliseconds(statementLimit), true},
	{"lock_timeout", milliseconds(lockLimit), true},
	{"idle_in_transaction_session_timeout", milliseconds(idleLimit), true},
	// The plan of a prepared statement is kept. One that was made while a table had a few rows must not read all of it
	// when it has millions, so all go by indexes from the first row on. Long calls too: they share the kept plans.
	// Without jit, the price that PostgreSQL puts on the one plan left for a small table would have it compiled.
	{"enable_seqscan", "off", false},
	{"enable_hashjoin", "off", false},
	{"enable_mergejoin", "off", false},
	{"jit", "off", false},
}

func milliseconds(d time.Duration) string { return fmt.Sprint(d.Milliseconds()) }

// setSession is sessionSettings as statements, which go to the server in one round trip.
func setSession() string {
	var b strings.Builder
	for _, s := range sessionSettings {
		fmt.Fprintf(&b, "SET %s = '%s'; ", s.name, s.value)
	}
	return b.String()
}

// poolMode is how connections are used; see findMode.
type poolMode int

const (
	unknownMode poolMode = iota // while the store is being opened
	directMode                  // a connection is a session
	pooledMode                  // each transaction may run in another session
)

// pgConnector opens connections to PostgreSQL that never wait for ever.
type pgConnector struct {
	config pq.Config
	mode   poolMode
	// replaced is when connections were last given up, in nanoseconds: what was
	// opened earlier is closed instead of used again.
	replaced atomic.Int64
}

func newPgConnector(rawURL string) (*pgConnector, error) {
	config, err := pq.NewConfig(rawURL)
	if err != nil {
		return nil, err
	}
	// The driver tries hosts one after the other. One that is silent must leave time for the next.
	each := connectLimit / time.Duration(max(1, len(config.Multi)))
	if config.ConnectTimeout == 0 || config.ConnectTimeout > each {
		config.ConnectTimeout = each
	}
	return &pgConnector{config: config}, nil
}

// Connect opens a connection and gives its session our settings.
func (p *pgConnector) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := p.connect(ctx, p.mode)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (p *pgConnector) connect(ctx context.Context, mode poolMode) (*pgConn, error) {
	config, opened := p.config.Clone(), time.Now()
	// One message with an unnamed statement is all that a pooler must keep together.
	config.BinaryParameters = config.BinaryParameters || mode == pooledMode
	connector, err := pq.NewConnectorConfig(config)
	if err != nil {
		return nil, err
	}
	d := &dialer{}
	connector.Dialer(d)
	inner, err := connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	d.connected = true
	c := &pgConn{Conn: inner, socket: d.socket, connector: p, mode: mode, opened: opened}
	if mode != directMode {
		return c, nil
	}
	if _, err := c.ExecContext(ctx, setSession(), nil); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Driver returns lib/pq's driver.
func (p *pgConnector) Driver() driver.Driver { return &pq.Driver{} }

// replace gives up all connections that are open now. Those in use finish what they do.
func (p *pgConnector) replace() { p.replaced.Store(time.Now().UnixNano()) }

// dialer dials for one connection, and remembers its socket: the driver reads a
// silent one for ever, unless that has a deadline.
type dialer struct {
	net       net.Dialer
	socket    net.Conn
	connected bool // what is dialled from now on carries a request to cancel
}

func (d *dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

func (d *dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

func (d *dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := d.net.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	s := &startingConn{Conn: c, end: time.Now().Add(connectLimit)}
	if !d.connected {
		d.socket = c
	}
	return s, s.SetDeadline(s.end)
}

// startingConn keeps its deadline until pgConn sets others on the socket below it.
// The driver takes its own back before it has asked all that it asks.
type startingConn struct {
	net.Conn
	end time.Time
}

func (c *startingConn) SetDeadline(t time.Time) error {
	if t.IsZero() || t.After(c.end) {
		t = c.end
	}
	return c.Conn.SetDeadline(t)
}

// pgConn is a connection with a deadline for each answer of the server. It is not
// handed out again after it has shown that its server is silent or cannot write.
type pgConn struct {
	driver.Conn // lib/pq's
	socket      net.Conn
	connector   *pgConnector
	mode        poolMode
	opened      time.Time
	sent        time.Time // when the last statement began
	broken      bool

	tx    bool // in a transaction
	txEnd time.Time
	long  bool // the transaction is of a long call
}

// begin sets the deadline for what is sent next, and returns the context for the driver.
//
// An ordinary call has none: the server gives a statement up by itself, and a
// request to cancel it could reach the server late and hit the next one.
func (c *pgConn) begin(ctx context.Context) (context.Context, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	now := time.Now()
	c.sent = now
	end, call := now.Add(answerLimit), callOf(ctx)
	deadline, bounded := ctx.Deadline()
	switch {
	case c.tx && c.long:
		return ctx, c.socket.SetDeadline(c.txEnd)
	case c.tx:
		if !c.txEnd.After(now) {
			return nil, errNoTime
		}
		if c.txEnd.Before(end) {
			end = c.txEnd
		}
		if bounded && deadline.Before(end) {
			end = deadline
		}
	case call.long:
		return ctx, c.socket.SetDeadline(deadline)
	case !bounded:
	case call.write:
		if deadline.Before(end) {
			return nil, errNoTime
		}
	case deadline.Before(end):
		end = deadline
	}
	return context.WithoutCancel(ctx), c.socket.SetDeadline(end)
}

// end looks at how a statement ended.
func (c *pgConn) end(err error) error {
	switch {
	case err == nil:
	case errors.Is(err, os.ErrDeadlineExceeded):
		// Others that are as old may be as dead, and none of them says so by itself. After
		// a short wait it is our time that was up: replacing all would load a busy server more.
		c.broken = true
		if time.Since(c.sent) >= commitLimit/2 {
			c.connector.replace()
		}
	case showsReadOnly(err):
		// A new connection may find the server writable again, or another one. Not
		// at once again: while nothing can be written, every write comes here.
		c.broken = time.Since(c.opened) > time.Second
		if c.broken {
			c.connector.replace()
		}
	}
	return err
}

// showsReadOnly tells errors of a session or server that cannot write now, or of a
// pooler that changed its mode.
func showsReadOnly(err error) bool {
	var pe *pq.Error
	if !errors.As(err, &pe) {
		return false
	}
	switch pe.Code {
	case "25006", // read_only_sql_transaction
		"57P01", "57P02", "57P03", // the server stops, crashed, or starts
		"26000", "42P05": // a prepared statement is not there, or is another's
		return true
	}
	return false
}

func (c *pgConn) IsValid() bool {
	return !c.broken && c.opened.UnixNano() > c.connector.replaced.Load() && c.Conn.(driver.Validator).IsValid()
}

func (c *pgConn) ResetSession(ctx context.Context) error {
	if !c.IsValid() {
		return driver.ErrBadConn
	}
	return c.Conn.(driver.SessionResetter).ResetSession(ctx)
}

func (c *pgConn) Close() error {
	_ = c.socket.SetDeadline(time.Now().Add(commitLimit))
	return c.Conn.Close()
}

func (c *pgConn) CheckNamedValue(v *driver.NamedValue) error {
	return c.Conn.(driver.NamedValueChecker).CheckNamedValue(v)
}

func (c *pgConn) Ping(ctx context.Context) error {
	ctx, err := c.begin(ctx)
	if err != nil {
		return err
	}
	return c.end(c.Conn.(driver.Pinger).Ping(ctx))
}

func (c *pgConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	ctx, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	res, err := c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
	return res, c.end(err)
}

func (c *pgConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	ctx, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
	return rows, c.end(err)
}

// PrepareContext prepares query on the server, unless the next transaction may find
// itself on a server connection that has never seen it.
func (c *pgConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if c.mode == pooledMode {
		return &unpreparedStmt{c: c, query: query}, nil
	}
	ctx, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	inner, err := c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, query)
	if err != nil {
		return nil, c.end(err)
	}
	return &pgStmt{Stmt: inner, c: c}, nil
}

func (c *pgConn) Prepare(query string) (driver.Stmt, error) {
	return c.PrepareContext(context.Background(), query)
}

// BeginTx begins a transaction that must end with the deadline of ctx. One of a
// long call tells the server to be as patient.
func (c *pgConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	within, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	inner, err := c.Conn.(driver.ConnBeginTx).BeginTx(within, o)
	if err != nil {
		return nil, c.end(err)
	}
	deadline, bounded := ctx.Deadline()
	if !bounded {
		deadline = time.Now().Add(callLimit)
	}
	c.tx, c.long, c.txEnd = true, callOf(ctx).long && bounded, deadline.Add(-commitLimit)
	tx := &pgTx{Tx: inner, c: c}
	if !c.long {
		return tx, nil
	}
	c.txEnd = deadline
	ms := milliseconds(time.Until(deadline))
	_, err = c.Conn.(driver.ExecerContext).ExecContext(within, fmt.Sprintf(
		`SET LOCAL statement_timeout = %s; SET LOCAL lock_timeout = %[1]s; SET LOCAL idle_in_transaction_session_timeout = %[1]s`, ms), nil)
	if err != nil {
		return nil, errors.Join(c.end(err), tx.Rollback())
	}
	return tx, nil
}

// pgTx is a transaction that pgConn began.
type pgTx struct {
	driver.Tx
	c *pgConn
}

func (t *pgTx) Commit() error {
	c := t.c
	c.tx = false
	end := c.txEnd
	if soonest := time.Now().Add(commitLimit); end.Before(soonest) {
		end = soonest
	}
	c.sent = time.Now()
	if err := c.socket.SetDeadline(end); err != nil {
		return err
	}
	return c.end(t.Tx.Commit())
}

func (t *pgTx) Rollback() error {
	t.c.tx, t.c.sent = false, time.Now()
	if err := t.c.socket.SetDeadline(time.Now().Add(commitLimit / 2)); err != nil {
		return err
	}
	return t.c.end(t.Tx.Rollback())
}

// pgStmt is a statement that the server has prepared.
type pgStmt struct {
	driver.Stmt // lib/pq's
	c           *pgConn
}

func (s *pgStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	ctx, err := s.c.begin(ctx)
	if err != nil {
		return nil, err
	}
	res, err := s.Stmt.(driver.StmtExecContext).ExecContext(ctx, args)
	return res, s.c.end(err)
}

func (s *pgStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	ctx, err := s.c.begin(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := s.Stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
	return rows, s.c.end(err)
}

func (s *pgStmt) Close() error {
	if err := s.c.socket.SetDeadline(time.Now().Add(commitLimit)); err != nil {
		return err
	}
	return s.Stmt.Close()
}

// unpreparedStmt sends its query anew each time, in one round trip.
type unpreparedStmt struct {
	c     *pgConn
	query string
}

func (s *unpreparedStmt) Close() error  { return nil }
func (s *unpreparedStmt) NumInput() int { return -1 }

func (s *unpreparedStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	return s.c.ExecContext(ctx, s.query, args)
}

func (s *unpreparedStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	return s.c.QueryContext(ctx, s.query, args)
}

// Exec and Query are for callers without a context, of which database/sql is none.
func (s *unpreparedStmt) Exec([]driver.Value) (driver.Result, error) { return nil, driver.ErrSkip }
func (s *unpreparedStmt) Query([]driver.Value) (driver.Rows, error)  { return nil, driver.ErrSkip }
