package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/app"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/spf13/cobra"
)

// registration is what the flags of `clients create` and `clients update` say about a client.
type registration struct {
	cmd   *cobra.Command
	given storage.Metadata
	pkce  string
}

// registrationFlags gives a command the flags of a registration.
func registrationFlags(cmd *cobra.Command) *registration {
	r := &registration{cmd: cmd}
	flags := cmd.Flags()
	flags.StringVar(&r.given.ClientName, "name", "", "the `NAME` that people see")
	flags.StringArrayVar(&r.given.RedirectURIs, "redirect-uri", nil, "a `URI` that codes are sent to; may be repeated")
	flags.StringArrayVar(&r.given.PostLogoutRedirectURIs, "post-logout-redirect-uri", nil, "a `URI` to return to after logout; may be repeated")
	flags.StringVar(&r.given.Scope, "scope", "", "the `SCOPES` it may ask for, in one argument")
	flags.StringVar(&r.pkce, "pkce", "", "`WHAT` --type web must send against code injection: required (PKCE), auto (PKCE or a nonce, the default) or off")
	flags.StringVar(&r.given.AccessTokenFormat, "access-token-format", "", "the `FORMAT` of access tokens: opaque (the default) or jwt")
	flags.BoolVar(&r.given.ClaimsInIDToken, "claims-in-id-token", false, "put the claims of profile, email, phone and address into the ID token, for relying parties that never ask userinfo")
	return r
}

// setters are what each flag does to m.
func (r *registration) setters(m *storage.Metadata) map[string]func() error {
	set := func(change func()) func() error { return func() error { change(); return nil } }
	return map[string]func() error{
		"name":                     set(func() { m.ClientName = r.given.ClientName }),
		"redirect-uri":             set(func() { m.RedirectURIs = withoutEmpty(r.given.RedirectURIs) }),
		"post-logout-redirect-uri": set(func() { m.PostLogoutRedirectURIs = withoutEmpty(r.given.PostLogoutRedirectURIs) }),
		"scope":                    set(func() { m.Scope = r.given.Scope }),
		"access-token-format":      set(func() { m.AccessTokenFormat = r.given.AccessTokenFormat }),
		"claims-in-id-token":       set(func() { m.ClaimsInIDToken = r.given.ClaimsInIDToken }),
		"pkce":                     func() (err error) { m.RequirePKCE, err = parsePKCE(r.pkce, m); return err },
	}
}

// isGiven reports whether any of the flags was given.
func (r *registration) isGiven() bool {
	for flag := range r.setters(&storage.Metadata{}) {
		if r.cmd.Flags().Changed(flag) {
			return true
		}
	}
	return false
}

// applyTo changes what m says to what the flags say, as far as they were given.
func (r *registration) applyTo(m *storage.Metadata) error {
	for flag, set := range r.setters(m) {
		if !r.cmd.Flags().Changed(flag) {
			continue
		}
		if err := set(); err != nil {
			return err
		}
	}
	return nil
}

// withoutEmpty is a list of a flag, in which a lone "" stands for no entries.
func withoutEmpty(values []string) []string {
	return slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == "" })
}

func (p *program) clientsUpdate() *cobra.Command {
	cmd := &cobra.Command{
		Use: "update CLIENT_ID", Short: "Change a client application",
		Long: "Change what the flags name of a client application; all else stays. A list that is given takes the place of the one there was, and \"\" empties it.\n" +
			"Tokens and consents that are out stay as they are. The type and the organization of a client do not change: register another one.\n" +
			"A client that clients.yaml owns is changed in the file.",
		Example: examples("sallyport clients update portal --redirect-uri https://portal.example.com/callback --redirect-uri https://new.example.com/callback",
			`sallyport clients update portal --scope "openid profile email org" --post-logout-redirect-uri https://portal.example.com/`,
			"sallyport clients update portal --pkce required --access-token-format jwt --claims-in-id-token=false"),
		Args: cobra.ExactArgs(1),
	}
	r := registrationFlags(cmd)
	act := p.with(func(ctx context.Context, a *app.App, args []string) error {
		changes, err := a.Identity.UpdateClient(ctx, identity.Operator(), args[0], r.applyTo)
		if err != nil {
			return noClient(err, args[0])
		}
		if len(changes) == 0 {
			fmt.Fprintln(p.out, "No difference.")
			return nil
		}
		fmt.Fprintf(p.out, "%s is changed.\n", args[0])
		for _, line := range changes {
			fmt.Fprintf(p.out, "    %s\n", printable(line))
		}
		return nil
	})
	cmd.RunE = func(c *cobra.Command, args []string) error {
		if !r.isGiven() {
			return &failure{what: "nothing says what to change", next: "See: sallyport clients update --help", code: 2}
		}
		return act(c, args)
	}
	return cmd
}

func (p *program) clientsEnable() *cobra.Command {
	return p.clientSwitch("enable", "Let a disabled client application go on", "Let a disabled client application go on: tokens that have not expired work again.",
		"active", (*identity.Identity).EnableClient)
}

func (p *program) clientsDisable() *cobra.Command {
	return p.clientSwitch("disable", "Stop a client application",
		"Stop a client application within a second, everywhere: nobody signs in to it, it gets no tokens, and those it has do not work. JWT access tokens work\n"+
			"until they expire at resource servers that do not ask here. One that clients.yaml owns stays disabled whatever the file says.",
		"disabled", (*identity.Identity).DisableClient)
}

