package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/identity/factor"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/signin"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
)

// subject is the caller as package factor wants to know them.
func (a *API) subject(c *call, allowed []string) factor.Subject {
	return a.signIn.Subject(a.source(c), c.current, allowed)
}

// enrolling are the kinds that the caller may set up, nil for all, from where the session was made.
// That it was begun within minutes of a sign-in (the access enrolling) is enough: whoever has
// only found a session open must not make a second step of their own of it, and
// whoever takes their time with an app may finish.
func (c *call) enrolling() (allowed []string, err error) {
	if c.current.Standing != session.Good {
		return nil, stale()
	}
	if len(c.required.Enrol) > 0 {
		return c.required.Enrol, nil
	}
	return nil, nil
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
	allowed, err := c.enrolling()
	if err != nil {
		return answer{}, err
	}
	e, err := a.factors.BeginTOTP(c.r.Context(), a.subject(c, allowed), in.Name)
	if err != nil {
		return answer{}, err
	}
	data := map[string]any{"id": e.ID, "secret": e.Secret, "uri": e.URI, "qr": e.ImageURL()}
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
	// Wrong codes are not counted: whoever enrols an app has its key, there is nothing
	// to guess.
	out, err := a.enrol(c, signin.Enrolment{Kind: storage.FactorTOTP, Name: in.Name, Answer: in.Code})
	if errors.Is(err, factor.ErrVerification) {
		err = wrongCode()
	}
	return out, err
}

// wrongCode does not say why: a used code, a late one and a wrong one are the same.
func wrongCode() error { return invalid("code", "is not right, or was used before") }

// enrol sets a factor up and answers with what is shown once only.
func (a *API) enrol(c *call, e signin.Enrolment) (answer, error) {
	var err error
	if e.Allowed, err = c.enrolling(); err != nil {
		return answer{}, err
	}
	e.Session = c.current
	in, err := a.signIn.Enrol(c.r.Context(), a.source(c), e)
	if err != nil {
		return answer{}, err
	}
	codes := append([]string{}, in.RecoveryCodes...)
	data := map[string]any{"factor": viewFactor(in.Factor), "recovery_codes": codes, "session": nil}
	out := answer{status: http.StatusCreated, data: data,
		message: "The second step is set up. Keep the recovery codes: they are shown once."}
	if in.Token != "" {
		view, err := a.enter(c, in)
		if err == nil {
			data["session"] = view
			return out, nil
		}
		web.Annotate(c.r.Context(), "session", err.Error())
	}
	out.message += " The session has ended: sign in again."
	return out, nil
}

// codeInput is the body of what verifies a code.
type codeInput struct {
	Code string `json:"code"`
}

func (a *API) verifyTOTP(c *call) (answer, error) { return a.verifyCode(c, storage.FactorTOTP) }

func (a *API) verifyRecoveryCode(c *call) (answer, error) {
	return a.verifyCode(c, assurance.FactorRecovery)
}

// verifyCode steps a session up with a code of the given kind.
func (a *API) verifyCode(c *call, kind string) (answer, error) {
	var in codeInput
	if err := decode(c, &in); err != nil {
		return answer{}, err
	}
	out, err := a.prove(c, kind, in.Code)
	if errors.Is(err, factor.ErrVerification) {
		err = wrongCode()
	}
	return out, err
}

// prove steps the caller's session up to what they show.
func (a *API) prove(c *call, kind, typed string) (answer, error) {
	if err := a.assess(c); err != nil {
		return answer{}, err
	}
	out, err := a.signIn.Prove(c.r.Context(), a.source(c), c.required,
		signin.Proof{Session: c.current, Kind: kind, Answer: typed})
	if err != nil {
		return answer{}, err
	}
	view, err := a.enter(c, out)
	if err != nil {
		return answer{}, err
	}
	done := answer{message: "The second step is done.", data: view}
	if out.Recovered {
		done.data = recoveredView{view, out.CodesLeft, out.RecoveryCodes}
	}
	return done, nil
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
	list, err := a.factors.List(c.r.Context(), c.current.User.ID)
	if err != nil {
		return answer{}, err
	}
	var apps []uuid.UUID
	for _, f := range list.Factors {
		if f.Kind == storage.FactorTOTP && (in.ID == nil || *in.ID == f.ID) {
			apps = append(apps, f.ID)
		}
	}
	if err := a.factors.Remove(c.r.Context(), a.subject(c, nil), apps...); err != nil {
		return answer{}, err
	}
	return answer{message: "The authenticator app is removed. All other sessions have ended."}, nil
}

func (a *API) countRecoveryCodes(c *call) (answer, error) {
	list, err := a.factors.List(c.r.Context(), c.current.User.ID)
	if err != nil {
		return answer{}, err
	}
	return answer{message: "Your unused recovery codes.", data: map[string]int{"left": list.RecoveryCodesLeft}}, nil
}

func (a *API) regenerateRecoveryCodes(c *call) (answer, error) {
	if err := empty(c); err != nil {
		return answer{}, err
	}
	codes, err := a.factors.RegenerateRecoveryCodes(c.r.Context(), a.subject(c, nil))
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
