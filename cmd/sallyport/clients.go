package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/manifest"
	"github.com/sallyport-id/sallyport/internal/app"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/spf13/cobra"
)

func (p *program) clients() *cobra.Command {
	cmd := &cobra.Command{Use: "clients", Short: "Look after client applications and clients.yaml",
		Example: examples("sallyport clients list",
			`sallyport clients create portal --redirect-uri https://portal.example.com/callback`, "sallyport clients plan")}
	cmd.AddCommand(p.clientsPlan(), p.clientsApply(), p.clientsExport(), p.clientsList(), p.clientsShow(),
		p.clientsCreate(), p.clientsUpdate(),
		p.clientsEnable(), p.clientsDisable(), p.clientsRotateSecret(), p.clientsDelete())
	return cmd
}

func fileFlag(cmd *cobra.Command, file *string) *cobra.Command {
	cmd.Flags().StringVarP(file, "file", "f", "", "read `FILE` (default: clients.yaml)")
	return cmd
}

// manifest reads the file that -f names, or clients.yaml.
func (p *program) manifest(a *app.App, file string) (*manifest.File, error) {
	if file == "" {
		file = filepath.Join(a.Config.Dir, "clients.yaml")
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, &failure{what: err.Error(),
			next: "Name the file with -f, or write one: sallyport clients export >clients.yaml"}
	}
	return manifest.Read(file, text, manifest.Source{Production: a.Config.Env == app.Production}), nil
}

// fileFailure says how many faults a clients.yaml has, before it lists them.
func fileFailure(err error) error {
	var all manifest.FileErrors
	if !errors.As(err, &all) {
		return err
	}
	what := fmt.Sprintf("the file has %d faults; nothing was changed\n%s", len(all), all)
	return &failure{what: strings.Replace(what, "has 1 faults", "has a fault", 1), cause: err}
}

func (p *program) clientsPlan() *cobra.Command {
	var file string
	return fileFlag(&cobra.Command{
		Use: "plan", Short: "Show what applying clients.yaml would change",
		Long:    "Show what applying clients.yaml would change. The exit code is 2 if there is a difference.",
		Example: examples("sallyport clients plan", "sallyport clients plan -f staging.yaml"), Args: cobra.NoArgs,
		RunE: p.withPreview(func(ctx context.Context, a *app.App, _ []string) error {
			m, err := p.manifest(a, file)
			if err != nil {
				return err
			}
			plan, err := a.Manifest.Plan(ctx, identity.Operator(), m)
			if err != nil {
				return fileFailure(err)
			}
			fmt.Fprint(p.out, plan)
			if plan.IsEmpty() {
				return p.say("No difference.\n")
			}
			return &failure{code: 2}
		}),
	}, &file)
}

func (p *program) clientsApply() *cobra.Command {
	var file string
	return fileFlag(&cobra.Command{
		Use: "apply", Short: "Make the registry what clients.yaml says",
		Long: "Make the registry what clients.yaml says, whole or not at all. `sallyport serve` does so when it starts.\n" +
			"A client that the file names no more is disabled; naming it again enables it.",
		Example: examples("sallyport clients apply", "sallyport clients apply -f staging.yaml"), Args: cobra.NoArgs,
		RunE: p.withNew(func(ctx context.Context, a *app.App, _ []string) error {
			m, err := p.manifest(a, file)
			if err != nil {
				return err
			}
			show := p.progress()
			plan, err := a.Manifest.Apply(ctx, identity.Operator(), m, func(done, of int) {
				if of >= pageSize {
					show("changes", done, of)
				}
			})
			if err != nil {
				return fileFailure(err)
			}
			fmt.Fprint(p.out, plan)
			return p.say("Applied: %d changes.\n", len(plan.Changes))
		}),
	}, &file)
}

func (p *program) clientsExport() *cobra.Command {
	return &cobra.Command{
		Use: "export", Short: "Write the registry as a clients.yaml",
		Long:    "Write the registry as a clients.yaml to standard output, without secrets.",
		Example: examples("sallyport clients export >clients.yaml"), Args: cobra.NoArgs,
		RunE: p.withReadOnly(func(ctx context.Context, a *app.App, _ []string) error {
			text, err := a.Manifest.Export(ctx, identity.Operator())
			if err != nil {
				return err
			}
			_, err = p.out.Write(text)
			return err
		}),
	}
}

