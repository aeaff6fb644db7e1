package harness

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/mail"
	"github.com/sallyport-id/sallyport/storage"
	face "github.com/sallyport-id/sallyport/templates"
)

// Mail is a mail that the server has written, sent or not.
type Mail struct {
	To, Subject, Text, HTML string
	// Link is the one of its button, "" if it has none.
	Link string
}

// Mail returns the mails to an address, however it is written, the oldest first.
// It waits until every request for a mail that came before it is decided.
func (s *Server) Mail(t testing.TB, to string) []Mail {
	t.Helper()
	key, err := identity.EmailKey(to)
	if err != nil {
		t.Fatal(err)
	}
	var found []Mail
	for _, m := range s.AllMail(t) {
		if mine, err := identity.EmailKey(m.To); err == nil && mine == key {
			found = append(found, m)
		}
	}
	return found
}

// LastMail returns the newest mail to an address; there must be one.
func (s *Server) LastMail(t testing.TB, to string) Mail {
	t.Helper()
	all := s.Mail(t, to)
	if len(all) == 0 {
		t.Fatalf("there is no mail to %s", to)
	}
	return all[len(all)-1]
}

// AllMail returns the mails to everybody, the oldest first.
func (s *Server) AllMail(t testing.TB) []Mail {
	t.Helper()
	s.Settle(t)
	pages, err := face.New(face.Brand{})
	if err != nil {
		t.Fatal(err)
	}
	mails, err := mail.NewDeliverer(mail.DelivererConfig{Sender: mail.Outbox{}, Templates: pages, Sealer: s.App.Sealer, From: mail.Address{Email: "server@example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	messages, err := s.App.Store.Outbox.List(t.Context(), mail.Kind, uuid.Nil, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var all []Mail
	for _, m := range slices.Backward(messages) {
		letter, err := mails.Open(m)
		if err != nil {
			t.Fatalf("a mail cannot be read: %v", err)
		}
		all = append(all, Mail{To: letter.To.Email, Subject: letter.Subject, Text: letter.Text, HTML: letter.HTML, Link: linkIn(letter.Text, s.Issuer)})
	}
	return all
}

// linkIn is the first line of a text that is an address of the issuer.
func linkIn(text, issuer string) string {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, issuer+"/") {
			return line
		}
	}
	return ""
}

// Settle decides everything that the server was asked for and has put off: the
// requests whose answer must not tell whether an address exists. Mails themselves
// may wait on.
func (s *Server) Settle(t testing.TB) {
	t.Helper()
	handlers := s.App.Identity.MessageHandlers()
	for end := time.Now().Add(patience); ; <-time.After(2 * time.Millisecond) {
		waiting := 0
		for kind, handler := range handlers {
			// The server's own worker may have leased some already: those are waited for.
			mine, err := s.App.Store.Outbox.Lease(t.Context(), kind, 100, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range mine {
				if err := handler.Deliver(t.Context(), m); err != nil {
					t.Fatalf("%s: %v", kind, err)
				}
				if err := s.App.Store.Outbox.Finish(t.Context(), m, false); err != nil {
					t.Fatal(err)
				}
			}
			waiting += s.undecided(t, kind)
		}
		if waiting == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d requests are not decided", waiting)
		}
	}
}

func (s *Server) undecided(t testing.TB, kind string) int {
	t.Helper()
	messages, err := s.App.Store.Outbox.List(t.Context(), kind, uuid.Nil, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return len(slices.DeleteFunc(messages, func(m *storage.Message) bool {
		later := m.Attempts == 0 && m.AvailableAt.After(s.Clock.Now())
		return later || !m.DoneAt.IsZero()
	}))
}
