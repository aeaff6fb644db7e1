package login

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"

	"github.com/sallyport-id/sallyport/internal/page"
	"github.com/sallyport-id/sallyport/internal/signin"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/templates"
)

// passkeyFailed is the one sentence for every passkey that does not sign its user in.
const passkeyFailed = "This passkey did not work here. Try again, or sign in with your password."

// beginPasskey answers the page's script with a challenge for any passkey, or with a sentence: {"publicKey": …} or
// {"error": "…"}. The user is not known yet, so the answer is the same for all.
func (p *Pages) beginPasskey(w http.ResponseWriter, r *http.Request) error {
	q, err := p.ReadRequest(r)
	if err == nil {
		_, err = p.form(r, q, actPasskey)
	}
	var challenge json.RawMessage
	if err == nil {
		challenge, err = p.Factors.ChallengePasskey(r.Context(), q.Browser)
	}
	if refusal, ok := errors.AsType[*web.Error](err); ok {
		sentence, advice, _ := templates.ErrorText(cmp.Or(refusal.Code, "csrf"))
		return page.ScriptError(w, refusal.Status, sentence+" "+advice)
	}
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, challenge)
}

// passkey signs in the user whose passkey answered the challenge.
func (p *Pages) passkey(w http.ResponseWriter, r *http.Request, q *page.Request, form url.Values) error {
	in, err := p.SignIn.Passkey(r.Context(), p.Sessions.Source(r), q.Browser, json.RawMessage(form.Get("credential")))
	if errors.Is(err, signin.ErrPasskey) {
		again := p.loginForm(r, q)
		again.Error, again.Notice = passkeyFailed, ""
		return p.renderLogin(w, q, http.StatusUnprocessableEntity, again)
	}
	if err != nil {
		return err
	}
	return p.signedIn(w, r, q, in)
}
