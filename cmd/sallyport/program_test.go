package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// terminalless is the program in an empty folder, with nobody at the terminal.
type terminalless struct{ t *testing.T }

func emptyFolder(t *testing.T) terminalless {
	t.Helper()
	t.Chdir(t.TempDir())
	return terminalless{t}
}

// run returns the exit code and what was written to standard output and error.
func (f terminalless) run(in string, args ...string) (code int, out, stderr string) {
	f.t.Helper()
	var o, e bytes.Buffer
	p := &program{in: strings.NewReader(in), out: &o, err: &e}
	code = p.run(f.t.Context(), args)
	return code, o.String(), e.String()
}

func (f terminalless) want(code int, in string, args ...string) (out, stderr string) {
	f.t.Helper()
	got, out, stderr := f.run(in, args...)
	if got != code {
		f.t.Errorf("sallyport %s: got exit code %d, want %d\n%s%s", strings.Join(args, " "), got, code, out, stderr)
	}
	return out, stderr
}

const passphrase = "a quiet river bends north"

func TestExitCodes(t *testing.T) {
	f := emptyFolder(t)
	for _, args := range [][]string{
		{"bogus"}, {"--bogus"}, {"users", "create", "extra"}, {"clients", "rotate-secret"}, {"users", "create", "-e"},
		{"clients", "create", "--type", "toaster"}, {"clients", "create", "--pkce", "true"}, {"clients", "create", "--type", "spa", "--pkce", "off"},
		{"clients", "create", "--type", "native", "--pkce", "auto"}, {"--set", "ISSUER", "doctor"}, {"migrate", "create"},
		{"users", "add-role", "-e", "ada@example.com"}, {"users", "remove-role", "admin", "-r", "superadmin", "-e", "ada@example.com"}, {"orgs", "invitations"}, {"resources", "create"},
	} {
		if _, stderr := f.want(2, "", args...); stderr == "" || strings.Contains(stderr, "Usage:") {
			t.Errorf("%v: got %q, want a sentence and where to read more", args, stderr)
		}
	}
	for _, args := range [][]string{
		{"users", "disable", "-e", "nobody@example.com"}, {"orgs", "create", "admin"}, {"clients", "plan"}, {"clients", "rotate-secret", "nope"},
		{"--set", "ISSUER=ftp://x", "doctor"}, {"--config", "missing.yaml", "doctor"}, {"healthcheck", "--set", "ADMIN_LISTEN=127.0.0.1:1"},
	} {
		if _, stderr := f.want(1, "", args...); stderr == "" {
			t.Errorf("%v: got silence, want what happened", args)
		}
	}
	for _, args := range [][]string{{}, {"--help"}, {"version"}, {"migrate", "status"}, {"seed"}, {"doctor"}, {"secrets", "status"}, {"completion", "bash"}} {
		f.want(0, "", args...)
	}
}

