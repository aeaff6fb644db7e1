package mail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/outbox"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// Kind is the kind of outbox messages that are mails.
const Kind = "mail"

// envelope is the sealed content of a mail's message.
type envelope struct {
	Email string          `json:"email"`
	Name  string          `json:"name,omitempty"`
	User  uuid.UUID       `json:"user,omitzero"`
	Mail  json.RawMessage `json:"mail"`
}

// Writer puts mails into the form in which they wait.
type Writer struct {
	sealer *secret.Sealer
	issuer string
}

// NewWriter returns a Writer for the server at issuer.
func NewWriter(sealer *secret.Sealer, issuer string) *Writer {
	return &Writer{sealer: sealer, issuer: issuer}
}

// Message returns m to be written in the transaction of what it tells about. A
// second one with the same dedupe, unless that is empty, is not sent.
//
// It fails if the address is not one plain address, or if m links to anywhere but
// this server: a caller that took a link from a request is stopped here.
func (w *Writer) Message(to Address, m templates.Mail, dedupe string) (*storage.Message, error) {
	if _, err := to.mailbox(); err != nil {
		return nil, fmt.Errorf("write a mail: %w", err)
	}
	for _, link := range templates.MailLinks(m) {
		if link != w.issuer && !strings.HasPrefix(link, w.issuer+"/") {
			return nil, fmt.Errorf("write a mail: %s links to another server", templates.MailKind(m))
		}
	}
	inner, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("write a mail: %w", err)
	}
	out, err := outbox.Seal(w.sealer, Kind, templates.MailKind(m),
		envelope{Email: to.Email, Name: to.Name, User: to.User, Mail: inner})
	if err != nil {
		return nil, fmt.Errorf("write a mail: %w", err)
	}
	out.Dedupe = dedupe
	return out, nil
}

// DelivererConfig is what a Deliverer needs.
type DelivererConfig struct {
	Sender    Sender
	Templates *templates.Templates
	Sealer    *secret.Sealer
	From      Address
	// Name takes the place of From's, anew for each mail; nil leaves it.
	Name func() string
}

// Deliverer delivers messages of kind "mail".
type Deliverer struct{ c DelivererConfig }

// NewDeliverer returns a Deliverer over c. It fails if mail cannot come from c.From.
func NewDeliverer(c DelivererConfig) (*Deliverer, error) {
	if _, err := c.From.mailbox(); err != nil {
		return nil, fmt.Errorf("the sender of mails: %w", err)
	}
	return &Deliverer{c}, nil
}

// Handler registers d with an outbox worker. Only the sender of development keeps what was delivered.
func (d *Deliverer) Handler() outbox.Handler {
	_, shown := d.c.Sender.(Outbox)
	return outbox.Handler{Deliver: d.Deliver, Timeout: sendTimeout, Keep: shown, GivenUp: d.givenUp}
}

// Deliver opens, renders and sends one message. Its error does not name the recipient.
func (d *Deliverer) Deliver(ctx context.Context, m *storage.Message) error {
	letter, err := d.Open(m)
	if err != nil {
		return err
	}
	err = d.c.Sender.Send(ctx, letter)
	if err == nil {
		return nil
	}
	mailbox, _ := letter.To.mailbox()
	unnamed := withoutRecipient(err, letter.To.Email, mailbox)
	if f, ok := errors.AsType[*outbox.Failure](err); ok {
		return &outbox.Failure{Err: unnamed, Permanent: f.Permanent, MaybeSent: f.MaybeSent}
	}
	return unnamed
}

// withoutRecipient is err without the recipient's addresses, whatever their case, which servers may change.
func withoutRecipient(err error, addresses ...string) error {
	text := err.Error()
	for _, a := range addresses {
		if a != "" {
			text = regexp.MustCompile(`(?i)`+regexp.QuoteMeta(a)).ReplaceAllLiteralString(text, "(the recipient)")
		}
	}
	return errors.New(text)
}

// Open returns the letter that waits, or was kept, in m. Errors are those of outbox.Open; that of a mail which a newer
// node wrote, while nodes are being updated, is not permanent: the newer node will deliver it.
func (d *Deliverer) Open(m *storage.Message) (*Message, error) {
	var e envelope
	if err := outbox.Open(d.c.Sealer, m, &e); err != nil {
		return nil, err
	}
	mail, err := templates.DecodeMail(outbox.Name(m), e.Mail)
	if err != nil {
		return nil, errors.New("this version knows no mail " + outbox.Name(m))
	}
	letter, err := d.c.Templates.RenderMail(mail)
	if err != nil {
		return nil, err
	}
	from := d.c.From
	if d.c.Name != nil {
		from.Name = d.c.Name()
	}
	return &Message{ID: m.ID.String() + "@" + from.domain(), At: m.CreatedAt, From: from,
		To: Address{Email: e.Email, Name: e.Name, User: e.User}, Subject: letter.Subject, HTML: letter.HTML, Text: letter.Text}, nil
}

// givenUp is the event of a mail that was given up: which one and, if the recipient has an account, whose. It never has
// the address: nothing would erase one without an account, or one whose account went before its last mail came back.
func (d *Deliverer) givenUp(m *storage.Message) *storage.Event {
	var e envelope
	_ = outbox.Open(d.c.Sealer, m, &e) // without its content it is about no user
	return &storage.Event{Type: storage.EventMailUndeliverable, User: e.User,
		Facts: map[string]any{"mail": outbox.Name(m), "tries": m.Attempts}}
}
