package api

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/sallyport-id/sallyport/identity/factor"
	"github.com/sallyport-id/sallyport/internal/device"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/storage"
)

// verifier checks a proof of one kind.
type verifier[P any] func(context.Context, factor.Who, P) (*factor.Verified, error)

func (a *API) beginRegistration(c *call) (answer, error) {
	if err := empty(c); err != nil {
		return answer{}, err
	}
	w, err := a.enrolling(c)
	if err != nil {
		return answer{}, err
	}
	raw, err := a.factors.BeginWebAuthn(c.r.Context(), w)
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
	w, err := a.enrolling(c)
	if err != nil {
		return answer{}, err
	}
	e, err := a.factors.ConfirmWebAuthn(c.r.Context(), w, in.Name, in.Credential)
	if err != nil {
		return answer{}, err
	}
	return a.enrolled(c, e)
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
	if c.visit != nil && c.personal == nil {
		w, err := a.proving(c, storage.FactorWebAuthn)
		if err != nil {
			return answer{}, err
		}
		raw, err := a.factors.ChallengeWebAuthn(ctx, w)
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
		return a.signInByPasskey(c, in)
	}
	if c.visit == nil || c.personal != nil {
		return answer{}, unauthorized("")
	}
	if err := a.checkForgery(c, endpoint{method: post, access: half}); err != nil {
		return answer{}, err
	}
	w, err := a.proving(c, storage.FactorWebAuthn)
	if err != nil {
		return answer{}, err
	}
	// A key cannot be guessed, and codes must not run out for wrong ones: only its work is bounded.
	ctx := c.r.Context()
	if err := a.limits.TakeKey(ctx, c.bind); err != nil {
		return answer{}, err
	}
	from, account := a.source(c).Device, c.visit.User.EmailKey
	v, err := a.factors.VerifyWebAuthn(ctx, w, in.Credential)
	if err != nil {
		return answer{}, err
	}
	out, err := a.stepUp(c, v, !a.limits.Devices.KnownSince(from, account, device.ByFactor).IsZero())
	if err == nil {
		a.limits.Devices.Remember(c.w, from, account, device.ByFactor)
	}
	return out, err
}

func (a *API) signInByPasskey(c *call, in assertionInput) (answer, error) {
	ctx := c.r.Context()
	v, err := a.factors.VerifyPasskey(ctx, secret.HashOf(in.Ceremony), in.Credential)
	if err != nil {
		return answer{}, err
	}
	signIn := session.SignIn{User: v.User.ID, Use: v.Use, ACR: v.ACR, AMR: v.AMR}
	from := a.source(c)
	if a.limits.Devices.KnownSince(from.Device, v.User.EmailKey, device.ByPassword).IsZero() {
		if signIn.Notice, err = a.identity.NoticeOfSignIn(ctx, v.User, a.origin(c)); err != nil {
			return answer{}, err
		}
	}
	out, err := a.start(c, v.User, signIn, in.Token)
	if err == nil {
		a.limits.Devices.Remember(c.w, from.Device, v.User.EmailKey, device.ByFactor)
	}
	return out, err
}

func (a *API) listCredentials(c *call) (answer, error) {
	list, err := a.factors.List(c.r.Context(), c.visit.User.ID)
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
	list, err := a.factors.List(c.r.Context(), c.visit.User.ID)
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
	if err := a.factors.Rename(c.r.Context(), a.who(c), f.ID, in.Name); err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, message: "The name is changed."}, nil
}

func (a *API) deleteCredential(c *call) (answer, error) {
	f, err := a.credential(c)
	if err != nil {
		return answer{}, err
	}
	if err := a.factors.Remove(c.r.Context(), a.who(c), f.ID); err != nil {
		return answer{}, err
	}
	return answer{message: "It is removed. All other sessions have ended."}, nil
}
