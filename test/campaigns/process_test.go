package campaigns

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/app"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/internal/sample/seed"
	"github.com/sallyport-id/sallyport/storage"
)

// full reports whether the numbers of `make campaign` are asked for.
func full() bool { return os.Getenv("SALLYPORT_TEST_FULL") != "" }

// size is one of the two numbers of the table in doc.go.
func size(small, large int) int {
	if full() {
		return large
	}
	return small
}

const key = "vElshPTGRNyv52M25fNn8VUgGbCfFg0LeR/LlRzzx84="

// installation is a database with the processes that serve it.
type installation struct {
	engine storage.Engine
	url    string
	beside string // the URL for looking at the database; "" if it is url
	issuer string
	dir    string // the working directory of its processes
	// settings are further ones, "SALLYPORT_CONFIRM_EMAIL=true", of processes that start from now on.
	settings []string
}

// install makes an installation with the sample data, and no process yet.
func install(t *testing.T, engine storage.Engine) *installation {
	t.Helper()
	in := newInstallation(t, engine, harness.NewDatabase(t, engine))
	cfg, err := app.Load(app.LoadOptions{Environ: in.environ(strings.TrimPrefix(in.issuer, "http://"), "127.0.0.1:0"), Dir: in.dir})
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.Open(t.Context(), cfg, app.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if err := a.Seeder.Seed(t.Context(), identity.Operator(), seed.Options{}); err != nil {
		t.Fatal(err)
	}
	return in
}

func newInstallation(t *testing.T, engine storage.Engine, url string) *installation {
	return &installation{engine: engine, url: url, issuer: "http://" + freeAddress(t), dir: t.TempDir()}
}

func (in *installation) environ(listen, admin string) []string {
	return append([]string{"SALLYPORT_ENV=testing", "SALLYPORT_ISSUER=" + in.issuer, "SALLYPORT_DATABASE_URL=" + in.url, "SALLYPORT_LISTEN=" + listen,
		"SALLYPORT_ADMIN_LISTEN=" + admin, "SALLYPORT_SECRET_KEY=" + key, "SALLYPORT_ENCRYPTION_KEY=" + key}, in.settings...)
}

// freeAddress is a loopback address that nobody listens on.
func freeAddress(t testing.TB) string {
	t.Helper()
	// Below the ports that the system hands out to whoever connects meanwhile.
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(12000))
		if l, err := net.Listen("tcp", address); err == nil {
			defer l.Close()
			return address
		}
	}
	t.Fatal("no free port in a hundred tries")
	return ""
}

// node is one server process of an installation.
type node struct {
	in            *installation
	listen, admin string
	transport     *http.Transport // reaches this process under the issuer's name
	log           *harness.Log

	cmd    *exec.Cmd
	exited chan struct{}
	state  *os.ProcessState // once exited is closed
	mu     sync.Mutex       // one command at a time
	stdin  io.WriteCloser
	stdout *bufio.Reader
}

// node starts a process and waits until it is ready.
func (in *installation) node(t *testing.T) *node {
	t.Helper()
	n := in.newNode(t)
	n.start(t)
	n.ready(t)
	return n
}

func (in *installation) newNode(t *testing.T) *node {
	t.Helper()
	n := &node{in: in, listen: freeAddress(t), admin: freeAddress(t), log: &harness.Log{}}
	n.transport = &http.Transport{MaxIdleConnsPerHost: 64, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, n.listen)
	}}
	t.Cleanup(func() {
		n.transport.CloseIdleConnections()
		n.kill()
		if strings.Contains(n.log.String(), "WARNING: DATA RACE") {
			t.Errorf("the race detector has found something in %s:\n%s", n.listen, n.log)
		}
		if t.Failed() {
			t.Logf("what %s complains about:\n%s", n.listen, complaints(n.log.String()))
		}
	})
	return n
}

// complaints are the lines of a log that are not in a day's work.
func complaints(log string) string {
	lines := slices.DeleteFunc(strings.SplitAfter(log, "\n"), func(line string) bool { return strings.Contains(line, " level=INFO ") })
	return strings.Join(lines[max(0, len(lines)-20):], "")
}

