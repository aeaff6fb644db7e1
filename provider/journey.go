package provider

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// Step is one question that a person may owe an answer to before a code is
// issued. Its page comes back to /oauth2/authorize?flow=…, where all steps are
// asked again from the first.
type Step interface {
	// Path is where the step's page is, "/login".
	Path() string
	// Pending reports whether the answer is still owed.
	Pending(j *storage.Journey) bool
	// Refusal is the error of a request with prompt=none (OpenID Connect Core 1.0, section 3.1.2.6).
	Refusal() string
}

// refusals are the sentences for the steps' errors under prompt=none.
var refusals = map[string]*Error{
	"login_required":       refuse("login_required", "The person must sign in, or prove more, and prompt=none forbids to ask."),
	"consent_required":     refuse("consent_required", "The person must agree, and prompt=none forbids to ask."),
	"interaction_required": refuse("interaction_required", "The person must choose an organization, and prompt=none forbids to ask."),
}

// next is the first step that is pending, nil when a code can be issued.
func (p *Provider) next(j *storage.Journey) Step {
	for _, s := range p.steps {
		if s.Pending(j) {
			return s
		}
	}
	return nil
}

// journey reads how far the browser has come with a request: who is signed in, for
// which organization, with what consent. One query, two if an organization must be
// picked or is the only one. An *Error in err is for the client; the journey is
// then as far as it came.
func (p *Provider) journey(r *http.Request, q *request, f *storage.Flow, browser secret.Hash) (*storage.Journey, error) {
	ctx := r.Context()
	j := &storage.Journey{Flow: f, Client: q.client.Client, Scopes: q.agree, Prompt: q.prompt, LoginHint: q.params.Get("login_hint"),
		RedirectURI: q.target.uri, NeedsOrganization: q.org.Needed(), Now: p.now()}
	question := q.org
	question.Picked = f.OrganizationID
	id, slug, err := question.Named()
	if err != nil && !errors.Is(err, identity.ErrOrganizationDenied) { // that is told to who has signed in, by settle
		return j, organizationError(err)
	}
	if browser.IsZero() {
		return j, nil
	}
	v, err := p.store.Visit(ctx, storage.VisitQuery{Browser: browser, ClientID: q.client.ID, OrganizationID: id, OrganizationSlug: slug})
	if errors.Is(err, storage.ErrNotFound) {
		return j, nil
	} else if err != nil {
		return nil, err
	}
	standing, err := p.sessions.Compare(r, v)
	if err != nil {
		return nil, err
	}
	if standing == session.SignedOut {
		return j, nil
	}
	j.Visit = v
	if q.subjects != nil && !slices.Contains(q.subjects, v.User.Sub.String()) {
		// The request is about somebody else. Ask once; who signs in then and is
		// still another is no answer to it.
		if f.SignInAfter.Before(f.RequestedAt) {
			f.SignInAfter = f.RequestedAt
		}
		if j.SignedIn() {
			return j, refuse("login_required", "Another person than the one the request names has signed in.")
		}
	}
	if !j.SignedIn() {
		return j, nil
	}
	if err := p.demand(ctx, q, j); err != nil {
		return nil, err
	}
	if identity.Half(v.User.Factors, v.Session.ACR) {
		// A password alone must not tell where the person is a member: the organization is
		// looked at once the second factor is proven.
		return j, nil
	}
	if identity.Lacks(v.User.Factors, j.Requirements, j.Now) {
		return j, nil // nor before there is one, where the installation requires it
	}
	return j, p.settle(ctx, q, j)
}

// demand notes what the installation, the request and the client ask of the
// sign-in; the organization's part comes with it. What is voluntary is not asked
// for where nothing may be asked.
func (p *Provider) demand(ctx context.Context, q *request, j *storage.Journey) error {
	settings, err := p.registry.Settings(ctx)
	if err != nil {
		return err
	}
	if settings.MFA.Require != "" {
		j.Requirements = append(j.Requirements, storage.Requirement{Policy: settings.MFA, From: j.Visit.User.CreatedAt})
	}
	j.ACREssential = q.acrMust
	if q.acrMust || !q.prompted("none") {
		j.ACR = q.acr
	}
	return nil
}

// newFlow is the request as it would be stored. browser is zero for one that came by POST.
func (p *Provider) newFlow(q *request, browser secret.Hash) *storage.Flow {
	now := p.now()
	return &storage.Flow{ClientID: q.client.ID, Request: storedParams(q.params), RedirectURI: q.target.uri, Hint: q.tokenHint, PushedHash: q.pushed,
		BrowserHash: browser, RequestedAt: now, ExpiresAt: now.Add(flowLifetime), SignInAfter: q.signInAfter(now)}
}

// errNoFlow is the page about a flow of which nothing is known any more, not even its app.
var errNoFlow = &web.Error{Status: http.StatusBadRequest, Code: "flow_expired", BackURL: "/",
	BackLabel: "Go to the start page"}

