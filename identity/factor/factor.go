package factor

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/internal/mail"
	"github.com/sallyport-id/sallyport/internal/request"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

var (
	// ErrVerification: the code or the authenticator's answer is wrong, or was used before.
	ErrVerification = errors.New("the proof is wrong")
	// ErrChallenge: the challenge is unknown: too old, answered before, or given to another browser. Starting again helps.
	ErrChallenge = errors.New("no such challenge")
	// ErrEmailUnverified: the address is not verified, so no factor can be added yet.
	ErrEmailUnverified = errors.New("the address is not proven")
	// ErrTooMany: the user has the maximum number of factors of that kind.
	ErrTooMany = errors.New("too many factors")
	// ErrNotAllowed: this kind of factor is not accepted here.
	ErrNotAllowed = errors.New("this kind of factor is not accepted here")
	// ErrRequired: a policy requires this factor, and the user has no other one that meets it.
	ErrRequired = errors.New("a policy requires this factor")
	// ErrUnavailable: WebAuthn needs an issuer with a domain name, and this one has an address.
	ErrUnavailable = errors.New("WebAuthn is not available")
)

// EnrolmentText tells the user why a factor was not set up; "" for a fault of this server.
func EnrolmentText(err error) string {
	for of, text := range map[error]string{
		ErrEmailUnverified: "Confirm your email address first.",
		ErrTooMany:         "You have as many of this kind as anybody may have. Remove one on your account page first.",
		ErrUnavailable:     "This cannot be used here. Choose another way.",
		ErrNotAllowed:      "This cannot be used here. Choose another way.",
		storage.ErrExists:  "This passkey or security key is set up already.",
		ErrChallenge:       "That took too long, or the page was opened twice. Nothing was added. Try again.",
		ErrVerification:    "What the passkey or security key answered is not right. Nothing was added. Try again.",
	} {
		if errors.Is(err, of) {
			return text
		}
	}
	return ""
}

// Config has what Factors needs.
type Config struct {
	Store  *storage.Store
	Sealer *secret.Sealer
	Keys   *secret.Keyring
	Mail   *mail.Writer
	// Identity decides who may reset another user's factors.
	Identity *identity.Domain
	// Issuer is the URL of this server. WebAuthn accepts only its origin; its host is the RP ID.
	Issuer string
	// Name returns the name that authenticators show, at each enrolment. nil is the issuer's host.
	Name func() string
	// RecoveryCodes is how many codes are made at once; 0 is 3.
	RecoveryCodes int
	// Now is the clock; nil is the system's.
	Now func() time.Time
}

// Factors enrols and verifies second factors. It is safe for concurrent use.
type Factors struct {
	store        *storage.Store
	people       *identity.People
	installation *identity.Installation
	notices      notices
	apps         *apps
	keys         *authenticators // nil if the issuer is an address
	recovery     *recovery
	now          func() time.Time
}

// kind is a kind of factor that can be enrolled. all are the user's factors, unconfirmed ones included.
type kind interface {
	// confirm checks what ends an enrolment and returns the factor as it will be.
	confirm(w *Subject, all []storage.Factor, name string, answer []byte) (*storage.NewFactor, error)
	// verify checks what a user shows, and returns the factor and what the sign-in has to spend.
	verify(ctx context.Context, w *Subject, all []storage.Factor, answer []byte) (*storage.Factor, *storage.FactorUse,
		error)
	// proves is what showing f proves.
	proves(f *storage.Factor) Strength
}

