package setup

import (
	"cmp"
	"errors"
	"fmt"
	"github.com/sallyport-id/sallyport/internal/page"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/oauth"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// These are examples of an app's URIs; frameworks listen at the first in development.
const (
	localRedirect   = "http://localhost:3000/callback"
	exampleRedirect = "https://app.example.com/callback"
	exampleLogout   = "https://app.example.com/"
)

// maxScopes is how many scopes of APIs the form offers.
const maxScopes = 50

// usualScopes are ticked before anybody has chosen.
func usualScopes() []string {
	return []string{oauth.ScopeProfile, oauth.ScopeEmail, oauth.ScopeOfflineAccess}
}

func (p *Pages) showClient(w http.ResponseWriter, r *http.Request, c *page.Caller) error {
	view, err := p.clientPage(r, c, usualScopes())
	if err != nil {
		return err
	}
	if !p.Production {
		view.RedirectURIs = localRedirect
	}
	return p.Web.Page(w, http.StatusOK, view)
}

// clientPage is the empty form, with the apps that are there and the scopes to choose from.
func (p *Pages) clientPage(r *http.Request, c *page.Caller, chosen []string) (templates.SetupClient, error) {
	view := templates.SetupClient{SetupStep: p.step(r, 4), Example: exampleRedirect, LogoutExample: exampleLogout}
	clients, err := p.Identity.Clients.List(r.Context(), c.Actor, "", maxListed)
	if err != nil {
		return view, err
	}
	for _, c := range clients {
		if c.Active() {
			view.Clients = append(view.Clients, templates.SetupApp{ID: c.ID, Name: c.Name()})
		}
	}
	for _, name := range oauth.StandardScopes() {
		if name != oauth.ScopeOpenID { // every app that signs people in has it
			view.Scopes = append(view.Scopes, templates.SetupScope{Name: name, Personal: true,
				Chosen: slices.Contains(chosen, name)})
		}
	}
	resources, err := p.Registry.Resources(r.Context())
	for _, res := range resources {
		for _, name := range slices.Sorted(maps.Keys(res.Scopes)) {
			if len(view.Scopes) < maxScopes {
				view.Scopes = append(view.Scopes, templates.SetupScope{Name: name, Sentence: res.Scopes[name],
					Chosen: slices.Contains(chosen, name)})
			}
		}
	}
	return view, err
}

// registrationOf is what the form says about an app of a type. Of a machine only scopes of APIs count, because nobody
// signs in to it.
func registrationOf(form url.Values) (m storage.Metadata, known bool) {
	m, known = identity.ClientPreset(form.Get("kind"))
	m.ClientName = strings.TrimSpace(form.Get("name"))
	scopes := slices.DeleteFunc(slices.Clone(form["scope"]), func(s string) bool { return s == oauth.ScopeOpenID })
	if form.Get("kind") == identity.ClientMachine {
		scopes = slices.DeleteFunc(scopes, func(s string) bool { return slices.Contains(oauth.StandardScopes(), s) })
	} else {
		scopes = slices.Insert(scopes, 0, oauth.ScopeOpenID)
		m.RedirectURIs, m.PostLogoutRedirectURIs = lines(form.Get("redirect_uris")), lines(form.Get("post_logout_redirect_uris"))
	}
	m.Scope = strings.Join(scopes, " ")
	return m, known
}

// createClient registers an app with the safe settings of its type and shows what
// it is configured with, the secret this once.
func (p *Pages) createClient(w http.ResponseWriter, r *http.Request, c *page.Caller, form url.Values) error {
	m, ok := registrationOf(form)
	var err error
	switch {
	case !ok:
		err = identity.FieldErrors{{Field: "kind", Problem: "is no type", Remedy: "choose one of these"}}
	case m.ClientName == "":
		err = identity.FieldErrors{{Field: "client_name", Problem: "is empty", Remedy: "people see it when they sign in"}}
	}
	var client *storage.Client
	var clientSecret string
	if err == nil {
		client, clientSecret, err = p.Identity.Clients.Create(r.Context(), c.Actor, identity.NewClient{Metadata: m})
	}
	if faults, isFault := errors.AsType[identity.FieldErrors](err); isFault {
		return p.refuseClient(w, r, c, form, faults)
	} else if err != nil {
		return err
	}
	if err := p.Registry.Refresh(r.Context()); err != nil {
		return err
	}
	view := templates.SetupReady{SetupStep: p.step(r, 4), Client: templates.SetupCredentials{Name: client.Name(),
		Kind: form.Get("kind"), Issuer: p.Issuer, ID: client.ID,
		Secret: clientSecret, Scope: snippetScope(client)}}
	if len(client.Metadata.RedirectURIs) > 0 {
		view.Client.RedirectURI = client.Metadata.RedirectURIs[0]
	}
	return p.Web.Page(w, http.StatusOK, view)
}

// snippetScope is what the app's code asks for at first: all but offline_access, which it has to make use of.
func snippetScope(c *storage.Client) string {
	return strings.Join(slices.DeleteFunc(strings.Fields(c.Metadata.Scope),
		func(s string) bool { return s == oauth.ScopeOfflineAccess }), " ")
}

// lines are those of a text field that say something.
func lines(text string) []string {
	var all []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			all = append(all, line)
		}
	}
	return all
}

func (p *Pages) refuseClient(w http.ResponseWriter, r *http.Request, c *page.Caller, form url.Values, faults identity.FieldErrors) error {
	view, err := p.clientPage(r, c, form["scope"])
	if err != nil {
		return err
	}
	view.Name, view.Kind = page.Shorten(form.Get("name")), form.Get("kind")
	view.RedirectURIs, view.PostLogoutURIs = form.Get("redirect_uris"), form.Get("post_logout_redirect_uris")
	view.Errors = map[string]string{}
	for _, f := range faults {
		field, text := f.Field, page.FieldTexts(identity.FieldErrors{f}, nil)[f.Field]
		switch {
		case f.Field == "client_name":
			field = "name"
		case (f.Field == "redirect_uris" || f.Field == "post_logout_redirect_uris") && f.Item > 0:
			text = fmt.Sprintf("Line %d: %s.", f.Item, strings.TrimSuffix(f.Problem+"; "+f.Remedy, "; "))
		case !slices.Contains([]string{"redirect_uris", "post_logout_redirect_uris", "kind", "scope"}, f.Field):
			view.Error = cmp.Or(view.Error, f.String())
		}
		view.Errors[field] = strings.TrimSpace(view.Errors[field] + " " + text)
	}
	return p.Web.Page(w, http.StatusUnprocessableEntity, view)
}
