package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/sallyport-id/sallyport/internal/app"
	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/spf13/cobra"
)

func (p *program) keys() *cobra.Command {
	var r keys.Rotation
	cmd := &cobra.Command{Use: "keys", Short: "Look after the keys that sign tokens",
		Example: examples("sallyport keys list", "sallyport keys rotate")}
	rotate := p.jsonFlag(&cobra.Command{
		Use: "rotate", Short: "Replace the signing keys",
		Long: "Publish new signing keys; they take over when every relying party must have seen them.\nKeys also rotate by themselves, on schedule.\n\n" +
			"What the former key has signed stays valid, with --immediately too. A key that others may know\nis to be revoked: sallyport keys revoke KID.",
		Example: examples("sallyport keys rotate", "sallyport keys rotate --alg ES256", "sallyport keys rotate --immediately"),
		Args:    cobra.NoArgs,
		RunE: p.withNew(func(ctx context.Context, a *app.App, _ []string) error {
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
	rotate.Flags().BoolVar(&r.Immediately, "immediately", false, "sign with the new key in seconds, not when all caches must have seen it")
	cmd.AddCommand(rotate, p.revokeKey(), p.jsonFlag(&cobra.Command{
		Use: "list", Short: "List the signing keys", Example: examples("sallyport keys list", "sallyport keys list --json"), Args: cobra.NoArgs,
		RunE: p.withReadOnly(func(ctx context.Context, a *app.App, _ []string) error {
			all, err := a.Keys.ListStored(ctx)
			if err != nil {
				return err
			}
			if len(all) == 0 {
				fmt.Fprintln(p.err, "There are none yet; `sallyport serve` makes them.")
			}
			return p.keyTable(all)
		}),
	}))
	return cmd
}

func (p *program) revokeKey() *cobra.Command {
	return p.yesFlag(&cobra.Command{
		Use: "revoke KID", Short: "Withdraw a signing key that others may know",
		Long: "Take a signing key out of the published set and out of every check, on all nodes within a second.\n" +
			"If it is the one that signs, its successor takes over first. The command says what stops working, and asks.",
		Example: examples("sallyport keys list", "sallyport keys revoke Zx3…", "sallyport keys revoke Zx3… --yes"),
		Args:    cobra.ExactArgs(1),
		RunE: p.with(func(ctx context.Context, a *app.App, args []string) error {
			if err := a.Keys.Load(ctx); err != nil {
				return err
			}
			unknown := func(err error) error {
				return notFound(err, fmt.Sprintf("signing key %q", args[0]), "List them: sallyport keys list")
			}
			all := a.Keys.List()
			n := slices.IndexFunc(all, func(k keys.Key) bool { return k.KID == args[0] })
			if n < 0 {
				return unknown(storage.ErrNotFound)
			}
			key := all[n]
			if key.State == storage.KeyRevoked {
				return p.say("The %s key %s was revoked before.\n", key.Alg, key.KID)
			}
			fmt.Fprintln(p.err, revocationEffects(key))
			if err := p.confirm("Revoke it?"); err != nil {
				return err
			}
			successor, err := a.Keys.Revoke(ctx, keys.Revocation{KID: key.KID})
			if err != nil {
				return unknown(err)
			}
			fmt.Fprintf(p.out, "The %s key %s is revoked.\n", key.Alg, key.KID)
			if successor != "" {
				fmt.Fprintf(p.out, "%s signs from now on.\n", successor)
			}
			return p.say("What else to do when a key has leaked: docs/operations.md.\n")
		}),
	})
}

// revocationEffects says what stops working when a key is revoked.
func revocationEffects(k keys.Key) string {
	about := fmt.Sprintf("%s is the %s key of generation %d (%s).\n", k.KID, k.Alg, k.Generation, k.State)
	switch k.State {
	case storage.KeyPending:
		return about + "It has signed nothing yet, so nothing breaks."
	case storage.KeyArchived:
		return about + "What it signed has expired. As id_token_hint, at sign-in and logout, it will be ignored."
	}
	return about + "What it has signed stops working at once, true or forged:\n" +
		"  - JWT access tokens: clients refresh them, or ask for new ones;\n" +
		"  - ID tokens, for relying parties that fetch the published keys again; the others accept them for up to five minutes;\n" +
		"  - ID tokens as id_token_hint are ignored: a logout asks the person, prompt=none goes by the session alone.\n" +
		"Sessions, opaque access tokens and refresh tokens stay."
}

func (p *program) keyTable(all []keys.Key) error {
	rows := [][]string{}
	for _, k := range all {
		rows = append(rows, []string{k.Alg, fmt.Sprint(k.Generation), fmt.Sprint(k.State), formatTime(k.ActivatesAt),
			formatTime(k.RetiredAt), k.KID})
	}
	return p.list(all, []string{"alg", "generation", "state", "signs from", "retired", "kid"}, rows)
}
