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

// resetLife is how long a link to reset a password is valid.
const resetLife = 30 * time.Minute

// ErrRecoveryClosed: this installation does not send links to reset a password.
var ErrRecoveryClosed = errors.New("recovery is closed")

// IsRecoveryOpen reports whether links to reset a password are sent.
func (rg *Registrations) IsRecoveryOpen() bool { return rg.recovery }

// recoveryRequested is the kind of the message by which a worker processes a recovery.
const recoveryRequested = "recovery.requested"

// requestedRecovery is its payload, sealed.
type requestedRecovery struct {
	EmailKey  string
	Way       ReturnTo
	From      request.Info
	RequestID string
}

// RequestRecovery asks for a link to choose a new password. It does the same work and gives the same answer whether
// the address has an account or not, because a worker decides. Errors: FieldErrors for an invalid address,
// ErrRecoveryClosed.
func (rg *Registrations) RequestRecovery(ctx context.Context, email string, way ReturnTo, from request.Info,
	requestID string) error {
	if !rg.recovery {
		return ErrRecoveryClosed
	}
	key, err := EmailKey(email)
	if err != nil {
		return err
	}
	return rg.enqueueSealed(ctx, recoveryRequested, requestedRecovery{EmailKey: key, Way: way, From: rg.withTime(from),
		RequestID: requestID})
}

// processRecovery is the worker's part of RequestRecovery. The mail goes to the stored address, never to a typed one.
func (rg *Registrations) processRecovery(ctx context.Context, m *storage.Message) error {
	var r requestedRecovery
	if err := outbox.Open(rg.sealer, m, &r); err != nil {
		return err
	}
	u, err := rg.store.UserByEmail(ctx, r.EmailKey)
	if err != nil || !u.Active() {
		return ignoreNotFound(err)
	}
	if allowed, err := rg.mayMail(ctx, m, mailboxRecovery, r.EmailKey); err != nil || !allowed {
		return err
	}
	token, l, err := rg.newLink(storage.LinkReset, u.ID, resetLife, linkPayload{EmailKey: u.EmailKey, Flow: r.Way.Flow,
		To: r.Way.To})
	if err != nil {
		return err
	}
	l.Browser = r.Way.Browser
	note, err := rg.mailTo(u, templates.PasswordReset{Name: u.Profile.Name,
		Link: rg.issuer + "/recover/reset?token=" + token, ValidFor: resetLife, From: r.From}, dedupeKey(m))
	if err != nil {
		return outbox.Permanent(err)
	}
	defer rg.wake()
	return rg.store.CreateLink(ctx, l, withOrigin(&storage.Event{Type: storage.EventUserRecoveryRequested, User: u.ID,
		RequestID: r.RequestID}, r.From), note)
}

// ResetTarget is the user whose password a link resets.
type ResetTarget struct {
	*storage.User
	way ReturnTo
}

// ReturnTo is where the user goes on afterwards: only in the browser that asked for the link.
func (r *ResetTarget) ReturnTo(browser secret.Hash) (flow, to string) {
	if !sameBrowser(browser, r.way.Browser) {
		return "", ""
	}
	return r.way.Flow, r.way.To
}

func sameBrowser(a, b secret.Hash) bool { return !a.IsZero() && a == b }

// OpenReset returns the user of a token of /recover/reset without using it. ErrLink if it is not valid (any more).
func (rg *Registrations) OpenReset(ctx context.Context, token string) (*ResetTarget, error) {
	l, to, u, err := rg.linkedPerson(ctx, secret.HashOf(token), storage.LinkReset)
	if err != nil {
		return nil, err
	}
	return &ResetTarget{User: u, way: ReturnTo{Browser: l.Browser, Flow: to.Flow, To: to.To}}, nil
}

// Reset uses the link: it sets the password, verifies the address, ends all sessions and grants, and mails a notice.
// Second factors stay and are asked for at the next sign-in, because access to a mailbox is not enough. Errors:
// ErrLink, FieldErrors, secret.ErrBusy; after FieldErrors the link is still valid.
func (rg *Registrations) Reset(ctx context.Context, token, password string, from request.Info, requestID string) error {
	l, to, u, err := rg.linkedPerson(ctx, secret.HashOf(token), storage.LinkReset)
	if err != nil {
		return err
	}
	hash, err := rg.passwords.hashNew(ctx, password, u.Email, u.Profile.Name)
	if err != nil {
		return err
	}
	note, err := rg.mailTo(u, rg.passwordChanged(u, from), "")
	if err != nil {
		return err
	}
	e := &storage.Event{Type: storage.EventUserPasswordReset, User: u.ID, Actor: u.ID, RequestID: requestID,
		Facts: map[string]any{"first_proof": !u.EmailVerified()}}
	defer rg.wake()
	return linkError(rg.store.VerifyEmail(ctx, &storage.EmailVerification{UserID: u.ID, EmailKey: to.EmailKey,
		Link: l.Hash, Purpose: l.Purpose, Claim: true, PasswordHash: hash,
		Event: withOrigin(e, from), Mails: []*storage.Message{note}}))
}

// passwordChanged is the mail about a new password.
func (ml *mailer) passwordChanged(u *storage.User, from request.Info) templates.PasswordChanged {
	return templates.PasswordChanged{Name: u.Profile.Name, RecoverLink: ml.recoverLink(), From: ml.withTime(from)}
}

// recoverLink is the page that mails a reset link, "" if recovery is closed.
func (ml *mailer) recoverLink() string {
	if !ml.recovery {
		return ""
	}
	return ml.issuer + "/recover"
}
