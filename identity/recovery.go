package identity

import (
	"context"
	"errors"
	"time"

	"github.com/sallyport-id/sallyport/internal/outbox"
	"github.com/sallyport-id/sallyport/internal/request"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// resetLife is how long a link sets a new password.
const resetLife = 30 * time.Minute

// ErrRecoveryClosed: this installation sends no links to reset a password.
var ErrRecoveryClosed = errors.New("recovery is closed")

// IsRecoveryOpen reports whether links to reset a password are sent.
func (i *Registrations) IsRecoveryOpen() bool { return i.recovery }

// recoveryRequested is the kind of message that decides a recovery.
const recoveryRequested = "recovery.requested"

// requestedRecovery is its payload, sealed.
type requestedRecovery struct {
	EmailKey  string
	Way       ReturnTo
	From      request.Info
	RequestID string
}

// RequestRecovery asks for a link to choose a new password. It does the same work
// and gives the same answer whether anybody has the address: a worker decides.
// Errors: FieldErrors for what is no address, ErrRecoveryClosed.
func (i *Registrations) RequestRecovery(ctx context.Context, email string, way ReturnTo, from request.Info,
	requestID string) error {
	if !i.recovery {
		return ErrRecoveryClosed
	}
	key, err := EmailKey(email)
	if err != nil {
		return err
	}
	return i.ask(ctx, recoveryRequested, requestedRecovery{EmailKey: key, Way: way, From: i.timed(from),
		RequestID: requestID})
}

// processRecovery is the worker's half of RequestRecovery. The mail goes to the
// address as it is stored, never to one that was typed.
func (i *Registrations) processRecovery(ctx context.Context, m *storage.Message) error {
	var r requestedRecovery
	if err := outbox.Open(i.sealer, m, &r); err != nil {
		return err
	}
	u, err := i.store.UserByEmail(ctx, r.EmailKey)
	if errors.Is(err, storage.ErrNotFound) || err == nil && !u.Active() {
		return nil
	} else if err != nil {
		return err
	}
	if allowed, err := i.mayMail(ctx, m, mailboxRecovery, r.EmailKey); err != nil || !allowed {
		return err
	}
	token, l, err := i.newLink(storage.LinkReset, u.ID, resetLife, linked{EmailKey: u.EmailKey, Flow: r.Way.Flow,
		To: r.Way.To})
	if err != nil {
		return err
	}
	l.Browser = r.Way.Browser
	note, err := i.mailTo(u, templates.PasswordReset{Name: u.Profile.Name,
		Link: i.issuer + "/recover/reset?token=" + token, ValidFor: resetLife, From: r.From}, dedupe(m))
	if err != nil {
		return outbox.Permanent(err)
	}
	defer i.wake()
	return i.store.CreateLink(ctx, l, origin(&storage.Event{Type: storage.EventUserRecoveryRequested, User: u.ID,
		RequestID: r.RequestID}, r.From), note)
}

// ResetTarget is the person whose password a link sets.
type ResetTarget struct {
	*storage.User
	way ReturnTo
}

// ReturnTo is where they go on afterwards: nowhere in another browser than the one that
// asked for the link.
func (r *ResetTarget) ReturnTo(browser secret.Hash) (flow, to string) {
	if !sameBrowser(browser, r.way.Browser) {
		return "", ""
	}
	return r.way.Flow, r.way.To
}

func sameBrowser(a, b secret.Hash) bool { return !a.IsZero() && a == b }

// OpenReset returns whose password a token of /recover/reset sets, without using
// it. ErrLink if nobody's (any more).
func (i *Registrations) OpenReset(ctx context.Context, token string) (*ResetTarget, error) {
	l, to, u, err := i.linkedPerson(ctx, secret.HashOf(token), storage.LinkReset)
	if err != nil {
		return nil, err
	}
	return &ResetTarget{User: u, way: ReturnTo{Browser: l.Browser, Flow: to.Flow, To: to.To}}, nil
}

// Reset uses the link: it sets the password, which proves the address too, ends
// all sessions and grants, and mails a notice. Second factors stay and are asked
// for at the next sign-in: a mailbox alone is not enough. Errors: ErrLink, FieldErrors,
// secret.ErrBusy; after FieldErrors the link can still be used.
func (i *Registrations) Reset(ctx context.Context, token, password string, from request.Info, requestID string) error {
	l, to, u, err := i.linkedPerson(ctx, secret.HashOf(token), storage.LinkReset)
	if err != nil {
		return err
	}
	if err := i.passwords.Check(password, u.Email, u.Profile.Name); err != nil {
		return err
	}
	hash, err := i.passwords.Hash(ctx, password)
	if err != nil {
		return err
	}
	note, err := i.mailTo(u, i.passwordChanged(u, from), "")
	if err != nil {
		return err
	}
	e := &storage.Event{Type: storage.EventUserPasswordReset, User: u.ID, Actor: u.ID, RequestID: requestID,
		Facts: map[string]any{"first_proof": !u.EmailVerified()}}
	err = i.store.VerifyEmail(ctx, &storage.EmailVerification{UserID: u.ID, EmailKey: to.EmailKey, Link: l.Hash,
		Purpose: l.Purpose, Claim: true, PasswordHash: hash,
		Event: origin(e, from), Mails: []*storage.Message{note}})
	if err != nil {
		return linkError(err)
	}
	i.wake()
	return nil
}

// passwordChanged is the mail about a new password.
func (i *mailer) passwordChanged(u *storage.User, from request.Info) templates.PasswordChanged {
	return templates.PasswordChanged{Name: u.Profile.Name, RecoverLink: i.recoverLink(), From: i.timed(from)}
}

// recoverLink is the page that mails a link, "" where it is closed.
func (i *mailer) recoverLink() string {
	if !i.recovery {
		return ""
	}
	return i.issuer + "/recover"
}