// plan is what a pipeline asks before it applies.
func TestPlanExitsWithTwoOnADifference(t *testing.T) {
	f := emptyFolder(t)
	write(t, "clients.yaml", "version: 1\nclients:\n  - client_id: app\n    redirect_uris: [https://a.example/cb]\n")
	if out, stderr := f.want(2, "", "clients", "plan"); !strings.Contains(out, "+ client app: create") || !strings.Contains(stderr, "this is for a new one") {
		t.Errorf("got %q and %q", out, stderr)
	}
	f.want(0, "", "clients", "apply")
	f.want(0, "", "clients", "plan")
	out, _ := f.want(0, "", "clients", "export")
	write(t, "exported.yaml", out)
	f.want(0, "", "clients", "plan", "-f", "exported.yaml")
	write(t, "clients.yaml", "version: 1\nclients:\n  - client_id: app\n    redirect_uri: x\n")
	if _, stderr := f.want(1, "", "clients", "apply"); !strings.Contains(stderr, "clients.yaml:4: ") || !strings.Contains(stderr, "did you mean redirect_uris?") {
		t.Errorf("a faulty file: got %q", stderr)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestPasswordsComeFromStandardInputAndAreNeverPrinted(t *testing.T) {
	f := emptyFolder(t)
	out, stderr := f.want(0, passphrase+"\nnot this line", "users", "create", "-e", "ada@example.com", "-p", "-", "--super-admin")
	if strings.Contains(out+stderr, passphrase) || !strings.Contains(out, "superadmin") {
		t.Errorf("got %q and %q", out, stderr)
	}
	if _, stderr := f.want(0, "", "users", "create", "-e", "bob@example.com", "-p", passphrase); !strings.Contains(stderr, "seen by everybody") || strings.Contains(stderr, passphrase) {
		t.Errorf("on the command line: got %q, want a warning", stderr)
	}
	if _, stderr := f.want(1, "hunter22\n", "users", "create", "-e", "eve@example.com", "-p", "-"); strings.Contains(stderr, "hunter22") {
		t.Errorf("a refused one: got %q", stderr)
	}
	f.want(2, "", "users", "create")                          // nobody to ask for the address
	f.want(2, "", "users", "create", "-e", "eve@example.com") // nor for the password
	out, _ = f.want(0, "", "users", "list", "--json")
	var people []struct {
		Email string   `json:"email"`
		Roles []string `json:"platform_roles"`
	}
	if err := json.Unmarshal([]byte(out), &people); err != nil || len(people) != 2 || people[0].Email != "ada@example.com" || len(people[0].Roles) != 1 {
		t.Errorf("list: got %s, %v", out, err)
	}
}

// An action that cannot be undone is not done by accident in a script.
func TestWhatCannotBeUndoneNeedsAYes(t *testing.T) {
	f := emptyFolder(t)
	f.want(0, "", "clients", "create", "app", "--redirect-uri", "https://a.example/cb")
	f.want(2, "y\n", "clients", "delete", "app")
	f.want(2, "y\n", "migrate", "down")
	if out, _ := f.want(0, "", "clients", "list"); !strings.Contains(out, "app") {
		t.Errorf("the client is gone: %s", out)
	}
	f.want(0, "", "clients", "delete", "app", "--yes")
	f.want(1, "", "clients", "delete", "app", "--yes")
	f.want(0, "", "migrate", "down", "--yes")
}

func TestOrganizationsAndTheirMembers(t *testing.T) {
	f := emptyFolder(t)
	f.want(0, passphrase, "users", "create", "-e", "alice@example.com", "-p", "-")
	f.want(0, "", "orgs", "create", "acme-corp", "--name", "Acme Corp", "--owner", "alice@example.com")
	f.want(1, "", "orgs", "create", "acme-corp")
	if _, stderr := f.want(1, "", "orgs", "remove-member", "acme-corp", "-e", "alice@example.com"); !strings.Contains(stderr, "only owner") {
		t.Errorf("the last owner: got %q", stderr)
	}
	f.want(1, "", "orgs", "add-member", "acme-corp", "-e", "alice@example.com", "--role", "guest")
	f.want(0, passphrase, "users", "create", "-e", "bob@example.com", "-p", "-")
	f.want(0, "", "orgs", "add-member", "acme-corp", "-e", "bob@example.com")
	f.want(0, "", "orgs", "add-member", "acme-corp", "-e", "bob@example.com", "--role", "owner")
	f.want(0, "", "orgs", "remove-member", "acme-corp", "-e", "alice@example.com")
	if out, _ := f.want(0, "", "orgs", "list", "acme-corp"); !strings.Contains(out, "bob@example.com") || strings.Contains(out, "alice") {
		t.Errorf("members: got %s", out)
	}
}

// A secret is for whoever stands at standard output; what people entered cannot move the cursor.
func TestWhatIsPrinted(t *testing.T) {
	f := emptyFolder(t)
	out, stderr := f.want(0, "", "clients", "create", "app", "--redirect-uri", "https://a.example/cb")
	if !strings.Contains(out, "client_secret  ") || strings.Contains(stderr, "client_secret") {
		t.Errorf("got %q and %q", out, stderr)
	}
	if got := printable("a\x1b[2Jb\nc\u0085"); got != "a?[2Jb?c?" {
		t.Errorf("printable: got %q", got)
	}
}

// example is the command line of a line of an example, without what is before and behind it in the shell. It has no
// arguments if the line does not call the program.
func example(line string) []string {
	line, _, _ = strings.Cut(line, " #")
	_, args, _ := strings.Cut(line, "sallyport ")
	for _, behind := range []string{" <", " >", " |"} {
		args, _, _ = strings.Cut(args, behind)
	}
	return words(args)
}

// The flag of the tools that came before, and the argument, name the same role.
func TestPlatformRolesAreGivenByFlagOrArgument(t *testing.T) {
	f := emptyFolder(t)
	f.want(0, passphrase, "users", "create", "-e", "ada@example.com", "-p", "-")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"add-role", "-e", "ada@example.com", "-r", "superadmin"}, "now has the role superadmin"},
		{[]string{"add-role", "superadmin", "-e", "ada@example.com"}, "has the role superadmin already"},
		{[]string{"add-role", "admin", "--role", "admin", "-e", "ada@example.com"}, "now has the role admin"},
		{[]string{"remove-role", "--role=admin", "-e", "ada@example.com"}, "no longer has the role admin"},
		{[]string{"remove-role", "admin", "-e", "ada@example.com"}, "does not have the role admin"},
	} {
		if out, _ := f.want(0, "", append([]string{"users"}, c.args...)...); !strings.Contains(out, c.want) {
			t.Errorf("%v: got %q", c.args, out)
		}
	}
	f.want(1, "", "users", "add-role", "-e", "ada@example.com", "-r", "king")
}

