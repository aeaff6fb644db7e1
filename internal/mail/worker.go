package mail

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/sallyport-id/sallyport/storage"
)

// Handler does what a message asks for. An error lets it be tried again later,
// unless it is [Permanent]. It may be called twice for one message.
type Handler func(ctx context.Context, m *storage.Message) error

// Outcomes, as Observe gets them.
const (
	Delivered = "delivered"
	Retried   = "retried"
	GivenUp   = "given_up"
)

// WorkerConfig is what a Worker needs.
type WorkerConfig struct {
	Store    *storage.Store
	Handlers map[string]Handler // by kind; kinds without one are left alone
	// Undeliverable is the event of a message that is given up; nil: "message.undeliverable".
	Undeliverable func(m *storage.Message) *storage.Event
	// Keep leaves delivered mails in the table as they are.
	Keep bool
	// Observe, if set, is told the outcome of every try.
	Observe func(kind, outcome string)
	Log     *slog.Logger
	Now     func() time.Time
	// Every is how long it waits between looks. 0: a second.
	Every time.Duration
}

const (
	maxAtOnce     = 4                  // handlers of a kind at a time
	maxTime       = time.Minute        // of one handler, but for mail's
	maxAge        = 3 * 24 * time.Hour // then a message is given up
	minTries      = 10                 // but not before: a server that was stopped for long has not tried
	maxUnanswered = 3                  // so many copies of a mail at most
	grace         = 10 * time.Second   // for handlers when the server stops
	stuck         = 15 * time.Minute   // so long in vain, and every node says that something fails
)

// patience is how long a handler of a kind may take. Its message is hidden from
// other nodes for a minute more, so that none delivers what this one still does.
func patience(kind string) time.Duration {
	if kind == Kind {
		return sendTimeout
	}
	return maxTime
}

// Worker delivers messages. All nodes run one.
type Worker struct {
	c     WorkerConfig
	wake  chan struct{}
	slots map[string]chan struct{}

	mu      sync.Mutex
	trouble map[string]trouble // by kind; only of those that fail
	blind   bool               // the database does not answer
}

type trouble struct {
	since  time.Time
	reason string
}

// NewWorker returns a Worker over c; Run starts it.
func NewWorker(c WorkerConfig) *Worker {
	if c.Every == 0 {
		c.Every = time.Second
	}
	w := &Worker{c: c, wake: make(chan struct{}, 1), slots: make(map[string]chan struct{}), trouble: make(map[string]trouble)}
	for kind := range c.Handlers {
		w.slots[kind] = make(chan struct{}, maxAtOnce)
	}
	return w
}

// Wake makes the worker look at once. It never waits: call it after every commit
// that wrote a message.
func (w *Worker) Wake() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Run delivers until ctx ends, then waits a little for the handlers that run.
func (w *Worker) Run(ctx context.Context) {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })()
	var all sync.WaitGroup
	defer all.Wait()
	tick := time.NewTicker(w.c.Every)
	defer tick.Stop()
	for {
		w.look(ctx, work, &all)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-w.wake:
		}
	}
}

// look starts a handler for what is due, as far as there are slots. Each that ends
// wakes the worker, so that a backlog is worked off without waiting.
func (w *Worker) look(ctx, work context.Context, all *sync.WaitGroup) {
	var err error
	for kind, slots := range w.slots {
		free := cap(slots) - len(slots) // only this goroutine fills them
		if free == 0 || err != nil {
			continue
		}
		var messages []*storage.Message
		messages, err = w.c.Store.LeaseMessages(ctx, kind, free, patience(kind)+time.Minute)
		for _, m := range messages {
			slots <- struct{}{}
			all.Go(func() {
				defer w.Wake()
				defer func() { <-slots }()
				w.deliver(work, m)
			})
		}
	}
	w.sees(ctx, err)
}

// sees logs that the database went away or came back, once each.
func (w *Worker) sees(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	w.mu.Lock()
	changed := w.blind != (err != nil)
	w.blind = err != nil
	w.mu.Unlock()
	switch {
	case changed && err != nil:
		w.c.Log.Error("waiting messages cannot be read", "error", err)
	case changed:
		w.c.Log.Info("waiting messages can be read again")
	}
}

