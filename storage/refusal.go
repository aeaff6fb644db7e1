package storage

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/jmoiron/sqlx"
)

// MaxRefusals is how many refusals of a client and minute are kept one by one.
const MaxRefusals = 60

// Refusal is one request of a client that was refused, for its developer.
type Refusal struct {
	ClientID  string
	At        time.Time
	Endpoint  string // the path, "/oauth2/token"
	Error     string // the code of the RFC, or of the page that the person saw
	Cause     string
	RequestID string
	// Parameters are the names of what was sent. Values are kept of redirect_uri and scope only: others are secrets.
	Parameters  []string
	RedirectURI string
	Scope       string
	// More is how many further refusals the minute had, in the one line that counts them; all else but ClientID and At
	// is empty there.
	More int64
}

// RefusedMinute are refusals of one client in one minute.
type RefusedMinute struct {
	ClientID string
	Minute   int64 // since the epoch
	Refusals []Refusal
	// More further ones were not kept, the last one at LastAt.
	More   int64
	LastAt time.Time
}

// AddRefusals stores refusals in one transaction. Of a client and minute at most MaxRefusals are kept, of all nodes
// together; the others are counted. Those of a client that is deleted are dropped. Callers give them in the order of
// client and minute, so that two nodes do not wait for each other.
func (s *Store) AddRefusals(ctx context.Context, minutes []RefusedMinute) error {
	err := s.inTx(ctx, func(t *tx) error {
		for n := range minutes {
			if err := t.addRefusals(ctx, &minutes[n]); err != nil {
				return err
			}
		}
		return nil
	})
	return fault("store refusals", err)
}

func (t *tx) addRefusals(ctx context.Context, m *RefusedMinute) error {
	// Held until the end, so that deleting the client comes before this or takes these rows too.
	var one int
	err := t.row(ctx, `SELECT 1 FROM clients WHERE id = ? AND deleted_at IS NULL`+t.s.engine.forShare(), m.ClientID).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	} else if err != nil {
		return err
	}
	// The line that counts is made first, and held: nodes that write the same minute queue here.
	if _, err := t.exec(ctx, `INSERT INTO refusals (client_id, minute, line, occurred_at, n) VALUES (?, ?, ?, ?, 0)
		ON CONFLICT (client_id, minute, line) DO UPDATE SET n = refusals.n`, m.ClientID, m.Minute, MaxRefusals+1, usec(m.LastAt)); err != nil {
		return err
	}
	var kept int
	if err := t.row(ctx, `SELECT count(*) FROM refusals WHERE client_id = ? AND minute = ? AND line <= ?`, m.ClientID, m.Minute, MaxRefusals).Scan(&kept); err != nil {
		return err
	}
	room := min(len(m.Refusals), MaxRefusals-kept)
	for n, r := range m.Refusals[:room] {
		if _, err := t.exec(ctx, `INSERT INTO refusals (client_id, minute, line, occurred_at, endpoint, error, cause, request_id, parameters, redirect_uri, scope, n)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)`, m.ClientID, m.Minute, kept+n+1, usec(r.At), r.Endpoint, r.Error, r.Cause, r.RequestID,
			words(r.Parameters), r.RedirectURI, r.Scope); err != nil {
			return err
		}
	}
	more := m.More + int64(len(m.Refusals)-room)
	if more == 0 {
		return nil
	}
	_, err = t.exec(ctx, `UPDATE refusals SET n = n + ?, occurred_at = ? WHERE client_id = ? AND minute = ? AND line = ?`,
		more, usec(m.LastAt), m.ClientID, m.Minute, MaxRefusals+1)
	return err
}

// Refusals returns up to limit refusals of a client, the latest first.
func (s *Store) Refusals(ctx context.Context, clientID string, limit int) ([]Refusal, error) {
	var all []Refusal
	err := s.rows(ctx, func(r *sqlx.Rows) error {
		f := Refusal{ClientID: clientID}
		var line int
		var n int64
		err := r.Scan(&line, instant{&f.At}, &f.Endpoint, &f.Error, &f.Cause, &f.RequestID, list{&f.Parameters}, &f.RedirectURI, &f.Scope, &n)
		if line > MaxRefusals {
			f.More = n
		}
		all = append(all, f)
		return err
	}, `SELECT line, occurred_at, endpoint, error, cause, request_id, parameters, redirect_uri, scope, n FROM refusals
		WHERE client_id = ? AND n > 0 ORDER BY minute DESC, line DESC LIMIT ?`, clientID, limit)
	return all, fault("read refusals", err)
}
