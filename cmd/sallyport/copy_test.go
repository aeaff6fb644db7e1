package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

func TestCopyMovesAnInstallationAndShowsNoPassword(t *testing.T) {
	f := emptyFolder(t)
	f.want(0, "", "seed")
	target := harness.EmptyDatabase(t, storage.Postgres)
	out, stderr := f.want(0, target+"\n", "copy", "--to", "-", "--json")
	var all []storage.Copied
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		t.Fatal(err)
	}
	people := int64(0)
	for _, c := range all {
		if c.Table == "users" {
			people = c.Rows
		}
	}
	if people != 3 || !strings.Contains(stderr, "users: 3 of 3") {
		t.Errorf("%d people were copied, want 3; told: %s", people, stderr)
	}
	if _, stderr := f.want(1, "", "copy", "--to", target); !strings.Contains(stderr, "not empty") {
		t.Errorf("a second time: %s", stderr)
	}
	back := filepath.Join(t.TempDir(), "back.db")
	f.want(0, "", "copy", "--to", "sqlite://"+back, "--set", "DATABASE_URL="+target)
	if _, err := os.Stat(back); err != nil {
		t.Error(err)
	}
	if out, _ := f.want(0, "", "users", "list", "--set", "DATABASE_URL=sqlite://"+back); !strings.Contains(out, "bob@acme-corp.com") {
		t.Errorf("after the way back: %s", out)
	}
	for _, to := range []string{"postgres://sallyport:hunter2secret@127.0.0.1:1/none", "postgres://sallyport:hunter2secret%zz@127.0.0.1/none", "mysql://sallyport:hunter2secret@127.0.0.1/none"} {
		code, out, stderr := f.run("", "copy", "--to", to)
		if code == 0 || strings.Contains(out+stderr, "hunter2secret") {
			t.Errorf("exit code %d: %s%s", code, out, stderr)
		}
	}
	f.want(2, "", "copy")
}

func TestCopyIsRefusedWhileAServerRuns(t *testing.T) {
	f := emptyFolder(t)
	f.want(0, "", "seed")
	s, err := storage.Open(t.Context(), storage.Config{URL: "sqlite://data/sallyport.db"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, stderr := f.want(1, "", "copy", "--to", harness.EmptyDatabase(t, storage.Postgres)); !strings.Contains(stderr, "Stop all nodes") {
		t.Errorf("got %q", stderr)
	}
}
