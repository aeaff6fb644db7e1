package account

import (
	"errors"
	"net/http"

	"github.com/sallyport-id/sallyport/consent/login"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/factor"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
)

// need is what a page asks of a sign-in.
type need int

const (
	signedIn need = iota // and nothing owed
	good                 // from where the session was made
	fresh                // that, and within the last five minutes
)

// person is who a request comes from.
type person struct {
	*storage.Visit
	owed  identity.Assurance // only a deadline ahead: all else is proven
	actor identity.Actor
	from  identity.Origin
}

// who is the person as identity/factor wants to know them. What a challenge is
// bound to is this session under this token.
func (v *person) who() factor.Who {
	return factor.Who{User: &v.User, Session: v.Session.ID, Bind: v.Session.TokenHash, From: factor.Origin(v.from), RequestID: v.actor.RequestID}
}

// handler answers a person who may be here.
type handler func(w http.ResponseWriter, r *http.Request, v *person) error

// gate is the one door to all pages of an account. Who may not come in is led to
// what is missing, and from there back to the page: each that is posted to can be
// opened too.
func (p *Pages) gate(n need, h handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		v, elsewhere, err := p.enter(r, n)
		if err != nil {
			return err
		}
		if elsewhere != "" {
			return redirect(w, r, elsewhere)
		}
		return h(w, r, v)
	}
}

// enter finds out who asks, and where they must go first; "" for nowhere.
func (p *Pages) enter(r *http.Request, n need) (v *person, elsewhere string, err error) {
	ctx, here := r.Context(), web.LocalPath(r.URL.Path)
	visit, err := p.Store.Visit(ctx, storage.VisitQuery{Browser: p.Sessions.Browser(r)})
	if errors.Is(err, storage.ErrNotFound) {
		return nil, "/login?to=" + here, nil
	} else if err != nil {
		return nil, "", err
	}
	standing, err := p.Sessions.Check(r, visit)
	if err != nil {
		return nil, "", err
	}
	if standing == session.SignedOut {
		return nil, "/login?to=" + here, nil
	}
	settings, err := p.Registry.Settings(ctx)
	if err != nil {
		return nil, "", err
	}
	owed, err := p.Identity.Owed(ctx, visit, settings)
	if err != nil {
		return nil, "", err
	}
	if owed.Owes() {
		return nil, "/login/factor?to=" + here, nil
	}
	if n >= good && standing != session.Good || n == fresh && !p.Identity.Fresh(visit) {
		return nil, signInAgain(here), nil
	}
	if err := p.touch(r, visit); err != nil {
		return nil, "", err
	}
	return p.person(r, visit, owed), "", nil
}

// signInAgain is where somebody goes whose sign-in is not fresh enough for a page.
func signInAgain(here string) string { return "/login?to=" + here + "&notice=" + login.NoticeFresh }

func (p *Pages) person(r *http.Request, visit *storage.Visit, owed identity.Assurance) *person {
	v := &person{Visit: visit, owed: owed}
	v.actor = identity.Actor{UserID: visit.User.ID, RequestID: web.RequestID(r.Context())}
	v.from.At = p.Now()
	v.from.Device, v.from.Network = p.Sessions.Device(r)
	return v
}

// touch keeps the session of somebody who only looks around from running out.
func (p *Pages) touch(r *http.Request, visit *storage.Visit) error {
	s := &visit.Session
	now, idle, due := p.Sessions.Touch(s)
	if !due {
		return nil
	}
	s.LastSeenAt, s.IdleExpiresAt = now, idle
	return p.Store.TouchSession(r.Context(), s)
}
