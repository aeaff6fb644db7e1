package provider

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/google/uuid"
	"github.com/ory/fosite"
	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/internal/oauth"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// maxTries is how often a request is evaluated when something that its code rests on is
// withdrawn while the code is made.
const maxTries = 3

// authorize is the authorization endpoint for GET. When something was withdrawn meanwhile,
// the request is evaluated again: the person is asked, or the client gets the error.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) error {
	for try := 1; ; try++ {
		err := p.authorizeOnce(w, r)
		if !errors.Is(err, storage.ErrSpent) || try == maxTries {
			return err
		}
		// The client may be what changed, and this process's copy of it old.
		if err := p.registry.Refresh(r.Context()); err != nil {
			return err
		}
	}
}

// authorizeOnce answers a request, or with ?flow= the way back from a step.
// storage.ErrSpent is in the error if something was withdrawn meanwhile.
func (p *Provider) authorizeOnce(w http.ResponseWriter, r *http.Request) error {
	params, err := authorizationQuery(r)
	if err != nil {
		return err
	}
	if token := params.Get("flow"); token != "" {
		return p.resume(w, r, token, params)
	}
	q, err := p.readRequest(r.Context(), params)
	if err != nil {
		return p.respondError(w, r, q, nil, err)
	}
	return p.dispatch(w, r, q, p.newFlow(q, p.sessions.Browser(r)), "")
}

// authorizePost accepts the same request as a form (OpenID Connect Core 1.0,
// section 3.1.2.1). It may come from another site and then without cookies, so it
// reads none: it stores the flow, and the redirect's GET takes it.
func (p *Provider) authorizePost(w http.ResponseWriter, r *http.Request) error {
	params, err := authorizationForm(r)
	if err != nil {
		return err
	}
	q, err := p.readRequest(r.Context(), params)
	if err != nil {
		return p.respondError(w, r, q, nil, err)
	}
	token, err := p.storeFlow(r, p.newFlow(q, secret.Hash{}))
	if err != nil {
		return err
	}
	return web.SeeOther(w, r, flowURL(token))
}

// readRequest returns the validated request. It returns the request also beside an *Error
// that can be sent to its redirect URI.
func (p *Provider) readRequest(ctx context.Context, params url.Values) (*request, error) {
	q, err := p.resolveClient(ctx, params)
	if q != nil {
		notesOf(ctx).params = q.params
	}
	if err == nil {
		err = p.validate(ctx, q)
	}
	return q, err
}

// resume continues a flow after a step, and binds it to its browser first if it came by
// POST. With the parameter cancel the person has given up, with switch they use another account.
func (p *Provider) resume(w http.ResponseWriter, r *http.Request, token string, params url.Values) error {
	f, c, err := p.loadFlow(r.Context(), token)
	if err != nil {
		return err
	}
	if f.BrowserHash.IsZero() {
		err = p.bindFlow(w, r, f, c)
	} else {
		err = p.checkBrowser(r, f, c)
	}
	if err != nil {
		return err
	}
	q, err := p.flowRequest(r.Context(), f, c)
	if err != nil {
		return p.respondError(w, r, q, f, err)
	}
	switch {
	case params.Has("cancel"):
		return p.respondError(w, r, q, f, p.cancelError(r, q, f))
	case f.Consent != nil && f.Consent.Denied:
		return p.respondError(w, r, q, f, errCancelled)
	case params.Has("switch"):
		err := p.store.AskAgain(r.Context(), f.IDHash, f.BrowserHash)
		if err = replace(err, storage.ErrSpent, nil); err != nil {
			return err
		}
		return web.SeeOther(w, r, flowURL(token))
	}
	return p.dispatch(w, r, q, f, token)
}

// flowURL is where a flow goes on: all steps are asked again there.
func flowURL(token string) string { return pathAuthorize + "?flow=" + url.QueryEscape(token) }

var errCancelled = refuse("access_denied", "The person cancelled.")

// cancelError is the error for a flow that the person has given up: it says that they
// could not go on, where that is so.
func (p *Provider) cancelError(r *http.Request, q *request, f *storage.Flow) error {
	_, err := p.flowState(r, q, f, f.BrowserHash)
	if e, ok := errors.AsType[*Error](err); ok && e.Code == "access_denied" {
		return e
	}
	return errCancelled
}

