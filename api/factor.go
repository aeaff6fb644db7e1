package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity/factor"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/signin"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
)

// subject is the caller as package factor needs it.
func (a *API) subject(c *call, allowed []string) factor.Subject {
	return a.signIn.Subject(a.source(c), c.current, allowed)
}

// enrollableKinds are the kinds of factors that the caller may set up; nil is all. Enrolment must begin within minutes
// of a sign-in (recentAuthenticated), so that a person who finds an open session cannot add a factor of their own. It
// may finish later, because setting up an app takes time.
func (c *call) enrollableKinds() (allowed []string, err error) {
	if c.current.Status != session.Valid {
		return nil, signInTooOld()
	}
	return c.required.Enrol, nil
}

// factorView is a second factor in responses.
type factorView struct {
	ID         uuid.UUID  `json:"id"`
	Kind       string     `json:"kind"`
	Name       string     `json:"name"`
	Passkey    bool       `json:"passkey"`
	CreatedAt  time.Time  `json:"created_at"`
	LastUsedAt *time.Time `json:"last_used_at"`
}

func viewFactor(f *storage.Factor) factorView {
	return factorView{ID: f.ID, Kind: f.Kind, Name: f.Name, Passkey: f.Passkey, CreatedAt: f.CreatedAt,
		LastUsedAt: timeOrNull(f.LastUsedAt)}
}

// nameInput is the body of endpoints that name a factor.
type nameInput struct {
	Name string `json:"name"`
}

func (a *API) enrollTOTP(c *call, in *nameInput) (response, error) {
	allowed, err := c.enrollableKinds()
	if err != nil {
		return response{}, err
	}
	e, err := a.factors.BeginTOTP(c.r.Context(), a.subject(c, allowed), in.Name)
	if err != nil {
		return response{}, err
	}
	data := map[string]any{"id": e.ID, "secret": e.Secret, "uri": e.URI, "qr": e.ImageURL()}
	return response{message: "Add the secret to an authenticator app, then confirm with its code.", data: data}, nil
}

// totpInput is the body of auth/totp/verify-enrollment.
type totpInput struct {
	Code string `json:"code"`
	Name string `json:"name"`
}

func (a *API) confirmTOTP(c *call, in *totpInput) (response, error) {
	// Wrong codes are not counted: the caller has the key, so there is nothing to guess.
	out, err := a.enrol(c, signin.Enrolment{Kind: storage.FactorTOTP, Name: in.Name, Answer: in.Code})
	if errors.Is(err, factor.ErrVerification) {
		err = wrongCode()
	}
	return out, err
}

// wrongCode has the same text for a used, a late and a wrong code.
func wrongCode() error { return invalid("code", "is not right, or was used before") }

// enrol confirms a factor. Its response holds what is shown only once.
func (a *API) enrol(c *call, e signin.Enrolment) (response, error) {
	var err error
	if e.Allowed, err = c.enrollableKinds(); err != nil {
		return response{}, err
	}
	e.Session = c.current
	in, err := a.signIn.Enrol(c.r.Context(), a.source(c), e)
	if err != nil {
		return response{}, err
	}
	codes := append([]string{}, in.RecoveryCodes...)
	data := map[string]any{"factor": viewFactor(in.Factor), "recovery_codes": codes, "session": nil}
	out := response{status: http.StatusCreated, data: data,
		message: "The second step is set up. Keep the recovery codes: they are shown once."}
	if in.Token != "" {
		view, err := a.adoptSession(c, in)
		if err == nil {
			data["session"] = view
			return out, nil
		}
		web.Annotate(c.r.Context(), "session", err.Error())
	}
	out.message += " The session has ended: sign in again."
	return out, nil
}

// codeInput is the body of endpoints that verify a code.
type codeInput struct {
	Code string `json:"code"`
}

// verifyCode is the handler that verifies a code of the given kind and steps the session up.
func verifyCode(kind string) handler {
	return withBody(func(a *API, c *call, in *codeInput) (response, error) {
		out, err := a.verifyFactor(c, kind, in.Code)
		if errors.Is(err, factor.ErrVerification) {
			err = wrongCode()
		}
		return out, err
	})
}

// verifyFactor steps the caller's session up by a second factor.
func (a *API) verifyFactor(c *call, kind, typed string) (response, error) {
	if err := a.loadRequired(c); err != nil {
		return response{}, err
	}
	out, err := a.signIn.Prove(c.r.Context(), a.source(c), c.required,
		signin.Proof{Session: c.current, Kind: kind, Answer: typed})
	if err != nil {
		return response{}, err
	}
	view, err := a.adoptSession(c, out)
	if err != nil {
		return response{}, err
	}
	done := response{message: "The second step is done.", data: view}
	if out.Recovered {
		done.data = recoveredView{view, out.CodesLeft, out.RecoveryCodes}
	}
	return done, nil
}

// recoveredView is a session that was stepped up with a recovery code.
type recoveredView struct {
	sessionView
	Left int `json:"recovery_codes_left"`
	// Codes replace the last one that was used, and are shown once.
	Codes []string `json:"recovery_codes,omitempty"`
}

// disableInput is the body of auth/totp/disable. Without ID it is about all authenticator apps.
type disableInput struct {
	ID *uuid.UUID `json:"id"`
}

// disableTOTP removes one authenticator app, or all.
func (a *API) disableTOTP(c *call, in *disableInput) (response, error) {
	list, err := a.factors.List(c.r.Context(), c.current.User.ID)
	if err != nil {
		return response{}, err
	}
	var apps []uuid.UUID
	for _, f := range list.Factors {
		if f.Kind == storage.FactorTOTP && (in.ID == nil || *in.ID == f.ID) {
			apps = append(apps, f.ID)
		}
	}
	return response{message: "The authenticator app is removed. All other sessions have ended."},
		a.factors.Remove(c.r.Context(), a.subject(c, nil), apps...)
}

func (a *API) countRecoveryCodes(c *call) (response, error) {
	list, err := a.factors.List(c.r.Context(), c.current.User.ID)
	if err != nil {
		return response{}, err
	}
	return response{message: "Your unused recovery codes.", data: map[string]int{"left": list.RecoveryCodesLeft}}, nil
}

func (a *API) regenerateRecoveryCodes(c *call) (response, error) {
	codes, err := a.factors.RegenerateRecoveryCodes(c.r.Context(), a.subject(c, nil))
	if err != nil {
		return response{}, err
	}
	return response{data: map[string][]string{"recovery_codes": codes},
		message: "These are your new recovery codes, shown once. The old ones do not work any more, and all other sessions have ended."}, nil
}

// ceremonyOptions are the options for navigator.credentials, in publicKey.
func ceremonyOptions(raw json.RawMessage, ceremony string) (any, error) {
	var data map[string]any
	if err := json.Unmarshal(raw, &data); err != nil {
		return nil, err
	}
	if ceremony != "" {
		data["ceremony"] = ceremony
	}
	return data, nil
}
