package main

import (
	"context"
	"fmt"

	"github.com/sallyport-id/sallyport/internal/app"
	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/spf13/cobra"
)

func (p *program) keys() *cobra.Command {
	var r keys.Rotation
	cmd := &cobra.Command{Use: "keys", Short: "Look after the keys that sign tokens"}
	rotate := p.jsonFlag(&cobra.Command{
		Use: "rotate", Short: "Replace the signing keys",
		Long:    "Publish new signing keys; they take over when every relying party must have seen them.\nKeys also rotate by themselves, on schedule.",
		Example: examples("sallyport keys rotate", "sallyport keys rotate --alg ES256", "sallyport keys rotate --immediately"), Args: cobra.NoArgs,
		RunE: p.with(func(ctx context.Context, a *app.App, _ []string) error {
			if err := a.Keys.Load(ctx); err != nil {
				return err
			}
			fresh, err := a.Keys.Rotate(ctx, r)
			if err != nil {
				return err
			}
			return p.keyTable(fresh)
		}),
	})
	rotate.Flags().StringVar(&r.Alg, "alg", "", "only of this algorithm")
	rotate.Flags().BoolVar(&r.Immediately, "immediately", false, "sign with the new key in seconds: for one that has leaked")
	cmd.AddCommand(rotate, p.jsonFlag(&cobra.Command{
		Use: "list", Short: "List the signing keys", Example: examples("sallyport keys list", "sallyport keys list --json"), Args: cobra.NoArgs,
		RunE: p.with(func(ctx context.Context, a *app.App, _ []string) error {
			if err := a.Keys.Load(ctx); err != nil {
				return err
			}
			return p.keyTable(a.Keys.List())
		}),
	}))
	return cmd
}

func (p *program) keyTable(all []keys.Key) error {
	rows := [][]string{}
	for _, k := range all {
		rows = append(rows, []string{k.Alg, fmt.Sprint(k.Generation), fmt.Sprint(k.State), when(k.ActivatesAt), when(k.RetiredAt), k.KID})
	}
	return p.list(all, []string{"alg", "generation", "state", "signs from", "retired", "kid"}, rows)
}
