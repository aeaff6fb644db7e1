package identity

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/request"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// Verification is what a link that proves an address is about.
type Verification struct {
	Email, Name string
	// Registration: the link makes the account. Else it has one already.
	Registration bool
	// User is whose account it is; nil for a registration.
	User uuid.UUID

	browser  secret.Hash
	verified bool
}

// KeepsPassword reports whether somebody with this browser and this sign-in (nil for nobody's)
// keeps the password without typing it: they are known to be who chose it, or the
// address is proven already.
func (v *Verification) KeepsPassword(browser secret.Hash, signedInAs uuid.UUID) bool {
	if v.Registration {
		return sameBrowser(browser, v.browser)
	}
	return v.verified || signedInAs == v.User
}

func viewVerification(l *storage.Link, to linkPayload, u *storage.User) *Verification {
	if l.Purpose == storage.LinkRegister {
		return &Verification{Email: to.Email, Name: to.Name, Registration: true, browser: l.Browser}
	}
	return &Verification{Email: u.Email, Name: u.Profile.Name, User: u.ID, verified: u.EmailVerified()}
}

// VerifyInput is who follows a link that proves an address.
type VerifyInput struct {
	Browser secret.Hash // as in Registration
	// SignedInAs is whose live session the browser has; nil for nobody's.
	SignedInAs uuid.UUID
	// Password is the one of the registration, typed again; "" if it was not asked
	// for. The caller has counted the guess.
	Password string
	// NewPassword takes the place of one that does not count; "" if none was chosen yet.
	NewPassword string
	From        request.Info
	RequestID   string
}

// VerifiedEmail is an address that now belongs to somebody.
type VerifiedEmail struct {
	User *storage.User
	// PasswordToken is the token of a reset link when the person has to choose a
	// password; "" if the one they registered with counts.
	PasswordToken string
	// Flow and To are those of the registration, "" if it was another browser's.
	Flow, To string
}

// RequestVerification mails the signed-in person another link to prove their
// address; nothing if it is proven. ErrTooManyMails if they had several just now.
func (rg *Registrations) RequestVerification(ctx context.Context, a Actor, from request.Info) error {
	u, err := rg.actingUser(ctx, a)
	if err != nil || u.EmailVerified() {
		return err
	}
	if err := rg.takeMailbox(ctx, mailboxVerification, u.EmailKey); err != nil {
		return err
	}
	m, l, err := rg.verificationMail(u, from)
	if err != nil {
		return err
	}
	defer rg.wake()
	return rg.store.CreateLink(ctx, l, withOrigin(userEvent(a, storage.EventUserVerificationRequested, u.ID), from), m)
}

// verificationMail is a link that proves a person's address, and the mail with it.
func (ml *mailer) verificationMail(u *storage.User, from request.Info) (*storage.Message, *storage.Link, error) {
	token, l, err := ml.newLink(storage.LinkVerify, u.ID, verifyLife, linkPayload{EmailKey: u.EmailKey})
	if err != nil {
		return nil, nil, err
	}
	m, err := ml.mailTo(u, templates.VerifyEmail{Name: u.Profile.Name, Link: ml.issuer + "/verify?token=" + token,
		ValidFor: verifyLife, From: ml.withTime(from)}, "")
	return m, l, err
}

// OpenVerification tells what a token of /verify stands for, without using it.
// ErrLink if it stands for nothing (any more).
func (rg *Registrations) OpenVerification(ctx context.Context, token string) (*Verification, error) {
	l, to, u, err := rg.verificationLink(ctx, token)
	if err != nil {
		return nil, err
	}
	return viewVerification(l, to, u), nil
}

