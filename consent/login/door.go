package login

import (
	"net/http"
	"slices"
	"time"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/factor"
	"github.com/sallyport-id/sallyport/internal/session"
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
	*storage.Visit
	Owed  identity.Assurance // only a deadline ahead: all else is proven
	Actor identity.Actor
	From  identity.Origin
}

// Who is the person as identity/factor wants to know them. What a challenge is bound
// to is this session under this token.
func (v *Person) Who() factor.Who {
	return factor.Who{User: &v.User, Session: v.Session.ID, Bind: v.Session.TokenHash, From: factor.Origin(v.From), RequestID: v.Actor.RequestID}
}

// Door is the way into pages that are for people who have signed in to this server
// itself, outside any flow.
type Door struct {
	Store    *storage.Store
	Registry *storage.Registry
	Sessions *session.Manager
	Identity *identity.Identity
	Now      func() time.Time
}

// Enter finds out who asks, and where they must go first, "" for nowhere: from there
// they come back to the page. storage.ErrNotFound if nobody is signed in, or nobody
// with that platform role ("" for any).
func (d *Door) Enter(r *http.Request, n Need, role string) (v *Person, elsewhere string, err error) {
	ctx, here := r.Context(), web.LocalPath(r.URL.Path)
	visit, err := d.Store.Visit(ctx, storage.VisitQuery{Browser: d.Sessions.Browser(r)})
	if err != nil {
		return nil, "", err
	}
	standing, err := d.Sessions.Check(r, visit)
	if err != nil {
		return nil, "", err
	}
	if standing == session.SignedOut || role != "" && !slices.Contains(visit.User.PlatformRoles, role) {
		return nil, "", storage.ErrNotFound
	}
	settings, err := d.Registry.Settings(ctx)
	if err != nil {
		return nil, "", err
	}
	owed, err := d.Identity.Owed(ctx, visit, settings)
	if err != nil {
		return nil, "", err
	}
	if len(owed.Prove) > 0 || n > Enrolling && len(owed.Enrol) > 0 {
		return nil, "/login/factor?to=" + here, nil
	}
	if n >= Good && standing != session.Good || n == Fresh && !d.Identity.Fresh(visit) {
		return nil, AgainAt(here), nil
	}
	v = &Person{Visit: visit, Owed: owed, Actor: identity.Actor{UserID: visit.User.ID, RequestID: web.RequestID(ctx)}}
	v.From.At = d.Now()
	v.From.Device, v.From.Network = d.Sessions.Device(r)
	return v, "", nil
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
