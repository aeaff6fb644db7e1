package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-id/sallyport/internal/secret"
)

// Budget is how many rows may be made in a window of time that begins with the first.
// It is counted in the statement that makes the row, so that it costs no round trip.
type Budget struct {
	Hash   secret.Hash // of the counter; zero if nothing is counted
	Limit  int
	Length time.Duration
}

// Full is the error for a row beyond a budget; it is ErrConflict too.
type Full struct {
	Until time.Time // when there is room again, at the latest
}

func (f *Full) Error() string { return fmt.Sprintf("the budget is used up until %v", f.Until) }

// Unwrap returns ErrConflict.
func (f *Full) Unwrap() error { return ErrConflict }

// full is the Full of a budget that has just refused a row, and of the flows counted for
// the same (FlowBudget).
func (s *Store) full(ctx context.Context, b Budget, flows FlowBudget) error {
	now := s.clock()
	out := &Full{Until: now.Add(time.Second)}
	for _, q := range []struct {
		query string
		args  []any
	}{
		{`SELECT expires_at FROM counters WHERE hash = ? AND n >= ? AND expires_at > ?`, []any{b.Hash, b.Limit, usec(now)}},
		// When all but one less than the bound have ended.
		{`SELECT expires_at` + unfinishedFlows + ` ORDER BY expires_at DESC LIMIT 1 OFFSET ?`,
			[]any{flows.CountedFor, usec(now), max(0, flows.Unfinished-1)}},
	} {
		var until time.Time
		if err := s.row(ctx, q.query, q.args...).Scan(&until); err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if until.After(out.Until) {
			out.Until = until
		}
	}
	return out
}

// take counts one and returns a row, or neither where the budget is used up. It takes
// takeArgs. A refusal writes nothing.
func (e Engine) take() string {
	return `INSERT INTO counters (hash, n, expires_at) SELECT ` + e.casts("bytea", "bigint", "bigint") + ` WHERE ` + e.casts("boolean") + `
		ON CONFLICT (hash) DO UPDATE SET
			n = CASE WHEN counters.expires_at > ? THEN counters.n + 1 ELSE 1 END,
			expires_at = CASE WHEN counters.expires_at > ? THEN counters.expires_at ELSE excluded.expires_at END
		WHERE counters.expires_at <= ? OR counters.n < ? RETURNING 1`
}

// takeArgs are the arguments of take.
func (b Budget) takeArgs(now time.Time) []any {
	return []any{b.Hash, 1, usec(now.Add(b.Length)), !b.Hash.IsZero(), usec(now), usec(now), usec(now), b.Limit}
}
