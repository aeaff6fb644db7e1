package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/app"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/spf13/cobra"
)

// shownClient is the output of `clients show --json`, under the names of RFC 7591 and our own.
type shownClient struct {
	ID           string `json:"client_id"`
	Organization string `json:"organization,omitempty"`
	storage.Metadata
	PKCE            storage.PKCE   `json:"require_pkce"`
	ManagedBy       string         `json:"managed_by"`
	Disabled        bool           `json:"disabled"`
	Unprotected     int64          `json:"unprotected_requests"`
	LastUnprotected time.Time      `json:"unprotected_at,omitzero"`
	Serves          []string       `json:"serves"`
	Secrets         []shownSecret  `json:"secrets"`
	Refusals        []shownRefusal `json:"refusals"`
	Logo            *shownLogo     `json:"logo,omitempty"` // nil without logo_uri
	CreatedAt       time.Time      `json:"created_at"`
	UpdatedAt       time.Time      `json:"updated_at"`
	LastUsed        time.Time      `json:"last_used_at,omitzero"`
}

// shownLogo is the state of the client's logo_uri.
type shownLogo struct {
	Fetched bool      `json:"fetched"`
	Problem string    `json:"problem,omitempty"`
	Tries   int       `json:"tries"`
	NextTry time.Time `json:"next_try,omitzero"`
}

// String is the logo in one line.
func (l *shownLogo) String() string {
	switch {
	case l.Fetched:
		return "fetched, and shown on pages"
	case l.Problem == "":
		return "not fetched yet; a running server does it within seconds"
	case l.NextTry.IsZero():
		return fmt.Sprintf("cannot be shown: %s; tries: %d, the next one when the registration changes", l.Problem, l.Tries)
	}
	return fmt.Sprintf("cannot be shown: %s; tries: %d, the next one %s", l.Problem, l.Tries, formatTime(l.NextTry))
}

// shownSecret is what may be shown of a secret.
type shownSecret struct {
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	LastUsed  time.Time `json:"last_used_at,omitzero"`
	Weak      bool      `json:"weak"`
}

// shownRefusal is a refused request of the client, or with More the number of those in one minute that were not
// stored.
type shownRefusal struct {
	At          time.Time `json:"at"`
	Endpoint    string    `json:"endpoint,omitempty"`
	Error       string    `json:"error,omitempty"`
	Cause       string    `json:"cause,omitempty"`
	RequestID   string    `json:"request_id,omitempty"`
	Parameters  []string  `json:"parameters,omitempty"`
	RedirectURI string    `json:"redirect_uri,omitempty"`
	Scope       string    `json:"scope,omitempty"`
	More        int64     `json:"more,omitempty"`
}

// shownRefusals is how many refusals are shown, the latest first.
const shownRefusals = 10

func (p *program) clientsShow() *cobra.Command {
	return p.jsonFlag(&cobra.Command{
		Use: "show CLIENT_ID", Short: "Show a client application",
		Long: "Show the registration of a client application, what it serves, when it and its secrets were used, and its last requests that were refused, with the cause.\n" +
			"The secrets themselves cannot be shown.",
		Example: examples("sallyport clients show portal", "sallyport clients show portal --json"),
		Args:    cobra.ExactArgs(1),
		RunE: p.withReadOnly(func(ctx context.Context, a *app.App, args []string) error {
			c, err := a.Identity.Clients.Get(ctx, identity.Operator(), args[0])
			if err != nil {
				return clientFailure(err, args[0])
			}
			v, err := p.describe(ctx, a, c)
			if err != nil {
				return err
			}
			if p.json {
				return p.printJSON(v)
			}
			for _, line := range v.lines(c) {
				fmt.Fprintln(p.out, printable(line))
			}
			return nil
		}),
	})
}

