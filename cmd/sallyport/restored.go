package main

import (
	"context"
	"fmt"
	"time"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/app"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/spf13/cobra"
)

// notInDatabase lists what a restored database does not tell.
const notInDatabase = `
What cannot be known from the database, and may be as it was when the backup was taken:
  passwords that were changed, second factors that were added or removed, client secrets that were rotated
  people who were disabled or deleted, memberships, roles and clients that were taken away
  signing keys that were rotated or revoked: sallyport keys list, sallyport keys revoke KID
Client assertions are good for 5 minutes and signed request objects for an hour: keep the nodes stopped until those of
before are over, and JWT access tokens that were revoked (15 minutes). Ask people to make new recovery codes.`

func (p *program) restored() *cobra.Command {
	var since string
	cmd := p.yesFlag(p.jsonFlag(&cobra.Command{
		Use: "restored", Short: "End what a restored backup brought back to life",
		Long: "End what a restored backup brought back to life, before the nodes start: codes, refresh tokens, links and recovery codes that were used since the backup are unused in it, and what was signed out, revoked or withdrawn lives.\n" +
			"Everything that lived at that time or later ends: all people sign in and consent again, all apps ask for new tokens, and personal access tokens, invitations and recovery codes have to be made anew. " +
			"An authenticator app's code counts again within two minutes.",
		Example: examples("sallyport restored --since 2026-11-30T03:00:00Z", "sallyport restored --since 2026-11-30T03:00:00Z --yes --json"),
		Args:    cobra.NoArgs,
		RunE: p.with(func(ctx context.Context, a *app.App, _ []string) error {
			at, err := time.Parse(time.RFC3339, since)
			if err != nil || at.After(time.Now()) {
				return &failure{what: fmt.Sprintf("--since %q is not the time of a backup", since),
					next: "Write: --since 2026-11-30T03:00:00Z", code: 2}
			}
			if err := p.confirm("Everybody has to sign in again, and every app needs new tokens. Go on?"); err != nil {
				return err
			}
			all, err := a.Factors.EndRestored(storage.WithLongCalls(ctx, time.Hour), identity.Operator(), at)
			if err != nil {
				return err
			}
			rows := [][]string{}
			for _, x := range all {
				rows = append(rows, []string{x.What, fmt.Sprint(x.Count)})
			}
			if err := p.list(all, []string{"ended", "how many"}, rows); err != nil {
				return err
			}
			fmt.Fprintln(p.err, notInDatabase)
			return nil
		}),
	}))
	cmd.Flags().StringVar(&since, "since", "", "when the backup was taken, as an RFC 3339 `TIME`")
	return cmd
}
