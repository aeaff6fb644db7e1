package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// A script that misspells a command must not go on as if it had run.
func TestAMistypedCommandExitsWithTwoAndNamesTheNearest(t *testing.T) {
	f := emptyFolder(t)
	for typed, nearest := range map[string]string{
		"clients plna":                      "sallyport clients plan",
		"clients rotate":                    "sallyport clients rotate-secret",
		"clients --set LOG_LEVEL=warn lits": "sallyport clients list",
		"users crate -e ada@example.com":    "",
		"users craete":                      "sallyport users create",
		"orgs add-membre":                   "sallyport orgs add-member",
		"migrate stauts":                    "sallyport migrate status",
		"keys rotat":                        "sallyport keys rotate",
		"secrets statsu":                    "sallyport secrets status",
		"admin reset_mfa":                   "sallyport admin reset-mfa",
		"completion zhs":                    "sallyport completion zsh",
		"serv":                              "sallyport serve",
		"docter --json":                     "",
		"docter":                            "sallyport doctor",
		"clients plna --help":               "sallyport clients plan",
		"help clients plna":                 "sallyport clients plan",
		"help cleints":                      "sallyport clients",
	} {
		out, stderr := f.want(2, "", strings.Fields(typed)...)
		if out != "" || !strings.Contains(stderr, nearest) {
			t.Errorf("sallyport %s: got %q and %q, want a failure that names %q", typed, out, stderr, nearest)
		}
	}
	if _, stderr := f.want(2, "", "clients", "xylophone"); !strings.Contains(stderr, "clients --help") {
		t.Errorf("a name that nothing is near: got %q", stderr)
	}
	for typed, usage := range map[string]string{
		"clients update":              "sallyport clients update CLIENT_ID",
		"orgs invite":                 "sallyport orgs invite SLUG",
		"orgs revoke-invitation acme": "sallyport orgs revoke-invitation SLUG ID",
		"resources delete a b":        "sallyport resources delete IDENTIFIER",
	} {
		if _, stderr := f.want(2, "", strings.Fields(typed)...); !strings.Contains(stderr, usage) {
			t.Errorf("sallyport %s: got %q, want a failure that names %q", typed, stderr, usage)
		}
	}
	for _, args := range [][]string{{"clients"}, {"help"}, {"help", "clients", "plan"}, {"clients", "plan", "--help"}, {"clients", "--help"}, {"completion"}} {
		if out, _ := f.want(0, "", args...); !strings.Contains(out, "Usage:") {
			t.Errorf("sallyport %s: got %q, want help", strings.Join(args, " "), out)
		}
	}
	if out, _ := f.want(0, "", "__complete", "clients", "pl"); !strings.Contains(out, "plan") {
		t.Errorf("completion: got %q", out)
	}
}

// A group that is added later is covered without anybody thinking of it.
func TestEveryGroupRefusesWhatItDoesNotHold(t *testing.T) {
	f := emptyFolder(t)
	groups := 0
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		if c.HasSubCommands() {
			groups++
			path := strings.Fields(c.CommandPath())[1:]
			f.want(2, "", append(path, "no-such-command")...)
		}
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit((&program{}).root())
	if groups < 7 {
		t.Errorf("got %d groups", groups)
	}
}
