package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/url"
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

// refusingPostgres is the address of a server that asks for a password and takes none: that of the tests asks for none.
// It speaks as much of PostgreSQL's protocol (version 3.0) as comes before it refuses.
func refusingPostgres(t *testing.T) string {
	t.Helper()
	message := func(kind byte, body string) []byte {
		return append(binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)+4)), body...)
	}
	refuse := func(conn net.Conn) {
		defer conn.Close()
		length := make([]byte, 4)
		if _, err := io.ReadFull(conn, length); err != nil {
			return
		}
		if _, err := io.CopyN(io.Discard, conn, int64(binary.BigEndian.Uint32(length))-4); err != nil {
			return
		}
		_, _ = conn.Write(message('R', "\x00\x00\x00\x03")) // a password in clear, please
		answer := make([]byte, 1024)
		_, _ = conn.Read(answer)
		_, _ = conn.Write(message('E', "SFATAL\x00VFATAL\x00C28P01\x00Mpassword authentication failed for user \"sallyport\"\x00\x00"))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			refuse(conn)
		}
	}()
	t.Cleanup(func() { l.Close(); <-ended })
	return l.Addr().String()
}

// Starting without a database is the first thing that goes wrong in a new installation: the error tells what to change.
func TestStartingSaysWhatToDoAboutTheDatabase(t *testing.T) {
	f := emptyFolder(t)
	write(t, "bad.db", "this is no database, and long enough to be taken for one by whoever looks at its size alone")
	server, err := url.Parse(variable(t, "SALLYPORT_TEST_POSTGRES_URL"))
	if err != nil {
		t.Fatal(err)
	}
	at := func(change func(u *url.URL)) string {
		u := *server
		u.User = url.UserPassword(u.User.Username(), "canary")
		change(&u)
		return u.String()
	}
	for name, c := range map[string]struct{ url, cause, remedy string }{
		"a wrong password":     {"postgres://sallyport:canary@" + refusingPostgres(t) + "/x", "password authentication failed", "correct POSTGRES_USER and POSTGRES_PASSWORD"},
		"no such user":         {at(func(u *url.URL) { u.User = url.UserPassword("no_such_user", "canary") }), "no_such_user", "correct the user in DATABASE_URL"},
		"no such database":     {at(func(u *url.URL) { u.Path = "/no_such_database" }), "does not exist", "createdb"},
		"a server without TLS": {at(func(u *url.URL) { u.RawQuery = "sslmode=require" }), "SSL", "ssl = on"},
		"no server":            {"postgres://sallyport:canary@127.0.0.1:1/x", "connection refused", "check that the server runs and listens there"},
		"no such host":         {"postgres://sallyport:canary@db.invalid/x", "db.invalid", "correct DATABASE_URL"},
		"another file":         {"sqlite://bad.db", "not a database", "correct DATABASE_URL"},
	} {
		commands := []string{"serve"}
		if name == "a wrong password" { // all open it in one of two ways
			commands = append(commands, "users list")
		}
		for _, command := range commands {
			_, stderr := f.want(1, "", append(strings.Fields(command), "--set", "DATABASE_URL="+c.url, "--set", "LISTEN=127.0.0.1:0", "--set", "ADMIN_LISTEN=127.0.0.1:0")...)
			for _, want := range []string{"DATABASE_URL", c.cause, c.remedy, "sallyport doctor"} {
				if !strings.Contains(stderr, want) {
					t.Errorf("%s, %s: nothing says %q:\n%s", command, name, want, stderr)
				}
			}
			if strings.Contains(stderr, "canary") {
				t.Errorf("%s, %s: the password is shown:\n%s", command, name, stderr)
			}
		}
	}
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
	write(t, ".env", "SECURITY_TRACKABLE=true\nSALLYPORT_SENDGRID_API_KEY=canary\n")
	f.want(0, passphrase, "users", "create", "-e", "ada@example.com", "-p", "-", "--super-admin")
	text := f.serve()
	for _, want := range []string{"Sallyport is at", "clients.yaml: create client app", "a library says something", "ignored: SECURITY_TRACKABLE",
		"SENDGRID_API_KEY has no effect"} {
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
