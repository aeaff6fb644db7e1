package identity

import (
	"context"
	"time"

	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/storage"
)

// FreshFor is how long after signing in what weakens an account may be done.
const FreshFor = 5 * time.Minute

// RequiredSteps is what a person's session still needs before they may do anything with
// their account: what the installation requires (settings, as storage.Registry has
// them) and what each of their organizations requires. An authorization request requires
// less, of the one organization that it acts for, or more, its acr.
func (ss *Sessions) RequiredSteps(ctx context.Context, v *storage.SessionContext,
	settings storage.PlatformSettings) (assurance.Decision, error) {
	asked, err := ss.store.Requirements(ctx, v.User.ID)
	if err != nil {
		return assurance.Decision{}, err
	}
	if settings.MFA.Require != "" {
		asked = append(asked, storage.Requirement{Policy: settings.MFA, From: v.User.CreatedAt})
	}
	return assurance.Evaluate(assurance.Input{Factors: v.User.Factors, ACR: v.Session.ACR, AMR: v.Session.AMR,
		Requirements: asked, Now: ss.currentTime()}), nil
}

// OverdueSince returns since when an organization asks for a second step that the
// person's session does not meet; false if it asks for none. Relying parties learn
// nothing of such an organization, its member does.
func (ss *Sessions) OverdueSince(v *storage.SessionContext, m *storage.Membership) (time.Time, bool) {
	if m.Requirement == nil {
		return time.Time{}, false
	}
	s := assurance.Input{Factors: v.User.Factors, ACR: v.Session.ACR, AMR: v.Session.AMR,
		Requirements: []storage.Requirement{*m.Requirement}, Now: ss.currentTime()}
	return s.OverdueSince()
}

// IsFresh reports whether the person signed in within FreshFor, and has shown their
// second step if they have one. The caller looks at where the session is used from.
func (ss *Sessions) IsFresh(v *storage.SessionContext) bool {
	return !assurance.NeedsSecondFactor(v.User.Factors, v.Session.ACR) && ss.currentTime().Sub(v.Session.AuthTime) <= FreshFor
}
