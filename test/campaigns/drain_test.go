package campaigns

import (
	"encoding/csv"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// proxy is an HAProxy in front of two nodes. It asks each for /readyz ten times a second, keeps connections to them
// alive and shares those between clients, and sends a request once: what a node cuts off, the client sees.
type proxy struct {
	stats string // the address of its statistics
	log   *harness.Log
}

const proxyConfig = `
defaults
	mode http
	timeout connect 5s
	timeout check 5s
	timeout client 60s
	timeout server 60s
	retries 0
	retry-on none
	http-reuse always
frontend public
	bind %s
	default_backend nodes
backend nodes
	balance roundrobin
	option httpchk
	http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host localhost
	http-check expect status 200
	default-server check inter 100ms fall 1 rise 1
	server node0 %s
	server node1 %s
listen statistics
	bind %s
	stats enable
	stats uri /
`

func startProxy(t *testing.T, address string, nodes ...*node) *proxy {
	t.Helper()
	program, err := exec.LookPath("haproxy")
	if err != nil {
		program = "/usr/sbin/haproxy" // Debian's place, which is not in everybody's PATH
	}
	p := &proxy{stats: freeAddress(t), log: &harness.Log{}}
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	must(t, os.WriteFile(file, fmt.Appendf(nil, proxyConfig, address, nodes[0].listen, nodes[1].listen, p.stats), 0o600))
	cmd := exec.Command(program, "-db", "-f", file)
	cmd.Stdout, cmd.Stderr = p.log, p.log
	if err := cmd.Start(); err != nil {
		t.Fatalf("HAProxy does not start (`make test` installs it): %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("HAProxy:\n%s", p.log)
		}
	})
	return p
}

// status is what HAProxy thinks of node 0 or 1: "UP", "DOWN", or empty while it does not answer.
func (p *proxy) status(n int) string {
	status, body := get(http.DefaultTransport, "http://"+p.stats+"/;csv")
	if status != http.StatusOK {
		return ""
	}
	rows, err := csv.NewReader(strings.NewReader(body)).ReadAll()
	if err != nil {
		return ""
	}
	for _, row := range rows {
		if len(row) > 17 && row[0] == "nodes" && row[1] == fmt.Sprintf("node%d", n) {
			return row[17]
		}
	}
	return ""
}

// Rolling restarts lose no request, although the proxy keeps connections alive and repeats no POST: a node that is told
// to stop says that it is not ready and goes on answering until the proxy has noticed.
func TestRollingRestartsLoseNothing(t *testing.T) {
	in := install(t, storage.Postgres)
	in.settings = append(in.settings, "SALLYPORT_DRAIN_DELAY=2")
	nodes := []*node{in.node(t), in.node(t)}
	address := strings.TrimPrefix(in.issuer, "http://")
	p := startProxy(t, address, nodes...)
	bothUp := func() bool { return p.status(0) == "UP" && p.status(1) == "UP" }
	waitFor(t, "the proxy to find both nodes", bothUp)

	transport := &http.Transport{MaxIdleConnsPerHost: 16, DialContext: (&net.Dialer{}).DialContext}
	defer transport.CloseIdleConnections()
	machine := &harness.RP{Issuer: in.issuer, ClientID: "data-api-001", Secret: "data_secret_api_2024", Scope: "api:read", HTTP: &http.Client{Transport: transport}}
	var answered, lost atomic.Int64
	var stop atomic.Bool
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for !stop.Load() {
				err := try(t, func(t testing.TB) {
					if got := machine.Token(t, url.Values{"grant_type": {"client_credentials"}, "scope": {"api:read"}}); got.Status != http.StatusOK {
						t.Fatalf("status %d", got.Status)
					}
				})
				if err != nil && lost.Add(1) <= 10 {
					t.Errorf("a request is lost: %v", err)
				}
				answered.Add(1)
			}
		})
	}
	restarts := size(4, 50)
	for i := range restarts {
		n := nodes[i%2]
		before := answered.Load()
		must(t, n.cmd.Process.Signal(syscall.SIGTERM))
		<-n.exited
		if code := n.state.ExitCode(); code != 0 {
			t.Errorf("a node ends with %d, want 0:\n%s", code, n.log)
		}
		n.start(t)
		n.ready(t)
		waitFor(t, "the proxy to find both nodes again", bothUp)
		if answered.Load() == before {
			t.Error("nothing was asked during a restart")
		}
	}
	stop.Store(true)
	workers.Wait()
	if n := lost.Load(); n != 0 {
		t.Errorf("%d of %d requests are lost in %d restarts, want none", n, answered.Load(), restarts)
	}
	t.Logf("%d requests, %d lost, %d restarts", answered.Load(), lost.Load(), restarts)
}
