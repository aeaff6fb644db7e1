package main

import (
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
)

func TestANameThatComesBackIsFound(t *testing.T) {
	dir := t.TempDir()
	page := filepath.Join(dir, renamesPage)
	if err := os.MkdirAll(filepath.Dir(page), 0o755); err != nil {
		t.Fatal(err)
	}
	rows := "| before | now |\n|---|---|\n| `b.Old` | New |\n| `b.T.Old` | New |\n| `b.T.Field` | New |\n| `b.Gone` | New |\n| `c.Old` | New |\n"
	if err := os.WriteFile(page, []byte(rows), 0o644); err != nil {
		t.Fatal(err)
	}
	source := "package b\n\ntype T struct{ Field int }\n\nvar Old int\n\nfunc (t *T) Old() {}\n\nfunc (t *T) Gone() {}\n"
	f, err := readFile(fstest.MapFS{"a/b/x.go": {Data: []byte(source)}}, "a/b/x.go")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := oldNames(dir, []file{f}); err != nil || len(again) != 3 {
		t.Errorf("found %q, %v, want Old, T.Old and T.Field of b", again, err)
	}
}

func TestASentenceWithoutASubjectIsFound(t *testing.T) {
	source := "package b\n\n// Who calls it knows. Nobody else does.\nvar A int\n\n// B is for nobody. It tells who calls.\nvar B int\n"
	f, err := readFile(fstest.MapFS{"b/x.go": {Data: []byte(source)}}, "b/x.go")
	if err != nil {
		t.Fatal(err)
	}
	if got := f.riddles(); len(got) != 1 {
		t.Errorf("found %q, want the comment of A", got)
	}
}
