package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// The linker sets these: -ldflags "-X main.version=… -X main.commit=… -X main.date=…". Without it the build information
// of the go command replaces them, which exists for builds in a clone and for installed versions.
var version, commit, date string

// build is what `sallyport version` prints.
type build struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Date    string `json:"date,omitempty"` // of the commit, RFC 3339
	Go      string `json:"go"`
	System  string `json:"system"`
}

// withBuildInfo fills in what the linker did not set; info may be nil.
func (b build) withBuildInfo(info *debug.BuildInfo) build {
	if info != nil {
		if noted := info.Main.Version; noted != "(devel)" {
			b.Version = cmp.Or(b.Version, noted)
		}
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				b.Commit = cmp.Or(b.Commit, s.Value)
			case "vcs.time":
				b.Date = cmp.Or(b.Date, s.Value)
			}
		}
	}
	b.Version = cmp.Or(b.Version, "devel")
	return b
}

// String is one line for people.
func (b build) String() string {
	words := []string{"sallyport", b.Version, b.Commit, b.Date, b.Go, b.System}
	return strings.Join(strings.Fields(strings.Join(words, " ")), " ")
}

func (p *program) version() *cobra.Command {
	return p.jsonFlag(&cobra.Command{
		Use: "version", Short: "Print the version",
		Long:    "Print the version, the commit and its date, the version of Go, and the system.",
		Example: examples("sallyport version", "sallyport version --json"), Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			info, _ := debug.ReadBuildInfo()
			b := build{version, commit, date, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}.withBuildInfo(info)
			if p.json {
				return json.NewEncoder(p.out).Encode(b)
			}
			fmt.Fprintln(p.out, b)
			return nil
		},
	})
}
