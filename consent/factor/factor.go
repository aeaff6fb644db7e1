// Package factor asks a user for a second factor: the step /login/factor of a flow.
//
//	/login/factor         GET the page, POST a code or the answer of an authenticator
//	/login/factor/begin   POST for a challenge, as JSON, which the page's script answers
//
// With ?flow= it serves a flow of package provider and sends the browser back to the authorization endpoint. Without one
// it completes a sign-in to this server itself, and leads to ?to= if web.LocalPath knows that page.
//
// # What is asked
//
// signin.Required and signin.RequiredFor decide what a session still needs, anew with every request. Only kinds that they
// name are offered, and only those are accepted: a user who must show a key cannot choose a code instead. The answer goes
// to signin.Prove or signin.Enrol.
//
//	needs its second factor ──code or key──▶ signed in ──policy, acr──▶ a factor of another kind ──▶ on
//	                                            └──deadline over──▶ enrolment ──▶ on
//
// Each verification and each enrolment gives the browser a new token; the old one is no longer valid.
//
// # Enrolment
//
// A new factor opens the account from then on, so enrolment needs a verified address and a sign-in within
// identity.FreshFor when it begins. The key of an authenticator app is shown in the session that began, until a code has
// shown that the app has it.
package factor

import (
	"net/http"
	"net/url"

	"github.com/sallyport-id/sallyport/internal/page"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/signin"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/templates"
)

const (
	path = "/login/factor"
	// actFactor is the act that the forms of this package are made for.
	actFactor = "factor"
)

// Pages are the handlers of this package.
type Pages struct{ *page.Deps }

// Mount adds the pages to the route table. An app may show them in a popup window.
func (p Pages) Mount(rt *web.Router) {
	p.Deps.Mount(rt, web.Popup, page.Route{Path: path, Show: p.show, Act: p.act})
	rt.Handle(path+"/begin", web.Popup(p.Web.SameOrigin(p.Web.HandleJSON(p.begin))), http.MethodPost)
}

// pageRequest is one request to a page of this package.
type pageRequest struct {
	*page.Request
	current  *session.Current // nil if no user is signed in
	required signin.Required
	from     session.Source
}

// readRequest reads who is signed in and what the session still needs.
func (p Pages) readRequest(r *http.Request) (*pageRequest, error) {
	q, err := p.ReadRequest(r)
	if err != nil {
		return nil, err
	}
	v := &pageRequest{Request: q, from: p.Sessions.Source(r)}
	if f := q.Flow; f != nil {
		if !f.SignedIn() {
			return v, nil
		}
		status, err := p.Sessions.Check(r, f.Session)
		if err == nil && status != session.Ended {
			v.current, v.required = &session.Current{SessionContext: f.Session, Status: status}, signin.RequiredFor(f)
		}
		return v, err
	}
	if v.current, err = p.Sessions.Current(r); err != nil || v.current == nil {
		return v, err
	}
	v.required, err = p.SignIn.Required(r.Context(), v.current)
	return v, err
}

// signInURL is where a user goes who is not signed in.
func (v *pageRequest) signInURL() string {
	if v.Flow != nil {
		return v.NextURL()
	}
	return v.Path("/login")
}

// form reads a POST and checks that this browser was given the form.
func (v *pageRequest) form(r *http.Request) (url.Values, error) {
	return v.Form(r, actFactor, v.Path(path))
}

// step is what all pages of this package show.
func (v *pageRequest) step() templates.Step {
	s := templates.Step{Action: v.Path(path), CSRF: v.CSRF(actFactor), Account: page.AccountOf(&v.current.User)}
	f := v.Flow
	if f == nil {
		s.SwitchAction, s.SwitchCSRF, s.SwitchLabel = "/logout", v.CSRF(page.ActLogout), "Sign out"
		return s
	}
	m := &f.Client.Metadata
	s.AppName, s.AppLogo, s.PolicyURI, s.TosURI = f.Client.Name(), f.Client.LogoPath(), m.PolicyURI, m.TosURI
	s.SwitchAction, s.SwitchCSRF = v.SwitchForm()
	s.CancelURL = v.CancelURL()
	return s
}

// appName is the name of the flow's client, "" without a flow.
func (v *pageRequest) appName() string {
	if v.Flow == nil {
		return ""
	}
	return v.Flow.Client.Name()
}
