package login

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/limit"
	"github.com/sallyport-id/sallyport/internal/page"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/upstream"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// upstreamLifetime is how long a person may take at the provider.
const upstreamLifetime = 10 * time.Minute

// callbacks are the paths that a connection's callback can have. {connection} is its name.
var callbacks = map[string]string{
	storage.CallbackLogin:      "/login/{connection}/callback",
	storage.CallbackAuthorized: "/login/{connection}/authorized",
	storage.CallbackAPI:        "/api/v1/auth/external/{connection}/callback",
}

// MountUpstream adds the routes of sign-in with other providers. It comes after all other pages below /login, whose
// names no connection can have.
func (p *Pages) MountUpstream(rt *web.Router) {
	rt.Handle("/login/link", web.Popup(p.Web.Handle(p.showLink)), http.MethodGet)
	for name, path := range callbacks {
		handle := func(h func(http.ResponseWriter, *http.Request, string) error) http.Handler {
			return web.Popup(p.Web.Handle(func(w http.ResponseWriter, r *http.Request) error { return h(w, r, name) }))
		}
		rt.Handle(path, handle(p.finishUpstream), http.MethodGet)
		rt.Handle(path, handle(p.keepAnswer), http.MethodPost)
	}
	rt.Handle("/login/{connection}/logout", p.Web.HandleJSON(p.upstreamLogout), http.MethodPost)
	rt.Handle("/login/{connection}", web.Popup(p.Web.Handle(p.beginUpstream)), http.MethodGet)
}

// attempt is a sign-in at a provider between its beginning and the answer. It is kept under the hash of the state.
type attempt struct {
	upstream.State
	// Browser is the hash of the token of the browser that began it, in which alone the answer counts.
	Browser  string `json:"browser"`
	Callback string `json:"callback"` // which of callbacks
	// Flow is the token of the flow that the attempt serves, To the page that it leads to without one; "" for none. Next is
	// where the user goes on in either case (page.Request.NextURL).
	Flow string `json:"flow,omitempty"`
	To   string `json:"to,omitempty"`
	Next string `json:"next"`
	// Link: the identity is to be linked to the account that is signed in.
	Link bool `json:"link,omitempty"`
	// Answer came by a POST, which brings no cookie of ours; the GET after it takes it from here.
	Answer *upstream.Answer `json:"answer,omitempty"`
	// Finished: an answer was used. The rest leads a browser on that opens the address again.
	Finished bool `json:"finished,omitempty"`
}

// path is a page for the same flow, or with the same way on.
func (a *attempt) path(view string) string {
	switch {
	case a.Flow != "":
		return view + "?" + url.Values{"flow": {a.Flow}}.Encode()
	case a.To != "":
		return view + "?" + url.Values{"to": {a.To}}.Encode()
	}
	return view
}

// saveAttempt keeps an attempt under its state.
func (p *Pages) saveAttempt(w http.ResponseWriter, r *http.Request, token string, a *attempt) error {
	s, err := p.Sessions.States.New(r, "upstream."+token)
	if err != nil {
		return err
	}
	text, err := json.Marshal(a)
	if err != nil {
		return err
	}
	s.Options.MaxAge = int(upstreamLifetime / time.Second)
	s.Values["attempt"] = string(text)
	return s.Save(r, w)
}

// loadAttempt returns the attempt of a state, nil if there is none for that connection and callback.
func (p *Pages) loadAttempt(r *http.Request, token string, c *storage.Connection, callback string) (*attempt, error) {
	s, err := p.Sessions.States.New(r, "upstream."+token)
	if err != nil || s.IsNew {
		return nil, err
	}
	var a attempt
	text, _ := s.Values["attempt"].(string)
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		return nil, err
	}
	a.Token = token
	if a.Connection != c.ID || a.Callback != callback { // the answer of one provider at the callback of another
		return nil, nil
	}
	return &a, nil
}

// connection finds the enabled connection that the path names.
func (p *Pages) connection(r *http.Request) (*storage.Connection, error) {
	all, err := p.Registry.Connections(r.Context())
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].Name == web.Var(r, "connection") {
			return &all[i], nil
		}
	}
	return nil, &web.Error{Status: http.StatusNotFound}
}

// loginConnections are the ways on the sign-in page to other providers. The page works without them too.
func (p *Pages) loginConnections(r *http.Request, q *page.Request) (out templates.LoginConnections) {
	all, err := p.Registry.Connections(r.Context())
	if err != nil {
		web.Annotate(r.Context(), "connections", err.Error())
	}
	for _, c := range all {
		out.Buttons = append(out.Buttons, templates.ConnectionButton{Name: c.Name, Label: c.Settings.Label, Kind: c.Kind,
			URL: q.Path("/login/" + c.Name)})
		if len(c.Settings.Domains) > 0 {
			out.UsePasswordURL = q.Path("/login", "password", "1")
		}
	}
	if q.Query.Has("password") {
		out = usePassword(out)
	}
	return out
}

// usePassword makes the form one that sends no address to a connection.
func usePassword(c templates.LoginConnections) templates.LoginConnections {
	c.UsesPassword, c.UsePasswordURL = c.UsePasswordURL != "", ""
	return c
}

