package outbox_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/internal/jobs"
	"github.com/sallyport-id/sallyport/internal/outbox"
	"github.com/sallyport-id/sallyport/storage"
)

// kind is the kind of the messages that an installation writes.
const kind = "mail"

// receiver keeps the messages that it is given, or fails.
type receiver struct {
	mu   sync.Mutex
	got  []uuid.UUID
	fail error
}

func (r *receiver) deliver(_ context.Context, m *storage.Message) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail == nil {
		r.got = append(r.got, m.ID)
	}
	return r.fail
}

func (r *receiver) failing(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = err
}

func (r *receiver) received() []uuid.UUID {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got
}

// installation is a database that nodes deliver from.
type installation struct {
	url      string
	clock    *harness.StoppedClock
	store    *storage.Store
	receiver *receiver
}

func eachEngine(t *testing.T, f func(t *testing.T, in *installation)) {
	for _, engine := range []storage.Engine{storage.SQLite, storage.Postgres} {
		t.Run(string(engine), func(t *testing.T) {
			in := &installation{url: harness.NewDatabase(t, engine), clock: harness.NewStoppedClock(), receiver: &receiver{}}
			in.store = in.open(t)
			f(t, in)
		})
	}
}

func (in *installation) open(t *testing.T) *storage.Store {
	t.Helper()
	s, err := storage.Open(t.Context(), storage.Config{URL: in.url, Now: in.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// write puts n messages into the outbox.
func (in *installation) write(t *testing.T, kind string, n int) {
	t.Helper()
	for range n {
		if err := in.store.Outbox.Add(t.Context(), &storage.Message{Kind: kind, Payload: []byte(`{"sealed":"AAAA"}`)}); err != nil {
			t.Fatal(err)
		}
	}
}

// node is a running Worker that tells how each try ended.
type node struct {
	*outbox.Worker
	outbox.Wakeup
	outcomes chan string
	stop     func() // and wait for its end
}

func (in *installation) start(t *testing.T, s *storage.Store, handlers map[string]outbox.Handler) *node {
	t.Helper()
	if handlers == nil {
		handlers = map[string]outbox.Handler{kind: {Deliver: in.receiver.deliver}}
	}
	n := &node{Wakeup: outbox.NewWakeup(), outcomes: make(chan string, 1000)}
	log := slog.New(slog.DiscardHandler)
	n.Worker = outbox.NewWorker(outbox.Config{Store: s, Wakeup: n.Wakeup, Handlers: handlers, Log: log, Now: in.clock.Now,
		Observe: func(kind, outcome string) { n.outcomes <- kind + " " + outcome }})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		jobs.Run(ctx, jobs.Config{Log: log},
			[]jobs.Job{{Name: "outbox", Every: time.Hour, AtStart: true, Wake: n.Wakeup, Run: n.Poll}})
		n.Wait()
	}()
	n.stop = sync.OnceFunc(func() { cancel(); <-ended })
	t.Cleanup(n.stop)
	return n
}

func (n *node) expect(t *testing.T, want string) {
	t.Helper()
	n.Wake()
	if got := <-n.outcomes; got != want {
		t.Fatalf("outcome: got %s, want %s", got, want)
	}
}

func (n *node) status(t *testing.T) outbox.Status {
	t.Helper()
	s, err := n.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Never twice in normal running: two nodes share the work.
func TestEachMessageIsDeliveredOnceByTwoNodes(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		const messages = 40
		in.write(t, kind, messages)
		one, two := in.start(t, in.store, nil), in.start(t, in.open(t), nil)
		one.Wake()
		two.Wake()
		for range messages {
			select {
			case <-one.outcomes:
			case <-two.outcomes:
			}
		}
		one.stop()
		two.stop()
		seen := map[uuid.UUID]int{}
		for _, id := range in.receiver.received() {
			if seen[id]++; seen[id] > 1 {
				t.Errorf("message %s was delivered %d times, want once", id, seen[id])
			}
		}
		if len(seen) != messages {
			t.Errorf("%d of %d messages were delivered", len(seen), messages)
		}
	})
}

// At least once: what a node held when it died, another delivers.
func TestAnotherNodeDeliversWhatADeadOneHeld(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		in.write(t, kind, 1)
		held, err := in.store.Outbox.Lease(t.Context(), kind, 1, 2*time.Minute)
		if err != nil || len(held) != 1 {
			t.Fatalf("leased: got %v, %v", held, err)
		}
		if err := in.receiver.deliver(t.Context(), held[0]); err != nil { // and dies before saying so
			t.Fatal(err)
		}
		n := in.start(t, in.store, nil)
		in.clock.Advance(2 * time.Minute)
		n.expect(t, "mail delivered")
		if got := in.receiver.received(); len(got) != 2 || got[0] != got[1] {
			t.Errorf("delivered %v, want the same message twice", got)
		}
	})
}

