package api

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/factor"
	"github.com/sallyport-id/sallyport/internal/device"
	"github.com/sallyport-id/sallyport/internal/limit"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
)

// who is the caller as package factor wants to know them.
func (a *API) who(c *call) factor.Who {
	return factor.Who{User: &c.visit.User, Session: c.sid(), Bind: c.bind, From: a.origin(c), RequestID: web.RequestID(c.r.Context())}
}

// enrolling is who for setting up a factor, from where the session was made. That it
// was begun within minutes of a sign-in (the access enrolling) is enough: whoever has
// only found a session open must not make a second step of their own of it, and
// whoever takes their time with an app may finish.
func (a *API) enrolling(c *call) (factor.Who, error) {
	w := a.who(c)
	if len(c.owes.Enrol) > 0 {
		w.Allowed = c.owes.Enrol
	}
	if c.standing != session.Good {
		return w, stale()
	}
	return w, nil
}

// factorView is a second factor in answers.
type factorView struct {
	ID         uuid.UUID  `json:"id"`
	Kind       string     `json:"kind"`
	Name       string     `json:"name"`
	Passkey    bool       `json:"passkey"`
	CreatedAt  time.Time  `json:"created_at"`
	LastUsedAt *time.Time `json:"last_used_at"`
}

func viewFactor(f *storage.Factor) factorView {
	v := factorView{ID: f.ID, Kind: f.Kind, Name: f.Name, Passkey: f.Passkey, CreatedAt: f.CreatedAt}
	if !f.LastUsedAt.IsZero() {
		v.LastUsedAt = &f.LastUsedAt
	}
	return v
}

func (a *API) enrollTOTP(c *call) (answer, error) {
	var in struct {
		Name string `json:"name"`
	}
	if err := decode(c, &in); err != nil {
		return answer{}, err
	}
	w, err := a.enrolling(c)
	if err != nil {
		return answer{}, err
	}
	e, err := a.factors.BeginTOTP(c.r.Context(), w, in.Name)
	if err != nil {
		return answer{}, err
	}
	data := map[string]any{"id": e.ID, "secret": e.Secret, "uri": e.URI, "qr": "data:image/png;base64," + base64.StdEncoding.EncodeToString(e.QR)}
	return answer{message: "Add the secret to an authenticator app, then confirm with its code.", data: data}, nil
}

func (a *API) confirmTOTP(c *call) (answer, error) {
	var in struct {
		Code string `json:"code"`
		Name string `json:"name"`
	}
	if err := decode(c, &in); err != nil {
		return answer{}, err
	}
	w, err := a.enrolling(c)
	if err != nil {
		return answer{}, err
	}
	// Wrong codes are not counted: whoever enrols an app has its key, there is nothing
	// to guess.
	e, err := a.factors.ConfirmTOTP(c.r.Context(), w, in.Code, in.Name)
	if errors.Is(err, factor.ErrWrong) {
		return answer{}, wrongCode()
	} else if err != nil {
		return answer{}, err
	}
	return a.enrolled(c, e)
}

// wrongCode does not say why: a used code, a late one and a wrong one are the same.
func wrongCode() error { return invalid("code", "is not right, or was used before") }

// enrolled steps the session up to what was just shown. That the factor is set up
// stands by now, and the codes are shown this once only: where the session cannot be
// stepped up, because it has ended meanwhile, they are answered without one.
func (a *API) enrolled(c *call, e *factor.Enrolment) (answer, error) {
	acr, amr := e.Over(c.visit.Session.ACR, c.visit.Session.AMR)
	codes := append([]string{}, e.RecoveryCodes...)
	data := map[string]any{"factor": viewFactor(&e.Factor), "recovery_codes": codes, "session": nil}
	out := answer{status: http.StatusCreated, message: "The second step is set up. Keep the recovery codes: they are shown once.", data: data}
	in, err := a.start(c, &c.visit.User, session.SignIn{User: c.visit.User.ID, StepUp: true, ACR: acr, AMR: amr}, c.token)
	if err != nil {
		web.Annotate(c.r.Context(), "session", err.Error())
		out.message = "The second step is set up. Keep the recovery codes: they are shown once. The session has ended: sign in again."
		return out, nil
	}
	data["session"] = in.data
	a.limits.Devices.Remember(c.w, a.source(c).Device, c.visit.User.EmailKey, device.ByFactor)
	return out, nil
}

// codeInput is the body of what verifies a code.
type codeInput struct {
	Code string `json:"code"`
}

func (a *API) verifyTOTP(c *call) (answer, error) {
	return a.verifyCode(c, a.factors.VerifyTOTP, storage.FactorTOTP)
}

func (a *API) verifyRecoveryCode(c *call) (answer, error) {
	return a.verifyCode(c, a.factors.VerifyRecoveryCode, identity.FactorRecovery)
}

// verifyCode steps a session up with a code of the given kind.
func (a *API) verifyCode(c *call, verify verifier[string], kind string) (answer, error) {
	var in codeInput
	if err := decode(c, &in); err != nil {
		return answer{}, err
	}
	w, err := a.proving(c, kind)
	if err != nil {
		return answer{}, err
	}
	out, err := a.guessed(c, func(known bool) (answer, error) {
		v, err := verify(c.r.Context(), w, in.Code)
		if err != nil {
			return answer{}, err
		}
		return a.stepUp(c, v, known)
	})
	if errors.Is(err, factor.ErrWrong) || errors.Is(err, storage.ErrSpent) {
		err = wrongCode()
	}
	return out, err
}

