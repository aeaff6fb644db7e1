package mail_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/internal/jobs"
	"github.com/sallyport-id/sallyport/internal/mail"
	"github.com/sallyport-id/sallyport/internal/outbox"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

const issuer = "https://id.acme.example"

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

func (p *provider) got() []*mail.Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent
}

// installation is a database that nodes deliver from.
type installation struct {
	url      string
	clock    *harness.StoppedClock
	store    *storage.Store
	sealer   *secret.Sealer
	provider *provider
	mails    *mail.Deliverer
}

func eachEngine(t *testing.T, f func(t *testing.T, in *installation)) {
	for _, engine := range []storage.Engine{storage.SQLite, storage.Postgres} {
		t.Run(string(engine), func(t *testing.T) {
			in := &installation{url: harness.NewDatabase(t, engine), clock: harness.NewStoppedClock(), provider: &provider{}}
			in.store = in.open(t)
			in.sealer, in.mails = newDeliverer(t, in.provider)
			f(t, in)
		})
	}
}

func newDeliverer(t *testing.T, s mail.Sender) (*secret.Sealer, *mail.Deliverer) {
	t.Helper()
	sealer, err := secret.NewSealer([][]byte{bytes.Repeat([]byte{7}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	pages, err := templates.New(templates.Brand{Name: "Acme ID"})
	if err != nil {
		t.Fatal(err)
	}
	p, err := mail.NewDeliverer(mail.DelivererConfig{Sender: s, Templates: pages, Sealer: sealer, From: mail.Address{Email: "id@acme.example", Name: "Acme ID"}})
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
		if err := in.store.Outbox.Add(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
}

// node is a running outbox worker that tells how each try ended.
type node struct {
	*outbox.Worker
	outbox.Wakeup
	outcomes chan string
	stop     func() // and wait for its end
}

func (in *installation) start(t *testing.T, s *storage.Store, handlers map[string]outbox.Handler) *node {
	t.Helper()
	if handlers == nil {
		handlers = map[string]outbox.Handler{mail.Kind: in.mails.Handler()}
	}
	return startWorker(t, s, handlers, in.clock.Now, time.Hour)
}

func startWorker(t *testing.T, s *storage.Store, handlers map[string]outbox.Handler, now func() time.Time,
	every time.Duration) *node {
	t.Helper()
	n := &node{Wakeup: outbox.NewWakeup(), outcomes: make(chan string, 1000)}
	log := slog.New(slog.DiscardHandler)
	n.Worker = outbox.NewWorker(outbox.Config{Store: s, Wakeup: n.Wakeup, Handlers: handlers, Log: log, Now: now,
		Observe: func(kind, outcome string) { n.outcomes <- kind + " " + outcome }})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		jobs.Run(ctx, jobs.Config{Log: log}, []jobs.Job{{Name: "outbox", Every: every, AtStart: true, Wake: n.Wakeup, Run: n.Poll}})
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

// permanent reports whether err ends its message at once.
func permanent(err error) bool {
	f, ok := errors.AsType[*outbox.Failure](err)
	return ok && f.Permanent
}

// maybeSent reports whether the message that err is about may have been sent.
func maybeSent(err error) bool {
	f, ok := errors.AsType[*outbox.Failure](err)
	return ok && f.MaybeSent
}