// dispatch is the whole decision: a page of ours, an error, a step, or the code.
// token is the flow's id once it is stored, "" before.
func (p *Provider) dispatch(w http.ResponseWriter, r *http.Request, q *request, f *storage.Flow, token string) error {
	j, err := p.flowState(r, q, f, f.BrowserHash)
	if err != nil {
		if err := p.touchSession(r.Context(), j); err != nil {
			return err
		}
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Code != "access_denied" || q.prompted(oauth.PromptNone) {
			return p.respondError(w, r, q, f, err)
		}
		if token, err = p.ensureFlow(w, r, f, j, token); err != nil {
			return err
		}
		return p.deniedPage(q, j, token, e)
	}
	step := p.nextStep(j)
	unreachable := q.acrEssential && j.SignedIn() && !assurance.Satisfies(j.Session.Session.ACR, q.acr) &&
		!assurance.CanSatisfy(j.Session.User.Factors, q.acr)
	if step == "" && !unreachable {
		return p.issueCode(w, r, q, j)
	}
	if err := p.touchSession(r.Context(), j); err != nil {
		return err
	}
	if unreachable {
		return p.respondError(w, r, q, f, refuse("unmet_authentication_requirements",
			"The person cannot authenticate with the acr that is essential."))
	}
	if q.prompted(oauth.PromptNone) {
		return p.respondError(w, r, q, f, cmp.Or(stepErrors[step], errMustInteract))
	}
	if token, err = p.ensureFlow(w, r, f, j, token); err != nil {
		return err
	}
	return web.SeeOther(w, r, step+"?flow="+token)
}

// ensureFlow stores a flow that is not stored yet, bound to this browser, and returns its id.
func (p *Provider) ensureFlow(w http.ResponseWriter, r *http.Request, f *storage.Flow, j *storage.FlowState,
	token string) (string, error) {
	if token != "" {
		return token, nil
	}
	var err error
	if f.BrowserHash, err = p.sessions.Ensure(w, r); err != nil {
		return "", err
	}
	if j.Session != nil {
		f.UserID = j.Session.User.ID
	}
	return p.storeFlow(r, f)
}

// storeFlow stores a flow and returns its id. It refuses too many flows of unknown
// browsers in one network, and never those of a browser that has signed in before.
func (p *Provider) storeFlow(r *http.Request, f *storage.Flow) (string, error) {
	token := secret.NewToken("")
	f.IDHash = secret.HashOf(token)
	err := p.store.CreateFlow(r.Context(), f, p.budgets.FlowBudget(r, f.UserID, web.ClientIP(r)))
	if full, ok := errors.AsType[*storage.Full](err); ok {
		return "", &web.Error{Status: http.StatusTooManyRequests, Code: "too_many_requests",
			RetryAfter: full.Until.Sub(p.now())}
	}
	return token, err
}

// deniedPage tells a person that their account is not in the organization. They may use
// another account for the same request, or go back to the client, which is told then.
func (p *Provider) deniedPage(q *request, j *storage.FlowState, token string, e *Error) error {
	page := &web.Error{Status: http.StatusForbidden, Code: "not_a_member", Message: e.Description, Err: e,
		BackURL: flowURL(token) + "&cancel=1", BackLabel: "Back to " + q.client.Name(),
		Action: &templates.ErrorAction{ID: "switch", Label: "Use another account", URL: flowURL(token) + "&switch=1"}}
	if j.Session != nil {
		page.Account = templates.Account{Name: j.Session.User.Profile.Name, Email: j.Session.User.Email}
	}
	return page
}

// respondError sends an *Error to the client where its redirect URI is known, and
// ends the flow; everything else stays here.
func (p *Provider) respondError(w http.ResponseWriter, r *http.Request, q *request, f *storage.Flow, err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok || q == nil || q.target.uri == "" {
		return err
	}
	if e.Code == "server_error" || e.Code == "temporarily_unavailable" {
		return e.Err // ours to show and to log; the client would only lose the person
	}
	if f != nil && !f.IDHash.IsZero() {
		err := p.store.SpendFlow(context.WithoutCancel(r.Context()), f.IDHash)
		if err = replace(err, storage.ErrSpent, nil); err != nil {
			return err
		}
	}
	web.Annotate(r.Context(), "error", e.Code)
	p.refused(r, pathAuthorize, e)
	// RFC 6749, section 4.1.2.1.
	return p.respond(w, q.target, param{"error", e.Code}, param{"error_description", e.Description})
}

