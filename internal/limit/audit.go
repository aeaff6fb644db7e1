package limit

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/storage"
)

const (
	maxFailing   = 10_000 // in one minute; more are counted together as unknown
	maxAddresses = 5      // named in one event
)

// failing is who failed at what: a person, a client, or with neither all unknown ones.
type failing struct {
	event  string // its type
	user   uuid.UUID
	client string
}

// failures are those of one of them since the last flush.
type failures struct {
	first     time.Time
	failed    int
	throttled int
	addresses []string
	more      bool // addresses than are named
}

// tally collects failures for the audit log. What was typed is never kept:
// it may be a password in the wrong field.
type tally struct {
	mu  sync.Mutex
	all map[failing]*failures
}

func (t *tally) failed(who failing, from netip.Addr, now time.Time) {
	t.add(who, from, now, func(f *failures) { f.failed++ })
}

// throttled are attempts that were refused before anything was compared.
func (t *tally) throttled(who failing, from netip.Addr, now time.Time) {
	t.add(who, from, now, func(f *failures) { f.throttled++ })
}

func (t *tally) add(who failing, from netip.Addr, now time.Time, count func(*failures)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.all[who]
	if f == nil && len(t.all) >= maxFailing {
		who = failing{event: who.event}
		f = t.all[who]
	}
	if f == nil {
		f = &failures{first: now}
		t.all[who] = f
	}
	count(f)
	if !from.IsValid() {
		return
	}
	if address := from.String(); !slices.Contains(f.addresses, address) {
		if len(f.addresses) < maxAddresses {
			f.addresses = append(f.addresses, address)
		} else {
			f.more = true
		}
	}
}

// Flush writes one event for each person and client that failed since the last
// Flush, and one for all addresses that nobody has. What cannot be written waits
// for the next.
func (g *Guard) Flush(ctx context.Context) error {
	g.tally.mu.Lock()
	all := g.tally.all
	g.tally.all = map[failing]*failures{}
	g.tally.mu.Unlock()
	for who, f := range all {
		if err := g.store.Record(ctx, f.event(who)); err != nil {
			g.tally.putBack(all)
			return fmt.Errorf("record failures: %w", err)
		}
		delete(all, who)
	}
	return nil
}

func (t *tally) putBack(all map[failing]*failures) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for who, f := range all {
		if newer := t.all[who]; newer != nil {
			newer.first, newer.failed, newer.throttled = f.first, newer.failed+f.failed, newer.throttled+f.throttled
		} else if len(t.all) < maxFailing {
			t.all[who] = f
		}
	}
}

func (f *failures) event(who failing) *storage.Event {
	e := &storage.Event{Type: who.event, At: f.first, User: who.user, Client: who.client,
		Facts: map[string]any{"failed": f.failed, "throttled": f.throttled}}
	if addresses := strings.Join(f.addresses, " "); addresses != "" {
		if f.more {
			addresses += " and more"
		}
		e.Personal = map[string]string{"addresses": addresses}
	}
	return e
}
