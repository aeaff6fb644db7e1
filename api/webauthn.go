package api

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/signin"
	"github.com/sallyport-id/sallyport/storage"
)

func (a *API) beginRegistration(c *call) (answer, error) {
	if err := empty(c); err != nil {
		return answer{}, err
	}
	allowed, err := c.enrolling()
	if err != nil {
		return answer{}, err
	}
	raw, err := a.factors.BeginWebAuthn(c.r.Context(), a.subject(c, allowed))
	if err != nil {
		return answer{}, err
	}
	data, err := options(raw, "")
	return answer{message: "Give data to navigator.credentials.create, its answer to register/complete.", data: data}, err
}

func (a *API) completeRegistration(c *call) (answer, error) {
	var in struct {
		Name       string          `json:"name"`
		Credential json.RawMessage `json:"credential"`
	}
	if err := decode(c, &in); err != nil {
		return answer{}, err
	}
	return a.enrol(c, signin.Enrolment{Kind: storage.FactorWebAuthn, Name: in.Name, Answer: string(in.Credential)})
}

// beginAssertion challenges the authenticators of who is signed in, or whoever has
// a passkey here. ceremony is to come back with the answer by a caller without a
// cookie: it is what the challenge is bound to.
func (a *API) beginAssertion(c *call) (answer, error) {
	if err := empty(c); err != nil {
		return answer{}, err
	}
	ctx := c.r.Context()
	const message = "Give data to navigator.credentials.get, its answer to login/complete."
	if c.current != nil && c.personal == nil {
		if err := a.assess(c); err != nil {
			return answer{}, err
		}
		raw, err := a.factors.ChallengeWebAuthn(ctx, a.subject(c, c.required.Verify))
		if err != nil {
			return answer{}, err
		}
		data, err := options(raw, "")
		return answer{message: message, data: data}, err
	}
	ceremony := secret.NewToken("")
	raw, err := a.factors.ChallengePasskey(ctx, secret.HashOf(ceremony))
	if err != nil {
		return answer{}, err
	}
	data, err := options(raw, ceremony)
	return answer{message: message, data: data}, err
}

// assertionInput is the body of webauthn/login/complete.
type assertionInput struct {
	Ceremony   string          `json:"ceremony"`
	Credential json.RawMessage `json:"credential"`
	Token      bool            `json:"token"`
}

// completeAssertion steps the caller's session up, or with a ceremony signs
// somebody in by passkey.
func (a *API) completeAssertion(c *call) (answer, error) {
	var in assertionInput
	if err := decode(c, &in); err != nil {
		return answer{}, err
	}
	if in.Ceremony != "" {
		c.token = c.token || in.Token
		out, err := a.signIn.Passkey(c.r.Context(), a.source(c), secret.HashOf(in.Ceremony), in.Credential)
		if err != nil {
			return answer{}, err
		}
		return a.signedIn(c, out)
	}
	if c.current == nil || c.personal != nil {
		return answer{}, unauthorized("")
	}
	if err := a.checkForgery(c, endpoint{method: post, access: pendingSecondFactor}); err != nil {
		return answer{}, err
	}
	return a.prove(c, storage.FactorWebAuthn, string(in.Credential))
}

func (a *API) listCredentials(c *call) (answer, error) {
	list, err := a.factors.List(c.r.Context(), c.current.User.ID)
	if err != nil {
		return answer{}, err
	}
	all := []factorView{}
	for i := range list.Factors {
		if f := &list.Factors[i]; f.Kind == storage.FactorWebAuthn {
			all = append(all, viewFactor(f))
		}
	}
	return answer{message: "Your passkeys and security keys.", data: all}, nil
}

// credential is the {id} of the path, if it is a WebAuthn credential of the caller.
func (a *API) credential(c *call) (*storage.Factor, error) {
	id, err := c.id()
	if err != nil {
		return nil, err
	}
	list, err := a.factors.List(c.r.Context(), c.current.User.ID)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(list.Factors, func(f storage.Factor) bool { return f.ID == id && f.Kind == storage.FactorWebAuthn })
	if i < 0 {
		return nil, storage.ErrNotFound
	}
	return &list.Factors[i], nil
}

func (a *API) renameCredential(c *call) (answer, error) {
	var in struct {
		Name string `json:"name"`
	}
	if err := decode(c, &in); err != nil {
		return answer{}, err
	}
	f, err := a.credential(c)
	if err != nil {
		return answer{}, err
	}
	if err := a.factors.Rename(c.r.Context(), a.subject(c, nil), f.ID, in.Name); err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, message: "The name is changed."}, nil
}

func (a *API) deleteCredential(c *call) (answer, error) {
	f, err := a.credential(c)
	if err != nil {
		return answer{}, err
	}
	if err := a.factors.Remove(c.r.Context(), a.subject(c, nil), f.ID); err != nil {
		return answer{}, err
	}
	return answer{message: "It is removed. All other sessions have ended."}, nil
}
