package account

import (
	"errors"
	"github.com/sallyport-id/sallyport/internal/page"
	"net/http"
	"net/url"
	"slices"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/factor"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// security lists the second factors.
func (p *Pages) security(w http.ResponseWriter, r *http.Request, c *page.Caller) error {
	list, err := p.Factors.List(r.Context(), c.User.ID)
	if err != nil {
		return err
	}
	view := templates.AccountSecurity{AccountPart: p.part(r), Unproven: !c.User.EmailVerified(),
		Due: dueOf(&c.Required, ""), CodesLeft: list.RecoveryCodesLeft, Passkeys: p.Factors.HasWebAuthn()}
	for i := range list.Factors {
		view.Factors = append(view.Factors, factorOf(&list.Factors[i]))
	}
	return p.Web.Page(w, http.StatusOK, view)
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

// factor finds the factor that the path names among the user's own, and returns how many there are.
func (p *Pages) factor(r *http.Request, c *page.Caller) (f *storage.Factor, of int, err error) {
	id, err := pathID(r)
	if err != nil {
		return nil, 0, err
	}
	list, err := p.Factors.List(r.Context(), c.User.ID)
	if err != nil {
		return nil, 0, err
	}
	i := slices.IndexFunc(list.Factors, func(f storage.Factor) bool { return f.ID == id })
	if i < 0 {
		return nil, 0, gone(storage.ErrNotFound, securityPath)
	}
	return &list.Factors[i], len(list.Factors), nil
}

// pathID is the id in the path. Anything but an id is not found.
func pathID(r *http.Request) (uuid.UUID, error) {
	id, err := uuid.Parse(web.Var(r, "id"))
	if err != nil || id.String() != web.Var(r, "id") {
		return uuid.Nil, &web.Error{Status: http.StatusNotFound}
	}
	return id, nil
}

// gone turns storage.ErrNotFound into a page that leads back to the list: mostly another tab has removed the row.
func gone(err error, list string) error {
	if errors.Is(err, storage.ErrNotFound) {
		return &web.Error{Status: http.StatusNotFound, Err: err, BackURL: list, BackLabel: "Back to your account"}
	}
	return err
}

func (p *Pages) showFactor(w http.ResponseWriter, r *http.Request, c *page.Caller) error {
	f, _, err := p.factor(r, c)
	if err != nil {
		return err
	}
	return p.Web.Page(w, http.StatusOK, templates.AccountFactorPage{AccountPart: p.part(r), Factor: factorOf(f)})
}

func (p *Pages) renameFactor(w http.ResponseWriter, r *http.Request, c *page.Caller, form url.Values) error {
	f, _, err := p.factor(r, c)
	if err != nil {
		return err
	}
	err = p.Factors.Rename(r.Context(), c.Subject, f.ID, form.Get("name"))
	if faults, ok := errors.AsType[identity.FieldErrors](err); ok {
		view := templates.AccountFactorPage{AccountPart: p.part(r), Factor: factorOf(f), Errors: page.FieldTexts(faults, nil)}
		view.Factor.Name = form.Get("name")
		return p.Web.Page(w, http.StatusUnprocessableEntity, view)
	}
	if err != nil {
		return gone(err, securityPath)
	}
	return p.RedirectDone(w, r, securityPath, "renamed")
}

// removal is the page that says what is lost with a factor.
func (p *Pages) removal(r *http.Request, f *storage.Factor, of int) templates.AccountConfirm {
	shown := factorOf(f)
	here := securityPath + "/" + shown.ID
	view := templates.AccountConfirm{AccountPart: p.part(r), Title: "Remove this " + lower(shown.KindName()) + "?",
		What: shown.Name, Detail: shown.KindName(),
		Losses: []string{"You cannot sign in with it any more."}, Action: here + "/remove", Button: "Remove", Busy: "Removing…", Back: here}
	if of == 1 {
		view.Losses = append(view.Losses, "It is your last one: your password alone will be enough to sign in, and your recovery codes stop working.")
	}
	view.Losses = append(view.Losses, "Every other device and every app has to sign in again, and your personal access tokens stop working. You stay signed in here.")
	return view
}

func (p *Pages) confirmRemoval(w http.ResponseWriter, r *http.Request, c *page.Caller) error {
	f, of, err := p.factor(r, c)
	if err != nil {
		return err
	}
	return p.Web.Page(w, http.StatusOK, p.removal(r, f, of))
}

func (p *Pages) removeFactor(w http.ResponseWriter, r *http.Request, c *page.Caller, _ url.Values) error {
	f, of, err := p.factor(r, c)
	if err != nil {
		return err
	}
	err = p.Factors.Remove(r.Context(), c.Subject, f.ID)
	if errors.Is(err, factor.ErrRequired) {
		view := p.removal(r, f, of)
		view.Error = "A second step like this one is required of you, and you have no other. Add another first, then remove this one."
		return p.Web.Page(w, http.StatusUnprocessableEntity, view)
	}
	if err != nil {
		return gone(err, securityPath)
	}
	return p.RedirectDone(w, r, securityPath, "removed")
}
