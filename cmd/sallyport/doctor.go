package main

import (
	"fmt"

	"github.com/sallyport-id/sallyport/internal/app"
	"github.com/spf13/cobra"
)

func (p *program) doctor() *cobra.Command {
	return p.jsonFlag(&cobra.Command{
		Use: "doctor", Short: "Check everything the server needs",
		Long:    "Check configuration, database, Redis, keys, mail, clock, certificate and issuer; each fault comes with its remedy. Nothing is changed.",
		Example: examples("sallyport doctor", "sallyport doctor --json"), Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			sources, err := p.sources()
			if err != nil {
				return err
			}
			found := app.Doctor(cmd.Context(), sources)
			bad, rows := 0, [][]string{}
			for _, f := range found {
				switch {
				case f.Problem != "":
					bad++
					rows = append(rows, []string{"FAULT", f.Check, f.Problem}, []string{"", "", "→ " + f.Remedy})
				case f.Warning != "":
					rows = append(rows, []string{"WARN", f.Check, f.Warning})
				case f.Skipped != "":
					rows = append(rows, []string{"-", f.Check, "not checked: " + f.Skipped})
				default:
					rows = append(rows, []string{"ok", f.Check, f.Detail})
				}
			}
			if err := p.list(found, []string{"", "check", "finding"}, rows); err != nil || bad == 0 {
				return err
			}
			return &failure{what: fmt.Sprintf("%d of %d checks failed", bad, len(found))}
		},
	})
}
