package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/web"
)

// pemPair is a new certificate for localhost with its key.
func pemPair(t *testing.T, name string, until time.Time) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	bytes, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: bytes})
}

// renewal is a served certificate whose files a test replaces.
type renewal struct {
	t         *testing.T
	dir       string
	cert, key string // paths
	served    *certificate
	log       *strings.Builder
	records   chan []byte // of the server
	address   string
}

func newRenewal(t *testing.T) *renewal {
	t.Helper()
	r := &renewal{t: t, dir: t.TempDir(), log: &strings.Builder{}, records: make(chan []byte, 100)}
	// As Kubernetes lays out a secret: links to files in a folder that a link names.
	r.folder("one", "first", time.Now().Add(24*time.Hour))
	r.link("one")
	r.cert, r.key = filepath.Join(r.dir, "tls.crt"), filepath.Join(r.dir, "tls.key")
	for _, name := range []string{"tls.crt", "tls.key"} {
		r.must(os.Symlink(filepath.Join("..data", name), filepath.Join(r.dir, name)))
	}
	var err error
	r.served, err = loadCertificate(r.cert, r.key, slog.New(slog.NewJSONHandler(r.log, nil)))
	r.must(err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	r.must(err)
	srv := web.NewServer(nil, slog.New(slog.NewJSONHandler(r, nil)), nil)
	stopped := make(chan struct{})
	go func() { defer close(stopped); _ = srv.Serve(r.served.listener(l)) }()
	t.Cleanup(func() { srv.Close(); <-stopped })
	r.address = l.Addr().String()
	return r
}

// Write takes a record of the server.
func (r *renewal) Write(p []byte) (int, error) {
	r.records <- slices.Clone(p)
	return len(p), nil
}

func (r *renewal) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *renewal) folder(folder, name string, until time.Time) {
	r.t.Helper()
	cert, key := pemPair(r.t, name, until)
	r.must(os.MkdirAll(filepath.Join(r.dir, folder), 0o700))
	r.must(os.WriteFile(filepath.Join(r.dir, folder, "tls.crt"), cert, 0o600))
	r.must(os.WriteFile(filepath.Join(r.dir, folder, "tls.key"), key, 0o600))
}

// link points ..data to folder, by renaming a new link over it.
func (r *renewal) link(folder string) {
	r.t.Helper()
	r.must(os.Symlink(folder, filepath.Join(r.dir, "..data_tmp")))
	r.must(os.Rename(filepath.Join(r.dir, "..data_tmp"), filepath.Join(r.dir, "..data")))
}

// presents is whose certificate a new connection gets.
func (r *renewal) presents() string {
	r.t.Helper()
	conn, err := tls.Dial("tcp", r.address, &tls.Config{InsecureSkipVerify: true})
	r.must(err)
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
}

func (r *renewal) want(step, name, health string) {
	r.t.Helper()
	r.served.look()
	if got := r.presents(); got != name {
		r.t.Errorf("%s: got the certificate %q, want %q", step, got, name)
	}
	if got := r.served.health(time.Now()); !strings.Contains(got, health) {
		r.t.Errorf("%s: health is %q, want %q", step, got, health)
	}
}

// A renewed certificate is served without a restart, and what cannot be served never takes the place of what can.
func TestRenewedCertificatesAreServed(t *testing.T) {
	r := newRenewal(t)
	tomorrow := time.Now().Add(24 * time.Hour)
	r.want("at first", "first", "ok")

	r.folder("two", "second", tomorrow)
	r.link("two")
	r.want("the link to the folder is another", "second", "ok")

	// One file after the other, in place: in between they are no pair.
	cert, key := pemPair(t, "third", tomorrow)
	r.must(os.WriteFile(r.cert, cert, 0o600))
	r.want("the certificate alone", "second", "cannot be used")
	r.must(os.WriteFile(r.key, key, 0o600))
	r.want("then its key", "third", "ok")

	// By renaming, as certbot does, over what was a link.
	cert, key = pemPair(t, "fourth", tomorrow)
	for path, text := range map[string][]byte{r.cert: cert, r.key: key} {
		r.must(os.WriteFile(path+".new", text, 0o600))
		r.must(os.Rename(path+".new", path))
	}
	r.want("renamed into place", "fourth", "ok")

	_, wrong := pemPair(t, "fifth", tomorrow)
	for name, damage := range map[string]func(){
		"a wrong key":       func() { r.must(os.WriteFile(r.key, wrong, 0o600)) },
		"half a file":       func() { r.must(os.WriteFile(r.cert, cert[:len(cert)/2], 0o600)) },
		"an empty file":     func() { r.must(os.WriteFile(r.key, nil, 0o600)) },
		"no PEM":            func() { r.must(os.WriteFile(r.cert, []byte("<html>"), 0o600)) },
		"the two exchanged": func() { r.must(os.WriteFile(r.cert, key, 0o600)); r.must(os.WriteFile(r.key, cert, 0o600)) },
		"a file is gone":    func() { r.must(os.Remove(r.key)) },
		"a folder":          func() { r.must(os.Remove(r.cert)); r.must(os.Mkdir(r.cert, 0o700)) },
	} {
		r.log.Reset()
		damage()
		r.want(name, "fourth", "cannot be used")
		r.want(name+", a look later", "fourth", "cannot be used")
		if got := strings.Count(r.log.String(), `"level":"ERROR"`); got != 1 {
			t.Errorf("%s: got %d errors in the log, want one:\n%s", name, got, r.log)
		}
		if strings.Contains(r.log.String(), "PRIVATE KEY") {
			t.Errorf("%s: the log has a key: %s", name, r.log)
		}
		r.must(os.RemoveAll(r.cert))
		r.must(os.WriteFile(r.cert, cert, 0o600))
		r.must(os.WriteFile(r.key, key, 0o600))
		r.want("mended after "+name, "fourth", "ok")
	}
	if got := r.served.health(tomorrow.Add(time.Hour)); !strings.Contains(got, "expired") {
		t.Errorf("after its time: health is %q", got)
	}
}

