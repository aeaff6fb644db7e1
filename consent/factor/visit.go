package factor

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/sallyport-id/sallyport/consent/login"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/factor"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// Journeys finds the journey of a request's ?flow= for the browser that asks. Its
// errors are answers, ready to be returned.
type Journeys interface {
	Journey(r *http.Request) (*storage.Journey, error)
}

// visit is one request to a page of this package.
type visit struct {
	flow    string           // as in the URL, "" without one
	journey *storage.Journey // nil without a flow
	to      string           // where to go on without a flow
	browser secret.Hash      // of the session's token
	seen    *storage.Visit   // nil if nobody is signed in
	good    bool             // the session is used from where it was made
	owed    identity.Assurance
}

// open finds out who is there and what they owe.
func (p *Pages) open(r *http.Request) (v *visit, err error) {
	query, err := web.Query(r)
	if err != nil {
		return nil, err
	}
	v = &visit{flow: query.Get("flow"), to: web.LocalPath(query.Get("to")), browser: p.sessions.Browser(r)}
	if query.Has("flow") {
		if v.journey, err = p.journeys.Journey(r); err != nil {
			return nil, err
		}
		if v.journey.SignedIn() {
			v.seen, v.owed = v.journey.Visit, Owed(v.journey)
		}
	} else if err := p.look(r, v); err != nil {
		return nil, err
	}
	if v.seen == nil {
		return v, nil
	}
	standing, err := p.sessions.Check(r, v.seen)
	if err != nil {
		return nil, err
	}
	if v.good = standing == session.Good; standing == session.SignedOut {
		v.seen = nil
	}
	return v, nil
}

// look is open without a flow.
func (p *Pages) look(r *http.Request, v *visit) error {
	seen, err := p.store.Visit(r.Context(), storage.VisitQuery{Browser: v.browser})
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	settings, err := p.registry.Settings(r.Context())
	if err != nil {
		return err
	}
	v.seen = seen
	v.owed, err = p.identity.Owed(r.Context(), seen, settings)
	return err
}

// page is a page for the same flow, or for the same way on.
func (v *visit) page(path string) string {
	switch {
	case v.journey != nil:
		return path + "?flow=" + url.QueryEscape(v.flow)
	case v.to != "/":
		return path + "?to=" + url.QueryEscape(v.to)
	}
	return path
}

// with is page with one parameter more.
func (v *visit) with(path, name, value string) string {
	u := url.URL{Path: path}
	q := url.Values{name: {value}}
	if v.journey != nil {
		q.Set("flow", v.flow)
	} else if v.to != "/" {
		q.Set("to", v.to)
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// next is where the person goes from here: with a flow all steps are asked again there.
func (v *visit) next() string {
	if v.journey == nil {
		return v.to
	}
	return "/oauth2/authorize?flow=" + url.QueryEscape(v.flow)
}

// signIn is where somebody goes who is not signed in.
func (v *visit) signIn() string {
	if v.journey != nil {
		return v.next()
	}
	return v.page("/login")
}

// purpose ties the forms of this page to what they do and in which flow.
func (v *visit) purpose() string {
	if v.journey == nil {
		return "factor"
	}
	return "factor:" + v.journey.Flow.IDHash.String()
}

// who is the person for package identity/factor, allowed to use the kinds given.
func (p *Pages) who(r *http.Request, v *visit, kinds []string) factor.Who {
	return factor.Who{User: &v.seen.User, Session: v.seen.Session.ID, Bind: v.browser, From: p.origin(r), RequestID: web.RequestID(r.Context()), Allowed: kinds}
}

func (p *Pages) origin(r *http.Request) identity.Origin {
	device, network := p.sessions.Device(r)
	return identity.Origin{At: p.now(), Device: device, Network: network}
}

// step is what all pages of this package show.
func (p *Pages) step(v *visit) templates.Step {
	s := templates.Step{Action: v.page("/login/factor"), CSRF: p.sessions.CSRFToken(v.browser, v.purpose()),
		Account: templates.Account{Name: v.seen.User.Profile.Name, Email: v.seen.User.Email}}
	j := v.journey
	if j == nil {
		s.SwitchAction, s.SwitchCSRF = login.SignOutForm(p.sessions, v.browser)
		s.SwitchLabel = "Sign out"
		return s
	}
	m := &j.Client.Metadata
	s.AppName, s.AppLogo, s.PolicyURI, s.TosURI = j.Client.Name(), j.Client.LogoPath(), m.PolicyURI, m.TosURI
	s.SwitchAction, s.SwitchCSRF = login.SwitchForm(p.sessions, v.browser, v.flow, j)
	s.CancelURL = v.next() + "&cancel=1"
	return s
}

// send answers with a page; from it the way may lead to the app directly.
func (p *Pages) send(w http.ResponseWriter, v *visit, status int, page templates.Page) error {
	if v.journey != nil {
		web.OmitFormAction(w)
	}
	return p.web.Page(w, status, page)
}

// form reads a POST and checks that this browser was given the form.
func (p *Pages) form(r *http.Request, v *visit) (url.Values, error) {
	form, err := web.Form(r)
	if err != nil {
		return nil, err
	}
	if err := login.CheckForm(p.sessions, v.browser, v.purpose(), form.Get("csrf"), v.page("/login/factor")); err != nil {
		return nil, err
	}
	return form, nil
}
