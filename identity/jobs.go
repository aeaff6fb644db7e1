package identity

import (
	"context"
	"time"

	"github.com/sallyport-id/sallyport/storage"
)

// The kinds of mails that anonymous callers can cause, each with a limit of its own.
const (
	mailboxRegistration = "registration"
	mailboxRecovery     = "recovery"
	mailboxNewDevice    = "new device"
	mailboxVerification = "verification"
)

// unverifiedLife is how long an account may stay unverified.
const unverifiedLife = 7 * 24 * time.Hour

// dedupeKey is a key that keeps a message that is handled twice from sending two mails.
func dedupeKey(m *storage.Message) string { return "answer " + m.ID.String() }

// TooManyMails is ErrTooManyMails with the time to wait.
type TooManyMails struct{ RetryAfter time.Duration }

func (e *TooManyMails) Error() string { return ErrTooManyMails.Error() }

// Unwrap returns ErrTooManyMails.
func (e *TooManyMails) Unwrap() error { return ErrTooManyMails }

// mailboxAllowed counts a mail to a mailbox and reports whether it may be sent. The caller must not learn of a
// refusal.
func (ml *mailer) mailboxAllowed(ctx context.Context, kind, emailKey string) (bool, error) {
	wait, err := ml.mailboxWait(ctx, kind, emailKey)
	return wait == 0, err
}

// takeMailbox is mailboxAllowed for a caller who may learn of a refusal: *TooManyMails.
func (ml *mailer) takeMailbox(ctx context.Context, kind, emailKey string) error {
	wait, err := ml.mailboxWait(ctx, kind, emailKey)
	if err == nil && wait > 0 {
		err = &TooManyMails{RetryAfter: wait}
	}
	return err
}

// mayMail counts the mail that answers a message once, however often the message is tried: a failure must not use up
// the mailbox's share.
func (ml *mailer) mayMail(ctx context.Context, m *storage.Message, kind, emailKey string) (bool, error) {
	if m.Attempts > 1 {
		return true, nil
	}
	return ml.mailboxAllowed(ctx, kind, emailKey)
}

// DeleteUnverified deletes the accounts whose address was not verified within 7 days, and returns their number. Call
// it about every hour, on one node at a time.
func (rg *Registrations) DeleteUnverified(ctx context.Context) (int, error) {
	return rg.store.DeleteUnverified(ctx, rg.currentTime().Add(-unverifiedLife), &storage.Pace{})
}

// RevokeUnverified ends the access of users whose address is not verified, if CONFIRM_EMAIL is on. They signed in
// while it was off, or at a node where it still is. Call it about every minute, on every node.
func (rg *Registrations) RevokeUnverified(ctx context.Context) (int, error) {
	if !rg.accounts.confirmEmail {
		return 0, nil
	}
	return rg.store.RevokeUnverified(ctx, &storage.Pace{})
}
