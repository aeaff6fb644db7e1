package account

import (
	"encoding/json"
	"errors"
	"github.com/sallyport-id/sallyport/internal/page"
	"net/http"
	"net/url"

	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

func (p *Pages) showData(w http.ResponseWriter, r *http.Request, _ *page.Caller) error {
	return p.Web.Page(w, http.StatusOK, templates.AccountData{AccountPart: p.part(r)})
}

// download answers with a file. It is a POST, so that no other site can make a browser fetch it, and no cache keeps it.
func (p *Pages) download(w http.ResponseWriter, r *http.Request, c *page.Caller, _ url.Values) error {
	export, err := p.Identity.Accounts.Export(r.Context(), c.Actor)
	if err != nil {
		return err
	}
	body, err := json.MarshalIndent(export, "", "  ")
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Disposition", `attachment; filename="account.json"`)
	w.Write(append(body, '\n'))
	return nil
}

const lastSuperadmin = "You are the last superadmin: without you nobody could administer this installation. Make somebody else one first, then come back."

// confirmDeletion says what is deleted with the account, or what prevents it.
func (p *Pages) confirmDeletion(w http.ResponseWriter, r *http.Request, c *page.Caller) error {
	return p.renderDeletion(w, r, c, http.StatusOK, "")
}

func (p *Pages) renderDeletion(w http.ResponseWriter, r *http.Request, c *page.Caller, status int, why string) error {
	d, err := p.Identity.Accounts.PreviewDeletion(r.Context(), c.Actor)
	if err != nil {
		return err
	}
	view := templates.AccountDelete{AccountPart: p.part(r), Account: page.AccountOf(&c.User),
		Blocking: names(d.Blocking), Ending: names(d.Ending)}
	if view.Error = why; why == "" && d.LastSuperadmin {
		view.Error = lastSuperadmin
	}
	return p.Web.Page(w, status, view)
}

// deleteAccount deletes the account and ends the session that asks.
func (p *Pages) deleteAccount(w http.ResponseWriter, r *http.Request, c *page.Caller, form url.Values) error {
	if form.Get("confirm") != "yes" {
		return p.renderDeletion(w, r, c, http.StatusUnprocessableEntity, "Tick the box first. Nothing was deleted.")
	}
	err := p.Identity.Accounts.Delete(r.Context(), c.Actor, c.Session.ID, c.From)
	switch {
	case errors.Is(err, storage.ErrLastSuperadmin):
		return p.renderDeletion(w, r, c, http.StatusUnprocessableEntity, lastSuperadmin)
	case errors.Is(err, storage.ErrConflict):
		return p.renderDeletion(w, r, c, http.StatusUnprocessableEntity, "Your account was not deleted.")
	case err != nil:
		return err
	}
	if err := p.Sessions.SignOut(w, r); err != nil {
		return err
	}
	return p.Web.Page(w, http.StatusOK, templates.AccountDeleted{})
}