// New returns Factors, or an error that names what c lacks.
func New(c Config) (*Factors, error) {
	if c.Store == nil || c.Sealer == nil || c.Keys == nil || c.Mail == nil || c.Identity == nil {
		return nil, errors.New("factor: store, sealer, keys, mail and identity are needed")
	}
	issuer, err := url.Parse(c.Issuer)
	if err != nil || issuer.Hostname() == "" {
		return nil, fmt.Errorf("factor: issuer %q is not a URL", c.Issuer)
	}
	if c.Name == nil {
		c.Name = issuer.Hostname
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	now := func() time.Time { return c.Now().UTC().Truncate(time.Microsecond) }
	f := &Factors{
		store:        c.Store,
		people:       c.Identity.People,
		installation: c.Identity.Installation,
		notices:      notices{writer: c.Mail, account: c.Issuer + "/account"},
		apps:         &apps{sealer: c.Sealer, issuer: c.Name, now: now},
		recovery:     &recovery{keys: c.Keys.Subkeys("recovery code"), count: cmp.Or(c.RecoveryCodes, 3)},
		now:          now,
	}
	f.keys, err = newAuthenticators(c.Store, challenges{c.Keys.Subkeys("WebAuthn challenge"), now}, issuer, c.Name, now)
	return f, err
}

// kind returns the kind with that name, or ErrNotAllowed or ErrUnavailable.
func (f *Factors) kind(w *Subject, name string) (kind, error) {
	switch {
	case w.Allowed != nil && !slices.Contains(w.Allowed, name):
		return nil, ErrNotAllowed
	case name == storage.FactorTOTP:
		return f.apps, nil
	case f.keys == nil:
		return nil, ErrUnavailable
	}
	return f.keys, nil
}

// Subject is the user and the browser in which a factor is enrolled or verified.
type Subject struct {
	User *storage.User
	// Session is the user's session in this browser. A change of factors ends the user's other sessions.
	Session uuid.UUID
	// SessionHash is the hash of that session's token. A challenge is valid for this session only.
	SessionHash secret.Hash
	// From is shown in mails.
	From      request.Info
	RequestID string
	// Allowed are the accepted kinds: storage.FactorTOTP, storage.FactorWebAuthn, assurance.FactorRecovery. nil is
	// all.
	Allowed []string
}

// event is an event about the user's own factors.
func (w *Subject) event(what storage.EventType, facts map[string]any) *storage.Event {
	return &storage.Event{Type: what, Actor: w.User.ID, User: w.User.ID, RequestID: w.RequestID, Facts: facts}
}

// Strength is how strongly a verified factor authenticates the user.
type Strength struct {
	ACR string
	AMR []string // RFC 8176
}

// Combine adds what a session has proven before: the result has the stronger context and the methods of both.
func (p Strength) Combine(acr string, amr []string) (string, []string) {
	if !assurance.Satisfies(p.ACR, []string{acr}) && acr != "" {
		p.ACR = acr
	}
	both := slices.Clone(amr)
	for _, m := range p.AMR {
		if !slices.Contains(both, m) {
			both = append(both, m)
		}
	}
	return p.ACR, both
}

// Enrolment is a factor that was just confirmed. The caller raises the session to its Strength.
type Enrolment struct {
	Factor storage.Factor
	// RecoveryCodes are shown once; nil if the user had some already.
	RecoveryCodes []string
	Strength
}

// Verified is a factor that was verified. It counts when Use is spent with the sign-in; storage.ErrSpent there means
// the same as ErrVerification here.
type Verified struct {
	User *storage.User
	Use  *storage.FactorUse
	Strength
	renewal []string
}

// NewCodes are the recovery codes that replace the last one, to be shown once; nil if others are left. This is known
// only after Use was spent.
func (v *Verified) NewCodes() []string {
	if !v.Use.Renewed {
		return nil
	}
	return v.renewal
}

// HasWebAuthn reports whether authenticators can be used with this issuer.
func (f *Factors) HasWebAuthn() bool { return f.keys != nil }

// BeginTOTP makes a seed that waits half an hour for ConfirmTOTP in the same session and replaces any other that
// waits. If one already waits in this session, under that name or if none is given, it is returned again. Errors:
// ErrEmailUnverified, ErrTooMany, ErrNotAllowed.
func (f *Factors) BeginTOTP(ctx context.Context, w Subject, name string) (*TOTPEnrolment, error) {
	_, all, err := f.enrolling(ctx, &w, storage.FactorTOTP)
	if err != nil {
		return nil, err
	}
	name = clean(name)
	if offer, err := f.apps.again(&w, all, name); offer != nil || err != nil {
		return offer, err
	}
	row, offer, err := f.apps.begin(&w, name)
	if err != nil {
		return nil, err
	}
	if err := f.store.Factors.Begin(ctx, row); errors.Is(err, storage.ErrConflict) {
		return nil, ErrEmailUnverified
	} else if err != nil {
		return nil, err
	}
	return offer, nil
}

// ConfirmTOTP confirms the authenticator app that waits in this session by its current code. A name that is not empty
// replaces the first. The sign-in need not be recent any more: BeginTOTP has already revealed the key. Errors:
// ErrVerification, ErrChallenge if no app waits, and those of BeginTOTP.
func (f *Factors) ConfirmTOTP(ctx context.Context, w Subject, code, name string) (*Enrolment, error) {
	return f.confirm(ctx, &w, storage.FactorTOTP, name, []byte(code))
}

// BeginWebAuthn returns the argument of navigator.credentials.create as JSON: {"publicKey": …}. Errors:
// ErrEmailUnverified, ErrTooMany, ErrNotAllowed, ErrUnavailable.
func (f *Factors) BeginWebAuthn(ctx context.Context, w Subject) (json.RawMessage, error) {
	_, all, err := f.enrolling(ctx, &w, storage.FactorWebAuthn)
	if err != nil {
		return nil, err
	}
	return f.keys.beginCreate(&w, all)
}

// ConfirmWebAuthn stores the authenticator whose credential is in response. An empty name is replaced by one that
// describes it. Errors: ErrVerification, ErrChallenge, storage.ErrExists if the credential belongs to any user, and
// those of BeginWebAuthn.
func (f *Factors) ConfirmWebAuthn(ctx context.Context, w Subject, name string, response json.RawMessage) (*Enrolment,
	error) {
	return f.confirm(ctx, &w, storage.FactorWebAuthn, name, response)
}

// enrolling checks that the user may enrol a factor, and returns the user's factors.
func (f *Factors) enrolling(ctx context.Context, w *Subject, name string) (kind, []storage.Factor, error) {
	k, err := f.kind(w, name)
	if err != nil {
		return nil, nil, err
	}
	if !w.User.EmailVerified() {
		return nil, nil, ErrEmailUnverified
	}
	all, err := f.store.Factors.List(ctx, w.User.ID)
	if err == nil && len(confirmed(all, name)) >= storage.MaxFactors {
		err = ErrTooMany
	}
	return k, all, err
}

func (f *Factors) confirm(ctx context.Context, w *Subject, name, called string, answer []byte) (*Enrolment, error) {
	k, all, err := f.enrolling(ctx, w, name)
	if err != nil {
		return nil, err
	}
	n, err := k.confirm(w, all, called, answer)
	if err != nil {
		return nil, err
	}
	var codes []string
	codes, n.RecoveryCodes = f.recovery.make(w.User.ID)
	n.Keep = w.Session
	n.Event = w.event(storage.EventFactorEnrolled, map[string]any{"factor": n.Factor.ID, "kind": name})
	if n.Mails, err = f.notices.added(w, words(&n.Factor)); err != nil {
		return nil, err
	}
	took, err := f.store.Factors.Confirm(ctx, n)
	switch {
	case errors.Is(err, storage.ErrSpent):
		return nil, ErrChallenge
	case errors.Is(err, storage.ErrConflict) && w.User.EmailVerified():
		return nil, ErrTooMany // other factors were confirmed in the meantime
	case errors.Is(err, storage.ErrConflict):
		return nil, ErrEmailUnverified
	case err != nil:
		return nil, err
	}
	if !took {
		codes = nil
	}
	return &Enrolment{Factor: n.Factor, RecoveryCodes: codes, Strength: k.proves(&n.Factor)}, nil
}

// VerifyTOTP checks the code of any of the user's authenticator apps. Errors: ErrVerification, ErrNotAllowed.
func (f *Factors) VerifyTOTP(ctx context.Context, w Subject, code string) (*Verified, error) {
	return f.verify(ctx, &w, storage.FactorTOTP, []byte(code))
}

// ChallengeWebAuthn returns the argument of navigator.credentials.get for the user's authenticators.
// storage.ErrNotFound if there is none.
func (f *Factors) ChallengeWebAuthn(ctx context.Context, w Subject) (json.RawMessage, error) {
	if _, err := f.kind(&w, storage.FactorWebAuthn); err != nil {
		return nil, err
	}
	all, err := f.store.Factors.List(ctx, w.User.ID)
	if err != nil {
		return nil, err
	}
	return f.keys.beginGet(&w, all)
}

// VerifyWebAuthn checks the answer to ChallengeWebAuthn. Errors: ErrVerification, ErrChallenge, ErrNotAllowed,
// ErrUnavailable.
func (f *Factors) VerifyWebAuthn(ctx context.Context, w Subject, response json.RawMessage) (*Verified, error) {
	return f.verify(ctx, &w, storage.FactorWebAuthn, response)
}

func (f *Factors) verify(ctx context.Context, w *Subject, name string, answer []byte) (*Verified, error) {
	k, err := f.kind(w, name)
	if err != nil {
		return nil, err
	}
	all, err := f.store.Factors.List(ctx, w.User.ID)
	if err != nil {
		return nil, err
	}
	shown, use, err := k.verify(ctx, w, all, answer)
	if err != nil {
		return nil, err
	}
	return &Verified{User: w.User, Use: use, Strength: k.proves(shown)}, nil
}

// ChallengePasskey returns the argument of navigator.credentials.get for any passkey of this site. bind is the hash of
// the browser's token; the browser may be anonymous, but bind must not be zero. It does not use the database. Error:
// ErrUnavailable.
func (f *Factors) ChallengePasskey(_ context.Context, bind secret.Hash) (json.RawMessage, error) {
	if f.keys == nil {
		return nil, ErrUnavailable
	}
	return f.keys.beginPasskey(bind)
}

// VerifyPasskey checks the answer to ChallengePasskey and returns its user. ErrVerification for an unknown passkey or
// a user who may not sign in, ErrChallenge, ErrUnavailable.
func (f *Factors) VerifyPasskey(ctx context.Context, bind secret.Hash, response json.RawMessage) (*Verified, error) {
	if f.keys == nil {
		return nil, ErrUnavailable
	}
	user, shown, use, err := f.keys.passkey(ctx, bind, response)
	if err != nil {
		return nil, err
	}
	return &Verified{User: user, Use: use, Strength: f.keys.proves(shown)}, nil
}

// VerifyRecoveryCode checks a recovery code in any spelling. If it is the last one, spending it makes new ones: see
// NewCodes. Errors: ErrVerification, ErrNotAllowed.
func (f *Factors) VerifyRecoveryCode(ctx context.Context, w Subject, code string) (*Verified, error) {
	if w.Allowed != nil && !slices.Contains(w.Allowed, assurance.FactorRecovery) {
		return nil, ErrNotAllowed
	}
	hashes, err := f.recovery.hashes(w.User.ID, code)
	if err != nil {
		return nil, err
	}
	there, left, err := f.store.Factors.HasRecoveryCode(ctx, w.User.ID, hashes)
	if err != nil {
		return nil, err
	}
	if !there {
		return nil, ErrVerification
	}
	use := &storage.FactorUse{RecoveryCode: hashes,
		Event: w.event(storage.EventFactorRecoveryCodeUsed, map[string]any{"left": left - 1})}
	if use.Mails, err = f.notices.to(w.User, templates.RecoveryCodeUsed{Name: w.User.Profile.Name, Left: left - 1,
		AccountLink: f.notices.account, From: w.From}); err != nil {
		return nil, err
	}
	v := &Verified{User: w.User, Use: use, Strength: f.apps.proves(nil)}
	v.renewal, use.Renewal = f.recovery.make(w.User.ID)
	use.RenewalEvent = w.event(storage.EventFactorRecoveryCodesRegenerated, map[string]any{"count": len(v.renewal)})
	return v, nil
}

// confirmed are the confirmed factors of a kind.
func confirmed(all []storage.Factor, kind string) []storage.Factor {
	return slices.DeleteFunc(slices.Clone(all), func(f storage.Factor) bool {
		return f.Kind != kind || f.ConfirmedAt.IsZero()
	})
}
