package outbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sallyport-id/sallyport/storage"
)

// Handler delivers the messages of one kind.
type Handler struct {
	// Deliver does what a message asks for. It may be called twice for one message. Without a [Failure] that is
	// permanent, an error lets it be called again later.
	Deliver func(ctx context.Context, m *storage.Message) error
	// Timeout bounds a call of Deliver. 0: a minute.
	Timeout time.Duration
	// Keep leaves delivered messages in the table as they are, for a page to show.
	Keep bool
	// GivenUp makes the event of a message that is given up; nil: "message.undeliverable".
	GivenUp func(m *storage.Message) *storage.Event
}

// Outcomes, as Observe gets them.
const (
	Delivered = "delivered"
	Retried   = "retried"
	GivenUp   = "given_up"
)

// Wakeup lets those who write messages wake the worker of their process. Where there is none it does nothing.
type Wakeup chan struct{}

// NewWakeup returns a Wakeup for one worker.
func NewWakeup() Wakeup { return make(Wakeup, 1) }

// Wake has the outbox looked at soon. It never waits: call it after every commit that wrote a message.
func (w Wakeup) Wake() {
	select {
	case w <- struct{}{}:
	default:
	}
}

// Config is what a Worker needs.
type Config struct {
	Store    *storage.Store
	Wakeup   Wakeup
	Handlers map[string]Handler // by kind; messages of other kinds are left alone
	// Observe, if set, is told the outcome of every try.
	Observe func(kind, outcome string)
	Log     *slog.Logger
	Now     func() time.Time
}

const (
	maxAtOnce      = 4                  // handlers of a kind at a time
	defaultTimeout = time.Minute        // of one handler
	maxAge         = 3 * 24 * time.Hour // then a message is given up
	minTries       = 10                 // but not before: a server that was stopped for long has not tried
	maxMaybeSent   = 3                  // so many copies of a message at most
	grace          = 10 * time.Second   // for handlers when the server stops
	stuck          = 15 * time.Minute   // so long in vain, and every node says that something fails
)

// Worker delivers messages. All nodes run one.
type Worker struct {
	c     Config
	slots map[string]chan struct{}

	running sync.WaitGroup // handlers

	mu      sync.Mutex
	outages map[string]outage // by kind
}

type outage struct {
	since  time.Time
	reason string
}

// NewWorker returns a Worker over c. It works while Poll is called.
func NewWorker(c Config) *Worker {
	w := &Worker{c: c, slots: map[string]chan struct{}{}, outages: map[string]outage{}}
	for kind := range c.Handlers {
		w.slots[kind] = make(chan struct{}, maxAtOnce)
	}
	return w
}

// Poll starts a handler for each message that is due, as far as there are slots, and does not wait for them. Each that
// ends wakes the worker, so that a backlog is worked off without waiting. Only one goroutine may call it.
//
// Handlers outlive ctx by a grace, so that a server that stops does not leave a mail half sent.
func (w *Worker) Poll(ctx context.Context) error {
	for kind, slots := range w.slots {
		free := cap(slots) - len(slots) // only this goroutine fills them
		if free == 0 {
			continue
		}
		// The lease hides the message from other nodes for a minute longer than the handler may take, so that none
		// delivers what this one still does.
		messages, err := w.c.Store.Outbox.Lease(ctx, kind, free, w.timeout(kind)+time.Minute)
		if err != nil {
			return err
		}
		for _, m := range messages {
			slots <- struct{}{}
			w.running.Go(func() {
				defer w.c.Wakeup.Wake()
				defer func() { <-slots }()
				work, cancel := context.WithCancel(context.WithoutCancel(ctx))
				defer cancel()
				defer context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })()
				w.deliver(work, m)
			})
		}
	}
	return nil
}

// Wait returns when no handler runs any more. Call it after the last Poll, whose context has ended.
func (w *Worker) Wait() { w.running.Wait() }

func (w *Worker) timeout(kind string) time.Duration {
	return cmp.Or(w.c.Handlers[kind].Timeout, defaultTimeout)
}

