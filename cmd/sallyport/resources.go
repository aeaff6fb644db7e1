package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/app"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/spf13/cobra"
)

func (p *program) resources() *cobra.Command {
	cmd := &cobra.Command{Use: "resources", Short: "Look after resource servers and their scopes",
		Long: "Look after resource servers: APIs that take access tokens of this server (RFC 8707). Each defines scopes, with the sentence that people read\n" +
			"before they allow one. clients.yaml can define resource servers too.",
		Example: examples("sallyport resources list",
			`sallyport resources create https://api.example.com --name "Example API" --scope "api:read=Read your data"`)}
	cmd.AddCommand(p.resourcesList(), p.resourcesCreate(), p.resourcesDelete())
	return cmd
}

func (p *program) resourcesList() *cobra.Command {
	return p.jsonFlag(&cobra.Command{
		Use: "list", Short: "List resource servers", Example: examples("sallyport resources list",
			"sallyport resources list --json"), Args: cobra.NoArgs,
		RunE: p.withReadOnly(func(ctx context.Context, a *app.App, _ []string) error {
			all, err := a.Identity.Resources.List(ctx, identity.Operator())
			if err != nil {
				return err
			}
			type row struct {
				Identifier string            `json:"identifier"`
				Name       string            `json:"name"`
				Scopes     map[string]string `json:"scopes"`
				ServedBy   []string          `json:"served_by"`
				Owner      string            `json:"managed_by"`
			}
			values, rows := []row{}, [][]string{}
			for _, r := range all {
				values = append(values, row{r.Identifier, r.Name, r.Scopes, append([]string{}, r.ServedBy...), r.ManagedBy})
				rows = append(rows, []string{r.Identifier, r.Name, strings.Join(slices.Sorted(maps.Keys(r.Scopes)), " "),
					strings.Join(r.ServedBy, " "), r.ManagedBy})
			}
			return p.list(values, []string{"identifier", "name", "scopes", "served by", "managed by"}, rows)
		}),
	})
}

func (p *program) resourcesCreate() *cobra.Command {
	var name string
	var scopes, servedBy []string
	cmd := &cobra.Command{
		Use: "create IDENTIFIER", Short: "Register a resource server",
		Long: "Register a resource server by its identifier, an absolute URI, which is the aud of access tokens for it. Clients may ask for its scopes once their own\n" +
			"registration lists them: clients create --scope, clients update --scope.",
		Example: examples(`sallyport resources create https://api.example.com --name "Example API" --scope "api:read=Read your data" --scope "api:write=Change your data"`,
			`sallyport resources create https://files.example.com --scope "files:read=See your files" --served-by files-api`),
		Args: cobra.ExactArgs(1),
		RunE: p.withNew(func(ctx context.Context, a *app.App, args []string) error {
			r := storage.Resource{Identifier: args[0], Name: name, Scopes: map[string]string{}, ServedBy: servedBy}
			if r.Name == "" {
				r.Name = r.Identifier
			}
			for _, s := range scopes {
				scope, sentence, ok := strings.Cut(s, "=")
				if _, twice := r.Scopes[scope]; !ok || twice {
					return &failure{what: fmt.Sprintf("--scope %q is no new NAME=SENTENCE", printable(s)),
						next: `Write: --scope "api:read=Read your data"`, code: 2}
				}
				r.Scopes[scope] = sentence
			}
			err := a.Identity.Resources.Create(ctx, identity.Operator(), r)
			if err != nil {
				return explained(err, storage.ErrExists, fmt.Sprintf("the resource %s exists already", printable(r.Identifier)),
					"See it: sallyport resources list")
			}
			return p.say("Created %s.\n", printable(r.Identifier))
		}),
	}
	cmd.Flags().StringVar(&name, "name", "", "the `NAME` that people see (default: the identifier)")
	cmd.Flags().StringArrayVar(&scopes, "scope", nil,
		"a scope it defines and what people read about it, as `NAME=SENTENCE`; may be repeated")
	cmd.Flags().StringArrayVar(&servedBy, "served-by", nil,
		"the `CLIENT_ID` that it introspects tokens with; may be repeated")
	return cmd
}

func (p *program) resourcesDelete() *cobra.Command {
	return p.yesFlag(&cobra.Command{
		Use: "delete IDENTIFIER", Short: "Delete a resource server with its scopes",
		Long: "Delete a resource server with its scopes. Clients must not list the scopes any more: clients update --scope.\n" +
			"Introspection answers within a second that access tokens for it are inactive. JWT access tokens work until they expire\n" +
			"at resource servers that do not ask here.",
		Example: examples("sallyport resources delete https://api.example.com",
			"sallyport resources delete https://api.example.com --yes"), Args: cobra.ExactArgs(1),
		RunE: p.with(func(ctx context.Context, a *app.App, args []string) error {
			if err := p.confirm(fmt.Sprintf("%s is deleted with its scopes. Go on?", printable(args[0]))); err != nil {
				return err
			}
			if err := a.Identity.Resources.Delete(ctx, identity.Operator(), args[0]); err != nil {
				return notFound(err, "resource "+printable(args[0]), "See which there are: sallyport resources list")
			}
			return p.say("%s is deleted.\n", printable(args[0]))
		}),
	})
}
