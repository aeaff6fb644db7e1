package factor

import (
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
)

var (
	// ErrVerification: the code or the answer of the authenticator is not right, or was used before.
	ErrVerification = errors.New("the proof is wrong")
	// ErrChallenge: what was answered is no challenge that waits: it is too old, was
	// answered before, or was given to another browser. Beginning anew helps.
	ErrChallenge = errors.New("no such challenge")
	// ErrEmailUnverified: the address is not known to be the person's, so nothing attaches to it yet.
	ErrEmailUnverified = errors.New("the address is not proven")
	// ErrTooMany: the person has as many factors of that kind as anybody may have.
	ErrTooMany = errors.New("too many factors")
	// ErrNotAllowed: that kind is not accepted here.
	ErrNotAllowed = errors.New("this kind of factor is not accepted here")
	// ErrRequired: a policy asks for this factor, and the person has no other that meets it.
	ErrRequired = errors.New("a policy requires this factor")
	// ErrUnavailable: WebAuthn needs an issuer with a domain name, and this one has an address.
	ErrUnavailable = errors.New("WebAuthn is not available")
)

// EnrolmentText says to the user why a factor was not set up; "" for faults of this server.
func EnrolmentText(err error) string {
	switch {
	case errors.Is(err, ErrEmailUnverified):
		return "Confirm your email address first."
	case errors.Is(err, ErrTooMany):
		return "You have as many of this kind as anybody may have. Remove one on your account page first."
	case errors.Is(err, ErrUnavailable), errors.Is(err, ErrNotAllowed):
		return "This cannot be used here. Choose another way."
	case errors.Is(err, storage.ErrExists):
		return "This passkey or security key is set up already."
	case errors.Is(err, ErrChallenge):
		return "That took too long, or the page was opened twice. Nothing was added. Try again."
	case errors.Is(err, ErrVerification):
		return "What the passkey or security key answered is not right. Nothing was added. Try again."
	}
	return ""
}

// Config is what a Factors is made of.
type Config struct {
	Store  *storage.Store
	Sealer *secret.Sealer
	Keys   *secret.Keyring
	Mail   *mail.Writer
	// Identity says who may reset another person's factors.
	Identity *identity.Domain
	// Issuer is the URL of this server: its origin is the only one, its host the RP ID.
	Issuer string
	// Name is what authenticators show: the product's, asked for at each enrolment.
	// nil is the issuer's host.
	Name func() string
	// RecoveryCodes is how many are given out at once; 0 is 3.
	RecoveryCodes int
	// Now is the node's clock; nil is the system's.
	Now func() time.Time
}

// Factors enrols, asks for and verifies second factors. It is safe for concurrent use.
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

// kind is a kind of factor that is enrolled. all are the person's factors, those
// that wait too.
type kind interface {
	// confirm checks what ends an enrolment and returns the factor as it will be.
	confirm(w *Subject, all []storage.Factor, name string, answer []byte) (*storage.NewFactor, error)
	// verify checks what a person shows, and returns the factor and what a sign-in is to spend.
	verify(ctx context.Context, w *Subject, all []storage.Factor, answer []byte) (*storage.Factor, *storage.FactorUse, error)
	// proves is what showing f proves.
	proves(f *storage.Factor) Strength
}

// New returns Factors for c, or an error that says what c lacks.
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
	if c.RecoveryCodes == 0 {
		c.RecoveryCodes = 3
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
		recovery:     &recovery{keys: c.Keys.Subkeys("recovery code"), count: c.RecoveryCodes},
		now:          now,
	}
	f.keys, err = newAuthenticators(c.Store, challenges{c.Keys.Subkeys("WebAuthn challenge"), now}, issuer, c.Name, now)
	return f, err
}

// kind returns the kind of that name, and ErrNotAllowed or ErrUnavailable if it is not to be had.
func (f *Factors) kind(w *Subject, name string) (kind, error) {
	if w.Allowed != nil && !slices.Contains(w.Allowed, name) {
		return nil, ErrNotAllowed
	}
	if name == storage.FactorTOTP {
		return f.apps, nil
	}
	if f.keys == nil {
		return nil, ErrUnavailable
	}
	return f.keys, nil
}

// Subject is the user in front of a browser that a factor is enrolled or shown in.
type Subject struct {
	User *storage.User
	// Session is theirs in this browser: it outlives a change of factors, others do not.
	Session uuid.UUID
	// SessionHash is the hash of the token of that session: a challenge counts for it alone.
	SessionHash secret.Hash
	// From is told in notices.
	From      request.Info
	RequestID string
	// Allowed are the kinds that are accepted: storage.FactorTOTP, storage.FactorWebAuthn,
	// assurance.FactorRecovery. nil: all.
	Allowed []string
}

// event is something that this person did to their own factors.
func (w *Subject) event(what storage.EventType, facts map[string]any) *storage.Event {
	return &storage.Event{Type: what, Actor: w.User.ID, User: w.User.ID, RequestID: w.RequestID, Facts: facts}
}

// Strength is what a factor that was shown proves of a sign-in.
type Strength struct {
	ACR string
	AMR []string // RFC 8176
}

