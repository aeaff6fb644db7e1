package identity

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/storage"
)

// MaxGraceDays is the longest time to enrol that a policy can give.
const MaxGraceDays = 90

// MFA returns what an organization asks of its members, to its owners and admins.
func (i *Policies) MFA(ctx context.Context, a Actor, organizationID uuid.UUID) (storage.MFAPolicy, error) {
	if err := i.Authorize(ctx, &a, ReadOrganization, organizationID); err != nil {
		return storage.MFAPolicy{}, err
	}
	settings, err := i.store.OrganizationSettings(ctx, organizationID)
	return settings.MFA, err
}

// SetMFA sets what an organization asks of its members and returns it as it
// stands then. Since is not the caller's: the grace begins anew when people who met
// the requirement may meet it no longer, and stays when it becomes easier. Nor is
// Earlier: until the grace is over, what was in force stays so. Errors:
// FieldErrors, ErrForbidden, storage.ErrNotFound.
func (i *Policies) SetMFA(ctx context.Context, a Actor, organizationID uuid.UUID,
	p storage.MFAPolicy) (storage.MFAPolicy, error) {
	if err := i.Authorize(ctx, &a, ManageOrganization, organizationID); err != nil {
		return p, err
	}
	if err := checkPolicy(&p); err != nil {
		return p, err
	}
	err := i.store.EditOrganizationSettings(ctx, organizationID, func(s *storage.OrganizationSettings) *storage.Event {
		e := i.change(a, storage.EventOrganizationMFAPolicyChanged, &s.MFA, &p)
		if e != nil {
			e.Organization = organizationID
		}
		return e
	})
	return p, err
}

// PlatformMFA returns what the installation asks of everybody.
func (i *Policies) PlatformMFA(ctx context.Context, a Actor) (storage.MFAPolicy, error) {
	if err := i.Authorize(ctx, &a, ReadPlatform, uuid.Nil); err != nil {
		return storage.MFAPolicy{}, err
	}
	settings, err := i.store.PlatformSettings(ctx)
	return settings.MFA, err
}

// SetPlatformMFA is SetMFAPolicy for everybody.
func (i *Policies) SetPlatformMFA(ctx context.Context, a Actor, p storage.MFAPolicy) (storage.MFAPolicy, error) {
	if err := i.Authorize(ctx, &a, ManagePlatform, uuid.Nil); err != nil {
		return p, err
	}
	if err := checkPolicy(&p); err != nil {
		return p, err
	}
	err := i.store.EditPlatformSettings(ctx, func(s *storage.PlatformSettings) *storage.Event {
		return i.change(a, storage.EventPlatformMFAPolicyChanged, &s.MFA, &p)
	})
	return p, err
}

func checkPolicy(p *storage.MFAPolicy) error {
	var faults FieldErrors
	if !slices.Contains([]string{"", storage.RequireAny, storage.RequireTOTP, storage.RequirePasskey}, p.Require) {
		faults.Add("require", fmt.Sprintf("%q is nothing to require", Clip(p.Require)),
			"choose any, totp or passkey, or leave it empty")
	}
	if p.GraceDays < 0 || p.GraceDays > MaxGraceDays {
		faults.Add("grace_days", fmt.Sprintf("is %d", p.GraceDays), fmt.Sprintf("choose 0 to %d days", MaxGraceDays))
	}
	if p.Require == "" {
		p.GraceDays = 0
	}
	return faults.err()
}

// change puts next in the place of present and tells of it; nil if they are the same.
func (i *Policies) change(a Actor, kind storage.EventType, present, next *storage.MFAPolicy) *storage.Event {
	*next = assurance.BeginGrace(*present, *next, i.clock())
	if present.Require == next.Require && present.GraceDays == next.GraceDays {
		return nil
	}
	e := WithFact(WithFact(a.Event(kind), "before", policyFacts(*present)), "after", policyFacts(*next))
	*present = *next
	return e
}

func policyFacts(p storage.MFAPolicy) map[string]any {
	return map[string]any{"require": p.Require, "grace_days": p.GraceDays}
}
