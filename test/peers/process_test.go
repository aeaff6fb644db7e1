package peers

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/harness"
)

// run starts a program of a peer in a process group of its own, which ends with the test, and waits until a path of it
// answers. What it says is returned.
func run(t *testing.T, dir string, p place, ready string, command ...string) *harness.Log {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), p.env()...)
	cmd.WaitDelay = 3 * time.Second // a grandchild that lives on keeps the output open
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	said := &harness.Log{}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		// It ends its own children, which may be in other groups, unless it takes too long.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
		}
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
		if t.Failed() {
			t.Logf("%s:\n%s", command[0], said)
		}
	})
	await(t, "http://127.0.0.1:"+p.port+ready, ended)
	return said
}

// await waits until a URL answers without an error, at most five minutes while its server lives: a Java server may need two,
// and a proxy in front of a slow one answers errors meanwhile.
func await(t *testing.T, url string, ended <-chan struct{}) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := client.Do(req); err == nil {
			resp.Body.Close()
			if resp.StatusCode < http.StatusBadRequest {
				return
			}
		}
		select {
		case <-ended:
			t.Fatal("the relying party has ended")
		case <-ctx.Done():
			t.Fatalf("%s does not answer", url)
		case <-tick.C:
		}
	}
}

// freePort is one that was free a moment ago; the relying party opens it itself.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}
