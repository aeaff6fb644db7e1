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

// access is what an endpoint wants of its caller. Each level has those before it, but
// for a recent sign-in, which only enrolling and recentSignIn want.
type access int

const (
	anybody             access = iota
	pendingSecondFactor        // a session, though its second factor may be yet to be shown
	authenticated              // one that needs none, though one may have to be set up
	listing                    // the same; a personal access token too
	enrolling                  // authenticated, signed in within identity.FreshFor
	userOrToken                // one that needs nothing at all; a personal access token too
	userOnly                   // the same, but no personal access token
	recentSignIn               // the same, signed in within identity.FreshFor
)

// call is one request to an endpoint.
type call struct {
	w http.ResponseWriter
	r *http.Request
	// bind names the session or the anonymous browser in which challenges are made
	// and answered; zero for a caller that has neither.
	bind  secret.Hash
	token bool // the session is one of a bearer token
	// current is the session and its user; nil for nobody. A personal access token
	// has a user and no session.
	current  *session.Current
	personal *identity.Bearer
	required signin.Required
}

// actor is who does what the call does.
func (c *call) actor() identity.Actor {
	if c.personal != nil {
		return c.personal.Actor(web.RequestID(c.r.Context()))
	}
	return identity.Actor{UserID: c.current.User.ID, RequestID: web.RequestID(c.r.Context())}
}

// sid is the session's id; nil for a personal access token.
func (c *call) sid() uuid.UUID { return c.current.Session.ID }

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
func (a *API) identify(c *call, e endpoint) (err error) {
	header := c.r.Header.Values("Authorization")
	if len(header) == 0 {
		c.bind = a.sessions.Browser(c.r)
		c.current, err = a.sessions.Current(c.r)
		return err
	}
	if _, token, _ := strings.Cut(header[0], " "); len(header) == 1 && strings.HasPrefix(token, identity.TokenPrefix) {
		return a.identifyPersonal(c, token)
	}
	c.bind, c.token = a.sessions.Token(c.r), true
	if c.bind.IsZero() {
		return badToken("The Authorization header holds no token of this API.")
	}
	if c.current, err = a.sessions.CurrentByToken(c.r); err != nil {
		return err
	}
	if c.current == nil && e.access != anybody {
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
		return &web.Error{Status: http.StatusForbidden, Message: "The token lacks the scope " + need + ".", Challenge: challenge("insufficient_scope", "scope", need)}
	}
	if b.Overdue {
		return &web.Error{Status: http.StatusForbidden, Code: web.CodeCompliance, Message: "Its person has to set up a second step first, and signs in for that."}
	}
	c.personal, c.current = b, &session.Current{SessionContext: &storage.SessionContext{User: b.User}}
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
	if c.current != nil && !a.sessions.VerifyCSRF(c.bind, csrfPurpose, c.r.Header.Get("X-CSRF-Token")) {
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
		return c.notPersonal()
	}
	if err := a.assess(c); err != nil {
		return err
	}
	switch {
	case len(c.required.Verify) > 0:
		return &web.Error{Status: http.StatusUnauthorized, Code: web.CodeMFA,
			Message: "Prove your second step first: " + strings.Join(c.required.Verify, ", ") + "."}
	case want > enrolling && len(c.required.Enrol) > 0:
		return &web.Error{Status: http.StatusForbidden, Code: web.CodeCompliance,
			Message: "Set up a second step first: " + strings.Join(c.required.Enrol, " or ") +
				". Until then nothing else is possible."}
	case want != userOrToken && want != listing && c.personal != nil:
		return c.notPersonal()
	case (want == recentSignIn || want == enrolling) && !a.signIn.IsFresh(c.current):
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
	var err error
	c.required, err = a.signIn.Required(c.r.Context(), c.current)
	return err
}

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