func (p *program) clientsList() *cobra.Command {
	limit := 0
	return limitFlag(p.jsonFlag(&cobra.Command{
		Use: "list", Short: "List client applications",
		Long: "List client applications. The state unprotected means that a client may send requests with neither PKCE nor a nonce and has done so:\n" +
			"a stolen code could be used in a sign-in of another person. Turn PKCE on in the application, then register it with require_pkce: auto or true.",
		Example: examples("sallyport clients list", "sallyport clients list --json"), Args: cobra.NoArgs,
		RunE: p.withReadOnly(func(ctx context.Context, a *app.App, _ []string) error {
			type row struct {
				ID       string       `json:"client_id"`
				Name     string       `json:"client_name"`
				Type     string       `json:"type"`
				Owner    string       `json:"managed_by"`
				Disabled bool         `json:"disabled"`
				Weak     bool         `json:"weak_secret"`
				LastUsed time.Time    `json:"last_used_at,omitzero"`
				PKCE     storage.PKCE `json:"require_pkce"`
				// Unprotected counts requests that got a code with neither PKCE nor a nonce.
				Unprotected     int64     `json:"unprotected_requests"`
				LastUnprotected time.Time `json:"unprotected_at,omitzero"`
			}
			columns := []string{"client_id", "name", "type", "state", "managed by", "last used"}
			return listAll(p.listing(columns...), limit, func(after string, n int) ([]*storage.Client, error) {
				return a.Identity.Clients.List(ctx, identity.Operator(), after, n)
			}, func(c *storage.Client) (any, []string, string) {
				v := row{c.ID, c.Metadata.ClientName, clientType(c), c.ManagedBy, !c.Active(), false, c.LastUsedAt,
					c.Metadata.RequirePKCE, c.UnprotectedRequests, c.UnprotectedAt}
				for _, k := range c.Secrets {
					v.Weak = v.Weak || k.Weak
				}
				state := map[bool]string{true: "disabled", false: "active"}[v.Disabled] + map[bool]string{true: ", weak secret"}[v.Weak] +
					map[bool]string{true: ", unprotected"}[c.Unprotected()]
				return v, []string{v.ID, v.Name, v.Type, state, v.Owner, formatTime(v.LastUsed)}, c.ID
			})
		}),
	}), &limit)
}

// clientType is the type of application that a client is, as --type names it.
func clientType(c *storage.Client) string {
	switch {
	case len(c.Metadata.RedirectURIs) == 0:
		return "machine"
	case c.Native():
		return "native"
	case c.Public():
		return "spa"
	}
	return "web"
}

func (p *program) clientsCreate() *cobra.Command {
	var sort, organization string
	cmd := &cobra.Command{
		Use: "create [CLIENT_ID]", Short: "Register a client application",
		Long: "Register a client application and print its secret, once. --type chooses safe settings:\n" +
			"  web      a server with a secret\n  spa      a page in a browser: no secret, PKCE\n  native   an app on people's own devices: no secret, PKCE\n  machine  no people: client_credentials\n" +
			"Without flags that say otherwise --type web gets --pkce auto, and access tokens are opaque.\n" +
			"Scopes of an API are defined first, by `sallyport resources create`. For what no flag says use clients.yaml.",
		Example: examples(`sallyport clients create portal --name "Portal" --redirect-uri https://portal.example.com/callback --post-logout-redirect-uri https://portal.example.com/`,
			"sallyport clients create cluster --redirect-uri https://k8s.example.com/callback --scope \"openid profile email\" --claims-in-id-token",
			`sallyport resources create https://api.example.com --scope "api:read=Read your data"`,
			"sallyport clients create importer --type machine --scope api:read --access-token-format jwt"),
		Args: cobra.MaximumNArgs(1),
	}
	r := registrationFlags(cmd)
	cmd.Flags().StringVar(&sort, "type", "web", "web, spa, native or machine")
	cmd.Flags().StringVar(&organization, "org", "",
		"the `SLUG` of the organization it belongs to and whose members alone it admits")
	cmd.RunE = p.withNew(func(ctx context.Context, a *app.App, args []string) error {
		var n identity.NewClient
		if len(args) == 1 {
			n.ID = args[0]
		}
		if organization != "" {
			o, err := p.organization(ctx, a, organization)
			if err != nil {
				return err
			}
			n.Organization = o.ID
		}
		if err := applyPreset(&n.Metadata, sort); err != nil {
			return err
		}
		if err := r.applyTo(&n.Metadata); err != nil {
			return err
		}
		c, secret, err := a.Identity.Clients.Create(ctx, identity.Operator(), n)
		if err != nil {
			return explained(err, storage.ErrExists, fmt.Sprintf("the client_id %s is or was taken", printable(n.ID)),
				"Choose another; see those in use: sallyport clients list")
		}
		fmt.Fprintf(p.out, "client_id      %s\n", c.ID)
		if secret != "" {
			fmt.Fprintf(p.out, "client_secret  %s\n", secret)
			fmt.Fprintln(p.err, "The secret is not shown again.")
		}
		return nil
	})
	return cmd
}

