package signin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/identity/factor"
	"github.com/sallyport-id/sallyport/internal/device"
	"github.com/sallyport-id/sallyport/internal/limit"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/storage"
)

// endWrongCodes is why a session ends whose second factor was guessed at.
const endWrongCodes = "wrong_codes"

// Proof is a second factor that a user shows: the second step of a sign-in, or a step-up.
type Proof struct {
	Session *session.Current
	Flow    *storage.FlowState // nil outside of one
	// Kind is storage.FactorTOTP, storage.FactorWebAuthn or assurance.FactorRecovery.
	Kind string
	// Answer is the code as it was typed, or the credential as JSON.
	Answer string
}

// Prove adds the proof to the session, under a new token. Where required asks for a second factor,
// only kinds that it names are accepted (factor.ErrNotAllowed). Errors: factor.ErrVerification,
// factor.ErrChallenge, factor.ErrUnavailable, ErrSessionEnded, ErrTooManyCodes, *limit.Blocked.
func (s *Service) Prove(ctx context.Context, from session.Source, required Required, p Proof) (*Result, error) {
	var allowed []string
	if len(required.Verify) > 0 {
		allowed = required.Verify
	}
	who := s.Subject(from, p.Session, allowed)
	switch {
	case allowed != nil && !slices.Contains(allowed, p.Kind):
		return nil, factor.ErrNotAllowed
	case p.Kind == storage.FactorWebAuthn:
		return s.proveKey(ctx, from, p, who)
	}
	attempt, err := s.limits.BeginCode(p.Session.User.EmailKey, p.Session.Session.TokenHash, source(from))
	if err != nil {
		return nil, s.codesExhausted(ctx, from, p, err)
	}
	defer attempt.End(ctx)
	if err := attempt.Reserve(ctx, nil); err != nil {
		return nil, s.codesExhausted(ctx, from, p, err)
	}
	verified, err := s.verifyCode(ctx, who, p)
	var out *Result
	if err == nil {
		out, err = s.spend(ctx, from, p.Session, verified, attempt.Known())
	}
	if errors.Is(err, factor.ErrVerification) {
		if err := attempt.Failed(ctx, p.Session.User.ID); err != nil {
			return nil, err
		}
		if attempt.Exhausted() {
			return nil, s.tooManyCodes(ctx, from, p)
		}
	}
	if err != nil {
		return nil, err
	}
	out.Device = attempt.Succeeded(ctx)
	return out, nil
}

// verifyCode checks a code of the kind that is shown.
func (s *Service) verifyCode(ctx context.Context, who factor.Subject, p Proof) (*factor.Verified, error) {
	switch p.Kind {
	case storage.FactorTOTP:
		return s.factors.VerifyTOTP(ctx, who, p.Answer)
	case assurance.FactorRecovery:
		return s.factors.VerifyRecoveryCode(ctx, who, p.Answer)
	}
	return nil, factor.ErrNotAllowed
}

// proveKey is Prove for a passkey or security key. It cannot be guessed, and is not counted:
// otherwise an attacker with the password alone could use up the owner's tries. Only the work that
// it costs is bounded.
func (s *Service) proveKey(ctx context.Context, from session.Source, p Proof, who factor.Subject) (*Result, error) {
	if err := s.limits.TakeKey(ctx, p.Session.Session.TokenHash); err != nil {
		return nil, err
	}
	verified, err := s.factors.VerifyWebAuthn(ctx, who, json.RawMessage(p.Answer))
	if err != nil {
		return nil, err
	}
	account := p.Session.User.EmailKey
	known := !s.devices.KnownSince(from.Device, account, device.ByFactor).IsZero()
	out, err := s.spend(ctx, from, p.Session, verified, known)
	if err != nil {
		return nil, err
	}
	out.Device = s.devices.Mark(from.Device, account, device.ByFactor)
	return out, nil
}

