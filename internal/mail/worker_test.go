package mail_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/sallyport-id/sallyport/internal/mail"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

const issuer = "https://id.acme.example"

// clock is moved by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// provider is a Sender that keeps what it is given, or fails.
type provider struct {
	mu   sync.Mutex
	sent []*mail.Message
	fail func(m *mail.Message) error
}

func (p *provider) Send(_ context.Context, m *mail.Message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail != nil {
		if err := p.fail(m); err != nil {
			return err
		}
	}
	p.sent = append(p.sent, m)
	return nil
}

func (p *provider) failing(f func(m *mail.Message) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fail = f
}

func (p *provider) got() []*mail.Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent
}

// installation is a database that nodes deliver from.
type installation struct {
	url      string
	clock    *clock
	store    *storage.Store
	sealer   *secret.Sealer
	provider *provider
	postman  *mail.Postman
}

func eachEngine(t *testing.T, f func(t *testing.T, in *installation)) {
	for _, engine := range []storage.Engine{storage.SQLite, storage.Postgres} {
		t.Run(string(engine), func(t *testing.T) {
			in := &installation{url: databaseURL(t, engine), clock: &clock{now: time.Now()}, provider: &provider{}}
			in.store = in.open(t)
			if err := in.store.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			in.sealer, in.postman = newPostman(t, in.provider)
			f(t, in)
		})
	}
}

// databaseURL is an empty database of this test's own.
func databaseURL(t *testing.T, engine storage.Engine) string {
	t.Helper()
	if engine == storage.SQLite {
		return "sqlite://" + filepath.Join(t.TempDir(), "test.db")
	}
	raw := os.Getenv("SALLYPORT_TEST_POSTGRES_URL")
	if raw == "" {
		t.Fatal("SALLYPORT_TEST_POSTGRES_URL is not set: run `make test`, which starts a PostgreSQL for the tests")
	}
	admin, err := sqlx.Connect("postgres", raw)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("sallyport_test_%x", secret.Random(8))
	if _, err := admin.Exec(`CREATE DATABASE ` + name + ` TEMPLATE template0`); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer admin.Close()
		if _, err := admin.ExecContext(context.Background(), `DROP DATABASE `+name+` WITH (FORCE)`); err != nil {
			t.Error(err)
		}
	})
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

