package campaigns

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/app"
	"github.com/sallyport-id/sallyport/internal/harness"
)

// nodeVariable makes this binary be a server instead of running tests.
const nodeVariable = "CAMPAIGN_NODE"

func TestMain(m *testing.M) {
	if os.Getenv(nodeVariable) == "" {
		os.Exit(m.Run())
	}
	if err := serveNode(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serveNode is `sallyport serve` with two differences: its clock can be moved,
// and what the command line does beside a running server can be asked of it, so
// that a kill hits that too. It obeys lines on standard input and answers each
// with one on standard output; it ends when nobody can give it any more.
func serveNode() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	cfg, err := app.Load(app.LoadOptions{Environ: os.Environ(), Dir: "."})
	if err != nil {
		return err
	}
	clock := &harness.Clock{}
	o := app.Options{Now: clock.Now, Log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	go func() {
		defer os.Exit(3) // the test is gone: nothing else ends this process then
		var operator *app.App
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			fmt.Println(obey(ctx, strings.Fields(lines.Text()), cfg, o, clock, &operator))
		}
	}()
	return app.Serve(ctx, cfg, o, os.Stderr)
}

// obey runs "advance DURATION" or "user EMAIL PASSWORD" and returns "ok" or what failed.
func obey(ctx context.Context, words []string, cfg *app.Config, o app.Options, clock *harness.Clock, operator **app.App) string {
	switch {
	case len(words) == 2 && words[0] == "advance":
		d, err := time.ParseDuration(words[1])
		if err != nil {
			return err.Error()
		}
		clock.Advance(d)
		return "ok"
	case len(words) == 3 && words[0] == "user":
		if *operator == nil {
			a, err := app.Open(ctx, cfg, o)
			if err != nil {
				return err.Error()
			}
			*operator = a
		}
		u, err := (*operator).Identity.People.Create(ctx, identity.Operator(), identity.NewUser{Email: words[1], Password: words[2]})
		if err != nil {
			return err.Error()
		}
		o, err := (*operator).Identity.Organizations.BySlug(ctx, identity.Operator(), "acme-corp")
		if err == nil {
			err = (*operator).Identity.Organizations.AddMember(ctx, identity.Operator(), o.ID, u.ID, "member")
		}
		if err != nil {
			return err.Error()
		}
		return "ok"
	}
	return fmt.Sprintf("unknown command %q", words)
}
