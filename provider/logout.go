package provider

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// logoutParams are what a logout request may carry, and the confirmation page carries on.
var logoutParams = []string{"id_token_hint", "post_logout_redirect_uri", "state", "client_id", "ui_locales", "logout_hint"}

// logoutPurpose binds the form field of the confirmation page.
const logoutPurpose = "logout"

// logout is one request of RP-Initiated Logout 1.0, section 2.
type logout struct {
	hint   *storage.Hint
	client *client // nil if the request names none
	// redirect is where the browser goes afterwards; "" stays here.
	redirect string
}

// endSession is the end_session_endpoint for GET. It asks, unless the hint's
// session is the one of this browser or there is none.
func (p *Provider) endSession(w http.ResponseWriter, r *http.Request) error {
	params, err := web.Query(r)
	if err != nil {
		return err
	}
	l, err := p.readLogout(r, params)
	if err != nil {
		return err
	}
	browser := p.sessions.Browser(r)
	v, err := p.sessions.Current(r)
	if err != nil {
		return err
	}
	switch {
	case v == nil:
		return p.finishLogout(w, r, l)
	case l.hint != nil && l.hint.Session == v.Session.ID.String():
		if err := p.sessions.SignOut(w, r); err != nil {
			return err
		}
		return p.finishLogout(w, r, l)
	}
	page := templates.Logout{CSRF: p.sessions.CSRFToken(browser, logoutPurpose), Hidden: map[string]string{},
		Account: templates.Account{Name: v.User.Profile.Name, Email: v.User.Email}}
	for _, name := range logoutParams {
		if params.Has(name) {
			page.Hidden[name] = params.Get(name)
		}
	}
	if l.client != nil {
		page.AppName = l.client.Name()
	}
	if l.redirect != "" {
		web.OmitFormAction(w)
	}
	return p.web.Page(w, http.StatusOK, page)
}

// endSessionPost is the answer of the confirmation page; or a client's request by
// POST, which may lack the cookie and is sent on to GET.
func (p *Provider) endSessionPost(w http.ResponseWriter, r *http.Request) error {
	form, err := web.Form(r)
	if err != nil {
		return err
	}
	if !form.Has("csrf") {
		on := url.Values{}
		for _, name := range logoutParams {
			if form.Has(name) {
				on.Set(name, form.Get(name))
			}
		}
		http.Redirect(w, r, "/oauth2/logout?"+on.Encode(), http.StatusSeeOther)
		return nil
	}
	l, err := p.readLogout(r, form)
	if err != nil {
		return err
	}
	browser := p.sessions.Browser(r)
	v, err := p.sessions.Current(r)
	if err != nil {
		return err
	}
	if v == nil { // a second click: the first one has ended the session
		return p.finishLogout(w, r, l)
	}
	if !p.sessions.VerifyCSRF(browser, logoutPurpose, form.Get("csrf")) {
		return &web.Error{Status: http.StatusForbidden, Code: "csrf"}
	}
	if form.Get("answer") == "no" {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return nil
	}
	if err := p.sessions.SignOut(w, r); err != nil {
		return err
	}
	return p.finishLogout(w, r, l)
}

// offerSignOut gives the pages of h's refusals what the person came for: whatever is wrong
// with the request, who is signed in can sign out.
func (p *Provider) offerSignOut(h web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := h(w, r)
		e, ok := errors.AsType[*web.Error](err)
		if !ok || e.Status >= http.StatusInternalServerError {
			return err
		}
		browser := p.sessions.Browser(r)
		v, visitErr := p.sessions.Current(r)
		if visitErr != nil || v == nil { // the refusal itself is still worth telling
			return err
		}
		offer := *e
		choice := "You can sign out below."
		if e.BackURL != "" {
			choice = "Sign out, or go back to the app."
		}
		offer.Advice = "You are still signed in here. " + choice +
			" If it happens again, tell the people who run the app, and give them the request id."
		offer.Account = templates.Account{Name: v.User.Profile.Name, Email: v.User.Email}
		offer.Action = &templates.ErrorAction{ID: "logout-yes", Label: "Sign out", URL: pathLogout,
			Form: map[string]string{"csrf": p.sessions.CSRFToken(browser, logoutPurpose), "answer": "yes"}}
		return &offer
	}
}

