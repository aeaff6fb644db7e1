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

// MFA returns the policy of an organization, for its owners and admins.
func (po *Policies) MFA(ctx context.Context, a Actor, organizationID uuid.UUID) (storage.MFAPolicy, error) {
	if err := po.Authorize(ctx, &a, ReadOrganization, organizationID); err != nil {
		return storage.MFAPolicy{}, err
	}
	settings, err := po.store.OrganizationSettings(ctx, organizationID)
	return settings.MFA, err
}

// SetMFA sets the policy of an organization and returns it as it is in force then. Since and Earlier are not taken
// from the caller: the grace begins again if members who met the policy may no longer meet it, and goes on if the
// policy becomes easier; until it is over, the previous policy stays in force. Errors: FieldErrors, ErrForbidden,
// storage.ErrNotFound.
func (po *Policies) SetMFA(ctx context.Context, a Actor, organizationID uuid.UUID,
	p storage.MFAPolicy) (storage.MFAPolicy, error) {
	if err := po.Authorize(ctx, &a, ManageOrganization, organizationID); err != nil {
		return p, err
	}
	if err := checkPolicy(&p); err != nil {
		return p, err
	}
	err := po.store.EditOrganizationSettings(ctx, organizationID, func(s *storage.OrganizationSettings) *storage.Event {
		return po.replacePolicy(a, storage.EventOrganizationMFAPolicyChanged, organizationID, &s.MFA, &p)
	})
	return p, err
}

// PlatformMFA returns the policy of the installation, for all users.
func (po *Policies) PlatformMFA(ctx context.Context, a Actor) (storage.MFAPolicy, error) {
	if err := po.Authorize(ctx, &a, ReadPlatform, uuid.Nil); err != nil {
		return storage.MFAPolicy{}, err
	}
	settings, err := po.store.PlatformSettings(ctx)
	return settings.MFA, err
}

// SetPlatformMFA is SetMFA for the installation.
func (po *Policies) SetPlatformMFA(ctx context.Context, a Actor, p storage.MFAPolicy) (storage.MFAPolicy, error) {
	if err := po.Authorize(ctx, &a, ManagePlatform, uuid.Nil); err != nil {
		return p, err
	}
	if err := checkPolicy(&p); err != nil {
		return p, err
	}
	err := po.store.EditPlatformSettings(ctx, func(s *storage.PlatformSettings) *storage.Event {
		return po.replacePolicy(a, storage.EventPlatformMFAPolicyChanged, uuid.Nil, &s.MFA, &p)
	})
	return p, err
}

func checkPolicy(p *storage.MFAPolicy) error {
	var faults FieldErrors
	kinds := []string{"", storage.RequireAny, storage.RequireTOTP, storage.RequirePasskey}
	faults.AddIf(!slices.Contains(kinds, p.Require), "require",
		fmt.Sprintf("%q is nothing to require", Clip(p.Require)), "choose any, totp or passkey, or leave it empty")
	faults.AddIf(p.GraceDays < 0 || p.GraceDays > MaxGraceDays, "grace_days", fmt.Sprintf("is %d", p.GraceDays),
		fmt.Sprintf("choose 0 to %d days", MaxGraceDays))
	if p.Require == "" {
		p.GraceDays = 0
	}
	return faults.err()
}

// replacePolicy replaces present by next and returns the event; nil if they are equal.
func (po *Policies) replacePolicy(a Actor, kind storage.EventType, organizationID uuid.UUID,
	present, next *storage.MFAPolicy) *storage.Event {
	*next = assurance.BeginGrace(*present, *next, po.currentTime())
	if present.Require == next.Require && present.GraceDays == next.GraceDays {
		return nil
	}
	e := WithFact(WithFact(a.Event(kind), "before", policyFacts(*present)), "after", policyFacts(*next))
	e.Organization = organizationID
	*present = *next
	return e
}

func policyFacts(p storage.MFAPolicy) map[string]any {
	return map[string]any{"require": p.Require, "grace_days": p.GraceDays}
}
