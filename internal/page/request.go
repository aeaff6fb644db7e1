package page

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// The acts that forms of more than one package are made for.
const (
	ActSwitch = "switch" // "not you?" within a flow
	ActLogout = "logout"
)

// Request is one request to a page on the way to a code, or to this server itself.
type Request struct {
	FlowToken string             // as in the URL, "" without a flow
	Flow      *storage.FlowState // nil without one
	Browser   secret.Hash        // zero if the browser has no token
	ReturnTo  string             // where to go on without a flow: "/" or a page that web.LocalPath knows
	Query     url.Values

	deps *Deps
}

// ReadRequest finds out which browser asks for which flow. Request.Browser alone proves nothing: it ties forms to the
// browser, and a flow is only found for the browser that it is bound to.
func (d *Deps) ReadRequest(r *http.Request) (*Request, error) {
	query, err := web.Query(r)
	if err != nil {
		return nil, err
	}
	q := &Request{FlowToken: query.Get("flow"), ReturnTo: web.LocalPath(query.Get("to")), Query: query, deps: d}
	if query.Has("flow") {
		if q.Flow, err = d.LoadFlow(r); err != nil {
			return nil, err
		}
	}
	q.Browser = d.Sessions.Browser(r)
	return q, nil
}

// EnsureBrowser gives the browser a token if it has none, so that a form can be tied to it.
func (q *Request) EnsureBrowser(w http.ResponseWriter, r *http.Request) (err error) {
	q.Browser, err = q.deps.Sessions.Ensure(w, r)
	return err
}

// purpose ties a form to what it does and in which flow.
func (q *Request) purpose(act string) string {
	if q.Flow == nil {
		return act
	}
	return act + ":" + q.Flow.Flow.IDHash.String()
}

// CSRF returns the token for a form of this request.
func (q *Request) CSRF(act string) string {
	return q.deps.Sessions.CSRFToken(q.Browser, q.purpose(act))
}

// Form reads a POST and checks that this browser was given the form for act in this flow. again is where the page is
// shown anew after a refusal.
func (q *Request) Form(r *http.Request, act, again string) (url.Values, error) {
	form, err := web.Form(r)
	if err != nil {
		return nil, err
	}
	return form, q.deps.checkForm(q.Browser, q.purpose(act), form.Get("csrf"), again)
}

// IsNext reports whether the page at path is the flow's next step; without a flow every page is.
func (q *Request) IsNext(path string) bool { return q.Flow == nil || q.Flow.NextStep == path }

// NextURL is where the browser goes from here: a flow resumes at the authorization endpoint.
func (q *Request) NextURL() string {
	if q.Flow == nil {
		return q.ReturnTo
	}
	return q.Flow.ResumeURL
}

// CancelURL is the way back to the app without an answer, "" without a flow.
func (q *Request) CancelURL() string {
	if q.Flow == nil {
		return ""
	}
	return q.Flow.ResumeURL + "&cancel=1"
}

// Path is a page for the same flow, or with the same ReturnTo, and with more parameters: a name, its value, and so on.
func (q *Request) Path(page string, more ...string) string {
	query := url.Values{}
	if q.Flow != nil {
		query.Set("flow", q.FlowToken)
	} else if q.ReturnTo != "/" {
		query.Set("to", q.ReturnTo)
	}
	for n := 0; n+1 < len(more); n += 2 {
		query.Set(more[n], more[n+1])
	}
	if len(query) == 0 {
		return page
	}
	return page + "?" + query.Encode()
}

// To is the parameter to of a page, "" if ReturnTo says nothing or a flow decides.
func (q *Request) To() string {
	if q.Flow != nil || q.ReturnTo == "/" {
		return ""
	}
	return q.ReturnTo
}

// Render answers with a form. From one that serves a flow the browser may be led to the app directly.
func (q *Request) Render(w http.ResponseWriter, status int, page templates.Page) error {
	if q.Flow != nil {
		web.OmitFormAction(w)
	}
	return q.deps.Web.Page(w, status, page)
}

// SwitchForm returns where a page of this flow posts "not you?", and the form's token.
func (q *Request) SwitchForm() (action, csrf string) {
	return q.Path("/login/switch"), q.CSRF(ActSwitch)
}

// ErrStale is in the refusal of a form that was not made for this browser as it is now. Mostly another tab has signed
// in or out meanwhile.
var ErrStale = errors.New("the form was not made for this browser as it is now")

// checkForm refuses a form whose token is not that of this browser and purpose.
func (d *Deps) checkForm(browser secret.Hash, purpose, token, again string) error {
	if d.Sessions.VerifyCSRF(browser, purpose, token) {
		return nil
	}
	e := &web.Error{Status: http.StatusForbidden, Code: "csrf", Err: ErrStale, BackURL: again, BackLabel: "Load the page again"}
	if browser.IsZero() { // signing out in another tab takes the cookie away that was set with the form
		e.Code = "missing_cookie"
		e.Advice = "Nothing was changed. If you signed out in another tab meanwhile, load the page again. If that does not help, " +
			"allow cookies for this site."
	}
	return e
}
