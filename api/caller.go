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
	"github.com/sallyport-id/sallyport/internal/signin"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// access is what an endpoint requires of its caller, from less to more. A recent sign-in is an extra, required by
// recentAuthenticated and recentSignIn only.
type access int

const (
	public               access = iota // no session is needed
	pendingSecondFactor                // a session, whose second factor may not be verified yet
	authenticated                      // a session without a pending factor; one may have to be set up
	authenticatedOrToken               // the same; a personal access token too
	recentAuthenticated                // authenticated, signed in within identity.FreshFor
	userOrToken                        // a session that needs nothing more, or a personal access token
	userOnly                           // the same, but no personal access token
	recentSignIn                       // the same, signed in within identity.FreshFor
)

// call is one request to an endpoint.
type call struct {
	w http.ResponseWriter
	r *http.Request
	// bind identifies the session or the anonymous browser in which challenges are made and answered. It is zero for a
	// caller that has neither.
	bind  secret.Hash
	token bool // the session came as a bearer token
	// current is the session and its user, nil for a caller without one. A personal access token has a user and no
	// session.
	current  *session.Current
	personal *identity.Bearer
	required signin.Required
	id       uuid.UUID // the {id} of the path
}

// actor returns the caller as the actor of what it changes.
func (c *call) actor() identity.Actor {
	if c.personal != nil {
		return c.personal.Actor(web.RequestID(c.r.Context()))
	}
	return identity.Actor{UserID: c.current.User.ID, RequestID: web.RequestID(c.r.Context())}
}

// sid returns the id of the session; nil for a personal access token.
func (c *call) sid() uuid.UUID { return c.current.Session.ID }

// call authenticates the caller and checks that it may use the endpoint.
func (a *API) call(w http.ResponseWriter, r *http.Request, e endpoint) (*call, error) {
	c := &call{w: w, r: r}
	if err := a.authenticate(c, e); err != nil {
		return nil, err
	}
	if err := a.checkCSRF(c, e); err != nil {
		return nil, err
	}
	if err := a.checkAccess(c, e.access); err != nil {
		return nil, err
	}
	if text := web.Var(r, "id"); text != "" {
		if c.id, _ = uuid.Parse(text); c.id.String() != text {
			return nil, &web.Error{Status: http.StatusNotFound} // text that is not an id names nothing
		}
	}
	return c, nil
}

// authenticate reads the caller's cookie or Authorization header. The header wins: a bad one is an error, even if the
// cookie is good. At a public endpoint the token of an ended session counts as no session.
func (a *API) authenticate(c *call, e endpoint) (err error) {
	header := c.r.Header.Values("Authorization")
	if len(header) == 0 {
		c.bind = a.sessions.Browser(c.r)
		c.current, err = a.sessions.Current(c.r)
		return err
	}
	if _, token, _ := strings.Cut(header[0], " "); len(header) == 1 && strings.HasPrefix(token, identity.TokenPrefix) {
		return a.authenticatePersonalToken(c, token)
	}
	c.bind, c.token = a.sessions.Token(c.r), true
	if c.bind.IsZero() {
		return badToken("The Authorization header holds no token of this API.")
	}
	if c.current, err = a.sessions.CurrentByToken(c.r); err != nil {
		return err
	}
	if c.current == nil && e.access != public {
		why, err := a.whyEnded(c)
		if err != nil {
			return err
		}
		return badToken(strings.Join(strings.Fields("The token has expired or was ended. "+why+" Sign in again."), " "))
	}
	return nil
}

// authenticatePersonalToken reads the owner of a personal access token.
func (a *API) authenticatePersonalToken(c *call, token string) error {
	b, err := a.identity.Tokens.ByHash(c.r.Context(), secret.HashOf(token))
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
		return &web.Error{Status: http.StatusForbidden, Message: "The token lacks the scope " + need + ".",
			Challenge: wwwAuthenticate("insufficient_scope", "scope", need)}
	}
	if b.Overdue {
		return &web.Error{Status: http.StatusForbidden, Code: web.CodeCompliance,
			Message: "Its person has to set up a second step first, and signs in for that."}
	}
	c.personal, c.current = b, &session.Current{SessionContext: &storage.SessionContext{User: b.User}}
	return nil
}

