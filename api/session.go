package api

import (
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/request"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

// browser is the browser of the cookie; zero for a caller with a token.
func (c *call) browser() secret.Hash {
	if c.token {
		return secret.Hash{}
	}
	return c.bind
}

// userView is a user in responses.
type userView struct {
	Sub           uuid.UUID       `json:"sub"`
	Email         string          `json:"email"`
	EmailVerified bool            `json:"email_verified"`
	Profile       storage.Profile `json:"profile"`
	PlatformRoles []string        `json:"platform_roles"`
	MFAEnabled    bool            `json:"mfa_enabled"`
	CreatedAt     time.Time       `json:"created_at"`
}

func viewUser(u *storage.User) userView {
	return userView{Sub: u.Sub, Email: u.Email, EmailVerified: u.EmailVerified(), Profile: u.Profile,
		PlatformRoles: append([]string{}, u.PlatformRoles...), MFAEnabled: len(u.Factors) > 0, CreatedAt: u.CreatedAt}
}

// pendingUserView is the user of a session whose second factor is not verified. It has only what the caller has typed,
// because the password alone must not reveal anything about the user.
type pendingUserView struct {
	Email string `json:"email"`
}

// sessionView is a session as its own caller sees it.
type sessionView struct {
	User      any       `json:"user"` // userView, or pendingUserView with MFARequired
	SessionID uuid.UUID `json:"session_id"`
	ExpiresAt time.Time `json:"expires_at"`
	AuthTime  time.Time `json:"auth_time"`
	ACR       string    `json:"acr"`
	AMR       []string  `json:"amr"`
	// Token is a new session token. CSRFToken is for the X-CSRF-Token header of changes by cookie.
	Token     string `json:"token,omitempty"`
	CSRFToken string `json:"csrf_token,omitempty"`
	// MFARequired says that one of Methods must be verified before anything else.
	MFARequired bool     `json:"mfa_required"`
	Methods     []string `json:"methods"`
	// EnrollmentRequired says that one of Enroll must be set up first. EnrollBy is the deadline if it is still to
	// come.
	EnrollmentRequired bool       `json:"enrollment_required"`
	Enroll             []string   `json:"enroll"`
	EnrollBy           *time.Time `json:"enroll_by,omitempty"`
}

// describe returns the caller's session, its user and what it still needs. loadRequired must have been called.
func describe(c *call) sessionView {
	s, required := &c.current.Session, &c.required
	v := sessionView{User: viewUser(&c.current.User), SessionID: s.ID, ExpiresAt: s.ExpiresAt, AuthTime: s.AuthTime,
		ACR: s.ACR, AMR: s.AMR,
		MFARequired: len(required.Verify) > 0, Methods: append([]string{}, required.Verify...),
		EnrollmentRequired: len(required.Enrol) > 0, Enroll: append([]string{}, required.Enrol...),
		EnrollBy: timeOrNull(required.Deadline)}
	if v.MFARequired {
		v.User = pendingUserView{Email: c.current.User.Email}
	}
	return v
}

// timeOrNull is null in JSON for a zero time.
func timeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// listedSession is one of a user's sessions.
type listedSession struct {
	ID         uuid.UUID `json:"id"`
	Current    bool      `json:"current"`
	Device     string    `json:"device"`
	Networks   []string  `json:"networks"`
	AnyNetwork bool      `json:"any_network"` // a change of network does not end it
	API        bool      `json:"api"`
	ACR        string    `json:"acr"`
	CreatedAt  time.Time `json:"created_at"`
	LastSeenAt time.Time `json:"last_seen_at"`
	ExpiresAt  time.Time `json:"expires_at"`
}

func (a *API) listSessions(c *call) (response, error) {
	p, err := a.page(c)
	if err != nil {
		return response{}, err
	}
	all, err := a.identity.Sessions.ListBefore(c.r.Context(), c.actor(), p.id(uuid.Max), p.fetchLimit())
	if err != nil {
		return response{}, err
	}
	view := func(s *storage.Session) listedSession {
		networks := slices.DeleteFunc([]string{s.Network4, s.Network6}, func(n string) bool { return n == "" })
		return listedSession{ID: s.ID, Current: s.ID == c.sid(), Device: s.Browser, Networks: networks,
			AnyNetwork: s.AnyNetwork, API: s.API, ACR: s.ACR,
			CreatedAt: s.CreatedAt, LastSeenAt: s.LastSeenAt, ExpiresAt: s.ExpiresAt}
	}
	return listResponse(p, "Your sessions.", all, func(s *storage.Session) string { return s.ID.String() }, view), nil
}

func (a *API) endSession(c *call) (response, error) {
	return response{message: "The session has ended, and what its applications held."},
		a.identity.Sessions.End(c.r.Context(), c.actor(), c.id)
}

func (a *API) endOtherSessions(c *call) (response, error) {
	return response{message: "All other sessions have ended."},
		a.identity.Sessions.EndOthers(c.r.Context(), c.actor(), c.sid())
}

// origin is where the call comes from, for events and mails.
func (a *API) origin(c *call) request.Info {
	return a.signIn.Origin(a.source(c))
}
