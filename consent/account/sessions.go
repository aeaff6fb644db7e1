package account

import (
	"cmp"
	"net/http"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// sessions lists where the person is signed in, this one first.
func (p *Pages) sessions(w http.ResponseWriter, r *http.Request, v *person) error {
	all, err := p.Identity.Sessions.List(r.Context(), v.Actor)
	if err != nil {
		return err
	}
	page := templates.AccountSessions{AccountPart: p.part(r)}
	var others []templates.AccountSession
	for i := range all {
		s := sessionOf(&all[i], v.Session.ID)
		if s.Current {
			page.Sessions = append(page.Sessions, s)
		} else {
			others = append(others, s)
		}
	}
	page.Sessions = append(page.Sessions, others...)
	return p.Web.Page(w, http.StatusOK, page)
}

func sessionOf(s *storage.Session, current uuid.UUID) templates.AccountSession {
	return templates.AccountSession{ID: s.ID.String(), Device: s.Browser, Network: cmp.Or(s.Network4, s.Network6), SignedIn: s.CreatedAt, LastSeen: s.LastSeenAt,
		Current: s.ID == current, ForProgram: s.API, AnyNetwork: s.AnyNetwork}
}

// ending is the page that says what ends with a session. Another person's is not found.
func (p *Pages) ending(r *http.Request, v *person) (page templates.AccountConfirm, err error) {
	id, err := pathID(r)
	if err != nil {
		return page, err
	}
	all, err := p.Identity.Sessions.List(r.Context(), v.Actor)
	if err != nil {
		return page, err
	}
	for i := range all {
		if all[i].ID != id {
			continue
		}
		s := sessionOf(&all[i], v.Session.ID)
		page = templates.AccountConfirm{AccountPart: p.part(r), Title: "Sign out this device?", What: s.Device,
			Losses: []string{"Whoever uses it has to sign in again.", "Apps that were signed in to from there have to ask again, those too that may act while you are away."},
			Action: "/account/sessions/" + s.ID + "/end", Button: "Sign out", Busy: "Signing out…", Back: "/account/sessions"}
		page.Detail = "Last seen " + page.Moment(s.LastSeen).Words()
		if s.Current {
			page.Title, page.Losses[0] = "Sign out here?", "This is the session you are using: you are signed out at once."
		}
		return page, nil
	}
	return page, gone(storage.ErrNotFound, "/account/sessions")
}

func (p *Pages) askEnd(w http.ResponseWriter, r *http.Request, v *person) error {
	page, err := p.ending(r, v)
	if err != nil {
		return err
	}
	return p.Web.Page(w, http.StatusOK, page)
}

// end ends one session. Its tokens are refused everywhere from now on: every
// statement that accepts one reads the session's grants.
func (p *Pages) end(w http.ResponseWriter, r *http.Request, v *person) error {
	if _, err := p.form(r); err != nil {
		return err
	}
	id, err := pathID(r)
	if err != nil {
		return err
	}
	if err := p.Identity.Sessions.End(r.Context(), v.Actor, id); err != nil {
		return gone(err, "/account/sessions")
	}
	if id == v.Session.ID {
		if err := p.Sessions.SignOut(w, r); err != nil {
			return err
		}
		return web.SeeOther(w, r, "/")
	}
	return p.done(w, r, "/account/sessions", "ended")
}

func (p *Pages) askEndOthers(w http.ResponseWriter, r *http.Request, _ *person) error {
	return p.Web.Page(w, http.StatusOK, templates.AccountConfirm{AccountPart: p.part(r), Title: "Sign out everywhere else?",
		Losses: []string{"Every device but this one has to sign in again.", "Apps that were signed in to from there have to ask again, those too that may act while you are away.",
			"Your personal access tokens stop working, in scripts too.", "What you are doing here goes on."},
		Action: "/account/sessions/end-others", Button: "Sign out the others", Busy: "Signing out…", Back: "/account/sessions"})
}

func (p *Pages) endOthers(w http.ResponseWriter, r *http.Request, v *person) error {
	if _, err := p.form(r); err != nil {
		return err
	}
	if err := p.Identity.Sessions.EndOthers(r.Context(), v.Actor, v.Session.ID); err != nil {
		return err
	}
	return p.done(w, r, "/account/sessions", "others")
}
