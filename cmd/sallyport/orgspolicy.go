package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/internal/app"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/spf13/cobra"
)

// defaultGrace is in days.
const defaultGrace = 14

func (p *program) orgsMFAPolicy() *cobra.Command {
	var require string
	var grace int
	var platform bool
	cmd := &cobra.Command{
		Use: "mfa-policy [SLUG]", Short: "Show or set the second step that an organization asks for",
		Long: "Show which second step an organization, or with --platform the whole installation, asks its people for, or set it with --require.\n" +
			"People who have none that will do are reminded by mail and have the days of grace to set one up; after that they can do nothing else first.\n" +
			"Asking for more begins the grace anew.",
		Example: examples("sallyport orgs mfa-policy acme-corp",
			"sallyport orgs mfa-policy acme-corp --require any --grace-days 14",
			"sallyport orgs mfa-policy acme-corp --require none", "sallyport orgs mfa-policy --platform --require passkey"),
		Args: cobra.MaximumNArgs(1),
	}
	cmd.RunE = func(c *cobra.Command, args []string) error {
		flags := c.Flags()
		if platform == (len(args) == 1) {
			return &failure{what: "whose policy is meant: that of one organization, or that of the installation",
				next: "Give either its SLUG or --platform.", code: 2}
		}
		set := flags.Changed("require") || flags.Changed("grace-days")
		open := p.withReadOnly
		if set {
			open = p.with
		}
		return open(func(ctx context.Context, a *app.App, args []string) error {
			of, err := p.policyOf(ctx, a, args)
			if err != nil {
				return err
			}
			present, err := of.read(ctx)
			if err != nil {
				return err
			}
			if set {
				present = withFlags(present, require, grace, flags.Changed("require"), flags.Changed("grace-days"))
				if present, err = of.write(ctx, present); err != nil {
					return err
				}
			}
			fmt.Fprintln(p.out, of.sentence(present))
			return nil
		})(c, args)
	}
	cmd.Flags().BoolVar(&platform, "platform", false, "that of the whole installation")
	cmd.Flags().StringVar(&require, "require", "", "any, totp, passkey or none")
	cmd.Flags().IntVar(&grace, "grace-days", defaultGrace, "how many `DAYS` people have to set it up, 0 to 90")
	return cmd
}

// withFlags is p changed by the flags that were given.
func withFlags(p storage.MFAPolicy, require string, grace int, requireGiven, graceGiven bool) storage.MFAPolicy {
	if graceGiven || p.Require == "" {
		p.GraceDays = grace
	}
	if requireGiven {
		p.Require = require
	}
	if p.Require == "none" {
		p.Require = ""
	}
	return p
}

// policy says how a policy is read and written, and to whom it belongs.
type policy struct {
	owner string
	read  func(context.Context) (storage.MFAPolicy, error)
	write func(context.Context, storage.MFAPolicy) (storage.MFAPolicy, error)
}

// policyOf is the policy of the organization in args, or of the installation if there is none.
func (p *program) policyOf(ctx context.Context, a *app.App, args []string) (*policy, error) {
	if len(args) == 0 {
		return &policy{"The installation",
			func(ctx context.Context) (storage.MFAPolicy, error) {
				return a.Identity.Policies.PlatformMFA(ctx, identity.Operator())
			},
			func(ctx context.Context, m storage.MFAPolicy) (storage.MFAPolicy, error) {
				return a.Identity.Policies.SetPlatformMFA(ctx, identity.Operator(), m)
			}}, nil
	}
	o, err := p.organization(ctx, a, args[0])
	if err != nil {
		return nil, err
	}
	return &policy{o.Slug,
		func(ctx context.Context) (storage.MFAPolicy, error) {
			return a.Identity.Policies.MFA(ctx, identity.Operator(), o.ID)
		},
		func(ctx context.Context, m storage.MFAPolicy) (storage.MFAPolicy, error) {
			return a.Identity.Policies.SetMFA(ctx, identity.Operator(), o.ID, m)
		}}, nil
}

// sentence describes a policy.
func (p *policy) sentence(m storage.MFAPolicy) string {
	s := fmt.Sprintf("%s asks for %s", p.owner, assurance.RequirementText(m.Require))
	switch {
	case m.Require == "":
		return s + "."
	case m.GraceDays == 0:
		return s + ", at once."
	}
	s = fmt.Sprintf("%s. People have %d days to set it up: until %s, or from when they came if that was later.", s, m.GraceDays,
		formatTime(m.Since.Add(assurance.Days(m.GraceDays))))
	if m.Earlier != nil {
		s += fmt.Sprintf(" Until then it goes on asking for %s.", assurance.RequirementText(m.Earlier.Require))
	}
	return s
}

func (p *program) orgsCompliance() *cobra.Command {
	limit := 0
	return limitFlag(p.jsonFlag(&cobra.Command{
		Use: "compliance SLUG", Short: "List who has the second step that an organization asks for",
		Example: examples("sallyport orgs compliance acme-corp",
			"sallyport orgs compliance acme-corp --json"), Args: cobra.ExactArgs(1),
		RunE: p.withReadOnly(p.onOrganization(func(ctx context.Context, a *app.App, o *storage.Organization, args []string) error {
			type row struct {
				Email    string    `json:"email"`
				Role     string    `json:"role"`
				Factors  []string  `json:"factors"`
				Meets    bool      `json:"meets"`
				Overdue  bool      `json:"overdue"`
				Deadline time.Time `json:"deadline,omitzero"`
				Sub      string    `json:"sub"`
			}
			list := p.listing("email", "role", "has", "policy", "deadline")
			return listAll(list, limit, func(after uuid.UUID, n int) ([]identity.MemberCompliance, error) {
				return a.Identity.Policies.Compliance(ctx, identity.Operator(), o.ID, after, n)
			}, func(m identity.MemberCompliance) (any, []string, uuid.UUID) {
				return row{m.User.Email, m.Role, append([]string{}, m.User.Factors...), m.Compliant, m.Overdue, m.Deadline,
						m.User.Sub.String()},
					[]string{m.User.Email, m.Role, strings.Join(m.User.Factors, ", "), complianceState(m), formatTime(m.Deadline)}, m.User.ID
			})
		})),
	}), &limit)
}

// complianceState is a member's state under the policy in a word.
func complianceState(m identity.MemberCompliance) string {
	switch {
	case m.Compliant:
		return "met"
	case m.Overdue:
		return "overdue"
	}
	return "open"
}
