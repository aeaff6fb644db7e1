package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/sallyport-id/sallyport/internal/app"
)

// serve runs `sallyport serve` until the server answers, then stops it. It returns what was written to standard error.
func (f terminalless) serve(args ...string) string {
	f.t.Helper()
	public, admin := freeAddress(f.t), freeAddress(f.t)
	ctx, stop := context.WithCancel(f.t.Context())
	defer stop()
	var out, stderr bytes.Buffer
	p := &program{in: strings.NewReader(""), out: &out, err: &stderr}
	ended := make(chan int, 1)
	args = append(args, "serve", "--set", "LISTEN="+public, "--set", "ADMIN_LISTEN="+admin)
	go func() { ended <- p.run(ctx, args) }()
	for !answers(admin) {
		select {
		case code := <-ended:
			f.t.Fatalf("serve has ended with %d:\n%s", code, &stderr)
		default:
		}
	}
	log.Print("a library says something\nin two lines")
	stop()
	if code := <-ended; code != 0 {
		f.t.Errorf("serve: got exit code %d\n%s", code, &stderr)
	}
	return stderr.String()
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func answers(address string) bool {
	var out, stderr bytes.Buffer
	p := &program{in: strings.NewReader(""), out: &out, err: &stderr}
	return p.run(context.Background(), []string{"healthcheck", "--ready", "--set", "ADMIN_LISTEN=" + address}) == 0
}

// A port that another program has is the first thing a new user meets on macOS, where AirPlay has port 5000.
func TestServeSaysWhatToDoAboutATakenPort(t *testing.T) {
	f := emptyFolder(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	busy, free := taken.Addr().String(), freeAddress(t)
	_, port, _ := net.SplitHostPort(busy)
	for name, c := range map[string]struct {
		listen, admin, issuer string
		want                  []string
	}{
		"of the server":        {busy, free, "http://localhost:" + port, []string{"LISTEN: ", "has port " + port, "--set LISTEN=127.0.0.1:", "--set ISSUER=http://localhost:"}},
		"behind another name":  {busy, free, "http://localhost:9", []string{"LISTEN: ", "--set LISTEN=127.0.0.1:"}},
		"of the admin's":       {free, busy, "http://localhost:" + port, []string{"ADMIN_LISTEN: ", "--set ADMIN_LISTEN=127.0.0.1:"}},
		"an address elsewhere": {free, "192.0.2.1:0", "http://localhost:" + port, []string{"ADMIN_LISTEN: ", "This machine does not have that address"}},
	} {
		_, stderr := f.want(1, "", "serve", "--set", "LISTEN="+c.listen, "--set", "ADMIN_LISTEN="+c.admin, "--set", "ISSUER="+c.issuer)
		for _, want := range c.want {
			if !strings.Contains(stderr, want) {
				t.Errorf("%s: nothing says %q:\n%s", name, want, stderr)
			}
		}
		if issuer := strings.Contains(stderr, "--set ISSUER="); issuer != (name == "of the server") || strings.Contains(stderr, "AirPlay") {
			t.Errorf("%s: got %s", name, stderr)
		}
	}
	airplay := &app.ListenError{Key: "LISTEN", Address: "127.0.0.1:5000", Issuer: "http://localhost:5000", Err: syscall.EADDRINUSE}
	if next := airplay.Next(); !strings.Contains(next, "AirPlay") || !strings.Contains(next, "--set ISSUER=http://localhost:50") {
		t.Errorf("port 5000: got %q", next)
	}
	if next := (&app.ListenError{Key: "LISTEN", Address: ":443", Err: syscall.EACCES}).Next(); !strings.Contains(next, "below 1024") {
		t.Errorf("port 443: got %q", next)
	}
}

// The banner names the mode, because development and testing differ in what they show.
func TestServeNamesItsMode(t *testing.T) {
	for env, want := range map[string]string{"development": "Development mode: ", "testing": "Testing mode: "} {
		f := emptyFolder(t)
		text := f.serve("--set", "ENV="+env)
		for _, mode := range []string{"Development mode", "Testing mode", "Production mode"} {
			if strings.Contains(text, mode) != strings.HasPrefix(want, mode) {
				t.Errorf("%s: got %s", env, text)
			}
		}
	}
}

// Programs read the log of a service. The address with the setup token is for a person alone and is no record.
func TestServeWritesRecordsWhereNoPersonReads(t *testing.T) {
	f := emptyFolder(t)
	write(t, "clients.yaml", "version: 1\nclients:\n  - client_id: app\n    redirect_uris: [https://a.example/cb]\n")
	write(t, ".env", "SECURITY_TRACKABLE=true\nMICROSOFT_AUTH_ENABLED=true\n")
	f.want(0, passphrase, "users", "create", "-e", "ada@example.com", "-p", "-", "--super-admin")
	text := f.serve()
	for _, want := range []string{"Sallyport is at", "clients.yaml: create client app", "a library says something", "ignored: SECURITY_TRACKABLE",
		"MICROSOFT_AUTH_ENABLED has no effect"} {
		if !strings.Contains(text, want) {
			t.Errorf("nothing says %q:\n%s", want, text)
		}
	}
	for line := range strings.Lines(text) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil || record["msg"] == nil {
			t.Errorf("not a record: %s", line)
		}
	}
}

// The README's steps begin in a fresh clone, whose clients.yaml belongs to organizations that do not exist yet.
func TestServeAppliesTheFileOfAFreshClone(t *testing.T) {
	sample, err := os.ReadFile("../../clients.yaml")
	if err != nil {
		t.Fatal(err)
	}
	f := emptyFolder(t)
	write(t, "clients.yaml", string(sample))
	for _, tries := range []string{"on the first start", "on the second"} {
		if text := f.serve(); strings.Contains(text, "not applied") {
			t.Errorf("serve %s: %s", tries, text)
		}
	}
	if out, _ := f.want(0, "", "clients", "plan"); !strings.Contains(out, "No difference") {
		t.Errorf("after serve the file still differs: %s", out)
	}
	f.want(0, "", "seed")
	if out, _ := f.want(0, "", "orgs", "list"); !strings.Contains(out, "Acme Corp") || !strings.Contains(out, "tech-startup") {
		t.Errorf("after seed: got the organizations\n%s", out)
	}
}

// Only an empty development database gets organizations from a file: elsewhere a slug may be mistyped.
func TestAFileDoesNotCreateOrganizationsElsewhere(t *testing.T) {
	client := func(organization string) string {
		return "version: 1\nclients:\n  - client_id: app\n    organization: " + organization + "\n    redirect_uris: [https://a.example/cb]\n"
	}
	for name, c := range map[string]struct {
		file, organization string
		prepare            []string
	}{
		"another organization exists": {client("acme-corpp"), "acme-corpp", []string{"orgs", "create", "acme-corp", "--name", "Acme"}},
		"the slug is not one":         {client("Acme!"), "Acme!", nil},
		"the slug is reserved":        {client("admin"), "admin", nil},
		"the file has another fault":  {client("globex") + "    colour: red\n", "globex", nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := emptyFolder(t)
			write(t, "clients.yaml", c.file)
			if c.prepare != nil {
				f.want(0, "", c.prepare...)
			}
			if text := f.serve(); !strings.Contains(text, "clients.yaml was not applied") {
				t.Errorf("got no fault: %s", text)
			}
			if out, _ := f.want(0, "", "orgs", "list"); strings.Contains(out, c.organization) {
				t.Errorf("the organization was created: %s", out)
			}
		})
	}
}
