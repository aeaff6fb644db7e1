package identity

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/storage"
)

// MemberCompliance is the state of a member under the organization's policy.
type MemberCompliance struct {
	User storage.User // with Factors
	Role string
	// Compliant says that the member has what the policy requires, or that it requires nothing.
	Compliant bool
	// Deadline is until when the member has to enrol; zero if Compliant.
	Deadline time.Time
	// Overdue says that the deadline is over, or that of the previous policy, which stays in force during the grace of
	// this one. The member can do nothing but enrol.
	Overdue bool
}

// Compliance lists up to limit members after the user id after, with their state under the organization's policy. Its
// owners and admins may read it.
func (po *Policies) Compliance(ctx context.Context, a Actor, organizationID, after uuid.UUID,
	limit int) ([]MemberCompliance, error) {
	if err := po.Authorize(ctx, &a, ReadOrganization, organizationID); err != nil {
		return nil, err
	}
	members, err := po.store.Members(ctx, organizationID, after, limit)
	if err != nil {
		return nil, err
	}
	now := po.currentTime()
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