// clientSwitch enables or disables a client.
func (p *program) clientSwitch(name, short, long, state string, do func(*identity.Identity, context.Context, identity.Actor, string) error) *cobra.Command {
	return &cobra.Command{
		Use: name + " CLIENT_ID", Short: short, Long: long, Example: examples("sallyport clients " + name + " portal"), Args: cobra.ExactArgs(1),
		RunE: p.with(func(ctx context.Context, a *app.App, args []string) error {
			before, err := a.Identity.Client(ctx, identity.Operator(), args[0])
			if err == nil {
				err = do(a.Identity, ctx, identity.Operator(), args[0])
			}
			if err != nil {
				return noClient(err, args[0])
			}
			already := before.Active() == (state == "active")
			fmt.Fprintf(p.out, "%s is %s %s.\n", before.ID, state, map[bool]string{true: "already", false: "now"}[already])
			return nil
		}),
	}
}

// shownClient is a client as `clients show --json` prints it: the names of RFC 7591, and ours.
type shownClient struct {
	ID           string `json:"client_id"`
	Organization string `json:"organization,omitempty"`
	storage.Metadata
	PKCE            storage.PKCE  `json:"require_pkce"`
	ManagedBy       string        `json:"managed_by"`
	Disabled        bool          `json:"disabled"`
	Unprotected     int64         `json:"unprotected_requests"`
	LastUnprotected time.Time     `json:"unprotected_at,omitzero"`
	Serves          []string      `json:"serves"`
	Secrets         []shownSecret `json:"secrets"`
	CreatedAt       time.Time     `json:"created_at"`
	UpdatedAt       time.Time     `json:"updated_at"`
	LastUsed        time.Time     `json:"last_used_at,omitzero"`
}

// shownSecret is what may be told about a secret.
type shownSecret struct {
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	LastUsed  time.Time `json:"last_used_at,omitzero"`
	Weak      bool      `json:"weak"`
}

func (p *program) clientsShow() *cobra.Command {
	return p.jsonFlag(&cobra.Command{
		Use: "show CLIENT_ID", Short: "Show a client application",
		Long:    "Show the registration of a client application, what it serves, and when it and its secrets were used. The secrets themselves cannot be shown.",
		Example: examples("sallyport clients show portal", "sallyport clients show portal --json"), Args: cobra.ExactArgs(1),
		RunE: p.reading(func(ctx context.Context, a *app.App, args []string) error {
			c, err := a.Identity.Client(ctx, identity.Operator(), args[0])
			if err != nil {
				return noClient(err, args[0])
			}
			v, err := p.shown(ctx, a, c)
			if err != nil {
				return err
			}
			if p.json {
				e := json.NewEncoder(p.out)
				e.SetIndent("", "  ")
				return e.Encode(v)
			}
			for _, line := range v.lines(c) {
				fmt.Fprintln(p.out, printable(line))
			}
			return nil
		}),
	})
}

// shown collects what is told about a client.
func (p *program) shown(ctx context.Context, a *app.App, c *storage.Client) (*shownClient, error) {
	v := &shownClient{ID: c.ID, Metadata: c.Metadata, PKCE: c.Metadata.RequirePKCE, ManagedBy: c.ManagedBy, Disabled: !c.Active(),
		Unprotected: c.UnprotectedRequests, LastUnprotected: c.UnprotectedAt, Serves: []string{}, Secrets: []shownSecret{},
		CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt, LastUsed: c.LastUsedAt}
	if c.Organization != uuid.Nil {
		var err error
		if v.Organization, err = a.Identity.ClientOrganization(ctx, identity.Operator(), c); err != nil {
			return nil, err
		}
	}
	resources, err := a.Identity.Resources(ctx, identity.Operator())
	if err != nil {
		return nil, err
	}
	for _, r := range resources {
		if slices.Contains(r.ServedBy, c.ID) {
			v.Serves = append(v.Serves, r.Identifier)
		}
	}
	for _, k := range c.Secrets {
		v.Secrets = append(v.Secrets, shownSecret{k.CreatedAt, k.ExpiresAt, k.LastUsedAt, k.Weak})
	}
	return v, nil
}

// lines are the client for people.
func (v *shownClient) lines(c *storage.Client) []string {
	state := map[bool]string{true: "disabled", false: "active"}[v.Disabled]
	if c.Unprotected() {
		state += fmt.Sprintf(", unprotected: %d requests with neither PKCE nor a nonce, the last one %s", v.Unprotected, when(v.LastUnprotected))
	}
	lines := []string{"client_id: " + v.ID, "type: " + kind(c), "state: " + state}
	switch v.ManagedBy {
	case storage.ManagedByFile:
		lines = append(lines, "managed_by: clients.yaml, which is where to change it")
	case storage.ManagedByFileOnce:
		lines = append(lines, "managed_by: clients.yaml, which names it no more")
	}
	if v.Organization != "" {
		lines = append(lines, "organization: "+v.Organization)
	}
	lines = append(lines, identity.ClientDetails(&v.Metadata)...)
	if v.PKCE == storage.PKCEOptional && len(v.RedirectURIs) > 0 {
		lines = append(lines, "require_pkce: "+v.PKCE.String())
	}
	if len(v.Serves) > 0 {
		lines = append(lines, "serves: "+strings.Join(v.Serves, ", "))
	}
	for _, k := range v.Secrets {
		line := "secret: made " + when(k.CreatedAt)
		if !k.ExpiresAt.IsZero() {
			line += ", ends " + when(k.ExpiresAt)
		}
		if !k.LastUsed.IsZero() {
			line += ", last used " + when(k.LastUsed)
		}
		lines = append(lines, line+map[bool]string{true: ", weak"}[k.Weak])
	}
	lines = append(lines, "created: "+when(v.CreatedAt), "updated: "+when(v.UpdatedAt))
	if !v.LastUsed.IsZero() {
		lines = append(lines, "last used: "+when(v.LastUsed))
	}
	return lines
}