// start runs the process without waiting for it.
func (n *node) start(t *testing.T) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	n.cmd = exec.Command(self)
	n.cmd.Dir = n.in.dir
	n.cmd.Env = append(n.in.environ(n.listen, n.admin), nodeVariable+"=1", "PATH="+os.Getenv("PATH"), "TMPDIR="+os.TempDir(), "GORACE="+os.Getenv("GORACE"))
	n.cmd.Stderr = n.log
	if n.stdin, err = n.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := n.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	n.stdout = bufio.NewReader(out)
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n.exited = make(chan struct{})
	go func() {
		defer close(n.exited)
		n.state, _ = n.cmd.Process.Wait()
	}()
}

// ready waits until the process serves requests, at most a minute.
func (n *node) ready(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if status, _ := n.get("/readyz"); status == http.StatusOK {
			return
		}
		select {
		case <-n.exited:
			t.Fatalf("the process has ended:\n%s", n.log)
		default:
		}
	}
	t.Fatalf("the process is not ready after a minute:\n%s", n.log)
}

// get asks the public listener, and returns 0 where nobody answers.
func (n *node) get(path string) (int, string) { return get(n.transport, n.in.issuer+path) }

func get(transport http.RoundTripper, url string) (int, string) {
	resp, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}

// kill ends the process with SIGKILL and waits until it is gone.
func (n *node) kill() {
	if n.cmd == nil || n.cmd.Process == nil {
		return
	}
	_ = n.cmd.Process.Signal(syscall.SIGKILL)
	<-n.exited
	n.transport.CloseIdleConnections()
}

// command has the process obey one line of main_test.go.
func (n *node) command(format string, args ...any) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, err := fmt.Fprintf(n.stdin, format+"\n", args...); err != nil {
		return err
	}
	reply, err := n.stdout.ReadString('\n')
	if err != nil {
		return err
	}
	if reply = strings.TrimSpace(reply); reply != "ok" {
		return fmt.Errorf("%s: %s", strings.Fields(format)[0], reply)
	}
	return nil
}

func (n *node) rp(clientID, secret, redirectURI, scope string) *harness.RP {
	return &harness.RP{Issuer: n.in.issuer, ClientID: clientID, Secret: secret, RedirectURI: redirectURI, Scope: scope,
		HTTP: &http.Client{Transport: n.transport, Timeout: time.Minute}}
}

// portal is the sample web client, by this process.
func (n *node) portal() *harness.RP {
	return n.rp("acme-portal-001", "acme_secret_portal_2024", "http://localhost:5001/callback", "openid profile email offline_access org")
}

// machine is the sample machine client, by this process.
func (n *node) machine() *harness.RP {
	return n.rp("data-api-001", "data_secret_api_2024", "", "api:read api:write")
}

// proxied is the setting with which each browser of a node comes from an address of its own. An attempt whose
// node is killed stays counted for its address, so that many kills would use up the one that all share.
const proxied = "SALLYPORT_TRUSTED_PROXIES=127.0.0.1/32"

func (n *node) browser(t testing.TB) *harness.Browser {
	if slices.Contains(n.in.settings, proxied) {
		return harness.NewBrowser(t, n.in.issuer, &fromAddress{n.transport, fmt.Sprintf("10.%d.%d.%d", rand.N(256), rand.N(256), rand.N(256))})
	}
	return harness.NewBrowser(t, n.in.issuer, n.transport)
}

// fromAddress is a proxy in front of a browser at an address.
type fromAddress struct {
	http.RoundTripper
	address string
}

func (f *fromAddress) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Forwarded-For", f.address)
	return f.RoundTripper.RoundTrip(r)
}

// try runs f with a T whose Fatal makes try return an error, for what may fail
// while a server is being killed.
func try(t testing.TB, f func(t testing.TB)) (err error) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case failure:
			err = v
		default:
			panic(v)
		}
	}()
	f(soft{t})
	return nil
}

type soft struct{ testing.TB }

type failure struct{ error }

func (soft) Fatal(args ...any)                 { panic(failure{fmt.Errorf("%s", fmt.Sprint(args...))}) }
func (soft) Fatalf(format string, args ...any) { panic(failure{fmt.Errorf(format, args...)}) }
