package archtest

import (
	"go/ast"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const eventTypesFile = "storage/eventtypes.go"

// literals returns the string literals of a file with their positions.
func literals(f file) map[token.Position]string {
	all := map[token.Position]string{}
	ast.Inspect(f.tree, func(n ast.Node) bool {
		if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
			all[f.set.Position(l.Pos())], _ = strconv.Unquote(l.Value)
		}
		return true
	})
	return all
}

// program returns the files that are not tests.
func program(t *testing.T) []file {
	return slices.DeleteFunc(files(t), func(f file) bool { return f.test })
}

func eventTypes(t *testing.T) []string {
	for _, f := range program(t) {
		if f.name == eventTypesFile {
			var all []string
			for _, value := range literals(f) {
				all = append(all, value)
			}
			slices.Sort(all)
			return all
		}
	}
	t.Fatalf("there is no %s", eventTypesFile)
	return nil
}

// A type that is written twice is spelled in two ways one day, and nothing that reads the audit log finds both.
func TestEventTypesAreConstants(t *testing.T) {
	types := eventTypes(t)
	for _, f := range program(t) {
		if f.name == eventTypesFile {
			continue
		}
		for at, value := range literals(f) {
			for _, kind := range types {
				if value == kind || strings.Contains(value, "'"+kind+"'") {
					t.Errorf("%s:%d writes the event type %q: use the constant of %s", f.name, at.Line, kind, eventTypesFile)
				}
			}
		}
		ast.Inspect(f.tree, func(n ast.Node) bool {
			if c, ok := n.(*ast.CompositeLit); ok && isEvent(c.Type) {
				for _, e := range c.Elts {
					if field, ok := e.(*ast.KeyValueExpr); ok && isLiteral(field.Value) && field.Key.(*ast.Ident).Name == "Type" {
						t.Errorf("%s: an event has a literal as its type: add a constant to %s", f.set.Position(e.Pos()), eventTypesFile)
					}
				}
			}
			return true
		})
	}
}

// isEvent reports whether a type is storage.Event, as inside or outside of its package.
func isEvent(x ast.Expr) bool {
	if s, ok := x.(*ast.SelectorExpr); ok {
		x = s.Sel
	}
	name, ok := x.(*ast.Ident)
	return ok && name.Name == "Event"
}

func isLiteral(x ast.Expr) bool {
	_, ok := x.(*ast.BasicLit)
	return ok
}

// The page is what alerts and reports are written from.
func TestEveryEventTypeIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\| \\S").FindAllStringSubmatch(string(page), -1) {
		got = append(got, row[1])
	}
	types := eventTypes(t)
	for _, kind := range types {
		if !slices.Contains(got, kind) {
			t.Errorf("docs/events.md has no row for %s", kind)
		}
	}
	for _, kind := range got {
		if !slices.Contains(types, kind) {
			t.Errorf("docs/events.md has a row for %s, which no constant of %s is", kind, eventTypesFile)
		}
	}
}

// Relying parties are told when a session ends: what ends one past the others would leave them signed in.
func TestSessionsEndAndGrantsAreRevokedInOnePlace(t *testing.T) {
	for statement, want := range map[string]string{
		`UPDATE sessions (AS s )?SET ended_at`: "storage/sessionend.go",
		`UPDATE grants (AS g )?SET revoked_at`: "storage/grant.go",
		`INSERT INTO audit_events`:             "storage/event.go",
	} {
		found := map[string]int{}
		for _, f := range program(t) {
			for _, value := range literals(f) {
				if regexp.MustCompile(statement).MatchString(value) {
					found[f.name]++
				}
			}
		}
		if most := 2; len(found) != 1 || found[want] == 0 || found[want] > most {
			t.Errorf("%s is written in %v, want only in %s", statement, found, want)
		}
	}
}