// A look serves what has been renewed, and comes often enough.
func TestCertificatesAreFollowed(t *testing.T) {
	r := newRenewal(t)
	r.folder("two", "second", time.Now().Add(time.Hour))
	r.link("two")
	r.served.look()
	if got := r.presents(); got != "second" {
		t.Errorf("got the certificate %q, want the renewed one", got)
	}
	if certificatePoll > time.Minute {
		t.Errorf("the files are read every %v: a renewed certificate is served within a minute", certificatePoll)
	}
}

// A browser that speaks plain http to the TLS port is told so; what speaks something else finds the connection closed.
// Each leaves one record, and none can write lines of its own into the log.
func TestPlainHTTPAtTheTLSPortIsAnswered(t *testing.T) {
	r := newRenewal(t)
	const http, other = "client sent an HTTP request to an HTTPS server", "first record does not look like a TLS handshake"
	for name, tc := range map[string]struct{ sent, answer, cause string }{
		"a page":                   {"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.0 400 ", http},
		"a form":                   {"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 15\r\n\r\npassword=canary", "HTTP/1.0 400 ", http},
		"a check of a proxy":       {"HEAD /healthz HTTP/1.0\r\n\r\n", "HTTP/1.0 400 ", http},
		"OPTIONS *":                {"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.0 400 ", http},
		"HTTP/2 without TLS":       {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "", other},
		"the PROXY protocol":       {"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET / HTTP/1.1\r\n\r\n", "", other},
		"a record of their making": {"\n{\"level\":\"ERROR\",\"msg\":\"canary\"}\n", "", other},
		"half a handshake":         {"\x16\x03\x01\x02\x00\x01", "", "EOF"},
	} {
		conn, err := net.Dial("tcp", r.address)
		r.must(err)
		r.must(conn.SetDeadline(time.Now().Add(20 * time.Second)))
		_, err = io.WriteString(conn, tc.sent)
		r.must(err)
		r.must(conn.(*net.TCPConn).CloseWrite())
		answer, err := io.ReadAll(conn) // until the server has closed
		if errors.Is(err, os.ErrDeadlineExceeded) || !strings.HasPrefix(string(answer), tc.answer) || tc.answer == "" && strings.Contains(string(answer), "HTTP") {
			t.Errorf("%s: got %q, %v, want %q and the end", name, answer, err, tc.answer)
		}
		var record struct{ Level, Msg, Error string }
		select {
		case line := <-r.records:
			if err := json.Unmarshal(line, &record); err != nil || strings.Contains(string(line), "canary") {
				t.Errorf("%s: the log has %s", name, line)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s: nothing was logged", name)
		}
		if record.Level != "INFO" || record.Msg != "a TLS handshake failed" || !strings.Contains(record.Error, tc.cause) || !strings.Contains(record.Error, conn.LocalAddr().String()) {
			t.Errorf("%s, from %s: got the record %+v, want the cause %q", name, conn.LocalAddr(), record, tc.cause)
		}
		r.must(conn.Close())
	}
	if len(r.records) > 0 {
		t.Errorf("more was logged than one record each: %s", <-r.records)
	}
}

func TestStartingNeedsAPair(t *testing.T) {
	r := newRenewal(t)
	_, wrong := pemPair(t, "x", time.Now().Add(time.Hour))
	r.must(os.WriteFile(r.key, wrong, 0o600))
	if _, err := loadCertificate(r.cert, r.key, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "TLS_CERT and TLS_KEY") {
		t.Errorf("got %v, want a fault that names the settings", err)
	}
}
