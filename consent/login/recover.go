package login

import (
	"errors"
	"net/http"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// openRecover is open where links to reset a password are mailed.
func (p *Pages) openRecover(r *http.Request) (PageRequest, error) {
	v, err := ReadRequest(r, p.journeys, p.sessions)
	if err == nil && !p.identity.Registrations.IsRecoveryOpen() {
		err = &web.Error{Status: http.StatusForbidden, Code: "recovery_closed", BackURL: v.Path("/login"), BackLabel: "Go to sign in"}
	}
	return v, err
}

// showRecover is the form.
func (p *Pages) showRecover(w http.ResponseWriter, r *http.Request) error {
	v, err := p.openRecover(r)
	if err != nil {
		return err
	}
	if v.Browser, err = p.sessions.Ensure(w, r); err != nil {
		return err
	}
	return p.web.Page(w, http.StatusOK, p.recoverPage(v))
}

func (p *Pages) recoverPage(v PageRequest) templates.Recover {
	return templates.Recover{Flow: v.Flow, To: v.local(), CSRF: p.sessions.CSRFToken(v.Browser, v.Purpose(actRecover)), SignInURL: v.Path("/login")}
}

// recover asks for a link, if anybody has the address: the answer is one page
// before anybody has looked.
func (p *Pages) recover(w http.ResponseWriter, r *http.Request) error {
	v, err := p.openRecover(r)
	if err != nil {
		return err
	}
	form, err := p.form(r, v, actRecover)
	if err != nil {
		return err
	}
	email := form.Get("email")
	err = p.signIn.RequestRecovery(r.Context(), p.sessions.Source(r), email, v.mailed())
	if err == nil {
		return p.web.Page(w, http.StatusOK, templates.CheckMail{Email: cut(email), Reset: true, AgainURL: v.Path("/recover"), SignInURL: v.Path("/login"), OutboxURL: p.outbox})
	}
	page, status := p.recoverPage(v), http.StatusUnprocessableEntity
	page.Email = cut(email)
	if sentence, blocked := tooMany(w, err); blocked {
		page.Error, status = sentence, http.StatusTooManyRequests
	} else if faults, ok := errors.AsType[identity.FieldErrors](err); ok {
		page.EmailError = sentences(faults)["email"]
	} else {
		return err
	}
	return p.web.Page(w, status, page)
}

func (p *Pages) resetGone(err error) error {
	if !p.identity.Registrations.IsRecoveryOpen() {
		return linkGone(err, "reset_link", "/login", "Go to sign in")
	}
	return linkGone(err, "reset_link", "/recover", "Ask for a new link")
}

// showReset is the form behind the link. Opening it uses nothing.
func (p *Pages) showReset(w http.ResponseWriter, r *http.Request) error {
	v, token, err := p.needLink(w, r)
	if err != nil {
		return err
	}
	u, err := p.identity.Registrations.OpenReset(r.Context(), token)
	if err != nil {
		return p.resetGone(err)
	}
	return p.sendLinkPage(w, http.StatusOK, p.resetPage(v, u.User))
}

func (p *Pages) resetPage(v PageRequest, u *storage.User) templates.Reset {
	token := v.Query.Get("token")
	return templates.Reset{Token: token, CSRF: p.sessions.CSRFToken(v.Browser, v.Purpose(tokenPurpose(actReset, token))), Email: u.Email,
		Confirmed: v.Query.Get("notice") == noticeVerified, SecondStep: len(u.Factors) > 0, Password: templates.NewPassword{MinLength: p.minLength}}
}

// reset sets the password. The link alone signs nobody in, so that a second step
// is not gone around.
func (p *Pages) reset(w http.ResponseWriter, r *http.Request) error {
	v, err := ReadRequest(r, p.journeys, p.sessions)
	if err != nil {
		return err
	}
	form, err := p.linkForm(r, v, actReset)
	if err != nil {
		return err
	}
	ctx, token := r.Context(), v.Query.Get("token")
	u, err := p.identity.Registrations.OpenReset(ctx, token)
	if err != nil {
		return p.resetGone(err)
	}
	err = p.identity.Registrations.Reset(ctx, token, form.Get("password"), p.origin(r), web.RequestID(ctx))
	if faults, ok := errors.AsType[identity.FieldErrors](err); ok {
		page := p.resetPage(v, u.User)
		page.Password.Error = sentences(faults)["password"]
		return p.sendLinkPage(w, http.StatusUnprocessableEntity, page)
	}
	if err != nil {
		return p.resetGone(err)
	}
	flow, to := u.ReturnTo(v.Browser)
	return web.SeeOther(w, r, p.signInAt(r, flow, to, noticeReset, u.Email))
}
