package keys

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/storage"
)

// Revocation is an order to withdraw a signing key.
type Revocation struct {
	KID       string
	Actor     uuid.UUID // who gave the order; nil for the command line
	RequestID string
}

// Revoke withdraws a key that others may know: it is not published any more and
// verifies nothing, on every node within PollInterval. The active key gets a successor
// that signs at once: the one that waits to take over, or a new one. Revoke returns its
// id, "" if the key needed none. Revoking a key again changes nothing.
// storage.ErrNotFound if there is no such key.
func (k *Keyset) Revoke(ctx context.Context, r Revocation) (successor string, err error) {
	for range 5 { // once more each time that another node was first to change one of the two keys
		if err := k.reload(ctx); err != nil {
			return "", err
		}
		p := k.current.Load().byKID[r.KID]
		if p == nil {
			return "", fmt.Errorf("signing key: %w", storage.ErrNotFound)
		}
		if p.row.State == storage.KeyRevoked {
			return "", nil
		}
		if successor, err = k.revoke(ctx, p, r); err == nil {
			return successor, k.reload(ctx)
		}
		if ifFirst(err) != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("revoke a signing key: %w", err)
}

// revoke tries once. A crash on the way leaves at most a key that waits to take over,
// as a rotation does.
func (k *Keyset) revoke(ctx context.Context, p *keyPair, r Revocation) (successor string, err error) {
	if p.row.State == storage.KeyActive {
		if next := k.current.Load().pending(p.row.Alg); next != nil {
			successor = next.row.KID
		} else if successor, err = k.add(ctx, p.row.Alg, k.clock().Add(k.lead()), r.event()); err != nil {
			return "", err
		}
	}
	e := about(r.event(), storage.EventKeyRevoked, p.row)
	e.Facts["state"] = string(p.row.State)
	if successor != "" {
		e.Facts["successor"] = successor
	}
	return successor, k.Store.Keys.Revoke(ctx, p.row.KID, successor, k.clock(), e)
}

func (r Revocation) event() *storage.Event {
	return &storage.Event{Actor: r.Actor, RequestID: r.RequestID}
}
