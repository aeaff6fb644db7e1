package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/spf13/cobra"
)

// shown is what `clients show --json` prints.
func (f terminalless) shown(id string, args ...string) map[string]any {
	f.t.Helper()
	out, _ := f.want(0, "", append([]string{"clients", "show", id, "--json"}, args...)...)
	var c map[string]any
	if err := json.Unmarshal([]byte(out), &c); err != nil {
		f.t.Fatalf("%s: %v in %q", id, err, out)
	}
	return c
}

// All that a command registers, a command can change.
func TestClientsUpdateChangesWhatItsFlagsName(t *testing.T) {
	for _, engine := range []storage.Engine{storage.SQLite, storage.Postgres} {
		t.Run(string(engine), func(t *testing.T) {
			f := emptyFolder(t)
			at := []string{"--set", "DATABASE_URL=" + harness.NewDatabase(t, engine)}
			run := func(code int, args ...string) (out, stderr string) {
				t.Helper()
				return f.want(code, "", append(args, at...)...)
			}
			run(0, "clients", "create", "app", "--redirect-uri", "https://a.example/cb", "--post-logout-redirect-uri", "https://a.example/")
			for _, c := range []struct {
				args  []string
				field string
				want  any
			}{
				{[]string{"--name", "Portal, new"}, "client_name", "Portal, new"},
				{[]string{"--name="}, "client_name", nil},
				{[]string{"--redirect-uri", "https://b.example/cb?x=1,2", "--redirect-uri", "https://c.example/cb"}, "redirect_uris", []any{"https://b.example/cb?x=1,2", "https://c.example/cb"}},
				{[]string{"--post-logout-redirect-uri", "https://b.example/bye"}, "post_logout_redirect_uris", []any{"https://b.example/bye"}},
				{[]string{"--post-logout-redirect-uri", ""}, "post_logout_redirect_uris", nil},
				{[]string{"--scope", "openid  org"}, "scope", "openid org"},
				{[]string{"--pkce", "required"}, "require_pkce", true},
				{[]string{"--pkce", "off"}, "require_pkce", false},
				{[]string{"--pkce", "auto"}, "require_pkce", "auto"},
				{[]string{"--access-token-format", "jwt"}, "access_token_format", "jwt"},
				{[]string{"--claims-in-id-token"}, "claims_in_id_token", true},
				{[]string{"--claims-in-id-token=false"}, "claims_in_id_token", nil},
			} {
				out, _ := run(0, append([]string{"clients", "update", "app"}, c.args...)...)
				if got := f.shown("app", at...)[c.field]; !reflect.DeepEqual(got, c.want) || !strings.Contains(out, c.field+": ") {
					t.Errorf("%q: got %v, want %v; it says\n%s", c.args, got, c.want, out)
				}
			}
			if out, _ := run(0, "clients", "update", "app", "--pkce", "auto"); !strings.Contains(out, "No difference") {
				t.Errorf("nothing to change: got %q", out)
			}
			run(2, "clients", "update", "app")
			run(2, "clients", "update", "app", "--pkce", "maybe")
			run(1, "clients", "update", "app", "--redirect-uri", "")
			run(1, "clients", "update", "nobody", "--name", "X")
			if text, _ := run(0, "clients", "show", "app"); !strings.Contains(text, "redirect_uris: https://b.example/cb?x=1,2, https://c.example/cb") || strings.Contains(text, "sp_") {
				t.Errorf("for people: got %s", text)
			}
		})
	}
}

