package consent

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/sallyport-id/sallyport/internal/page"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// Pages are the handlers of this package.
type Pages struct{ *page.Deps }

// Mount adds the page to the route table. An app may show it in a popup window.
func (p Pages) Mount(rt *web.Router) {
	p.Deps.Mount(rt, web.Popup, page.Route{Path: consentPath, Show: p.show, Act: p.answer})
}

// readRequest reads a request for this step. redirectTo is where to go if the flow does not need consent now, or needs
// another step before: the second factor too, because a remembered answer outlasts the session it came from.
func (p Pages) readRequest(r *http.Request) (q *page.Request, redirectTo string, err error) {
	q, err = p.ReadRequest(r)
	switch {
	case err != nil:
		return nil, "", err
	case q.Flow == nil:
		return nil, "", &web.Error{Status: http.StatusNotFound}
	case !q.IsNext(consentPath):
		return q, q.NextURL(), nil
	}
	return q, "", nil
}

// purpose is what the page's form is made for: this user, client, organization and exactly these scopes in this flow.
func purpose(f *storage.FlowState) string {
	return strings.Join([]string{"consent", f.Flow.IDHash.String(), f.Session.User.ID.String(), f.Client.ID, f.OrganizationID().String(),
		strings.Join(f.Scopes, " ")}, "\x00")
}

// show is the page.
func (p Pages) show(w http.ResponseWriter, r *http.Request) error {
	q, redirectTo, err := p.readRequest(r)
	if err != nil {
		return err
	}
	if redirectTo != "" {
		return web.SeeOther(w, r, redirectTo)
	}
	f := q.Flow
	resources, err := p.Registry.Resources(r.Context())
	if err != nil {
		return err
	}
	listed, m := listedScopes(f), &f.Client.Metadata
	ask := templates.Consent{
		Flow: q.FlowToken, CSRF: q.CSRF(purpose(f)),
		AppName: f.Client.Name(), AppLogo: f.Client.LogoPath(), PolicyURI: m.PolicyURI, TosURI: m.TosURI,
		RedirectHost: destination(f.RedirectURI), FirstParty: f.Client.SkipsConsent(),
		Account: page.AccountOf(&f.Session.User),
		SignsIn: slices.Contains(f.Scopes, "openid"), Scopes: page.Scopes(listed, resources), GrantedCount: len(f.Scopes) - len(listed),
	}
	ask.SwitchAction, ask.SwitchCSRF = q.SwitchForm()
	if f.Organization != nil {
		ask.OrganizationName = f.Organization.Name
	}
	if end := rememberUntil(f); !end.IsZero() {
		ask.RememberUntil = end.Format("2 January 2006")
	}
	return q.Render(w, http.StatusOK, ask)
}

// answer records the user's answer. It counts for exactly what the page showed, and once: a later answer is ignored, and
// the browser is sent on to what the first one led to.
func (p Pages) answer(w http.ResponseWriter, r *http.Request) error {
	q, redirectTo, err := p.readRequest(r)
	if err != nil {
		return err
	}
	if redirectTo != "" {
		return web.SeeOther(w, r, redirectTo)
	}
	form, err := q.Form(r, purpose(q.Flow), q.NextURL())
	if err != nil {
		return err
	}
	answer := form.Get("answer")
	if answer != "allow" && answer != "deny" {
		return &web.Error{Status: http.StatusBadRequest, Message: "answer is allow or deny"}
	}
	err = p.Store.AnswerConsent(r.Context(), newAnswer(q.Flow, answer == "allow", form.Get("remember") == "on", web.RequestID(r.Context())))
	if err != nil && !errors.Is(err, storage.ErrSpent) {
		return err
	}
	return web.SeeOther(w, r, q.NextURL())
}

// newAnswer is what the user's answer writes. It includes the scopes that the page did not list because they were
// allowed before.
func newAnswer(f *storage.FlowState, allow, remember bool, requestID string) *storage.Answer {
	user := f.Session.User.ID
	a := &storage.Answer{
		Flow: f.Flow.IDHash, Browser: f.Flow.BrowserHash, Before: f.Flow.Consent, ClientID: f.Client.ID,
		Consent:    storage.FlowConsent{UserID: user, OrganizationID: f.OrganizationID(), Scopes: f.Scopes, Denied: !allow},
		Remembered: validConsent(f),
	}
	if allow && remember {
		a.Remember = rememberUntil(f)
	}
	event := storage.EventConsentGranted
	if !allow {
		event = storage.EventConsentDenied
	}
	a.Event = &storage.Event{Type: event, Organization: f.OrganizationID(), Actor: user, User: user, Client: f.Client.ID, RequestID: requestID,
		Facts: map[string]any{"scopes": f.Scopes, "remembered": !a.Remember.IsZero()}}
	return a
}
