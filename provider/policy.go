package provider

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/storage"
)

// situation is the sign-in that a grant comes from, with what the installation and
// one organization (nil for none) require of it by now.
func (p *Provider) situation(ctx context.Context, a *storage.Authorization, r *storage.Requirement,
	now time.Time) (assurance.Input, error) {
	settings, err := p.registry.Settings(ctx)
	s := assurance.Input{Factors: a.User.Factors, ACR: a.Grant.ACR, AMR: a.Grant.AMR, Now: now,
		Requirements: []storage.Requirement{{Policy: settings.MFA, From: a.User.CreatedAt}}}
	if r != nil {
		s.Requirements = append(s.Requirements, *r)
	}
	return s, err
}

// checkPolicies refuses tokens where the second step that the installation or the
// grant's organization requires by now was not enrolled in time, or not shown at the
// sign-in that the grant comes from. The grant stays: it works again once the policy
// is another, and the person can sign in anew for one that does.
func (p *Provider) checkPolicies(ctx context.Context, a *storage.Authorization, now time.Time) error {
	s, err := p.situation(ctx, a, a.Requirement, now)
	if err != nil {
		return err
	}
	if _, overdue := s.OverdueSince(); overdue {
		return errInvalidGrant.because(errors.New("the person has yet to set up the second step that is required, or to sign in with it"))
	}
	return nil
}

// withholdOrganizations takes out of an authorization of a person the organizations
// that a relying party may not learn about from it: their second-factor policy, or
// the installation's, is in force, and the grant's sign-in does not meet it. A
// password alone must not tell what such an organization knows about its members.
func (p *Provider) withholdOrganizations(ctx context.Context, a *storage.Authorization, now time.Time) error {
	if a.Organization == nil && len(a.Memberships) == 0 {
		return nil
	}
	own, err := p.situation(ctx, a, a.Requirement, now)
	if err != nil {
		return err
	}
	if _, overdue := own.OverdueSince(); overdue {
		a.Organization, a.Role = nil, ""
	}
	a.Memberships = slices.DeleteFunc(a.Memberships, func(m storage.Membership) bool {
		of := own
		of.Requirements = own.Requirements[:1:1]
		if m.Requirement != nil {
			of.Requirements = append(of.Requirements, *m.Requirement)
		}
		_, overdue := of.OverdueSince()
		return overdue
	})
	return nil
}
