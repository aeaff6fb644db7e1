package storage

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// Counter counts something within a window that begins with the first count.
type Counter struct {
	// Hash names what is counted and the window's length, without telling either.
	Hash secret.Hash
	N    int64
	// Running are attempts that are being checked. They are not in N.
	Running   int64
	ExpiresAt time.Time // the end of the window; the next count after it begins at one
}

// Forget as Counter.N sets a counter back to zero and leaves what is running.
const Forget = -1 << 40

// Count adds N and Running to each counter, neither below zero, and returns what they
// hold now. A counter that holds nothing starts with ExpiresAt; one that holds
// something keeps its end, but its first N moves it. All or none of them.
func (s *Store) Count(ctx context.Context, add []Counter) ([]Counter, error) {
	if len(add) == 0 {
		return nil, nil
	}
	var out []Counter
	err := s.ask(ctx, s.writer, s.countSQL(len(add)), countArgs(add, usec(s.clock())), func() { out = nil }, func(r scanner) error {
		var c Counter
		err := r.Scan(&c.Hash, &c.N, &c.Running, &c.ExpiresAt)
		out = append(out, c)
		return err
	})
	return out, fault("count", err)
}

// ask runs a statement of a counter and scans each row, anew where it lost to another.
func (s *Store) ask(ctx context.Context, db *sqlx.DB, query string, args []any, begin func(), each func(scanner) error) error {
	ctx, done := limit(ctx, true)
	defer done()
	st, err := s.stmt(ctx, db, query)
	if err != nil {
		return err
	}
	return retry(ctx, func() error {
		begin()
		rows, err := st.QueryxContext(ctx, args...)
		return scanAll(rows, err, converting(each))
	})
}

// countSQL is the statement of Count for n counters. greatest is max(a, b).
func (s *Store) countSQL(n int) string {
	greatest := s.engine.greatest()
	return `INSERT INTO counters (hash, n, running, expires_at) VALUES ` + strings.Repeat(`(?, ?, ?, ?), `, n-1) + `(?, ?, ?, ?)
		ON CONFLICT (hash) DO UPDATE SET
			n = ` + greatest + `(0, CASE WHEN counters.expires_at > ? THEN counters.n ELSE 0 END + excluded.n),
			running = ` + greatest + `(0, CASE WHEN counters.expires_at > ? THEN counters.running ELSE 0 END + excluded.running),
			expires_at = CASE WHEN counters.expires_at > ? AND (counters.n > 0 OR excluded.n <= 0 AND counters.running + excluded.running > 0)
				THEN counters.expires_at ELSE excluded.expires_at END
		RETURNING hash, n, running, expires_at`
}

// countArgs are those of countSQL. Rows are locked in one order, so that no two
// statements wait for each other.
func countArgs(add []Counter, now any) []any {
	add = slices.Clone(add)
	slices.SortFunc(add, func(a, b Counter) int { return bytes.Compare(a.Hash[:], b.Hash[:]) })
	var args []any
	for _, c := range add {
		args = append(args, c.Hash, c.N, c.Running, usec(c.ExpiresAt))
	}
	return append(args, now, now, now)
}

// LoginRecord is what decides a sign-in with a password: the person whose address was
// given, if there is one, and the guessing counters.
type LoginRecord struct {
	User User // zero if no account has the address; disabled people are returned
	// PasswordHash is "" for a person without a password.
	PasswordHash      string
	PasswordChangedAt time.Time // by the person or for them, not by making a better hash of it; zero without one
	Counters          []Counter // what those that were added to hold now
}

// LoginRecord reads by folded address and adds to counters as Count does, in one round
// trip on PostgreSQL. It knows no ErrNotFound: whether an account exists must not be the
// first thing that is decided.
func (s *Store) LoginRecord(ctx context.Context, emailKey string, add []Counter) (*LoginRecord, error) {
	var counted []Counter
	var err error
	with, from, args := "", `(SELECT NULL AS hash, NULL AS n, NULL AS running, NULL AS expires_at)`, []any{emailKey}
	if s.engine == Postgres && len(add) > 0 {
		with, from, args = `WITH counted AS (`+s.countSQL(len(add))+`) `, `counted`, append(countArgs(add, usec(s.clock())), emailKey)
	} else if counted, err = s.Count(ctx, add); err != nil {
		return nil, err
	}
	var c LoginRecord
	err = s.ask(ctx, s.reader, with+`SELECT `+userRow.columns+`, p.hash, p.changed_at, n.hash, n.n, n.running, n.expires_at
		FROM `+from+` AS n
		LEFT JOIN users u ON u.email_key = ? AND u.deleted_at IS NULL
		LEFT JOIN passwords p ON p.user_id = u.id`, args, func() { c = LoginRecord{Counters: counted} }, func(r scanner) error {
		var n Counter
		err := r.Scan(append(userRow.dest(&c.User), &c.PasswordHash, &c.PasswordChangedAt,
			&n.Hash, &n.N, &n.Running, &n.ExpiresAt)...)
		if !n.Hash.IsZero() {
			c.Counters = append(c.Counters, n)
		}
		return err
	})
	if err != nil {
		return nil, fault("read a login", err)
	}
	return &c, nil
}