// deliver makes one try and writes down how it went.
func (w *Worker) deliver(ctx context.Context, m *storage.Message) {
	failed := w.try(ctx, m)
	// What was done is written down even if the server is stopping.
	ctx = context.WithoutCancel(ctx)
	var outcome string
	var err error
	switch {
	case failed == nil:
		outcome, err = Delivered, w.c.Store.MessageDone(ctx, m, w.c.Keep && m.Kind == Kind)
	case w.over(m, failed):
		outcome, err = GivenUp, w.c.Store.MessageGivenUp(ctx, m, reason(failed), w.event(m))
	default:
		outcome, err = Retried, w.c.Store.MessageFailed(ctx, m, storage.Failure{Reason: reason(failed), Unanswered: unanswered(failed), Recipient: !outage(failed)})
	}
	w.note(m.Kind, failed)
	if failed != nil {
		w.c.Log.Warn("a message was not delivered", "kind", m.Kind, "message", m.ID, "try", m.Attempts, "outcome", outcome, "error", reason(failed))
	}
	// ErrSpent: it took too long, and another worker has it now.
	if err != nil && !errors.Is(err, storage.ErrSpent) {
		w.c.Log.Error("the outcome of a message cannot be written; it will come again", "kind", m.Kind, "message", m.ID, "outcome", outcome, "error", err)
	}
	if w.c.Observe != nil {
		w.c.Observe(m.Kind, outcome)
	}
}

// over reports whether a message that failed is not to be tried again.
func (w *Worker) over(m *storage.Message, failed error) bool {
	return Permanent(failed) || unanswered(failed) && m.Unanswered+1 >= maxUnanswered || m.Attempts >= minTries && w.c.Now().Sub(m.CreatedAt) >= maxAge
}

// try runs the handler. A panic is a failure like another: the next message may
// be well.
func (w *Worker) try(ctx context.Context, m *storage.Message) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, patience(m.Kind))
	defer cancel()
	return w.c.Handlers[m.Kind](ctx, m)
}

// event is that of a message that is given up. One that cannot even be named must
// end too: else it would come back to each node in turn, and take it down.
func (w *Worker) event(m *storage.Message) (e *storage.Event) {
	plain := &storage.Event{Type: storage.EventMessageUndeliverable, Facts: map[string]any{"kind": m.Kind, "tries": m.Attempts}}
	if w.c.Undeliverable == nil || m.Kind != Kind {
		return plain
	}
	defer func() {
		if v := recover(); v != nil {
			w.c.Log.Error("a message that is given up cannot be read", "kind", m.Kind, "message", m.ID, "panic", fmt.Sprint(v))
			e = plain
		}
	}()
	return w.c.Undeliverable(m)
}

// note keeps since when a kind fails. A message that is hopeless by itself says
// that all else works.
func (w *Worker) note(kind string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !outage(err) {
		delete(w.trouble, kind)
		return
	}
	t, failing := w.trouble[kind]
	if !failing {
		t.since = w.c.Now()
	}
	t.reason = reason(err)
	w.trouble[kind] = t
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
	if s.Waiting, s.Oldest, err = w.c.Store.WaitingMessages(ctx); err != nil {
		return s, err
	}
	inVain, err := w.c.Store.StuckMessage(ctx, stuck)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return s, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.Waiting == 0 {
		clear(w.trouble)
	}
	var kinds []string
	for kind := range w.trouble {
		kinds = append(kinds, kind)
	}
	if len(kinds) > 0 {
		s.Failing, s.Kind = true, slices.Min(kinds)
		s.Since, s.Reason = w.trouble[s.Kind].since, w.trouble[s.Kind].reason
	}
	if inVain != nil && (!s.Failing || inVain.TryingSince.Before(s.Since)) {
		s.Failing, s.Kind, s.Since, s.Reason = true, inVain.Kind, inVain.TryingSince, inVain.LastError
	}
	return s, nil
}