// verificationLink reads a link of either purpose; u is nil for one that makes the account.
func (rg *Registrations) verificationLink(ctx context.Context, token string) (l *storage.Link, to linkPayload,
	u *storage.User, err error) {
	hash := secret.HashOf(token)
	l, err = rg.store.Link(ctx, hash, storage.LinkRegister)
	if errors.Is(err, storage.ErrNotFound) {
		return rg.linkedPerson(ctx, hash, storage.LinkVerify)
	}
	if err != nil {
		return nil, to, nil, linkError(err)
	}
	to, err = rg.openLink(l)
	return l, to, nil, err
}

// linkedPerson reads a link of a person. It is worthless for somebody who is
// disabled, or has another address by now.
func (rg *Registrations) linkedPerson(ctx context.Context, hash secret.Hash, purpose string) (l *storage.Link, to linkPayload,
	u *storage.User, err error) {
	if l, err = rg.store.Link(ctx, hash, purpose); err != nil {
		return nil, to, nil, linkError(err)
	}
	if to, err = rg.openLink(l); err != nil {
		return nil, to, nil, err
	}
	u, err = rg.store.User(ctx, l.UserID)
	if err == nil && (!u.Active() || u.EmailKey != to.EmailKey) {
		err = ErrLink
	}
	return l, to, u, linkError(err)
}

// linkError tells nobody why a link does not work.
func linkError(err error) error {
	return replaceError(err, map[error]error{storage.ErrNotFound: ErrLink, storage.ErrSpent: ErrLink,
		storage.ErrConflict: ErrLink})
}

// Verify uses the link: the address is proven, and the account made if there is
// none. Its password stays only if whoever follows the link is known to be who
// chose it: the same browser registered, is signed in to the account, or the
// password was typed again. Else it goes, with every session and grant that was
// made with it, and NewPassword counts, or PasswordToken leads to one: otherwise
// somebody could register the address of another, wait, and be in. Where recovery is
// closed NewPassword is needed then: an answer that is lost must not lock anybody out.
//
// Errors: ErrLink; ErrWrongPassword if a password was typed and is another one, FieldErrors
// of the new one, then the link stays; ErrRegistered if
// the address has a proven account by now, which leads to signing in; secret.ErrBusy.
func (rg *Registrations) Verify(ctx context.Context, token string, by VerifyInput) (*VerifiedEmail, error) {
	l, to, u, err := rg.verificationLink(ctx, token)
	if err != nil {
		return nil, err
	}
	keeps := viewVerification(l, to, u).KeepsPassword(by.Browser, by.SignedInAs)
	if l.Purpose == storage.LinkRegister {
		return rg.finishRegistration(ctx, l, to, by, keeps)
	}
	return rg.verifyAccount(ctx, l, to, u, by, keeps)
}

// chosen is the hash of a new password, "" if there is yet to be one.
func (rg *Registrations) hashChosen(ctx context.Context, by VerifyInput, email, name string) (hash string, err error) {
	switch {
	case by.NewPassword == "" && rg.recovery:
		return "", nil
	case by.NewPassword == "":
		return "", FieldErrors{{Field: "password", Problem: "is missing",
			Remedy: "choose one now: the first was typed elsewhere, and does not count"}}
	}
	return rg.passwords.hashNew(ctx, by.NewPassword, email, name)
}

// verifyAccount proves the address of an account that was made without.
func (rg *Registrations) verifyAccount(ctx context.Context, l *storage.Link, to linkPayload, u *storage.User, by VerifyInput,
	keeps bool) (*VerifiedEmail, error) {
	proof := &storage.EmailVerification{UserID: u.ID, Link: l.Hash, Purpose: l.Purpose}
	var err error
	switch {
	case keeps:
	case by.Password != "":
		_, hash, err := rg.store.UserWithPassword(ctx, u.EmailKey)
		if err != nil {
			return nil, linkError(err)
		}
		if err := rg.passwords.checkCurrent(ctx, hash, by.Password); err != nil {
			return nil, err
		}
	default:
		proof.Claim = true
		if proof.PasswordHash, err = rg.hashChosen(ctx, by, u.Email, ""); err != nil {
			return nil, err
		}
	}
	return rg.verifyEmail(ctx, u, to, proof, by)
}

