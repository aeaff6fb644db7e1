package api

import (
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/storage"
)

// policyView is what a policy requires at sign-in: nothing, any second factor, totp or passkey.
type policyView struct {
	Require   string     `json:"require"` // "" requires nothing
	GraceDays int        `json:"grace_days"`
	Since     *time.Time `json:"since,omitempty"`
	// Earlier is the policy that stays in force until the days of grace are over.
	Earlier *policyView `json:"earlier,omitempty"`
}

func viewPolicy(p storage.MFAPolicy) map[string]*policyView {
	return map[string]*policyView{"mfa": viewMFA(&p)}
}

func viewMFA(p *storage.MFAPolicy) *policyView {
	v := &policyView{Require: p.Require, GraceDays: p.GraceDays, Since: timeOrNull(p.Since)}
	if p.Earlier != nil {
		v.Earlier = viewMFA(p.Earlier)
	}
	return v
}

// policyInput is the body that sets a policy. All members are required, grace_days only if something is: a missing
// member must not switch a requirement off.
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

// set calls change with the policy of the body and returns the policy that is in force then.
func (in *policyInput) set(change func(storage.MFAPolicy) (storage.MFAPolicy, error)) (map[string]*policyView, error) {
	p, err := in.policy()
	if err != nil {
		return nil, err
	}
	p, err = change(p)
	return viewPolicy(p), renameFields(err, map[string]string{"require": "mfa.require", "grace_days": "mfa.grace_days"})
}

func (a *API) organizationPolicy(c *call) (response, error) {
	p, err := a.identity.Policies.MFA(c.r.Context(), c.actor(), c.id)
	return response{message: "What the organization asks of its members.", data: viewPolicy(p)}, err
}

func (a *API) setOrganizationPolicy(c *call, in *policyInput) (response, error) {
	data, err := in.set(func(p storage.MFAPolicy) (storage.MFAPolicy, error) {
		return a.identity.Policies.SetMFA(c.r.Context(), c.actor(), c.id, p)
	})
	return response{message: "The policy is set.", data: data}, err
}

func (a *API) settings(c *call) (response, error) {
	p, err := a.identity.Policies.PlatformMFA(c.r.Context(), c.actor())
	return response{message: "What the installation asks of everybody.", data: viewPolicy(p)}, err
}

func (a *API) setSettings(c *call, in *policyInput) (response, error) {
	data, err := in.set(func(p storage.MFAPolicy) (storage.MFAPolicy, error) {
		return a.identity.Policies.SetPlatformMFA(c.r.Context(), c.actor(), p)
	})
	return response{message: "The settings are changed.", data: data}, err
}

// memberView is a member's state under the policy.
type memberView struct {
	ID        uuid.UUID  `json:"id"`
	Email     string     `json:"email"`
	Name      string     `json:"name"`
	Role      string     `json:"role"`
	Factors   []string   `json:"factors"`
	Compliant bool       `json:"compliant"`
	Deadline  *time.Time `json:"deadline,omitempty"`
	Overdue   bool       `json:"overdue"`
}

func viewMember(m *identity.MemberCompliance) memberView {
	return memberView{ID: m.User.ID, Email: m.User.Email, Name: m.User.Profile.Name, Role: m.Role,
		Factors: append([]string{}, m.User.Factors...), Compliant: m.Compliant, Deadline: timeOrNull(m.Deadline),
		Overdue: m.Overdue}
}

// compliance lists the members with their state.
func (a *API) compliance(c *call) (response, error) {
	p, err := a.page(c)
	if err != nil {
		return response{}, err
	}
	all, err := a.identity.Policies.Compliance(c.r.Context(), c.actor(), c.id, p.id(uuid.Nil), p.fetchLimit())
	if err != nil {
		return response{}, err
	}
	return listResponse(p, "How the members stand to the policy.", all,
		func(m *identity.MemberCompliance) string { return m.User.ID.String() }, viewMember), nil
}
