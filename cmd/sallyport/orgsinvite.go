package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/app"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/spf13/cobra"
)

func (p *program) orgsInvite() *cobra.Command {
	var email, role string
	return memberRoleFlag(emailFlag(&cobra.Command{
		Use: "invite SLUG", Short: "Invite an address to an organization",
		Long: "Mail an address the offer of a role in an organization. The link in it is for that address alone, works once and for 7 days.\n" +
			"Inviting an address again replaces the link it has.",
		Example: examples("sallyport orgs invite acme-corp -e carol@acme-corp.com",
			"sallyport orgs invite acme-corp -e carol@acme-corp.com --role admin"), Args: cobra.ExactArgs(1),
		RunE: p.with(p.onOrganization(func(ctx context.Context, a *app.App, o *storage.Organization, args []string) error {
			if err := p.askIfMissing(&email, "Email", "-e ADDRESS"); err != nil {
				return err
			}
			if a.Config.Mail.Provider == "" {
				return &failure{what: "this installation sends no mail",
					next: "Set MAIL_PROVIDER, or add people who have an account: sallyport orgs add-member"}
			}
			n, err := a.Identity.Invitations.Create(ctx, identity.Operator(), o.ID, email, role)
			if err != nil {
				return invitationFailure(err, email, o)
			}
			fmt.Fprintf(p.out, "The invitation of %s to be %s of %s is on its way. It can be accepted until %s.\n",
				printable(n.Email), n.Role, o.Slug, formatTime(n.ExpiresAt))
			if a.Config.Mail.Provider == "outbox" {
				fmt.Fprintf(p.out, "Mail does not leave this machine: read it at %s/dev/mail while the server runs.\n", a.Config.Issuer)
			}
			return nil
		})),
	}, &email), &role)
}

// invitationFailure says why an address was not invited.
func invitationFailure(err error, email string, o *storage.Organization) error {
	switch {
	case errors.Is(err, storage.ErrExists):
		return &failure{what: fmt.Sprintf("%s is in %s already", printable(email), o.Slug),
			next: "Give them another role: sallyport orgs add-member " + o.Slug + " -e ADDRESS --role ROLE", cause: err}
	case errors.Is(err, identity.ErrTooManyInvitations):
		return &failure{what: o.Slug + " has as many open invitations as it may",
			next: "See them: sallyport orgs invitations " + o.Slug, cause: err}
	case errors.Is(err, identity.ErrTooManyMails):
		return &failure{what: printable(email) + " was written to often enough for now",
			next: "Try again in an hour.", cause: err}
	}
	return err
}

func (p *program) orgsInvitations() *cobra.Command {
	limit := 0
	return limitFlag(p.jsonFlag(&cobra.Command{
		Use: "invitations SLUG", Short: "List the open invitations of an organization",
		Long: "List the open invitations of an organization. A suspended one cannot be accepted until it is confirmed: its inviter has been\n" +
			"removed, disabled or given a lower role since.",
		Example: examples("sallyport orgs invitations acme-corp",
			"sallyport orgs invitations acme-corp --json"), Args: cobra.ExactArgs(1),
		RunE: p.withReadOnly(p.onOrganization(func(ctx context.Context, a *app.App, o *storage.Organization, args []string) error {
			type row struct {
				Email     string    `json:"email"`
				Role      string    `json:"role"`
				InvitedBy string    `json:"invited_by"`
				ExpiresAt time.Time `json:"expires_at"`
				Suspended bool      `json:"suspended"`
				ID        string    `json:"id"`
			}
			columns := []string{"email", "role", "invited by", "state", "until", "id"}
			return listAll(p.listing(columns...), limit, func(after uuid.UUID, n int) ([]storage.Invitation, error) {
				return a.Identity.Invitations.List(ctx, identity.Operator(), o.ID, after, n)
			}, func(i storage.Invitation) (any, []string, uuid.UUID) {
				by := i.Inviter
				if i.InvitedBy == uuid.Nil {
					by = "operator"
				}
				state := "open"
				if i.Suspended {
					state = "suspended"
				}
				return row{i.Email, i.Role, by, i.ExpiresAt, i.Suspended, i.ID.String()},
					[]string{i.Email, i.Role, by, state, formatTime(i.ExpiresAt), i.ID.String()}, i.ID
			})
		})),
	}), &limit)
}

func (p *program) orgsConfirmInvitation() *cobra.Command {
	return p.invitationCommand("confirm-invitation SLUG ID", "Confirm a suspended invitation",
		"Confirm an invitation whose inviter has been removed, disabled or given a lower role since. It can be accepted again then.",
		"confirmed", (*identity.Invitations).Confirm)
}

func (p *program) orgsRevokeInvitation() *cobra.Command {
	return p.invitationCommand("revoke-invitation SLUG ID", "Take an invitation back",
		"Take an open or suspended invitation back. Its link does not work any more.",
		"taken back", (*identity.Invitations).Revoke)
}

// invitationCommand is a command that acts on one invitation.
func (p *program) invitationCommand(use, short, long, done string,
	do func(*identity.Invitations, context.Context, identity.Actor, uuid.UUID, uuid.UUID) error) *cobra.Command {
	name, _, _ := strings.Cut(use, " ")
	return &cobra.Command{
		Use: use, Short: short, Long: long,
		Example: examples("sallyport orgs " + name + " acme-corp 0199f2c4-6a1e-7c3b-9d2f-3b1d5a7e9c10"),
		Args:    cobra.ExactArgs(2),
		RunE: p.with(p.onOrganization(func(ctx context.Context, a *app.App, o *storage.Organization, args []string) error {
			see := "See them: sallyport orgs invitations " + o.Slug
			invitation, err := uuid.Parse(args[1])
			if err != nil {
				return &failure{what: printable(args[1]) + " is not the id of an invitation", next: see, cause: err}
			}
			err = do(a.Identity.Invitations, ctx, identity.Operator(), o.ID, invitation)
			if err != nil {
				return explained(err, storage.ErrNotFound, o.Slug+" has no such invitation that can be "+done, see)
			}
			return p.say("The invitation is %s.\n", done)
		})),
	}
}
