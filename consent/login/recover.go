package login

import (
	"net/http"
	"net/url"

	"github.com/sallyport-id/sallyport/internal/page"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// checkRecoveryOpen refuses where no links to reset a password are mailed.
func (p *Pages) checkRecoveryOpen(q *page.Request) error {
	if p.Identity.Registrations.IsRecoveryOpen() {
		return nil
	}
	return &web.Error{Status: http.StatusForbidden, Code: "recovery_closed", BackURL: q.Path(loginPath), BackLabel: "Go to sign in"}
}

// showRecover is the form.
func (p *Pages) showRecover(w http.ResponseWriter, _ *http.Request, q *page.Request) error {
	if err := p.checkRecoveryOpen(q); err != nil {
		return err
	}
	return p.Web.Page(w, http.StatusOK, recoverForm(q))
}

// recoverForm is the form before anything was typed.
func recoverForm(q *page.Request) templates.Recover {
	return templates.Recover{Flow: q.FlowToken, To: q.To(), CSRF: csrf(q, actRecover), SignInURL: q.Path(loginPath)}
}

// recover mails a link if an account has the address. The answer is the same page before the account is looked up.
func (p *Pages) recover(w http.ResponseWriter, r *http.Request, q *page.Request, form url.Values) error {
	email := form.Get("email")
	err := p.SignIn.RequestRecovery(r.Context(), p.Sessions.Source(r), email, returnTo(q))
	if err == nil {
		return p.checkMail(w, email, templates.CheckMail{Reset: true, AgainURL: q.Path("/recover"), SignInURL: q.Path(loginPath)})
	}
	status, texts := formRefusal(w, err)
	if status == 0 {
		return err
	}
	again := recoverForm(q)
	again.Email, again.EmailError, again.Error = page.Shorten(email), texts["email"], texts[""]
	return p.Web.Page(w, status, again)
}

func (p *Pages) resetLinkGone(err error) error {
	if !p.Identity.Registrations.IsRecoveryOpen() {
		return linkGone(err, "reset_link", loginPath, "Go to sign in")
	}
	return linkGone(err, "reset_link", "/recover", "Ask for a new link")
}

// showReset is the form behind the link. Opening it uses nothing.
func (p *Pages) showReset(w http.ResponseWriter, r *http.Request, q *page.Request) error {
	target, err := p.Identity.Registrations.OpenReset(r.Context(), q.Query.Get("token"))
	if err != nil {
		return p.resetLinkGone(err)
	}
	return p.renderLinkPage(w, http.StatusOK, p.resetForm(q, target.User))
}

func (p *Pages) resetForm(q *page.Request, u *storage.User) templates.Reset {
	return templates.Reset{Token: q.Query.Get("token"), CSRF: csrf(q, actReset), Email: u.Email,
		Confirmed: q.Query.Get("notice") == noticeVerified, SecondStep: len(u.Factors) > 0,
		Password: templates.NewPassword{MinLength: p.PasswordMinLength}}
}

// reset sets the password. The link alone does not sign the user in, so that a second factor is still asked for.
func (p *Pages) reset(w http.ResponseWriter, r *http.Request, q *page.Request, form url.Values) error {
	ctx, token := r.Context(), q.Query.Get("token")
	target, err := p.Identity.Registrations.OpenReset(ctx, token)
	if err != nil {
		return p.resetLinkGone(err)
	}
	err = p.Identity.Registrations.Reset(ctx, token, form.Get("password"), p.SignIn.Origin(p.Sessions.Source(r)), web.RequestID(ctx))
	if status, texts := formRefusal(w, err); status != 0 {
		again := p.resetForm(q, target.User)
		again.Password.Error = texts["password"]
		return p.renderLinkPage(w, status, again)
	}
	if err != nil {
		return p.resetLinkGone(err)
	}
	flow, to := target.ReturnTo(q.Browser)
	return web.SeeOther(w, r, p.signInURL(r, flow, to, noticeReset, target.Email))
}
