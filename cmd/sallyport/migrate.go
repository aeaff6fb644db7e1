package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/sallyport-id/sallyport/storage"
	"github.com/spf13/cobra"
)

func (p *program) migrate() *cobra.Command {
	cmd := &cobra.Command{Use: "migrate", Short: "Look after the schema of the database",
		Long:    "Look after the schema of the database. `sallyport serve` applies what is pending by itself unless MIGRATE is off.",
		Example: examples("sallyport migrate status", "sallyport migrate up")}
	cmd.AddCommand(
		&cobra.Command{Use: "up", Short: "Apply pending migrations", Example: examples("sallyport migrate up"), Args: cobra.NoArgs,
			RunE: p.onStore(true, func(ctx context.Context, s *storage.Store) error {
				if err := s.Migrate(ctx); err != nil {
					return err
				}
				return p.migrations(ctx, s)
			})},
		p.yesFlag(&cobra.Command{Use: "down", Short: "Take the newest migration back, with its data (for development)",
			Example: examples("sallyport migrate down", "sallyport migrate down --yes"), Args: cobra.NoArgs,
			RunE: p.onStore(false, func(ctx context.Context, s *storage.Store) error {
				if err := p.confirm("The newest migration is taken back and its data is lost. Go on?"); err != nil {
					return err
				}
				if err := s.MigrateDown(ctx); err != nil {
					return explained(err, storage.ErrNotFound, "no migration is applied", "")
				}
				return p.migrations(ctx, s)
			})}),
		p.migrateStatus(),
		p.migrateCreate(),
	)
	return cmd
}

// migrateStatus changes nothing. Without a database every migration is pending.
func (p *program) migrateStatus() *cobra.Command {
	return p.jsonFlag(&cobra.Command{Use: "status", Short: "List all migrations",
		Example: examples("sallyport migrate status", "sallyport migrate status --json"),
		Args:    cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := p.load()
			if err != nil {
				return err
			}
			s, err := storage.OpenReadOnly(cmd.Context(), storage.Config{URL: cfg.DatabaseURL})
			if errors.Is(err, fs.ErrNotExist) {
				all, err := storage.SQLiteMigrations()
				if err != nil {
					return err
				}
				return p.migrationTable(all)
			}
			if err != nil {
				return err
			}
			return errors.Join(p.migrations(cmd.Context(), s), s.Close())
		}})
}

// onStore runs act on the database without applying migrations. create allows it to create a missing database.
func (p *program) onStore(create bool,
	act func(context.Context, *storage.Store) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		cfg, err := p.load()
		if err != nil {
			return err
		}
		missing := cfg.MissingDatabase()
		if missing != "" && !create {
			return noInstallation(missing)
		}
		s, err := storage.Open(cmd.Context(), storage.Config{URL: cfg.DatabaseURL})
		if err != nil {
			return err
		}
		p.reportNew(missing)
		return errors.Join(act(cmd.Context(), s), s.Close())
	}
}

func (p *program) migrations(ctx context.Context, s *storage.Store) error {
	all, err := s.MigrationStatus(ctx)
	if err != nil {
		return err
	}
	return p.migrationTable(all)
}

func (p *program) migrationTable(all []storage.Migration) error {
	type row struct {
		Version int64  `json:"version"`
		Name    string `json:"name"`
		Applied bool   `json:"applied"`
	}
	values, rows := []row{}, [][]string{}
	for _, m := range all {
		state := "pending"
		if m.Applied {
			state = "applied"
		}
		values = append(values, row(m))
		rows = append(rows, []string{fmt.Sprint(m.Version), m.Name, state})
	}
	return p.list(values, []string{"version", "name", "state"}, rows)
}

func (p *program) migrateCreate() *cobra.Command {
	var dir string
	cmd := &cobra.Command{Use: "create NAME", Short: "Write the files of a new migration (for developers of Sallyport)",
		Example: examples("sallyport migrate create add_invitations"), Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			paths, err := storage.CreateMigration(dir, args[0])
			for _, path := range paths {
				fmt.Fprintln(p.out, path)
			}
			return err
		}}
	cmd.Flags().StringVar(&dir, "dir", "migrations", "the `FOLDER` with postgres/ and sqlite/")
	return cmd
}