// finishRegistration makes the account that was asked for. One that was made
// meanwhile without a proof of the address gives way to it.
func (rg *Registrations) finishRegistration(ctx context.Context, l *storage.Link, to linkPayload, by VerifyInput,
	keeps bool) (*VerifiedEmail, error) {
	var err error
	switch {
	case keeps:
	case by.Password != "":
		err = rg.passwords.checkCurrent(ctx, to.PasswordHash, by.Password)
	default:
		to.PasswordHash, err = rg.hashChosen(ctx, by, to.Email, to.Name)
	}
	if err != nil {
		return nil, err
	}
	if !keeps {
		to.Flow, to.To = "", ""
	}
	// Twice: somebody may be made, or lapse, between looking and doing.
	for try := 1; ; try++ {
		p, err := rg.finishOnce(ctx, l, to, by)
		if try == 2 || !errors.Is(err, storage.ErrExists) && !errors.Is(err, storage.ErrNotFound) {
			return p, linkError(err)
		}
	}
}

func (rg *Registrations) finishOnce(ctx context.Context, l *storage.Link, to linkPayload, by VerifyInput) (*VerifiedEmail, error) {
	u, err := rg.store.UserByEmail(ctx, to.EmailKey)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return rg.createVerified(ctx, l, to, by)
	case err != nil:
		return nil, err
	case u.EmailVerified():
		return nil, ErrRegistered
	}
	proof := &storage.EmailVerification{UserID: u.ID, Link: l.Hash, Purpose: l.Purpose, Claim: true,
		Profile: &storage.Profile{Name: to.Name}, PasswordHash: to.PasswordHash}
	return rg.verifyEmail(ctx, u, to, proof, by)
}

// createVerified makes an account whose address the link has proven.
func (rg *Registrations) createVerified(ctx context.Context, l *storage.Link, to linkPayload, by VerifyInput) (*VerifiedEmail, error) {
	p := rg.newUnverifiedUser(to, by.From, by.RequestID)
	p.User.EmailVerifiedAt = p.User.CreatedAt
	made := &storage.Registration{Person: *p, Link: l.Hash}
	done := &VerifiedEmail{User: &p.User, Flow: to.Flow, To: to.To}
	if to.PasswordHash == "" {
		var err error
		if done.PasswordToken, made.Next, err = rg.passwordLink(p.User.ID, to); err != nil {
			return nil, err
		}
	}
	return done, rg.store.Register(ctx, made)
}

// prove carries a proof out. Whoever loses the password with it gets a link to
// choose one at once: following the first was proof enough.
func (rg *Registrations) verifyEmail(ctx context.Context, u *storage.User, to linkPayload, proof *storage.EmailVerification,
	by VerifyInput) (*VerifiedEmail, error) {
	proof.EmailKey = to.EmailKey
	e := &storage.Event{Type: storage.EventUserEmailProven, User: u.ID, Actor: u.ID, RequestID: by.RequestID,
		Facts: map[string]any{"by": proof.Purpose, "claimed": proof.Claim}}
	proof.Event = withOrigin(e, by.From)
	done := &VerifiedEmail{User: u, Flow: to.Flow, To: to.To}
	var err error
	if proof.Claim && proof.PasswordHash == "" {
		if done.PasswordToken, proof.Next, err = rg.passwordLink(u.ID, to); err != nil {
			return nil, err
		}
	}
	if err := rg.store.VerifyEmail(ctx, proof); err != nil {
		return nil, linkError(err)
	}
	done.User, err = rg.store.User(ctx, u.ID)
	return done, err
}

// passwordLink makes the link by which a user whose address was just verified chooses a password.
func (rg *Registrations) passwordLink(userID uuid.UUID, to linkPayload) (token string, l *storage.Link, err error) {
	return rg.newLink(storage.LinkReset, userID, resetLife, linkPayload{EmailKey: to.EmailKey})
}
