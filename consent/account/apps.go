package account

import (
	"net/http"
	"net/url"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// apps lists what the person has let in.
func (p *Pages) apps(w http.ResponseWriter, r *http.Request, v *person) error {
	all, err := p.Identity.Accounts.Apps(r.Context(), v.Actor)
	if err != nil {
		return err
	}
	resources, err := p.Registry.Resources(r.Context())
	if err != nil {
		return err
	}
	page := templates.AccountApps{AccountPart: p.part(r)}
	for i := range all {
		page.Apps = append(page.Apps, appOf(&all[i], resources))
	}
	return p.Web.Page(w, http.StatusOK, page)
}

func appOf(a *identity.App, resources []storage.Resource) templates.AccountApp {
	app := templates.AccountApp{ClientID: a.Client.ID, Name: a.Client.Name(), Logo: a.Client.LogoPath(),
		Host: hostOf(a.Client), Organizations: names(a.Organizations), Allowed: a.GrantedAt, LastUsed: a.LastUsedAt}
	for _, name := range a.Scopes {
		scope := templates.Scope{Name: name}
		for _, res := range resources {
			if scope.Sentence == "" {
				scope.Sentence = res.Scopes[name]
			}
		}
		if _, ours := templates.ScopeSentence(name); ours {
			scope.Sentence = ""
		}
		app.Scopes = append(app.Scopes, scope)
	}
	return app
}

// hostOf is where an app lives, as far as its registration tells.
func hostOf(c *storage.Client) string {
	for _, uri := range append([]string{c.Metadata.ClientURI}, c.Metadata.RedirectURIs...) {
		if u, err := url.Parse(uri); err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http") {
			return u.Host
		}
	}
	return ""
}

// connected finds an app of the person's by its client_id.
func (p *Pages) connected(r *http.Request, v *person, clientID string) (*identity.App, error) {
	all, err := p.Identity.Accounts.Apps(r.Context(), v.Actor)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].Client.ID == clientID {
			return &all[i], nil
		}
	}
	return nil, gone(storage.ErrNotFound, "/account/apps")
}

// askDisconnect takes the app from the query: a client_id may hold a slash.
func (p *Pages) askDisconnect(w http.ResponseWriter, r *http.Request, v *person) error {
	clientID := r.URL.Query().Get("client")
	if clientID == "" {
		return web.SeeOther(w, r, "/account/apps")
	}
	app, err := p.connected(r, v, clientID)
	if err != nil {
		return err
	}
	name := app.Client.Name()
	return p.Web.Page(w, http.StatusOK, templates.AccountConfirm{AccountPart: p.part(r), Title: "Disconnect this app?", What: name, Detail: hostOf(app.Client),
		Losses: []string{"It is signed out, and can no longer act for you or learn anything new about you.", "What it has stored about you stays with it: ask the people who run it.", "If you sign in to it again, you are asked again."},
		Action: "/account/apps/disconnect", Hidden: map[string]string{"client": clientID}, Button: "Disconnect", Busy: "Disconnecting…", Back: "/account/apps"})
}

func (p *Pages) disconnect(w http.ResponseWriter, r *http.Request, v *person) error {
	form, err := p.form(r)
	if err != nil {
		return err
	}
	if err := p.Identity.Accounts.Disconnect(r.Context(), v.Actor, form.Get("client")); err != nil {
		return gone(err, "/account/apps")
	}
	return p.done(w, r, "/account/apps", "disconnected")
}

// organizations lists where the person belongs.
func (p *Pages) organizations(w http.ResponseWriter, r *http.Request, v *person) error {
	all, err := p.Store.Memberships(r.Context(), v.User.ID, "", 0)
	if err != nil {
		return err
	}
	page := templates.AccountOrganizations{AccountPart: p.part(r)}
	for _, m := range all {
		row := templates.AccountOrganization{Name: m.Organization.Name, Role: roleWords[m.Role], Since: m.CreatedAt}
		if since, overdue := p.Identity.Sessions.OverdueSince(v.SessionContext, &m); overdue {
			row.AsksSince = since.Format("2 January 2006")
		}
		page.Organizations = append(page.Organizations, row)
	}
	return p.Web.Page(w, http.StatusOK, page)
}
