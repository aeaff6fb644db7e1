package identity

import (
	"cmp"
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
	// ErrCredentials: the address and the password do not match, or the account may not sign in. The caller does not
	// learn which.
	ErrCredentials = errors.New("the email and password do not belong together")
	// ErrWrongPassword: the typed password is not the current one.
	ErrWrongPassword = errors.New("this is not the password")
)

// CheckCredentials compares a password with that of the account that storage.LoginRecord read for the typed address,
// and returns the stored hash that was verified. It computes one hash in every case, so that the time reveals nothing:
// for no account, a disabled one, one without a password, and an unverified one if CONFIRM_EMAIL is on it returns
// ErrCredentials, after the same work as for a wrong password. A stored hash that cannot be used is secret.ErrBadHash
// inside it, for the log. A hash in an old form is replaced on success. The caller limits guesses: see
// internal/signin. Other errors: secret.ErrBusy.
func (ac *Accounts) CheckCredentials(ctx context.Context, claimant *storage.LoginRecord, password string) (
	hash string, err error) {
	if claimant.PasswordHash == "" {
		return "", cmp.Or(ac.passwords.VerifyNone(ctx, password), ErrCredentials)
	}
	ok, rehash, err := ac.passwords.Verify(ctx, claimant.PasswordHash, password)
	if errors.Is(err, secret.ErrBadHash) {
		return "", fmt.Errorf("%w: %w", ErrCredentials, err)
	}
	if err != nil {
		return "", err
	}
	if !ok || !claimant.User.Active() || ac.confirmEmail && !claimant.User.EmailVerified() {
		return "", ErrCredentials
	}
	if rehash {
		return ac.rehash(ctx, claimant, password)
	}
	return claimant.PasswordHash, nil
}

// rehash stores the password's hash in the current form. If there is no room for the work, the old hash stays until
// the next time.
func (ac *Accounts) rehash(ctx context.Context, c *storage.LoginRecord, password string) (string, error) {
	better, err := ac.passwords.Hash(ctx, password)
	if errors.Is(err, secret.ErrBusy) {
		return c.PasswordHash, nil
	} else if err != nil {
		return "", err
	}
	changed, err := ac.store.Rehash(ctx, c.User.ID, c.PasswordHash, better)
	if err != nil || changed {
		return better, err
	}
	// Another request changed the hash first: usually the same user signs in twice at once.
	_, now, err := ac.store.UserWithPassword(ctx, c.User.EmailKey)
	if errors.Is(err, storage.ErrNotFound) || err == nil && now == "" {
		return "", ErrCredentials
	} else if err != nil {
		return "", err
	}
	ok, _, err := ac.passwords.Verify(ctx, now, password)
	if err == nil && !ok {
		err = ErrCredentials
	}
	return now, err
}

// ChangePassword gives the acting user a new password, ends their sessions except keep, revokes all grants and mails a
// notice. current is the old password, "" for a user without one; the caller counts ErrWrongPassword. Errors:
// FieldErrors, secret.ErrBusy, storage.ErrConflict if another change was faster.
func (ac *Accounts) ChangePassword(ctx context.Context, a Actor, current, next string, keep uuid.UUID,
	from request.Info) error {
	u, err := ac.actingUser(ctx, a)
	if err != nil {
		return err
	}
	_, old, err := ac.store.UserWithPassword(ctx, u.EmailKey)
	if err != nil {
		return err
	}
	if err := ac.passwords.Check(next, u.Email, u.Profile.Name); err != nil {
		return err
	}
	if old != "" {
		if err := ac.passwords.checkCurrent(ctx, old, current); err != nil {
			return err
		}
		if next == current {
			return FieldErrors{{Field: "password", Problem: "is the one you have", Remedy: "choose another"}}
		}
	}
	hash, err := ac.passwords.Hash(ctx, next)
	if err != nil {
		return err
	}
	notes, err := ac.notify(u, ac.passwordChanged(u, from))
	if err != nil {
		return err
	}
	defer ac.wake()
	return ac.store.ChangePassword(ctx, u.ID, old, hash, keep,
		withOrigin(userEvent(a, storage.EventUserPasswordChanged, u.ID), from), notes...)
}

// AttemptKey is the key under which attempts to sign in are counted: the folded address. Input that is not an address
// matches no account, but its attempts count too.
func AttemptKey(typed string) string {
	key, err := EmailKey(typed)
	if err != nil {
		return "not an address: " + strings.ToLower(strings.TrimSpace(truncate(typed, maxTyped)))
	}
	return key
}

// maxTyped bounds the key, in bytes; an address has at most 254.
const maxTyped = 320

// truncate returns at most most bytes of s, as valid UTF-8. s may be megabytes long.
func truncate(s string, most int) string { return strings.ToValidUTF8(s[:min(len(s), most)], "") }
