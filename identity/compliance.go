package identity

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/storage"
)

// MemberCompliance is how a member stands to their organization's policy.
type MemberCompliance struct {
	User storage.User // Factors are what they have
	Role string
	// Compliant: they have what the policy asks for, or it asks for nothing.
	Compliant bool
	// Deadline is until when they have to enrol; zero if they meet the policy.
	Deadline time.Time
	// Overdue: it is over, or that of the policy before, which goes on until this one's
	// grace is over. They can do nothing but enrol.
	Overdue bool
}

// Compliance lists up to limit members after the person with that id and how they
// stand to the organization's MFA policy, for its owners and admins.
func (i *Policies) Compliance(ctx context.Context, a Actor, organizationID, after uuid.UUID,
	limit int) ([]MemberCompliance, error) {
	if err := i.Authorize(ctx, &a, ReadOrganization, organizationID); err != nil {
		return nil, err
	}
	members, err := i.store.Members(ctx, organizationID, after, limit)
	if err != nil {
		return nil, err
	}
	now := i.clock()
	all := make([]MemberCompliance, 0, len(members))
	for _, m := range members {
		c := MemberCompliance{User: m.User, Role: m.Role, Compliant: m.Requirement == nil ||
			assurance.HasEnrolled(m.User.Factors, m.Requirement.Policy.Require)}
		if !c.Compliant {
			c.Deadline = m.Requirement.Deadline()
			c.Overdue = assurance.IsOverdue(m.User.Factors, []storage.Requirement{*m.Requirement}, now)
		}
		all = append(all, c)
	}
	return all, nil
}
