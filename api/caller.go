package api

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// access is what an endpoint wants of its caller. Each level has those before it, but
// for a recent sign-in, which only enrolling and fresh want.
type access int

const (
	anybody   access = iota
	half             // a session, though it may owe a second factor
	whole            // one that owes none, though it may have to enrol one
	listing          // the same; a personal access token too
	enrolling        // whole, signed in within identity.FreshFor
	member           // one that owes nothing at all; a personal access token too
	person           // the same, but no personal access token
	fresh            // the same, signed in within identity.FreshFor
)

// call is one request to an endpoint.
type call struct {
	w http.ResponseWriter
	r *http.Request
	// bind names the session or the anonymous browser in which challenges are made
	// and answered; zero for a caller that has neither.
	bind  secret.Hash
	token bool // the session is one of a bearer token
	// visit is the session and its person; nil for nobody. A personal access token
	// has a person and no session.
	visit    *storage.Visit
	personal *identity.Bearer
	standing session.Standing
	owes     identity.Assurance
}

// actor is who does what the call does.
func (c *call) actor() identity.Actor {
	if c.personal != nil {
		return c.personal.Actor(web.RequestID(c.r.Context()))
	}
	return identity.Actor{UserID: c.visit.User.ID, RequestID: web.RequestID(c.r.Context())}
}

// sid is the session's id; nil for a personal access token.
func (c *call) sid() uuid.UUID { return c.visit.Session.ID }

// call finds out who asks and refuses who may not.
func (a *API) call(w http.ResponseWriter, r *http.Request, e endpoint) (*call, error) {
	c := &call{w: w, r: r}
	if err := a.identify(c, e); err != nil {
		return nil, err
	}
	if err := a.checkForgery(c, e); err != nil {
		return nil, err
	}
	return c, a.admit(c, e.access)
}

// identify reads who bears which token or cookie. An Authorization header speaks
// for itself: whoever sends a bad one is not taken for their cookie's person. Where
// anybody may call, the token of a session that has ended is nobody's.
func (a *API) identify(c *call, e endpoint) error {
	header := c.r.Header.Values("Authorization")
	if len(header) == 0 {
		c.bind = a.sessions.Browser(c.r)
		return a.visit(c, false)
	}
	if _, token, _ := strings.Cut(header[0], " "); len(header) == 1 && strings.HasPrefix(token, identity.TokenPrefix) {
		return a.identifyPersonal(c, token)
	}
	c.bind, c.token = a.sessions.Token(c.r), true
	if c.bind.IsZero() {
		return badToken("The Authorization header holds no token of this API.")
	}
	if err := a.visit(c, true); err != nil {
		return err
	}
	if c.visit == nil && e.access != anybody {
		why, err := a.whyEnded(c)
		if err != nil {
			return err
		}
		return badToken(strings.Join(strings.Fields("The token has expired or was ended. "+why+" Sign in again."), " "))
	}
	return nil
}

// identifyPersonal reads who acts by a personal access token.
func (a *API) identifyPersonal(c *call, token string) error {
	b, err := a.identity.TokenByHash(c.r.Context(), secret.HashOf(token))
	if errors.Is(err, storage.ErrNotFound) {
		return badToken("The personal access token has expired, was revoked, or never was one.")
	} else if err != nil {
		return err
	}
	need := identity.ScopeWrite
	if c.r.Method == http.MethodGet || c.r.Method == http.MethodHead {
		need = identity.ScopeRead
	}
	if !slices.Contains(b.Scopes, need) {
		return &web.Error{Status: http.StatusForbidden, Message: "The token lacks the scope " + need + ".", Challenge: challenge("insufficient_scope", "scope", need)}
	}
	if b.Overdue {
		return &web.Error{Status: http.StatusForbidden, Code: web.CodeCompliance, Message: "Its person has to set up a second step first, and signs in for that."}
	}
	c.personal, c.visit = b, &storage.Visit{User: b.User}
	return nil
}

// visit reads the session; one of a token is none of a browser, nor the other way round.
func (a *API) visit(c *call, api bool) error {
	if c.bind.IsZero() {
		return nil
	}
	v, err := a.store.Visit(c.r.Context(), storage.VisitQuery{Browser: c.bind})
	if errors.Is(err, storage.ErrNotFound) || err == nil && v.Session.API != api {
		return nil
	} else if err != nil {
		return err
	}
	standing, err := a.sessions.Check(c.r, v)
	if err != nil || standing == session.SignedOut {
		return err
	}
	c.visit, c.standing = v, standing
	return nil
}