// reopen finds the flow of ?flow= for this browser, bound to it and with its
// request checked again. Its errors are pages.
func (p *Provider) reopen(w http.ResponseWriter, r *http.Request, token string) (*storage.Flow, *request, error) {
	ctx := r.Context()
	if len(token) != 43 {
		return nil, nil, errNoFlow
	}
	f, err := p.store.Flow(ctx, secret.HashOf(token))
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil, errNoFlow
	} else if err != nil {
		return nil, nil, err
	}
	c, err := p.requestClient(ctx, f.ClientID)
	if errors.Is(err, errUnknownClient) {
		return nil, nil, page("unknown_client", "The client was disabled while its request was under way.")
	} else if err != nil {
		return nil, nil, err
	}
	if !f.SpentAt.IsZero() {
		return nil, nil, flowPage("flow_finished", c, f.RedirectURI)
	}
	if !p.now().Before(f.ExpiresAt) {
		return nil, nil, flowPage("flow_expired", c, f.RedirectURI)
	}
	if err := p.takeFlow(w, r, f, c); err != nil {
		return nil, nil, err
	}
	notesOf(ctx).params = f.Request
	q := &request{client: c, params: f.Request, pushed: f.PushedHash, tokenHint: f.Hint, maxAge: -1}
	if err := q.aim(); err != nil {
		return nil, nil, err
	}
	if e := p.check(ctx, q); e != nil {
		return f, q, e
	}
	return f, q, nil
}

// home is where a person can start again with the client, of which redirectURI is known
// if it is not "": it tells which of the client's places they came from. "" if it has
// no such place: a program on the person's device has no address to go to.
func (c *client) home(redirectURI string) string {
	for _, uri := range []string{c.Metadata.InitiateLoginURI, c.Metadata.ClientURI} {
		if uri != "" {
			return uri
		}
	}
	if u, err := url.Parse(redirectURI); err == nil && slices.Contains(c.homes, u.Scheme+"://"+u.Host) {
		return u.Scheme + "://" + u.Host
	}
	if len(c.homes) > 0 {
		return c.homes[0]
	}
	return ""
}

// takeFlow checks that a flow is this browser's: the one that it is bound to, or where
// answer is not nil the first one that follows the redirect of a POST. A flow whose
// cookie came back is open, and from then on not dropped for others.
func (p *Provider) takeFlow(answer http.ResponseWriter, r *http.Request, f *storage.Flow, c *client) error {
	if f.BrowserHash.IsZero() && answer != nil {
		return p.bind(answer, r, f, c)
	}
	browser := p.sessions.Browser(r)
	switch {
	case browser.IsZero():
		return flowPage("missing_cookie", c, f.RedirectURI)
	case f.BrowserHash != browser:
		return flowPage("flow_elsewhere", c, f.RedirectURI)
	}
	if !f.OpenedAt.IsZero() {
		return nil
	}
	err := p.store.OpenFlow(r.Context(), f.IDHash, browser)
	if errors.Is(err, storage.ErrSpent) {
		return flowPage("flow_expired", c, f.RedirectURI)
	}
	return err
}

// flowPage is the page about a flow that this browser cannot go on with, with the way to
// the client.
func flowPage(code string, c *client, redirectURI string) *web.Error {
	label := "Start again at "
	if code == "flow_finished" {
		label = "Go to "
	}
	return &web.Error{Status: http.StatusBadRequest, Code: code, BackURL: c.home(redirectURI), BackLabel: label + c.Name()}
}

// bind gives a flow that came by POST to the first browser that follows its redirect.
func (p *Provider) bind(w http.ResponseWriter, r *http.Request, f *storage.Flow, c *client) error {
	browser, err := p.sessions.Ensure(w, r)
	if err != nil {
		return err
	}
	err = p.store.BindFlow(r.Context(), f.IDHash, browser, p.now().Add(-bindWithin))
	if errors.Is(err, storage.ErrSpent) {
		return flowPage("flow_elsewhere", c, f.RedirectURI)
	}
	f.BrowserHash = browser
	return err
}

// Journey is the journey of ?flow= for the pages of the steps: what this browser
// is asked for, and how far it is. Its errors are pages, ready to return.
func (p *Provider) Journey(r *http.Request) (*storage.Journey, error) {
	token := r.URL.Query().Get("flow")
	f, q, err := p.reopen(nil, r, token)
	if err != nil {
		return nil, asPage(err, token)
	}
	j, err := p.journey(r, q, f, f.BrowserHash)
	if e, ok := errors.AsType[*Error](err); ok && e.Code == "access_denied" {
		return nil, p.deniedPage(q, j, token, e)
	} else if err != nil {
		return nil, asPage(err, token)
	}
	return j, p.keep(r.Context(), j)
}

// keep notes that the session of a journey is used, where no code is written that does.
func (p *Provider) keep(ctx context.Context, j *storage.Journey) error {
	if j == nil || j.Visit == nil {
		return nil
	}
	return p.sessions.Keep(ctx, &j.Visit.Session)
}

// asPage shows an error of the protocol to a person: the pages of the steps do
// not answer clients. From the page they go to where the client is answered.
func asPage(err error, token string) error {
	if e, ok := errors.AsType[*Error](err); ok {
		page := &web.Error{Status: e.status(), Code: e.Code, Message: e.Description, Err: e.Err}
		if _, _, ours := templates.ErrorText(e.Code); !ours {
			page.Code = "invalid_request"
		}
		if e.status() < 500 {
			page.BackURL, page.BackLabel = flowURL(token), "Go on"
		}
		return page
	}
	return err
}

// now is the node's time in whole microseconds.
func (p *Provider) now() time.Time { return p.clock().UTC().Truncate(time.Microsecond) }