// issueCode lets fosite make the code, and stores it with its grant in one statement.
func (p *Provider) issueCode(w http.ResponseWriter, r *http.Request, q *request, j *storage.FlowState) error {
	ar := fosite.NewAuthorizeRequest()
	ar.Client, ar.ResponseTypes = q.client, fosite.Arguments{oauth.ResponseTypeCode}
	ar.RequestedScope, ar.GrantedScope = q.scopes, q.scopes
	ar.Form = url.Values{"redirect_uri": {q.target.uri}, "code_challenge": q.params["code_challenge"],
		"code_challenge_method": q.params["code_challenge_method"]}
	s := newSession()
	s.claims.Subject = j.Session.User.Sub.String()
	resp, err := p.fosite.NewAuthorizeResponse(r.Context(), ar, s)
	if err != nil {
		return p.respondError(w, r, q, j.Flow, protocolError(err))
	}
	in := p.newGrant(r.Context(), q, j)
	in.Code.Hash, in.Event.RequestID = secret.HashOf(resp.GetCode()), web.RequestID(r.Context())
	err = p.store.IssueCode(r.Context(), *in)
	if errors.Is(err, storage.ErrSpent) {
		// A second tab was faster, or something was withdrawn a moment ago.
		e := flowPage("flow_expired", q.client, q.target.uri)
		e.Err = err
		return e
	} else if err != nil {
		return err
	}
	if q.isUnprotected() {
		p.identity.Clients.NoteUnprotected(q.client.ID)
		web.Annotate(r.Context(), "unprotected", true)
	}
	return p.respond(w, q.target, param{"code", resp.GetCode()})
}

// newGrant is what the end of this flow writes, but for the code's hash.
func (p *Provider) newGrant(ctx context.Context, q *request, j *storage.FlowState) *storage.IssueCode {
	now, v := p.now(), j.Session
	g := storage.Grant{ID: uuid.Must(uuid.NewV7()), UserID: v.User.ID, ClientID: q.client.ID,
		OrganizationID: j.OrganizationID(), SessionID: v.Session.ID,
		Offline: slices.Contains(q.scopes, oauth.ScopeOfflineAccess), Scopes: q.scopes, Audience: q.audience, Resource: q.resource,
		AuthTime: v.Session.AuthTime, ACR: q.grantedACR(v.Session.ACR), AMR: v.Session.AMR, Claims: q.claims, CreatedAt: now}
	g.ExpiresAt = now.Add(codeLifetime + accessTokenLifetime)
	if g.Offline {
		g.ExpiresAt = now.Add(offlineLifetime)
	}
	in := &storage.IssueCode{Grant: g, Client: j.Client, Flow: j.Flow, Pushed: q.pushed, Asked: j.Scopes, Consent: j.Consent,
		Code: storage.Code{GrantID: g.ID, ClientID: q.client.ID, RedirectURI: q.target.uri, Challenge: q.params.Get("code_challenge"),
			Nonce: q.params.Get("nonce"), ExpiresAt: now.Add(codeLifetime)},
		Event: storage.Event{Type: storage.EventGrantCreated, Organization: g.OrganizationID, Actor: g.UserID, User: g.UserID, Client: g.ClientID,
			Facts: map[string]any{"grant": g.ID.String(), "scopes": g.Scopes, "session": g.SessionID.String()}}}
	if seen, idle, due := p.sessions.Touch(ctx, &v.Session); due {
		in.SeenAt, in.IdleExpiresAt = seen, idle
	}
	return in
}

// grantedACR is the acr that the grant tells. An essential one is always one of the values
// that were requested (OpenID Connect Core 1.0, section 5.5.1.1), though the session's may
// be stronger: a client compares, and does not know our order.
func (q *request) grantedACR(acr string) string {
	if !q.acrEssential || slices.Contains(q.acr, acr) {
		return acr
	}
	return assurance.StrongestSatisfied(acr, q.acr)
}
