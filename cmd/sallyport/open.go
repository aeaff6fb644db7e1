package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/sallyport-id/sallyport/internal/app"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/spf13/cobra"
)

// commandTime is what one database call of a command may take: a file of clients is applied in one transaction, and a
// list is read only as fast as it is printed.
const commandTime = 10 * time.Minute

// action is the work of a command on the opened installation.
type action func(ctx context.Context, a *app.App, args []string) error

// opener opens the installation of a configuration.
type opener func(ctx context.Context, cfg *app.Config) (*app.App, error)

// with runs act on an installation that exists.
func (p *program) with(act action) func(*cobra.Command, []string) error {
	return p.withOpened(p.openExisting, act)
}

// withNew runs act on the installation, which is created if it does not exist.
func (p *program) withNew(act action) func(*cobra.Command, []string) error {
	return p.withOpened(p.openOrCreate, act)
}

// withReadOnly runs act on an existing installation. Nothing is created, migrated or changed.
func (p *program) withReadOnly(act action) func(*cobra.Command, []string) error {
	return p.withOpened(p.openToRead, act)
}

// withPreview is withReadOnly, except that a missing installation counts as an empty one: act says what would be
// created.
func (p *program) withPreview(act action) func(*cobra.Command, []string) error {
	return p.withOpened(func(ctx context.Context, cfg *app.Config) (*app.App, error) {
		if missing := cfg.MissingDatabase(); missing != "" {
			fmt.Fprintf(p.err, "There is no installation here yet (%s does not exist); this is for a new one.\n", missing)
			return app.OpenEmpty(ctx, cfg, p.options(cfg))
		}
		return p.openToRead(ctx, cfg)
	}, act)
}

func (p *program) withOpened(open opener, act action) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		cfg, err := p.load()
		if err != nil {
			return err
		}
		a, err := open(cmd.Context(), cfg)
		if err != nil {
			return err
		}
		return errors.Join(act(storage.WithLongCalls(cmd.Context(), commandTime), a, args), a.Close())
	}
}

func (p *program) openExisting(ctx context.Context, cfg *app.Config) (*app.App, error) {
	if missing := cfg.Missing(); missing != "" {
		return nil, noInstallation(missing)
	}
	return app.Open(ctx, cfg, p.options(cfg))
}

func (p *program) openToRead(ctx context.Context, cfg *app.Config) (*app.App, error) {
	if missing := cfg.MissingDatabase(); missing != "" {
		return nil, noInstallation(missing)
	}
	return app.OpenReadOnly(ctx, cfg, p.options(cfg))
}

// noInstallation says that there is no installation; most likely the command was run in the wrong folder.
func noInstallation(missing string) error {
	return &failure{what: fmt.Sprintf("there is no installation here: %s does not exist", missing),
		next: "Run it in the folder of the installation, or say where that is: --config FILE, DATABASE_URL. To begin one here: sallyport serve"}
}

func (p *program) openOrCreate(ctx context.Context, cfg *app.Config) (*app.App, error) {
	missing := cfg.Missing()
	a, err := app.Open(ctx, cfg, p.options(cfg))
	if err == nil {
		p.reportNew(missing)
	}
	return a, err
}

// reportNew says where a new installation was created, if one of its files was missing before.
func (p *program) reportNew(missing string) {
	if missing == "" {
		return
	}
	dir := filepath.Dir(missing)
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	fmt.Fprintf(p.err, "There was no installation here, so a new one was begun in %s.\n", dir)
}
