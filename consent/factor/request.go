package factor

import (
	"net/http"
	"net/url"

	"github.com/sallyport-id/sallyport/consent/login"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/signin"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/templates"
)

// pageRequest is one request to a page of this package.
type pageRequest struct {
	login.PageRequest
	seen *session.Current // nil if nobody is signed in
	owed signin.Required
	from session.Source
}

// open finds out who is there and what they owe.
func (p *Pages) open(r *http.Request) (v *pageRequest, err error) {
	v = &pageRequest{from: p.sessions.Source(r)}
	if v.PageRequest, err = login.ReadRequest(r, p.journeys, p.sessions); err != nil {
		return nil, err
	}
	if v.Journey != nil {
		if !v.Journey.SignedIn() {
			return v, nil
		}
		standing, err := p.sessions.Check(r, v.Journey.Session)
		if err == nil && standing != session.Ended {
			v.seen, v.owed = &session.Current{SessionContext: v.Journey.Session, Status: standing}, signin.RequiredFor(v.Journey)
		}
		return v, err
	}
	if v.seen, err = p.sessions.Current(r); err != nil || v.seen == nil {
		return v, err
	}
	v.owed, err = p.signIn.Required(r.Context(), v.seen)
	return v, err
}

// signIn is where somebody goes who is not signed in.
func (v *pageRequest) signIn() string {
	if v.Journey != nil {
		return v.Next()
	}
	return v.Path("/login")
}

// step is what all pages of this package show.
func (p *Pages) step(v *pageRequest) templates.Step {
	s := templates.Step{Action: v.Path("/login/factor"), CSRF: p.sessions.CSRFToken(v.Browser, v.Purpose("factor")),
		Account: templates.Account{Name: v.seen.User.Profile.Name, Email: v.seen.User.Email}}
	j := v.Journey
	if j == nil {
		s.SwitchAction, s.SwitchCSRF = login.SignOutForm(p.sessions, v.Browser)
		s.SwitchLabel = "Sign out"
		return s
	}
	m := &j.Client.Metadata
	s.AppName, s.AppLogo, s.PolicyURI, s.TosURI = j.Client.Name(), j.Client.LogoPath(), m.PolicyURI, m.TosURI
	s.SwitchAction, s.SwitchCSRF = v.SwitchForm(p.sessions)
	s.CancelURL = v.CancelURL()
	return s
}

// form reads a POST and checks that this browser was given the form.
func (p *Pages) form(r *http.Request, v *pageRequest) (url.Values, error) {
	form, err := web.Form(r)
	if err != nil {
		return nil, err
	}
	if err := login.CheckForm(p.sessions, v.Browser, v.Purpose("factor"), form.Get("csrf"), v.Path("/login/factor")); err != nil {
		return nil, err
	}
	return form, nil
}
