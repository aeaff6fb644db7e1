package storage

import (
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