// People learn a command from its help: each has a summary, its usage, and an example that calls it as it can be called.
func TestEveryCommandExplainsItself(t *testing.T) {
	f := emptyFolder(t)
	tree := func() *cobra.Command {
		p := &program{}
		root := p.root()
		p.refuseUnknownCommands(root)
		return root
	}
	commands := 0
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		commands++
		calls := false
		for line := range strings.Lines(c.Example) {
			if len(strings.TrimSpace(line)) == 0 {
				continue
			}
			called, rest, err := tree().Find(example(line))
			if err == nil {
				err = called.ParseFlags(rest)
			}
			if err == nil {
				err = called.ValidateArgs(called.Flags().Args())
			}
			if err != nil {
				t.Errorf("%s: the example %q: %v", c.CommandPath(), line, err)
				continue
			}
			calls = calls || strings.HasPrefix(called.CommandPath()+" ", c.CommandPath()+" ")
		}
		if c.Short == "" || !calls {
			t.Errorf("%s: its summary, or an example that calls it, is missing:\n%s", c.CommandPath(), c.Example)
		}
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(tree())
	if commands < 60 {
		t.Errorf("got %d commands", commands)
	}
	for _, args := range [][]string{{"migrate"}, {"keys", "--help"}, {"completion", "fish", "--help"}, {"help", "orgs", "mfa-policy"}} {
		if out, _ := f.want(0, "", args...); !strings.Contains(out, "Usage:") || !strings.Contains(out, "Examples:\n  sallyport ") {
			t.Errorf("%v: got %s", args, out)
		}
	}
}

// A reader of the documentation calls commands as it writes them.
func TestTheCommandsInTheDocumentationCanBeCalled(t *testing.T) {
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile(`(?m)^(?:    |\t)(?:[A-Z_]+=\S+ |[^\n]*\| )*(?:go run \./cmd/)?sallyport ((?:[^\n]*\\\n)*[^\n]*)$`)
	inline := regexp.MustCompile("`sallyport ([^`]+)`")
	calls := 0
	for _, file := range append(files, "../../README.md", "../../CONTRIBUTING.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		check := func(line string, whole bool) {
			calls++
			p := &program{}
			root := p.root()
			p.refuseUnknownCommands(root)
			line, _, _ = strings.Cut(strings.ReplaceAll(line, "\\\n", ""), "   ")
			called, rest, err := root.Find(example("sallyport " + line))
			if err == nil && called.HasSubCommands() {
				err = called.ValidateArgs(rest)
			}
			if err == nil && whole {
				if err = called.ParseFlags(rest); err == nil {
					err = called.ValidateArgs(called.Flags().Args())
				}
			}
			if err != nil {
				t.Errorf("%s: sallyport %s: %v", filepath.Base(file), line, err)
			}
		}
		for _, m := range block.FindAllStringSubmatch(string(text), -1) {
			check(m[1], true)
		}
		for _, m := range inline.FindAllStringSubmatch(string(text), -1) {
			check(m[1], false)
		}
	}
	if calls < 30 {
		t.Errorf("got %d calls", calls)
	}
}

// The slug of an organization stands where it stands in every other command of the group.
func TestEveryCommandOfAnOrganizationTakesItsSlugFirst(t *testing.T) {
	for _, c := range (&program{}).orgs().Commands() {
		name, arguments, _ := strings.Cut(c.Use, " ")
		first, _, _ := strings.Cut(strings.Trim(arguments, "[]"), " ")
		if first != "SLUG" {
			t.Errorf("orgs %s takes %q first", name, first)
		}
		for _, flag := range []string{"org", "slug", "organization"} {
			if c.Flags().Lookup(flag) != nil {
				t.Errorf("orgs %s takes --%s too", name, flag)
			}
		}
	}
}

// Each choice of --pkce registers what the file calls require_pkce, and auto is the default of a server's client alone.
func TestClientsCreateRegistersWhatPKCESays(t *testing.T) {
	f := emptyFolder(t)
	for id, tc := range map[string]struct {
		args []string
		want string
	}{
		"default":  {nil, `"auto"`},
		"auto":     {[]string{"--pkce", "auto"}, `"auto"`},
		"required": {[]string{"--pkce", "required"}, "true"},
		"off":      {[]string{"--pkce=off"}, "false"},
		"spa":      {[]string{"--type", "spa"}, "true"},
		"native":   {[]string{"--type", "native", "--pkce", "required"}, "true"},
	} {
		redirect := "https://app.example/cb"
		f.want(0, "", append([]string{"clients", "create", id, "--redirect-uri", redirect}, tc.args...)...)
		out, _ := f.want(0, "", "clients", "list", "--json")
		var all []struct {
			ID   string          `json:"client_id"`
			PKCE json.RawMessage `json:"require_pkce"`
		}
		if err := json.Unmarshal([]byte(out), &all); err != nil {
			t.Fatal(err)
		}
		found := ""
		for _, c := range all {
			if c.ID == id {
				found = string(c.PKCE)
			}
		}
		if found != tc.want {
			t.Errorf("%s: got require_pkce %s, want %s", id, found, tc.want)
		}
	}
}
