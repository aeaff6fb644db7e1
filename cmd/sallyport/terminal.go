package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// list prints rows as a table, or values as JSON. header and rows have the same columns.
func (p *program) list(values any, header []string, rows [][]string) error {
	if p.json {
		return p.printJSON(values)
	}
	l := p.listing(header...)
	for _, row := range rows {
		if err := l.add(nil, row...); err != nil {
			return err
		}
	}
	return l.end()
}

// printJSON escapes DEL and the C1 control characters, which encoding/json leaves as they are: a terminal takes U+009B
// for the start of a command.
func (p *program) printJSON(value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	var escaped strings.Builder
	for _, r := range string(text) {
		if r >= 0x7f && r < 0xa0 { // in a string always: JSON has none of them elsewhere
			fmt.Fprintf(&escaped, "\\u%04x", r)
		} else {
			escaped.WriteRune(r)
		}
	}
	_, err = fmt.Fprintln(p.out, escaped.String())
	return err
}

// printable replaces control characters, so that text from users cannot control the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}

// jsonFlag adds --json.
func (p *program) jsonFlag(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolVar(&p.json, "json", false, "print JSON")
	return cmd
}

// yesFlag adds --yes, for commands that confirm calls.
func (p *program) yesFlag(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolVarP(&p.yes, "yes", "y", false, "do not ask")
	return cmd
}

// confirm asks before something that cannot be undone. Without a terminal it requires --yes.
func (p *program) confirm(question string) error {
	if p.yes {
		return nil
	}
	if !terminal(p.in) {
		return &failure{what: "this cannot be undone, and nobody is there to ask",
			next: "Repeat it with --yes.", code: 2}
	}
	answer, err := p.ask(question + " [y/N]")
	if err != nil {
		return err
	}
	if a := strings.ToLower(answer); a != "y" && a != "yes" {
		return &failure{what: "nothing was changed"}
	}
	return nil
}

// ask asks the person at the terminal for a line.
func (p *program) ask(question string) (string, error) {
	fmt.Fprintf(p.err, "%s: ", question)
	return p.line()
}

// line reads one line of standard input, byte by byte, so that the next reader gets what follows.
func (p *program) line() (string, error) {
	var b strings.Builder
	one := make([]byte, 1)
	for b.Len() < 1<<16 {
		n, err := p.in.Read(one)
		if n == 1 && one[0] == '\n' || errors.Is(err, io.EOF) && b.Len() > 0 {
			break
		}
		if err != nil {
			return "", fmt.Errorf("standard input has ended: %w", err)
		}
		b.Write(one[:n])
	}
	return strings.TrimSuffix(b.String(), "\r"), nil
}

// askPassword asks for a password twice without echo. It repeats the first question until check accepts the answer,
// and both if the answers differ.
func (p *program) askPassword(ctx context.Context, check func(string) error) (string, error) {
	in, ok := p.in.(*os.File)
	if !ok || !terminal(in) {
		return "", &failure{what: "there is no password, and nobody is there to ask",
			next: "Give it on standard input: -p -", code: 2}
	}
	for {
		first, err := p.askHidden(ctx, in, "Password")
		if err != nil {
			return "", err
		}
		err = check(first)
		if faults, refused := errors.AsType[identity.FieldErrors](err); refused {
			for _, f := range faults {
				fmt.Fprintf(p.err, "That %s; %s.\n", f.Problem, cmp.Or(f.Remedy, "choose another"))
			}
			continue
		} else if err != nil {
			return "", err
		}
		again, err := p.askHidden(ctx, in, "Again")
		if err != nil {
			return "", err
		}
		if first == again {
			return first, nil
		}
		fmt.Fprintln(p.err, "The two passwords differ. Type both anew.")
	}
}

// askHidden asks for a line without echo. If ctx ends, as at Ctrl+C, echo is restored.
func (p *program) askHidden(ctx context.Context, in *os.File, question string) (string, error) {
	fmt.Fprintf(p.err, "%s: ", question)
	defer fmt.Fprintln(p.err)
	fd := int(in.Fd()) // once, for it changes the file
	shown, err := term.GetState(fd)
	if err = cmp.Or(err, ctx.Err()); err != nil {
		return "", err
	}
	type line struct {
		text []byte
		err  error
	}
	typed := make(chan line, 1)
	go func() {
		text, err := term.ReadPassword(fd)
		typed <- line{text, err}
	}()
	select {
	case l := <-typed:
		return string(l.text), l.err
	case <-ctx.Done():
		return "", errors.Join(ctx.Err(), term.Restore(fd, shown))
	}
}

// progress shows how much of a long task is done: as a bar on a terminal, otherwise as a line every ten seconds.
func (p *program) progress() func(what string, done, of int) {
	out := bufio.NewWriter(p.err)
	bar := terminal(p.err)
	var last time.Time
	return func(what string, done, of int) {
		every := 10 * time.Second
		if bar {
			every = 100 * time.Millisecond
		}
		if done < of && time.Since(last) < every {
			return
		}
		last = time.Now()
		if bar {
			const width = 30
			full := width * done / max(of, 1)
			fmt.Fprintf(out, "\r%-14s [%s%s] %d of %d", what, strings.Repeat("=", full), strings.Repeat(" ", width-full), done, of)
			if done == of {
				fmt.Fprintln(out)
			}
		} else {
			fmt.Fprintf(out, "%s: %d of %d\n", what, done, of)
		}
		_ = out.Flush() // an error means that the terminal is gone; the work goes on
	}
}

// formatTime is a local time without seconds; empty for the zero time.
func formatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04")
}

// say prints a message of the command.
func (p *program) say(format string, args ...any) error {
	_, err := fmt.Fprintf(p.out, format, args...)
	return err
}
