package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/term"
)

// openTerminal is a terminal: what is written to keyboard is typed at it.
func openTerminal(t *testing.T) (keyboard, terminal *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keyboard.Close() })
	var number, unlocked uint32
	for request, value := range map[uintptr]*uint32{syscall.TIOCGPTN: &number, syscall.TIOCSPTLCK: &unlocked} {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, keyboard.Fd(), request, uintptr(unsafe.Pointer(value))); errno != 0 {
			t.Fatal(errno)
		}
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = terminal.Close() })
	return keyboard, terminal
}

// A slip of the finger costs a line, not the command, and a password that will not do is not typed twice.
func TestAPasswordIsAskedForAgain(t *testing.T) {
	f := emptyFolder(t)
	f.want(0, passphrase, "users", "create", "-e", "taken@example.com", "-p", "-")
	keyboard, terminal := openTerminal(t)
	for name, c := range map[string]struct {
		args   []string
		typed  []string
		code   int
		again  int
		refuse string
	}{
		"at once":                  {[]string{"create", "-e", "a@example.com"}, []string{passphrase, passphrase}, 0, 1, ""},
		"too short":                {[]string{"create", "-e", "b@example.com"}, []string{"short", passphrase, passphrase}, 0, 1, "fewer than 8 characters"},
		"common, then the address": {[]string{"create", "-e", "c@example.com"}, []string{"password1", "c@example.com", passphrase, passphrase}, 0, 1, "is the email address"},
		"different":                {[]string{"create", "-e", "d@example.com"}, []string{passphrase, passphrase + "x", "", passphrase, passphrase}, 0, 2, "differ"},
		"for a new one":            {[]string{"reset-password", "-e", "taken@example.com"}, []string{"taken@example.com", passphrase, "no", passphrase, passphrase}, 0, 2, "differ"},
		"a taken address":          {[]string{"create", "-e", "taken@example.com"}, nil, 1, 0, "is taken"},
	} {
		if _, err := keyboard.WriteString(strings.Join(append(c.typed, ""), "\n")); err != nil {
			t.Fatal(err)
		}
		var out, stderr bytes.Buffer
		code := (&program{in: terminal, out: &out, err: &stderr}).run(t.Context(), append([]string{"users"}, c.args...))
		said := stderr.String()
		if code != c.code || strings.Count(said, "Again: ") != c.again || !strings.Contains(said, c.refuse) || strings.Contains(said+out.String(), passphrase) {
			t.Errorf("%s: got %d and %q", name, code, said)
		}
	}
}

// Ctrl+C at the question ends the command, and the terminal shows again what is typed.
func TestATerminalShowsWhatIsTypedAfterCtrlC(t *testing.T) {
	_, terminal := openTerminal(t)
	fd := int(terminal.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		for asked := false; !asked && ctx.Err() == nil; { // until it hides what is typed
			now, err := term.GetState(fd)
			asked = err != nil || *now != *before
		}
		stop()
	}()
	var stderr bytes.Buffer
	if _, err := (&program{in: terminal, err: &stderr}).askPassword(ctx, func(string) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if after, err := term.GetState(fd); err != nil || *after != *before {
		t.Errorf("the terminal is in another state: %v", err)
	}
}
