package login

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/sallyport-id/sallyport/identity/factor"
	"github.com/sallyport-id/sallyport/internal/device"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// passkeyFailed is the one sentence for a passkey that signs nobody in.
const passkeyFailed = "This passkey did not work here. Try again, or sign in with your password."

// beginPasskey answers with a challenge for whatever passkey somebody has, or with
// a sentence: {"publicKey": …} or {"error": "…"}. It is the same for everybody,
// since nobody has said yet who they are.
func (p *Pages) beginPasskey(w http.ResponseWriter, r *http.Request) error {
	v, err := p.open(r)
	if err == nil {
		_, err = p.form(r, v, actPasskey)
	}
	var challenge json.RawMessage
	if err == nil {
		challenge, err = p.factors.ChallengePasskey(r.Context(), v.browser)
	}
	if refusal, ok := errors.AsType[*web.Error](err); ok {
		sentence, advice, _ := templates.ErrorText(cmp.Or(refusal.Code, "csrf"))
		return web.JSON(w, refusal.Status, map[string]string{"error": sentence + " " + advice})
	}
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, challenge)
}

// passkey signs in whoever answered the challenge with a passkey of theirs.
func (p *Pages) passkey(w http.ResponseWriter, r *http.Request) error {
	v, err := p.open(r)
	if err != nil {
		return err
	}
	form, err := p.form(r, v, actPasskey)
	if v.overtaken(err) {
		return web.SeeOther(w, r, v.next())
	}
	if err != nil {
		return err
	}
	shown, err := p.factors.VerifyPasskey(r.Context(), v.browser, json.RawMessage(form.Get("credential")))
	if err == nil {
		u, from := shown.User, p.source(r)
		known := !p.limits.Devices.KnownSince(from.Device, u.EmailKey, device.ByPassword).IsZero()
		err = p.enter(w, r, u, known, session.SignIn{User: u.ID, Use: shown.Use, ACR: shown.ACR, AMR: shown.AMR})
		if err == nil {
			p.limits.Devices.Remember(w, from.Device, u.EmailKey, device.ByFactor)
			return web.SeeOther(w, r, v.onward(u, shown.ACR))
		}
	}
	for _, expected := range []error{factor.ErrWrong, factor.ErrChallenge, factor.ErrNotAllowed, factor.ErrUnavailable, storage.ErrNotFound, storage.ErrSpent, storage.ErrConflict} {
		if errors.Is(err, expected) {
			page := p.loginPage(v)
			page.Error, page.Notice = passkeyFailed, ""
			return p.send(w, v, http.StatusUnprocessableEntity, page)
		}
	}
	return err
}
