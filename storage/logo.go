package storage

import (
	"context"
	"time"
)

// ClientLogo is what became of a client's logo_uri.
type ClientLogo struct {
	ClientID string    `db:"client_id"`
	URI      string    `db:"uri"`
	Tries    int       `db:"tries"`   // begun
	DueAt    time.Time `db:"due_at"`  // of the next try; zero: there is none
	Problem  string    `db:"problem"` // of the last try; "" if it succeeded or is yet to come
	Fetched  bool      `db:"(hash IS NOT NULL)"`
}

// Logos reads and changes the pictures of clients: Store.Logos.
type Logos struct{ store *Store }

var logoRow = layoutOf[ClientLogo]("l")

// setLogo has the picture at uri fetched, unless it is there already. A change of a client whose logo could not be
// fetched has it tried anew.
func (r *RegistryEdit) setLogo(ctx context.Context, clientID, uri string) error {
	if uri == "" {
		return r.deleteLogo(ctx, clientID)
	}
	return r.tx.do(ctx, `INSERT INTO client_logos (client_id, uri, due_at) VALUES (?, ?, ?)
		ON CONFLICT (client_id) DO UPDATE SET uri = excluded.uri, due_at = excluded.due_at, hash = NULL, image = NULL, tries = 0, problem = ''
		WHERE client_logos.uri <> excluded.uri OR client_logos.hash IS NULL`, clientID, uri, r.now)
}

func (r *RegistryEdit) deleteLogo(ctx context.Context, clientID string) error {
	return r.tx.do(ctx, `DELETE FROM client_logos WHERE client_id = ?`, clientID)
}

// Lease takes a logo that is due and hides it from every other worker until the given time. ErrNotFound if none is, or another worker was first.
func (logos Logos) Lease(ctx context.Context, until time.Time) (*ClientLogo, error) {
	var l ClientLogo
	err := logos.store.row(ctx, `SELECT `+logoRow.columns+` FROM client_logos l WHERE due_at <= ? ORDER BY due_at LIMIT 1`,
		usec(logos.store.clock())).Scan(logoRow.dest(&l)...)
	if err != nil {
		return nil, fault("look for logos", err)
	}
	n, err := logos.store.exec(ctx, `UPDATE client_logos SET due_at = ?, tries = tries + 1 WHERE client_id = ? AND uri = ? AND due_at = ?`,
		usec(until), l.ClientID, l.URI, usec(l.DueAt))
	if err == nil && n == 0 { // another worker was first
		err = ErrNotFound
	}
	l.DueAt, l.Tries = until, l.Tries+1
	return &l, fault("lease a logo", err)
}

// Save keeps the picture of a leased logo, under its hash. It does nothing if the registration has changed
// meanwhile.
func (logos Logos) Save(ctx context.Context, l *ClientLogo, hash string, image []byte) error {
	return logos.store.change(ctx, "save a logo", func(t *tx) error {
		n, err := t.exec(ctx, `UPDATE client_logos SET hash = ?, image = ?, due_at = NULL, problem = '' WHERE client_id = ? AND uri = ? AND due_at = ?`,
			hash, image, l.ClientID, l.URI, usec(l.DueAt))
		if err != nil || n == 0 {
			return err
		}
		return t.changeRegistry(ctx, registryChange{changedClient, l.ClientID})
	})
}

// maxProblem bounds a cause in bytes: it may quote what another server has sent.
const maxProblem = 200

// Fail notes why a leased logo could not be fetched, and when to try again; zero for never.
func (logos Logos) Fail(ctx context.Context, l *ClientLogo, problem string, again time.Time) error {
	_, err := logos.store.exec(ctx, `UPDATE client_logos SET due_at = ?, problem = ? WHERE client_id = ? AND uri = ? AND due_at = ?`,
		usec(again), Storable(problem, maxProblem), l.ClientID, l.URI, usec(l.DueAt))
	return fault("note a failed logo", err)
}

// Image is the picture with a hash. ErrNotFound if there is none.
func (logos Logos) Image(ctx context.Context, hash string) ([]byte, error) {
	var image []byte
	err := logos.store.row(ctx, `SELECT image FROM client_logos WHERE hash = ? LIMIT 1`, hash).Scan(&image)
	return image, fault("read a logo", err)
}

// Get returns what became of a client's logo. ErrNotFound if it has no logo_uri.
func (logos Logos) Get(ctx context.Context, clientID string) (*ClientLogo, error) {
	return one(ctx, logos.store, "read a client's logo", logoRow.dest, `SELECT `+logoRow.columns+` FROM client_logos l WHERE client_id = ?`, clientID)
}

// ListFailed are the logos whose last try has failed, by client_id.
func (logos Logos) ListFailed(ctx context.Context) ([]ClientLogo, error) {
	return list(ctx, logos.store, "list failed logos", logoRow.dest, `SELECT `+logoRow.columns+` FROM client_logos l WHERE problem <> '' ORDER BY client_id`)
}
