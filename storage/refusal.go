package storage

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// MaxRefusals is how many refusals of a client and minute are kept one by one.
const MaxRefusals = 60

const (
	// maxOfStrangers bounds those among MaxRefusals that did not authenticate. Anyone can send such a request in a
	// client's name, and would hide the client's own faults behind them.
	maxOfStrangers = MaxRefusals / 2
	// maxEqualRefusals bounds those with the same endpoint and error: one broken loop hides no other fault.
	maxEqualRefusals = 5
	// maxRefusalRows bounds the rows of a client. The oldest go.
	maxRefusalRows = 5000
)

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
	// Authenticated says that the request proved to be of the client. It is not stored: it decides whether the refusal is.
	Authenticated bool
	// More is how many further refusals the minute had, in the one line that counts them; all else but ClientID and At
	// is empty there.
	More int64
}

// RefusedMinute are refusals of one client in one minute.
type RefusedMinute struct {
	ClientID string
	Minute   int64 // since the epoch
	Refusals []Refusal
	// More is how many further ones were not kept; the last of them came at LastAt.
	More   int64
	LastAt time.Time
}

// HasRoom reports whether a further refusal of the minute is kept, and not only counted.
func (m *RefusedMinute) HasRoom(r *Refusal) bool {
	most := MaxRefusals
	if !r.Authenticated {
		most = maxOfStrangers
	}
	equal := 0
	for n := range m.Refusals {
		if m.Refusals[n].Endpoint == r.Endpoint && m.Refusals[n].Error == r.Error {
			equal++
		}
	}
	return len(m.Refusals) < most && equal < maxEqualRefusals
}

// AddRefusals stores refusals in one transaction. Of a client and minute those are kept that HasRoom has room for, of
// all nodes together; the others are counted. Those of a client that is deleted are dropped. Callers give them in the
// order of client and minute, so that two nodes do not wait for each other.
func (s *Store) AddRefusals(ctx context.Context, minutes []RefusedMinute) error {
	return s.change(ctx, "store refusals", func(t *tx) error {
		for n := range minutes {
			if err := t.addRefusals(ctx, &minutes[n]); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *tx) addRefusals(ctx context.Context, m *RefusedMinute) error {
	// Held until the end, so that deleting the client comes before this or takes these rows too.
	var one int
	err := t.row(ctx, `SELECT 1 FROM clients WHERE id = ? AND deleted_at IS NULL`+t.s.engine.forShare(),
		m.ClientID).Scan(&one)
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
	var stored RefusedMinute
	stored.Refusals, err = list(ctx, t, "read the refusals of a minute", func(f *Refusal) []any { return []any{&f.Endpoint, &f.Error} },
		`SELECT endpoint, error FROM refusals WHERE client_id = ? AND minute = ? AND line <= ?`, m.ClientID, m.Minute, MaxRefusals)
	if err != nil {
		return err
	}
	if len(stored.Refusals) == 0 { // the first ones of the minute
		if err := t.trimRefusals(ctx, m.ClientID); err != nil {
			return err
		}
	}
	more := m.More
	for n := range m.Refusals {
		r := &m.Refusals[n]
		if !stored.HasRoom(r) {
			more++
			continue
		}
		stored.Refusals = append(stored.Refusals, *r)
		if _, err := t.execNamed(ctx, `INSERT INTO refusals (client_id, minute, line, occurred_at, endpoint, error, cause, request_id, parameters, redirect_uri,
				scope, n)
			VALUES (:client_id, :minute, :line, :occurred_at, :endpoint, :error, :cause, :request_id, :parameters,
				:redirect_uri, :scope, 1)`, map[string]any{
			"client_id": m.ClientID, "minute": m.Minute, "line": len(stored.Refusals), "occurred_at": usec(r.At),
			"endpoint": r.Endpoint, "error": r.Error, "cause": r.Cause, "request_id": r.RequestID,
			"parameters": words(r.Parameters), "redirect_uri": r.RedirectURI, "scope": r.Scope}); err != nil {
			return err
		}
	}
	if more == 0 {
		return nil
	}
	return t.do(ctx, `UPDATE refusals SET n = n + ?, occurred_at = ? WHERE client_id = ? AND minute = ? AND line = ?`,
		more, usec(m.LastAt), m.ClientID, m.Minute, MaxRefusals+1)
}

// trimRefusals deletes the oldest minutes of a client beyond maxRefusalRows.
func (t *tx) trimRefusals(ctx context.Context, clientID string) error {
	return t.do(ctx, `DELETE FROM refusals WHERE client_id = ? AND minute <
		(SELECT minute FROM refusals WHERE client_id = ? ORDER BY minute DESC, line DESC LIMIT 1 OFFSET ?)`, clientID, clientID, maxRefusalRows)
}

// Refusals returns up to limit refusals of a client, the latest first.
func (s *Store) Refusals(ctx context.Context, clientID string, limit int) ([]Refusal, error) {
	var all []Refusal
	err := s.rows(ctx, func(r scanner) error {
		f := Refusal{ClientID: clientID}
		var line int
		var n int64
		err := r.Scan(&line, &f.At, &f.Endpoint, &f.Error, &f.Cause, &f.RequestID, &f.Parameters,
			&f.RedirectURI, &f.Scope, &n)
		if line > MaxRefusals {
			f.More = n
		}
		all = append(all, f)
		return err
	}, `SELECT line, occurred_at, endpoint, error, cause, request_id, parameters, redirect_uri, scope, n FROM refusals
		WHERE client_id = ? AND n > 0 ORDER BY minute DESC, line DESC LIMIT ?`, clientID, limit)
	return all, fault("read refusals", err)
}
