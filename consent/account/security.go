package account

import (
	"errors"
	"net/http"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/factor"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// security lists the second steps.
func (p *Pages) security(w http.ResponseWriter, r *http.Request, v *person) error {
	list, err := p.Factors.List(r.Context(), v.User.ID)
	if err != nil {
		return err
	}
	page := templates.AccountSecurity{AccountPart: p.part(r), Unproven: !v.User.EmailVerified(), Due: due(&v.Owed, ""), CodesLeft: list.RecoveryCodesLeft, Passkeys: p.Factors.HasWebAuthn()}
	for i := range list.Factors {
		page.Factors = append(page.Factors, factorOf(&list.Factors[i]))
	}
	return p.Web.Page(w, http.StatusOK, page)
}

func factorOf(f *storage.Factor) templates.AccountFactor {
	kind := templates.AccountFactorApp
	if f.Kind == storage.FactorWebAuthn {
		kind = templates.AccountFactorKey
		if f.Passkey {
			kind = templates.AccountFactorPasskey
		}
	}
	return templates.AccountFactor{ID: f.ID.String(), Kind: kind, Name: f.Name, Added: f.ConfirmedAt, LastUsed: f.LastUsedAt}
}

// factor finds the person's factor that the path names, and how many there are.
// Anybody else's is not found.
func (p *Pages) factor(r *http.Request, v *person) (f *storage.Factor, of int, err error) {
	id, err := pathID(r)
	if err != nil {
		return nil, 0, err
	}
	list, err := p.Factors.List(r.Context(), v.User.ID)
	if err != nil {
		return nil, 0, err
	}
	for i := range list.Factors {
		if list.Factors[i].ID == id {
			return &list.Factors[i], len(list.Factors), nil
		}
	}
	return nil, 0, gone(storage.ErrNotFound, "/account/security")
}

// pathID is the id in the path. What is no id names nothing.
func pathID(r *http.Request) (uuid.UUID, error) {
	id, err := uuid.Parse(web.Var(r, "id"))
	if err != nil || id.String() != web.Var(r, "id") {
		return uuid.Nil, &web.Error{Status: http.StatusNotFound}
	}
	return id, nil
}

// gone makes "not found" of a row's a page that leads back to the list: mostly it
// went in another tab.
func gone(err error, list string) error {
	if errors.Is(err, storage.ErrNotFound) {
		return &web.Error{Status: http.StatusNotFound, Err: err, BackURL: list, BackLabel: "Back to your account"}
	}
	return err
}

func (p *Pages) showFactor(w http.ResponseWriter, r *http.Request, v *person) error {
	f, _, err := p.factor(r, v)
	if err != nil {
		return err
	}
	return p.Web.Page(w, http.StatusOK, templates.AccountFactorPage{AccountPart: p.part(r), Factor: factorOf(f)})
}

func (p *Pages) renameFactor(w http.ResponseWriter, r *http.Request, v *person) error {
	form, err := p.form(r)
	if err != nil {
		return err
	}
	f, _, err := p.factor(r, v)
	if err != nil {
		return err
	}
	err = p.Factors.Rename(r.Context(), v.Subject, f.ID, form.Get("name"))
	if faults, ok := errors.AsType[identity.FieldErrors](err); ok {
		page := templates.AccountFactorPage{AccountPart: p.part(r), Factor: factorOf(f), Errors: faulty(faults)}
		page.Factor.Name = form.Get("name")
		return p.Web.Page(w, http.StatusUnprocessableEntity, page)
	}
	if err != nil {
		return gone(err, "/account/security")
	}
	return p.done(w, r, "/account/security", "renamed")
}

// removal is the page that says what goes with a factor.
func (p *Pages) removal(r *http.Request, f *storage.Factor, of int) templates.AccountConfirm {
	shown := factorOf(f)
	here := "/account/security/" + shown.ID
	page := templates.AccountConfirm{AccountPart: p.part(r), Title: "Remove this " + lower(shown.KindName()) + "?", What: shown.Name, Detail: shown.KindName(),
		Losses: []string{"You cannot sign in with it any more."}, Action: here + "/remove", Button: "Remove", Busy: "Removing…", Back: here}
	if of == 1 {
		page.Losses = append(page.Losses, "It is your last one: your password alone will be enough to sign in, and your recovery codes stop working.")
	}
	page.Losses = append(page.Losses, "Every other device and every app has to sign in again, and your personal access tokens stop working. You stay signed in here.")
	return page
}

func (p *Pages) askRemoval(w http.ResponseWriter, r *http.Request, v *person) error {
	f, of, err := p.factor(r, v)
	if err != nil {
		return err
	}
	return p.Web.Page(w, http.StatusOK, p.removal(r, f, of))
}

func (p *Pages) removeFactor(w http.ResponseWriter, r *http.Request, v *person) error {
	if _, err := p.form(r); err != nil {
		return err
	}
	f, of, err := p.factor(r, v)
	if err != nil {
		return err
	}
	err = p.Factors.Remove(r.Context(), v.Subject, f.ID)
	if errors.Is(err, factor.ErrRequired) {
		page := p.removal(r, f, of)
		page.Error = "A second step like this one is required of you, and you have no other. Add another first, then remove this one."
		return p.Web.Page(w, http.StatusUnprocessableEntity, page)
	}
	if err != nil {
		return gone(err, "/account/security")
	}
	return p.done(w, r, "/account/security", "removed")
}
