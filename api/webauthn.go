package api

import (
	"encoding/json"
	"slices"

	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/signin"
	"github.com/sallyport-id/sallyport/storage"
)

func (a *API) beginRegistration(c *call) (response, error) {
	allowed, err := c.enrollableKinds()
	if err != nil {
		return response{}, err
	}
	raw, err := a.factors.BeginWebAuthn(c.r.Context(), a.subject(c, allowed))
	if err != nil {
		return response{}, err
	}
	data, err := ceremonyOptions(raw, "")
	return response{message: "Give data to navigator.credentials.create, its answer to register/complete.", data: data}, err
}

// registrationInput is the body of webauthn/register/complete.
type registrationInput struct {
	Name       string          `json:"name"`
	Credential json.RawMessage `json:"credential"`
}

func (a *API) completeRegistration(c *call, in *registrationInput) (response, error) {
	return a.enrol(c, signin.Enrolment{Kind: storage.FactorWebAuthn, Name: in.Name, Answer: string(in.Credential)})
}

// beginAssertion makes a challenge for the authenticators of the signed-in user or, without one, for any passkey. A
// caller without a cookie sends ceremony back with the answer, because the challenge is bound to it.
func (a *API) beginAssertion(c *call) (response, error) {
	ctx := c.r.Context()
	const message = "Give data to navigator.credentials.get, its answer to login/complete."
	if c.current != nil && c.personal == nil {
		if err := a.loadRequired(c); err != nil {
			return response{}, err
		}
		raw, err := a.factors.ChallengeWebAuthn(ctx, a.subject(c, c.required.Verify))
		if err != nil {
			return response{}, err
		}
		data, err := ceremonyOptions(raw, "")
		return response{message: message, data: data}, err
	}
	ceremony := secret.NewToken("")
	raw, err := a.factors.ChallengePasskey(ctx, secret.HashOf(ceremony))
	if err != nil {
		return response{}, err
	}
	data, err := ceremonyOptions(raw, ceremony)
	return response{message: message, data: data}, err
}

// assertionInput is the body of webauthn/login/complete.
type assertionInput struct {
	Ceremony   string          `json:"ceremony"`
	Credential json.RawMessage `json:"credential"`
	Token      bool            `json:"token"`
}

// completeAssertion signs in by passkey if there is a ceremony; without one it steps the caller's session up.
func (a *API) completeAssertion(c *call, in *assertionInput) (response, error) {
	if in.Ceremony != "" {
		c.token = c.token || in.Token
		out, err := a.signIn.Passkey(c.r.Context(), a.source(c), secret.HashOf(in.Ceremony), in.Credential)
		if err != nil {
			return response{}, err
		}
		return a.answerSignIn(c, out)
	}
	if c.current == nil || c.personal != nil {
		return response{}, unauthorized("")
	}
	if err := a.checkCSRF(c, endpoint{method: post, access: pendingSecondFactor}); err != nil {
		return response{}, err
	}
	return a.verifyFactor(c, storage.FactorWebAuthn, string(in.Credential))
}

func (a *API) listCredentials(c *call) (response, error) {
	list, err := a.factors.List(c.r.Context(), c.current.User.ID)
	if err != nil {
		return response{}, err
	}
	all := []factorView{}
	for i := range list.Factors {
		if f := &list.Factors[i]; f.Kind == storage.FactorWebAuthn {
			all = append(all, viewFactor(f))
		}
	}
	return response{message: "Your passkeys and security keys.", data: all}, nil
}

// credential returns the caller's WebAuthn credential that the path names.
func (a *API) credential(c *call) (*storage.Factor, error) {
	list, err := a.factors.List(c.r.Context(), c.current.User.ID)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(list.Factors, func(f storage.Factor) bool {
		return f.ID == c.id && f.Kind == storage.FactorWebAuthn
	})
	if i < 0 {
		return nil, storage.ErrNotFound
	}
	return &list.Factors[i], nil
}

func (a *API) renameCredential(c *call, in *nameInput) (response, error) {
	f, err := a.credential(c)
	if err != nil {
		return response{}, err
	}
	return response{message: "The name is changed."}, a.factors.Rename(c.r.Context(), a.subject(c, nil), f.ID, in.Name)
}

func (a *API) deleteCredential(c *call) (response, error) {
	f, err := a.credential(c)
	if err != nil {
		return response{}, err
	}
	return response{message: "It is removed. All other sessions have ended."},
		a.factors.Remove(c.r.Context(), a.subject(c, nil), f.ID)
}
