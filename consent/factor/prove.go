package factor

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/sallyport-id/sallyport/consent/login"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/factor"
	"github.com/sallyport-id/sallyport/internal/device"
	"github.com/sallyport-id/sallyport/internal/limit"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// The sentences of a refusal. Why a code is not right is not said: a used one, a
// late one and a wrong one are the same.
const (
	wrongCode     = "That code is not right. Check it, or wait for the next one, and try again."
	wrongRecovery = "That recovery code is not right, or was used before. Try another one."
	wrongKey      = "That passkey or security key did not confirm it. Try again, or use another one."
	wrongTime     = "That took too long, or was used before. Try again."
	wrongKind     = "This needs another way to confirm that it is you."
)

// endGuessing is why a session ends that has used up its wrong codes.
const endGuessing = "wrong_codes"

// show is the page for what is owed: a proof, or an enrolment.
func (p *Pages) show(w http.ResponseWriter, r *http.Request) error {
	v, err := p.open(r)
	if err != nil {
		return err
	}
	switch {
	case v.seen == nil:
		return web.SeeOther(w, r, v.signIn())
	case len(v.owed.Prove) > 0:
		return p.send(w, v, http.StatusOK, p.provePage(v, r.URL.Query().Get("method")))
	case len(v.owed.Enrol) > 0:
		return p.sendEnrolment(w, v, http.StatusOK, "")
	}
	return web.SeeOther(w, r, v.next())
}

// act takes a form of the page, whatever it asks for.
func (p *Pages) act(w http.ResponseWriter, r *http.Request) error {
	v, err := p.open(r)
	if err != nil {
		return err
	}
	form, err := p.form(r, v)
	if errors.Is(err, login.ErrStale) && (v.seen == nil || !v.owed.Owes()) {
		return web.SeeOther(w, r, v.signIn()) // signed out, or another tab was faster; nothing is done here
	}
	switch {
	case err != nil:
		return err
	case v.seen == nil:
		return web.SeeOther(w, r, v.signIn())
	case len(v.owed.Prove) > 0:
		return p.prove(w, r, v, form)
	case len(v.owed.Enrol) > 0:
		return p.enrol(w, r, v, form)
	}
	return web.SeeOther(w, r, v.next())
}

// provePage asks for one of the kinds that are owed. The person may prefer a
// method; one that is not accepted is not shown.
func (p *Pages) provePage(v *visit, method string) templates.Factor {
	offers := func(kind string) bool { return slices.Contains(v.owed.Prove, kind) }
	page := templates.Factor{Step: p.step(v), Why: v.why()}
	recovery := offers(identity.FactorRecovery)
	switch {
	case recovery && method == identity.FactorRecovery:
		page.Kind, page.CodeURL = identity.FactorRecovery, page.Action
		return page
	case offers(storage.FactorTOTP):
		page.Kind = storage.FactorTOTP
	}
	if page.Passkey = offers(storage.FactorWebAuthn); page.Passkey {
		page.Begin = v.page("/login/factor/begin")
	}
	if page.Kind == "" && !recovery {
		page.KeyOnly = v.keyOnly()
	}
	if recovery {
		page.RecoveryURL = v.with("/login/factor", "method", identity.FactorRecovery)
	}
	return page
}

// keyOnly is who takes nothing but a passkey or security key.
func (v *visit) keyOnly() string {
	switch {
	case v.owed.By != nil && v.owed.By.Organization != nil:
		return v.owed.By.Organization.Name
	case v.owed.By == nil && v.journey != nil:
		return v.journey.Client.Name()
	}
	return "This service"
}

// hasKey reports whether the person has a passkey or security key.
func (v *visit) hasKey() bool { return slices.Contains(v.seen.User.Factors, storage.FactorWebAuthn) }

// why somebody is asked who has signed in as far as their own factors go.
func (v *visit) why() string {
	if identity.Half(v.seen.User.Factors, v.seen.Session.ACR) {
		return ""
	}
	const reason = " asks for more than the way you have signed in."
	j := v.journey
	switch {
	case j != nil && len(j.ACR) > 0 && !identity.Satisfies(v.seen.Session.ACR, j.ACR):
		return j.Client.Name() + reason
	case j != nil && j.Organization != nil:
		return j.Organization.Name + reason
	}
	return "This needs more than the way you have signed in."
}

