package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/app"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/spf13/cobra"
)

// shownConnection is a connection as the commands print it.
type shownConnection struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
	storage.ConnectionSettings
	State       string `json:"state"` // enabled, disabled, or removed: the configuration does not name it
	HasSecret   bool   `json:"has_secret"`
	RedirectURI string `json:"redirect_uri"`
}

func shownConnectionOf(a *app.App, c *storage.Connection) shownConnection {
	state := "enabled"
	switch {
	case !c.RemovedAt.IsZero():
		state = "removed"
	case !c.DisabledAt.IsZero():
		state = "disabled"
	}
	return shownConnection{c.Name, c.Kind, c.Settings, state, c.Secret != nil, a.CallbackURL(c)}
}

func (p *program) connections() *cobra.Command {
	cmd := &cobra.Command{Use: "connections", Short: "Look after the providers that people can sign in with",
		Long: "Look after upstream connections: Google, GitHub, Microsoft and other identity providers. The configuration names them\n" +
			"(docs/upstream.md), and a server takes that over when it starts.",
		Example: examples("sallyport connections list", "sallyport connections test google")}
	cmd.AddCommand(p.connectionsList(), p.connectionsShow(), p.connectionsTest(), p.connectionsSwitch("enable", true),
		p.connectionsSwitch("disable", false))
	return cmd
}

func (p *program) connectionsList() *cobra.Command {
	return p.jsonFlag(&cobra.Command{
		Use: "list", Short: "List connections", Example: examples("sallyport connections list", "sallyport connections list --json"),
		Args: cobra.NoArgs,
		RunE: p.withReadOnly(func(ctx context.Context, a *app.App, _ []string) error {
			all, err := a.Identity.Connections.List(ctx, identity.Operator())
			if err != nil {
				return err
			}
			if len(all) == 0 {
				fmt.Fprintln(p.err, "There are none yet; a server takes them from the configuration when it starts (docs/upstream.md).")
			}
			values, rows := []shownConnection{}, [][]string{}
			for i := range all {
				v := shownConnectionOf(a, &all[i])
				values = append(values, v)
				rows = append(rows, []string{v.Name, v.Kind, v.Label, v.State, strings.Join(v.Domains, " ")})
			}
			return p.list(values, []string{"name", "kind", "label", "state", "domains"}, rows)
		}),
	})
}

// connection finds the connection that a command names.
func (p *program) connection(ctx context.Context, a *app.App, name string) (*storage.Connection, error) {
	c, err := a.Identity.Connections.ByName(ctx, identity.Operator(), name)
	return c, notFound(err, "connection "+printable(name), "See which there are: sallyport connections list")
}

func (p *program) connectionsShow() *cobra.Command {
	return p.jsonFlag(&cobra.Command{
		Use: "show NAME", Short: "Show a connection", Long: "Show a connection, and the redirect URI to register at the provider. The secret cannot be shown.",
		Example: examples("sallyport connections show google", "sallyport connections show google --json"), Args: cobra.ExactArgs(1),
		RunE: p.withReadOnly(func(ctx context.Context, a *app.App, args []string) error {
			c, err := p.connection(ctx, a, args[0])
			if err != nil {
				return err
			}
			v := shownConnectionOf(a, c)
			if p.json {
				return p.printJSON(v)
			}
			for _, line := range [][2]string{{"name", v.Name}, {"kind", v.Kind}, {"label", v.Label}, {"state", v.State}, {"issuer", v.Issuer},
				{"tenant", v.Tenant}, {"client_id", v.ClientID}, {"redirect_uri", v.RedirectURI}, {"domains", strings.Join(v.Domains, " ")}} {
				if line[1] != "" {
					fmt.Fprintf(p.out, "%-13s %s\n", line[0], printable(line[1]))
				}
			}
			return nil
		}),
	})
}

func (p *program) connectionsTest() *cobra.Command {
	return &cobra.Command{
		Use: "test NAME", Short: "See whether a connection works",
		Long: "Ask the provider of a connection for all that a sign-in needs: its metadata, its keys, and whether it accepts the client\n" +
			"with its secret. Signing in itself is left out, because it takes a person.",
		Example: examples("sallyport connections test google"), Args: cobra.ExactArgs(1),
		RunE: p.withReadOnly(func(ctx context.Context, a *app.App, args []string) error {
			c, err := p.connection(ctx, a, args[0])
			if err != nil {
				return err
			}
			if code, problem, remedy := a.TestConnection(ctx, c); code != "" {
				return &failure{what: fmt.Sprintf("%s does not work: %s (%s)", printable(c.Name), printable(problem), code), next: remedy}
			}
			return p.say("%s works. The redirect URI to register at the provider is %s\n", printable(c.Name), a.CallbackURL(c))
		}),
	}
}

// connectionsSwitch is `connections enable` and `connections disable`.
func (p *program) connectionsSwitch(verb string, enabled bool) *cobra.Command {
	short := map[bool]string{true: "Let people sign in with a connection again", false: "Let nobody sign in with a connection"}[enabled]
	return &cobra.Command{
		Use: verb + " NAME", Short: short, Long: short + ". It stays so over restarts; sessions go on.",
		Example: examples("sallyport connections " + verb + " google"), Args: cobra.ExactArgs(1),
		RunE: p.with(func(ctx context.Context, a *app.App, args []string) error {
			changed, err := a.Identity.Connections.SetEnabled(ctx, identity.Operator(), args[0], enabled)
			if err != nil {
				return notFound(err, "connection "+printable(args[0]), "See which there are: sallyport connections list")
			}
			already := map[bool]string{true: "", false: " already"}[changed]
			return p.say("%s is %sd%s.\n", printable(args[0]), verb, already)
		}),
	}
}
