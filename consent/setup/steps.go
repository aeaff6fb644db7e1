package setup

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/factor"
	"github.com/sallyport-id/sallyport/internal/page"
	"github.com/sallyport-id/sallyport/internal/signin"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// maxListed is how many apps a page offers to test.
const maxListed = 20

// list says which steps are done.
func (p *Pages) list(w http.ResponseWriter, r *http.Request, c *page.Caller) error {
	steps, err := p.steps(r.Context(), c)
	if err != nil {
		return err
	}
	return p.Web.Page(w, http.StatusOK, templates.Setup{Account: page.AccountOf(&c.User), Steps: steps})
}

// done says what comes next, and what was skipped.
func (p *Pages) done(w http.ResponseWriter, r *http.Request, c *page.Caller) error {
	steps, err := p.steps(r.Context(), c)
	if err != nil {
		return err
	}
	steps = slices.DeleteFunc(steps, func(s templates.SetupItem) bool { return s.Done })
	return p.Web.Page(w, http.StatusOK, templates.SetupDone{Issuer: p.Issuer,
		Registers: p.Identity.Registrations.Mode() == identity.RegistrationOpen, Open: steps})
}

func (p *Pages) steps(ctx context.Context, c *page.Caller) ([]templates.SetupItem, error) {
	settings, err := p.Registry.Settings(ctx)
	if err != nil {
		return nil, err
	}
	clients, err := p.Identity.Clients.List(ctx, c.Actor, "", maxListed)
	if err != nil {
		return nil, err
	}
	passkey := templates.SetupItem{Title: "Passkey", Note: "Nobody can steal it", Link: "/setup/passkey", Done: slices.Contains(c.User.Factors, storage.FactorWebAuthn)}
	if !passkey.Done && len(c.User.Factors) > 0 {
		passkey = templates.SetupItem{Title: "Second step", Note: "An authenticator app", Link: "/account/security", Done: true}
	}
	brand := p.Fixed
	brand.SupportEmail = ""
	branded := settings.Brand != storage.BrandSettings{} || brand != templates.Brand{}
	app := templates.SetupItem{Title: "First app", Note: "What people sign in to", Link: "/setup/client", Done: len(clients) > 0}
	if app.Done {
		app.Note = clients[0].Name()
	}
	used := slices.ContainsFunc(clients, func(c *storage.Client) bool { return !c.LastUsedAt.IsZero() })
	return []templates.SetupItem{
		{Title: "Administrator", Note: c.User.Email, Link: "/account", Done: true},
		passkey,
		{Title: "Name, colour and logo", Note: cmp.Or(p.Fixed.Name, settings.Brand.Name, templates.DefaultName), Link: "/setup/brand", Done: branded},
		app,
		{Title: "Test of an app", Note: "It signs you in", Link: "/setup/client", Done: used},
	}, nil
}

// showPasskey offers one, with the reason.
func (p *Pages) showPasskey(w http.ResponseWriter, r *http.Request, c *page.Caller) error {
	return p.Web.Page(w, http.StatusOK, p.passkeyPage(r, c))
}

func (p *Pages) passkeyPage(r *http.Request, c *page.Caller) templates.SetupPasskey {
	return templates.SetupPasskey{SetupStep: p.step(r, 2), Name: c.From.Device, Available: p.Factors.HasWebAuthn(),
		Enrolled: slices.Contains(c.User.Factors, storage.FactorWebAuthn)}
}

// addPasskey stores what the authenticator answered, and shows the recovery codes that come with it.
func (p *Pages) addPasskey(w http.ResponseWriter, r *http.Request, c *page.Caller, form url.Values) error {
	in, err := p.SignIn.Enrol(r.Context(), c.Source, signin.Enrolment{Session: c.Current, Kind: storage.FactorWebAuthn,
		Name: form.Get("name"), Answer: form.Get("credential")})
	if why := factor.EnrolmentText(err); why != "" {
		view := p.passkeyPage(r, c)
		view.Error = why
		return p.Web.Page(w, http.StatusUnprocessableEntity, view)
	}
	if err != nil {
		return err
	}
	p.Sessions.SetCookies(w, r, in.Token, in.Device)
	const next = "/setup/brand"
	if len(in.RecoveryCodes) == 0 {
		return web.SeeOther(w, r, next)
	}
	return p.Web.Page(w, http.StatusOK, templates.FactorCodes{Email: c.User.Email, Codes: in.RecoveryCodes, NextURL: next,
		Added: "Your passkey"})
}

func (p *Pages) showBrand(w http.ResponseWriter, r *http.Request, _ *page.Caller) error {
	settings, err := p.Registry.Settings(r.Context())
	if err != nil {
		return err
	}
	view := p.brandPage(r, settings.Brand)
	if p.Done(r) != "" {
		view.Saved, view.Done = true, "Saved. Every view and every mail looks like this now."
	}
	return p.Web.Page(w, http.StatusOK, view)
}

func (p *Pages) brandPage(r *http.Request, b storage.BrandSettings) templates.SetupBrand {
	return templates.SetupBrand{SetupStep: p.step(r, 3), Name: cmp.Or(p.Fixed.Name, b.Name, templates.DefaultName),
		Color: cmp.Or(p.Fixed.Color, b.Color), HasLogo: b.Logo != "",
		NameFixed: p.Fixed.Name != "", ColorFixed: p.Fixed.Color != "", LogoFixed: p.Fixed.Logo != "", NextURL: "/setup/client"}
}

// saveBrand sets what is not configured. A colour that is the default's, and a logo
// that was not chosen anew, stay as they are.
func (p *Pages) saveBrand(w http.ResponseWriter, r *http.Request, c *page.Caller, form url.Values) error {
	settings, err := p.Store.PlatformSettings(r.Context())
	if err != nil {
		return err
	}
	b := settings.Brand
	if p.Fixed.Name == "" {
		b.Name = form.Get("name")
	}
	if c := form.Get("color"); p.Fixed.Color == "" && (b.Color != "" || c != (templates.SetupBrand{}).Shade()) {
		b.Color = c
	}
	var fault error
	switch logo := form.Get("logo"); {
	case p.Fixed.Logo != "":
	case logo != "":
		b.Logo, fault = identity.ParseLogo(logo)
	case form.Get("remove-logo") != "":
		b.Logo = ""
	}
	if fault == nil {
		fault = p.Identity.Installation.SetBrand(r.Context(), c.Actor, b)
	}
	if faults, ok := errors.AsType[identity.FieldErrors](fault); ok {
		view := p.brandPage(r, settings.Brand)
		view.Name, view.Errors = page.Shorten(b.Name), page.FieldTexts(faults, nil)
		return p.Web.Page(w, http.StatusUnprocessableEntity, view)
	} else if fault != nil {
		return fault
	}
	if err := p.Registry.Refresh(r.Context()); err != nil {
		return err
	}
	if err := p.Rebrand(r.Context()); err != nil {
		return err
	}
	return p.RedirectDone(w, r, "/setup/brand", "brand")
}
