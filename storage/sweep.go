package storage

import (
	"context"
	"fmt"
	"time"
)

// How long rows stay after they have expired.
const (
	// keepReplayed: a used code or the grant it made is recognised when it comes again.
	keepReplayed = 24 * time.Hour
	// keepFlow: a person who comes back late is told where to start again, and a pushed request outlasts its flow.
	keepFlow = 24 * time.Hour
	// keepSkew: nodes whose clocks differ must agree that something was spent or revoked.
	keepSkew = 5 * time.Minute
	// keepRefreshed bounds how long a grant can outlive one of its refresh tokens. Looking only at tokens that are
	// older keeps a sweep from reading those again and again that a live grant holds.
	keepRefreshed = 90 * 24 * time.Hour
	keepEnded     = 30 * 24 * time.Hour // sessions and consents, for the account and admin pages
	keepSent      = 7 * 24 * time.Hour  // outbox
	keepRefusal   = 14 * 24 * time.Hour // for the client's developer
	keepChange    = time.Hour           // a node that looks more seldom forgets everything
	keepLink      = 7 * 24 * time.Hour  // a person who opens an old link is told that it is old
)

// maxBatch bounds the rows of one statement of a background job.
const maxBatch = 1000

// sweepBatch bounds one statement of the sweeper. On SQLite every request that writes waits for it.
var sweepBatch = map[Engine]int{SQLite: 250, Postgres: maxBatch}

// sweep is a table and which of its rows may go, or be cleared: those with column at or
// before now - keep.
type sweep struct {
	table  string
	column string
	keep   time.Duration
	also   string // takes now
	// clear is what is set in rows that still hold a request; "" deletes rows.
	clear string
}

// name is what a sweep is counted by.
func (w sweep) name() string {
	if w.clear != "" {
		return w.table + " cleared"
	}
	return w.table
}

// sweeps come children first.
var sweeps = []sweep{
	{table: "flows", column: "expires_at", clear: clearFlow},
	{table: "pushed_requests", column: "expires_at", clear: clearPushed},
	{table: "flows", column: "expires_at", keep: keepFlow},
	{table: "pushed_requests", column: "expires_at", keep: keepFlow},
	{table: "codes", column: "expires_at", keep: keepReplayed},
	{table: "access_tokens", column: "expires_at"},
	// Spent ones too: as long as the grant lives, reuse must be recognised and end it (RFC 9700 section 4.14.2).
	{table: "refresh_tokens", column: "expires_at", keep: keepRefreshed,
		also: ` AND NOT EXISTS (SELECT 1 FROM grants g WHERE g.id = t.grant_id AND g.expires_at > ?)`},
	{table: "grants", column: "expires_at", keep: keepReplayed},
	{table: "replay_ids", column: "expires_at", keep: keepSkew},
	{table: "revoked_tokens", column: "expires_at", keep: keepSkew},
	{table: "sessions", column: "expires_at", keep: keepEnded},
	{table: "consents", column: "expires_at", keep: keepEnded},
	{table: "links", column: "expires_at", keep: keepLink},
	{table: "invitations", column: "expires_at", keep: keepEnded},
	{table: "personal_access_tokens", column: "expires_at", keep: keepEnded},
	{table: "counters", column: "expires_at"},
	{table: "browser_states", column: "expires_at"},
	{table: "registry_changes", column: "changed_at", keep: keepChange},
	{table: "refusals", column: "occurred_at", keep: keepRefusal},
	{table: "outbox", column: "done_at", keep: keepSent},
}

// query deletes or clears one batch. A PostgreSQL row that changes meanwhile moves, and so
// escapes; one that another transaction holds is left for the next time.
func (w sweep) query(e Engine) string {
	change, also := `DELETE FROM `+w.table, w.also
	if w.clear != "" {
		change, also = `UPDATE `+w.table+` SET `+w.clear, ` AND t.request <> ''`
	}
	if e == Postgres {
		return fmt.Sprintf(`%s WHERE ctid = ANY (ARRAY(SELECT ctid FROM %s t WHERE t.%s <= ?%s LIMIT ? FOR UPDATE SKIP LOCKED))`, change, w.table, w.column, also)
	}
	return fmt.Sprintf(`%s WHERE rowid IN (SELECT rowid FROM %s t WHERE t.%s <= ?%s LIMIT ?)`, change, w.table, w.column, also)
}

// sweep deletes one batch of what had expired at a time.
func (s *Store) sweep(ctx context.Context, w sweep, at time.Time, limit int) (int64, error) {
	args := []any{usec(at.Add(-w.keep))}
	if w.also != "" {
		args = append(args, usec(at))
	}
	n, err := s.exec(ctx, w.query(s.engine), append(args, limit)...)
	return n, fault("sweep "+w.name(), err)
}

// Sweeper deletes expired rows. It is a background job of which one node at a time runs a round.
type Sweeper struct {
	Store *Store
	// Pace is how it spreads its work; its Largest is set by the engine.
	Pace Pace
	// Swept, if set, is told how many rows of a table went.
	Swept func(table string, rows int64)
}

// Run sweeps until there is nothing left of what had expired when it began. The node's clock must be right: see
// AcquireJob.
func (w *Sweeper) Run(ctx context.Context) error {
	w.Pace.Largest = sweepBatch[w.Store.engine]
	at := w.Store.clock()
	for _, table := range sweeps {
		err := w.Pace.Run(ctx, func(size int) (int, error) {
			n, err := w.Store.sweep(ctx, table, at, size)
			if w.Swept != nil && n > 0 {
				w.Swept(table.name(), n)
			}
			return int(n), err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
