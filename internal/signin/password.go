package signin

import (
	"context"
	"errors"
	"time"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/storage"
)

// Password signs in the user with that address and password. identity.ErrCredentials for whatever
// is wrong with them, *limit.Blocked, secret.ErrBusy.
func (s *Service) Password(ctx context.Context, from session.Source, email, password string) (out *Result, err error) {
	mark, err := s.guess(ctx, from, identity.AttemptKey(email), func(account *storage.LoginRecord, known bool) (bool, error) {
		hash, err := s.identity.Accounts.CheckCredentials(ctx, account, password)
		if err != nil {
			return false, err
		}
		out, err = s.start(ctx, from, &account.User, known, byPassword(hash))
		if errors.Is(err, storage.ErrConflict) { // the password was changed, or the user disabled, since it was read
			err = identity.ErrCredentials
		}
		return true, err
	})
	if err != nil {
		return nil, err
	}
	out.Device = mark
	return out, nil
}

// ChangePassword gives the signed-in user a new password, for which they type the present one
// again: a browser left open is not enough to take an account over. Guesses count like those of
// a sign-in. It returns the device cookie, "" if it stays as it is. The errors are those of
// identity.ChangePassword, and *limit.Blocked.
func (s *Service) ChangePassword(ctx context.Context, from session.Source, c *session.Current, present, next string) (
	mark string, err error) {
	return s.guess(ctx, from, c.User.EmailKey, func(account *storage.LoginRecord, _ bool) (bool, error) {
		actor := identity.Actor{UserID: c.User.ID, RequestID: from.RequestID}
		err := s.identity.Accounts.ChangePassword(ctx, actor, present, next, c.Session.ID, s.Origin(from))
		return account.PasswordHash != "", err // a user without a password has shown nothing
	})
}

// VerifyEmail is identity.Verify, and counts a wrong password of the registration as a failed
// sign-in to its account. mark is the device cookie, "" if it stays as it is.
func (s *Service) VerifyEmail(ctx context.Context, from session.Source, token string, by identity.VerifyInput) (
	p *identity.VerifiedEmail, mark string, err error) {
	by.From, by.RequestID = s.Origin(from), from.RequestID
	if by.Password == "" {
		p, err = s.identity.Registrations.Verify(ctx, token, by)
		return p, "", err
	}
	about, err := s.identity.Registrations.OpenVerification(ctx, token)
	if err != nil {
		return nil, "", err
	}
	if about.KeepsPassword(by.Browser, by.SignedInAs) {
		by.Password = "" // it is not compared
		p, err = s.identity.Registrations.Verify(ctx, token, by)
		return p, "", err
	}
	mark, err = s.guess(ctx, from, identity.AttemptKey(about.Email), func(*storage.LoginRecord, bool) (bool, error) {
		p, err = s.identity.Registrations.Verify(ctx, token, by)
		return true, err
	})
	return p, mark, err
}

// guess runs compare as one counted attempt at the password of the account with that folded
// address. compare learns whether the device is known to the account, and tells whether it has
// compared a password. Nothing is compared before the attempt is counted. It returns the device
// cookie that a right password earns.
func (s *Service) guess(ctx context.Context, from session.Source, account string,
	compare func(*storage.LoginRecord, bool) (bool, error)) (mark string, err error) {
	attempt, err := s.limits.Begin(account, source(from))
	if err != nil {
		return "", err
	}
	defer attempt.End(ctx)
	var claimant *storage.LoginRecord
	err = attempt.Reserve(ctx, func(ctx context.Context, add []storage.Counter) ([]storage.Counter, time.Time, error) {
		if claimant, err = s.store.LoginRecord(ctx, account, add); err != nil {
			return nil, time.Time{}, err
		}
		return claimant.Counters, claimant.PasswordChangedAt, nil
	})
	if err != nil {
		return "", err
	}
	compared, err := compare(claimant, attempt.Known())
	if errors.Is(err, identity.ErrCredentials) || errors.Is(err, identity.ErrWrongPassword) {
		if err := attempt.Failed(ctx, claimant.User.ID); err != nil {
			return "", err
		}
	}
	if err != nil || !compared {
		return "", err
	}
	return attempt.Succeeded(ctx), nil
}