// describe collects what is shown about a client.
func (p *program) describe(ctx context.Context, a *app.App, c *storage.Client) (*shownClient, error) {
	organization, err := a.Identity.Clients.Organization(ctx, identity.Operator(), c)
	if err != nil {
		return nil, err
	}
	v := &shownClient{ID: c.ID, Organization: organization, Metadata: c.Metadata, PKCE: c.Metadata.RequirePKCE, ManagedBy: c.ManagedBy,
		Disabled: !c.Active(), Unprotected: c.UnprotectedRequests, LastUnprotected: c.UnprotectedAt,
		Serves: []string{}, Secrets: []shownSecret{}, Refusals: []shownRefusal{},
		CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt, LastUsed: c.LastUsedAt}
	resources, err := a.Identity.Resources.List(ctx, identity.Operator())
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
	switch l, err := a.Store.Logos.Get(ctx, c.ID); {
	case err == nil:
		v.Logo = &shownLogo{l.Fetched, l.Problem, l.Tries, l.DueAt}
	case !errors.Is(err, storage.ErrNotFound):
		return nil, err
	}
	refusals, err := a.Identity.Clients.Refusals(ctx, identity.Operator(), c.ID, shownRefusals)
	if err != nil {
		return nil, err
	}
	for _, r := range refusals {
		v.Refusals = append(v.Refusals, shownRefusal{r.At, r.Endpoint, r.Error, r.Cause, r.RequestID,
			r.Parameters, r.RedirectURI, r.Scope, r.More})
	}
	return v, nil
}

// lines are the client as text.
func (v *shownClient) lines(c *storage.Client) []string {
	state := map[bool]string{true: "disabled", false: "active"}[v.Disabled]
	if c.Unprotected() {
		state += fmt.Sprintf(", unprotected: %d requests with neither PKCE nor a nonce, the last one %s",
			v.Unprotected, formatTime(v.LastUnprotected))
	}
	lines := []string{"client_id: " + v.ID, "type: " + clientType(c), "state: " + state}
	switch v.ManagedBy {
	case storage.ManagedByFile:
		lines = append(lines, "managed_by: clients.yaml, which is where to change it")
	case storage.ManagedByFileOnce:
		lines = append(lines, "managed_by: clients.yaml, which names it no more")
	}
	if v.Organization != "" {
		lines = append(lines, "organization: "+v.Organization)
	}
	lines = append(lines, identity.DiffMetadata(&storage.Metadata{}, &v.Metadata)...)
	if v.PKCE == storage.PKCEOptional && len(v.RedirectURIs) > 0 {
		lines = append(lines, "require_pkce: "+v.PKCE.String())
	}
	if len(v.Serves) > 0 {
		lines = append(lines, "serves: "+strings.Join(v.Serves, ", "))
	}
	if v.Logo != nil {
		lines = append(lines, "logo: "+v.Logo.String())
	}
	for _, k := range v.Secrets {
		line := "secret: made " + formatTime(k.CreatedAt)
		if !k.ExpiresAt.IsZero() {
			line += ", ends " + formatTime(k.ExpiresAt)
		}
		if !k.LastUsed.IsZero() {
			line += ", last used " + formatTime(k.LastUsed)
		}
		lines = append(lines, line+map[bool]string{true: ", weak"}[k.Weak])
	}
	lines = append(lines, "created: "+formatTime(v.CreatedAt), "updated: "+formatTime(v.UpdatedAt))
	if !v.LastUsed.IsZero() {
		lines = append(lines, "last used: "+formatTime(v.LastUsed))
	}
	for _, r := range v.Refusals {
		lines = append(lines, "refused: "+r.String())
	}
	return lines
}

// String is the refusal in one line, with what a developer needs to find its cause.
func (r shownRefusal) String() string {
	if r.More > 0 {
		return fmt.Sprintf("%s, and %d more in that minute", formatTime(r.At), r.More)
	}
	line := fmt.Sprintf("%s %s %s", formatTime(r.At), r.Endpoint, r.Error)
	if r.Cause != "" {
		line += ": " + strings.TrimSuffix(r.Cause, ".")
	}
	for _, value := range []struct{ name, value string }{
		{"scope", r.Scope}, {"redirect_uri", r.RedirectURI}, {"request id", r.RequestID},
	} {
		if value.value != "" {
			line += fmt.Sprintf(", %s %s", value.name, value.value)
		}
	}
	return line
}
