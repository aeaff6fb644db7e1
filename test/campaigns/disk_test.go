package campaigns

import (
	"database/sql"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/app"
	"github.com/sallyport-id/sallyport/internal/sample/seed"
	"github.com/sallyport-id/sallyport/storage"
)

// startPostgres starts a PostgreSQL of the test's own in dir and returns the URL of
// its first database.
func startPostgres(t *testing.T, dir string) string {
	t.Helper()
	bin := ""
	if all, _ := filepath.Glob("/usr/lib/postgresql/*/bin"); len(all) > 0 {
		bin = all[len(all)-1]
	}
	cmd := func(name string, args ...string) *exec.Cmd {
		c := exec.Command(filepath.Join(bin, name), args...)
		if bin == "" {
			c = exec.Command(name, args...)
		}
		c.Dir = dir
		if os.Getuid() == 0 { // it refuses to run as root
			c.SysProcAttr = &syscall.SysProcAttr{Credential: unprivileged(t)}
		}
		return c
	}
	data := filepath.Join(dir, "data")
	if out, err := cmd("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	address := freeAddress(t)
	_, port, err := net.SplitHostPort(address)
	must(t, err)
	server := cmd("postgres", "-D", data, "-p", port, "-k", dir, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off")
	must(t, server.Start())
	t.Cleanup(func() { _, _ = server.Process.Signal(syscall.SIGQUIT), server.Wait() })
	url := "postgres://postgres@" + address + "/postgres?sslmode=disable"
	db, err := sql.Open("postgres", url)
	must(t, err)
	defer db.Close()
	waitFor(t, "PostgreSQL", func() bool { return db.Ping() == nil })
	return url
}

// unprivileged is the user that servers run as which refuse to be root.
func unprivileged(t *testing.T) *syscall.Credential {
	t.Helper()
	u, err := user.Lookup("postgres")
	if err != nil {
		u, err = user.Lookup("nobody")
	}
	must(t, err)
	uid, err := strconv.Atoi(u.Uid)
	must(t, err)
	gid, err := strconv.Atoi(u.Gid)
	must(t, err)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// A database whose disk is full is degraded, with its cause; what only reads goes
// on. When there is space again, all is well by itself.
func TestAFullDiskIsDegraded(t *testing.T) {
	dir, err := os.MkdirTemp("", "full") // not t.TempDir, which another user cannot enter
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	small := filepath.Join(dir, "small")
	must(t, os.Mkdir(small, 0o755))
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=40m"); err != nil {
		// Only root may make a small disk. SQLite's limit of pages shows the same in package storage.
		t.Logf("no small disk can be made here: %v", err)
		return
	}
	t.Cleanup(func() { _ = syscall.Unmount(small, 0) })
	for _, d := range []string{dir, small} {
		if os.Getuid() == 0 {
			c := unprivileged(t)
			must(t, os.Chown(d, int(c.Uid), int(c.Gid)))
		}
	}
	url := startPostgres(t, dir)
	in := newInstallation(t, storage.Postgres, url)
	in.exec(t, `CREATE TABLESPACE small LOCATION '`+small+`'`)
	in.exec(t, `CREATE DATABASE sallyport TABLESPACE small`)
	in.url = strings.Replace(url, "/postgres?", "/sallyport?", 1)
	cfg, err := app.Load(app.LoadOptions{Environ: in.environ(strings.TrimPrefix(in.issuer, "http://"), "127.0.0.1:0"), Dir: in.dir})
	must(t, err)
	a, err := app.Open(t.Context(), cfg, app.Options{})
	must(t, err)
	defer a.Close()
	must(t, a.Seeder.Seed(t.Context(), identity.Operator(), seed.Options{}))
	n := in.node(t)

	db := in.open(t, "")
	defer db.Close()
	_, err = db.Exec(`CREATE TABLE filler (x text)`)
	must(t, err)
	// Smaller and smaller pieces, until not even one page is free.
	for _, rows := range []string{"100000", "10000", "1000", "100", "1"} {
		for err = nil; err == nil; {
			_, err = db.Exec(`INSERT INTO filler SELECT repeat('x', 1000) FROM generate_series(1, ` + rows + `)`)
		}
		if !strings.Contains(err.Error(), "53100") {
			t.Fatal(err)
		}
	}
	waitFor(t, "degraded", func() bool {
		status, body := n.get("/readyz")
		return status == http.StatusOK && strings.Contains(body, "degraded")
	})
	if _, body := get(http.DefaultTransport, "http://"+n.admin+"/readyz"); !strings.Contains(body, "disk is full") {
		t.Errorf("/readyz for operators does not say why: %s", body)
	}
	if _, body := get(http.DefaultTransport, "http://"+n.admin+"/metrics"); !strings.Contains(body, `sallyport_check_ok{check="writes"}`) {
		t.Error("no metric tells whether the database can be written to")
	}
	_, err = db.Exec(`DROP TABLE filler`)
	must(t, err)
	waitFor(t, "readiness", func() bool { _, body := n.get("/readyz"); return strings.Contains(body, `"ready"`) })
	in.invariants(t)
}
