package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

// guard is a place in the code that refuses something, and the test that must fail without it.
type guard struct {
	name    string
	file    string // from the root of the repository
	text    string // occurs in file exactly once
	without string // takes the place of text
	pkg     string // of the test
	test    string // pattern for go test -run
}

// The outcomes of a mutant.
const (
	there    = "there" // with -list
	caught   = "caught"
	survived = "SURVIVED"
	lost     = "LOST"
	broken   = "BROKEN"
)

func main() {
	dir := flag.String("C", "..", "folder of the checkout")
	list := flag.Bool("list", false, "only look for each guard in the code")
	name := flag.String("run", "", "only guards whose name contains this")
	from := flag.Int("from", 1, "number of the first guard")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *dir, *list, *name, *from); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir string, list bool, name string, from int) error {
	root, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	counts := map[string]int{}
	for i, g := range guards {
		if i+1 < from || !strings.Contains(g.name, name) {
			continue
		}
		if ctx.Err() != nil {
			return fmt.Errorf("interrupted; go on with -from %d", i+1)
		}
		begin := time.Now()
		outcome, detail := try(ctx, root, scratch, g, list)
		if ctx.Err() == nil {
			counts[outcome]++
			fmt.Printf("%3d  %-8s  %s  (%s, %s, %.0f s)\n", i+1, outcome, g.name, g.file, g.test, time.Since(begin).Seconds())
		}
		if detail != "" {
			fmt.Println(indent(detail))
		}
	}
	if list {
		fmt.Printf("%d there, %d lost\n", counts[there], counts[lost])
	} else {
		fmt.Printf("%d caught, %d survived, %d lost, %d broken\n",
			counts[caught], counts[survived], counts[lost], counts[broken])
	}
	if counts[survived]+counts[lost]+counts[broken] > 0 {
		return errors.New("not every guard is watched")
	}
	return nil
}

// try runs the test of a guard without the guard. With list it only looks whether the guard is there.
func try(ctx context.Context, root, scratch string, g guard, list bool) (outcome, detail string) {
	file := filepath.Join(root, filepath.FromSlash(g.file))
	code, err := os.ReadFile(file)
	if err != nil {
		return lost, err.Error()
	}
	if n := bytes.Count(code, []byte(g.text)); n != 1 {
		return lost, fmt.Sprintf("%q occurs %d times", g.text, n)
	}
	if list {
		return there, ""
	}
	overlay, err := writeOverlay(scratch, file, bytes.Replace(code, []byte(g.text), []byte(g.without), 1))
	if err != nil {
		return broken, err.Error()
	}
	cmd := exec.CommandContext(ctx, "go", "test", "-overlay", overlay,
		"-vet=off", "-count=1", "-timeout=3m", "-run", g.test, g.pkg)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	text := string(out)
	switch {
	case strings.Contains(text, "[build failed]") || strings.Contains(text, "[setup failed]"):
		return broken, text
	case strings.Contains(text, "no tests to run"):
		return lost, text
	case err == nil:
		return survived, ""
	case strings.Contains(text, "--- FAIL") || strings.Contains(text, "panic: "):
		return caught, ""
	}
	return broken, text
}

// writeOverlay returns the name of a file that tells the go command to read code in place of file.
func writeOverlay(scratch, file string, code []byte) (string, error) {
	mutant := filepath.Join(scratch, "mutant.go")
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {file: mutant}})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(mutant, code, 0o600); err != nil {
		return "", err
	}
	name := filepath.Join(scratch, "overlay.json")
	return name, os.WriteFile(name, overlay, 0o600)
}

// indent keeps the first lines of an output apart from the outcomes.
func indent(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return "       " + strings.Join(lines[:min(len(lines), 12)], "\n       ")
}
