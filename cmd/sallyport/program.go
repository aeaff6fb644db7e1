package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/lmittmann/tint"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/app"
	"github.com/sallyport-id/sallyport/internal/sample/seed"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// program is the binary with its inputs and outputs.
type program struct {
	in       io.Reader
	out, err io.Writer
	environ  []string

	config  string   // --config
	set     []string // --set
	yes     bool     // --yes
	json    bool     // --json
	started bool     // a command has started: an error is not one of usage

	mistyped error // an unknown NAME in `GROUP NAME --help`: cobra's help cannot return an error
}

// failure is an error for the user: what happened and what to do next.
type failure struct {
	what, next string
	code       int // 0 is 1
	cause      error
}

func (f *failure) Error() string { return f.what }
func (f *failure) Unwrap() error { return f.cause }

// run runs one command and returns its exit code.
func (p *program) run(ctx context.Context, args []string) int {
	root := p.root()
	root.SetArgs(args)
	root.SetIn(p.in)
	root.SetOut(p.out)
	root.SetErr(p.err)
	p.refuseUnknownCommands(root)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		err = p.mistyped
	}
	if err == nil {
		return 0
	}
	var f *failure
	if !errors.As(err, &f) {
		f = p.explain(cmd, err)
	}
	if f.what != "" {
		fmt.Fprintf(p.err, "sallyport: %s\n", f.what)
	}
	if f.next != "" {
		fmt.Fprintf(p.err, "%s\n", f.next)
	}
	return max(f.code, 1)
}

// explain describes errors that any command can return.
func (p *program) explain(cmd *cobra.Command, err error) *failure {
	var faults identity.FieldErrors
	var listen *app.ListenError
	var database *app.DatabaseError
	switch {
	case !p.started && strings.Contains(err.Error(), "arg(s)"): // cobra's words for a wrong number of arguments
		return &failure{what: "the arguments are not those of: " + cmd.UseLine(),
			next: "See: " + cmd.CommandPath() + " --help", code: 2}
	case !p.started:
		return &failure{what: err.Error(), next: "See: " + cmd.CommandPath() + " --help", code: 2}
	case errors.As(err, &faults):
		return &failure{what: faults.Error()}
	case errors.As(err, &listen):
		return &failure{what: listen.Error(), next: listen.Next()}
	case errors.Is(err, context.Canceled):
		return &failure{what: "stopped"}
	case errors.As(err, &database):
		return &failure{what: err.Error(), next: database.Next()}
	case errors.Is(err, storage.ErrNewerSchema):
		return &failure{what: err.Error(), next: "Use the binary that migrated the database, or a newer one."}
	case errors.Is(err, storage.ErrUnavailable):
		return &failure{what: err.Error(),
			next: "Check that the database runs and DATABASE_URL leads to it: sallyport doctor"}
	case errors.Is(err, storage.ErrEmailUnverified):
		return &failure{what: "nobody has proven this address: whoever made the account need not be whom it names",
			next: vouchHint}
	case errors.Is(err, seed.ErrProduction):
		return &failure{what: err.Error(), next: "Use another installation: sallyport demo makes one."}
	}
	return &failure{what: err.Error()}
}

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "sallyport",
		Short: "OpenID Connect provider for software with many customer organizations",
		Long:  "Sallyport signs people in to applications and tells them which organization a person acts for.\n\nConfiguration comes from flags, the environment (SALLYPORT_…), .env in development, and sallyport.yaml, in this order.",
		Example: examples("sallyport demo                          # a working installation with sample data",
			"sallyport serve                         # the server", "sallyport users create --super-admin"),
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRun: func(*cobra.Command, []string) { p.started = true },
	}
	flags := root.PersistentFlags()
	flags.StringVar(&p.config, "config", "", "read `FILE` instead of sallyport.yaml")
	flags.StringArrayVar(&p.set, "set", nil, "set a configuration `KEY=VALUE`, such as ISSUER=https://id.example.com")
	root.AddCommand(p.serve(), p.demo(), p.migrate(), p.clients(), p.resources(), p.users(),
		p.orgs(), p.admin(), p.connections(), p.keys(), p.secrets(), p.seed(),
		p.copy(), p.restored(), p.doctor(), p.healthcheck(), p.version())
	return root
}

// load reads the configuration.
func (p *program) load() (*app.Config, error) {
	sources, err := p.sources()
	if err != nil {
		return nil, err
	}
	return app.Load(sources)
}

// sources are where the configuration is read from.
func (p *program) sources() (app.LoadOptions, error) {
	set := map[string]string{}
	for _, s := range p.set {
		key, value, ok := strings.Cut(s, "=")
		if !ok {
			return app.LoadOptions{}, &failure{what: fmt.Sprintf("--set %s has no =", s),
				next: "Write: --set KEY=VALUE", code: 2}
		}
		set[key] = value
	}
	return app.LoadOptions{Flags: set, Environ: p.environ, File: p.config}, nil
}

// options include the configured logger, which writes to standard error. What libraries write to the standard log goes
// there too.
func (p *program) options(cfg *app.Config) app.Options {
	json := cfg.LogFormat == "json" || cfg.LogFormat == "" && !terminal(p.err)
	var h slog.Handler = slog.NewJSONHandler(p.err, &slog.HandlerOptions{Level: cfg.LogLevel})
	if !json {
		h = tint.NewTextHandler(p.err, &tint.Options{
			Level: cfg.LogLevel, TimeFormat: time.TimeOnly, NoColor: !terminal(p.err),
		})
	}
	log := slog.New(h)
	app.CaptureStandardLog(log)
	return app.Options{Log: log, JSONLog: json}
}

// terminal reports whether the stream is a terminal, with a person at the other end.
func terminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// notFound says that there is no such thing, and how to find those that exist.
func notFound(err error, what, next string) error {
	return explained(err, storage.ErrNotFound, "there is no "+what, next)
}

// explained returns a failure if err is the expected error; any other error it returns as it is.
func explained(err, expected error, what, next string) error {
	if errors.Is(err, expected) {
		return &failure{what: what, next: next, cause: err}
	}
	return err
}

// examples indents lines as cobra shows them.
func examples(lines ...string) string { return "  " + strings.Join(lines, "\n  ") }
