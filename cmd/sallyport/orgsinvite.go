package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/app"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/spf13/cobra"
)

// orgFlag gives a command the organization that it is about.
func orgFlag(cmd *cobra.Command, slug *string) {
	cmd.Flags().StringVarP(slug, "org", "o", "", "the organization's `SLUG`")
}

// chosen finds the organization of -o; it asks if that is missing.
func (p *program) chosen(ctx context.Context, a *app.App, slug *string) (*storage.Organization, error) {
	if err := p.need(slug, "Organization", "-o SLUG"); err != nil {
		return nil, err
	}
	return p.organization(ctx, a, *slug)
}

func (p *program) orgsInvite() *cobra.Command {
	var slug, email, role string
	cmd := &cobra.Command{
		Use: "invite", Short: "Invite an address to an organization",
		Long: "Mail an address the offer of a role in an organization. The link in it is for that address alone, works once and for 7 days.\n" +
			"Inviting an address again replaces the link it has.",
		Example: examples("sallyport orgs invite -o acme-corp -e carol@acme-corp.com", "sallyport orgs invite -o acme-corp -e carol@acme-corp.com --role admin"), Args: cobra.NoArgs,
		RunE: p.with(func(ctx context.Context, a *app.App, _ []string) error {
			o, err := p.chosen(ctx, a, &slug)
			if err != nil {
				return err
			}
			if err := p.need(&email, "Email", "-e ADDRESS"); err != nil {
				return err
			}
			if a.Config.Mail.Provider == "" {
				return &failure{what: "this installation sends no mail", next: "Set MAIL_PROVIDER, or add people who have an account: sallyport orgs add-member"}
			}
			n, err := a.Identity.Invite(ctx, identity.Operator(), o.ID, email, role)
			if err != nil {
				return notInvited(err, email, o)
			}
			fmt.Fprintf(p.out, "The invitation of %s to be %s of %s is on its way. It can be accepted until %s.\n", printable(n.Email), n.Role, o.Slug, when(n.ExpiresAt))
			if a.Config.Mail.Provider == "outbox" {
				fmt.Fprintf(p.out, "Mail does not leave this machine: read it at %s/dev/mail while the server runs.\n", a.Config.Issuer)
			}
			return nil
		}),
	}
	orgFlag(cmd, &slug)
	emailFlag(cmd, &email)
	cmd.Flags().StringVar(&role, "role", storage.RoleMember, "owner, admin, member or guest")
	return cmd
}

// notInvited says why an address was not invited.
func notInvited(err error, email string, o *storage.Organization) error {
	switch {
	case errors.Is(err, storage.ErrExists):
		return &failure{what: fmt.Sprintf("%s is in %s already", printable(email), o.Slug), next: "Give them another role: sallyport orgs add-member " + o.Slug + " -e ADDRESS --role ROLE", cause: err}
	case errors.Is(err, identity.ErrTooManyInvitations):
		return &failure{what: o.Slug + " has as many open invitations as it may", next: "See them: sallyport orgs invitations -o " + o.Slug, cause: err}
	case errors.Is(err, identity.ErrTooManyMails):
		return &failure{what: printable(email) + " was written to often enough for now", next: "Try again in an hour.", cause: err}
	}
	return err
}

func (p *program) orgsInvitations() *cobra.Command {
	var slug string
	limit := 0
	cmd := p.jsonFlag(&cobra.Command{
		Use: "invitations", Short: "List the open invitations of an organization",
		Example: examples("sallyport orgs invitations -o acme-corp", "sallyport orgs invitations -o acme-corp --json"), Args: cobra.NoArgs,
		RunE: p.with(func(ctx context.Context, a *app.App, _ []string) error {
			o, err := p.chosen(ctx, a, &slug)
			if err != nil {
				return err
			}
			type row struct {
				Email     string    `json:"email"`
				Role      string    `json:"role"`
				InvitedBy string    `json:"invited_by"`
				ExpiresAt time.Time `json:"expires_at"`
				ID        string    `json:"id"`
			}
			values, rows := []row{}, [][]string{}
			err = pages(limit, func(after uuid.UUID, n int) (int, uuid.UUID, error) {
				all, err := a.Identity.Invitations(ctx, identity.Operator(), o.ID, after, n)
				for _, i := range all {
					by := i.Inviter
					if i.InvitedBy == uuid.Nil {
						by = "operator"
					}
					values = append(values, row{i.Email, i.Role, by, i.ExpiresAt, i.ID.String()})
					rows = append(rows, []string{i.Email, i.Role, by, when(i.ExpiresAt), i.ID.String()})
					after = i.ID
				}
				return len(all), after, err
			})
			if err != nil {
				return err
			}
			return p.list(values, []string{"email", "role", "invited by", "until", "id"}, rows)
		}),
	})
	orgFlag(cmd, &slug)
	limitFlag(cmd, &limit)
	return cmd
}
