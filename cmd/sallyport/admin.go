package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/app"
	"github.com/sallyport-id/sallyport/internal/request"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/spf13/cobra"
)

func (p *program) admin() *cobra.Command {
	cmd := &cobra.Command{Use: "admin", Short: "Begin an installation, and let people back in",
		Long:    "Begin an installation, and let people back in who have lost their way. All of it is recorded in the audit log.",
		Example: examples("sallyport admin bootstrap", "sallyport admin unlock -e bob@example.com")}
	cmd.AddCommand(p.adminBootstrap(), p.adminResetMFA(), p.adminUnlock())
	return cmd
}

func (p *program) adminBootstrap() *cobra.Command {
	return p.jsonFlag(&cobra.Command{
		Use: "bootstrap", Short: "Print a new setup token",
		Long: "Print the address at which the first administrator is made, with a new token that counts once, for an hour. Tokens that were printed before count no more.\n\n" +
			"Once somebody administers the installation there are no setup tokens. Without a browser, make the first administrator with\n`sallyport users create --super-admin`.",
		Example: examples("sallyport admin bootstrap", "sallyport admin bootstrap --json"), Args: cobra.NoArgs,
		RunE: p.withNew(func(ctx context.Context, a *app.App, _ []string) error {
			token, expires, err := a.Identity.Installation.NewSetupToken(ctx, identity.Operator())
			if err != nil {
				return explained(err, identity.ErrAlreadySetUp, "somebody administers this installation already",
					"See who: sallyport users list; another one: sallyport users create --super-admin; their way back in: sallyport admin reset-mfa, sallyport users reset-password")
			}
			link := a.Identity.Installation.SetupLink(token)
			if p.json {
				return json.NewEncoder(p.out).Encode(struct {
					Token     string    `json:"token"`
					URL       string    `json:"url"`
					ExpiresAt time.Time `json:"expires_at"`
				}{token, link, expires})
			}
			return p.say("Open this address until %s:\n  %s\nOr paste the token at %s/setup:\n  %s\n", formatTime(expires), link, a.Config.Issuer, token)
		}),
	})
}

func (p *program) adminResetMFA() *cobra.Command {
	var email string
	return emailFlag(p.yesFlag(&cobra.Command{
		Use: "reset-mfa", Short: "Take every second step of a person away",
		Long: "Take a person's authenticator apps, passkeys, security keys and recovery codes away, when they have lost all of them. Their sessions end, and a mail tells them.\n\n" +
			"Be sure that it is really they who ask: whoever knows their password gets in afterwards.",
		Example: examples("sallyport admin reset-mfa -e bob@example.com", "sallyport admin reset-mfa -e bob@example.com --yes"),
		Args:    cobra.NoArgs,
		RunE: p.with(p.onPerson(&email, func(ctx context.Context, a *app.App, u *storage.User) error {
			if len(u.Factors) == 0 {
				return &failure{what: printable(u.Email) + " has no second step",
					next: "If they have forgotten their password: sallyport users reset-password; after too many attempts: sallyport admin unlock"}
			}
			if err := p.confirm(fmt.Sprintf("Every second step of %s is taken away, and a password alone signs in. Go on?", printable(u.Email))); err != nil {
				return err
			}
			if err := a.Factors.Reset(ctx, identity.Operator(), u.ID, request.Info{Device: "the command line of the server"}); err != nil {
				return err
			}
			return p.say("%s has no second step any more; their sessions have ended.\n", printable(u.Email))
		})),
	}), &email)
}

func (p *program) adminUnlock() *cobra.Command {
	var email string
	return emailFlag(&cobra.Command{
		Use: "unlock", Short: "Let a person try again after too many attempts",
		Long:    "Forget the wrong passwords and codes that were tried on a person's account, so that they can sign in at once. A running server follows within seconds.",
		Example: examples("sallyport admin unlock -e bob@example.com"), Args: cobra.NoArgs,
		RunE: p.with(p.onPerson(&email, func(ctx context.Context, a *app.App, u *storage.User) error {
			if err := a.Unlock(ctx, u.Email); err != nil {
				return err
			}
			return p.say("%s can try again.\n", printable(u.Email))
		})),
	}, &email)
}
