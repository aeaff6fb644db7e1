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

type userID = uuid.UUID

const (
	maxPeople    = 10_000 // in one minute; more are counted together as unknown
	maxAddresses = 5      // named in one event
)

// failures are those of one person, or of all unknown ones, since the last flush.
type failures struct {
	first     time.Time
	failed    int
	throttled int
	addresses []string
	more      bool // addresses than are named
}

// tally collects failed sign-ins for the audit log. What was typed is never kept:
// it may be a password in the wrong field.
type tally struct {
	mu     sync.Mutex
	people map[userID]*failures
}

func (t *tally) failed(person userID, from netip.Addr, now time.Time) {
	t.add(person, from, now, func(f *failures) { f.failed++ })
}

// throttled are attempts that were refused before anything was compared.
func (t *tally) throttled(person userID, from netip.Addr, now time.Time) {
	t.add(person, from, now, func(f *failures) { f.throttled++ })
}

func (t *tally) add(person userID, from netip.Addr, now time.Time, count func(*failures)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.people[person]
	if f == nil && len(t.people) >= maxPeople {
		person = uuid.Nil
		f = t.people[person]
	}
	if f == nil {
		f = &failures{first: now}
		t.people[person] = f
	}
	count(f)
	if address := from.String(); !slices.Contains(f.addresses, address) {
		if len(f.addresses) < maxAddresses {
			f.addresses = append(f.addresses, address)
		} else {
			f.more = true
		}
	}
}

// Flush writes one event for each person who could not sign in since the last
// Flush, and one for all addresses that nobody has. What cannot be written waits
// for the next.
func (g *Guard) Flush(ctx context.Context) error {
	g.tally.mu.Lock()
	people := g.tally.people
	g.tally.people = map[userID]*failures{}
	g.tally.mu.Unlock()
	for person, f := range people {
		if err := g.store.Record(ctx, f.event(person)); err != nil {
			g.tally.putBack(people)
			return fmt.Errorf("record failed sign-ins: %w", err)
		}
		delete(people, person)
	}
	return nil
}

func (t *tally) putBack(people map[userID]*failures) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for person, f := range people {
		if newer := t.people[person]; newer != nil {
			newer.first, newer.failed, newer.throttled = f.first, newer.failed+f.failed, newer.throttled+f.throttled
		} else if len(t.people) < maxPeople {
			t.people[person] = f
		}
	}
}

func (f *failures) event(person userID) *storage.Event {
	addresses := strings.Join(f.addresses, " ")
	if f.more {
		addresses += " and more"
	}
	return &storage.Event{Type: "sign_in.failed", At: f.first, User: person,
		Facts:    map[string]any{"failed": f.failed, "throttled": f.throttled},
		Personal: map[string]string{"addresses": addresses}}
}
