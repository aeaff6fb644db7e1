package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/app"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/spf13/cobra"
)

func (p *program) orgs() *cobra.Command {
	cmd := &cobra.Command{Use: "orgs", Short: "Look after organizations, their members and what they ask of them",
		Example: examples("sallyport orgs list", "sallyport orgs invite acme-corp -e carol@acme-corp.com")}
	cmd.AddCommand(p.orgsCreate(), p.orgsList(), p.orgsAddMember(), p.orgsRemoveMember(),
		p.orgsInvite(), p.orgsInvitations(), p.orgsConfirmInvitation(), p.orgsRevokeInvitation(), p.orgsMFAPolicy(), p.orgsCompliance())
	return cmd
}

func (p *program) organization(ctx context.Context, a *app.App, slug string) (*storage.Organization, error) {
	o, err := a.Identity.Organizations.BySlug(ctx, identity.Operator(), slug)
	return o, notFound(err, fmt.Sprintf("organization %s", printable(slug)), "See which there are: sallyport orgs list")
}

// onOrganization runs act on the organization whose slug is the first argument.
func (p *program) onOrganization(act func(context.Context, *app.App, *storage.Organization, []string) error) action {
	return func(ctx context.Context, a *app.App, args []string) error {
		o, err := p.organization(ctx, a, args[0])
		if err != nil {
			return err
		}
		return act(ctx, a, o, args)
	}
}

func (p *program) orgsCreate() *cobra.Command {
	var name, owner string
	cmd := &cobra.Command{
		Use: "create SLUG", Short: "Create an organization",
		Long:    "Create an organization. Its slug is in URLs, scopes and tokens and never changes: 2 to 39 of a-z, 0-9 and -, beginning with a letter.",
		Example: examples(`sallyport orgs create acme-corp --name "Acme Corp" --owner alice@acme-corp.com`),
		Args:    cobra.ExactArgs(1),
		RunE: p.withNew(func(ctx context.Context, a *app.App, args []string) error {
			if name == "" {
				name = args[0]
			}
			var ownerID uuid.UUID
			if owner != "" {
				u, err := p.person(ctx, a, &owner)
				if err != nil {
					return err
				}
				ownerID = u.ID
			}
			o, err := a.Identity.Organizations.Create(ctx, identity.Operator(), args[0], name, ownerID)
			if err != nil {
				return explained(err, storage.ErrExists, fmt.Sprintf("the slug %s is or was taken", args[0]),
					"Choose another; see those in use: sallyport orgs list")
			}
			fmt.Fprintf(p.out, "Created %s (%s).\n", o.Slug, o.ID)
			if owner == "" {
				fmt.Fprintf(p.out, "It has no owner yet: sallyport orgs add-member %s -e ADDRESS --role owner\n", o.Slug)
			}
			return nil
		}),
	}
	cmd.Flags().StringVar(&name, "name", "", "the `NAME` that people see (default: the slug)")
	cmd.Flags().StringVar(&owner, "owner", "", "the `ADDRESS` of its first owner")
	return cmd
}

func (p *program) orgsList() *cobra.Command {
	limit := 0
	return limitFlag(p.jsonFlag(&cobra.Command{
		Use: "list [SLUG]", Short: "List organizations, or the members of one",
		Example: examples("sallyport orgs list", "sallyport orgs list acme-corp", "sallyport orgs list --json"),
		Args:    cobra.MaximumNArgs(1),
		RunE: p.withReadOnly(func(ctx context.Context, a *app.App, args []string) error {
			if len(args) == 1 {
				return p.members(ctx, a, args[0], limit)
			}
			type row struct {
				Slug string `json:"slug"`
				Name string `json:"name"`
				ID   string `json:"id"`
			}
			return listAll(p.listing("slug", "name", "id"), limit, func(after uuid.UUID, n int) ([]storage.Organization, error) {
				return a.Identity.Organizations.List(ctx, identity.Operator(), after, n)
			}, func(o storage.Organization) (any, []string, uuid.UUID) {
				return row{o.Slug, o.Name, o.ID.String()}, []string{o.Slug, o.Name, o.ID.String()}, o.ID
			})
		}),
	}), &limit)
}

