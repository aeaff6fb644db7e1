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
	RegistrationOpen   = "true"   // everyone may register
	RegistrationInvite = "invite" // only with an invitation
	RegistrationClosed = "false"  // no registration
)

// verifyLife is how long a link to verify an address is valid.
const verifyLife = 24 * time.Hour

// maxPersonName is in characters.
const maxPersonName = 200

var (
	// ErrRegistrationClosed: this installation allows no registration, or none without an invitation.
	ErrRegistrationClosed = errors.New("registration is closed")
	// ErrRegistered: the address has an account already. It is returned only to a caller who has proven to own the
	// address, or if CONFIRM_EMAIL is off.
	ErrRegistered = errors.New("the address has an account already")
	// ErrLink: the link was used, has expired, or never existed. The caller does not learn which.
	ErrLink = errors.New("the link does not work")
	// ErrTooManyMails: too many mails were sent to the address recently.
	ErrTooManyMails = errors.New("too many mails to this address")
)

// Registration is the input of a person who wants an account.
type Registration struct {
	Email, Name, Password string // Name may be empty
	// Browser is the hash of the browser's token: this browser may finish without the password. Zero if there is none,
	// as for the JSON API.
	Browser secret.Hash
	// Flow and To are as in ReturnTo.
	Flow, To string
	// Invitation is the token of an invitation, "" for none. It verifies the address that it was sent to, which Email
	// must be; an empty Email means that address.
	Invitation string
	From       request.Info
	RequestID  string
}

// ReturnTo is where a user goes on after a mailed link, if they open it in the browser that asked for it. This package
// does not interpret Flow and To; "" is none.
type ReturnTo struct {
	Browser  secret.Hash // of the browser's token; zero for none, as for the JSON API
	Flow, To string
}

// Mode is RegistrationOpen, RegistrationInvite or RegistrationClosed.
func (rg *Registrations) Mode() string { return rg.registration }

// ConfirmsEmail reports whether an account is created only after its address was verified.
func (rg *Registrations) ConfirmsEmail() bool { return rg.accounts.confirmEmail }

// registrationRequested is the kind of the message by which a worker processes a registration.
const registrationRequested = "registration.requested"

// requestedRegistration is its payload, sealed.
type requestedRegistration struct {
	linkPayload
	Browser   secret.Hash
	From      request.Info
	RequestID string
}

// Request starts a registration if CONFIRM_EMAIL is on: the account is created after its address was verified. It does
// the same work for every address (one password hash, one row for a worker, which then decides) and gives the same
// answer, nil. A person with an invitation may use Register instead. Errors: FieldErrors, ErrRegistrationClosed,
// ErrLink for the invitation, secret.ErrBusy.
func (rg *Registrations) Request(ctx context.Context, r Registration) error {
	key, hash, err := rg.check(ctx, &r)
	if err != nil {
		return err
	}
	return rg.enqueueSealed(ctx, registrationRequested, requestedRegistration{
		linkPayload: linkPayload{EmailKey: key, Email: r.Email, Name: r.Name, PasswordHash: hash, Flow: r.Flow, To: r.To},
		Browser:     r.Browser, From: rg.withTime(r.From), RequestID: r.RequestID})
}

// enqueueSealed leaves a request to a worker, so that the caller cannot learn from the answer or its time what the
// database contains.
func (ml *mailer) enqueueSealed(ctx context.Context, kind string, question any) error {
	m, err := outbox.Seal(ml.sealer, kind, "", question)
	if err != nil {
		return err
	}
	defer ml.wake()
	return ml.store.Outbox.Add(ctx, m)
}

// Register creates an account at once: by invitation, with a verified address and the role in the organization;
// otherwise only if CONFIRM_EMAIL is off, with an address to verify by the mail that is sent. passwordHash is the
// stored hash, for signing in. Errors: FieldErrors, ErrRegistrationClosed, ErrRegistered, ErrLink for the invitation,
// ErrForbidden without one if CONFIRM_EMAIL is on, secret.ErrBusy.
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

// checkInvitation decides whether the registration is allowed, and fills in the invited address. words are words of
// the organization, on which the password must not be built.
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

// check decides whether r is allowed, reports all that is wrong with it, and hashes its password.
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

// newUnverifiedUser is a user to create whose address is not verified.
func (rg *Registrations) newUnverifiedUser(l linkPayload, from request.Info, requestID string) *storage.NewUser {
	now := rg.currentTime()
	u := storage.User{ID: uuid.Must(uuid.NewV7()), Sub: uuid.New(), Email: l.Email, EmailKey: l.EmailKey,
		Profile: storage.Profile{Name: l.Name}, CreatedAt: now, UpdatedAt: now}
	e := &storage.Event{Type: storage.EventUserRegistered, User: u.ID, Actor: u.ID, RequestID: requestID,
		Personal: map[string]string{"email": u.Email}}
	return &storage.NewUser{User: u, PasswordHash: l.PasswordHash, Events: []*storage.Event{withOrigin(e, from)}}
}

// processRegistration is the worker's part of Request. Only the owner of the address learns, by mail, what to do.
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
	// There is no event, because strangers could cause any number of them. Finishing the registration writes one.
	return rg.store.CreateLink(ctx, l, nil, note)
}
