package account

import (
	"github.com/sallyport-id/sallyport/internal/page"
	"net/http"
	"net/url"
	"slices"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

const appsPath = "/account/apps"

// apps lists the apps that have access to the account.
func (p *Pages) apps(w http.ResponseWriter, r *http.Request, c *page.Caller) error {
	all, err := p.Identity.Accounts.Apps(r.Context(), c.Actor)
	if err != nil {
		return err
	}
	resources, err := p.Registry.Resources(r.Context())
	if err != nil {
		return err
	}
	view := templates.AccountApps{AccountPart: p.part(r)}
	for i := range all {
		view.Apps = append(view.Apps, appOf(&all[i], resources))
	}
	return p.Web.Page(w, http.StatusOK, view)
}

func appOf(a *identity.App, resources []storage.Resource) templates.AccountApp {
	return templates.AccountApp{ClientID: a.Client.ID, Name: a.Client.Name(), Logo: a.Client.LogoPath(),
		Host: hostOf(a.Client), Organizations: names(a.Organizations), Allowed: a.GrantedAt, LastUsed: a.LastUsedAt,
		Scopes: page.Scopes(a.Scopes, resources)}
}

// hostOf is the host of an app, as far as its registration tells.
func hostOf(c *storage.Client) string {
	for _, uri := range append([]string{c.Metadata.ClientURI}, c.Metadata.RedirectURIs...) {
		if u, err := url.Parse(uri); err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http") {
			return u.Host
		}
	}
	return ""
}

// connected finds one of the user's apps by its client_id.
func (p *Pages) connected(r *http.Request, c *page.Caller, clientID string) (*identity.App, error) {
	all, err := p.Identity.Accounts.Apps(r.Context(), c.Actor)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(a identity.App) bool { return a.Client.ID == clientID })
	if i < 0 {
		return nil, gone(storage.ErrNotFound, appsPath)
	}
	return &all[i], nil
}

// confirmDisconnect says what disconnecting an app does. It takes the app from the query: a client_id may hold a slash.
func (p *Pages) confirmDisconnect(w http.ResponseWriter, r *http.Request, c *page.Caller) error {
	clientID := r.URL.Query().Get("client")
	if clientID == "" {
		return web.SeeOther(w, r, appsPath)
	}
	app, err := p.connected(r, c, clientID)
	if err != nil {
		return err
	}
	name := app.Client.Name()
	return p.Web.Page(w, http.StatusOK, templates.AccountConfirm{AccountPart: p.part(r), Title: "Disconnect this app?", What: name, Detail: hostOf(app.Client),
		Losses: []string{"It is signed out, and can no longer act for you or learn anything new about you.", "What it has stored about you stays with it: ask the people who run it.", "If you sign in to it again, you are asked again."},
		Action: "/account/apps/disconnect", Hidden: map[string]string{"client": clientID}, Button: "Disconnect", Busy: "Disconnecting…", Back: appsPath})
}

func (p *Pages) disconnect(w http.ResponseWriter, r *http.Request, c *page.Caller, form url.Values) error {
	if err := p.Identity.Accounts.Disconnect(r.Context(), c.Actor, form.Get("client")); err != nil {
		return gone(err, appsPath)
	}
	return p.RedirectDone(w, r, appsPath, "disconnected")
}

// organizations lists the user's memberships.
func (p *Pages) organizations(w http.ResponseWriter, r *http.Request, c *page.Caller) error {
	all, err := p.Store.Memberships(r.Context(), c.User.ID, "", 0)
	if err != nil {
		return err
	}
	view := templates.AccountOrganizations{AccountPart: p.part(r)}
	for _, m := range all {
		row := templates.AccountOrganization{Name: m.Organization.Name, Role: page.RoleNames[m.Role], Since: m.CreatedAt}
		if since, overdue := p.Identity.Sessions.OverdueSince(c.SessionContext, &m); overdue {
			row.AsksSince = since.Format("2 January 2006")
		}
		view.Organizations = append(view.Organizations, row)
	}
	return p.Web.Page(w, http.StatusOK, view)
}
