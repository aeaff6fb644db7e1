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

// Verification is the content of a link that verifies an address.
type Verification struct {
	Email, Name string
	// Registration says that the link creates the account; otherwise there is one already.
	Registration bool
	// User is the account; nil for a registration.
	User uuid.UUID

	browser  secret.Hash
	verified bool
}

// KeepsPassword reports whether the password stays valid without typing it again, for this browser and this signed-in
// user (nil for none): they are known to have chosen it, or the address is verified already.
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

// VerifyInput is the input of a user who opens a link that verifies an address.
type VerifyInput struct {
	Browser secret.Hash // as in Registration
	// SignedInAs is the user who is signed in in the browser; nil for none.
	SignedInAs uuid.UUID
	// Password is the password of the registration, typed again; "" if it was not asked for. The caller has counted
	// the attempt.
	Password string
	// NewPassword replaces a password that is not kept; "" if none was chosen yet.
	NewPassword string
	From        request.Info
	RequestID   string
}

// VerifiedEmail is the result of a verification.
type VerifiedEmail struct {
	User *storage.User
	// PasswordToken is the token of a reset link if the user has to choose a password; "" if the one of the
	// registration stays.
	PasswordToken string
	// Flow and To are those of the registration, "" if it was made in another browser.
	Flow, To string
}

// RequestVerification mails the signed-in user another link to verify their address, unless it is verified.
// ErrTooManyMails if there were several just now.
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

// verificationMail is a link that verifies a user's address, with its mail.
func (ml *mailer) verificationMail(u *storage.User, from request.Info) (*storage.Message, *storage.Link, error) {
	token, l, err := ml.newLink(storage.LinkVerify, u.ID, verifyLife, linkPayload{EmailKey: u.EmailKey})
	if err != nil {
		return nil, nil, err
	}
	m, err := ml.mailTo(u, templates.VerifyEmail{Name: u.Profile.Name, Link: ml.issuer + "/verify?token=" + token,
		ValidFor: verifyLife, From: ml.withTime(from)}, "")
	return m, l, err
}

// OpenVerification returns the content of a token of /verify without using it. ErrLink if it is not valid (any more).
func (rg *Registrations) OpenVerification(ctx context.Context, token string) (*Verification, error) {
	l, to, u, err := rg.verificationLink(ctx, token)
	if err != nil {
		return nil, err
	}
	return viewVerification(l, to, u), nil
}

// verificationLink reads a link of either purpose; u is nil for one that creates the account.
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

// linkedPerson reads a link of a user. It is not valid if the user is disabled or has another address by now.
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

// linkError hides why a link does not work.
func linkError(err error) error {
	return replaceError(err, map[error]error{storage.ErrNotFound: ErrLink, storage.ErrSpent: ErrLink,
		storage.ErrConflict: ErrLink})
}

// Verify uses the link: the address is verified, and the account created if there is none. The password stays valid
// only if the user is known to be the one who chose it: in the browser that registered, signed in to the account, or
// by typing the password again. Otherwise it is removed with every session and grant that was made with it, and
// NewPassword replaces it, or PasswordToken leads to a new one. Without this, an attacker could register the address
// of another person, wait for the verification, and be signed in. If recovery is closed, NewPassword is required,
// because a lost response must not lock the user out.
//
// Errors: ErrLink; ErrWrongPassword for a wrong typed password and FieldErrors for the new one, after which the link
// is still valid; ErrRegistered if the address has a verified account by now, which leads to signing in;
// secret.ErrBusy.
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

// hashChosen is the hash of the new password, "" if it will be chosen later.
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

// verifyAccount verifies the address of an existing account.
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

// finishRegistration creates the account that was asked for. An unverified account of the address that was created in
// the meantime is taken over.
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
	// An account may be created or deleted between reading and writing, so there is a second try.
	for try := 1; ; try++ {
		p, err := rg.finishOnce(ctx, l, to, by)
		if try == 2 || !errors.Is(err, storage.ErrExists) && !errors.Is(err, storage.ErrNotFound) {
			return p, linkError(err)
		}
	}
}

func (rg *Registrations) finishOnce(ctx context.Context, l *storage.Link, to linkPayload,
	by VerifyInput) (*VerifiedEmail, error) {
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

// createVerified creates an account whose address the link has verified.
func (rg *Registrations) createVerified(ctx context.Context, l *storage.Link, to linkPayload,
	by VerifyInput) (*VerifiedEmail, error) {
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

// verifyEmail writes the verification. A user who loses the password gets a link to choose one, because opening the
// first link was proof enough.
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
