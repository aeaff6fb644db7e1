package main

import (
	"log/slog"

	"github.com/sallyport-id/sallyport/internal/app"
	"github.com/spf13/cobra"
)

func (p *program) demo() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run a working installation with sample data and a sample application",
		Long: "Run a server with sample people, organizations and clients, and beside it an application that signs in\n" +
			"and shows the tokens it got. On this machine only, in a folder of its own; ports that are taken are\nreplaced by the next free ones. LISTEN, ISSUER, ADMIN_LISTEN and other settings do not apply to it.",
		Example: examples("sallyport demo", "sallyport demo --dir /tmp/sallyport"),
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			sources, err := p.sources()
			if err != nil {
				return err
			}
			return app.Demo(cmd.Context(), dir, sources, p.options(&app.Config{LogLevel: slog.LevelWarn, LogFormat: "text"}), p.out)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "demo-data", "keep everything in `FOLDER`")
	return cmd
}
