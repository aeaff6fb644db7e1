package main

import (
	"context"
	"fmt"
	"slices"

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

// registrationFlags adds the flags of a registration to a command.
func registrationFlags(cmd *cobra.Command) *registration {
	r := &registration{cmd: cmd}
	flags := cmd.Flags()
	flags.StringVar(&r.given.ClientName, "name", "", "the `NAME` that people see")
	flags.StringArrayVar(&r.given.RedirectURIs, "redirect-uri", nil, "a `URI` that codes are sent to; may be repeated")
	flags.StringArrayVar(&r.given.PostLogoutRedirectURIs, "post-logout-redirect-uri", nil,
		"a `URI` to return to after logout; may be repeated")
	flags.StringVar(&r.given.LogoURI, "logo-uri", "", "the `URI` of its logo, a PNG, JPEG or WebP that is fetched once")
	flags.StringVar(&r.given.Scope, "scope", "", "the `SCOPES` it may ask for, in one argument")
	flags.StringVar(&r.pkce, "pkce", "", "`WHAT` a client with a secret must send against code injection: required (PKCE), auto (PKCE or a nonce) or off")
	flags.StringVar(&r.given.AccessTokenFormat, "access-token-format", "", "the `FORMAT` of access tokens: opaque or jwt")
	flags.BoolVar(&r.given.ClaimsInIDToken, "claims-in-id-token", false,
		"put the claims of profile, email, phone and address into the ID token, for relying parties that never ask userinfo")
	return r
}

// setters are by flag the functions that change m to the flag's value.
func (r *registration) setters(m *storage.Metadata) map[string]func() error {
	set := func(change func()) func() error { return func() error { change(); return nil } }
	return map[string]func() error{
		"name":                     set(func() { m.ClientName = r.given.ClientName }),
		"redirect-uri":             set(func() { m.RedirectURIs = withoutEmpty(r.given.RedirectURIs) }),
		"post-logout-redirect-uri": set(func() { m.PostLogoutRedirectURIs = withoutEmpty(r.given.PostLogoutRedirectURIs) }),
		"logo-uri":                 set(func() { m.LogoURI = r.given.LogoURI }),
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

// applyTo changes m to the values of the flags that were given.
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

// withoutEmpty removes the "" by which a flag empties a list.
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
		changes, err := a.Identity.Clients.Update(ctx, identity.Operator(), args[0], r.applyTo)
		if err != nil {
			return clientFailure(err, args[0])
		}
		if len(changes) == 0 {
			return p.say("No difference.\n")
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
	return p.clientSwitch("enable", "Let a disabled client application go on",
		"Let a disabled client application go on: tokens that have not expired work again.",
		"active", (*identity.Clients).Enable)
}

func (p *program) clientsDisable() *cobra.Command {
	return p.clientSwitch("disable", "Stop a client application",
		"Stop a client application within a second, everywhere: nobody signs in to it, it gets no tokens, and those it has do not work. JWT access tokens work\n"+
			"until they expire at resource servers that do not ask here. One that clients.yaml owns stays disabled whatever the file says.",
		"disabled", (*identity.Clients).Disable)
}

// clientSwitch enables or disables a client.
func (p *program) clientSwitch(name, short, long, state string,
	do func(*identity.Clients, context.Context, identity.Actor, string) error) *cobra.Command {
	return &cobra.Command{
		Use: name + " CLIENT_ID", Short: short, Long: long,
		Example: examples("sallyport clients " + name + " portal"), Args: cobra.ExactArgs(1),
		RunE: p.with(func(ctx context.Context, a *app.App, args []string) error {
			before, err := a.Identity.Clients.Get(ctx, identity.Operator(), args[0])
			if err == nil {
				err = do(a.Identity.Clients, ctx, identity.Operator(), args[0])
			}
			if err != nil {
				return clientFailure(err, args[0])
			}
			changed := map[bool]string{true: "already", false: "now"}[before.Active() == (state == "active")]
			return p.say("%s is %s %s.\n", before.ID, state, changed)
		}),
	}
}
