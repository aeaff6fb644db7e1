package page

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/identity/factor"
	"github.com/sallyport-id/sallyport/internal/request"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/web"
)

// NoticeFresh is the ?notice= of the sign-in page for a user whose sign-in is not fresh enough.
const NoticeFresh = "fresh"

// Freshness is what a page requires of a sign-in. Each value requires what the one before does, and more.
type Freshness int

// The values of Freshness.
const (
	Enrolling  Freshness = iota // every second factor the user has is shown; one may have to be set up yet
	SignedIn                    // nothing is missing
	SameDevice                  // the session is used from where it was made
	Fresh                       // the sign-in is at most five minutes old
)

// Caller is the signed-in user that a request comes from.
type Caller struct {
	*session.Current
	Required assurance.Decision // at most a deadline that is still ahead
	Actor    identity.Actor
	Source   session.Source
	From     request.Info
	Subject  factor.Subject
}

// Gate admits users to a group of pages outside any flow: an account, the set-up, a console.
type Gate struct {
	*Deps
	// Path is the first of the pages. All their forms have it as their one purpose, and a refused one leads back to it.
	Path string
	// Role is the platform role that users need. For others the pages do not exist. "" admits every user.
	Role string
	// Repeatable are the fields that may occur more than once in a form.
	Repeatable []string
}

// Handler answers a caller.
type Handler func(w http.ResponseWriter, r *http.Request, c *Caller) error

// FormHandler answers a form of a caller.
type FormHandler func(w http.ResponseWriter, r *http.Request, c *Caller, form url.Values) error

// Page returns a handler that calls h for callers with a sign-in as fresh as f. Others are led to what is missing and
// from there back to the page: every page that is posted to can be opened too.
func (g *Gate) Page(f Freshness, h Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		c, redirectTo, err := g.caller(r, f)
		if err != nil {
			return err
		}
		if redirectTo != "" {
			return web.SeeOther(w, r, redirectTo)
		}
		return h(w, r, c)
	}
}

// Act is Page for a POST: h gets the form, checked.
func (g *Gate) Act(f Freshness, h FormHandler) web.Handler {
	return g.Page(f, func(w http.ResponseWriter, r *http.Request, c *Caller) error {
		form, err := g.Form(r)
		if err != nil {
			return err
		}
		return h(w, r, c, form)
	})
}

// caller returns the user that a request comes from, or else where they must go first.
func (g *Gate) caller(r *http.Request, f Freshness) (caller *Caller, redirectTo string, err error) {
	here := web.LocalPath(r.URL.Path)
	c, err := g.Sessions.Current(r)
	switch {
	case err != nil:
		return nil, "", err
	case g.Role != "" && (c == nil || !slices.Contains(c.User.PlatformRoles, g.Role)):
		return nil, "", &web.Error{Status: http.StatusNotFound}
	case c == nil:
		return nil, "/login?to=" + here, nil
	}
	required, err := g.SignIn.Required(r.Context(), c)
	switch {
	case err != nil:
		return nil, "", err
	case len(required.Verify) > 0 || f > Enrolling && len(required.Enrol) > 0:
		return nil, "/login/factor?to=" + here, nil
	case f >= SameDevice && c.Status != session.Valid || f == Fresh && !g.SignIn.IsFresh(c):
		return nil, ReauthURL(here), nil
	}
	from := g.Sessions.Source(r)
	return &Caller{Current: c, Required: required.Decision, Actor: identity.Actor{UserID: c.User.ID, RequestID: from.RequestID},
		Source: from, From: g.SignIn.Origin(from), Subject: g.SignIn.Subject(from, c, nil)}, "", nil
}

// ReauthURL is where users go whose sign-in is not fresh enough for the page at here.
func ReauthURL(here string) string { return "/login?to=" + here + "&notice=" + NoticeFresh }

// CSRF returns the token for every form of the pages.
func (g *Gate) CSRF(r *http.Request) string {
	return g.Sessions.CSRFToken(g.Sessions.Browser(r), g.Path)
}

// Form reads a POST and checks that this browser was given the form.
func (g *Gate) Form(r *http.Request) (url.Values, error) {
	form, err := web.Form(r, g.Repeatable...)
	if err != nil {
		return nil, err
	}
	return form, g.checkForm(g.Sessions.Browser(r), g.Path, form.Get("csrf"), g.Path)
}

// MountPasskeyScript adds the route that the script of the page at path asks for a challenge, to set up a passkey.
func (g *Gate) MountPasskeyScript(rt *web.Router, path string) {
	rt.Handle(path+"/begin", g.Web.SameOrigin(g.Web.HandleJSON(g.beginPasskey)), http.MethodPost)
}

// beginPasskey answers {"publicKey": …}, or {"error": sentence}.
func (g *Gate) beginPasskey(w http.ResponseWriter, r *http.Request) error {
	c, redirectTo, err := g.caller(r, Fresh)
	if err != nil {
		return err
	}
	if redirectTo != "" {
		return ScriptError(w, http.StatusForbidden, "You have to sign in again first. Load the page again.")
	}
	if _, err := g.Form(r); err != nil {
		return err
	}
	options, err := g.Factors.BeginWebAuthn(r.Context(), c.Subject)
	return SendChallenge(w, options, http.StatusUnprocessableEntity, err)
}

// SendChallenge answers a page's script with a challenge, or with the status refused and the sentence for an error of
// package factor.
func SendChallenge(w http.ResponseWriter, options json.RawMessage, refused int, err error) error {
	if err == nil {
		return web.JSON(w, http.StatusOK, options)
	}
	if why := factor.EnrolmentText(err); why != "" {
		return ScriptError(w, refused, why)
	}
	return err
}

// ScriptError answers a page's script with a sentence, which it shows.
func ScriptError(w http.ResponseWriter, status int, sentence string) error {
	return web.JSON(w, status, map[string]string{"error": sentence})
}
