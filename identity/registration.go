package identity

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/outbox"
	"github.com/sallyport-id/sallyport/internal/request"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// The values of REGISTRATION.
const (
	RegistrationOpen   = "true"   // anybody registers
	RegistrationInvite = "invite" // who was invited does
	RegistrationClosed = "false"  // nobody does
)

// verifyLife is how long a link proves an address.
const verifyLife = 24 * time.Hour

// maxPersonName is in characters.
const maxPersonName = 200

var (
	// ErrRegistrationClosed: this installation registers nobody, or nobody without an invitation.
	ErrRegistrationClosed = errors.New("registration is closed")
	// ErrRegistered: the address has an account already. It is told only to whoever
	// has shown that the address is theirs, or where CONFIRM_EMAIL is off.
	ErrRegistered = errors.New("the address has an account already")
	// ErrLink: the link was used, has expired, or never was one. Which is not told.
	ErrLink = errors.New("the link does not work")
	// ErrTooManyMails: the address was written to often enough for now.
	ErrTooManyMails = errors.New("too many mails to this address")
)

// Registration is what somebody typed who wants an account.
type Registration struct {
	Email, Name, Password string // Name may be empty
	// Browser is the hash of the browser's token: the same browser may finish
	// without the password. Zero if there is none, as for the JSON API.
	Browser secret.Hash
	// Flow and To are as in ReturnTo.
	Flow, To string
	// Invitation is the token of an invitation, "" for none. It proves the address
	// it was sent to, which Email must be; an empty Email stands for it.
	Invitation string
	From       request.Info
	RequestID  string
}

// ReturnTo is where somebody goes on after a mailed link, if they follow it in the
// browser that asked for it. Flow and To are opaque here, "" for none.
type ReturnTo struct {
	Browser  secret.Hash // of the browser's token; zero for none, as for the JSON API
	Flow, To string
}

// Mode is who may register: RegistrationOpen, RegistrationInvite or RegistrationClosed.
func (i *Registrations) Mode() string { return i.registration }

// ConfirmsEmail reports whether an account is made only once its address is proven.
func (i *Registrations) ConfirmsEmail() bool { return i.accounts.confirmEmail }

// registrationRequested is the kind of message that decides a registration.
const registrationRequested = "registration.requested"

// requestedRegistration is its payload, sealed.
type requestedRegistration struct {
	linked
	Browser   secret.Hash
	From      request.Info
	RequestID string
}

// Request is how accounts begin where CONFIRM_EMAIL is on: nothing is
// made before the address is proven. It does the same work for every address (one
// password hash, one row for a worker, which then decides) and has the same answer:
// nil. Who has an invitation may Register instead, which proves the address.
// Errors: FieldErrors, ErrRegistrationClosed, ErrLink for the invitation, secret.ErrBusy.
func (i *Registrations) Request(ctx context.Context, r Registration) error {
	words, err := i.admit(ctx, &r)
	if err != nil {
		return err
	}
	key, hash, err := i.check(ctx, &r, words)
	if err != nil {
		return err
	}
	return i.ask(ctx, registrationRequested, requestedRegistration{
		linked:  linked{EmailKey: key, Email: r.Email, Name: r.Name, PasswordHash: hash, Flow: r.Flow, To: r.To},
		Browser: r.Browser, From: i.timed(r.From), RequestID: r.RequestID})
}

// ask leaves a question to a worker, so that whoever asked cannot tell by the
// answer, nor by the time it takes, what the database knows.
func (i *mailer) ask(ctx context.Context, kind string, question any) error {
	m, err := outbox.Seal(i.sealer, kind, "", question)
	if err != nil {
		return err
	}
	if err := i.store.Enqueue(ctx, m); err != nil {
		return err
	}
	i.wake()
	return nil
}

// Register makes an account at once: by invitation, proven and with its place in
// the organization; else, only where CONFIRM_EMAIL is off, with an address that is
// yet to be proven from the mail that goes out. passwordHash is the stored hash, to
// sign in with. Errors: FieldErrors, ErrRegistrationClosed, ErrRegistered, ErrLink for
// the invitation, ErrForbidden without one where CONFIRM_EMAIL is on, secret.ErrBusy.
func (i *Registrations) Register(ctx context.Context, r Registration) (u *storage.User, passwordHash string,
	err error) {
	words, err := i.admit(ctx, &r)
	if err != nil {
		return nil, "", err
	}
	if r.Invitation == "" && i.accounts.confirmEmail {
		return nil, "", fmt.Errorf("%w: the address is to be proven first", ErrForbidden)
	}
	key, hash, err := i.check(ctx, &r, words)
	if err != nil {
		return nil, "", err
	}
	p := i.registrant(linked{EmailKey: key, Email: r.Email, Name: r.Name, PasswordHash: hash}, r.From, r.RequestID)
	if r.Invitation != "" {
		p.User.EmailVerifiedAt = p.User.CreatedAt
		_, err := i.invitations.register(ctx, r.Invitation, p, r.RequestID)
		return &p.User, hash, err
	}
	made := &storage.Registration{Person: *p}
	if allowed, err := i.mailboxAllowed(ctx, mailboxVerification, key); err != nil {
		return nil, "", err
	} else if allowed {
		var m *storage.Message
		if m, made.Next, err = i.verificationMail(&p.User, r.From); err != nil {
			return nil, "", err
		}
		made.Mails = []*storage.Message{m}
	}
	if err := i.store.Register(ctx, made); errors.Is(err, storage.ErrExists) {
		return nil, "", ErrRegistered
	} else if err != nil {
		return nil, "", err
	}
	i.wake()
	return &p.User, hash, nil
}