func (p *program) members(ctx context.Context, a *app.App, slug string, limit int) error {
	o, err := p.organization(ctx, a, slug)
	if err != nil {
		return err
	}
	type row struct {
		Email string `json:"email"`
		Role  string `json:"role"`
		Sub   string `json:"sub"`
	}
	return listAll(p.listing("email", "role", "sub"), limit, func(after uuid.UUID, n int) ([]storage.Member, error) {
		return a.Identity.Organizations.Members(ctx, identity.Operator(), o.ID, after, n)
	}, func(m storage.Member) (any, []string, uuid.UUID) {
		return row{m.User.Email, m.Role, m.User.Sub.String()}, []string{m.User.Email, m.Role, m.User.Sub.String()}, m.User.ID
	})
}

func (p *program) orgsAddMember() *cobra.Command {
	var email, role string
	return memberRoleFlag(emailFlag(&cobra.Command{
		Use: "add-member SLUG", Short: "Give a person a role in an organization",
		Long:    "Give a person a role in an organization, or another one than they have.",
		Example: examples("sallyport orgs add-member acme-corp -e bob@acme-corp.com", "sallyport orgs add-member acme-corp -e alice@acme-corp.com --role owner"),
		Args:    cobra.ExactArgs(1),
		RunE: p.with(p.onOrganization(func(ctx context.Context, a *app.App, o *storage.Organization, args []string) error {
			u, err := p.person(ctx, a, &email)
			if err != nil {
				return err
			}
			err = a.Identity.Organizations.AddMember(ctx, identity.Operator(), o.ID, u.ID, role)
			if errors.Is(err, storage.ErrExists) {
				err = lastOwnerFailure(a.Identity.Organizations.SetRole(ctx, identity.Operator(), o.ID, u.ID, role), o)
			}
			if err != nil {
				return err
			}
			return p.say("%s is %s of %s.\n", printable(u.Email), role, o.Slug)
		})),
	}, &email), &role)
}

func (p *program) orgsRemoveMember() *cobra.Command {
	var email string
	return emailFlag(&cobra.Command{
		Use: "remove-member SLUG", Short: "Take a person out of an organization",
		Long:    "Take a person out of an organization. What they had allowed applications to do there is revoked.",
		Example: examples("sallyport orgs remove-member acme-corp -e bob@acme-corp.com"), Args: cobra.ExactArgs(1),
		RunE: p.with(p.onOrganization(func(ctx context.Context, a *app.App, o *storage.Organization, args []string) error {
			u, err := p.person(ctx, a, &email)
			if err != nil {
				return err
			}
			err = lastOwnerFailure(a.Identity.Organizations.RemoveMember(ctx, identity.Operator(), o.ID, u.ID), o)
			if err != nil {
				return notFound(err, fmt.Sprintf("member %s of %s", printable(u.Email), o.Slug),
					"See who there is: sallyport orgs list "+o.Slug)
			}
			return p.say("%s is not in %s any more.\n", printable(u.Email), o.Slug)
		})),
	}, &email)
}

// memberRoleFlag adds the flag for a role in an organization.
func memberRoleFlag(cmd *cobra.Command, role *string) *cobra.Command {
	cmd.Flags().StringVarP(role, "role", "r", storage.RoleMember, "owner, admin, member or guest")
	return cmd
}

// lastOwnerFailure says why an owner cannot lose the role.
func lastOwnerFailure(err error, o *storage.Organization) error {
	return explained(err, storage.ErrConflict, "they are the only owner of "+o.Slug,
		"Make somebody else its owner first: sallyport orgs add-member "+o.Slug+" -e ADDRESS --role owner")
}
