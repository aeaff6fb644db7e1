// Package tally counts failed sign-ins, codes and client secrets for the audit log: one
// event a person, client and minute instead of one a failure.
package tally

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

// A Subject is a person or client that failed, or with neither all unknown ones.
type Subject struct {
	Event  storage.EventType
	User   uuid.UUID
	Client string
}

// failures are those of one of them since the last flush.
type failures struct {
	first     time.Time
	failed    int
	throttled int
	addresses []string
	more      bool // addresses than are named
}

// Tally collects failures for the audit log. What was typed is never kept: it may be a
// password in the wrong field.
type Tally struct {
	store *storage.Store
	now   func() time.Time

	mu  sync.Mutex
	all map[Subject]*failures
}

// New returns a Tally that writes to store when Flush is called.
func New(store *storage.Store, now func() time.Time) *Tally {
	return &Tally{store: store, now: now, all: map[Subject]*failures{}}
}

// Failed counts something wrong that was compared, from an address that may be unknown.
func (t *Tally) Failed(subject Subject, from netip.Addr) {
	t.add(subject, from, func(f *failures) { f.failed++ })
}

// Throttled counts an attempt that was refused before anything was compared.
func (t *Tally) Throttled(subject Subject, from netip.Addr) {
	t.add(subject, from, func(f *failures) { f.throttled++ })
}

func (t *Tally) add(subject Subject, from netip.Addr, count func(*failures)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.all[subject]
	if f == nil && len(t.all) >= maxFailing {
		subject = Subject{Event: subject.Event}
		f = t.all[subject]
	}
	if f == nil {
		f = &failures{first: t.now()}
		t.all[subject] = f
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
func (t *Tally) Flush(ctx context.Context) error {
	t.mu.Lock()
	all := t.all
	t.all = map[Subject]*failures{}
	t.mu.Unlock()
	for subject, f := range all {
		if err := t.store.Record(ctx, f.event(subject)); err != nil {
			t.putBack(all)
			return fmt.Errorf("record failures: %w", err)
		}
		delete(all, subject)
	}
	return nil
}

func (t *Tally) putBack(all map[Subject]*failures) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for subject, f := range all {
		if newer := t.all[subject]; newer != nil {
			newer.first, newer.failed, newer.throttled = f.first, newer.failed+f.failed, newer.throttled+f.throttled
		} else if len(t.all) < maxFailing {
			t.all[subject] = f
		}
	}
}

func (f *failures) event(subject Subject) *storage.Event {
	e := &storage.Event{Type: subject.Event, At: f.first, User: subject.User, Client: subject.Client,
		Facts: map[string]any{"failed": f.failed, "throttled": f.throttled}}
	if addresses := strings.Join(f.addresses, " "); addresses != "" {
		if f.more {
			addresses += " and more"
		}
		e.Personal = map[string]string{"addresses": addresses}
	}
	return e
}
