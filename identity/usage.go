package identity

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/storage"
)

// usesAtOnce bounds the transaction in which uses are written.
const usesAtOnce = 500

// uses collects when clients and personal access tokens were last used, so that no request waits for it to be written.
type uses struct {
	mu     sync.Mutex
	seen   map[use]time.Time
	tokens map[uuid.UUID]time.Time
}

type use struct {
	clientID string
	secret   uuid.UUID
}

// NoteClientUse records that a client authenticated without a secret: by an
// assertion, or as a public client. VerifyClientSecret does so by itself.
func (i *Identity) NoteClientUse(clientID string) { i.noteUse(use{clientID: clientID}, i.clock()) }

func (i *Identity) noteUse(u use, at time.Time) {
	i.uses.mu.Lock()
	i.uses.seen[u] = at
	i.uses.mu.Unlock()
}

// WriteUses stores what was noted since the last call. Call it every half minute
// and at the end; what a crash loses are last-used times only.
func (i *Identity) WriteUses(ctx context.Context) error {
	i.uses.mu.Lock()
	seen, tokens := i.uses.seen, i.uses.tokens
	i.uses.seen, i.uses.tokens = map[use]time.Time{}, map[uuid.UUID]time.Time{}
	i.uses.mu.Unlock()

	all := make([]storage.ClientUse, 0, len(seen))
	for u, at := range seen {
		all = append(all, storage.ClientUse{ClientID: u.clientID, SecretID: u.secret, At: at})
	}
	// One order everywhere: nodes that write at once must not wait for each other in a circle.
	slices.SortFunc(all, func(a, b storage.ClientUse) int {
		return cmp.Or(cmp.Compare(a.ClientID, b.ClientID), cmp.Compare(a.SecretID.String(), b.SecretID.String()))
	})
	for batch := range slices.Chunk(all, usesAtOnce) {
		if err := i.store.TouchClients(ctx, batch); err != nil {
			return err
		}
	}
	return i.writeTokenUses(ctx, tokens)
}
