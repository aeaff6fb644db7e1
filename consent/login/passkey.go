package login

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/sallyport-id/sallyport/internal/signin"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/templates"
)

// passkeyFailed is the one sentence for a passkey that signs nobody in.
const passkeyFailed = "This passkey did not work here. Try again, or sign in with your password."

// beginPasskey answers with a challenge for whatever passkey somebody has, or with
// a sentence: {"publicKey": …} or {"error": "…"}. It is the same for everybody,
// since nobody has said yet who they are.
func (p *Pages) beginPasskey(w http.ResponseWriter, r *http.Request) error {
	v, err := ReadRequest(r, p.journeys, p.sessions)
	if err == nil {
		_, err = p.form(r, v, actPasskey)
	}
	var challenge json.RawMessage
	if err == nil {
		challenge, err = p.factors.ChallengePasskey(r.Context(), v.Browser)
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
	v, err := ReadRequest(r, p.journeys, p.sessions)
	if err != nil {
		return err
	}
	form, err := p.form(r, v, actPasskey)
	if v.alreadySignedIn(err) {
		return web.SeeOther(w, r, v.Next())
	}
	if err != nil {
		return err
	}
	in, err := p.signIn.Passkey(r.Context(), p.sessions.Source(r), v.Browser, json.RawMessage(form.Get("credential")))
	if errors.Is(err, signin.ErrPasskey) {
		page := p.loginPage(r, v)
		page.Error, page.Notice = passkeyFailed, ""
		return p.renderLogin(w, v, http.StatusUnprocessableEntity, page)
	}
	if err != nil {
		return err
	}
	return p.signedIn(w, r, v, in)
}
