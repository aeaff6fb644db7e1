package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func (p *program) version() *cobra.Command {
	return p.jsonFlag(&cobra.Command{
		Use: "version", Short: "Print the version", Example: examples("sallyport version", "sallyport version --json"), Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := struct {
				Version string `json:"version"`
				Commit  string `json:"commit,omitempty"`
				Go      string `json:"go"`
				System  string `json:"system"`
			}{Version: "unknown", Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH}
			if info, ok := debug.ReadBuildInfo(); ok {
				v.Version = info.Main.Version
				for _, s := range info.Settings {
					if s.Key == "vcs.revision" {
						v.Commit = s.Value
					}
				}
			}
			if p.json {
				return json.NewEncoder(p.out).Encode(v)
			}
			fmt.Fprintf(p.out, "sallyport %s %s %s %s\n", v.Version, v.Commit, v.Go, v.System)
			return nil
		},
	})
}
