package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/importer"
	"github.com/sallyport-id/sallyport/internal/app"
	"github.com/spf13/cobra"
)

// maxNamedSkips is how many existing people are named.
const maxNamedSkips = 10

func (p *program) usersImport() *cobra.Command {
	var o importer.Options
	cmd := p.jsonFlag(&cobra.Command{
		Use: "import FILE", Short: "Create the people of a file, with their passwords",
		Long: "Create the people of a file, - is standard input: JSON Lines, one object a line, or CSV with the names of its columns in the first line.\n" +
			"They are email (the only one needed), name and the other standard claims, password_hash, email_verified (true unless it says false),\n" +
			"organization (a slug) and role, disabled, totp_secret (opened with SECURITY_TOTP_SECRETS where Flask-Security has encrypted it). People sign in with the password they have: bcrypt, argon2, PBKDF2 and scrypt hashes are\n" +
			"verified, and replaced at the first sign-in.\n\n" +
			"The whole file is checked first; if a line is wrong nothing is imported. Whoever is there already is left alone, so an import that\n" +
			"was interrupted is finished by running it again.",
		Example: examples("sallyport users import people.jsonl --dry-run", "sallyport users import people.csv",
			"export-people | sallyport users import - --peppered --json"),
		Args: cobra.ExactArgs(1),
	})
	act := func(ctx context.Context, a *app.App, args []string) error {
		file, done, err := p.importFile(args[0])
		if err != nil {
			return err
		}
		defer done()
		show := p.progress()
		o.Progress = func(what string, done, of int) {
			if of >= pageSize || what != "people" {
				show(what, done, of)
			}
		}
		o.TOTPSecrets, o.Authenticator = a.Config.TOTPSecrets, a.Factors.ImportedTOTP
		result, err := a.Importer.Import(ctx, identity.Operator(), file, o)
		if err != nil {
			return importFailure(result, err)
		}
		return p.showImport(result, o.DryRun)
	}
	cmd.RunE = func(c *cobra.Command, args []string) error {
		if o.DryRun {
			return p.withPreview(act)(c, args)
		}
		return p.withNew(act)(c, args)
	}
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "check the file and count, and change nothing")
	cmd.Flags().BoolVar(&o.Peppered, "peppered", false, "PASSWORD_PEPPER (SECURITY_PASSWORD_SALT) went into every hash, as Flask-Security does it")
	return cmd
}

// importFile opens a file that is read twice. Standard input is kept in memory, so that no copy of the hashes stays on
// a disk.
func (p *program) importFile(name string) (file io.ReadSeeker, done func(), err error) {
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, nil, &failure{what: err.Error(), next: "Name a file, or - for standard input."}
		}
		return f, func() { _ = f.Close() }, nil
	}
	text, err := io.ReadAll(p.in)
	return bytes.NewReader(text), func() {}, err
}

// importFailure says what is wrong in the file, or how far the import came.
func importFailure(result *importer.Result, err error) error {
	var faults *importer.FileErrors
	switch {
	case errors.As(err, &faults) && (result == nil || result.Created == 0):
		what := fmt.Sprintf("the file has %d faults; nothing was imported%s", len(faults.Errors)+faults.More, printableLines(faults.Error()))
		return &failure{what: strings.Replace(what, "has 1 faults", "has a fault", 1), cause: err}
	case result != nil && result.Created > 0:
		return &failure{what: fmt.Sprintf("the import ended after %d people: %v", result.Created, err),
			next: "Run it again: those are left alone and the rest is imported.", cause: err}
	}
	return err
}

// printableLines is printable for each line of s, after a line break.
func printableLines(s string) string {
	var text strings.Builder
	for line := range strings.SplitSeq(s, "\n") {
		text.WriteString("\n" + printable(line))
	}
	return text.String()
}

func (p *program) showImport(result *importer.Result, dryRun bool) error {
	if p.json {
		return p.printJSON(struct {
			DryRun bool `json:"dry_run"`
			*importer.Result
		}{dryRun, result})
	}
	for _, l := range result.Exists[:min(len(result.Exists), maxNamedSkips)] {
		fmt.Fprintf(p.out, "line %d: %s is there already\n", l.Line, printable(l.Email))
	}
	if more := result.Skipped - maxNamedSkips; more > 0 {
		fmt.Fprintf(p.out, "and %d more are there already\n", more)
	}
	said := "Imported %d of %d people; %d were there already.\n"
	if dryRun {
		said = "%d of %d people would be imported; %d are there already. Nothing was changed.\n"
	}
	return p.say(said, result.Created, result.People, result.Skipped)
}