// admit decides whether this registration may be at all, and fills in the address
// that an invitation was sent to. words are what the invitation brings to mind.
func (i *Registrations) admit(ctx context.Context, r *Registration) (words []string, err error) {
	if i.registration == RegistrationClosed || i.registration == RegistrationInvite && r.Invitation == "" {
		return nil, ErrRegistrationClosed
	}
	if r.Invitation == "" {
		return nil, nil
	}
	invited, err := i.invitations.Open(ctx, r.Invitation)
	if err != nil {
		return nil, err
	}
	if r.Email == "" {
		r.Email = invited.Invitation.Email
	}
	if key, err := EmailKey(r.Email); err == nil && key != invited.Invitation.EmailKey {
		return nil, FieldErrors{{Field: "email", Problem: "is not the address that was invited",
			Remedy: "use that one, or ask for an invitation of this one"}}
	}
	return []string{invited.Organization.Name, invited.Organization.Slug}, nil
}

// check names everything that is wrong at once, and hashes the
// password of every registration that has nothing wrong.
func (i *Registrations) check(ctx context.Context, r *Registration, words []string) (key, hash string, err error) {
	r.Email, r.Name = strings.TrimSpace(r.Email), strings.TrimSpace(r.Name)
	if key, err = i.passwords.checkPerson(r.Email, r.Name, r.Password, words...); err != nil {
		return "", "", err
	}
	hash, err = i.passwords.Hash(ctx, r.Password)
	return key, hash, err
}

// registrant is a person to make whose address is not proven yet.
func (i *Registrations) registrant(l linked, from request.Info, requestID string) *storage.NewUser {
	now := i.clock()
	u := storage.User{ID: uuid.Must(uuid.NewV7()), Sub: uuid.New(), Email: l.Email, EmailKey: l.EmailKey,
		Profile: storage.Profile{Name: l.Name}, CreatedAt: now, UpdatedAt: now}
	e := &storage.Event{Type: storage.EventUserRegistered, User: u.ID, Actor: u.ID, RequestID: requestID,
		Personal: map[string]string{"email": u.Email}}
	return &storage.NewUser{User: u, PasswordHash: l.PasswordHash, Events: []*storage.Event{origin(e, from)}}
}

// processRegistration is the worker's half of Request: whoever has the
// address learns what to do, and nobody else anything.
func (i *Registrations) processRegistration(ctx context.Context, m *storage.Message) error {
	var r requestedRegistration
	if err := outbox.Open(i.sealer, m, &r); err != nil {
		return err
	}
	if allowed, err := i.mayMail(ctx, m, mailboxRegistration, r.EmailKey); err != nil || !allowed {
		return err
	}
	u, err := i.store.UserByEmail(ctx, r.EmailKey)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		u = nil
	case err != nil:
		return err
	}
	defer i.wake()
	if u != nil && (u.EmailVerified() || !u.Active()) {
		note, err := i.mailTo(u, templates.AlreadyRegistered{Name: u.Profile.Name, SignInLink: i.issuer + "/login",
			RecoverLink: i.recoverLink(), From: r.From}, dedupe(m))
		if err != nil {
			return outbox.Permanent(err)
		}
		return i.store.Enqueue(ctx, note)
	}
	token, l, err := i.newLink(storage.LinkRegister, uuid.Nil, verifyLife, r.linked)
	if err != nil {
		return err
	}
	l.Browser = r.Browser
	note, err := i.mailTo(&storage.User{Email: r.Email, Profile: storage.Profile{Name: r.Name}},
		templates.CompleteRegistration{Name: r.Name, Link: i.issuer + "/verify?token=" + token, ValidFor: verifyLife,
			From: r.From}, dedupe(m))
	if err != nil {
		return outbox.Permanent(err)
	}
	// No event: whoever finishes it is one, and strangers ask for as many as they like.
	// The worker counts the requests.
	return i.store.CreateLink(ctx, l, nil, note)
}
