package main

import (
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// readers are commands that only read.
func readers() [][]string {
	return [][]string{
		{"clients", "list"}, {"clients", "show", "app"}, {"clients", "export"}, {"resources", "list"}, {"users", "list"},
		{"orgs", "list"}, {"orgs", "list", "acme-corp"}, {"orgs", "invitations", "acme-corp"}, {"orgs", "compliance", "acme-corp"}, {"orgs", "mfa-policy", "acme-corp"},
		{"orgs", "mfa-policy", "--platform"}, {"keys", "list"}, {"secrets", "status"},
	}
}

// An operator in another folder must learn that, and not find a new installation there later.
func TestCommandsThatNeedAnInstallationMakeNone(t *testing.T) {
	f := emptyFolder(t)
	write(t, "clients.yaml", "version: 1\nclients:\n  - client_id: app\n    redirect_uris: [https://a.example/cb]\n")
	write(t, "people.csv", "email\nada@example.com\n")
	before := folder(t)
	unchanged := func(code int, args ...string) {
		t.Helper()
		if _, stderr := f.want(code, "", args...); !strings.Contains(stderr, "data/sallyport.db does not exist") {
			t.Errorf("%v: got %q", args, stderr)
		}
		if after := folder(t); after != before {
			t.Errorf("%v: the folder was\n%s\nand is\n%s", args, before, after)
		}
	}
	for _, args := range append(readers(), []string{"clients", "update", "app", "--name", "X"}, []string{"clients", "disable", "app"}, []string{"clients", "delete", "app", "--yes"},
		[]string{"users", "disable", "-e", "ada@example.com"}, []string{"admin", "unlock", "-e", "ada@example.com"}, []string{"migrate", "down", "--yes"}, []string{"copy", "--to", "sqlite://copy.db"}, []string{"restored", "--since", "2026-11-30T03:00:00Z", "--yes"}, []string{"keys", "revoke", "x"}) {
		unchanged(1, args...)
	}
	unchanged(2, "clients", "plan")
	unchanged(0, "users", "import", "people.csv", "--dry-run")
	for _, args := range [][]string{{"clients", "apply"}, {"clients", "list"}} {
		_, stderr := f.want(0, "", args...)
		if begun := strings.Contains(stderr, "a new one was begun"); begun != (args[1] == "apply") {
			t.Errorf("%v: got %q", args, stderr)
		}
	}
}

// A look at an installation leaves it as it is: no key is made, nothing is migrated, whichever the engine.
func TestCommandsThatOnlyReadChangeNothing(t *testing.T) {
	for _, engine := range []storage.Engine{storage.SQLite, storage.Postgres} {
		t.Run(string(engine), func(t *testing.T) {
			f := emptyFolder(t)
			url := harness.NewDatabase(t, engine)
			at := func(args []string) []string { return append(args[:len(args):len(args)], "--set", "DATABASE_URL="+url) }
			f.want(0, "", at([]string{"clients", "create", "app", "--redirect-uri", "https://a.example/cb"})...)
			f.want(0, "", at([]string{"orgs", "create", "acme-corp"})...)
			files, keys := folder(t), harness.Count(t, url, "signing_keys")
			for _, args := range readers() {
				f.want(0, "", at(args)...)
			}
			f.want(0, "", at([]string{"migrate", "down", "--yes"})...)
			for _, args := range readers() {
				if _, stderr := f.want(1, "", at(args)...); !strings.Contains(stderr, "sallyport migrate up") {
					t.Errorf("%v: got %q", args, stderr)
				}
			}
			if out, _ := f.want(0, "", at([]string{"migrate", "status"})...); strings.Count(out, "pending") != 1 {
				t.Errorf("a command has migrated:\n%s", out)
			}
			if after := folder(t); after != files {
				t.Errorf("the folder was\n%s\nand is\n%s", files, after)
			}
			if now := harness.Count(t, url, "signing_keys"); now != keys || now != 0 {
				t.Errorf("there are %d signing keys, and were %d", now, keys)
			}
		})
	}
}
