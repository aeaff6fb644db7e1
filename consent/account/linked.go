package account

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/consent/login"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/page"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

const (
	linkedPath = "/account/linked"
	toLinked   = "Go to your linked accounts"
)

// linked lists the identities, and the connections of which there is none yet.
func (p *Pages) linked(w http.ResponseWriter, r *http.Request, caller *page.Caller) error {
	identities, connections, err := p.identities(r, caller)
	if err != nil {
		return err
	}
	view := templates.AccountLinked{AccountPart: p.part(r)}
	has := map[uuid.UUID]bool{}
	for i := range identities {
		x := &identities[i]
		has[x.ConnectionID] = true
		c := connections[x.ConnectionID]
		if c == nil {
			continue
		}
		shown := templates.LinkedIdentity{Email: x.Email, Since: view.Moment(x.CreatedAt), LastUsed: view.Moment(x.LastUsedAt),
			Off: !c.Enabled(), Connection: buttonOf(c)}
		shown.Connection.URL = linkedPath + "/remove?" + linkedQuery(c, x).Encode()
		view.Identities = append(view.Identities, shown)
	}
	usable, err := p.Registry.Connections(r.Context())
	if err != nil {
		return err
	}
	for i := range usable {
		if !has[usable[i].ID] {
			view.Add = append(view.Add, buttonOf(&usable[i]))
		}
	}
	return p.Web.Page(w, http.StatusOK, view)
}

func buttonOf(c *storage.Connection) templates.ConnectionButton {
	return templates.ConnectionButton{Name: c.Name, Label: c.Settings.Label, Kind: c.Kind,
		URL: "/login/" + c.Name + "?link=1"}
}

func linkedQuery(c *storage.Connection, x *storage.ExternalIdentity) url.Values {
	return url.Values{"connection": {c.Name}, "subject": {x.Subject}}
}

// identities are the person's, with the connections that they are of.
func (p *Pages) identities(r *http.Request, caller *page.Caller) ([]storage.ExternalIdentity, map[uuid.UUID]*storage.Connection, error) {
	identities, err := p.Identity.Connections.Linked(r.Context(), caller.Actor)
	if err != nil {
		return nil, nil, err
	}
	all, err := p.Store.Connections(r.Context())
	connections := map[uuid.UUID]*storage.Connection{}
	for i := range all {
		connections[all[i].ID] = &all[i]
	}
	return identities, connections, err
}

// pendingLink is the identity that the provider has just vouched for in this browser.
func (p *Pages) pendingLink(r *http.Request) (*login.PendingLink, *storage.Connection, error) {
	pending, err := login.ReadPendingLink(p.Sessions, r)
	if err != nil {
		return nil, nil, err
	}
	usable, err := p.Registry.Connections(r.Context())
	for i := range usable {
		if pending != nil && usable[i].Name == pending.Connection {
			return pending, &usable[i], nil
		}
	}
	return nil, nil, cmp.Or(err, error(&web.Error{Status: http.StatusBadRequest, Code: "upstream_lost",
		BackURL: linkedPath, BackLabel: toLinked}))
}

// confirmation is the page that says what linking does.
func (p *Pages) confirmation(r *http.Request, caller *page.Caller, pending *login.PendingLink,
	c *storage.Connection) templates.AccountConfirm {
	label := c.Settings.Label
	return templates.AccountConfirm{AccountPart: p.part(r), Title: "Link this account?", What: cmp.Or(pending.Email, label),
		Detail: "Your account at " + label, Safe: true,
		Losses: []string{"Whoever can sign in to it at " + label + " can sign in to " + caller.User.Email + " here.",
			"Your password and two-step verification stay as they are."},
		Action: linkedPath + "/confirm", Button: "Link", Busy: "Linking…", Back: linkedPath}
}

func (p *Pages) confirmLink(w http.ResponseWriter, r *http.Request, caller *page.Caller) error {
	pending, c, err := p.pendingLink(r)
	if err != nil {
		return err
	}
	return p.Web.Page(w, http.StatusOK, p.confirmation(r, caller, pending, c))
}

// link gives the identity to the person, who has just shown that the account is theirs and confirms it: without that, a
// stranger could have the account sign in to theirs.
func (p *Pages) link(w http.ResponseWriter, r *http.Request, caller *page.Caller, _ url.Values) error {
	pending, c, err := p.pendingLink(r)
	if err != nil {
		return err
	}
	err = p.Identity.Connections.Link(r.Context(), caller.Actor, caller.Session.ID,
		identity.External{Connection: c, Subject: pending.Subject, Email: pending.Email})
	switch {
	case errors.Is(err, identity.ErrExternalTaken):
		return &web.Error{Status: http.StatusConflict, Code: "upstream_taken", Err: err, BackURL: linkedPath, BackLabel: toLinked}
	case errors.Is(err, storage.ErrEmailUnverified):
		view := p.confirmation(r, caller, pending, c)
		view.Error = "Confirm the email address of your account first. Then link this account."
		return p.Web.Page(w, http.StatusUnprocessableEntity, view)
	case err != nil:
		return err
	}
	if err := login.DropPendingLink(p.Sessions, r); err != nil {
		return err
	}
	if pending.Next != "" {
		return web.SeeOther(w, r, pending.Next)
	}
	return p.RedirectDone(w, r, linkedPath, "linked")
}

// unlinking is the page that says what unlinking does.
func (p *Pages) unlinking(r *http.Request, caller *page.Caller, query url.Values) (templates.AccountConfirm, *storage.Connection, error) {
	identities, connections, err := p.identities(r, caller)
	if err != nil {
		return templates.AccountConfirm{}, nil, err
	}
	for i := range identities {
		x := &identities[i]
		c := connections[x.ConnectionID]
		if c == nil || c.Name != query.Get("connection") || x.Subject != query.Get("subject") {
			continue
		}
		label := c.Settings.Label
		return templates.AccountConfirm{AccountPart: p.part(r), Title: "Unlink this account?",
			What: cmp.Or(x.Email, label), Detail: "Your account at " + label,
			Losses: []string{"It does not sign you in here any more.",
				"Nothing changes at " + label + ", and you stay signed in here."},
			Action: linkedPath + "/remove", Hidden: map[string]string{"connection": c.Name, "subject": x.Subject},
			Button: "Unlink", Busy: "Unlinking…", Back: linkedPath}, c, nil
	}
	return templates.AccountConfirm{}, nil, gone(storage.ErrNotFound, linkedPath)
}

func (p *Pages) confirmUnlink(w http.ResponseWriter, r *http.Request, caller *page.Caller) error {
	if r.URL.RawQuery == "" { // after a sign-in that was asked for on the way
		return web.SeeOther(w, r, linkedPath)
	}
	view, _, err := p.unlinking(r, caller, r.URL.Query())
	if err != nil {
		return err
	}
	return p.Web.Page(w, http.StatusOK, view)
}

func (p *Pages) unlink(w http.ResponseWriter, r *http.Request, caller *page.Caller, form url.Values) error {
	view, c, err := p.unlinking(r, caller, form)
	if err != nil {
		return err
	}
	err = p.Identity.Connections.Unlink(r.Context(), caller.Actor, caller.Session.ID, c, form.Get("subject"))
	if errors.Is(err, storage.ErrConflict) {
		view.Error = "This is the only way to sign in to your account. Set a password or add a passkey first, then unlink it."
		return p.Web.Page(w, http.StatusUnprocessableEntity, view)
	}
	if err != nil {
		return gone(err, linkedPath)
	}
	return p.RedirectDone(w, r, linkedPath, "unlinked")
}
