package identity

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/request"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

var (
	// ErrCredentials: the address and the password do not belong together, or
	// whoever they belong to may not sign in. Nobody is told which.
	ErrCredentials = errors.New("the email and password do not belong together")
	// ErrWrongPassword: the present password that was typed is another one.
	ErrWrongPassword = errors.New("this is not the password")
)

// CheckCredentials compares a password with that of the account that storage.LoginRecord read for
// the typed address, and returns the stored hash that was verified. Whatever it finds, it
// computes one hash, so that time tells nothing: no account, a disabled one, one without a
// password, and an unproven one where CONFIRM_EMAIL is on are ErrCredentials after the same
// work as a wrong password. A stored hash that cannot be used is secret.ErrBadHash beside it,
// for the log. A hash of another kind or strength than today's is replaced on success. The
// caller counts guesses before anything is compared: see internal/signin. Other errors: secret.ErrBusy.
func (i *Accounts) CheckCredentials(ctx context.Context, claimant *storage.LoginRecord, password string) (
	hash string, err error) {
	if claimant.PasswordHash == "" {
		if err := i.passwords.VerifyNone(ctx, password); err != nil {
			return "", err
		}
		return "", ErrCredentials
	}
	ok, rehash, err := i.passwords.Verify(ctx, claimant.PasswordHash, password)
	if errors.Is(err, secret.ErrBadHash) {
		return "", fmt.Errorf("%w: %w", ErrCredentials, err)
	}
	if err != nil {
		return "", err
	}
	if !ok || !claimant.User.Active() || i.confirmEmail && !claimant.User.EmailVerified() {
		return "", ErrCredentials
	}
	if rehash {
		return i.rehash(ctx, claimant, password)
	}
	return claimant.PasswordHash, nil
}

// rehash stores the password's hash as new ones are made today. When there is no
// room for the work, the old one does for another time.
func (i *Accounts) rehash(ctx context.Context, c *storage.LoginRecord, password string) (string, error) {
	better, err := i.passwords.Hash(ctx, password)
	if errors.Is(err, secret.ErrBusy) {
		return c.PasswordHash, nil
	} else if err != nil {
		return "", err
	}
	changed, err := i.store.Rehash(ctx, c.User.ID, c.PasswordHash, better)
	if err != nil || changed {
		return better, err
	}
	// Another request was faster: mostly one of the same person, who signs in twice at once.
	_, now, err := i.store.UserWithPassword(ctx, c.User.EmailKey)
	if errors.Is(err, storage.ErrNotFound) || err == nil && now == "" {
		return "", ErrCredentials
	} else if err != nil {
		return "", err
	}
	ok, _, err := i.passwords.Verify(ctx, now, password)
	if err == nil && !ok {
		err = ErrCredentials
	}
	return now, err
}

// ChangePassword gives the acting person a new password, ends their sessions but
// keep, revokes all their grants and mails a notice. current is the present
// password, "" for a person who has none; ErrWrongPassword if it is not, which the
// caller counts. Errors: FieldErrors, secret.ErrBusy, storage.ErrConflict if another
// change was faster.
func (i *Accounts) ChangePassword(ctx context.Context, a Actor, current, next string, keep uuid.UUID,
	from request.Info) error {
	u, err := i.actingUser(ctx, a)
	if err != nil {
		return err
	}
	_, old, err := i.store.UserWithPassword(ctx, u.EmailKey)
	if err != nil {
		return err
	}
	if err := i.passwords.Check(next, u.Email, u.Profile.Name); err != nil {
		return err
	}
	if old != "" {
		if err := i.passwords.confirm(ctx, old, current); err != nil {
			return err
		}
		if next == current {
			return FieldErrors{{Field: "password", Problem: "is the one you have", Remedy: "choose another"}}
		}
	}
	hash, err := i.passwords.Hash(ctx, next)
	if err != nil {
		return err
	}
	notes, err := i.notify(u, i.passwordChanged(u, from))
	if err != nil {
		return err
	}
	if err := i.store.ChangePassword(ctx, u.ID, old, hash, keep, origin(about(a, storage.EventUserPasswordChanged,
		u.ID), from), notes...); err != nil {
		return err
	}
	i.wake()
	return nil
}

// AttemptKey is what guesses are counted for, and whom a password is compared with:
// the folded address. What is no address belongs to nobody, and is counted too.
func AttemptKey(typed string) string {
	key, err := EmailKey(typed)
	if err != nil {
		return "not an address: " + strings.ToLower(strings.TrimSpace(cut(typed, maxTyped)))
	}
	return key
}

// maxTyped bounds what is counted; addresses have at most 254 bytes.
const maxTyped = 320

// cut keeps what may be megabytes short: at most so many bytes.
func cut(s string, most int) string { return strings.ToValidUTF8(s[:min(len(s), most)], "") }