func newPostman(t *testing.T, s mail.Sender) (*secret.Sealer, *mail.Postman) {
	t.Helper()
	sealer, err := secret.NewSealer([][]byte{bytes.Repeat([]byte{7}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	pages, err := templates.New(templates.Brand{Name: "Acme ID"})
	if err != nil {
		t.Fatal(err)
	}
	p, err := mail.NewPostman(mail.PostmanConfig{Sender: s, Templates: pages, Sealer: sealer, From: mail.Address{Email: "id@acme.example", Name: "Acme ID"}})
	if err != nil {
		t.Fatal(err)
	}
	return sealer, p
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

// write puts n mails into the outbox.
func (in *installation) write(t *testing.T, n int) {
	t.Helper()
	w := mail.NewWriter(in.sealer, issuer)
	for i := range n {
		m, err := w.Message(mail.Address{Email: fmt.Sprintf("bob%d@acme-corp.com", i), Name: "Bob"},
			templates.PasswordReset{Name: "Bob", Link: issuer + "/recover/reset?token=canary", ValidFor: time.Hour}, "")
		if err != nil {
			t.Fatal(err)
		}
		if err := in.store.Enqueue(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
}

// node is a running Worker that tells how each try ended.
type node struct {
	*mail.Worker
	outcomes chan string
	stop     func() // and wait for its end
}

func (in *installation) start(t *testing.T, s *storage.Store, handlers map[string]mail.Handler) *node {
	t.Helper()
	n := &node{outcomes: make(chan string, 1000)}
	if handlers == nil {
		handlers = map[string]mail.Handler{mail.Kind: in.postman.Deliver}
	}
	n.Worker = mail.NewWorker(mail.WorkerConfig{Store: s, Handlers: handlers, Undeliverable: in.postman.Undeliverable, Keep: in.postman.Keep(),
		Observe: func(kind, outcome string) { n.outcomes <- kind + " " + outcome }, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: in.clock.Now, Every: time.Hour})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	go func() { defer close(ended); n.Run(ctx) }()
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

func (n *node) status(t *testing.T) mail.Status {
	t.Helper()
	s, err := n.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Never twice in normal running: two nodes share the work.
func TestEachMailIsSentOnceByTwoNodes(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		const mails = 40
		in.write(t, mails)
		one, two := in.start(t, in.store, nil), in.start(t, in.open(t), nil)
		one.Wake()
		two.Wake()
		for range mails {
			select {
			case <-one.outcomes:
			case <-two.outcomes:
			}
		}
		one.stop()
		two.stop()
		seen := map[string]int{}
		for _, m := range in.provider.got() {
			seen[m.To.Email]++
		}
		for i := range mails {
			if email := fmt.Sprintf("bob%d@acme-corp.com", i); seen[email] != 1 {
				t.Errorf("%s got %d mails, want 1", email, seen[email])
			}
		}
	})
}

// At least once: what a node held when it died, another sends, under the same Message-ID.
func TestAnotherNodeSendsWhatADeadOneHeld(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		in.write(t, 1)
		held, err := in.store.LeaseMessages(t.Context(), mail.Kind, 1, 2*time.Minute)
		if err != nil || len(held) != 1 {
			t.Fatalf("leased: got %v, %v", held, err)
		}
		if err := in.postman.Deliver(t.Context(), held[0]); err != nil { // and dies before saying so
			t.Fatal(err)
		}
		n := in.start(t, in.store, nil)
		in.clock.Advance(2 * time.Minute)
		n.expect(t, "mail delivered")
		got := in.provider.got()
		if len(got) != 2 || got[0].ID != got[1].ID || !strings.HasSuffix(got[0].ID, "@acme.example") {
			t.Errorf("got %d mails, want two with one Message-ID", len(got))
		}
	})
}

// A provider that is away for hours loses nothing, is asked ever less often, and
// shows in the node's health from the first failure to the first success.
func TestAnOutageDelaysMailAndShows(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		in.provider.failing(func(m *mail.Message) error { return errors.New("connection refused for " + m.To.Email) })
		n := in.start(t, in.store, nil)
		if s := n.status(t); s != (mail.Status{}) {
			t.Errorf("before: got %+v", s)
		}
		in.write(t, 1)
		began := in.clock.Now()
		n.expect(t, "mail retried")
		// 10 s, 20 s, 40 s and 80 s, each longer by up to a fifth.
		for _, wait := range []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second} {
			in.clock.Advance(wait - time.Second)
			if due, err := in.store.LeaseMessages(t.Context(), mail.Kind, 1, time.Minute); err != nil || len(due) != 0 {
				t.Errorf("short of %v: due %v, %v", wait, due, err)
			}
			in.clock.Advance(wait/5 + time.Second)
			n.expect(t, "mail retried")
		}
		s := n.status(t)
		if !s.Failing || s.Kind != mail.Kind || !s.Since.Equal(began) || s.Waiting != 1 || s.Reason != "connection refused for (the recipient)" {
			t.Errorf("during: got %+v, want it failing since %v", s, began)
		}
		in.provider.failing(nil)
		in.clock.Advance(time.Hour)
		n.expect(t, "mail delivered")
		if s := n.status(t); s.Failing || s.Waiting != 0 {
			t.Errorf("after: got %+v", s)
		}
		if got := in.provider.got(); len(got) != 1 || !strings.Contains(got[0].Text, issuer+"/recover/reset?token=canary") {
			t.Errorf("got %v, want the one mail", got)
		}
	})
}

// A node that never had to send knows of an outage too, for it may be the one that
// is asked. One full mailbox is none.
func TestAnOutageShowsOnEveryNode(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		in.clock.now = in.clock.now.UTC().Truncate(time.Microsecond)
		in.provider.failing(func(*mail.Message) error { return errors.New("connection refused") })
		busy, idle := in.start(t, in.store, nil), in.start(t, in.open(t), map[string]mail.Handler{})
		in.write(t, 1)
		began := in.clock.Now()
		busy.expect(t, "mail retried")
		in.clock.Advance(14 * time.Minute)
		busy.expect(t, "mail retried")
		if s := idle.status(t); s.Failing {
			t.Errorf("after 14 minutes: got %+v", s)
		}
		in.clock.Advance(time.Minute)
		busy.expect(t, "mail retried")
		if s := idle.status(t); !s.Failing || s.Kind != mail.Kind || !s.Since.Equal(began) || s.Reason != "connection refused" {
			t.Errorf("after 15 minutes: got %+v, want it failing since %v", s, began)
		}
		in.provider.failing(func(*mail.Message) error { return mail.NotYet(errors.New("452 mailbox full")) })
		in.clock.Advance(time.Hour)
		busy.expect(t, "mail retried")
		in.clock.Advance(time.Hour)
		if s := idle.status(t); s.Failing || s.Waiting != 1 {
			t.Errorf("a full mailbox: got %+v, want the provider well", s)
		}
	})
}