// prove checks what was shown and steps the session up.
func (p *Pages) prove(w http.ResponseWriter, r *http.Request, v *visit, form url.Values) error {
	kind := form.Get("kind")
	switch {
	case !slices.Contains(v.owed.Prove, kind):
		return p.refuse(w, v, "", wrongKind)
	case kind == storage.FactorWebAuthn:
		return p.proveKey(w, r, v, form)
	}
	ctx := r.Context()
	attempt, err := p.limits.BeginCode(v.seen.User.EmailKey, v.browser, p.limits.Source(r, web.ClientIP(r)))
	if err != nil {
		return p.blocked(w, r, v, kind, err)
	}
	defer attempt.End(ctx)
	if err := attempt.Reserve(ctx, nil); err != nil {
		return p.blocked(w, r, v, kind, err)
	}
	verified, err := p.verify(ctx, p.who(r, v, v.owed.Prove), kind, form)
	if err == nil {
		err = p.stepUp(w, r, v, verified, attempt.Known())
	}
	if err == nil {
		attempt.Succeeded(ctx, w)
		return p.proven(w, r, v, verified)
	}
	if !errors.Is(err, factor.ErrWrong) {
		return p.unproven(w, r, v, kind, err)
	}
	if err := attempt.Failed(ctx, v.seen.User.ID); err != nil {
		return err
	}
	if attempt.Exhausted() {
		return p.end(w, r, v)
	}
	return p.refuse(w, v, kind, wrongOf(kind))
}

// proveKey is prove for a passkey or security key. It cannot be guessed, and is not
// counted: otherwise somebody with the password alone could use up the owner's tries.
// Only the work that it costs is bounded.
func (p *Pages) proveKey(w http.ResponseWriter, r *http.Request, v *visit, form url.Values) error {
	ctx, kind := r.Context(), storage.FactorWebAuthn
	if err := p.limits.TakeKey(ctx, v.browser); err != nil {
		return p.blocked(w, r, v, kind, err)
	}
	verified, err := p.factors.VerifyWebAuthn(ctx, p.who(r, v, v.owed.Prove), json.RawMessage(form.Get("credential")))
	if err != nil {
		return p.unproven(w, r, v, kind, err)
	}
	here, account := p.limits.Devices.Read(r), v.seen.User.EmailKey
	if err := p.stepUp(w, r, v, verified, !p.limits.Devices.KnownSince(here, account, device.ByFactor).IsZero()); err != nil {
		return p.unproven(w, r, v, kind, err)
	}
	p.limits.Devices.Remember(w, here, account, device.ByFactor)
	return p.proven(w, r, v, verified)
}

// unproven answers what could not be verified, or not be added to the session.
func (p *Pages) unproven(w http.ResponseWriter, r *http.Request, v *visit, kind string, err error) error {
	switch {
	case errors.Is(err, storage.ErrConflict): // the session was renewed or ended meanwhile
		return web.SeeOther(w, r, v.signIn())
	case errors.Is(err, factor.ErrChallenge):
		return p.refuse(w, v, kind, wrongTime)
	case errors.Is(err, factor.ErrNotAllowed), errors.Is(err, factor.ErrUnavailable):
		return p.refuse(w, v, "", wrongKind)
	case errors.Is(err, factor.ErrWrong), errors.Is(err, storage.ErrSpent): // several at once: one of them counted
		return p.refuse(w, v, kind, wrongOf(kind))
	}
	return err
}

// proven leads on. Whoever had to use a recovery code is shown the new ones if it was
// the last, else how many are left and where to replace what was lost.
func (p *Pages) proven(w http.ResponseWriter, r *http.Request, v *visit, verified *factor.Verified) error {
	if verified.Use.RecoveryCode == nil {
		return web.SeeOther(w, r, v.next())
	}
	app := ""
	if v.journey != nil {
		app = v.journey.Client.Name()
	}
	if codes := verified.NewCodes(); codes != nil {
		return p.send(w, v, http.StatusOK, templates.FactorCodes{Codes: codes, Email: v.seen.User.Email, NextURL: v.next(), AppName: app, Last: true, Keys: v.hasKey()})
	}
	return p.send(w, v, http.StatusOK, templates.FactorRecovered{Left: verified.Use.Left, NextURL: v.next(), AppName: app})
}

