package account

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/page"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// overview is the page that leads to all others.
func (p *Pages) overview(w http.ResponseWriter, r *http.Request, c *page.Caller) error {
	ctx := r.Context()
	view := templates.AccountHome{AccountPart: p.part(r), Account: page.AccountOf(&c.User), Unproven: !c.User.EmailVerified(),
		Due:   dueOf(&c.Required, securityPath),
		Setup: slices.Contains(c.User.PlatformRoles, storage.RoleSuperadmin)}
	view.SignOutCSRF = p.Sessions.CSRFToken(p.Sessions.Browser(r), page.ActLogout)
	var err error
	if view.HasPassword, err = p.hasPassword(r, c); err != nil {
		return err
	}
	list, err := p.Factors.List(ctx, c.User.ID)
	if err != nil {
		return err
	}
	for _, f := range list.Factors {
		if f.Kind == storage.FactorTOTP {
			view.Authenticator++
		} else {
			view.Passkeys++
		}
	}
	sessions, err := p.Identity.Sessions.List(ctx, c.Actor)
	if err != nil {
		return err
	}
	apps, err := p.Identity.Accounts.Apps(ctx, c.Actor)
	if err != nil {
		return err
	}
	memberships, err := p.Store.Memberships(ctx, c.User.ID, "", 0)
	if err != nil {
		return err
	}
	connections, err := p.Registry.Connections(ctx)
	if err != nil {
		return err
	}
	view.Sessions, view.Apps, view.Linked = len(sessions), len(apps), len(connections) > 0
	for _, m := range memberships {
		view.Organizations = append(view.Organizations, m.Organization.Name)
	}
	return p.Web.Page(w, http.StatusOK, view)
}

// showProfile is the form with the present profile.
func (p *Pages) showProfile(w http.ResponseWriter, r *http.Request, c *page.Caller) error {
	m := &c.User.Profile
	return p.Web.Page(w, http.StatusOK, templates.AccountProfile{AccountPart: p.part(r), Email: c.User.Email,
		Unproven: !c.User.EmailVerified(),
		Name:     m.Name, GivenName: m.GivenName, FamilyName: m.FamilyName, Nickname: m.Nickname,
		PhoneNumber: m.PhoneNumber, Locale: m.Locale, Zoneinfo: m.Zoneinfo})
}

// saveProfile replaces the claims in the form. Claims that it does not show stay.
func (p *Pages) saveProfile(w http.ResponseWriter, r *http.Request, c *page.Caller, form url.Values) error {
	err := p.Identity.Accounts.UpdateProfile(r.Context(), c.Actor, identity.ProfilePatch{
		Name: given(form, "name"), GivenName: given(form, "given_name"), FamilyName: given(form, "family_name"), Nickname: given(form, "nickname"),
		PhoneNumber: given(form, "phone_number"), Locale: given(form, "locale"), Zoneinfo: given(form, "zoneinfo")})
	if faults, ok := errors.AsType[identity.FieldErrors](err); ok {
		return p.Web.Page(w, http.StatusUnprocessableEntity, templates.AccountProfile{AccountPart: p.part(r),
			Email: c.User.Email, Unproven: !c.User.EmailVerified(),
			Name: form.Get("name"), GivenName: form.Get("given_name"), FamilyName: form.Get("family_name"), Nickname: form.Get("nickname"),
			PhoneNumber: form.Get("phone_number"), Locale: form.Get("locale"), Zoneinfo: form.Get("zoneinfo"), Errors: page.FieldTexts(faults, nil)})
	}
	if err != nil {
		return err
	}
	return p.RedirectDone(w, r, "/account/profile", "profile")
}

// given returns a field of the form, nil if the form does not have it.
func given(form url.Values, name string) *string {
	if !form.Has(name) {
		return nil
	}
	value := form.Get(name)
	return &value
}

// showEmail says whether the address is verified, and offers another mail.
func (p *Pages) showEmail(w http.ResponseWriter, r *http.Request, c *page.Caller) error {
	return p.Web.Page(w, http.StatusOK, templates.AccountEmail{AccountPart: p.part(r), Email: c.User.Email, Unproven: !c.User.EmailVerified()})
}

// sendVerification mails another link.
func (p *Pages) sendVerification(w http.ResponseWriter, r *http.Request, c *page.Caller, _ url.Values) error {
	err := p.Identity.Registrations.RequestVerification(r.Context(), c.Actor, c.From)
	if wait := page.Wait(w, err); wait != "" {
		part := p.part(r)
		part.Error = "You had several mails just now. Look for the latest one, or try again in " + wait + "."
		return p.Web.Page(w, http.StatusTooManyRequests, templates.AccountEmail{AccountPart: part, Email: c.User.Email, Unproven: true})
	}
	if err != nil {
		return err
	}
	return p.RedirectDone(w, r, "/account/email", "mail")
}
