package api

import (
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/request"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
)

// browser is the cookie's browser; zero for a caller with a token.
func (c *call) browser() secret.Hash {
	if c.token {
		return secret.Hash{}
	}
	return c.bind
}

// userView is a person in answers.
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
	return userView{Sub: u.Sub, Email: u.Email, EmailVerified: u.EmailVerified(), Profile: u.Profile, PlatformRoles: append([]string{}, u.PlatformRoles...),
		MFAEnabled: len(u.Factors) > 0, CreatedAt: u.CreatedAt}
}

// claimedView is the person of a session that has yet to prove a second step: no
// more than the caller has typed. A password alone tells nothing about its person.
type claimedView struct {
	Email string `json:"email"`
}

// sessionView is a session as its own caller sees it.
type sessionView struct {
	User      any       `json:"user"` // userView, or claimedView with MFARequired
	SessionID uuid.UUID `json:"session_id"`
	ExpiresAt time.Time `json:"expires_at"`
	AuthTime  time.Time `json:"auth_time"`
	ACR       string    `json:"acr"`
	AMR       []string  `json:"amr"`
	// Token is a new session token, CSRFToken what changes by cookie must send along.
	Token     string `json:"token,omitempty"`
	CSRFToken string `json:"csrf_token,omitempty"`
	// MFARequired: nothing else is possible before one of Methods is proven.
	MFARequired bool     `json:"mfa_required"`
	Methods     []string `json:"methods"`
	// EnrollmentRequired: one of Enroll must be set up first; by EnrollBy if that is yet to come.
	EnrollmentRequired bool       `json:"enrollment_required"`
	Enroll             []string   `json:"enroll"`
	EnrollBy           *time.Time `json:"enroll_by,omitempty"`
}

// describe fills in the session, its person and what it owes; assess was called before.
func (v *sessionView) describe(c *call) {
	s := &c.current.Session
	v.User = viewUser(&c.current.User)
	if len(c.required.Verify) > 0 {
		v.User = claimedView{Email: c.current.User.Email}
	}
	v.SessionID, v.ExpiresAt, v.AuthTime, v.ACR, v.AMR = s.ID, s.ExpiresAt, s.AuthTime, s.ACR, s.AMR
	v.MFARequired, v.Methods = len(c.required.Verify) > 0, append([]string{}, c.required.Verify...)
	v.EnrollmentRequired, v.Enroll = len(c.required.Enrol) > 0, append([]string{}, c.required.Enrol...)
	if !c.required.Deadline.IsZero() {
		v.EnrollBy = &c.required.Deadline
	}
}

// listedSession is one of a person's sessions.
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

func (a *API) listSessions(c *call) (answer, error) {
	p, err := a.page(c)
	if err != nil {
		return answer{}, err
	}
	all, err := a.identity.Sessions.ListBefore(c.r.Context(), c.actor(), p.id(uuid.Max), p.fetch())
	if err != nil {
		return answer{}, err
	}
	view := func(s *storage.Session) listedSession {
		networks := slices.DeleteFunc([]string{s.Network4, s.Network6}, func(n string) bool { return n == "" })
		return listedSession{ID: s.ID, Current: s.ID == c.sid(), Device: s.Browser, Networks: networks,
			AnyNetwork: s.AnyNetwork, API: s.API, ACR: s.ACR,
			CreatedAt: s.CreatedAt, LastSeenAt: s.LastSeenAt, ExpiresAt: s.ExpiresAt}
	}
	return listed(p, "Your sessions.", all, func(s *storage.Session) string { return s.ID.String() }, view), nil
}

func (a *API) endSession(c *call) (answer, error) {
	id, err := c.id()
	if err != nil {
		return answer{}, err
	}
	if err := a.identity.Sessions.End(c.r.Context(), c.actor(), id); err != nil {
		return answer{}, err
	}
	return answer{message: "The session has ended, and what its applications held."}, nil
}

func (a *API) endOtherSessions(c *call) (answer, error) {
	return answer{message: "All other sessions have ended."}, a.identity.Sessions.EndOthers(c.r.Context(), c.actor(), c.sid())
}

// id is the {id} of the path. What is no id names nothing.
func (c *call) id() (uuid.UUID, error) {
	text := web.Var(c.r, "id")
	id, err := uuid.Parse(text)
	if err != nil || id.String() != text {
		return uuid.Nil, &web.Error{Status: http.StatusNotFound}
	}
	return id, nil
}

// origin is where the call comes from, for notices.
func (a *API) origin(c *call) request.Info {
	return a.signIn.Origin(a.source(c))
}