// The server follows what a command changes, and the audit log has it.
func TestTheServerFollowsChangesOfAClient(t *testing.T) {
	f := emptyFolder(t)
	f.want(0, "", "clients", "create", "app", "--redirect-uri", "https://a.example/cb")
	a := f.opened()
	b := f.node(a)
	answer := func(redirect string) int {
		t.Helper()
		if err := a.Registry.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		return b.Get(t, "/oauth2/authorize?client_id=app&response_type=code&scope=openid&nonce=n-0S6_WzA2Mj&state=abcdefgh&redirect_uri="+redirect).Status
	}
	wants := func(when string, codes ...int) {
		t.Helper()
		for n, redirect := range []string{"https://a.example/cb", "https://b.example/cb"} {
			if got := answer(redirect); got != codes[n] {
				t.Errorf("%s: %s is answered by %d, want %d", when, redirect, got, codes[n])
			}
		}
	}
	wants("at first", http.StatusOK, http.StatusBadRequest)
	f.want(0, "", "clients", "update", "app", "--redirect-uri", "https://b.example/cb")
	wants("updated", http.StatusBadRequest, http.StatusOK)
	for _, word := range []string{"now", "already"} {
		if out, _ := f.want(0, "", "clients", "disable", "app"); !strings.Contains(out, "disabled "+word) {
			t.Errorf("got %q", out)
		}
	}
	if got := answer("https://b.example/cb"); got == http.StatusOK {
		t.Errorf("disabled: got %d", got)
	}
	f.want(0, "", "clients", "enable", "app")
	wants("enabled", http.StatusBadRequest, http.StatusOK)
	if err := a.Identity.Clients.WriteRefusals(t.Context(), &storage.Pace{}); err != nil {
		t.Fatal(err)
	}
	if out, _ := f.want(0, "", "clients", "show", "app"); !strings.Contains(out, "/oauth2/authorize") || !strings.Contains(out, "redirect_uri https://b.example/cb") {
		t.Errorf("its refusals are not shown:\n%s", out)
	}
	if all, _ := f.shown("app")["refusals"].([]any); len(all) < 4 || strings.Contains(fmt.Sprint(all), "n-0S6_WzA2Mj") {
		t.Errorf("as JSON: got %v", all)
	}
	for kind, want := range map[string]int{"client.created": 1, "client.updated": 1, "client.disabled": 1, "client.enabled": 1} {
		if got := harness.Count(t, a.Config.DatabaseURL, "audit_events WHERE client_id = 'app' AND type = '"+kind+"'"); got != want {
			t.Errorf("%s: got %d events, want %d", kind, got, want)
		}
	}
}

// The file has the last word on what it names, but an incident can be stopped at once.
func TestClientsAndResourcesOfTheFileAreReadOnly(t *testing.T) {
	f := emptyFolder(t)
	write(t, "clients.yaml", "version: 1\nclients:\n  - client_id: app\n    redirect_uris: [https://a.example/cb]\nresources:\n  - identifier: https://api.example\n    name: API\n    scopes: {api:read: Read}\n")
	f.want(0, "", "clients", "apply")
	for _, args := range [][]string{
		{"clients", "update", "app", "--name", "Mine"}, {"clients", "update", "app", "--pkce", "off"}, {"clients", "delete", "app", "--yes"},
		{"resources", "delete", "https://api.example", "--yes"},
	} {
		if _, stderr := f.want(1, "", args...); !strings.Contains(stderr, "belongs to clients.yaml") || !strings.Contains(stderr, "apply") {
			t.Errorf("%v: got %q", args, stderr)
		}
	}
	if out, _ := f.want(0, "", "clients", "show", "app"); !strings.Contains(out, "clients.yaml, which is where to change it") {
		t.Errorf("got %s", out)
	}
	f.want(0, "", "clients", "disable", "app")
	f.want(0, "", "clients", "apply")
	if c := f.shown("app"); c["disabled"] != true || c["managed_by"] != "file" {
		t.Errorf("after apply: got %v", c)
	}
}

// People copy what help shows.
func TestTheExamplesOfClientsAndResourcesWork(t *testing.T) {
	f := emptyFolder(t)
	f.want(0, "", "clients", "create", "files-api", "--type", "machine")
	run := func(c *cobra.Command) {
		for line := range strings.Lines(c.Example) {
			args := words(line)[1:]
			if args[0] == "resources" && args[1] == "create" {
				f.run("", "clients", "delete", "importer", "--yes") // it has the scope, from an example before
				f.run("", "resources", "delete", args[2], "--yes")
			}
			f.want(0, "", args...)
		}
	}
	clients, resources := (&program{}).clients(), (&program{}).resources()
	for _, path := range []struct {
		group *cobra.Command
		name  string
	}{{clients, "create"}, {clients, "update"}, {clients, "show"}, {clients, "list"}, {clients, "disable"}, {clients, "enable"}, {resources, "create"}, {resources, "list"}} {
		c, _, err := path.group.Find([]string{path.name})
		if err != nil {
			t.Fatal(err)
		}
		run(c)
	}
}

// words are those of a line of shell with double quotes.
func words(line string) []string {
	var all []string
	for n, part := range strings.Split(strings.TrimSpace(line), `"`) {
		if n%2 == 1 {
			if len(all) == 0 {
				all = append(all, "")
			}
			all[len(all)-1] += part
			continue
		}
		fields := strings.Split(part, " ")
		if n == 0 {
			all = append(all, fields...)
			continue
		}
		all[len(all)-1] += fields[0]
		all = append(all, fields[1:]...)
	}
	return all
}