// Combine is the proof together with what a session had proven before: the stronger
// context, and the methods of both.
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

// Enrolment is a factor that counts from now on. The caller steps the session up to its Strength.
type Enrolment struct {
	Factor storage.Factor
	// RecoveryCodes are shown once; nil if the person had some.
	RecoveryCodes []string
	Strength
}

// Verified is a factor that was shown. It counts when Use is spent with the
// sign-in: storage.ErrSpent there is the same as ErrVerification here.
type Verified struct {
	User *storage.User
	Use  *storage.FactorUse
	Strength
	renewal []string
}

// NewCodes are the recovery codes that came in the place of the last one, to be
// shown this once; nil if some are left. It is known once Use is spent.
func (v *Verified) NewCodes() []string {
	if !v.Use.Renewed {
		return nil
	}
	return v.renewal
}

// HasWebAuthn reports whether authenticators can be used on this issuer.
func (f *Factors) HasWebAuthn() bool { return f.keys != nil }

// BeginTOTP makes a seed that waits half an hour for ConfirmTOTP in the same session,
// in the place of any other that does; where one waits in this session already, under
// that name or if none is given, it is shown again. ErrEmailUnverified, ErrTooMany, ErrNotAllowed.
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

// ConfirmTOTP makes the app that waits in this session count, shown by its current
// code. A name that is not empty replaces the first. That the sign-in was fresh when
// it began is enough: whoever took their time has the key already. ErrVerification,
// ErrChallenge if none waits (any more), and those of BeginTOTP.
func (f *Factors) ConfirmTOTP(ctx context.Context, w Subject, code, name string) (*Enrolment, error) {
	return f.confirm(ctx, &w, storage.FactorTOTP, name, []byte(code))
}

// BeginWebAuthn returns the argument of navigator.credentials.create, as JSON:
// {"publicKey": …}. ErrEmailUnverified, ErrTooMany, ErrNotAllowed, ErrUnavailable.
func (f *Factors) BeginWebAuthn(ctx context.Context, w Subject) (json.RawMessage, error) {
	_, all, err := f.enrolling(ctx, &w, storage.FactorWebAuthn)
	if err != nil {
		return nil, err
	}
	return f.keys.beginCreate(&w, all)
}

// ConfirmWebAuthn stores the authenticator that answered, the JSON of the
// credential. An empty name becomes one that says what it is. ErrVerification,
// ErrChallenge, storage.ErrExists if it is somebody's already, and those of BeginWebAuthn.
func (f *Factors) ConfirmWebAuthn(ctx context.Context, w Subject, name string, response json.RawMessage) (*Enrolment, error) {
	return f.confirm(ctx, &w, storage.FactorWebAuthn, name, response)
}

// enrolling admits an enrolment and returns the factors that the person has.
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
		return nil, ErrTooMany // others were confirmed meanwhile
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

// VerifyTOTP checks the code of any of the person's authenticator apps. ErrVerification, ErrNotAllowed.
func (f *Factors) VerifyTOTP(ctx context.Context, w Subject, code string) (*Verified, error) {
	return f.verify(ctx, &w, storage.FactorTOTP, []byte(code))
}

// ChallengeWebAuthn returns the argument of navigator.credentials.get for the
// person's authenticators. storage.ErrNotFound if they have none.
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

// VerifyWebAuthn checks the answer to it. ErrVerification, ErrChallenge, ErrNotAllowed, ErrUnavailable.
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

// ChallengePasskey returns the argument of navigator.credentials.get for whoever
// has a passkey here. bind is the hash of the browser's token, which may be
// anonymous but not zero. It asks no database. ErrUnavailable.
func (f *Factors) ChallengePasskey(_ context.Context, bind secret.Hash) (json.RawMessage, error) {
	if f.keys == nil {
		return nil, ErrUnavailable
	}
	return f.keys.beginPasskey(bind)
}

// VerifyPasskey checks the answer to it and tells who it is. ErrVerification for
// passkeys that nobody has and for people who may not sign in, ErrChallenge, ErrUnavailable.
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

// VerifyRecoveryCode checks a recovery code, however it is written. If it is the
// last one, spending it makes new ones: see NewCodes. ErrVerification, ErrNotAllowed.
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
	use := &storage.FactorUse{RecoveryCode: hashes, Event: w.event(storage.EventFactorRecoveryCodeUsed, map[string]any{"left": left - 1})}
	if use.Mails, err = f.notices.codeUsed(&w, left-1); err != nil {
		return nil, err
	}
	v := &Verified{User: w.User, Use: use, Strength: f.apps.proves(nil)}
	v.renewal, use.Renewal = f.recovery.make(w.User.ID)
	use.RenewalEvent = w.event(storage.EventFactorRecoveryCodesRegenerated, map[string]any{"count": len(v.renewal)})
	return v, nil
}

// confirmed are those of a kind that count.
func confirmed(all []storage.Factor, kind string) []storage.Factor {
	return slices.DeleteFunc(slices.Clone(all), func(f storage.Factor) bool { return f.Kind != kind || f.ConfirmedAt.IsZero() })
}
