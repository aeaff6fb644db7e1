package account

import (
	"cmp"
	"github.com/sallyport-id/sallyport/internal/page"
	"net/http"
	"net/url"
	"slices"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

const sessionsPath = "/account/sessions"

// sessions lists where the user is signed in, this session first.
func (p *Pages) sessions(w http.ResponseWriter, r *http.Request, c *page.Caller) error {
	all, err := p.Identity.Sessions.List(r.Context(), c.Actor)
	if err != nil {
		return err
	}
	view := templates.AccountSessions{AccountPart: p.part(r)}
	for i := range all {
		view.Sessions = append(view.Sessions, sessionOf(&all[i], c.Session.ID))
	}
	slices.SortStableFunc(view.Sessions, func(a, b templates.AccountSession) int {
		if a.Current == b.Current {
			return 0
		} else if a.Current {
			return -1
		}
		return 1
	})
	return p.Web.Page(w, http.StatusOK, view)
}

func sessionOf(s *storage.Session, current uuid.UUID) templates.AccountSession {
	return templates.AccountSession{ID: s.ID.String(), Device: s.Browser, Network: cmp.Or(s.Network4, s.Network6),
		SignedIn: s.CreatedAt, LastSeen: s.LastSeenAt,
		Current: s.ID == current, ForProgram: s.API, AnyNetwork: s.AnyNetwork}
}

// confirmEnd says what ends with a session.
func (p *Pages) confirmEnd(w http.ResponseWriter, r *http.Request, c *page.Caller) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	all, err := p.Identity.Sessions.List(r.Context(), c.Actor)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(s storage.Session) bool { return s.ID == id })
	if i < 0 {
		return gone(storage.ErrNotFound, sessionsPath)
	}
	s := sessionOf(&all[i], c.Session.ID)
	view := templates.AccountConfirm{AccountPart: p.part(r), Title: "Sign out this device?", What: s.Device,
		Losses: []string{"Whoever uses it has to sign in again.", "Apps that were signed in to from there have to ask again, those too that may act while you are away."},
		Action: sessionsPath + "/" + s.ID + "/end", Button: "Sign out", Busy: "Signing out…", Back: sessionsPath}
	view.Detail = "Last seen " + view.Moment(s.LastSeen).Words()
	if s.Current {
		view.Title, view.Losses[0] = "Sign out here?", "This is the session you are using: you are signed out at once."
	}
	return p.Web.Page(w, http.StatusOK, view)
}

// end ends one session. Its tokens are refused everywhere from now on: every
// statement that accepts one reads the session's grants.
func (p *Pages) end(w http.ResponseWriter, r *http.Request, c *page.Caller, _ url.Values) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	if err := p.Identity.Sessions.End(r.Context(), c.Actor, id); err != nil {
		return gone(err, sessionsPath)
	}
	if id == c.Session.ID {
		if err := p.Sessions.SignOut(w, r); err != nil {
			return err
		}
		return web.SeeOther(w, r, "/")
	}
	return p.RedirectDone(w, r, sessionsPath, "ended")
}

func (p *Pages) confirmEndOthers(w http.ResponseWriter, r *http.Request, _ *page.Caller) error {
	return p.Web.Page(w, http.StatusOK, templates.AccountConfirm{AccountPart: p.part(r), Title: "Sign out everywhere else?",
		Losses: []string{"Every device but this one has to sign in again.", "Apps that were signed in to from there have to ask again, those too that may act while you are away.",
			"Your personal access tokens stop working, in scripts too.", "What you are doing here goes on."},
		Action: "/account/sessions/end-others", Button: "Sign out the others", Busy: "Signing out…", Back: sessionsPath})
}

func (p *Pages) endOthers(w http.ResponseWriter, r *http.Request, c *page.Caller, _ url.Values) error {
	if err := p.Identity.Sessions.EndOthers(r.Context(), c.Actor, c.Session.ID); err != nil {
		return err
	}
	return p.RedirectDone(w, r, sessionsPath, "others")
}
