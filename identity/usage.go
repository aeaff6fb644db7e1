package identity

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/storage"
)

// UseInterval is how old a stored time of last use may be: each node writes that of a client, a secret or a token at
// most once an hour.
const UseInterval = time.Hour

// uses collects when clients were last used, so that no request waits for the database.
type uses struct {
	mu      sync.Mutex
	seen    map[use]time.Time
	written map[use]time.Time // stored less than UseInterval ago
	// unprotected is by client_id.
	unprotected map[string]storage.UnprotectedUse
}

type use struct {
	clientID string
	secret   uuid.UUID
}

// NoteUse records that a client authenticated without a secret: by an assertion, or as a public client. VerifySecret
// records uses itself.
func (cl *Clients) NoteUse(clientID string) { cl.noteUse(use{clientID: clientID}, cl.currentTime()) }

func (cl *Clients) noteUse(u use, at time.Time) {
	cl.uses.mu.Lock()
	defer cl.uses.mu.Unlock()
	if written, ok := cl.uses.written[u]; !ok || at.Sub(written) >= UseInterval {
		cl.uses.seen[u] = at
	}
}

// NoteUnprotected counts a request of a client that got a code with neither PKCE nor a nonce.
func (cl *Clients) NoteUnprotected(clientID string) {
	cl.uses.mu.Lock()
	defer cl.uses.mu.Unlock()
	cl.uses.unprotected[clientID] = storage.UnprotectedUse{Requests: cl.uses.unprotected[clientID].Requests + 1,
		Last: cl.currentTime()}
}

// writeUses stores what was noted since the last call, in batches.
func (cl *Clients) writeUses(ctx context.Context, pace *storage.Pace) error {
	now := cl.currentTime() // before the lock: a panic between Lock and Unlock would hold it for ever
	cl.uses.mu.Lock()
	seen, unprotected := cl.uses.seen, cl.uses.unprotected
	cl.uses.seen, cl.uses.unprotected = map[use]time.Time{}, map[string]storage.UnprotectedUse{}
	maps.DeleteFunc(cl.uses.written, func(_ use, at time.Time) bool { return now.Sub(at) >= UseInterval })
	cl.uses.mu.Unlock()

	all := make([]storage.ClientUse, 0, len(seen))
	for u, at := range seen {
		all = append(all, storage.ClientUse{ClientID: u.clientID, SecretID: u.secret, At: at})
	}
	// All nodes write in the same order, so that they cannot block each other.
	slices.SortFunc(all, func(a, b storage.ClientUse) int {
		return cmp.Or(cmp.Compare(a.ClientID, b.ClientID), cmp.Compare(a.SecretID.String(), b.SecretID.String()))
	})
	err := storage.PaceEach(ctx, pace, all, func(batch []storage.ClientUse) error {
		if err := cl.store.TouchClients(ctx, batch); err != nil {
			return err
		}
		cl.uses.mu.Lock()
		defer cl.uses.mu.Unlock()
		for _, u := range batch {
			cl.uses.written[use{u.ClientID, u.SecretID}] = u.At
		}
		return nil
	})
	if err != nil || len(unprotected) == 0 {
		return err
	}
	return cl.store.CountUnprotected(ctx, unprotected)
}
