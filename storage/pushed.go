package storage

import (
	"context"
	"encoding/json"
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
	CreatedAt time.Time
	ExpiresAt time.Time
}

// CreatePushedRequest stores p.
func (s *Store) CreatePushedRequest(ctx context.Context, p *PushedRequest) error {
	request, err := json.Marshal(p.Request)
	if err != nil {
		return err
	}
	_, err = s.exec(ctx, `INSERT INTO pushed_requests (hash, client_id, request, created_at, expires_at) VALUES (?, ?, ?, ?, ?)`,
		p.Hash, p.ClientID, string(request), usec(p.CreatedAt), usec(p.ExpiresAt))
	return fault("store a pushed request", err)
}

// PushedRequest returns a pushed request of this client that is neither spent nor
// expired; ErrNotFound otherwise. Reading does not spend it: its code does.
func (s *Store) PushedRequest(ctx context.Context, hash secret.Hash, clientID string) (*PushedRequest, error) {
	p := PushedRequest{Hash: hash, ClientID: clientID}
	err := s.row(ctx, `SELECT request, created_at, expires_at FROM pushed_requests WHERE hash = ? AND client_id = ? AND spent_at IS NULL AND expires_at > ?`,
		hash, clientID, usec(s.clock())).Scan(document{&p.Request}, instant{&p.CreatedAt}, instant{&p.ExpiresAt})
	if err != nil {
		return nil, fault("read a pushed request", err)
	}
	return &p, nil
}
