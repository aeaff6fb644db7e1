package signin

import (
	"context"

	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/storage"
)

// Required is what a session still needs before its user may go on, in this order. Consent, which is
// not about the session, is asked for after it.
type Required struct {
	// SignIn: no user is signed in, or not recently enough for the flow.
	SignIn bool
	// Decision is a second factor to show, or one to set up.
	assurance.Decision
	// Organization: the user must choose for which one they act.
	Organization bool
}

// Any reports whether anything is required.
func (r *Required) Any() bool { return r.SignIn || r.Incomplete() || r.Organization }

// RequiredFor tells what a flow still needs of the session in its browser.
func RequiredFor(j *storage.FlowState) Required {
	if !j.SignedIn() {
		return Required{SignIn: true}
	}
	session := &j.Session.Session
	return Required{Organization: j.NeedsOrganization && j.Organization == nil,
		Decision: assurance.Evaluate(assurance.Input{Factors: j.Session.User.Factors, ACR: session.ACR, AMR: session.AMR,
			Requirements: j.Requirements, Wanted: j.ACR, Now: j.Now})}
}

// Required tells what a session still needs outside of any flow: what the installation and each
// organization of its user ask for. A nil session needs a sign-in.
func (s *Service) Required(ctx context.Context, c *session.Current) (r Required, err error) {
	if c == nil {
		return Required{SignIn: true}, nil
	}
	settings, err := s.registry.Settings(ctx)
	if err != nil {
		return r, err
	}
	r.Decision, err = s.identity.Sessions.RequiredSteps(ctx, c.SessionContext, settings)
	return r, err
}

// NeedsSecondFactor reports whether the session carries no rights before the user's own second
// factor is shown.
func NeedsSecondFactor(v *storage.SessionContext) bool {
	return assurance.NeedsSecondFactor(v.User.Factors, v.Session.ACR)
}

// IsFresh reports whether the user signed in within identity.FreshFor and uses the session from
// where it was made: an attacker who only found a browser signed in must not change what protects
// the account.
func (s *Service) IsFresh(c *session.Current) bool {
	return c.Status == session.Valid && s.identity.Sessions.IsFresh(c.SessionContext)
}
