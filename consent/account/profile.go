package account

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/sallyport-id/sallyport/consent/login"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// overview is the page that leads to all others.
func (p *Pages) overview(w http.ResponseWriter, r *http.Request, v *person) error {
	ctx := r.Context()
	page := templates.AccountHome{AccountPart: p.part(r), Account: accountOf(&v.User), Unproven: !v.User.EmailVerified(),
		Due:   due(&v.Owed, "/account/security"),
		Setup: slices.Contains(v.User.PlatformRoles, storage.RoleSuperadmin)}
	_, page.SignOutCSRF = login.SignOutForm(p.Sessions, p.Sessions.Browser(r))
	var err error
	if page.HasPassword, err = p.hasPassword(r, v); err != nil {
		return err
	}
	list, err := p.Factors.List(ctx, v.User.ID)
	if err != nil {
		return err
	}
	for _, f := range list.Factors {
		if f.Kind == storage.FactorTOTP {
			page.Authenticator++
		} else {
			page.Passkeys++
		}
	}
	sessions, err := p.Identity.Sessions.List(ctx, v.Actor)
	if err != nil {
		return err
	}
	apps, err := p.Identity.Accounts.Apps(ctx, v.Actor)
	if err != nil {
		return err
	}
	memberships, err := p.Store.Memberships(ctx, v.User.ID, "", 0)
	if err != nil {
		return err
	}
	connections, err := p.Registry.Connections(ctx)
	if err != nil {
		return err
	}
	page.Sessions, page.Apps, page.Linked = len(sessions), len(apps), len(connections) > 0
	for _, m := range memberships {
		page.Organizations = append(page.Organizations, m.Organization.Name)
	}
	return p.Web.Page(w, http.StatusOK, page)
}

func accountOf(u *storage.User) templates.Account {
	return templates.Account{Name: u.Profile.Name, Email: u.Email}
}

// showProfile is the form with what is there.
func (p *Pages) showProfile(w http.ResponseWriter, r *http.Request, v *person) error {
	c := &v.User.Profile
	return p.Web.Page(w, http.StatusOK, templates.AccountProfile{AccountPart: p.part(r), Email: v.User.Email, Unproven: !v.User.EmailVerified(),
		Name: c.Name, GivenName: c.GivenName, FamilyName: c.FamilyName, Nickname: c.Nickname, PhoneNumber: c.PhoneNumber, Locale: c.Locale, Zoneinfo: c.Zoneinfo})
}

// saveProfile replaces what the form has. Claims that it does not show stay.
func (p *Pages) saveProfile(w http.ResponseWriter, r *http.Request, v *person) error {
	form, err := p.form(r)
	if err != nil {
		return err
	}
	err = p.Identity.Accounts.UpdateProfile(r.Context(), v.Actor, identity.ProfilePatch{
		Name: given(form, "name"), GivenName: given(form, "given_name"), FamilyName: given(form, "family_name"), Nickname: given(form, "nickname"),
		PhoneNumber: given(form, "phone_number"), Locale: given(form, "locale"), Zoneinfo: given(form, "zoneinfo")})
	if faults, ok := errors.AsType[identity.FieldErrors](err); ok {
		return p.Web.Page(w, http.StatusUnprocessableEntity, templates.AccountProfile{AccountPart: p.part(r), Email: v.User.Email, Unproven: !v.User.EmailVerified(),
			Name: form.Get("name"), GivenName: form.Get("given_name"), FamilyName: form.Get("family_name"), Nickname: form.Get("nickname"),
			PhoneNumber: form.Get("phone_number"), Locale: form.Get("locale"), Zoneinfo: form.Get("zoneinfo"), Errors: faulty(faults)})
	}
	if err != nil {
		return err
	}
	return p.done(w, r, "/account/profile", "profile")
}

// given is a field if the form has it.
func given(form url.Values, name string) *string {
	if !form.Has(name) {
		return nil
	}
	value := form.Get(name)
	return &value
}

// showEmail says whether the address is proven, and offers another mail.
func (p *Pages) showEmail(w http.ResponseWriter, r *http.Request, v *person) error {
	return p.Web.Page(w, http.StatusOK, templates.AccountEmail{AccountPart: p.part(r), Email: v.User.Email, Unproven: !v.User.EmailVerified()})
}

// sendVerification mails another link. There is nothing to find out here: the
// person is signed in to the account.
func (p *Pages) sendVerification(w http.ResponseWriter, r *http.Request, v *person) error {
	if _, err := p.form(r); err != nil {
		return err
	}
	err := p.Identity.Registrations.RequestVerification(r.Context(), v.Actor, v.From)
	if many, ok := errors.AsType[*identity.TooManyMails](err); ok {
		part := p.part(r)
		web.SetRetryAfter(w.Header(), many.RetryAfter)
		part.Error = "You had several mails just now. Look for the latest one, or try again in " + web.Wait(many.RetryAfter) + "."
		return p.Web.Page(w, http.StatusTooManyRequests, templates.AccountEmail{AccountPart: part, Email: v.User.Email, Unproven: true})
	}
	if err != nil {
		return err
	}
	return p.done(w, r, "/account/email", "mail")
}
