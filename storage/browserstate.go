package storage

import (
	"context"
	"time"

	"github.com/sallyport-id/sallyport/internal/secret"
)

// BrowserState is what a browser carries between two requests outside a flow, where
// there is no Redis to keep it.
type BrowserState struct {
	// ID is the hash of the browser's token, or of a state that an answer brings back.
	// A state under a browser's token moves to the token that its next sign-in gives it.
	ID secret.Hash
	// Name tells what the state is for.
	Name string
	// Data is sealed by the caller.
	Data      []byte
	ExpiresAt time.Time
}

// PutBrowserState stores a state in the place of one of that id and name.
func (s *Store) PutBrowserState(ctx context.Context, b *BrowserState) error {
	_, err := s.exec(ctx, `INSERT INTO browser_states (id, name, data, expires_at) VALUES (?, ?, ?, ?)
		ON CONFLICT (id, name) DO UPDATE SET data = excluded.data, expires_at = excluded.expires_at`, b.ID, b.Name, b.Data, usec(b.ExpiresAt))
	return fault("store a browser's state", err)
}

// BrowserState returns the data of a state, or ErrNotFound if it was deleted or has expired.
func (s *Store) BrowserState(ctx context.Context, id secret.Hash, name string) (data []byte, err error) {
	err = s.row(ctx, `SELECT data FROM browser_states WHERE id = ? AND name = ? AND expires_at > ?`, id, name, usec(s.clock())).Scan(&data)
	return data, fault("read a browser's state", err)
}

// DeleteBrowserState deletes a state, if it is there.
func (s *Store) DeleteBrowserState(ctx context.Context, id secret.Hash, name string) error {
	_, err := s.exec(ctx, `DELETE FROM browser_states WHERE id = ? AND name = ?`, id, name)
	return fault("delete a browser's state", err)
}

// moveStates gives the states of a browser the token of its next sign-in.
const moveStates = `UPDATE browser_states SET id = :token WHERE id = :sent`
