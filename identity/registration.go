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
func (rg *Registrations) Mode() string { return rg.registration }

// ConfirmsEmail reports whether an account is made only once its address is proven.
func (rg *Registrations) ConfirmsEmail() bool { return rg.accounts.confirmEmail }

// registrationRequested is the kind of message that decides a registration.
const registrationRequested = "registration.requested"

// requestedRegistration is its payload, sealed.
type requestedRegistration struct {
	linkPayload
	Browser   secret.Hash
	From      request.Info
	RequestID string
}

// Request is how accounts begin where CONFIRM_EMAIL is on: nothing is
// made before the address is proven. It does the same work for every address (one
// password hash, one row for a worker, which then decides) and has the same answer:
// nil. Who has an invitation may Register instead, which proves the address.
// Errors: FieldErrors, ErrRegistrationClosed, ErrLink for the invitation, secret.ErrBusy.
func (rg *Registrations) Request(ctx context.Context, r Registration) error {
	key, hash, err := rg.check(ctx, &r)
	if err != nil {
		return err
	}
	return rg.enqueueSealed(ctx, registrationRequested, requestedRegistration{
		linkPayload: linkPayload{EmailKey: key, Email: r.Email, Name: r.Name, PasswordHash: hash, Flow: r.Flow, To: r.To},
		Browser:     r.Browser, From: rg.withTime(r.From), RequestID: r.RequestID})
}

// ask leaves a question to a worker, so that whoever asked cannot tell by the
// answer, nor by the time it takes, what the database knows.
func (ml *mailer) enqueueSealed(ctx context.Context, kind string, question any) error {
	m, err := outbox.Seal(ml.sealer, kind, "", question)
	if err != nil {
		return err
	}
	defer ml.wake()
	return ml.store.Outbox.Add(ctx, m)
}

// Register makes an account at once: by invitation, proven and with its place in
// the organization; else, only where CONFIRM_EMAIL is off, with an address that is
// yet to be proven from the mail that goes out. passwordHash is the stored hash, to
// sign in with. Errors: FieldErrors, ErrRegistrationClosed, ErrRegistered, ErrLink for
// the invitation, ErrForbidden without one where CONFIRM_EMAIL is on, secret.ErrBusy.
func (rg *Registrations) Register(ctx context.Context, r Registration) (u *storage.User, passwordHash string,
	err error) {
	if r.Invitation == "" && rg.accounts.confirmEmail {
		return nil, "", fmt.Errorf("%w: the address is to be verified first", ErrForbidden)
	}
	key, hash, err := rg.check(ctx, &r)
	if err != nil {
		return nil, "", err
	}
	p := rg.newUnverifiedUser(linkPayload{EmailKey: key, Email: r.Email, Name: r.Name, PasswordHash: hash}, r.From, r.RequestID)
	if r.Invitation != "" {
		p.User.EmailVerifiedAt = p.User.CreatedAt
		_, err := rg.invitations.register(ctx, r.Invitation, p, r.RequestID)
		return &p.User, hash, err
	}
	made := &storage.Registration{Person: *p}
	if allowed, err := rg.mailboxAllowed(ctx, mailboxVerification, key); err != nil {
		return nil, "", err
	} else if allowed {
		var m *storage.Message
		if m, made.Next, err = rg.verificationMail(&p.User, r.From); err != nil {
			return nil, "", err
		}
		made.Mails = []*storage.Message{m}
	}
	defer rg.wake()
	return &p.User, hash, replaceError(rg.store.Register(ctx, made), map[error]error{storage.ErrExists: ErrRegistered})
}

// admit decides whether this registration may be at all, and fills in the address
// that an invitation was sent to. words are what the invitation brings to mind.
func (rg *Registrations) checkInvitation(ctx context.Context, r *Registration) (words []string, err error) {
	switch {
	case rg.registration == RegistrationClosed, rg.registration == RegistrationInvite && r.Invitation == "":
		return nil, ErrRegistrationClosed
	case r.Invitation == "":
		return nil, nil
	}
	invited, err := rg.invitations.Open(ctx, r.Invitation)
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

// check decides whether r is admitted, names all that is wrong with it, and hashes its password.
func (rg *Registrations) check(ctx context.Context, r *Registration) (key, hash string, err error) {
	words, err := rg.checkInvitation(ctx, r)
	if err != nil {
		return "", "", err
	}
	r.Email, r.Name = strings.TrimSpace(r.Email), strings.TrimSpace(r.Name)
	if key, err = rg.passwords.checkPerson(r.Email, r.Name, r.Password, words...); err != nil {
		return "", "", err
	}
	hash, err = rg.passwords.Hash(ctx, r.Password)
	return key, hash, err
}

// registrant is a person to make whose address is not proven yet.
func (rg *Registrations) newUnverifiedUser(l linkPayload, from request.Info, requestID string) *storage.NewUser {
	now := rg.currentTime()
	u := storage.User{ID: uuid.Must(uuid.NewV7()), Sub: uuid.New(), Email: l.Email, EmailKey: l.EmailKey,
		Profile: storage.Profile{Name: l.Name}, CreatedAt: now, UpdatedAt: now}
	e := &storage.Event{Type: storage.EventUserRegistered, User: u.ID, Actor: u.ID, RequestID: requestID,
		Personal: map[string]string{"email": u.Email}}
	return &storage.NewUser{User: u, PasswordHash: l.PasswordHash, Events: []*storage.Event{withOrigin(e, from)}}
}

// processRegistration is the worker's half of Request: whoever has the
// address learns what to do, and nobody else anything.
func (rg *Registrations) processRegistration(ctx context.Context, m *storage.Message) error {
	var r requestedRegistration
	if err := outbox.Open(rg.sealer, m, &r); err != nil {
		return err
	}
	if allowed, err := rg.mayMail(ctx, m, mailboxRegistration, r.EmailKey); err != nil || !allowed {
		return err
	}
	u, err := rg.store.UserByEmail(ctx, r.EmailKey)
	if ignoreNotFound(err) != nil {
		return err
	}
	defer rg.wake()
	if err == nil && (u.EmailVerified() || !u.Active()) {
		note, err := rg.mailTo(u, templates.AlreadyRegistered{Name: u.Profile.Name, SignInLink: rg.issuer + "/login",
			RecoverLink: rg.recoverLink(), From: r.From}, dedupeKey(m))
		if err != nil {
			return outbox.Permanent(err)
		}
		return rg.store.Outbox.Add(ctx, note)
	}
	token, l, err := rg.newLink(storage.LinkRegister, uuid.Nil, verifyLife, r.linkPayload)
	if err != nil {
		return err
	}
	l.Browser = r.Browser
	note, err := rg.mailTo(&storage.User{Email: r.Email, Profile: storage.Profile{Name: r.Name}},
		templates.CompleteRegistration{Name: r.Name, Link: rg.issuer + "/verify?token=" + token, ValidFor: verifyLife,
			From: r.From}, dedupeKey(m))
	if err != nil {
		return outbox.Permanent(err)
	}
	// No event: whoever finishes it is one, and strangers ask for as many as they like.
	// The worker counts the requests.
	return rg.store.CreateLink(ctx, l, nil, note)
}
