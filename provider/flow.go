package provider

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/internal/oauth"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// errMustInteract is the error under prompt=none for a step without one of its own.
var errMustInteract = refuse("interaction_required", "The person must choose an organization, and prompt=none forbids to ask.")

// stepErrors are the errors under prompt=none by the step that a flow needs (OpenID Connect Core 1.0, section 3.1.2.6).
var stepErrors = map[string]*Error{
	"/login":        errMustSignIn,
	"/login/factor": errMustSignIn,
	"/consent":      refuse("consent_required", "The person must agree, and prompt=none forbids to ask."),
}

var errMustSignIn = refuse("login_required", "The person must sign in, or prove more, and prompt=none forbids to ask.")

// flowState reads how far the browser has come with a request: which user is signed in,
// for which organization, with what consent. One query, two if an organization must be
// picked or is the only one. An *Error in err is for the client; the state is then as far
// as it was read.
func (p *Provider) flowState(r *http.Request, q *request, f *storage.Flow, browser secret.Hash) (*storage.FlowState, error) {
	ctx := r.Context()
	j := &storage.FlowState{Flow: f, Client: q.client.Client, Scopes: q.consentScopes, Prompt: q.prompt, LoginHint: q.params.Get("login_hint"),
		RedirectURI: q.target.uri, NeedsOrganization: q.org.IsNeeded(), Now: p.now()}
	question := q.org
	question.Picked = f.OrganizationID
	id, slug, err := question.Named()
	if err != nil && !errors.Is(err, identity.ErrOrganizationDenied) { // resolveOrganization tells it, to a user who has signed in
		return j, organizationError(err)
	}
	current, err := p.sessions.Lookup(r,
		storage.SessionQuery{Browser: browser, ClientID: q.client.ID, OrganizationID: id, OrganizationSlug: slug})
	switch {
	case err != nil:
		return nil, err
	case current == nil:
		return j, nil
	}
	v := current.SessionContext
	j.Session = v
	if q.subjects != nil && !slices.Contains(q.subjects, v.User.Sub.String()) {
		// The request is about another person. Ask once; another sign-in of the wrong
		// person does not answer it.
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
	if err := p.addRequirements(ctx, q, j); err != nil {
		return nil, err
	}
	if assurance.NeedsSecondFactor(v.User.Factors, v.Session.ACR) {
		// A password alone must not tell where the person is a member: the organization is
		// looked at once the second factor is proven.
		return j, nil
	}
	if assurance.IsOverdue(v.User.Factors, j.Requirements, j.Now) {
		return j, nil // nor before there is one, where the installation requires it
	}
	return j, p.resolveOrganization(ctx, q, j)
}

// addRequirements notes what the installation, the request and the client require of the
// sign-in; resolveOrganization adds the organization's part. A voluntary acr is left out
// under prompt=none, which forbids to ask.
func (p *Provider) addRequirements(ctx context.Context, q *request, j *storage.FlowState) error {
	settings, err := p.registry.Settings(ctx)
	if err != nil {
		return err
	}
	if settings.MFA.Require != "" {
		j.Requirements = append(j.Requirements, storage.Requirement{Policy: settings.MFA, From: j.Session.User.CreatedAt})
	}
	j.ACREssential = q.acrEssential
	if q.acrEssential || !q.prompted(oauth.PromptNone) {
		j.ACR = q.acr
	}
	return nil
}

// newFlow is the request as it would be stored. browser is zero for one that came by POST.
func (p *Provider) newFlow(q *request, browser secret.Hash) *storage.Flow {
	now := p.now()
	return &storage.Flow{ClientID: q.client.ID, Request: storedParams(q.params), RedirectURI: q.target.uri,
		Hint: q.tokenHint, PushedHash: q.pushed,
		BrowserHash: browser, RequestedAt: now, ExpiresAt: now.Add(flowLifetime), SignInAfter: q.signInAfter(now)}
}

// errNoFlow is the page about a flow of which nothing is known any more, not even its client.
var errNoFlow = &web.Error{Status: http.StatusBadRequest, Code: "flow_expired", BackURL: "/",
	BackLabel: "Go to the start page"}

// loadFlow finds the flow of ?flow=, whose browser is yet to be compared, and its client.
// Its errors are pages.
func (p *Provider) loadFlow(ctx context.Context, token string) (*storage.Flow, *client, error) {
	if len(token) != 43 {
		return nil, nil, errNoFlow
	}
	f, err := p.store.Flow(ctx, secret.HashOf(token))
	if err != nil {
		return nil, nil, replace(err, storage.ErrNotFound, errNoFlow)
	}
	c, err := p.requestClient(ctx, f.ClientID)
	switch {
	case err != nil:
		return nil, nil, replace(err, errUnknownClient,
			pageError("unknown_client", "The client was disabled while its request was under way."))
	case !f.SpentAt.IsZero():
		return nil, nil, flowPage("flow_finished", c, f.RedirectURI)
	case !p.now().Before(f.ExpiresAt):
		return nil, nil, flowPage("flow_expired", c, f.RedirectURI)
	}
	return f, c, nil
}

// flowRequest returns the request of a flow, checked again. An *Error in err can be sent
// to its redirect URI.
func (p *Provider) flowRequest(ctx context.Context, f *storage.Flow, c *client) (*request, error) {
	notesOf(ctx).params = f.Request
	q := &request{client: c, params: f.Request, pushed: f.PushedHash, tokenHint: f.Hint, maxAge: -1}
	if err := q.matchRedirectURI(); err != nil {
		return nil, err
	}
	return q, p.validate(ctx, q)
}

// home is where a person can start again with the client; "" for a program on the
// person's device, which has no address. redirectURI, if not "", tells which of the
// client's websites they came from.
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

// checkBrowser checks that a flow is bound to this browser. A flow whose cookie came back
// is open, and from then on not dropped for others.
func (p *Provider) checkBrowser(r *http.Request, f *storage.Flow, c *client) error {
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
	return replace(p.store.OpenFlow(r.Context(), f.IDHash, browser), storage.ErrSpent, flowPage("flow_expired", c, f.RedirectURI))
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

// bindFlow gives a flow that came by POST to the first browser that follows its redirect.
func (p *Provider) bindFlow(w http.ResponseWriter, r *http.Request, f *storage.Flow, c *client) error {
	browser, err := p.sessions.Ensure(w, r)
	if err != nil {
		return err
	}
	f.BrowserHash = browser
	err = p.store.BindFlow(r.Context(), f.IDHash, browser, p.now().Add(-bindWithin))
	return replace(err, storage.ErrSpent, flowPage("flow_elsewhere", c, f.RedirectURI))
}

// LoadFlow returns how far the flow of ?flow= is in this browser, with its next step and the address where it resumes,
// for the pages of the steps. Its errors are pages, ready to return.
func (p *Provider) LoadFlow(r *http.Request) (*storage.FlowState, error) {
	token := r.URL.Query().Get("flow")
	f, c, err := p.loadFlow(r.Context(), token)
	if err == nil {
		err = p.checkBrowser(r, f, c)
	}
	if err != nil {
		return nil, err
	}
	q, err := p.flowRequest(r.Context(), f, c)
	if err != nil {
		return nil, asPage(err, token)
	}
	j, err := p.flowState(r, q, f, f.BrowserHash)
	if e, ok := errors.AsType[*Error](err); ok && e.Code == "access_denied" {
		return nil, p.deniedPage(q, j, token, e)
	} else if err != nil {
		return nil, asPage(err, token)
	}
	j.NextStep, j.ResumeURL = p.nextStep(j), flowURL(token)
	return j, p.touchSession(r.Context(), j)
}

// touchSession notes that the session of a flow is used, where no code is written that notes it.
func (p *Provider) touchSession(ctx context.Context, j *storage.FlowState) error {
	if j == nil || j.Session == nil {
		return nil
	}
	return p.sessions.TouchIfDue(ctx, &j.Session.Session)
}

// asPage shows an error of the protocol to the person: the pages of the steps do not
// answer clients. The page leads to where the client is answered.
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
