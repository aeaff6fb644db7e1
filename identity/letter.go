package identity

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/mail"
	"github.com/sallyport-id/sallyport/internal/request"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// mailer writes mails and the links in them, on top of access.
type mailer struct {
	*access
	mail        *mail.Writer
	sealer      *secret.Sealer
	issuer      string
	recovery    bool // links to reset a password are mailed
	mailboxWait func(ctx context.Context, kind, emailKey string) (time.Duration, error)
	wake        func()
}

// mailTo is a mail to a person.
func (i *mailer) mailTo(u *storage.User, l templates.Mail, dedupe string) (*storage.Message, error) {
	if i.mail == nil {
		return nil, errors.New("identity: nothing to write mails with")
	}
	return i.mail.Message(mail.Address{Email: u.Email, Name: u.Profile.Name, User: u.ID}, l, dedupe)
}

// notify is a mail that tells a person what happened to their account; none where
// the address is not known to be theirs.
func (i *mailer) notify(u *storage.User, l templates.Mail) ([]*storage.Message, error) {
	if !u.EmailVerified() {
		return nil, nil
	}
	m, err := i.mailTo(u, l, "")
	if err != nil {
		return nil, err
	}
	return []*storage.Message{m}, nil
}

// timed is where an act came from, at a time that is never zero.
func (i *mailer) timed(o request.Info) request.Info {
	if o.At.IsZero() {
		o.At = i.clock()
	}
	return o
}

// origin adds to an event where the act came from.
func origin(e *storage.Event, o request.Info) *storage.Event {
	for name, value := range map[string]string{"device": o.Device, "network": o.Network} {
		if value == "" {
			continue
		}
		if e.Personal == nil {
			e.Personal = map[string]string{}
		}
		e.Personal[name] = value
	}
	return e
}

// linked is what a mailed link stands for.
type linked struct {
	// EmailKey is the address that it was mailed to: it proves no other.
	EmailKey string `json:"email_key"`
	// The rest is of a registration.
	Email        string `json:"email,omitempty"`
	Name         string `json:"name,omitempty"`
	PasswordHash string `json:"password_hash,omitempty"`
	// Flow and To are where whoever asked goes on, in the same browser.
	Flow string `json:"flow,omitempty"`
	To   string `json:"to,omitempty"`
}

// newLink makes a link and the token that is mailed.
func (i *mailer) newLink(purpose string, userID uuid.UUID, life time.Duration, to linked) (token string,
	l *storage.Link, err error) {
	token = secret.NewToken("")
	now := i.clock()
	l = &storage.Link{Hash: secret.HashOf(token), Purpose: purpose, UserID: userID, CreatedAt: now,
		ExpiresAt: now.Add(life)}
	l.Payload, err = i.seal(to, "links.payload "+l.Hash.String())
	return token, l, err
}

// openLink is what a link stands for. One that was sealed under a key that is gone
// does not work any more.
func (i *mailer) openLink(l *storage.Link) (to linked, err error) {
	if i.unseal(l.Payload, "links.payload "+l.Hash.String(), &to) != nil {
		return to, ErrLink
	}
	return to, nil
}

// sealed is a document in the database that only this server reads.
type sealed struct {
	Sealed []byte `json:"sealed"`
}

// seal binds v to the place it is kept in.
func (i *mailer) seal(v any, place string) (json.RawMessage, error) {
	if i.sealer == nil {
		return nil, errors.New("identity: nothing to seal with")
	}
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	box, err := i.sealer.Seal(plain, []byte(place))
	if err != nil {
		return nil, err
	}
	return json.Marshal(sealed{box})
}

func (i *mailer) unseal(document json.RawMessage, place string, v any) error {
	var s sealed
	if err := json.Unmarshal(document, &s); err != nil {
		return err
	}
	plain, err := i.sealer.Open(s.Sealed, []byte(place))
	if err != nil {
		return err
	}
	return json.Unmarshal(plain, v)
}
