package login

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/page"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// joinedPath is where a user goes who has accepted an invitation.
const joinedPath = "/account/organizations"

// invitedAs is a role in words, to follow "as".
var invitedAs = map[string]string{
	storage.RoleOwner: "an owner", storage.RoleAdmin: "an admin", storage.RoleMember: "a member", storage.RoleGuest: "a guest",
}

// inviteRequest is one request to the page of an invitation.
type inviteRequest struct {
	*page.Request
	token      string
	invitation *identity.InvitationView
	current    *session.Current // nil if no user is signed in
	incomplete bool             // the user has a second factor to show or to set up first
	url        string           // of this page
}

// openInvite reads the invitation and who asks for it. Opening an invitation uses nothing.
func (p *Pages) openInvite(r *http.Request, q *page.Request) (*inviteRequest, error) {
	token := q.Query.Get("token")
	v := &inviteRequest{Request: q, token: token, url: "/invite?token=" + url.QueryEscape(token)}
	var err error
	if v.invitation, err = p.Identity.Invitations.Open(r.Context(), token); err != nil {
		return nil, inviteGone(err)
	}
	if v.current, err = p.Sessions.Current(r); err != nil || v.current == nil {
		return v, err
	}
	required, err := p.SignIn.Required(r.Context(), v.current)
	v.incomplete = required.Any()
	return v, err
}

func inviteGone(err error) error {
	if errors.Is(err, storage.ErrSuspended) {
		return &web.Error{Status: http.StatusConflict, Code: "invite_suspended", Err: err, BackURL: "/", BackLabel: "Go to the start page"}
	}
	return linkGone(err, "invite_link", "/", "Go to the start page")
}

// showInvite is the invitation with the ways to accept it.
func (p *Pages) showInvite(w http.ResponseWriter, r *http.Request, q *page.Request) error {
	v, err := p.openInvite(r, q)
	if err != nil {
		return err
	}
	if v.incomplete {
		return web.SeeOther(w, r, "/login/factor?to="+url.QueryEscape(v.url))
	}
	return p.Web.Page(w, http.StatusOK, p.inviteForm(v))
}

// inviteForm is the invitation before anything was typed. What it offers depends on who is signed in, and never on
// whether the address has an account.
func (p *Pages) inviteForm(v *inviteRequest) templates.Invite {
	i := &v.invitation.Invitation
	form := templates.Invite{Token: v.token, Organization: v.invitation.Organization.Name, Role: invitedAs[i.Role], Inviter: i.Inviter,
		Email: i.Email, Until: i.ExpiresAt, CSRF: csrf(v.Request, actInvite),
		SignInURL: loginPath + "?" + url.Values{"to": {v.url}}.Encode(),
		Register:  v.current == nil && p.Identity.Registrations.Mode() != identity.RegistrationClosed,
		Password:  templates.NewPassword{MinLength: p.PasswordMinLength}}
	if v.current != nil {
		u := &v.current.User
		form.Account, form.Mine = page.AccountOf(u), u.EmailKey == i.EmailKey
	}
	return form
}

// invite accepts the invitation, for the signed-in user or for one who registers by it.
func (p *Pages) invite(w http.ResponseWriter, r *http.Request, q *page.Request, form url.Values) error {
	v, err := p.openInvite(r, q)
	if err != nil {
		return err
	}
	if form.Get("act") == "register" {
		return p.registerInvited(w, r, v, form)
	}
	if v.current == nil || v.incomplete {
		return web.SeeOther(w, r, v.url) // signed out meanwhile, or more is required by now; the page says what to do
	}
	actor := identity.Actor{UserID: v.current.User.ID, RequestID: web.RequestID(r.Context())}
	_, err = p.Identity.Invitations.Accept(r.Context(), actor, v.token, v.current.Session.ID)
	if errors.Is(err, identity.ErrForbidden) {
		return web.SeeOther(w, r, v.url) // the user has another address than the invited one; the page says so
	}
	if err != nil {
		return inviteGone(err)
	}
	return web.SeeOther(w, r, joinedPath)
}

// registerInvited makes an account for the invited address, which the token proves, and joins the organization. An
// address in the form is ignored.
func (p *Pages) registerInvited(w http.ResponseWriter, r *http.Request, v *inviteRequest, form url.Values) error {
	if p.Identity.Registrations.Mode() == identity.RegistrationClosed {
		return p.checkRegistrationOpen(v.Request)
	}
	in, err := p.SignIn.Register(r.Context(), p.Sessions.Source(r), identity.Registration{Email: v.invitation.Invitation.Email,
		Name: form.Get("name"), Password: form.Get("password"), Browser: v.Browser, Invitation: v.token})
	if err != nil {
		return p.refuseInvited(w, v, form, err)
	}
	p.Sessions.SetCookies(w, r, in.Token, in.Device)
	return web.SeeOther(w, r, joinedPath)
}

// refuseInvited shows the invitation again with what was typed, except for the password.
func (p *Pages) refuseInvited(w http.ResponseWriter, v *inviteRequest, form url.Values, cause error) error {
	status, texts := formRefusal(w, cause)
	if errors.Is(cause, identity.ErrRegistered) { // may be told: the holder of the token has the mailbox
		status, texts = http.StatusUnprocessableEntity, map[string]string{"": "This address has an account already. Sign in to accept."}
	}
	if status == 0 {
		return inviteGone(cause)
	}
	again := p.inviteForm(v)
	again.Name = page.Shorten(form.Get("name"))
	again.NameError, again.Password.Error, again.Error = texts["name"], texts["password"], texts["email"]+texts[""]
	return p.Web.Page(w, status, again)
}
