package mail_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/mail"
	"github.com/sallyport-id/sallyport/internal/outbox"
	"github.com/sallyport-id/sallyport/storage"
)

// pipes is a listener within the process, so that time may be a bubble's.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	c, open := <-p
	if !open {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// slowServer takes mail and thinks about it for so long. Its Sender reaches it
// through a pipe.
func slowServer(t *testing.T, thinks time.Duration) (*smtpServer, *mail.SMTP) {
	t.Helper()
	s := &smtpServer{refuse: func(command string) error {
		if command == "DATA" {
			time.Sleep(thinks)
		}
		return nil
	}}
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return &smtpSession{s: s, c: c}, nil }))
	l, ended := make(pipes), make(chan struct{})
	go func() { defer close(ended); _ = server.Serve(l) }()
	t.Cleanup(func() { close(l); <-ended; server.Close() })
	sender := s.sender(inClear)
	sender.DialWith(func() (net.Conn, error) {
		here, there := net.Pipe()
		l <- there
		return here, nil
	})
	return s, sender
}

// eachBubble is eachEngine with a Worker's time to run through as fast as the
// machine can, and one mail to send.
func eachBubble(t *testing.T, thinks time.Duration, f func(t *testing.T, in *installation, s *smtpServer, n *node)) {
	eachEngine(t, func(t *testing.T, in *installation) {
		synctest.Test(t, func(t *testing.T) {
			s, sender := slowServer(t, thinks)
			var err error
			if in.store, err = storage.Open(t.Context(), storage.Config{URL: in.url, Now: time.Now}); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { in.store.Close() })
			in.sealer, in.mails = newDeliverer(t, sender)
			in.write(t, 1)
			n := startWorker(t, in.store, map[string]outbox.Handler{mail.Kind: in.mails.Handler()}, time.Now, time.Minute)
			defer n.stop()
			f(t, in, s, n)
		})
	})
}

// RFC 5321 section 4.5.3.2.6: a server may look long at a message before it says
// that it has it. A client that does not wait sends it again and again.
func TestASlowServerGetsOneCopy(t *testing.T) {
	eachBubble(t, 290*time.Second, func(t *testing.T, _ *installation, s *smtpServer, n *node) {
		time.Sleep(time.Hour)
		if got := s.got(); len(got) != 1 || <-n.outcomes != "mail delivered" {
			t.Errorf("got %d copies, want one", len(got))
		}
	})
}

// A server that takes every copy and never says so in time gets few of them.
func TestAServerThatNeverAnswersGetsThreeCopies(t *testing.T) {
	eachBubble(t, 20*time.Minute, func(t *testing.T, in *installation, s *smtpServer, n *node) {
		time.Sleep(24 * time.Hour)
		if got := s.got(); len(got) != 3 {
			t.Errorf("got %d copies, want three", len(got))
		}
		for _, want := range []string{"mail retried", "mail retried", "mail given_up"} {
			if got := <-n.outcomes; got != want {
				t.Errorf("outcome: got %s, want %s", got, want)
			}
		}
		all, err := in.store.Outbox.List(t.Context(), mail.Kind, uuid.Nil, 1)
		if err != nil || len(all) != 1 || !strings.Contains(all[0].LastError, "no answer to the whole message") {
			t.Errorf("got %+v, %v, want the reason", all, err)
		}
	})
}

// A server that stops does not wait for one that thinks, and leaves the message to
// another node; not at once, for it may be on its way.
func TestStoppingCutsASlowSenderOff(t *testing.T) {
	eachBubble(t, 290*time.Second, func(t *testing.T, in *installation, _ *smtpServer, n *node) {
		time.Sleep(time.Minute)
		began := time.Now()
		n.stop()
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("stopping took %v, want at most 15 s", took)
		}
		if left, err := in.store.Outbox.Lease(t.Context(), mail.Kind, 1, time.Minute); err != nil || len(left) != 0 {
			t.Errorf("at once: got %v, %v, want nothing", left, err)
		}
		time.Sleep(18 * time.Minute) // a quarter of an hour and a fifth
		if left, err := in.store.Outbox.Lease(t.Context(), mail.Kind, 1, time.Minute); err != nil || len(left) != 1 || left[0].Unanswered != 1 {
			t.Errorf("later: got %v, %v, want the message, sent once perhaps", left, err)
		}
	})
}

