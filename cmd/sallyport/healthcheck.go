package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/sallyport-id/sallyport/internal/app"
	"github.com/spf13/cobra"
)

func (p *program) healthcheck() *cobra.Command {
	var ready bool
	cmd := &cobra.Command{
		Use: "healthcheck", Short: "Ask the server of this machine whether it is well (for images)",
		Example: examples("sallyport healthcheck", "sallyport healthcheck --ready"), Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := p.load()
			if err != nil {
				return err
			}
			path := "/healthz"
			if ready {
				path = "/readyz"
			}
			return p.checkHealth(cmd.Context(), cfg.AdminListen, path)
		},
	}
	cmd.Flags().BoolVar(&ready, "ready", false, "ask whether it can serve, not only whether it runs")
	return cmd
}

// health asks the admin listener.
func (p *program) checkHealth(ctx context.Context, listen, path string) error {
	res, body, err := app.AskAdmin(ctx, listen, path)
	if err != nil {
		return &failure{what: "the server does not answer: " + err.Error(),
			next: "Is it running, with the same ADMIN_LISTEN?", cause: err}
	}
	if res.StatusCode != http.StatusOK {
		return &failure{what: fmt.Sprintf("the server answers %s: %s", res.Status, body)}
	}
	return p.say("ok\n")
}
