package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
)

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

// doNamed is do with named arguments.
func (t *tx) doNamed(ctx context.Context, query string, args map[string]any) error {
	_, err := t.execNamed(ctx, query, args)
	return err
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
