package main

import (
	"context"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/app"
	"github.com/sallyport-id/sallyport/internal/sample/seed"
	"github.com/spf13/cobra"
)

func (p *program) seed() *cobra.Command {
	var o seed.Options
	cmd := &cobra.Command{
		Use: "seed", Short: "Create sample people, organizations and clients",
		Long:    "Create sample people, organizations and clients. What is there already is left alone. Refused in production: everybody knows the passwords.",
		Example: examples("sallyport seed", "sallyport seed --users 200", "sallyport seed --users 10000 --orgs 10000 --clients 10000"),
		Args:    cobra.NoArgs,
		RunE: p.withNew(func(ctx context.Context, a *app.App, _ []string) error {
			o.Progress = p.progress()
			if err := a.Seeder.Seed(ctx, identity.Operator(), o); err != nil {
				return err
			}
			return p.say("Sign in as:\n  bob@acme-corp.com     UserPass123!   member of Acme Corp\n  alice@acme-corp.com   UserPass123!   owner of Acme Corp, admin of Tech Startup\n  admin@sallyport.test  AdminPass123!  superadmin\n")
		}),
	}
	cmd.Flags().IntVar(&o.Users, "users", 0, "also user0@acme-corp.com and so on, `N` of them")
	cmd.Flags().IntVar(&o.Organizations, "orgs", 0, "also org0 and so on, `N` of them")
	cmd.Flags().IntVar(&o.Clients, "clients", 0, "also client0 and so on, `N` of them")
	return cmd
}
