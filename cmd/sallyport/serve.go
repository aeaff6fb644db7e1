package main

import (
	"github.com/sallyport-id/sallyport/internal/app"
	"github.com/spf13/cobra"
)

func (p *program) serve() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: "Run the server until it is told to stop (Ctrl+C or SIGTERM).\n\nWith no configuration it is in development mode on http://localhost:5000, with its data in ./data.\n" +
			"It applies pending migrations (unless MIGRATE is off) and clients.yaml, if there is one.\n\n" +
			"While nobody administers the installation it prints the address to set it up at; without a browser,\n`sallyport users create --super-admin` makes the first administrator.",
		Example: examples("sallyport serve", "sallyport serve --set LISTEN=127.0.0.1:8080"),
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := p.load()
			if err != nil {
				return err
			}
			return app.Serve(cmd.Context(), cfg, p.options(cfg), p.err)
		},
	}
}
