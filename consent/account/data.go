package account

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

func (p *Pages) showData(w http.ResponseWriter, r *http.Request, _ *person) error {
	return p.Web.Page(w, http.StatusOK, templates.AccountData{AccountPart: p.part(r)})
}

// download answers with a file. It is a POST, so that no other site can make a
// browser fetch it, and no cache keeps it.
func (p *Pages) download(w http.ResponseWriter, r *http.Request, v *person) error {
	if _, err := p.form(r); err != nil {
		return err
	}
	export, err := p.Identity.Accounts.Export(r.Context(), v.Actor)
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

// deletion is the page with what goes with the account, or what is in the way.
func (p *Pages) deletion(r *http.Request, v *person) (templates.AccountDelete, error) {
	d, err := p.Identity.Accounts.PreviewDeletion(r.Context(), v.Actor)
	if err != nil {
		return templates.AccountDelete{}, err
	}
	page := templates.AccountDelete{AccountPart: p.part(r), Account: accountOf(&v.User), Blocking: names(d.Blocking), Ending: names(d.Ending)}
	if d.LastSuperadmin {
		page.Error = lastSuperadmin
	}
	return page, nil
}

const lastSuperadmin = "You are the last superadmin: without you nobody could administer this installation. Make somebody else one first, then come back."

func (p *Pages) askDeletion(w http.ResponseWriter, r *http.Request, v *person) error {
	page, err := p.deletion(r, v)
	if err != nil {
		return err
	}
	return p.Web.Page(w, http.StatusOK, page)
}

// deleteAccount ends the account and the session that asks.
func (p *Pages) deleteAccount(w http.ResponseWriter, r *http.Request, v *person) error {
	form, err := p.form(r)
	if err != nil {
		return err
	}
	if form.Get("confirm") != "yes" {
		return p.refuseDeletion(w, r, v, "Tick the box first. Nothing was deleted.")
	}
	err = p.Identity.Accounts.Delete(r.Context(), v.Actor, v.Session.ID, v.From)
	if errors.Is(err, storage.ErrLastSuperadmin) {
		return p.refuseDeletion(w, r, v, lastSuperadmin)
	}
	if errors.Is(err, storage.ErrConflict) {
		return p.refuseDeletion(w, r, v, "Your account was not deleted.")
	}
	if err != nil {
		return err
	}
	if err := p.Sessions.SignOut(w, r); err != nil {
		return err
	}
	return p.Web.Page(w, http.StatusOK, templates.AccountDeleted{})
}

func (p *Pages) refuseDeletion(w http.ResponseWriter, r *http.Request, v *person, why string) error {
	page, err := p.deletion(r, v)
	if err != nil {
		return err
	}
	page.Error = why
	return p.Web.Page(w, http.StatusUnprocessableEntity, page)
}
