package identity

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/sallyport-id/sallyport/storage"
)

// maxPending bounds the refusals that wait to be written, and the minutes of clients that they belong to.
const maxPending = 5000

// maxRefusalWait is how long refusals are kept while the database does not accept them.
const maxRefusalWait = 10 * time.Minute

// refusals collects refused requests of clients, so that no request waits for the database.
type refusals struct {
	writing sync.Mutex // one writer at a time, so that a call that returns has written all that was noted before
	mu      sync.Mutex
	minutes map[refusedMinute]*storage.RefusedMinute
	pending int
}

type refusedMinute struct {
	clientID string
	minute   int64
}

// NoteRefusal records that a request of a registered client was refused. WriteRefusals stores it.
func (cl *Clients) NoteRefusal(r storage.Refusal) {
	cl.refusals.mu.Lock()
	defer cl.refusals.mu.Unlock()
	cl.refusals.add(&storage.RefusedMinute{ClientID: r.ClientID, Minute: r.At.Unix() / 60,
		Refusals: []storage.Refusal{r},
		LastAt:   r.At})
}

// add adds refusals within the bounds. Callers hold mu.
func (r *refusals) add(m *storage.RefusedMinute) {
	key := refusedMinute{m.ClientID, m.Minute}
	waiting := r.minutes[key]
	if waiting == nil {
		if len(r.minutes) >= maxPending {
			return
		}
		if r.minutes == nil {
			r.minutes = map[refusedMinute]*storage.RefusedMinute{}
		}
		waiting = &storage.RefusedMinute{ClientID: m.ClientID, Minute: m.Minute}
		r.minutes[key] = waiting
	}
	waiting.More += m.More
	if m.LastAt.After(waiting.LastAt) {
		waiting.LastAt = m.LastAt
	}
	for n := range m.Refusals {
		if r.pending >= maxPending || !waiting.HasRoom(&m.Refusals[n]) {
			waiting.More++
			continue
		}
		waiting.Refusals = append(waiting.Refusals, m.Refusals[n])
		r.pending++
	}
}

// take removes and returns all refusals that wait.
func (r *refusals) take() []storage.RefusedMinute {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]storage.RefusedMinute, 0, len(r.minutes))
	for _, m := range r.minutes {
		all = append(all, *m)
	}
	r.minutes, r.pending = nil, 0
	// All nodes write in the same order, so that they cannot block each other.
	slices.SortFunc(all, func(a, b storage.RefusedMinute) int {
		return cmp.Or(cmp.Compare(a.ClientID, b.ClientID), cmp.Compare(a.Minute, b.Minute))
	})
	return all
}

// putBack returns refusals that could not be written, before those noted since. Those from before since are dropped,
// so that rows that the database never accepts do not block those of other clients for ever.
func (r *refusals) putBack(all []storage.RefusedMinute, since time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	noted := r.minutes
	r.minutes, r.pending = nil, 0
	for n := range all {
		if !all[n].LastAt.Before(since) {
			r.add(&all[n])
		}
	}
	for _, m := range noted {
		r.add(m)
	}
}

// WriteRefusals stores the noted refusals in batches. Call it every few seconds and at the end. What cannot be written
// waits for the next call, at most ten minutes. A crash loses what waits: refusals help developers and are not an
// audit log.
func (cl *Clients) WriteRefusals(ctx context.Context, pace *storage.Pace) error {
	cl.refusals.writing.Lock()
	defer cl.refusals.writing.Unlock()
	all := cl.refusals.take()
	written := 0
	err := storage.PaceEach(ctx, pace, all, func(batch []storage.RefusedMinute) error {
		if err := cl.store.AddRefusals(ctx, batch); err != nil {
			return err
		}
		written += len(batch)
		return nil
	})
	cl.refusals.putBack(all[written:], cl.currentTime().Add(-maxRefusalWait))
	return err
}

// Refusals returns up to limit refused requests of a client in the last 14 days, the latest first.
func (cl *Clients) Refusals(ctx context.Context, a Actor, clientID string, limit int) ([]storage.Refusal, error) {
	if _, err := cl.Get(ctx, a, clientID); err != nil {
		return nil, err
	}
	return cl.store.Refusals(ctx, clientID, limit)
}