// checkCSRF refuses a change that another site could have sent with the browser's cookie (cross-site request forgery).
// Only a page of this origin can read the token of an earlier response.
func (a *API) checkCSRF(c *call, e endpoint) error {
	if c.token || c.personal != nil || e.method == http.MethodGet {
		return nil
	}
	if e.access == public { // nothing depends on the cookie here
		return a.web.CheckAPIOrigin(c.r)
	}
	if err := a.web.CheckOrigin(c.r); err != nil {
		return err
	}
	if c.current != nil && !a.sessions.VerifyCSRF(c.bind, csrfPurpose, c.r.Header.Get("X-CSRF-Token")) {
		return &web.Error{Status: http.StatusForbidden, Code: "csrf",
			Message: "The header X-CSRF-Token is missing or stale: take data.csrf_token of GET " + prefix + "/auth/me."}
	}
	return nil
}

// csrfPurpose ties the header's token to this API.
const csrfPurpose = "api"

// checkAccess refuses a caller that has less than the endpoint requires.
func (a *API) checkAccess(c *call, want access) error {
	if want == public {
		return nil
	}
	if c.current == nil {
		why, err := a.whyEnded(c)
		if err != nil {
			return err
		}
		if why != "" {
			why += " Sign in again."
		}
		return unauthorized(why)
	}
	if want == pendingSecondFactor {
		return c.rejectPersonalToken()
	}
	if err := a.loadRequired(c); err != nil {
		return err
	}
	switch {
	case len(c.required.Verify) > 0:
		return &web.Error{Status: http.StatusUnauthorized, Code: web.CodeMFA,
			Message: "Prove your second step first: " + strings.Join(c.required.Verify, ", ") + "."}
	case want > recentAuthenticated && len(c.required.Enrol) > 0:
		return &web.Error{Status: http.StatusForbidden, Code: web.CodeCompliance,
			Message: "Set up a second step first: " + strings.Join(c.required.Enrol, " or ") +
				". Until then nothing else is possible."}
	case want != userOrToken && want != authenticatedOrToken && c.personal != nil:
		return c.rejectPersonalToken()
	case (want == recentSignIn || want == recentAuthenticated) && !a.signIn.IsFresh(c.current):
		return signInTooOld()
	}
	return nil
}

// whyEnded returns the reason why the caller's session ended, "" for a caller that had none.
func (a *API) whyEnded(c *call) (string, error) {
	reason, err := a.sessions.EndReason(c.r)
	return templates.SessionEndText(reason), err
}

// loadRequired reads what the session still needs.
func (a *API) loadRequired(c *call) error {
	if c.personal != nil {
		return nil
	}
	var err error
	c.required, err = a.signIn.Required(c.r.Context(), c.current)
	return err
}

// rejectPersonalToken is an error for a personal access token and nil for a session.
func (c *call) rejectPersonalToken() error {
	if c.personal == nil {
		return nil
	}
	return &web.Error{Status: http.StatusForbidden, Message: "A personal access token cannot do this."}
}

func unauthorized(message string) error {
	return &web.Error{Status: http.StatusUnauthorized, Message: message}
}

// badToken refuses the Authorization header of a request.
func badToken(message string) error {
	return &web.Error{Status: http.StatusUnauthorized, Message: message,
		Challenge: wwwAuthenticate("invalid_token", "error_description", message)}
}

// signInTooOld refuses a session whose sign-in is not recent (RFC 9470 section 3).
func signInTooOld() error {
	seconds := strconv.Itoa(int(identity.FreshFor.Seconds()))
	return &web.Error{
		Status:    http.StatusUnauthorized,
		Message:   "This needs a sign-in within the last 5 minutes. Sign in again, then repeat the request.",
		Details:   map[string][]string{"auth_time": {"is more than " + seconds + " seconds ago"}},
		Challenge: wwwAuthenticate("insufficient_user_authentication", "max_age", seconds),
	}
}

// wwwAuthenticate is the value of that header (RFC 6750 section 3) for an error with one more parameter.
func wwwAuthenticate(err, name, value string) string {
	return fmt.Sprintf("Bearer error=%q, %s=%q", err, name, value)
}
