package main

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/sallyport-id/sallyport/internal/app"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/spf13/cobra"
)

func (p *program) copy() *cobra.Command {
	var to string
	cmd := p.jsonFlag(&cobra.Command{
		Use: "copy", Short: "Copy everything into an empty database of the other engine",
		Long: "Copy everything from DATABASE_URL into an empty database of the other engine: from SQLite to PostgreSQL, or back. All nodes must be stopped: what they write meanwhile would be lost.\n\n" +
			"The target gets its schema if it has none, and is refused if it has rows. All goes in one transaction, which commits only if every table has the same rows on both sides, by count and SHA-256. " +
			"Start the nodes with the new DATABASE_URL and the same SECRET_KEY, ENCRYPTION_KEY and CA_ENCRYPTION_KEY afterwards: sessions, tokens, factors and keys go on working.\n\n" +
			"A password does not belong on the command line: leave it out of the URL and set PGPASSWORD or PGPASSFILE, or give the URL on standard input.",
		Example: examples("PGPASSFILE=/run/secrets/pgpass sallyport copy --to postgres://sallyport@db.example.com/sallyport", "sallyport copy --to - < url.txt",
			"sallyport copy --to sqlite:///var/lib/sallyport/copy.db"),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.copyTo(cmd, to) },
	})
	cmd.Flags().StringVar(&to, "to", "", "the `URL` of the empty database; - reads it from standard input")
	return cmd
}

func (p *program) copyTo(cmd *cobra.Command, to string) (err error) {
	if to == "" {
		return &failure{what: "--to is missing", next: "Write: --to URL of the empty database", code: 2}
	}
	ctx := cmd.Context()
	cfg, err := p.load()
	if err != nil {
		return err
	}
	if to == "-" {
		if to, err = p.line(); err != nil {
			return err
		}
		to = strings.TrimSpace(to)
	} else if u, err := url.Parse(to); err == nil && u.User != nil {
		if _, shown := u.User.Password(); shown {
			fmt.Fprintln(p.err, "The password in --to can be read by others on this machine, and stays in the shell's history.")
		}
	}
	if missing := cfg.MissingDatabase(); missing != "" {
		return noInstallation(missing)
	}
	used, err := storage.InUse(ctx, cfg.DatabaseURL)
	if err != nil {
		return fmt.Errorf("DATABASE_URL: %w", err)
	}
	if used {
		return &failure{what: "another process has the database open, and what it writes meanwhile would be lost",
			next: "Stop all nodes, then copy, then start them with the new DATABASE_URL."}
	}
	source, err := storage.Open(ctx, storage.Config{URL: cfg.DatabaseURL})
	if err != nil {
		return &app.DatabaseError{Err: err}
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	target, err := storage.Open(ctx, storage.Config{URL: to})
	if err != nil {
		return &failure{what: "--to: " + err.Error(),
			next:  "Correct --to, PGPASSWORD or PGPASSFILE. Nothing was changed.",
			cause: err}
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	show := p.progress()
	all, err := source.CopyTo(ctx, target, func(table string, done, of int64) { show(table, int(done), int(of)) })
	if err != nil {
		return explained(err, storage.ErrNotEmpty, err.Error(), "Nothing was changed.")
	}
	rows := [][]string{}
	for _, c := range all {
		rows = append(rows, []string{c.Table, fmt.Sprint(c.Rows), c.Hash[:16]})
	}
	return p.list(all, []string{"table", "rows", "sha256"}, rows)
}
