package mail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// Kind is the kind of outbox messages that a Postman delivers.
const Kind = "mail"

// payload is what the database sees of a mail: which one, and nothing of whom it
// is for and what it links to.
type payload struct {
	Mail   string `json:"mail"`
	Sealed []byte `json:"sealed"`
}

// envelope is what payload seals.
type envelope struct {
	Email string          `json:"email"`
	Name  string          `json:"name,omitempty"`
	User  uuid.UUID       `json:"user,omitzero"`
	Mail  json.RawMessage `json:"mail"`
}

// sealedTo binds a payload to its row.
func sealedTo(id uuid.UUID) []byte { return []byte("outbox.payload " + id.String()) }

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
	plain, err := json.Marshal(envelope{Email: to.Email, Name: to.Name, User: to.User, Mail: inner})
	if err != nil {
		return nil, fmt.Errorf("write a mail: %w", err)
	}
	id := uuid.Must(uuid.NewV7())
	sealed, err := w.sealer.Seal(plain, sealedTo(id))
	if err != nil {
		return nil, fmt.Errorf("write a mail: %w", err)
	}
	data, err := json.Marshal(payload{Mail: templates.MailKind(m), Sealed: sealed})
	if err != nil {
		return nil, fmt.Errorf("write a mail: %w", err)
	}
	return &storage.Message{ID: id, Kind: Kind, Dedupe: dedupe, Payload: data}, nil
}

// PostmanConfig is what a Postman needs.
type PostmanConfig struct {
	Sender    Sender
	Templates *templates.Templates
	Sealer    *secret.Sealer
	From      Address
	// Name takes the place of From's, anew for each mail; nil leaves it.
	Name func() string
}

// Postman delivers messages of kind "mail".
type Postman struct{ c PostmanConfig }

// NewPostman returns a Postman over c. It fails if mail cannot come from c.From.
func NewPostman(c PostmanConfig) (*Postman, error) {
	if _, err := c.From.mailbox(); err != nil {
		return nil, fmt.Errorf("the sender of mails: %w", err)
	}
	return &Postman{c}, nil
}

// Keep reports whether delivered mails keep what they said, for a page to show.
func (p *Postman) Keep() bool {
	_, shown := p.c.Sender.(Outbox)
	return shown
}

// Deliver opens, renders and sends one message. Its error does not name the recipient.
func (p *Postman) Deliver(ctx context.Context, m *storage.Message) error {
	letter, err := p.Open(m)
	if err != nil {
		return err
	}
	err = p.c.Sender.Send(ctx, letter)
	if err == nil {
		return nil
	}
	mailbox, _ := letter.To.mailbox()
	told := errors.New(reason(err, letter.To.Email, mailbox))
	if f, ok := errors.AsType[*failure](err); ok {
		return &failure{err: told, hopeless: f.hopeless, unanswered: f.unanswered}
	}
	return told
}

// Open returns the letter that waits, or was kept, in m. One that no key opens any
// more is for another try: the operator may bring the key back. The error of one
// whose payload was cleared is [ErrCleared].
func (p *Postman) Open(m *storage.Message) (*Message, error) {
	_, e, mail, err := p.unseal(m)
	if err != nil {
		return nil, err
	}
	letter, err := p.c.Templates.RenderMail(mail)
	if err != nil {
		return nil, err
	}
	from := p.c.From
	if p.c.Name != nil {
		from.Name = p.c.Name()
	}
	return &Message{ID: m.ID.String() + "@" + from.domain(), At: m.CreatedAt, From: from,
		To: Address{Email: e.Email, Name: e.Name, User: e.User}, Subject: letter.Subject, HTML: letter.HTML, Text: letter.Text}, nil
}

// ErrCleared: the message was delivered or given up, and what it said is gone.
var ErrCleared = errors.New("the mail's content is gone")

func (p *Postman) unseal(m *storage.Message) (kind string, e envelope, mail templates.Mail, err error) {
	var outer payload
	if err := json.Unmarshal(m.Payload, &outer); err != nil {
		return "", e, nil, GiveUp(errors.New("the mail cannot be read"))
	}
	if outer.Sealed == nil {
		return outer.Mail, e, nil, GiveUp(ErrCleared)
	}
	plain, err := p.c.Sealer.Open(outer.Sealed, sealedTo(m.ID))
	switch {
	case errors.Is(err, secret.ErrNoKey):
		return outer.Mail, e, nil, err
	case err != nil:
		return outer.Mail, e, nil, GiveUp(err)
	}
	if err := json.Unmarshal(plain, &e); err != nil {
		return outer.Mail, e, nil, GiveUp(errors.New("the mail cannot be read"))
	}
	if mail, err = templates.DecodeMail(outer.Mail, e.Mail); err != nil {
		// A newer node's, while nodes are being updated: that one will deliver it.
		return outer.Mail, e, nil, errors.New("this version knows no mail " + outer.Mail)
	}
	return outer.Mail, e, mail, nil
}

// MailKind is the name of the mail in m, such as "verifyemail".
func (p *Postman) MailKind(m *storage.Message) string {
	var outer payload
	if json.Unmarshal(m.Payload, &outer) != nil {
		return ""
	}
	return outer.Mail
}

// Undeliverable is the event of a mail that was given up: which one and, where it
// was for somebody with an account, whose. Never the address: nothing would erase
// one that has no account, or whose account went before its last mail came back.
func (p *Postman) Undeliverable(m *storage.Message) *storage.Event {
	kind, to, _, _ := p.unseal(m)
	return &storage.Event{Type: storage.EventMailUndeliverable, User: to.User, Facts: map[string]any{"mail": kind, "tries": m.Attempts}}
}