// A receiver that is away for hours loses nothing, is asked ever less often, and
// shows in the node's health from the first failure to the first success.
func TestAnOutageDelaysMessagesAndShows(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		in.receiver.failing(errors.New("connection refused"))
		n := in.start(t, in.store, nil)
		if s := n.status(t); s != (outbox.Status{}) {
			t.Errorf("before: got %+v", s)
		}
		in.write(t, kind, 1)
		began := in.clock.Now()
		n.expect(t, "mail retried")
		// 10 s, 20 s, 40 s and 80 s, each longer by up to a fifth.
		for _, wait := range []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second} {
			in.clock.Advance(wait - time.Second)
			if due, err := in.store.Outbox.Lease(t.Context(), kind, 1, time.Minute); err != nil || len(due) != 0 {
				t.Errorf("short of %v: due %v, %v", wait, due, err)
			}
			in.clock.Advance(wait/5 + time.Second)
			n.expect(t, "mail retried")
		}
		s := n.status(t)
		if !s.Failing || s.Kind != kind || !s.Since.Equal(began) || s.Waiting != 1 || s.Reason != "connection refused" {
			t.Errorf("during: got %+v, want it failing since %v", s, began)
		}
		in.receiver.failing(nil)
		in.clock.Advance(time.Hour)
		n.expect(t, "mail delivered")
		if s := n.status(t); s.Failing || s.Waiting != 0 {
			t.Errorf("after: got %+v", s)
		}
		if got := in.receiver.received(); len(got) != 1 {
			t.Errorf("delivered %v, want the one message", got)
		}
	})
}

// A node that never had to send knows of an outage too, for it may be the one that
// is asked. One full mailbox is none.
func TestAnOutageShowsOnEveryNode(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		in.receiver.failing(errors.New("connection refused"))
		busy, idle := in.start(t, in.store, nil), in.start(t, in.open(t), map[string]outbox.Handler{})
		in.write(t, kind, 1)
		began := in.clock.Now()
		busy.expect(t, "mail retried")
		in.clock.Advance(14 * time.Minute)
		busy.expect(t, "mail retried")
		if s := idle.status(t); s.Failing {
			t.Errorf("after 14 minutes: got %+v", s)
		}
		in.clock.Advance(time.Minute)
		busy.expect(t, "mail retried")
		if s := idle.status(t); !s.Failing || s.Kind != kind || !s.Since.Equal(began) || s.Reason != "connection refused" {
			t.Errorf("after 15 minutes: got %+v, want it failing since %v", s, began)
		}
		in.receiver.failing(&outbox.Failure{Err: errors.New("452 mailbox full")})
		in.clock.Advance(time.Hour)
		busy.expect(t, "mail retried")
		in.clock.Advance(time.Hour)
		if s := idle.status(t); s.Failing || s.Waiting != 1 {
			t.Errorf("a full mailbox: got %+v, want the provider well", s)
		}
	})
}

