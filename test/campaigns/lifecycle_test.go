package campaigns

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

// SIGTERM: not ready first, no new connections, requests that are under way are
// finished and what they were told holds, then the process ends well.
func TestATerminatedProcessFinishesItsRequests(t *testing.T) {
	in := install(t, storage.SQLite)
	n := in.node(t)
	conn, err := net.Dial("tcp", n.listen)
	must(t, err)
	defer conn.Close()
	// The server asks for the body once a handler reads it: the request is under way.
	_, err = fmt.Fprintf(conn, "POST /oauth2/introspect HTTP/1.1\r\nHost: %s\r\nExpect: 100-continue\r\nAuthorization: Basic ZGF0YS1hcGktMDAxOmRhdGFfc2VjcmV0X2FwaV8yMDI0\r\n"+
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n", strings.TrimPrefix(in.issuer, "http://"), len("token=unknown"))
	must(t, err)
	answer := bufio.NewReader(conn)
	resp, err := http.ReadResponse(answer, nil)
	must(t, err)
	if resp.StatusCode != http.StatusContinue {
		t.Fatalf("the server answers %d to the head of a request, want 100", resp.StatusCode)
	}
	must(t, n.cmd.Process.Signal(syscall.SIGTERM))
	waitFor(t, "the admin listener to say that the process stops", func() bool {
		status, body := get(http.DefaultTransport, "http://"+n.admin+"/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(body, "stopping")
	})
	waitFor(t, "the public listener to be closed", func() bool {
		c, err := net.Dial("tcp", n.listen)
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
	_, err = io.WriteString(conn, "token=unknown")
	must(t, err)
	resp, err = http.ReadResponse(answer, nil)
	must(t, err)
	got, err := io.ReadAll(resp.Body)
	must(t, err)
	if resp.StatusCode != http.StatusOK || !strings.Contains(string(got), `"active":false`) {
		t.Errorf("the request that was under way gets %d %s", resp.StatusCode, got)
	}
	<-n.exited
	if code := n.state.ExitCode(); code != 0 {
		t.Errorf("the process ends with %d, want 0:\n%s", code, n.log)
	}
}

// A load balancer needs time to notice that a node stops. Meanwhile the node says so and answers, and no connection is
// kept for another request; SIGTERM is not yet the end of an idle one.
func TestADrainingProcessGoesOnAnswering(t *testing.T) {
	in := install(t, storage.SQLite)
	in.settings = append(in.settings, "SALLYPORT_DRAIN_DELAY=300")
	n := in.node(t)
	host := strings.TrimPrefix(in.issuer, "http://")
	idle, err := net.Dial("tcp", n.listen)
	must(t, err)
	defer idle.Close()
	kept := bufio.NewReader(idle)
	ask := func(conn net.Conn, in *bufio.Reader, method, path string) *http.Response {
		t.Helper()
		_, err := fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\n\r\n", method, path, host)
		must(t, err)
		resp, err := http.ReadResponse(in, nil)
		must(t, err)
		_, err = io.Copy(io.Discard, resp.Body)
		must(t, err)
		return resp
	}
	if resp := ask(idle, kept, "GET", "/healthz"); resp.Close {
		t.Fatal("the connection is closed before the process is told to stop")
	}
	must(t, n.cmd.Process.Signal(syscall.SIGTERM))
	waitFor(t, "the process to say that it stops", func() bool {
		status, _ := n.get("/readyz")
		return status == http.StatusServiceUnavailable
	})
	for _, tc := range []struct {
		method, path string
		want         int
	}{{"GET", "/.well-known/openid-configuration", 200}, {"POST", "/oauth2/token", 415}, {"GET", "/login", 200}, {"GET", "/nowhere", 404}, {"GET", "/readyz", 503}} {
		conn, err := net.Dial("tcp", n.listen)
		must(t, err)
		if resp := ask(conn, bufio.NewReader(conn), tc.method, tc.path); resp.StatusCode != tc.want || !resp.Close {
			t.Errorf("%s %s on a new connection: got %d, closing %v; want %d and the connection closed", tc.method, tc.path, resp.StatusCode, resp.Close, tc.want)
		}
		must(t, conn.Close())
	}
	if resp := ask(idle, kept, "POST", "/oauth2/introspect"); resp.StatusCode != http.StatusUnsupportedMediaType || !resp.Close {
		t.Errorf("on the idle connection: got %d, closing %v; want 415 and the connection closed", resp.StatusCode, resp.Close)
	}
	select {
	case <-n.exited:
		t.Error("the process has ended before its time")
	default:
	}
}

func waitFor(t testing.TB, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !done(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited 30 s for %s", what)
		}
	}
}

// Nodes that start together on an empty database migrate it once and agree on one
// set of signing keys, so that each verifies what the others sign.
func TestNodesThatStartTogetherAgree(t *testing.T) {
	for _, engine := range []storage.Engine{storage.SQLite, storage.Postgres} {
		t.Run(string(engine), func(t *testing.T) {
			for range size(1, 10) {
				in := newInstallation(t, engine, harness.EmptyDatabase(t, engine))
				nodes := []*node{in.newNode(t), in.newNode(t), in.newNode(t)}
				for _, n := range nodes {
					n.start(t)
				}
				for _, n := range nodes {
					n.ready(t)
				}
				if n := in.scalar(t, `SELECT count(*) FROM (SELECT version_id FROM goose_db_version GROUP BY version_id HAVING count(*) > 1) AS v`); n != 0 {
					t.Errorf("%d migrations ran twice", n)
				}
				if n := in.scalar(t, `SELECT count(*) - count(DISTINCT alg) FROM signing_keys`); n != 0 {
					t.Errorf("%d signing keys more than algorithms", n)
				}
				sets := make([]string, len(nodes))
				waitFor(t, "all nodes to publish the same keys", func() bool {
					for i, n := range nodes {
						_, sets[i] = n.get("/.well-known/jwks.json")
					}
					return sets[0] == sets[1] && sets[1] == sets[2] && strings.Contains(sets[0], `"kid"`)
				})
				for _, n := range nodes {
					if status, body := n.get("/.well-known/openid-configuration"); status != http.StatusOK || !strings.Contains(body, `"issuer":"`+in.issuer+`"`) {
						t.Errorf("discovery answers %d %s", status, body)
					}
					n.kill()
				}
			}
		})
	}
}

// DO-03: what strangers can make a server store is bounded for each network, and
// everything that has ended is swept.
func TestStorageDoesNotGrowForEver(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		rp := s.Portal()
		b := s.Browser(t)
		rp.Refresh(t, rp.SignIn(t, b, harness.Bob, nil).RefreshToken)
		s.Machine().Token(t, url.Values{"grant_type": {"client_credentials"}})
		stranger := s.Browser(t)
		p := stranger.Get(t, rp.Authorize(nil).URL)
		stranger.Submit(t, p.Form(t, "login"), "email", "nobody@example.com", "password", "not the password")
		if status, _ := rp.Post(t, "/oauth2/par", rp.Authorize(nil).Params, nil); status != http.StatusCreated {
			t.Fatalf("a pushed request answers %d", status)
		}
		const most, already = 2000, 1985
		in := &installation{engine: s.App.Store.Engine(), url: s.App.Config.DatabaseURL}
		in.multiplyFlow(t, already) // as that many requests like the stranger's would, in less time
		transport := s.Transport()
		defer transport.CloseIdleConnections()
		inParallel(t, most-already+25, 8, func(t testing.TB, _ int) {
			resp, err := (&http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Get(rp.Authorize(nil).URL)
			must(t, err)
			defer resp.Body.Close()
			_, _ = io.Copy(io.Discard, resp.Body)
			if resp.StatusCode != http.StatusSeeOther {
				t.Errorf("a stranger's request answers %d", resp.StatusCode)
			}
		})
		// Flows that no browser has opened make room, oldest first. Requests that count at the same time may each see
		// room for one more.
		if n := in.scalar(t, `SELECT count(*) FROM flows WHERE spent_at IS NULL AND user_id IS NULL`); n < most-8 || n > most+8 {
			t.Errorf("%d flows of strangers are stored, want about %d", n, most)
		}
		if p := b.Get(t, rp.Authorize(nil).URL); p.Away == nil || p.Away.Query().Get("code") == "" {
			t.Errorf("somebody signed in beside the strangers gets %d", p.Status)
		}
		s.Clock.Advance(400 * 24 * time.Hour)
		gone := map[string]int64{}
		sweeper := storage.Sweeper{Store: s.App.Store, Pace: storage.Pace{Rest: storage.Hurry}, Swept: func(table string, n int64) { gone[table] += n }}
		must(t, sweeper.Run(t.Context()))
		for _, table := range []string{"flows", "pushed_requests", "codes", "access_tokens", "refresh_tokens", "grants", "sessions", "consents", "counters"} {
			if left := in.scalar(t, `SELECT count(*) FROM `+table); left != 0 || gone[table] == 0 {
				t.Errorf("%d rows of %s are left after a year, %d were swept", left, table, gone[table])
			}
		}
		if p := s.Browser(t).Get(t, rp.Authorize(nil).URL); p.URL.Path != "/login" {
			t.Errorf("after the sweep a stranger gets %d at %s, want the sign-in page", p.Status, p.URL.Path)
		}
	})
}

// multiplyFlow stores n more flows like the one that is there without a person.
func (in *installation) multiplyFlow(t *testing.T, n int) {
	t.Helper()
	db := in.open(t, "")
	defer db.Close()
	tx, err := db.Begin()
	must(t, err)
	insert, err := tx.Prepare(`INSERT INTO flows (id_hash, client_id, request, browser_hash, counted_for, requested_at, expires_at)
		SELECT CAST($1 AS ` + map[storage.Engine]string{storage.SQLite: "blob", storage.Postgres: "bytea"}[in.engine] + `), client_id, request, browser_hash, counted_for, requested_at, expires_at
		FROM flows WHERE spent_at IS NULL AND user_id IS NULL LIMIT 1`)
	must(t, err)
	for range n {
		_, err := insert.Exec(secret.Random(32))
		must(t, err)
	}
	must(t, tx.Commit())
}
