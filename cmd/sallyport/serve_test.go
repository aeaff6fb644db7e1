package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log"
	"net"
	"os"
	"strings"
	"testing"
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
