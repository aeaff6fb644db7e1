package campaigns

import (
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/storage"
)

// relay passes TCP connections on to a database, until it goes silent: it closes
// nothing and passes nothing on, as a firewall that forgot its connections does.
type relay struct {
	address string
	target  string
	deaf    atomic.Bool // new connections are silent too

	mu    sync.Mutex
	alive []*atomic.Bool // of each connection
}

func startRelay(t *testing.T, target string) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	r := &relay{address: l.Addr().String(), target: target}
	var all sync.WaitGroup
	var open sync.Map
	t.Cleanup(func() {
		_ = l.Close()
		open.Range(func(c, _ any) bool { _ = c.(net.Conn).Close(); return true })
		all.Wait()
	})
	all.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", target)
			if err != nil {
				_ = in.Close()
				continue
			}
			open.Store(in, nil)
			open.Store(out, nil)
			alive := &atomic.Bool{}
			alive.Store(!r.deaf.Load())
			r.mu.Lock()
			r.alive = append(r.alive, alive)
			r.mu.Unlock()
			all.Go(func() { pass(in, out, alive) })
			all.Go(func() { pass(out, in, alive) })
		}
	})
	return r
}

// pass copies while alive, and then only reads, so that nobody is told.
func pass(to, from net.Conn, alive *atomic.Bool) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && alive.Load() {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			if alive.Load() || err != io.EOF {
				_, _ = to.Close(), from.Close()
			}
			return
		}
	}
}

// silence makes all connections silent that are open now.
func (r *relay) silence() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.alive {
		a.Store(false)
	}
	r.alive = nil
}

// through returns the installation with its servers' database behind another address.
func (in *installation) through(t testing.TB, address string) *installation {
	t.Helper()
	u, err := url.Parse(in.url)
	must(t, err)
	u.Host = address
	other := *in
	other.url, other.beside = u.String(), in.url
	return &other
}

func databaseAddress(t testing.TB, in *installation) string {
	t.Helper()
	u, err := url.Parse(in.url)
	must(t, err)
	return u.Host
}

// exec runs a statement beside the servers.
func (in *installation) exec(t testing.TB, statement string) {
	t.Helper()
	db := in.open(t, "")
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// database is the name of the installation's PostgreSQL database.
func (in *installation) database(t testing.TB) string {
	t.Helper()
	u, err := url.Parse(in.url)
	must(t, err)
	return strings.TrimPrefix(u.Path, "/")
}

// lockTable holds a table against everybody until release is called.
func (in *installation) lockTable(t *testing.T, table string) (release func()) {
	t.Helper()
	db := in.open(t, "")
	tx, err := db.Begin()
	must(t, err)
	if _, err := tx.Exec(`LOCK TABLE ` + table + ` IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	return func() { _, _ = tx.Rollback(), db.Close() }
}

// startPgBouncer starts a PgBouncer in front of the installation's server, and
// returns its address.
func startPgBouncer(t *testing.T, in *installation, mode string) string {
	t.Helper()
	program := "/usr/sbin/pgbouncer"
	if found, err := exec.LookPath("pgbouncer"); err == nil {
		program = found
	}
	host, port, err := net.SplitHostPort(databaseAddress(t, in))
	must(t, err)
	dir, err := os.MkdirTemp("", "pgbouncer") // not t.TempDir, which another user cannot enter
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	address := freeAddress(t)
	_, listen, err := net.SplitHostPort(address)
	must(t, err)
	u, err := url.Parse(in.url)
	must(t, err)
	password, _ := u.User.Password()
	must(t, os.WriteFile(filepath.Join(dir, "users"), []byte(`"`+u.User.Username()+`" "`+password+`"`), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "ini"), []byte("[databases]\n* = host="+host+" port="+port+"\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = "+listen+
		"\nunix_socket_dir =\nauth_type = trust\nauth_file = "+filepath.Join(dir, "users")+"\npool_mode = "+mode+"\ndefault_pool_size = 6\n"), 0o644))
	must(t, os.Chmod(dir, 0o755))
	cmd := exec.Command(program, filepath.Join(dir, "ini"))
	if os.Getuid() == 0 { // it refuses to run as root
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	must(t, cmd.Start())
	t.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
	waitFor(t, "PgBouncer", func() bool {
		c, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return address
}

// installPooled is an installation behind a PgBouncer in transaction mode, whose
// role got the settings by the statements that the refusal names.
func installPooled(t *testing.T) *installation {
	t.Helper()
	in := install(t, storage.Postgres)
	s, err := storage.Open(t.Context(), storage.Config{URL: in.through(t, startPgBouncer(t, in, "transaction")).url})
	if err == nil {
		_ = s.Close()
		t.Fatal("a role without the settings is not refused")
	}
	for _, statement := range regexp.MustCompile(`ALTER ROLE [^;]+;`).FindAllString(err.Error(), -1) {
		in.exec(t, statement)
	}
	// Another one: the sessions that the first lends began before.
	return in.through(t, startPgBouncer(t, in, "transaction"))
}
