package consent

import (
	"errors"
	"net/http"
	"slices"

	"github.com/sallyport-id/sallyport/consent/login"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// Config is what Pages need. All of it.
type Config struct {
	Web      *web.Web
	Store    *storage.Store
	Registry *storage.Registry
	Sessions *session.Manager
	Journeys login.Journeys
}

// Pages are the handlers of this package.
type Pages struct {
	web      *web.Web
	store    *storage.Store
	registry *storage.Registry
	sessions *session.Manager
	journeys login.Journeys
}

// New returns the pages, or an error if c is not whole.
func New(c Config) (*Pages, error) {
	if c.Web == nil || c.Store == nil || c.Registry == nil || c.Sessions == nil || c.Journeys == nil {
		return nil, errors.New("consent: something of the configuration is missing")
	}
	return &Pages{web: c.Web, store: c.Store, registry: c.Registry, sessions: c.Sessions, journeys: c.Journeys}, nil
}

// Mount adds the page to the route table.
func (p *Pages) Mount(rt *web.Router) {
	rt.Handle("/consent", web.Popup(p.web.Handle(p.show)), http.MethodGet)
	rt.Handle("/consent", web.Popup(p.web.SameOrigin(p.web.Handle(p.answer))), http.MethodPost)
}

// show is the page.
func (p *Pages) show(w http.ResponseWriter, r *http.Request) error {
	v, err := login.ReadFlowRequest(r, p.journeys, p.sessions)
	if err != nil {
		return err
	}
	j := v.Journey
	if !settled(j) || !(Agree{}).Pending(j) {
		return web.SeeOther(w, r, v.Next())
	}
	scopes, err := p.sentences(r, asked(j))
	if err != nil {
		return err
	}
	m := &j.Client.Metadata
	page := templates.Consent{
		Flow: v.Flow, CSRF: p.sessions.CSRFToken(v.Browser, purpose(j)),
		AppName: j.Client.Name(), AppLogo: j.Client.LogoPath(), PolicyURI: m.PolicyURI, TosURI: m.TosURI,
		RedirectHost: destination(j.RedirectURI), FirstParty: j.Client.SkipsConsent(),
		Account: templates.Account{Name: j.Session.User.Profile.Name, Email: j.Session.User.Email},
		SignsIn: slices.Contains(j.Scopes, "openid"), Scopes: scopes, GrantedCount: len(j.Scopes) - len(scopes),
	}
	page.SwitchAction, page.SwitchCSRF = v.SwitchForm(p.sessions)
	if j.Organization != nil {
		page.OrganizationName = j.Organization.Name
	}
	if end := until(j); !end.IsZero() {
		page.RememberUntil = end.Format("2 January 2006")
	}
	web.OmitFormAction(w)
	return p.web.Page(w, http.StatusOK, page)
}

// sentences says what scopes mean: our own ones in templates, others where their
// resource declares them.
func (p *Pages) sentences(r *http.Request, scopes []string) ([]templates.Scope, error) {
	resources, err := p.registry.Resources(r.Context())
	if err != nil {
		return nil, err
	}
	out := make([]templates.Scope, len(scopes))
	for i, name := range scopes {
		out[i].Name = name
		if _, ours := templates.ScopeSentence(name); ours {
			continue
		}
		for _, res := range resources {
			if sentence := res.Scopes[name]; sentence != "" {
				out[i].Sentence = sentence
				break
			}
		}
	}
	return out, nil
}

// answer records what the person said. It counts for exactly what the page showed,
// and once: who comes too late is sent on to what was said first.
func (p *Pages) answer(w http.ResponseWriter, r *http.Request) error {
	v, err := login.ReadFlowRequest(r, p.journeys, p.sessions)
	if err != nil {
		return err
	}
	j := v.Journey
	form, err := web.Form(r)
	if err != nil {
		return err
	}
	if !settled(j) || !(Agree{}).Pending(j) {
		return web.SeeOther(w, r, v.Next())
	}
	if err := login.CheckForm(p.sessions, v.Browser, purpose(j), form.Get("csrf"), v.Next()); err != nil {
		return err
	}
	said := form.Get("answer")
	if said != "allow" && said != "deny" {
		return &web.Error{Status: http.StatusBadRequest, Message: "answer is allow or deny"}
	}
	err = p.store.AnswerConsent(r.Context(), answerOf(j, said == "allow", form.Get("remember") == "on", web.RequestID(r.Context())))
	if err != nil && !errors.Is(err, storage.ErrSpent) {
		return err
	}
	return web.SeeOther(w, r, v.Next())
}

// answerOf is what the person's answer writes. The scopes that the page did not
// list, because they were allowed before, are part of it.
func answerOf(j *storage.FlowState, allow, remember bool, requestID string) *storage.Answer {
	a := &storage.Answer{
		Flow: j.Flow.IDHash, Browser: j.Flow.BrowserHash, Before: j.Flow.Consent, ClientID: j.Client.ID,
		Consent:    storage.FlowConsent{UserID: j.Session.User.ID, OrganizationID: j.OrganizationID(), Scopes: j.Scopes, Denied: !allow},
		Remembered: earlier(j),
	}
	if allow && remember {
		a.Remember = until(j)
	}
	kind := storage.EventConsentGranted
	if !allow {
		kind = storage.EventConsentDenied
	}
	user := j.Session.User.ID
	a.Event = &storage.Event{Type: kind, Organization: j.OrganizationID(), Actor: user, User: user, Client: j.Client.ID, RequestID: requestID,
		Facts: map[string]any{"scopes": j.Scopes, "remembered": !a.Remember.IsZero()}}
	return a
}