// deliver makes one try and writes down how it went.
func (w *Worker) deliver(ctx context.Context, m *storage.Message) {
	failed := w.try(ctx, m)
	// The outcome is written even if the server is stopping: else the message would be sent again.
	ctx = context.WithoutCancel(ctx)
	failure, failing := classify(failed)
	var outcome, reason string
	var err error
	if failed != nil {
		reason = OneLine(failed.Error(), MaxReason)
	}
	switch {
	case failed == nil:
		outcome, err = Delivered, w.c.Store.Outbox.Finish(ctx, m, w.c.Handlers[m.Kind].Keep)
	case w.exhausted(m, failure):
		outcome, err = GivenUp, w.c.Store.Outbox.GiveUp(ctx, m, reason, w.givenUpEvent(m))
	default:
		outcome, err = Retried, w.c.Store.Outbox.Retry(ctx, m,
			storage.Failure{Reason: reason, Unanswered: failure.MaybeSent, Recipient: !failing})
	}
	w.noteOutage(m.Kind, failing, reason)
	if failed != nil {
		w.c.Log.Warn("a message was not delivered", "kind", m.Kind, "message", m.ID, "try", m.Attempts, "outcome", outcome,
			"error", reason)
	}
	// ErrSpent: it took too long, and another worker has it now.
	if err != nil && !errors.Is(err, storage.ErrSpent) {
		w.c.Log.Error("the outcome of a message cannot be written; it will come again", "kind", m.Kind, "message", m.ID,
			"outcome", outcome, "error", err)
	}
	if w.c.Observe != nil {
		w.c.Observe(m.Kind, outcome)
	}
}

// exhausted reports whether a message that failed is not to be tried again.
func (w *Worker) exhausted(m *storage.Message, f Failure) bool {
	return f.Permanent || f.MaybeSent && m.Unanswered+1 >= maxMaybeSent ||
		m.Attempts >= minTries && w.c.Now().Sub(m.CreatedAt) >= maxAge
}

// try runs the handler. A panic is a failure like another: the next message may
// be well.
func (w *Worker) try(ctx context.Context, m *storage.Message) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, w.timeout(m.Kind))
	defer cancel()
	return w.c.Handlers[m.Kind].Deliver(ctx, m)
}

// givenUpEvent is the event of a message that is given up. A message whose event cannot be made must end too:
// otherwise it would come back to each node in turn, and take it down.
func (w *Worker) givenUpEvent(m *storage.Message) (e *storage.Event) {
	plain := &storage.Event{Type: storage.EventMessageUndeliverable, Facts: map[string]any{"kind": m.Kind, "tries": m.Attempts}}
	own := w.c.Handlers[m.Kind].GivenUp
	if own == nil {
		return plain
	}
	defer func() {
		if v := recover(); v != nil {
			w.c.Log.Error("a message that is given up cannot be read", "kind", m.Kind, "message", m.ID, "panic", fmt.Sprint(v))
			e = plain
		}
	}()
	return own(m)
}

// noteOutage keeps since when a kind fails. A failure of one message alone says that all else works.
func (w *Worker) noteOutage(kind string, failing bool, reason string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	o, known := w.outages[kind]
	if !failing {
		delete(w.outages, kind)
		return
	}
	if !known {
		o.since = w.c.Now()
	}
	o.reason = reason
	w.outages[kind] = o
}

// Status is how delivery goes, for health checks and metrics.
type Status struct {
	Waiting int       // messages not delivered yet
	Oldest  time.Time // when the oldest of them was written; zero if there is none
	Failing bool      // this node's last try failed, or any node's have for a while, for a reason beyond one recipient
	Kind    string    // what fails
	Since   time.Time // since when
	Reason  string    // in the provider's words
}

// Status returns how delivery goes. What failed and is no longer waiting is over:
// another node has delivered it.
func (w *Worker) Status(ctx context.Context) (Status, error) {
	var s Status
	var err error
	if s.Waiting, s.Oldest, err = w.c.Store.Outbox.CountWaiting(ctx); err != nil {
		return s, err
	}
	inVain, err := w.c.Store.Outbox.FindStuck(ctx, stuck)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return s, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.Waiting == 0 {
		clear(w.outages)
	}
	if len(w.outages) > 0 {
		s.Failing, s.Kind = true, slices.Min(slices.Collect(maps.Keys(w.outages)))
		s.Since, s.Reason = w.outages[s.Kind].since, w.outages[s.Kind].reason
	}
	if inVain != nil && (!s.Failing || inVain.TryingSince.Before(s.Since)) {
		s.Failing, s.Kind, s.Since, s.Reason = true, inVain.Kind, inVain.TryingSince, inVain.LastError
	}
	return s, nil
}
