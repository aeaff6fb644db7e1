package setup

import (
	"cmp"
	"errors"
	"fmt"
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

func (p *Pages) showClient(w http.ResponseWriter, r *http.Request, v *person) error {
	page, err := p.clientPage(r, v, usualScopes())
	if err != nil {
		return err
	}
	if !p.Production {
		page.RedirectURIs = localRedirect
	}
	return p.Web.Page(w, http.StatusOK, page)
}

// clientPage is the empty form, with the apps that are there and the scopes to choose from.
func (p *Pages) clientPage(r *http.Request, v *person, chosen []string) (templates.SetupClient, error) {
	page := templates.SetupClient{SetupStep: p.step(r, 4), Example: exampleRedirect, LogoutExample: exampleLogout}
	clients, err := p.Identity.Clients.List(r.Context(), v.Actor, "", maxListed)
	if err != nil {
		return page, err
	}
	for _, c := range clients {
		if c.Active() {
			page.Clients = append(page.Clients, templates.SetupApp{ID: c.ID, Name: c.Name()})
		}
	}
	for _, name := range oauth.StandardScopes() {
		if name != oauth.ScopeOpenID { // every app that signs people in has it
			page.Scopes = append(page.Scopes, templates.SetupScope{Name: name, Personal: true,
				Chosen: slices.Contains(chosen, name)})
		}
	}
	resources, err := p.Registry.Resources(r.Context())
	for _, res := range resources {
		for _, name := range slices.Sorted(maps.Keys(res.Scopes)) {
			if len(page.Scopes) < maxScopes {
				page.Scopes = append(page.Scopes, templates.SetupScope{Name: name, Sentence: res.Scopes[name],
					Chosen: slices.Contains(chosen, name)})
			}
		}
	}
	return page, err
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
func (p *Pages) createClient(w http.ResponseWriter, r *http.Request, v *person) error {
	form, err := p.form(r, "scope")
	if err != nil {
		return err
	}
	m, ok := registrationOf(form)
	switch {
	case !ok:
		err = identity.FieldErrors{{Field: "kind", Problem: "is no type", Remedy: "choose one of these"}}
	case m.ClientName == "":
		err = identity.FieldErrors{{Field: "client_name", Problem: "is empty", Remedy: "people see it when they sign in"}}
	}
	var c *storage.Client
	var clientSecret string
	if err == nil {
		c, clientSecret, err = p.Identity.Clients.Create(r.Context(), v.Actor, identity.NewClient{Metadata: m})
	}
	if faults, isFault := errors.AsType[identity.FieldErrors](err); isFault {
		return p.refuseClient(w, r, v, form, faults)
	} else if err != nil {
		return err
	}
	if err := p.Registry.Refresh(r.Context()); err != nil {
		return err
	}
	page := templates.SetupReady{SetupStep: p.step(r, 4), Client: templates.SetupCredentials{Name: c.Name(), Kind: form.Get("kind"), Issuer: p.Issuer, ID: c.ID,
		Secret: clientSecret, Scope: snippetScope(c)}}
	if len(c.Metadata.RedirectURIs) > 0 {
		page.Client.RedirectURI = c.Metadata.RedirectURIs[0]
	}
	return p.Web.Page(w, http.StatusOK, page)
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

func (p *Pages) refuseClient(w http.ResponseWriter, r *http.Request, v *person, form url.Values, faults identity.FieldErrors) error {
	page, err := p.clientPage(r, v, form["scope"])
	if err != nil {
		return err
	}
	page.Name, page.Kind = cut(form.Get("name")), form.Get("kind")
	page.RedirectURIs, page.PostLogoutURIs = form.Get("redirect_uris"), form.Get("post_logout_redirect_uris")
	page.Errors = map[string]string{}
	for _, f := range faults {
		field, text := f.Field, sentence(f)
		switch {
		case f.Field == "client_name":
			field = "name"
		case (f.Field == "redirect_uris" || f.Field == "post_logout_redirect_uris") && f.Item > 0:
			text = fmt.Sprintf("Line %d: %s.", f.Item, strings.TrimSuffix(f.Problem+"; "+f.Remedy, "; "))
		case !slices.Contains([]string{"redirect_uris", "post_logout_redirect_uris", "kind", "scope"}, f.Field):
			page.Error = cmp.Or(page.Error, f.String())
		}
		page.Errors[field] = strings.TrimSpace(page.Errors[field] + " " + text)
	}
	return p.Web.Page(w, http.StatusUnprocessableEntity, page)
}