// emailFirst sends a person to the connection that claims the domain of their address, whatever the password field holds:
// it is neither compared nor counted. An address that none claims is asked for its password, if that was left out. Both
// are the same whether or not the address has an account.
func (p *Pages) emailFirst(w http.ResponseWriter, r *http.Request, q *page.Request, form url.Values) (done bool, err error) {
	view := p.loginForm(r, q)
	if view.Connections.UsePasswordURL == "" || form.Get("use_password") != "" {
		return false, nil
	}
	all, err := p.Registry.Connections(r.Context())
	if err != nil {
		return false, err
	}
	if key, err := identity.EmailKey(form.Get("email")); err == nil {
		domain := key[strings.LastIndexByte(key, '@')+1:]
		for _, c := range all {
			if slices.Contains(c.Settings.Domains, domain) {
				return true, web.SeeOther(w, r, q.Path("/login/"+c.Name, "email", form.Get("email")))
			}
		}
	}
	if form.Get("password") != "" {
		return false, nil
	}
	view.Email, view.Notice = page.Shorten(form.Get("email")), ""
	return true, p.renderLogin(w, q, http.StatusOK, view)
}

// renderLogin answers with the sign-in form. Where an address can lead to a provider, so can its POST.
func (p *Pages) renderLogin(w http.ResponseWriter, q *page.Request, status int, view templates.Login) error {
	if view.Connections.UsePasswordURL != "" {
		web.OmitFormAction(w)
	}
	return q.Render(w, status, view)
}

// beginUpstream sends the browser to the provider: to sign in, or with ?link=1 to link an identity to the account.
func (p *Pages) beginUpstream(w http.ResponseWriter, r *http.Request) error {
	c, err := p.connection(r)
	if err != nil {
		return err
	}
	q, err := p.ReadRequest(r)
	if err != nil {
		return err
	}
	link := q.Query.Has("link")
	if !link && !q.IsNext(loginPath) {
		return web.SeeOther(w, r, q.NextURL())
	}
	if err := p.Limits.Take(r.Context(), limit.Upstream, "", limit.Source{Address: web.ClientIP(r)}); err != nil {
		return tooManyUpstream(err)
	}
	if err := q.EnsureBrowser(w, r); err != nil {
		return err
	}
	request, err := p.upstreamRequest(r, q, link)
	if err != nil {
		return err
	}
	callback := c.Settings.Callback
	request.RedirectURI = CallbackURL(p.Issuer, c)
	to, state, err := p.Upstream.Begin(r.Context(), c, request)
	if err != nil {
		return upstreamFault(r, q.Path("/login"), c, err)
	}
	a := &attempt{State: state, Browser: q.Browser.String(), Callback: callback, Flow: q.FlowToken, To: q.To(), Next: q.NextURL(), Link: link}
	if err := p.saveAttempt(w, r, state.Token, a); err != nil {
		return err
	}
	return web.SeeOther(w, r, to)
}

// upstreamRequest is what the provider is asked for. A person who is signed in already, or of whom the client wants a new
// sign-in, has to sign in to the provider anew too: otherwise an open browser would be enough.
func (p *Pages) upstreamRequest(r *http.Request, q *page.Request, link bool) (request upstream.Request, err error) {
	request.LoginHint = page.Shorten(q.Query.Get("email"))
	if f := q.Flow; f != nil {
		request.SignedInAfter = f.Flow.SignInAfter
		if request.LoginHint == "" {
			request.LoginHint = expectedEmail(f)
		}
		switch {
		case isSwitching(f):
			request.Prompt = "select_account" // SignedInAfter stays: the user may choose the account that is open there
		case f.HasPrompt("login"):
			request.Prompt = "login"
		}
		return request, nil
	}
	here, err := p.Sessions.Current(r)
	if here != nil && !link {
		request.Prompt, request.SignedInAfter = "login", p.Now()
	}
	return request, err
}

// CallbackURL is the address that a connection redirects to, to be registered at the provider.
func CallbackURL(issuer string, c *storage.Connection) string {
	return issuer + callbackPath(c)
}

// keepAnswer takes an answer that the provider's page posts (response_mode=form_post). Such a request brings no Lax
// cookie, so the answer is kept once and the browser sent on to a GET, where the cookie is compared.
func (p *Pages) keepAnswer(w http.ResponseWriter, r *http.Request, callback string) error {
	c, err := p.connection(r)
	if err != nil {
		return err
	}
	form, err := web.Form(r)
	if err != nil {
		return err
	}
	token := form.Get("state")
	a, err := p.loadAttempt(r, token, c, callback)
	if err != nil {
		return err
	}
	if a == nil {
		return upstreamLost("/login")
	}
	if a.Answer == nil && !a.Finished {
		a.Answer = answerOf(form)
		if err := p.saveAttempt(w, r, token, a); err != nil {
			return err
		}
	}
	return web.SeeOther(w, r, callbackPath(c)+"?"+url.Values{"state": {token}}.Encode())
}

func answerOf(values url.Values) *upstream.Answer {
	return &upstream.Answer{Code: values.Get("code"), Issuer: values.Get("iss"), Error: values.Get("error")}
}