// A message that cannot arrive ends at once or after three days, and its payload with it.
func TestAMessageThatCannotArriveIsGivenUp(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		n := in.start(t, in.store, nil)
		in.receiver.failing(outbox.Permanent(errors.New("550 no such mailbox")))
		in.write(t, kind, 1)
		n.expect(t, "mail given_up")
		if s := n.status(t); s.Failing {
			t.Errorf("one bad recipient: got %+v, want the provider well", s)
		}
		in.receiver.failing(errors.New("421 busy"))
		in.write(t, kind, 1)
		for range 11 {
			n.expect(t, "mail retried")
			in.clock.Advance(6 * time.Hour)
		}
		n.expect(t, "mail retried") // after 66 hours
		in.clock.Advance(6 * time.Hour)
		n.expect(t, "mail given_up")
		all, err := in.store.Outbox.List(t.Context(), kind, uuid.Nil, 10)
		if err != nil || len(all) != 2 {
			t.Fatalf("got %v, %v", all, err)
		}
		for i, why := range []string{"421 busy", "550 no such mailbox"} {
			if m := all[i]; m.LastError != why || m.DoneAt.IsZero() || string(m.Payload) != "{}" {
				t.Errorf("got %q, done at %v, %s", m.LastError, m.DoneAt, m.Payload)
			}
		}
	})
}

// A server that was stopped for days has its tries before it: a first "busy" loses nothing.
func TestAStoppedServersMessageIsTriedBeforeItIsGivenUp(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		in.write(t, kind, 1)
		in.clock.Advance(4 * 24 * time.Hour)
		in.receiver.failing(errors.New("421 busy"))
		n := in.start(t, in.store, nil)
		for range 9 {
			n.expect(t, "mail retried")
			in.clock.Advance(2 * time.Hour)
		}
		n.expect(t, "mail given_up")
	})
}

// A fault of one message is no fault of the next; nor of another kind.
func TestAPanicIsAFailedTry(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		first := true
		n := in.start(t, in.store, map[string]outbox.Handler{"registration.requested": {Deliver: func(context.Context, *storage.Message) error {
			if first {
				first = false
				panic("nil map")
			}
			return nil
		}}})
		in.write(t, "registration.requested", 1)
		n.expect(t, "registration.requested retried")
		in.clock.Advance(time.Minute)
		n.expect(t, "registration.requested delivered")
	})
}

// A message that cannot even be named ends like another, and takes no node along.
func TestAPoisonedMessageEnds(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		in.write(t, kind, 1)
		n := in.start(t, in.store, map[string]outbox.Handler{kind: {
			Deliver: func(context.Context, *storage.Message) error { return outbox.Permanent(errors.New("unreadable")) },
			GivenUp: func(*storage.Message) *storage.Event { panic("nil map") },
		}})
		n.expect(t, "mail given_up")
		n.stop()
		if left, _, err := in.store.Outbox.CountWaiting(t.Context()); err != nil || left != 0 {
			t.Errorf("got %d waiting, %v, want none", left, err)
		}
	})
}

// Four at a time of each kind: an outage of mail holds up nothing else, and no
// burst opens a thousand connections.
func TestASlowKindHoldsUpNoOther(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		in.write(t, kind, 20)
		var running, most int
		var mu sync.Mutex
		full, release := make(chan struct{}, 100), make(chan struct{})
		n := in.start(t, in.store, map[string]outbox.Handler{
			kind: {Deliver: func(context.Context, *storage.Message) error {
				mu.Lock()
				running++
				most = max(most, running)
				mu.Unlock()
				full <- struct{}{}
				<-release
				mu.Lock()
				running--
				mu.Unlock()
				return nil
			}},
			"other": {Deliver: func(context.Context, *storage.Message) error { return nil }},
		})
		for range 4 {
			<-full
		}
		for range 5 {
			in.write(t, "other", 1)
			n.expect(t, "other delivered")
		}
		close(release)
		for range 20 {
			<-n.outcomes
		}
		if most != 4 {
			t.Errorf("got %d handlers at a time, want 4", most)
		}
	})
}

// A server that stops lets a handler finish and writes down how it went: else the
// mail would go out again.
func TestStoppingFinishesWhatWasBegun(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		in.write(t, kind, 1)
		begun, release := make(chan struct{}), make(chan struct{})
		n := in.start(t, in.store, map[string]outbox.Handler{kind: {Deliver: func(ctx context.Context, _ *storage.Message) error {
			close(begun)
			<-release
			return ctx.Err()
		}}})
		<-begun
		go close(release)
		n.stop()
		if left, _, err := in.store.Outbox.CountWaiting(t.Context()); err != nil || left != 0 {
			t.Errorf("got %d waiting, %v, want none", left, err)
		}
	})
}