// readLogout checks who asks and where the browser may go. A redirect URI that is
// not registered, or that no hint or client_id vouches for, ends on a page of ours.
func (p *Provider) readLogout(r *http.Request, params url.Values) (*logout, error) {
	l := &logout{}
	id := params.Get("client_id")
	if err := p.setLogoutClient(r.Context(), l, id); err != nil {
		return nil, err
	}
	hint, err := p.readHint(params.Get("id_token_hint"))
	if err != nil {
		return nil, &web.Error{Status: http.StatusBadRequest, Code: "invalid_id_token_hint", Err: err}
	}
	if hint != nil {
		if id != "" && !slices.Contains(hint.Audience, id) {
			return nil, &web.Error{Status: http.StatusBadRequest, Code: "invalid_id_token_hint", Message: "The id_token_hint was issued to another client than client_id names."}
		}
		l.hint = hint
		if id == "" && len(hint.Audience) == 1 {
			if err := p.setLogoutClient(r.Context(), l, hint.Audience[0]); err != nil {
				return nil, err
			}
		}
	}
	uri := params.Get("post_logout_redirect_uri")
	if uri == "" {
		return l, nil
	}
	switch {
	case l.client == nil && id == "":
		return nil, pageError("missing_client", "A post_logout_redirect_uri needs an id_token_hint for one client, signed with a key that is not revoked, or a client_id.")
	case l.client == nil:
		return nil, pageError("unknown_client", "No enabled client has the client_id that the request or its id_token_hint names.")
	case !l.client.matchPostLogout(uri):
		return nil, &web.Error{Status: http.StatusBadRequest, Code: "invalid_post_logout_redirect_uri",
			Message: "The post_logout_redirect_uri is not registered for the client that id_token_hint or client_id names.",
			BackURL: l.client.home(""), BackLabel: "Back to " + l.client.Name()}
	}
	t := responseTarget{uri: uri}
	l.redirect = uri
	if state := params.Get("state"); state != "" {
		l.redirect = t.withParams(param{"state", state})
	}
	return l, nil
}

// setLogoutClient sets the client of a logout; one that is unknown or disabled leaves it without one.
func (p *Provider) setLogoutClient(ctx context.Context, l *logout, id string) error {
	if id == "" {
		return nil
	}
	c, err := p.requestClient(ctx, id)
	l.client = c
	return replace(err, errUnknownClient, nil)
}

// finishLogout sends the browser on, or says that it is signed out.
func (p *Provider) finishLogout(w http.ResponseWriter, r *http.Request, l *logout) error {
	if l.redirect != "" {
		w.Header()["Location"] = []string{l.redirect}
		w.WriteHeader(http.StatusSeeOther)
		return nil
	}
	page := templates.SignedOut{}
	if l.client != nil {
		page.AppName, page.BackURL = l.client.Name(), l.client.home("")
	}
	return p.web.Page(w, http.StatusOK, page)
}

// readHint verifies an ID token that comes back as a hint; nil if there is none. It
// may have expired and its key may be archived, but it must be an ID token of ours
// (RFC 8725, section 3.11). One that a revoked key signed counts as none: it may be
// forged, and the clients that hold a true one are not to blame.
func (p *Provider) readHint(raw string) (*storage.Hint, error) {
	if raw == "" {
		return nil, nil
	}
	t, err := p.keys.Verify(raw, keys.TypeIDToken)
	if err != nil {
		return nil, replace(err, keys.ErrRevoked, nil)
	}
	var c struct {
		Issuer       string   `json:"iss"`
		Subject      string   `json:"sub"`
		Audience     oneOrAll `json:"aud"`
		Session      string   `json:"sid"`
		Organization string   `json:"org_id"`
	}
	if err := json.Unmarshal(t.Claims, &c); err != nil {
		return nil, err
	}
	if c.Issuer != p.issuer || c.Subject == "" {
		return nil, errors.New("the hint is of another issuer or names nobody")
	}
	hint := &storage.Hint{Subject: c.Subject, Session: c.Session, Audience: c.Audience}
	hint.Organization, _ = uuid.Parse(c.Organization)
	return hint, nil
}
