package mail_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/mail"
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
	_, postman := newPostman(t, &provider{})
	in := &installation{}
	in.sealer, _ = newPostman(t, &provider{})
	a, b := sealed(t, in), sealed(t, in)
	if text := string(a.Payload); strings.Contains(text, "acme-corp") || strings.Contains(text, "https") {
		t.Errorf("payload: got %s", text)
	}
	if m, err := postman.Open(a); err != nil || m.To.Email != "bob@acme-corp.com" || !strings.Contains(m.Text, issuer+"/account") {
		t.Errorf("opened: got %+v, %v", m, err)
	}
	a.Payload, b.Payload = b.Payload, a.Payload
	if _, err := postman.Open(a); !errors.Is(err, secret.ErrTampered) || !mail.Permanent(err) {
		t.Errorf("in another row's place: got %v, want %v for good", err, secret.ErrTampered)
	}
	if _, err := postman.Open(&storage.Message{ID: uuid.New(), Payload: []byte(`{}`)}); !errors.Is(err, mail.ErrCleared) {
		t.Errorf("cleared: got %v, want %v", err, mail.ErrCleared)
	}
}

// RS-01, RS-02: whatever a request said, mail goes to one address and links here.
func TestMailLinksToThisServerAlone(t *testing.T) {
	sealer, _ := newPostman(t, &provider{})
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
		for _, tc := range []struct {
			sender mail.Sender
			keep   bool
		}{{mail.Outbox{}, true}, {mail.Nowhere{}, false}, {in.provider, false}} {
			_, in.postman = newPostman(t, tc.sender)
			in.write(t, 1)
			n := in.start(t, in.store, nil)
			n.expect(t, "mail delivered")
			n.stop()
			all, err := in.store.Messages(t.Context(), mail.Kind, uuid.Nil, 1)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := in.postman.Open(all[0]); (err == nil) != tc.keep {
				t.Errorf("%T: opening what was delivered: got %v, want it kept %v", tc.sender, err, tc.keep)
			}
		}
	})
}
