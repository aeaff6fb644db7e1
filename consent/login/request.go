package login

import (
	"net/http"
	"net/url"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// Journeys finds the journey of a request's ?flow= for the browser that asks. Its
// errors are answers, ready to be returned.
type Journeys interface {
	LoadFlow(r *http.Request) (*storage.FlowState, error)
}

// PageRequest is one request to a page on the way in: for a flow, or to this server itself.
type PageRequest struct {
	Flow     string             // as in the URL, "" without one
	Journey  *storage.FlowState // nil without a flow
	Browser  secret.Hash        // zero if the browser has no token
	ReturnTo string             // where to go on without a flow: "/" or a page that web.LocalPath knows
	Query    url.Values
}

// ReadRequest finds out who asks for which flow. The browser is given to the journey's
// forms, not trusted by itself: a flow's journey is only found for its own.
func ReadRequest(r *http.Request, journeys Journeys, sessions *session.Manager) (v PageRequest, err error) {
	if v.Query, err = web.Query(r); err != nil {
		return v, err
	}
	v.Flow, v.ReturnTo = v.Query.Get("flow"), web.LocalPath(v.Query.Get("to"))
	if v.Query.Has("flow") {
		if v.Journey, err = journeys.LoadFlow(r); err != nil {
			return v, err
		}
	}
	v.Browser = sessions.Browser(r)
	return v, nil
}

// ReadFlowRequest is ReadRequest for pages that are nothing without a flow.
func ReadFlowRequest(r *http.Request, journeys Journeys, sessions *session.Manager) (PageRequest, error) {
	v, err := ReadRequest(r, journeys, sessions)
	if err == nil && v.Journey == nil {
		err = &web.Error{Status: http.StatusNotFound}
	}
	return v, err
}

// Purpose ties a form to what it does and in which flow.
func (v *PageRequest) Purpose(act string) string {
	if v.Journey == nil {
		return act
	}
	return act + ":" + v.Journey.Flow.IDHash.String()
}

// Next is where the user goes from here: in a flow all steps are asked again there.
func (v *PageRequest) Next() string {
	if v.Journey == nil {
		return v.ReturnTo
	}
	return "/oauth2/authorize?flow=" + url.QueryEscape(v.Flow)
}

// CancelURL is the way back to the app without an answer, "" without a flow.
func (v *PageRequest) CancelURL() string {
	if v.Journey == nil {
		return ""
	}
	return v.Next() + "&cancel=1"
}

// Path is a page for the same flow, or with the same way on, and with more parameters:
// a name, its value, and so on.
func (v *PageRequest) Path(page string, more ...string) string {
	query := url.Values{}
	if v.Journey != nil {
		query.Set("flow", v.Flow)
	} else if v.ReturnTo != "/" {
		query.Set("to", v.ReturnTo)
	}
	for n := 0; n+1 < len(more); n += 2 {
		query.Set(more[n], more[n+1])
	}
	if len(query) == 0 {
		return page
	}
	return page + "?" + query.Encode()
}

// Render answers with a form. From one that serves a flow the way may lead to the app directly.
func (v *PageRequest) Render(w http.ResponseWriter, site *web.Web, status int, page templates.Page) error {
	if v.Journey != nil {
		web.OmitFormAction(w)
	}
	return site.Page(w, status, page)
}

// SwitchForm returns where a page of this flow posts "not you?", and the form's token.
func (v *PageRequest) SwitchForm(sessions *session.Manager) (action, csrf string) {
	return v.Path("/login/switch"), sessions.CSRFToken(v.Browser, v.Purpose(actSwitch))
}

// mailed is where a user who is mailed a link goes on after it, in this browser.
func (v *PageRequest) mailed() identity.ReturnTo {
	return identity.ReturnTo{Browser: v.Browser, Flow: v.Flow, To: v.local()}
}

// local is the parameter to of a page, "" if there is nothing to say.
func (v *PageRequest) local() string {
	if v.Journey != nil || v.ReturnTo == "/" {
		return ""
	}
	return v.ReturnTo
}