// applyPreset replaces in m what the safe settings of a type of application say.
func applyPreset(m *storage.Metadata, sort string) error {
	preset, ok := identity.ClientPreset(sort)
	if !ok {
		return &failure{what: fmt.Sprintf("there is no type %q", sort),
			next: "Choose web, spa, native or machine.", code: 2}
	}
	m.GrantTypes, m.RequirePKCE = preset.GrantTypes, preset.RequirePKCE
	m.TokenEndpointAuthMethod, m.ApplicationType = preset.TokenEndpointAuthMethod, preset.ApplicationType
	return nil
}

// parsePKCE reads the value of --pkce for a client with the registration m.
func parsePKCE(value string, m *storage.Metadata) (storage.PKCE, error) {
	policy, ok := map[string]storage.PKCE{"required": storage.PKCERequired, "auto": storage.PKCEAuto, "off": storage.PKCEOptional}[value]
	switch {
	case !ok:
		return "", &failure{what: fmt.Sprintf("--pkce cannot be %q", value),
			next: "Choose required, auto or off.", code: 2}
	case policy != storage.PKCERequired && m.TokenEndpointAuthMethod == "none":
		return "", &failure{what: "a client without a secret must use PKCE (RFC 9700, section 2.1.1)",
			next: "Leave --pkce out, or register --type web.", code: 2}
	}
	return policy, nil
}

func (p *program) clientsRotateSecret() *cobra.Command {
	var overlap time.Duration
	cmd := &cobra.Command{
		Use: "rotate-secret CLIENT_ID", Short: "Give a client a new secret",
		Long:    "Give a client a new secret and print it, once. The last one works on for a while, so that the application can change over; --overlap 0 ends it now.",
		Example: examples("sallyport clients rotate-secret portal", "sallyport clients rotate-secret portal --overlap 0"),
		Args:    cobra.ExactArgs(1),
		RunE: p.with(func(ctx context.Context, a *app.App, args []string) error {
			secret, err := a.Identity.Clients.RotateSecret(ctx, identity.Operator(), args[0], max(overlap, 0))
			if err != nil {
				return clientFailure(err, args[0])
			}
			fmt.Fprintf(p.out, "client_id      %s\nclient_secret  %s\n", args[0], secret)
			fmt.Fprintln(p.err, "The secret is not shown again.")
			return nil
		}),
	}
	cmd.Flags().DurationVar(&overlap, "overlap", identity.SecretOverlap, "how long the last secret works on")
	return cmd
}

func (p *program) clientsDelete() *cobra.Command {
	return p.yesFlag(&cobra.Command{
		Use: "delete CLIENT_ID", Short: "Delete a client application for good",
		Long:    "Delete a client application. Its tokens stop working, what people had allowed it is revoked, and its client_id is never given out again.",
		Example: examples("sallyport clients delete portal", "sallyport clients delete portal --yes"),
		Args:    cobra.ExactArgs(1),
		RunE: p.with(func(ctx context.Context, a *app.App, args []string) error {
			c, err := a.Identity.Clients.Get(ctx, identity.Operator(), args[0])
			if err != nil {
				return clientFailure(err, args[0])
			}
			if err := p.confirm(fmt.Sprintf("%s (%s) is deleted for good. Go on?", printable(c.Name()), c.ID)); err != nil {
				return err
			}
			if err := a.Identity.Clients.Delete(ctx, identity.Operator(), c.ID); err != nil {
				return clientFailure(err, c.ID)
			}
			return p.say("%s is deleted.\n", c.ID)
		}),
	})
}

// clientFailure says that there is no such client.
func clientFailure(err error, clientID string) error {
	return notFound(err, "client "+printable(clientID), "See which there are: sallyport clients list")
}
