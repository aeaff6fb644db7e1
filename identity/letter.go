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

// mailer writes mails and mailed links, on top of access.
type mailer struct {
	*access
	mail        *mail.Writer
	sealer      *secret.Sealer
	issuer      string
	recovery    bool // links to reset a password are mailed
	mailboxWait func(ctx context.Context, kind, emailKey string) (time.Duration, error)
	wake        func()
}

// mailTo is a mail to a user.
func (ml *mailer) mailTo(u *storage.User, l templates.Mail, dedupe string) (*storage.Message, error) {
	if ml.mail == nil {
		return nil, errors.New("identity: nothing to write mails with")
	}
	return ml.mail.Message(mail.Address{Email: u.Email, Name: u.Profile.Name, User: u.ID}, l, dedupe)
}

// notify is a mail about an event of the account; none if the address is not verified.
func (ml *mailer) notify(u *storage.User, l templates.Mail) ([]*storage.Message, error) {
	if !u.EmailVerified() {
		return nil, nil
	}
	m, err := ml.mailTo(u, l, "")
	if err != nil {
		return nil, err
	}
	return []*storage.Message{m}, nil
}

// withTime is o with a time.
func (ml *mailer) withTime(o request.Info) request.Info {
	if o.At.IsZero() {
		o.At = ml.currentTime()
	}
	return o
}

// withOrigin adds the device and network of an action to its event.
func withOrigin(e *storage.Event, o request.Info) *storage.Event {
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

// linkPayload is the content of a mailed link.
type linkPayload struct {
	// EmailKey is the address that the link was mailed to; it verifies no other.
	EmailKey string `json:"email_key"`
	// The following are for a registration.
	Email        string `json:"email,omitempty"`
	Name         string `json:"name,omitempty"`
	PasswordHash string `json:"password_hash,omitempty"`
	// Flow and To are where the browser that asked for the link goes on.
	Flow string `json:"flow,omitempty"`
	To   string `json:"to,omitempty"`
}

// newLink makes a link and its token.
func (ml *mailer) newLink(purpose string, userID uuid.UUID, life time.Duration, to linkPayload) (token string,
	l *storage.Link, err error) {
	token = secret.NewToken("")
	now := ml.currentTime()
	l = &storage.Link{Hash: secret.HashOf(token), Purpose: purpose, UserID: userID, CreatedAt: now,
		ExpiresAt: now.Add(life)}
	l.Payload, err = ml.seal(to, "links.payload "+l.Hash.String())
	return token, l, err
}

// openLink returns the content of a link. A link sealed under a removed key no longer works.
func (ml *mailer) openLink(l *storage.Link) (to linkPayload, err error) {
	if ml.unseal(l.Payload, "links.payload "+l.Hash.String(), &to) != nil {
		return to, ErrLink
	}
	return to, nil
}

// sealed is an encrypted document in the database.
type sealed struct {
	Sealed []byte `json:"sealed"`
}

// seal encrypts v and binds it to its place in the database.
func (ml *mailer) seal(v any, place string) (json.RawMessage, error) {
	if ml.sealer == nil {
		return nil, errors.New("identity: nothing to seal with")
	}
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	box, err := ml.sealer.Seal(plain, []byte(place))
	if err != nil {
		return nil, err
	}
	return json.Marshal(sealed{box})
}

func (ml *mailer) unseal(document json.RawMessage, place string, v any) error {
	var s sealed
	if err := json.Unmarshal(document, &s); err != nil {
		return err
	}
	plain, err := ml.sealer.Open(s.Sealed, []byte(place))
	if err != nil {
		return err
	}
	return json.Unmarshal(plain, v)
}
