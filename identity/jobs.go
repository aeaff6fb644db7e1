package identity

import (
	"context"
	"time"

	"github.com/sallyport-id/sallyport/storage"
)

// The kinds of mails that strangers cause, each counted for itself.
const (
	mailboxRegistration = "registration"
	mailboxRecovery     = "recovery"
	mailboxNewDevice    = "new device"
	mailboxVerification = "verification"
)

// unprovenLife is how long an account may wait for its address to be proven.
const unprovenLife = 7 * 24 * time.Hour

// dedupe keeps a message that is handled twice from sending two mails.
func dedupe(m *storage.Message) string { return "answer " + m.ID.String() }

// TooManyMails is ErrTooManyMails with the time to wait.
type TooManyMails struct{ RetryAfter time.Duration }

func (e *TooManyMails) Error() string { return ErrTooManyMails.Error() }

// Unwrap returns ErrTooManyMails.
func (e *TooManyMails) Unwrap() error { return ErrTooManyMails }

// mailboxAllowed is mailboxWait where nobody is told of a refusal.
func (i *mailer) mailboxAllowed(ctx context.Context, kind, emailKey string) (bool, error) {
	wait, err := i.mailboxWait(ctx, kind, emailKey)
	return wait == 0, err
}

// takeMailbox is mailboxWait for somebody who is told: *TooManyMails.
func (i *mailer) takeMailbox(ctx context.Context, kind, emailKey string) error {
	wait, err := i.mailboxWait(ctx, kind, emailKey)
	if err == nil && wait > 0 {
		err = &TooManyMails{RetryAfter: wait}
	}
	return err
}

// mayMail counts the mail that answers a message to a mailbox, once however often
// the message is tried: what fails on the way must not use up the mailbox's share.
func (i *mailer) mayMail(ctx context.Context, m *storage.Message, kind, emailKey string) (bool, error) {
	if m.Attempts > 1 {
		return true, nil
	}
	return i.mailboxAllowed(ctx, kind, emailKey)
}

// DeleteUnverified deletes the accounts whose address was not proven within 7 days, and
// tells how many. It goes by the clock: one node at a time is to call it, every hour or so.
func (i *Registrations) DeleteUnverified(ctx context.Context) (int, error) {
	return i.store.DeleteUnverified(ctx, i.clock().Add(-unprovenLife), &storage.Pace{})
}

// RevokeUnverified ends, where CONFIRM_EMAIL is on, the access of people whose address is
// not proven: they came in while it was off, or by a node for which it still is. Call
// it every minute or so, on every node.
func (i *Registrations) RevokeUnverified(ctx context.Context) (int, error) {
	if !i.accounts.confirmEmail {
		return 0, nil
	}
	return i.store.RevokeUnverified(ctx, &storage.Pace{})
}
