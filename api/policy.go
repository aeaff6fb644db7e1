package api

import (
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/storage"
)

// policyView is what is asked of people's sign-ins: nothing, any second step,
// totp or passkey.
type policyView struct {
	Require   string     `json:"require"` // "" asks for nothing
	GraceDays int        `json:"grace_days"`
	Since     *time.Time `json:"since,omitempty"`
	// Earlier is what goes on being asked until the days of grace are over.
	Earlier *policyView `json:"earlier,omitempty"`
}

func viewPolicy(p storage.MFAPolicy) map[string]*policyView {
	return map[string]*policyView{"mfa": viewMFA(&p)}
}

func viewMFA(p *storage.MFAPolicy) *policyView {
	v := &policyView{Require: p.Require, GraceDays: p.GraceDays}
	if !p.Since.IsZero() {
		v.Since = &p.Since
	}
	if p.Earlier != nil {
		v.Earlier = viewMFA(p.Earlier)
	}
	return v
}

// policyInput is the body of what sets one. All of it is required, grace_days where
// something is asked for: what is left out must not switch anything off.
type policyInput struct {
	MFA *struct {
		Require   *string `json:"require"`
		GraceDays *int    `json:"grace_days"`
	} `json:"mfa"`
}

func (in *policyInput) policy() (p storage.MFAPolicy, err error) {
	switch {
	case in.MFA == nil:
		return p, invalid("mfa", "is missing")
	case in.MFA.Require == nil:
		return p, invalid("mfa.require", `is missing; "" asks for nothing`)
	case in.MFA.GraceDays != nil:
		p.GraceDays = *in.MFA.GraceDays
	case *in.MFA.Require != "":
		return p, invalid("mfa.grace_days", "is missing")
	}
	p.Require = *in.MFA.Require
	return p, nil
}

// newPolicy reads a policy and has it set.
func newPolicy(c *call, set func(storage.MFAPolicy) (storage.MFAPolicy, error)) (map[string]*policyView, error) {
	var in policyInput
	if err := decode(c, &in); err != nil {
		return nil, err
	}
	p, err := in.policy()
	if err != nil {
		return nil, err
	}
	if p, err = set(p); err != nil {
		return nil, renamed(err, map[string]string{"require": "mfa.require", "grace_days": "mfa.grace_days"})
	}
	return viewPolicy(p), nil
}

func (a *API) organizationPolicy(c *call) (answer, error) {
	id, err := c.id()
	if err != nil {
		return answer{}, err
	}
	p, err := a.identity.Policies.MFA(c.r.Context(), c.actor(), id)
	return answer{message: "What the organization asks of its members.", data: viewPolicy(p)}, err
}

func (a *API) setOrganizationPolicy(c *call) (answer, error) {
	id, err := c.id()
	if err != nil {
		return answer{}, err
	}
	data, err := newPolicy(c, func(p storage.MFAPolicy) (storage.MFAPolicy, error) {
		return a.identity.Policies.SetMFA(c.r.Context(), c.actor(), id, p)
	})
	return answer{message: "The policy is set.", data: data}, err
}

func (a *API) settings(c *call) (answer, error) {
	p, err := a.identity.Policies.PlatformMFA(c.r.Context(), c.actor())
	return answer{message: "What the installation asks of everybody.", data: viewPolicy(p)}, err
}

func (a *API) setSettings(c *call) (answer, error) {
	data, err := newPolicy(c, func(p storage.MFAPolicy) (storage.MFAPolicy, error) {
		return a.identity.Policies.SetPlatformMFA(c.r.Context(), c.actor(), p)
	})
	return answer{message: "The settings are changed.", data: data}, err
}

// memberView is how a member stands to the policy.
type memberView struct {
	ID       uuid.UUID  `json:"id"`
	Email    string     `json:"email"`
	Name     string     `json:"name"`
	Role     string     `json:"role"`
	Factors  []string   `json:"factors"`
	Meets    bool       `json:"compliant"`
	Deadline *time.Time `json:"deadline,omitempty"`
	Overdue  bool       `json:"overdue"`
}

func viewMember(m *identity.MemberCompliance) memberView {
	v := memberView{ID: m.User.ID, Email: m.User.Email, Name: m.User.Profile.Name, Role: m.Role, Factors: append([]string{}, m.User.Factors...), Meets: m.Compliant, Overdue: m.Overdue}
	if !m.Deadline.IsZero() {
		v.Deadline = &m.Deadline
	}
	return v
}

// compliance pages over the members.
func (a *API) compliance(c *call) (answer, error) {
	id, err := c.id()
	if err != nil {
		return answer{}, err
	}
	p, err := a.page(c)
	if err != nil {
		return answer{}, err
	}
	all, err := a.identity.Policies.Compliance(c.r.Context(), c.actor(), id, p.id(uuid.Nil), p.fetch())
	if err != nil {
		return answer{}, err
	}
	return listed(p, "How the members stand to the policy.", all, func(m *identity.MemberCompliance) string { return m.User.ID.String() }, viewMember), nil
}
