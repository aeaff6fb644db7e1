package account

import (
	"errors"
	"net/http"

	"github.com/sallyport-id/sallyport/consent/login"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
)

type person = login.Person

// handler answers a person who may be here.
type handler func(w http.ResponseWriter, r *http.Request, v *person) error

// gate is the one door to all pages of an account. Who may not come in is led to
// what is missing, and from there back to the page: each that is posted to can be
// opened too.
func (p *Pages) gate(n login.Need, h handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		v, elsewhere, err := p.enter(r, n)
		if err != nil {
			return err
		}
		if elsewhere != "" {
			return web.SeeOther(w, r, elsewhere)
		}
		return h(w, r, v)
	}
}

// enter finds out who asks, and where they must go first; "" for nowhere.
func (p *Pages) enter(r *http.Request, n login.Need) (v *person, elsewhere string, err error) {
	v, elsewhere, err = p.door.Enter(r, n, "")
	if errors.Is(err, storage.ErrNotFound) {
		return nil, "/login?to=" + web.LocalPath(r.URL.Path), nil
	}
	return v, elsewhere, err
}
