package mail_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/mail"
	"github.com/sallyport-id/sallyport/internal/outbox"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

func sealed(t *testing.T, in *installation) *storage.Message {
	t.Helper()
	m, err := mail.NewWriter(in.sealer, issuer).Message(mail.Address{Email: "bob@acme-corp.com", User: uuid.New()}, templates.NewDevice{AccountLink: issuer + "/account"}, "")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// A copy of the database lets nobody in: neither link nor address is to be read,
// and none opens in another row's place.
func TestWaitingMailIsSealed(t *testing.T) {
	_, mails := newDeliverer(t, &provider{})
	in := &installation{}
	in.sealer, _ = newDeliverer(t, &provider{})
	a, b := sealed(t, in), sealed(t, in)
	if text := string(a.Payload); strings.Contains(text, "acme-corp") || strings.Contains(text, "https") {
		t.Errorf("payload: got %s", text)
	}
	if m, err := mails.Open(a); err != nil || m.To.Email != "bob@acme-corp.com" || !strings.Contains(m.Text, issuer+"/account") {
		t.Errorf("opened: got %+v, %v", m, err)
	}
	a.Payload, b.Payload = b.Payload, a.Payload
	if _, err := mails.Open(a); !errors.Is(err, secret.ErrTampered) || !permanent(err) {
		t.Errorf("in another row's place: got %v, want %v for good", err, secret.ErrTampered)
	}
	if _, err := mails.Open(&storage.Message{ID: uuid.New(), Payload: []byte(`{}`)}); !errors.Is(err, outbox.ErrCleared) {
		t.Errorf("cleared: got %v, want %v", err, outbox.ErrCleared)
	}
}

// RS-01, RS-02: whatever a request said, mail goes to one address and links here.
func TestMailLinksToThisServerAlone(t *testing.T) {
	sealer, _ := newDeliverer(t, &provider{})
	w := mail.NewWriter(sealer, issuer)
	bob := mail.Address{Email: "bob@acme-corp.com"}
	for _, link := range []string{"https://evil.example/verify", issuer + ".evil.example/", issuer + "@evil.example/", "javascript:alert(1)", "/verify", "http://id.acme.example/verify"} {
		if _, err := w.Message(bob, templates.VerifyEmail{Link: link}, ""); err == nil || strings.Contains(err.Error(), link) {
			t.Errorf("%q: got %v, want it refused and not repeated", link, err)
		}
		if _, err := w.Message(bob, templates.AlreadyRegistered{SignInLink: issuer + "/login", RecoverLink: link}, ""); err == nil {
			t.Errorf("%q as the second link: got no error", link)
		}
	}
	for _, email := range []string{"", "a@x.example, b@y.example", "bob@x.example\nBcc: c@d.example"} {
		if _, err := w.Message(mail.Address{Email: email}, templates.NewDevice{}, ""); err == nil {
			t.Errorf("%q: got no error", email)
		}
	}
	m, err := w.Message(bob, templates.NewDevice{AccountLink: issuer}, "once")
	if err != nil || m.Dedupe != "once" || m.Kind != mail.Kind {
		t.Errorf("got %+v, %v", m, err)
	}
}

// Development shows what it did not send; everywhere else the link goes with the mail.
func TestOnlyTheOutboxKeepsDeliveredMail(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		for _, sender := range []mail.Sender{mail.Outbox{}, mail.Discard{}, in.provider} {
			_, in.mails = newDeliverer(t, sender)
			in.write(t, 1)
			n := in.start(t, in.store, nil)
			n.expect(t, "mail delivered")
			n.stop()
			kept, err := in.store.Outbox.List(t.Context(), mail.Kind, uuid.Nil, 10)
			if err != nil || len(kept) != 1 {
				t.Fatalf("%T: got %v, %v, want the outbox's mail alone", sender, kept, err)
			}
			if m, err := in.mails.Open(kept[0]); err != nil || m.To.Email != "bob0@acme-corp.com" {
				t.Errorf("%T: opening what the outbox delivered: got %+v, %v", sender, m, err)
			}
		}
	})
}

// What somebody asked for whose address may have no account is nobody's to keep, not
// even in development.
func TestADecidedRequestLeavesNothing(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		_, in.mails = newDeliverer(t, mail.Outbox{})
		n := in.start(t, in.store, map[string]outbox.Handler{"recovery.requested": {Deliver: func(context.Context, *storage.Message) error { return nil }}})
		if err := in.store.Outbox.Add(t.Context(), &storage.Message{Kind: "recovery.requested", Payload: []byte(`{"sealed":"x"}`)}); err != nil {
			t.Fatal(err)
		}
		n.expect(t, "recovery.requested delivered")
		if left, err := in.store.Outbox.List(t.Context(), "recovery.requested", uuid.Nil, 10); err != nil || len(left) != 0 {
			t.Errorf("got %v, %v, want nothing", left, err)
		}
	})
}

// Servers repeat the address in their own spelling; neither the log nor the row may.
func TestNoRefusalNamesTheRecipient(t *testing.T) {
	p := &provider{fail: func(m *mail.Message) error {
		return errors.New("550 <BOB@xn--bcher-kva.example>: unknown; bob@xn--bcher-kva.example and Bob@B\u00fccher.example too")
	}}
	sealer, mails := newDeliverer(t, p)
	m, err := mail.NewWriter(sealer, issuer).Message(mail.Address{Email: "Bob@b\u00fccher.example"}, templates.NewDevice{AccountLink: issuer}, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := mails.Deliver(t.Context(), m); err == nil || strings.Contains(strings.ToLower(err.Error()), "bob") {
		t.Errorf("got %v, want it not to name anybody", err)
	}
}

// Nothing erases what an event says of people without an account, nor what comes after the account is gone.
func TestTheEventOfAMailThatIsGivenUpNamesNoAddress(t *testing.T) {
	in := &installation{}
	in.sealer, in.mails = newDeliverer(t, &provider{})
	m := sealed(t, in)
	e := in.mails.Handler().GivenUp(m)
	if facts := fmt.Sprint(e.Facts); e.Type != "mail.undeliverable" || !strings.Contains(facts, "newdevice") ||
		e.User == uuid.Nil || strings.Contains(fmt.Sprint(e), "@") || len(e.Personal) > 0 {
		t.Errorf("got %+v, want the mail and the person without an address", e)
	}
	m.Payload = []byte(`{"mail":"newdevice","sealed":"AAAA"}`)
	if e := in.mails.Handler().GivenUp(m); !strings.Contains(fmt.Sprint(e.Facts), "newdevice") || e.User != uuid.Nil {
		t.Errorf("unreadable: got %+v, want the mail and nobody", e)
	}
}

// A copy that is sent again has the Message-ID of the first, so that mailboxes can tell.
func TestEachTryHasTheSameMessageID(t *testing.T) {
	p := &provider{}
	in := &installation{}
	in.sealer, in.mails = newDeliverer(t, p)
	m := sealed(t, in)
	if err := errors.Join(in.mails.Deliver(t.Context(), m), in.mails.Deliver(t.Context(), m)); err != nil {
		t.Fatal(err)
	}
	if got := p.got(); len(got) != 2 || got[0].ID != got[1].ID || !strings.HasSuffix(got[0].ID, "@acme.example") {
		t.Errorf("got %v, want two with one Message-ID", got)
	}
}