// finishUpstream takes the answer of the provider, once and in the browser that began.
func (p *Pages) finishUpstream(w http.ResponseWriter, r *http.Request, callback string) error {
	c, err := p.connection(r)
	if err != nil {
		return err
	}
	query, err := web.Query(r)
	if err != nil {
		return err
	}
	a, err := p.loadAttempt(r, query.Get("state"), c, callback)
	if err != nil {
		return err
	}
	if a == nil {
		return upstreamLost("/login")
	}
	if a.Browser != p.Sessions.Browser(r).String() || a.Finished {
		return p.goOn(w, r, a)
	}
	// One of several answers counts, on whichever node each arrives.
	err = p.Store.SpendID(r.Context(), secret.HashOf("upstream "+a.Token), p.Now().Add(upstreamLifetime))
	if errors.Is(err, storage.ErrSpent) {
		return p.goOn(w, r, a)
	} else if err != nil {
		return err
	}
	answer := a.Answer
	if answer == nil {
		answer = answerOf(query)
	}
	finished := &attempt{State: upstream.State{Connection: c.ID}, Callback: callback, Flow: a.Flow, To: a.To, Next: a.Next,
		Finished: true}
	if err := p.saveAttempt(w, r, a.Token, finished); err != nil {
		return err
	}
	id, err := p.Upstream.Finish(r.Context(), c, a.State, *answer)
	if err != nil {
		return upstreamFault(r, a.path("/login"), c, err)
	}
	return p.signInUpstream(w, r, c, a, id)
}

// goOn leads on where the answer was used before, or belongs to a browser whose token has changed: another tab has
// finished the sign-in meanwhile, or the page was loaded again.
func (p *Pages) goOn(w http.ResponseWriter, r *http.Request, a *attempt) error {
	here, err := p.Sessions.Current(r)
	if err != nil {
		return err
	}
	if here == nil {
		return upstreamLost(a.path("/login"))
	}
	if a.Flow != "" && !p.hasFlow(r, a.Flow) {
		return upstreamLost("/login")
	}
	return web.SeeOther(w, r, a.Next)
}

// hasFlow reports whether a flow waits for the browser that asks.
func (p *Pages) hasFlow(r *http.Request, flow string) bool {
	again := r.Clone(r.Context())
	again.URL = &url.URL{Path: "/login", RawQuery: url.Values{"flow": {flow}}.Encode()}
	_, err := p.LoadFlow(again)
	return err == nil
}

// signInUpstream signs the identity's user in, or leads to where the identity is linked.
func (p *Pages) signInUpstream(w http.ResponseWriter, r *http.Request, c *storage.Connection, a *attempt,
	id *upstream.Identity) error {
	if a.Link {
		return p.toLink(w, r, c, a, id, "/account/linked/confirm")
	}
	in, err := p.SignIn.Upstream(r.Context(), p.Sessions.Source(r), identity.External{Connection: c, Subject: id.Subject,
		Email: id.Email, EmailVerified: id.EmailVerified, Name: id.Name, GivenName: id.GivenName, FamilyName: id.FamilyName, SID: id.SID}, id.MFA)
	if errors.Is(err, identity.ErrLinkNeeded) {
		return p.toLink(w, r, c, a, id, "/login/link")
	}
	if err != nil {
		return p.refuseUpstream(a, err)
	}
	p.Sessions.SetCookies(w, r, in.Token, in.Device)
	if in.NeedsSecondFactor && a.Flow == "" {
		return web.SeeOther(w, r, a.path("/login/factor"))
	}
	return web.SeeOther(w, r, a.Next)
}

// toLink keeps the identity that is to be linked, and leads to the page about it.
func (p *Pages) toLink(w http.ResponseWriter, r *http.Request, c *storage.Connection, a *attempt, id *upstream.Identity,
	path string) error {
	pending := &PendingLink{Connection: c.Name, Subject: id.Subject, Email: id.Email, Flow: a.Flow}
	if a.Flow != "" {
		pending.Next = a.Next
	}
	if err := SavePendingLink(p.Sessions, r, pending); err != nil {
		return err
	}
	return web.SeeOther(w, r, path)
}

// showLink says that an account has the address, and how the identity is linked to it. It shows the address that the
// provider gave, whichever account there is.
func (p *Pages) showLink(w http.ResponseWriter, r *http.Request) error {
	pending, err := ReadPendingLink(p.Sessions, r)
	if err != nil {
		return err
	}
	if pending == nil {
		return upstreamLost("/login")
	}
	all, err := p.Registry.Connections(r.Context())
	if err != nil {
		return err
	}
	view := templates.LinkAccount{Email: pending.Email, Label: pending.Connection,
		SignInURL: "/login?" + url.Values{"to": {"/account/linked/confirm"}, "email": {pending.Email}}.Encode(),
		CancelURL: (&attempt{Flow: pending.Flow}).path("/login")}
	for _, c := range all {
		if c.Name == pending.Connection {
			view.Label = c.Settings.Label
		}
	}
	return p.Web.Page(w, http.StatusOK, view)
}
