package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"net/url"
	"time"

	"github.com/sallyport-id/sallyport/internal/secret"
)

// PushedRequest is an authorization request stored ahead (RFC 9126). Request
// never holds client credentials.
type PushedRequest struct {
	Hash      secret.Hash // of the request_uri
	ClientID  string
	Request   url.Values
	Hint      *Hint // as in Flow
	CreatedAt time.Time
	ExpiresAt time.Time
}

// clearPushed is what goes from a row that is spent or has expired.
const clearPushed = `request = '', hint = ''`

// endPushed takes the time, the hash and the client_id.
const endPushed = `UPDATE pushed_requests SET spent_at = ?, ` + clearPushed + ` WHERE hash = ? AND client_id = ? AND spent_at IS NULL`

// CreatePushedRequest stores p; *Full, and nothing is stored, if the budget of
// its sender is used up.
func (s *Store) CreatePushedRequest(ctx context.Context, p *PushedRequest, b Budget) error {
	request, err := json.Marshal(p.Request)
	if err != nil {
		return err
	}
	hint, err := p.Hint.column()
	if err != nil {
		return err
	}
	now := s.clock()
	row := []any{p.Hash, p.ClientID, string(request), hint, usec(p.CreatedAt), usec(p.ExpiresAt)}
	if s.engine == Postgres {
		n, err := s.exec(ctx, createPushedPostgres, append(b.takeArgs(now), row...)...)
		if err == nil && n == 0 {
			err = s.full(ctx, b, FlowBudget{})
		}
		return fault("store a pushed request", err)
	}
	err = s.inTx(ctx, func(t *tx) error {
		var one int
		err := t.row(ctx, s.engine.take(), b.takeArgs(now)...).Scan(&one)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrConflict
		} else if err != nil {
			return err
		}
		return t.do(ctx, insertPushed+` VALUES (?, ?, ?, ?, ?, ?)`, row...)
	})
	if errors.Is(err, ErrConflict) {
		err = s.full(ctx, b, FlowBudget{})
	}
	return fault("store a pushed request", err)
}

const insertPushed = `INSERT INTO pushed_requests (hash, client_id, request, hint, created_at, expires_at)`

var createPushedPostgres = `WITH counted AS (` + Postgres.take() + `)
	` + insertPushed + ` SELECT ` + Postgres.casts("bytea", "text", "text", "text", "bigint", "bigint") + ` FROM counted`

// PushedRequest returns a pushed request of this client that is neither spent nor
// expired; ErrNotFound otherwise. Reading does not spend it: its code does.
func (s *Store) PushedRequest(ctx context.Context, hash secret.Hash, clientID string) (*PushedRequest, error) {
	p := PushedRequest{Hash: hash, ClientID: clientID}
	err := s.row(ctx, `SELECT request, hint, created_at, expires_at FROM pushed_requests WHERE hash = ? AND client_id = ? AND spent_at IS NULL AND expires_at > ?`,
		hash, clientID, usec(s.clock())).Scan(&p.Request, &p.Hint, &p.CreatedAt, &p.ExpiresAt)
	if err != nil {
		return nil, fault("read a pushed request", err)
	}
	return &p, nil
}