// checkForgery: what a browser sends with its cookie must come from a page of this
// origin that could read the answer of an earlier call.
func (a *API) checkForgery(c *call, e endpoint) error {
	if c.token || c.personal != nil || e.method == http.MethodGet {
		return nil
	}
	if e.access == anybody { // it rests on what is in the body
		return a.web.CheckAPIOrigin(c.r)
	}
	if err := a.web.CheckOrigin(c.r); err != nil {
		return err
	}
	if c.visit != nil && !a.sessions.VerifyCSRF(c.bind, csrfPurpose, c.r.Header.Get("X-CSRF-Token")) {
		return &web.Error{Status: http.StatusForbidden, Code: "csrf", Message: "The header X-CSRF-Token is missing or stale: take data.csrf_token of GET " + prefix + "/auth/me."}
	}
	return nil
}

// csrfPurpose ties the header's token to this API.
const csrfPurpose = "api"

// admit refuses a caller who has less than an endpoint wants.
func (a *API) admit(c *call, want access) error {
	if want == anybody {
		return nil
	}
	if c.visit == nil {
		why, err := a.whyEnded(c)
		if err != nil {
			return err
		}
		if why != "" {
			why += " Sign in again."
		}
		return unauthorized(why)
	}
	if want == half {
		return c.notPersonal()
	}
	if err := a.assess(c); err != nil {
		return err
	}
	switch {
	case len(c.owes.Prove) > 0:
		return &web.Error{Status: http.StatusUnauthorized, Code: web.CodeMFA, Message: "Prove your second step first: " + strings.Join(c.owes.Prove, ", ") + "."}
	case want > enrolling && len(c.owes.Enrol) > 0:
		return &web.Error{Status: http.StatusForbidden, Code: web.CodeCompliance, Message: "Set up a second step first: " + strings.Join(c.owes.Enrol, " or ") + ". Until then nothing else is possible."}
	case want != member && want != listing && c.personal != nil:
		return c.notPersonal()
	case (want == fresh || want == enrolling) && !a.isFresh(c):
		return stale()
	}
	return nil
}

// whyEnded says why the caller's session ended, "" for a caller who had none.
func (a *API) whyEnded(c *call) (string, error) {
	reason, err := a.sessions.WhyEnded(c.r)
	return templates.SessionEndText(reason), err
}

// assess finds out what the session still owes.
func (a *API) assess(c *call) error {
	if c.personal != nil {
		return nil
	}
	settings, err := a.registry.Settings(c.r.Context())
	if err != nil {
		return err
	}
	c.owes, err = a.identity.Owed(c.r.Context(), c.visit, settings)
	return err
}

func (a *API) isFresh(c *call) bool { return c.standing == session.Good && a.identity.Fresh(c.visit) }

func (c *call) notPersonal() error {
	if c.personal == nil {
		return nil
	}
	return &web.Error{Status: http.StatusForbidden, Message: "A personal access token cannot do this."}
}

func unauthorized(message string) error {
	return &web.Error{Status: http.StatusUnauthorized, Message: message}
}

// badToken refuses what the caller has put into Authorization.
func badToken(message string) error {
	return &web.Error{Status: http.StatusUnauthorized, Message: message, Challenge: challenge("invalid_token", "error_description", message)}
}

// stale refuses a session whose sign-in is too long ago (RFC 9470 section 3).
func stale() error {
	seconds := strconv.Itoa(int(identity.FreshFor.Seconds()))
	return &web.Error{
		Status: http.StatusUnauthorized, Message: "This needs a sign-in within the last 5 minutes. Sign in again, then repeat the request.",
		Details:   map[string][]string{"auth_time": {"is more than " + seconds + " seconds ago"}},
		Challenge: challenge("insufficient_user_authentication", "max_age", seconds),
	}
}

// challenge is a WWW-Authenticate (RFC 6750 section 3) of an error and one more parameter.
func challenge(err, name, value string) string {
	return fmt.Sprintf("Bearer error=%q, %s=%q", err, name, value)
}
