package identity

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/sallyport-id/sallyport/storage"
)

// maxPending bounds the refusals that wait to be written, and the minutes of clients that they are of.
const maxPending = 5000

// refusals collects what clients were refused, so that no request waits for it to be written.
type refusals struct {
	writing sync.Mutex // one writes at a time: who has written finds all that was noted before
	mu      sync.Mutex
	minutes map[refusedMinute]*storage.RefusedMinute
	pending int
}

type refusedMinute struct {
	clientID string
	minute   int64
}

// NoteRefusal records that a request of a registered client was refused. WriteRefusals stores it.
func (i *Identity) NoteRefusal(r storage.Refusal) {
	key := refusedMinute{r.ClientID, r.At.Unix() / 60}
	i.refusals.mu.Lock()
	defer i.refusals.mu.Unlock()
	m := i.refusals.minutes[key]
	if m == nil {
		if len(i.refusals.minutes) >= maxPending {
			return
		}
		if i.refusals.minutes == nil {
			i.refusals.minutes = map[refusedMinute]*storage.RefusedMinute{}
		}
		m = &storage.RefusedMinute{ClientID: key.clientID, Minute: key.minute}
		i.refusals.minutes[key] = m
	}
	m.LastAt = r.At
	if !m.HasRoom(&r) || i.refusals.pending >= maxPending {
		m.More++
		return
	}
	m.Refusals = append(m.Refusals, r)
	i.refusals.pending++
}

// WriteRefusals stores what was noted since the last call, in batches. Call it every few seconds and at the end. What
// is not written yet when the process crashes, or fails to be, is lost: it is help for developers, and no audit log.
func (i *Identity) WriteRefusals(ctx context.Context, pace *storage.Pace) error {
	i.refusals.writing.Lock()
	defer i.refusals.writing.Unlock()
	i.refusals.mu.Lock()
	minutes := i.refusals.minutes
	i.refusals.minutes, i.refusals.pending = nil, 0
	i.refusals.mu.Unlock()

	all := make([]storage.RefusedMinute, 0, len(minutes))
	for _, m := range minutes {
		all = append(all, *m)
	}
	// One order everywhere: nodes that write at once must not wait for each other in a circle.
	slices.SortFunc(all, func(a, b storage.RefusedMinute) int {
		return cmp.Or(cmp.Compare(a.ClientID, b.ClientID), cmp.Compare(a.Minute, b.Minute))
	})
	return storage.PaceEach(ctx, pace, all, func(batch []storage.RefusedMinute) error { return i.store.AddRefusals(ctx, batch) })
}

// Refusals lists up to limit requests of a client that were refused in the last 14 days, the latest first.
func (i *Identity) Refusals(ctx context.Context, a Actor, clientID string, limit int) ([]storage.Refusal, error) {
	if _, err := i.Client(ctx, a, clientID); err != nil {
		return nil, err
	}
	return i.store.Refusals(ctx, clientID, limit)
}