// proving is who for showing a factor, with only the kinds that do.
func (a *API) proving(c *call, kind string) (factor.Who, error) {
	w := a.who(c)
	if err := a.assess(c); err != nil {
		return w, err
	}
	if len(c.owes.Prove) > 0 {
		w.Allowed = c.owes.Prove
		if !slices.Contains(w.Allowed, kind) {
			return w, factor.ErrNotAllowed
		}
	}
	return w, nil
}

// guessed bounds how often a code may be guessed. verify is told whether a second
// step was proven on this device before.
func (a *API) guessed(c *call, verify func(known bool) (answer, error)) (answer, error) {
	ctx := c.r.Context()
	attempt, err := a.limits.BeginCode(c.visit.User.EmailKey, c.bind, a.source(c))
	if err != nil {
		return answer{}, a.mustWait(c, err)
	}
	defer attempt.End(ctx)
	if err := attempt.Reserve(ctx, nil); err != nil {
		return answer{}, a.mustWait(c, err)
	}
	out, err := verify(attempt.Known())
	if errors.Is(err, factor.ErrWrong) || errors.Is(err, storage.ErrSpent) {
		if failed := attempt.Failed(ctx, c.visit.User.ID); failed != nil {
			return answer{}, failed
		}
		if attempt.Exhausted() {
			return answer{}, a.endGuessing(c)
		}
		return answer{}, err
	}
	if err == nil {
		attempt.Succeeded(ctx, c.w)
	}
	return out, err
}

// mustWait is what is answered to who has to wait, or to sign in anew: what the first
// factor earned bears no more wrong codes, and waiting does not help.
func (a *API) mustWait(c *call, err error) error {
	if b, ok := errors.AsType[*limit.Blocked](err); ok && b.Challenge {
		return a.endGuessing(c)
	}
	return err
}

// endGuessing ends a session whose second step was guessed at. One that has proven
// another keeps what it has.
func (a *API) endGuessing(c *call) error {
	if identity.Half(c.visit.User.Factors, c.visit.Session.ACR) {
		if _, err := a.logout(c); err != nil {
			return err
		}
	}
	return unauthorized("There were too many wrong codes. Sign in again from the start.")
}

// stepUp spends the proof together with the session's new token. Where that completes
// a sign-in, its notice is mailed, unless the device is known.
func (a *API) stepUp(c *call, v *factor.Verified, known bool) (answer, error) {
	acr, amr := v.Over(c.visit.Session.ACR, c.visit.Session.AMR)
	if s := &c.visit.Session; !known && identity.Half(c.visit.User.Factors, s.ACR) {
		notice, err := a.identity.NoticeOfSignIn(c.r.Context(), v.User, a.origin(c))
		if err != nil {
			return answer{}, err
		}
		if notice != nil {
			v.Use.Mails = append(v.Use.Mails, notice)
		}
	}
	out, err := a.start(c, v.User, session.SignIn{User: v.User.ID, Use: v.Use, StepUp: true, ACR: acr, AMR: amr}, c.token)
	out.message = "The second step is done."
	if in, ok := out.data.(sessionView); ok && v.Use.RecoveryCode != nil {
		out.data = recoveredView{in, v.Use.Left, v.NewCodes()}
	}
	return out, err
}

// recoveredView is a session that a recovery code has proven.
type recoveredView struct {
	sessionView
	Left int `json:"recovery_codes_left"`
	// Codes came in the place of the last one, and are shown once.
	Codes []string `json:"recovery_codes,omitempty"`
}

// disableTOTP removes one authenticator app, or all of them.
func (a *API) disableTOTP(c *call) (answer, error) {
	var in struct {
		ID *uuid.UUID `json:"id"`
	}
	if err := decode(c, &in); err != nil {
		return answer{}, err
	}
	list, err := a.factors.List(c.r.Context(), c.visit.User.ID)
	if err != nil {
		return answer{}, err
	}
	var apps []uuid.UUID
	for _, f := range list.Factors {
		if f.Kind == storage.FactorTOTP && (in.ID == nil || *in.ID == f.ID) {
			apps = append(apps, f.ID)
		}
	}
	if err := a.factors.Remove(c.r.Context(), a.who(c), apps...); err != nil {
		return answer{}, err
	}
	return answer{message: "The authenticator app is removed. All other sessions have ended."}, nil
}

func (a *API) countRecoveryCodes(c *call) (answer, error) {
	list, err := a.factors.List(c.r.Context(), c.visit.User.ID)
	if err != nil {
		return answer{}, err
	}
	return answer{message: "Your unused recovery codes.", data: map[string]int{"left": list.RecoveryCodesLeft}}, nil
}

func (a *API) regenerateRecoveryCodes(c *call) (answer, error) {
	if err := empty(c); err != nil {
		return answer{}, err
	}
	codes, err := a.factors.RegenerateRecoveryCodes(c.r.Context(), a.who(c))
	if err != nil {
		return answer{}, err
	}
	return answer{message: "These are your new recovery codes, shown once. The old ones do not work any more, and all other sessions have ended.", data: map[string][]string{"recovery_codes": codes}}, nil
}

// options is a challenge for navigator.credentials, whose argument is in publicKey.
func options(raw json.RawMessage, ceremony string) (any, error) {
	var data map[string]any
	if err := json.Unmarshal(raw, &data); err != nil {
		return nil, err
	}
	if ceremony != "" {
		data["ceremony"] = ceremony
	}
	return data, nil
}
