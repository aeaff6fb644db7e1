package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/app"
	"github.com/spf13/cobra"
)

func (p *program) secrets() *cobra.Command {
	cmd := &cobra.Command{Use: "secrets", Short: "Look after what is kept under SECRET_KEY and ENCRYPTION_KEY",
		Long: "Look after what is kept under SECRET_KEY and ENCRYPTION_KEY.\n\nTo change one of them put the new key in front of the old one, separated by a comma, restart all nodes, run\n" +
			"`sallyport secrets rotate`, and drop the old key when `sallyport secrets status` names nothing under it.",
		Example: examples("sallyport secrets status", "sallyport secrets rotate")}
	cmd.AddCommand(
		p.jsonFlag(&cobra.Command{Use: "status", Short: "Count what is kept under each key",
			Example: examples("sallyport secrets status", "sallyport secrets status --json"), Args: cobra.NoArgs,
			RunE: p.withReadOnly(p.secretsStatus)}),
		&cobra.Command{Use: "rotate", Short: "Seal everything under the first key",
			Example: examples("sallyport secrets rotate"), Args: cobra.NoArgs,
			Long: "Seal signing keys and the seeds of authenticator apps under the first ENCRYPTION_KEY. Client secrets cannot be read, so each moves to the first SECRET_KEY when its client uses it next.",
			RunE: p.with(func(ctx context.Context, a *app.App, args []string) error {
				n, err := a.Keys.Reseal(ctx)
				if err != nil {
					return err
				}
				fmt.Fprintf(p.out, "%d signing keys were sealed anew.\n", n)
				if n, err = a.Factors.Reseal(ctx); err != nil {
					return err
				}
				fmt.Fprintf(p.out, "%d seeds of authenticator apps were sealed anew.\n", n)
				return p.secretsStatus(ctx, a, args)
			})})
	return cmd
}

func (p *program) secretsStatus(ctx context.Context, a *app.App, _ []string) error {
	if a.KeysMissing {
		return &failure{what: "the keys of this installation are not in " + a.Config.DataDir,
			next: "`sallyport serve` makes them where there are none. Those that exist already: set SECRET_KEY and ENCRYPTION_KEY."}
	}
	type row struct {
		Setting string `json:"setting"`
		Key     string `json:"key_id"`
		Current bool   `json:"current"`
		What    string `json:"what"`
		Count   int    `json:"count"`
	}
	values, rows := []row{}, [][]string{}
	note := func(setting, what, current string, counts map[string]int) {
		counts[current] += 0 // the key in use is named even if nothing is under it
		for _, id := range slices.Sorted(maps.Keys(counts)) {
			v := row{setting, id, id == current, what, counts[id]}
			values = append(values, v)
			state := map[bool]string{true: "in use", false: "former"}[v.Current]
			if id == "" {
				id, state = "none", "before first use"
			}
			rows = append(rows, []string{setting, id, state, fmt.Sprintf("%d %s", v.Count, what)})
		}
	}
	clients, current, err := a.Identity.Clients.SecretKeys(ctx, identity.Operator())
	if err != nil {
		return err
	}
	note("SECRET_KEY", "client secrets", current, clients)
	sealed, err := a.Keys.CountSealed(ctx)
	if err != nil {
		return err
	}
	note("ENCRYPTION_KEY", "signing keys", a.Sealer.CurrentKeyID(), sealed)
	if sealed, err = a.Factors.Sealed(ctx); err != nil {
		return err
	}
	note("ENCRYPTION_KEY", "authenticator apps", a.Sealer.CurrentKeyID(), sealed)
	return p.list(values, []string{"setting", "key id", "state", "keeps"}, rows)
}
