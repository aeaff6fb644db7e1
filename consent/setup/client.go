package setup

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// What a redirect URI looks like; the first is what frameworks listen at in development.
const (
	localRedirect   = "http://localhost:3000/callback"
	exampleRedirect = "https://app.example.com/callback"
)

func (p *Pages) showClient(w http.ResponseWriter, r *http.Request, v *person) error {
	page, err := p.clientPage(r, v)
	if err != nil {
		return err
	}
	if !p.Production {
		page.RedirectURIs = localRedirect
	}
	return p.Web.Page(w, http.StatusOK, page)
}

// clientPage is the empty form, with the apps that are there.
func (p *Pages) clientPage(r *http.Request, v *person) (templates.SetupClient, error) {
	page := templates.SetupClient{SetupStep: p.step(r, 4), Example: exampleRedirect}
	clients, err := p.Identity.Clients(r.Context(), v.Actor, "", maxListed)
	for _, c := range clients {
		if c.Active() {
			page.Clients = append(page.Clients, templates.SetupApp{ID: c.ID, Name: c.Name()})
		}
	}
	return page, err
}

// createClient registers an app with the safe settings of its type and shows what
// it is configured with, the secret this once.
func (p *Pages) createClient(w http.ResponseWriter, r *http.Request, v *person) error {
	form, err := p.form(r)
	if err != nil {
		return err
	}
	m, ok := identity.ClientPreset(form.Get("kind"))
	m.ClientName = strings.TrimSpace(form.Get("name"))
	if form.Get("kind") != identity.ClientMachine {
		m.RedirectURIs = lines(form.Get("redirect_uris"))
	}
	switch {
	case !ok:
		err = identity.Faults{{Field: "kind", Problem: "is no type", Remedy: "choose one of these"}}
	case m.ClientName == "":
		err = identity.Faults{{Field: "client_name", Problem: "is empty", Remedy: "people see it when they sign in"}}
	}
	var c *storage.Client
	var clientSecret string
	if err == nil {
		c, clientSecret, err = p.Identity.CreateClient(r.Context(), v.Actor, identity.NewClient{Metadata: m})
	}
	if faults, isFault := errors.AsType[identity.Faults](err); isFault {
		return p.refuseClient(w, r, v, form, faults)
	} else if err != nil {
		return err
	}
	if err := p.Registry.Refresh(r.Context()); err != nil {
		return err
	}
	page := templates.SetupReady{SetupStep: p.step(r, 4), Client: templates.SetupCredentials{Name: c.Name(), Kind: form.Get("kind"), Issuer: p.Issuer, ID: c.ID,
		Secret: clientSecret, Scope: asked(c)}}
	if len(c.Metadata.RedirectURIs) > 0 {
		page.Client.RedirectURI = c.Metadata.RedirectURIs[0]
	}
	return p.Web.Page(w, http.StatusOK, page)
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

func (p *Pages) refuseClient(w http.ResponseWriter, r *http.Request, v *person, form url.Values, faults identity.Faults) error {
	page, err := p.clientPage(r, v)
	if err != nil {
		return err
	}
	page.Name, page.Kind, page.RedirectURIs = cut(form.Get("name")), form.Get("kind"), form.Get("redirect_uris")
	page.Errors = map[string]string{}
	for _, f := range faults {
		field, text := f.Field, sentence(f)
		switch {
		case f.Field == "client_name":
			field = "name"
		case f.Field == "redirect_uris" && f.Item > 0:
			text = fmt.Sprintf("Line %d: %s.", f.Item, strings.TrimSuffix(f.Problem+"; "+f.Remedy, "; "))
		case f.Field != "redirect_uris" && f.Field != "kind":
			page.Error = cmp.Or(page.Error, f.String())
		}
		page.Errors[field] = strings.TrimSpace(page.Errors[field] + " " + text)
	}
	return p.Web.Page(w, http.StatusUnprocessableEntity, page)
}
