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
	Hash      secret.Hash
	N         int64
	ExpiresAt time.Time // the end of the window; the next count after it begins at one
}

// maxCounters is how many counters one statement reads.
const maxCounters = 5

// Count adds N to each counter and returns what they hold now. A counter that
// does not run starts with ExpiresAt; one that runs keeps its end. At most five;
// all or none of them.
func (s *Store) Count(ctx context.Context, add []Counter) ([]Counter, error) {
	if len(add) == 0 {
		return nil, nil
	}
	// Rows are locked in one order, so that no two statements wait for each other.
	add = slices.Clone(add)
	slices.SortFunc(add, func(a, b Counter) int { return bytes.Compare(a.Hash[:], b.Hash[:]) })
	now := usec(s.clock())
	var args []any
	for _, c := range add {
		args = append(args, c.Hash, c.N, usec(c.ExpiresAt))
	}
	args = append(args, now, now)
	var out []Counter
	ctx, done := limit(ctx, true)
	defer done()
	st, err := s.stmt(ctx, s.writer, `INSERT INTO counters (hash, n, expires_at) VALUES `+strings.Repeat(`(?, ?, ?), `, len(add)-1)+`(?, ?, ?)
		ON CONFLICT (hash) DO UPDATE SET
			n = CASE WHEN counters.expires_at > ? THEN counters.n + excluded.n ELSE excluded.n END,
			expires_at = CASE WHEN counters.expires_at > ? THEN counters.expires_at ELSE excluded.expires_at END
		RETURNING hash, n, expires_at`)
	if err != nil {
		return nil, fault("count", err)
	}
	err = retry(ctx, func() error {
		out = nil
		rows, err := st.QueryxContext(ctx, args...)
		return scanAll(rows, err, func(r *sqlx.Rows) error {
			var c Counter
			err := r.Scan(&c.Hash, &c.N, instant{&c.ExpiresAt})
			out = append(out, c)
			return err
		})
	})
	return out, fault("count", err)
}

// ResetCounters makes counters begin anew.
func (s *Store) ResetCounters(ctx context.Context, hashes []secret.Hash) error {
	if len(hashes) == 0 {
		return nil
	}
	var args []any
	for _, h := range hashes {
		args = append(args, h)
	}
	_, err := s.exec(ctx, `UPDATE counters SET n = 0, expires_at = 0 WHERE hash IN (?`+strings.Repeat(`, ?`, len(hashes)-1)+`)`, args...)
	return fault("reset counters", err)
}

// Claimant is what decides a sign-in with a password, read in one statement: the
// person whose address was given, if there is one, and the guessing counters.
type Claimant struct {
	User User // zero if nobody has the address; disabled people are returned
	// PasswordHash is "" for a person without a password.
	PasswordHash      string
	PasswordChangedAt time.Time // by the person or for them, not by making a better hash of it; zero without one
	Counters          []Counter // those that run
}

// Claimant reads by folded address. It knows no ErrNotFound: whether somebody
// exists must not be the first thing that is decided. At most five counters.
func (s *Store) Claimant(ctx context.Context, emailKey string, counters []secret.Hash) (*Claimant, error) {
	args := []any{emailKey}
	for i := range maxCounters {
		var h secret.Hash // NULL, which is in no row
		if i < len(counters) {
			h = counters[i]
		}
		args = append(args, h)
	}
	// "+ 0" keeps PostgreSQL from reading by the time of expiry, which costs least while there are few counters.
	var c Claimant
	err := s.rows(ctx, func(r *sqlx.Rows) error {
		var n Counter
		err := r.Scan(append(c.User.dest(), optional[string]{&c.PasswordHash}, instant{&c.PasswordChangedAt}, &n.Hash, number{&n.N}, instant{&n.ExpiresAt})...)
		if !n.Hash.IsZero() {
			c.Counters = append(c.Counters, n)
		}
		return err
	}, `SELECT `+userColumns+`, p.hash, p.changed_at, n.hash, n.n, n.expires_at
		FROM (SELECT 1 AS one) AS always
		LEFT JOIN users u ON u.email_key = ? AND u.deleted_at IS NULL
		LEFT JOIN passwords p ON p.user_id = u.id
		LEFT JOIN counters n ON n.hash IN (?, ?, ?, ?, ?) AND n.expires_at + 0 > ?`, append(args, usec(s.clock()))...)
	if err != nil {
		return nil, fault("read a claimant", err)
	}
	return &c, nil
}

// number scans a nullable integer column; NULL is zero.
type number struct{ to *int64 }

func (n number) Scan(v any) error {
	i, _ := v.(int64)
	*n.to = i
	return nil
}