// One that does not even greet holds a place among four for seconds, not minutes.
func TestASilentServerIsLeftSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sender := mail.NewSMTP(mail.SMTPConfig{Host: "mail.example", Port: 587})
		var there net.Conn
		sender.DialWith(func() (here net.Conn, err error) { here, there = net.Pipe(); return here, nil })
		began := time.Now()
		err := sender.Send(t.Context(), message())
		if took := time.Since(began); err == nil || took > 30*time.Second || maybeSent(err) || !strings.Contains(err.Error(), "STARTTLS: no answer") {
			t.Errorf("got %v after %v, want no answer within 30 s", err, took)
		}
		there.Close()
	})
}

// While a node waits for a slow server, no other takes the message; what another
// kind's dead handler held comes back after two minutes.
func TestAMessageIsHeldAsLongAsItsHandlerMayTake(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		in.write(t, 1)
		if err := in.store.Outbox.Add(t.Context(), &storage.Message{Kind: "other", Payload: []byte(`{}`)}); err != nil {
			t.Fatal(err)
		}
		begun, release := make(chan struct{}, 10), make(chan struct{})
		wait := func(context.Context, *storage.Message) error { begun <- struct{}{}; <-release; return nil }
		in.start(t, in.store, map[string]outbox.Handler{
			mail.Kind: {Deliver: wait, Timeout: in.mails.Handler().Timeout}, "other": {Deliver: wait}})
		defer close(release)
		<-begun
		<-begun
		in.clock.Advance(2 * time.Minute)
		if got, err := in.store.Outbox.Lease(t.Context(), "other", 1, time.Hour); err != nil || len(got) != 1 {
			t.Errorf("another kind after two minutes: got %v, %v, want it", got, err)
		}
		in.clock.Advance(mail.SendTimeout - 2*time.Minute)
		if got, err := in.store.Outbox.Lease(t.Context(), mail.Kind, 1, time.Hour); err != nil || len(got) != 0 {
			t.Errorf("a mail after %v: got %v, %v, want it held", mail.SendTimeout, got, err)
		}
		in.clock.Advance(time.Minute)
		if got, err := in.store.Outbox.Lease(t.Context(), mail.Kind, 1, time.Hour); err != nil || len(got) != 1 {
			t.Errorf("a mail of a dead node: got %v, %v, want it", got, err)
		}
	})
}

// The same over real connections: a server that hangs up on every whole message
// may have sent each of them.
func TestAServerThatHangsUpGetsThreeCopies(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		s := newSMTPServer(t, smtpOptions{hangUp: true})
		in.sealer, in.mails = newDeliverer(t, s.sender())
		n := in.start(t, in.store, nil)
		in.write(t, 1)
		for _, want := range []string{"mail retried", "mail retried", "mail given_up"} {
			n.expect(t, want)
			in.clock.Advance(3 * time.Hour)
		}
		if got := s.got(); len(got) != 3 {
			t.Errorf("got %d copies, want three", len(got))
		}
	})
}

// Whether a provider may have taken a message is known from how far the request came.
func TestProvidersThatDoNotAnswerAreToldFromThoseThatAreAway(t *testing.T) {
	hangsUp := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		panic(http.ErrAbortHandler)
	}))
	defer hangsUp.Close()
	breaksOff := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Length", "100")
		w.WriteHeader(map[bool]int{true: http.StatusAccepted, false: http.StatusOK}[strings.HasSuffix(r.URL.Path, "/send")])
	}))
	defer breaksOff.Close()
	away := httptest.NewServer(nil)
	away.Close()
	for _, tc := range []struct {
		name, url        string
		sent, unanswered bool
	}{{"hangs up", hangsUp.URL, false, true}, {"is away", away.URL, false, false}, {"says yes and breaks off", breaksOff.URL, true, false}} {
		for _, sender := range []mail.Sender{mail.NewMailgun(tc.url, "mg.acme.example", "k"), mail.NewSendGrid(tc.url, "k")} {
			err := sender.Send(t.Context(), message())
			if (err == nil) != tc.sent || maybeSent(err) != tc.unanswered || permanent(err) {
				t.Errorf("%T, a provider that %s: got %v, unanswered %v, want %v", sender, tc.name, err, maybeSent(err), tc.unanswered)
			}
		}
	}
}
