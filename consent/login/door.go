package login

import (
	"net/http"
	"slices"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/identity/factor"
	"github.com/sallyport-id/sallyport/internal/request"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/signin"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
)

// Need is what a page asks of a sign-in.
type Need int

// Each asks for what the one before does, and more.
const (
	Enrolling Need = iota // and proven what can be, though a second step is yet to be set up
	SignedIn              // and nothing owed
	Good                  // from where the session was made
	Fresh                 // within the last five minutes
)

// Person is who a request comes from.
type Person struct {
	*session.Current
	Owed    assurance.Decision // only a deadline ahead: all else is proven
	Actor   identity.Actor
	Source  session.Source
	From    request.Info
	Subject factor.Subject
}

// Door is the way into pages that are for people who have signed in to this server
// itself, outside any flow.
type Door struct {
	Sessions *session.Manager
	SignIn   *signin.Service
}

// Enter finds out who asks, and where they must go first, "" for nowhere: from there
// they come back to the page. storage.ErrNotFound if nobody is signed in, or nobody
// with that platform role ("" for any).
func (d *Door) Enter(r *http.Request, n Need, role string) (v *Person, elsewhere string, err error) {
	ctx, here := r.Context(), web.LocalPath(r.URL.Path)
	c, err := d.Sessions.Current(r)
	if err != nil {
		return nil, "", err
	}
	if c == nil || role != "" && !slices.Contains(c.User.PlatformRoles, role) {
		return nil, "", storage.ErrNotFound
	}
	required, err := d.SignIn.Required(ctx, c)
	if err != nil {
		return nil, "", err
	}
	if len(required.Verify) > 0 || n > Enrolling && len(required.Enrol) > 0 {
		return nil, "/login/factor?to=" + here, nil
	}
	if n >= Good && c.Status != session.Valid || n == Fresh && !d.SignIn.IsFresh(c) {
		return nil, AgainAt(here), nil
	}
	from := d.Sessions.Source(r)
	return &Person{Current: c, Owed: required.Decision, Actor: identity.Actor{UserID: c.User.ID, RequestID: from.RequestID},
		Source: from, From: d.SignIn.Origin(from), Subject: d.SignIn.Subject(from, c, nil)}, "", nil
}

// Done sends the browser to a page that says once what was done. The page is told in
// ?done= where to look; what it says it takes from a notice of this browser, so no link
// can make it claim something. What was done is done: a notice that cannot be kept is
// logged, and not shown.
func Done(s *session.Manager, w http.ResponseWriter, r *http.Request, path, what string) error {
	if err := s.SetNotice(r, what); err != nil {
		web.Annotate(r.Context(), "notice", err.Error())
	}
	return web.SeeOther(w, r, path+"?done="+what)
}

// WasDone reports whether a page that was opened with ?done=WHAT should say so.
func WasDone(s *session.Manager, r *http.Request, what string) bool {
	done, err := s.TakeNotice(r, what)
	if err != nil {
		web.Annotate(r.Context(), "notice", err.Error())
	}
	return done
}

// AgainAt is where somebody goes whose sign-in is not fresh enough for a page.
func AgainAt(here string) string { return "/login?to=" + here + "&notice=" + NoticeFresh }