// What cannot arrive ends with an event that names nobody in its facts, at once or
// after three days, and takes its link along.
func TestMailThatCannotArriveIsGivenUp(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		n := in.start(t, in.store, nil)
		in.provider.failing(func(*mail.Message) error { return mail.GiveUp(errors.New("550 no such mailbox")) })
		in.write(t, 1)
		n.expect(t, "mail given_up")
		if s := n.status(t); s.Failing {
			t.Errorf("one bad recipient: got %+v, want the provider well", s)
		}
		in.provider.failing(func(*mail.Message) error { return errors.New("421 busy") })
		in.write(t, 1)
		for range 11 {
			n.expect(t, "mail retried")
			in.clock.Advance(6 * time.Hour)
		}
		n.expect(t, "mail retried") // after 66 hours
		in.clock.Advance(6 * time.Hour)
		n.expect(t, "mail given_up")
		all, err := in.store.Messages(t.Context(), mail.Kind, uuid.Nil, 10)
		if err != nil || len(all) != 2 {
			t.Fatalf("got %v, %v", all, err)
		}
		for i, why := range []string{"421 busy", "550 no such mailbox"} {
			if m := all[i]; m.LastError != why || m.DoneAt.IsZero() || string(m.Payload) != "{}" {
				t.Errorf("got %q, done at %v, %s", m.LastError, m.DoneAt, m.Payload)
			}
		}
		// Nothing erases what is said of people without an account, nor what comes after the account is gone.
		e := in.postman.Undeliverable(sealed(t, in))
		if facts := fmt.Sprint(e.Facts); e.Type != "mail.undeliverable" || !strings.Contains(facts, "newdevice") || e.User == uuid.Nil || strings.Contains(fmt.Sprint(e), "@") || len(e.Personal) > 0 {
			t.Errorf("event: got %+v, want the mail and the person without an address", e)
		}
	})
}

// A server that was stopped for days has its tries before it: a first "busy" loses nothing.
func TestAStoppedServersMailIsTriedBeforeItIsGivenUp(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		in.write(t, 1)
		in.clock.Advance(4 * 24 * time.Hour)
		in.provider.failing(func(*mail.Message) error { return errors.New("421 busy") })
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
		n := in.start(t, in.store, map[string]mail.Handler{"registration.requested": func(context.Context, *storage.Message) error {
			if first {
				first = false
				panic("nil map")
			}
			return nil
		}})
		if err := in.store.Enqueue(t.Context(), &storage.Message{Kind: "registration.requested", Payload: []byte(`{}`)}); err != nil {
			t.Fatal(err)
		}
		n.expect(t, "registration.requested retried")
		in.clock.Advance(time.Minute)
		n.expect(t, "registration.requested delivered")
	})
}

// A mail that cannot even be named ends like another, and takes no node along.
func TestAPoisonedMailEnds(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		done := make(chan string, 1)
		w := mail.NewWorker(mail.WorkerConfig{Store: in.store, Handlers: map[string]mail.Handler{mail.Kind: func(context.Context, *storage.Message) error { return mail.GiveUp(errors.New("unreadable")) }},
			Undeliverable: func(*storage.Message) *storage.Event { panic("nil map") }, Observe: func(_, outcome string) { done <- outcome }, Log: slog.New(slog.DiscardHandler), Now: in.clock.Now})
		in.write(t, 1)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); w.Run(ctx) }()
		if got := <-done; got != mail.GivenUp {
			t.Errorf("got %s, want it given up", got)
		}
		stop()
		<-ended
		if left, _, err := in.store.WaitingMessages(t.Context()); err != nil || left != 0 {
			t.Errorf("got %d waiting, %v, want none", left, err)
		}
	})
}

// Four at a time of each kind: an outage of mail holds up nothing else, and no
// burst opens a thousand connections.
func TestASlowKindHoldsUpNoOther(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		in.write(t, 20)
		var running, most int
		var mu sync.Mutex
		full, release := make(chan struct{}, 100), make(chan struct{})
		n := in.start(t, in.store, map[string]mail.Handler{
			mail.Kind: func(context.Context, *storage.Message) error {
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
			},
			"other": func(context.Context, *storage.Message) error { return nil },
		})
		for range 4 {
			<-full
		}
		for range 5 {
			if err := in.store.Enqueue(t.Context(), &storage.Message{Kind: "other", Payload: []byte(`{}`)}); err != nil {
				t.Fatal(err)
			}
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
		in.write(t, 1)
		begun, release := make(chan struct{}), make(chan struct{})
		n := in.start(t, in.store, map[string]mail.Handler{mail.Kind: func(ctx context.Context, _ *storage.Message) error {
			close(begun)
			<-release
			return ctx.Err()
		}})
		<-begun
		go close(release)
		n.stop()
		if left, _, err := in.store.WaitingMessages(t.Context()); err != nil || left != 0 {
			t.Errorf("got %d waiting, %v, want none", left, err)
		}
	})
}
