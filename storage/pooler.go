package storage

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrPooler: what is between us and PostgreSQL does not keep what we rely on. The error says what to set.
var ErrPooler = errors.New("the connection pooler in front of the database is not set up for this")

// findMode finds out whether a connection is a session of PostgreSQL, or leads
// through a pooler such as PgBouncer that lends a session for each transaction.
// It is asked rather than configured: the wrong answer breaks requests at random.
func (p *pgConnector) findMode(ctx context.Context) error {
	ctx, done := limit(ctx, false)
	defer done()
	err := p.tryMode(ctx)
	for range 2 { // a connection may also have been cut at that moment
		if !errors.Is(err, errClosedAtBegin) {
			break
		}
		err = p.tryMode(ctx)
	}
	return err
}

// errClosedAtBegin: a connection that had answered was closed at BEGIN.
var errClosedAtBegin = fmt.Errorf("%w: it closes the connection at BEGIN, as in statement mode, which has no transactions; "+
	"use pool_mode = session or transaction", ErrPooler)

// tryMode sets p.mode by what two new connections show.
func (p *pgConnector) tryMode(ctx context.Context) error {
	first, err := p.connect(ctx, unknownMode)
	if err != nil {
		return err
	}
	defer first.Close()
	second, err := p.connect(ctx, unknownMode)
	if err != nil {
		return err
	}
	defer second.Close()
	shared, err := shareSessions(ctx, first, second)
	switch {
	case err != nil:
		return err
	case shared:
		p.mode = pooledMode
		return checkPooled(ctx, first)
	}
	p.mode = directMode
	return nil
}

// shareSessions reports whether two connections use one session, or one of them
// uses two. A transaction on the second holds the session that a pooler would lend
// to the first again.
func shareSessions(ctx context.Context, first, second *pgConn) (bool, error) {
	// Process ids alone could be the same on two servers.
	const session = `SELECT pid || ' since ' || backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()`
	one, err := first.value(ctx, session)
	if err != nil {
		return false, err
	}
	held, err := second.BeginTx(ctx, driver.TxOptions{})
	if err != nil {
		if errors.Is(err, driver.ErrBadConn) {
			return false, errClosedAtBegin
		}
		return false, err
	}
	defer func() { _ = held.Rollback() }() // it only read
	other, err := second.value(ctx, session)
	if err != nil || other == one {
		return true, err
	}
	again, err := first.value(ctx, session)
	return again != one, err
}

// checkPooled checks that sessions we cannot set have what we set elsewhere.
func checkPooled(ctx context.Context, c *pgConn) error {
	var missing []string
	for _, want := range sessionSettings {
		got, err := c.value(ctx, `SELECT setting FROM pg_settings WHERE name = '`+want.name+`'`)
		if err != nil {
			return err
		}
		if got != want.value && !(want.atMost && isWithin(got, want.value)) {
			missing = append(missing, want.name+" = '"+want.value+"'")
		}
	}
	if missing == nil {
		return nil
	}
	whose, err := c.value(ctx, `SELECT quote_ident(current_user) || ' IN DATABASE ' || quote_ident(current_database())`)
	if err != nil {
		return err
	}
	var fix strings.Builder
	for _, m := range missing {
		fmt.Fprintf(&fix, "ALTER ROLE %s SET %s; ", whose, m)
	}
	return fmt.Errorf("%w: it lends a session for each transaction (pool_mode = transaction), so the role must bring the settings that each session needs. "+
		"Run %sthen RECONNECT on the pooler's console", ErrPooler, fix.String())
}

// isWithin reports whether a number of milliseconds is more than none and at most most.
func isWithin(got, most string) bool {
	g, err := strconv.Atoi(got)
	m, merr := strconv.Atoi(most)
	return err == nil && merr == nil && g > 0 && g <= m
}

// value is the one text that a query without arguments returns.
func (c *pgConn) value(ctx context.Context, query string) (string, error) {
	rows, err := c.QueryContext(ctx, query, nil)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	got := make([]driver.Value, 1)
	if err := rows.Next(got); err != nil {
		return "", err
	}
	if b, ok := got[0].([]byte); ok {
		return string(b), nil
	}
	return fmt.Sprint(got[0]), nil
}
