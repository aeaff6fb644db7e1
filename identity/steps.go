package identity

import (
	"context"
	"time"

	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/storage"
)

// FreshFor is how long after a sign-in actions that can weaken the account are allowed.
const FreshFor = 5 * time.Minute

// RequiredSteps is what a user's session still needs before the user may do anything with the account: what the
// installation (settings, from storage.Registry) and all their organizations require. An authorization request
// requires less, of its organization only, or more, by its acr.
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

// OverdueSince returns since when the session does not meet the organization's policy; false if it meets it. Only the
// member learns this, relying parties do not.
func (ss *Sessions) OverdueSince(v *storage.SessionContext, m *storage.Membership) (time.Time, bool) {
	if m.Requirement == nil {
		return time.Time{}, false
	}
	s := assurance.Input{Factors: v.User.Factors, ACR: v.Session.ACR, AMR: v.Session.AMR,
		Requirements: []storage.Requirement{*m.Requirement}, Now: ss.currentTime()}
	return s.OverdueSince()
}

// IsFresh reports whether the user signed in within FreshFor and has verified a second factor if they have one. The
// caller checks from where the session is used.
func (ss *Sessions) IsFresh(v *storage.SessionContext) bool {
	return !assurance.NeedsSecondFactor(v.User.Factors, v.Session.ACR) && ss.currentTime().Sub(v.Session.AuthTime) <= FreshFor
}
