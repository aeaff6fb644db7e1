package login

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// joined is where somebody goes who has accepted an invitation.
const joined = "/account/organizations"

// invitedAs is a role in words, to follow "as".
var invitedAs = map[string]string{storage.RoleOwner: "an owner", storage.RoleAdmin: "an admin", storage.RoleMember: "a member", storage.RoleGuest: "a guest"}

// guest is one request to the page of an invitation.
type guest struct {
	PageRequest
	token   string
	invited *identity.InvitationView
	here    *session.Current // nil if nobody is signed in
	owes    bool             // they have a second step to prove or to set up first
}

// openInvite finds out who asks for which invitation. Opening one uses nothing.
func (p *Pages) openInvite(r *http.Request) (g guest, err error) {
	if g.PageRequest, err = ReadRequest(r, p.journeys, p.sessions); err != nil {
		return g, err
	}
	g.token = g.Query.Get("token")
	if g.invited, err = p.identity.Invitations.Open(r.Context(), g.token); err != nil {
		return g, inviteGone(err)
	}
	if g.here, err = p.sessions.Current(r); err != nil || g.here == nil {
		return g, err
	}
	required, err := p.signIn.Required(r.Context(), g.here)
	g.owes = required.Any()
	return g, err
}

func inviteGone(err error) error {
	if errors.Is(err, storage.ErrSuspended) {
		return &web.Error{Status: http.StatusConflict, Code: "invite_suspended", Err: err, BackURL: "/", BackLabel: "Go to the start page"}
	}
	return linkGone(err, "invite_link", "/", "Go to the start page")
}

// back is the address of this page.
func (g guest) back() string { return "/invite?token=" + url.QueryEscape(g.token) }

// showInvite is the invitation with the ways to accept it.
func (p *Pages) showInvite(w http.ResponseWriter, r *http.Request) error {
	g, err := p.openInvite(r)
	if err != nil {
		return err
	}
	if g.owes {
		return web.SeeOther(w, r, "/login/factor?to="+url.QueryEscape(g.back()))
	}
	if g.Browser, err = p.sessions.Ensure(w, r); err != nil {
		return err
	}
	return p.web.Page(w, http.StatusOK, p.invitePage(g))
}

// invitePage is the invitation before anything was typed. What it offers depends
// on who is signed in, and not on whether the address has an account.
func (p *Pages) invitePage(g guest) templates.Invite {
	i, o := &g.invited.Invitation, &g.invited.Organization
	page := templates.Invite{Token: g.token, Organization: o.Name, Role: invitedAs[i.Role], Inviter: i.Inviter, Email: i.Email, Until: i.ExpiresAt,
		CSRF:         p.sessions.CSRFToken(g.Browser, g.Purpose(tokenPurpose(actInvite, g.token))),
		RegisterCSRF: p.sessions.CSRFToken(g.Browser, g.Purpose(tokenPurpose(actInvited, g.token))),
		SignInURL:    "/login?" + url.Values{"to": {g.back()}}.Encode(),
		Register:     g.here == nil && p.identity.Registrations.Mode() != identity.RegistrationClosed,
		Password:     templates.NewPassword{MinLength: p.minLength}}
	if g.here != nil {
		u := &g.here.User
		page.Account, page.Mine = templates.Account{Name: u.Profile.Name, Email: u.Email}, u.EmailKey == i.EmailKey
	}
	return page
}

// invite accepts the invitation, for who is signed in or for who registers by it.
func (p *Pages) invite(w http.ResponseWriter, r *http.Request) error {
	g, err := p.openInvite(r)
	if err != nil {
		return err
	}
	form, err := web.Form(r)
	if err != nil {
		return err
	}
	register := form.Get("act") == "register"
	purpose := tokenPurpose(actInvite, g.token)
	if register {
		purpose = tokenPurpose(actInvited, g.token)
	}
	if err := CheckForm(p.sessions, g.Browser, g.Purpose(purpose), form.Get("csrf"), g.back()); err != nil {
		return err
	}
	if register {
		return p.registerInvited(w, r, g, form)
	}
	if g.here == nil || g.owes {
		return web.SeeOther(w, r, g.back()) // signed out meanwhile, or more is asked for by now; the page says what to do
	}
	_, err = p.identity.Invitations.Accept(r.Context(), identity.Actor{UserID: g.here.User.ID, RequestID: web.RequestID(r.Context())}, g.token, g.here.Session.ID)
	if errors.Is(err, identity.ErrForbidden) {
		return web.SeeOther(w, r, g.back()) // another address than the invited one; the page says so
	}
	if err != nil {
		return inviteGone(err)
	}
	return web.SeeOther(w, r, joined)
}

// registerInvited makes an account for the invited address, which the token proves,
// and joins. What was typed for the address does not count.
func (p *Pages) registerInvited(w http.ResponseWriter, r *http.Request, g guest, form url.Values) error {
	if p.identity.Registrations.Mode() == identity.RegistrationClosed {
		return p.registers(g.PageRequest)
	}
	in, err := p.signIn.Register(r.Context(), p.sessions.Source(r), identity.Registration{Email: g.invited.Invitation.Email,
		Name: form.Get("name"), Password: form.Get("password"), Browser: g.Browser, Invitation: g.token})
	if err != nil {
		return p.refuseInvited(w, g, form, err)
	}
	p.sessions.SetCookies(w, r, in.Token, in.Device)
	return web.SeeOther(w, r, joined)
}

// refuseInvited shows the invitation again, with what was typed but for the password.
func (p *Pages) refuseInvited(w http.ResponseWriter, g guest, form url.Values, cause error) error {
	page, status := p.invitePage(g), http.StatusUnprocessableEntity
	page.Name = cut(form.Get("name"))
	sentence, blocked := tooMany(w, cause)
	faults, faulty := errors.AsType[identity.FieldErrors](cause)
	switch {
	case blocked:
		status, page.Error = http.StatusTooManyRequests, sentence
	case errors.Is(cause, identity.ErrRegistered):
		page.Error = "This address has an account already. Sign in to accept." // whoever has the token has the mailbox
	case faulty:
		said := sentences(faults)
		page.NameError, page.Password.Error, page.Error = said["name"], said["password"], said["email"]+said[""]
	default:
		return inviteGone(cause)
	}
	return p.web.Page(w, status, page)
}
