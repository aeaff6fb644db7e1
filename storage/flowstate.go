package storage

import (
	"slices"
	"time"

	"github.com/google/uuid"
)

// FlowState is an authorization request as the pages on the way to a code see it:
// what was asked, by which client, and how far this browser has come. Package
// provider makes it; consent.NextStep tells by it which page comes next.
type FlowState struct {
	// Flow is the request. It is stored only when a step is pending: IDHash is
	// zero before.
	Flow   *Flow
	Client *Client
	// Session is nil if no user is signed in.
	Session *SessionContext

	// Scopes are the known scopes asked for, in their order, without duplicates.
	Scopes      []string
	Prompt      []string
	LoginHint   string
	RedirectURI string

	// NeedsOrganization: the token will name an organization. Organization and
	// Role are set once it is determined; else Choices holds what to pick from.
	NeedsOrganization bool
	Organization      *Organization
	Role              string
	Choices           []Choice
	// Requirements are what the installation and the organization, once it is
	// determined, ask of the sign-in; ACR what the request or the client asks, in
	// order of preference, and ACREssential that nothing less will do.
	Requirements []Requirement
	ACR          []string
	ACREssential bool
	// Consent is what is remembered for client and organization; nil if nothing.
	Consent *Consent

	// NextStep is the path of the page that the flow needs next, "" when a code can be issued. ResumeURL is where the
	// browser goes after a page. Both are set for pages only.
	NextStep  string
	ResumeURL string

	Now time.Time
}

// HasPrompt reports whether the request has this prompt value (OpenID Connect Core 1.0, section 3.1.2.1).
func (j *FlowState) HasPrompt(value string) bool { return slices.Contains(j.Prompt, value) }

// OrganizationID is the nil UUID while, or if, there is none.
func (j *FlowState) OrganizationID() uuid.UUID {
	if j.Organization == nil {
		return uuid.Nil
	}
	return j.Organization.ID
}

// SignedIn reports whether a person is signed in recently enough for this flow.
func (j *FlowState) SignedIn() bool {
	return j.Session != nil && !j.Session.Session.AuthTime.Before(j.Flow.SignInAfter)
}