// spend uses up what was verified together with the step-up that it serves. Where that completes
// a sign-in, its notice is mailed, unless the device is known.
func (s *Service) spend(ctx context.Context, from session.Source, c *session.Current, v *factor.Verified, known bool) (
	*Result, error) {
	if !known && NeedsSecondFactor(c.SessionContext) {
		notice, err := s.identity.Sessions.NewDeviceMail(ctx, &c.User, s.Origin(from))
		if err != nil {
			return nil, err
		}
		if notice != nil {
			v.Use.Mails = append(v.Use.Mails, notice)
		}
	}
	out, err := s.stepUp(ctx, from, c, v.Strength, v.Use)
	if errors.Is(err, storage.ErrSpent) { // the same was used at the same time
		return nil, factor.ErrVerification
	} else if err != nil {
		return nil, err
	}
	out.Recovered, out.CodesLeft, out.RecoveryCodes = v.Use.RecoveryCode != nil, v.Use.Left, v.NewCodes()
	return out, nil
}

// stepUp gives the session what was proven beside what it had, under a new token.
func (s *Service) stepUp(ctx context.Context, from session.Source, c *session.Current, proof factor.Strength,
	use *storage.FactorUse) (*Result, error) {
	acr, amr := proof.Combine(c.Session.ACR, c.Session.AMR)
	token, err := s.sessions.Start(ctx, from, session.SignIn{User: c.User.ID, Use: use, StepUp: true, ACR: acr, AMR: amr})
	if errors.Is(err, storage.ErrConflict) {
		return nil, fmt.Errorf("%w: %w", ErrSessionEnded, err)
	} else if err != nil {
		return nil, err
	}
	return &Result{User: &c.User, Token: token}, nil
}

// codesExhausted makes ErrTooManyCodes of a *limit.Blocked that waiting does not help against.
func (s *Service) codesExhausted(ctx context.Context, from session.Source, p Proof, err error) error {
	if b, ok := errors.AsType[*limit.Blocked](err); ok && b.Challenge {
		return s.tooManyCodes(ctx, from, p)
	}
	return err
}

// tooManyCodes asks for another sign-in, because what the first factor earned takes no more wrong
// codes. A session that still needs its second factor ends; the browser keeps its token, which
// is nobody's now, so that its flow can go on. Any other keeps what it has proven, because
// guessing must not sign the user out.
func (s *Service) tooManyCodes(ctx context.Context, from session.Source, p Proof) error {
	token := p.Session.Session.TokenHash
	switch {
	case NeedsSecondFactor(p.Session.SessionContext):
		if _, err := s.store.EndSession(ctx, token, endWrongCodes, from.RequestID); err != nil {
			return err
		}
	case p.Flow != nil:
		// storage.ErrSpent: the flow has ended, and asks for nothing any more.
		if err := s.store.AskAgain(ctx, p.Flow.Flow.IDHash, token); err != nil && !errors.Is(err, storage.ErrSpent) {
			return err
		}
	}
	return ErrTooManyCodes
}

// Enrolment is the answer that sets up a factor which was begun with package identity/factor.
type Enrolment struct {
	Session *session.Current
	// Allowed are the kinds that are accepted; nil: all.
	Allowed []string
	Kind    string // storage.FactorTOTP or storage.FactorWebAuthn
	Name    string // "" for one that says what it is
	// Answer is the first code as it was typed, or the credential as JSON.
	Answer string
}

// Enrol sets the factor up and steps the session up to it, for the user has just shown it.
// The factor counts from then on, and recovery codes are shown once only: where the session cannot
// be stepped up because it has ended, or there are codes to show, the Result has no Token. The errors
// are those of factor.ConfirmTOTP and factor.ConfirmWebAuthn, and those of storage.
func (s *Service) Enrol(ctx context.Context, from session.Source, e Enrolment) (*Result, error) {
	who := s.Subject(from, e.Session, e.Allowed)
	var added *factor.Enrolment
	var err error
	if e.Kind == storage.FactorTOTP {
		added, err = s.factors.ConfirmTOTP(ctx, who, e.Answer, e.Name)
	} else {
		added, err = s.factors.ConfirmWebAuthn(ctx, who, e.Name, json.RawMessage(e.Answer))
	}
	if err != nil {
		return nil, err
	}
	out, err := s.stepUp(ctx, from, e.Session, added.Strength, nil)
	switch {
	case err == nil:
		out.Device = s.devices.Mark(from.Device, e.Session.User.EmailKey, device.ByFactor)
	case errors.Is(err, ErrSessionEnded) || len(added.RecoveryCodes) > 0:
		s.annotate(ctx, "session", err.Error())
		out = &Result{User: &e.Session.User}
	default:
		return nil, err
	}
	out.Factor, out.RecoveryCodes = &added.Factor, added.RecoveryCodes
	return out, nil
}