func (p *Pages) verify(ctx context.Context, who factor.Who, kind string, form url.Values) (*factor.Verified, error) {
	switch kind {
	case storage.FactorTOTP:
		return p.factors.VerifyTOTP(ctx, who, form.Get("code"))
	case identity.FactorRecovery:
		return p.factors.VerifyRecoveryCode(ctx, who, form.Get("code"))
	}
	return nil, factor.ErrNotAllowed
}

// stepUp spends what was shown and adds it to the session. Where that completes a
// sign-in, its notice is mailed, unless the browser is known.
func (p *Pages) stepUp(w http.ResponseWriter, r *http.Request, v *visit, verified *factor.Verified, known bool) error {
	if s := &v.seen.Session; !known && identity.Half(v.seen.User.Factors, s.ACR) {
		notice, err := p.identity.NoticeOfSignIn(r.Context(), &v.seen.User, p.origin(r))
		if err != nil {
			return err
		}
		if notice != nil {
			verified.Use.Mails = append(verified.Use.Mails, notice)
		}
	}
	return p.raise(w, r, v, verified.Proof, verified.Use)
}

// raise gives the session its new context under a new token.
func (p *Pages) raise(w http.ResponseWriter, r *http.Request, v *visit, proof factor.Proof, use *storage.FactorUse) error {
	acr, amr := proof.Over(v.seen.Session.ACR, v.seen.Session.AMR)
	return p.sessions.SignIn(w, r, session.SignIn{User: v.seen.User.ID, Use: use, StepUp: true, ACR: acr, AMR: amr})
}

// refuse shows the page again with a sentence. 422: not 401, which would owe the
// browser a challenge, and not 200, which password managers take for a success.
func (p *Pages) refuse(w http.ResponseWriter, v *visit, kind, sentence string) error {
	page := p.provePage(v, kind)
	page.Error = sentence
	return p.send(w, v, http.StatusUnprocessableEntity, page)
}

// blocked answers somebody who has to wait, or to sign in anew.
func (p *Pages) blocked(w http.ResponseWriter, r *http.Request, v *visit, kind string, err error) error {
	b, ok := errors.AsType[*limit.Blocked](err)
	if !ok {
		return err
	}
	if b.Challenge {
		return p.end(w, r, v)
	}
	web.SetRetryAfter(w.Header(), b.RetryAfter)
	page := p.provePage(v, kind)
	page.Error = "There were too many wrong codes. Nothing is lost: try again in " + web.Wait(b.RetryAfter) + "."
	return p.send(w, v, http.StatusTooManyRequests, page)
}

// end asks for another sign-in, because what the first factor earned bears no more wrong
// codes. A session that still needs its second factor ends; the browser keeps its token,
// which is nobody's now, so that its flow can go on. Any other keeps what it has proven,
// because whoever guesses must not be able to sign the person out.
func (p *Pages) end(w http.ResponseWriter, r *http.Request, v *visit) error {
	ctx := r.Context()
	switch {
	case identity.Half(v.seen.User.Factors, v.seen.Session.ACR):
		if _, err := p.store.EndSession(ctx, v.browser, endGuessing, web.RequestID(ctx)); err != nil {
			return err
		}
	case v.journey != nil:
		err := p.store.AskAgain(ctx, v.journey.Flow.IDHash, v.browser)
		if errors.Is(err, storage.ErrSpent) {
			return web.SeeOther(w, r, v.next())
		} else if err != nil {
			return err
		}
	}
	return web.SeeOther(w, r, v.with("/login", "notice", login.NoticeCodes))
}

func wrongOf(kind string) string {
	switch kind {
	case identity.FactorRecovery:
		return wrongRecovery
	case storage.FactorWebAuthn:
		return wrongKey
	}
	return wrongCode
}
