package app_test

import (
	"bufio"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
)

// listen serves h as the product serves its listeners, and returns the address.
func listen(t *testing.T, h http.Handler, log *slog.Logger, closing func() bool) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := web.NewServer(h, log, closing)
	stopped := make(chan struct{})
	go func() { defer close(stopped); _ = srv.Serve(l) }()
	t.Cleanup(func() { srv.Close(); <-stopped })
	return l.Addr().String()
}

// A page that a person has open may neither read metrics and profiles by a name of its own that resolves to this
// machine (DNS rebinding) nor have the browser ask for them.
func TestTheAdminListenerAnswersNoWebPage(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{Environ: []string{"SALLYPORT_ADMIN_HOSTS=Sallyport.internal, node-1"}})
	e := &edge{s, listen(t, s.Server.Admin(), s.App.Log, nil), "127.0.0.1:5002"}
	paths := []string{"/metrics", "/healthz", "/readyz", "/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/symbol", "/no-such-page"}
	for name, tc := range map[string]struct {
		header []string
		want   int // 0: what the path answers
	}{
		"by address":             {[]string{"Host: 127.0.0.1:5002"}, 0},
		"without a port":         {[]string{"Host: 127.0.0.1"}, 0},
		"IPv6":                   {[]string{"Host: [::1]:5002"}, 0},
		"IPv6 without a port":    {[]string{"Host: [fd00::7]"}, 0},
		"another address":        {[]string{"Host: 10.1.2.3:9000"}, 0},
		"localhost":              {[]string{"Host: LocalHost:5002"}, 0},
		"a name of ADMIN_HOSTS":  {[]string{"Host: sallyport.internal:5002"}, 0},
		"the other, in capitals": {[]string{"Host: NODE-1"}, 0},
		"a typed address":        {[]string{"Sec-Fetch-Site: none"}, 0},

		"another name":                  {[]string{"Host: evil.example:5002"}, 421},
		"a name that ends the same":     {[]string{"Host: x.sallyport.internal"}, 421},
		"a name that begins the same":   {[]string{"Host: 127.0.0.1.evil.example"}, 421},
		"localhost as a domain":         {[]string{"Host: localhost.evil.example"}, 421},
		"an address in another writing": {[]string{"Host: 0x7f.1:5002"}, 421},
		"the issuer's name":             {[]string{"Host: id.example.com"}, 421},
		"none":                          {[]string{"Host: "}, 421},
		"an Origin":                     {[]string{"Origin: https://evil.example"}, 403},
		"the Origin null":               {[]string{"Origin: null"}, 403},
		"an empty Origin":               {[]string{"Origin: "}, 403},
		"its own Origin":                {[]string{"Origin: http://127.0.0.1:5002"}, 403},
		"cross-site":                    {[]string{"Sec-Fetch-Site: cross-site"}, 403},
		"same-site":                     {[]string{"Sec-Fetch-Site: same-site"}, 403},
		"same-origin":                   {[]string{"Sec-Fetch-Site: same-origin"}, 403},
		"both":                          {[]string{"Sec-Fetch-Site: none", "Sec-Fetch-Site: cross-site"}, 403},
	} {
		for _, path := range paths {
			resp, body := e.send(t, "GET "+path, tc.header, "")
			switch refused := resp.StatusCode == http.StatusMisdirectedRequest || resp.StatusCode == http.StatusForbidden; {
			case tc.want == 0 && refused, tc.want != 0 && resp.StatusCode != tc.want:
				t.Errorf("%s, GET %s: got %d, want %d\n%.100s", name, path, resp.StatusCode, tc.want, body)
			case tc.want != 0 && (strings.Contains(body, "goroutine") || strings.Contains(body, "sallyport_")):
				t.Errorf("%s, GET %s: the refusal tells something: %.100s", name, path, body)
			}
		}
	}
	if resp, _ := e.send(t, "GET http://evil.example/metrics", []string{"Host: localhost"}, ""); resp.StatusCode != 421 {
		t.Errorf("in absolute form: got %d, want 421", resp.StatusCode)
	}
}

// Every page under /dev/ shows what signs people in or worse: it is for the person at this machine alone.
func TestDevelopmentPagesAnswerThisMachineAlone(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{})
	e := &edge{s, strings.TrimPrefix(s.Issuer, "http://"), strings.TrimPrefix(s.Issuer, "http://")}
	n := 0
	for template := range s.Server.Routes() {
		if !strings.HasPrefix(template, "/dev/") {
			continue
		}
		n++
		path := strings.ReplaceAll(template, "{id}", "0197652c-0000-7000-8000-000000000001")
		for _, header := range []string{"Host: evil.example", "Host: 127.0.0.1:1", "X-Forwarded-For: 127.0.0.1", "Forwarded: for=127.0.0.1", "Via: 1.1 tunnel", "X-Real-IP: ::1"} {
			if resp, _ := e.send(t, "GET "+path, []string{header}, ""); resp.StatusCode != http.StatusNotFound && resp.StatusCode != http.StatusMisdirectedRequest {
				t.Errorf("%s with %s: got %d, want a refusal", path, header, resp.StatusCode)
			}
		}
	}
	if n == 0 {
		t.Error("there is no page under /dev/")
	}
}

// RFC 9112, section 6.1: with both lengths in a request, a proxy in front may have believed the other one, and what
// comes next on the connection may be of an attacker's making.
func TestTheConnectionClosesAfterTransferEncoding(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{})
	public, admin := listen(t, s.Server.Handler(), s.App.Log, nil), listen(t, s.Server.Admin(), s.App.Log, nil)
	host := strings.TrimPrefix(s.Issuer, "http://")
	const token, chunked = "POST /oauth2/token HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/x-www-form-urlencoded\r\n", "5\r\na=b&c\r\n0\r\n\r\n"
	for name, tc := range map[string]struct {
		request string
		closes  bool
	}{
		"both lengths":             {token + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked, true},
		"the other order":          {token + "Transfer-Encoding: chunked\r\nContent-Length: 15\r\n\r\n" + chunked, true},
		"Transfer-Encoding alone":  {token + "Transfer-Encoding: chunked\r\n\r\n" + chunked, true},
		"in capitals":              {token + "TRANSFER-ENCODING: Chunked\r\n\r\n" + chunked, true},
		"nothing in it":            {token + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", true},
		"one that is not known":    {token + "Transfer-Encoding: gzip, chunked\r\n\r\n" + chunked, true},
		"a page":                   {"POST /login HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked, true},
		"a GET":                    {"GET /healthz HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked, true},
		"no such page":             {"POST /nowhere HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked, true},
		"another host":             {"POST /login HTTP/1.1\r\nHost: evil.example\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked, true},
		"HTTP/1.0":                 {"POST /login HTTP/1.0\r\nHost: HOST\r\nConnection: keep-alive\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\na=b", true},
		"OPTIONS *":                {"OPTIONS * HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked, true},
		"a length alone":           {token + "Content-Length: 3\r\n\r\na=b", false},
		"neither":                  {"GET /healthz HTTP/1.1\r\nHost: HOST\r\n\r\n", false},
		"an encoding of responses": {"GET /healthz HTTP/1.1\r\nHost: HOST\r\nTE: trailers\r\n\r\n", false},
	} {
		for _, address := range []string{public, admin} {
			host := host
			if address == admin {
				host = address
			}
			if got := closesAfter(t, address, strings.ReplaceAll(tc.request, "HOST", host)); got != tc.closes {
				t.Errorf("%s, at the %s listener: the connection is closed: got %v, want %v", name, map[bool]string{true: "admin", false: "public"}[address == admin], got, tc.closes)
			}
		}
	}
}

// closesAfter reports whether the server closes the connection after its response to the request. If it does not, it
// answers a second one.
func closesAfter(t *testing.T, address, request string) bool {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	noError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatalf("no response to %.60q: %v", request, err)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	noError(t, err)
	noError(t, resp.Body.Close())
	_, _ = io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n") // fails where it is closed
	_, err = http.ReadResponse(in, nil)
	return err != nil
}

// A log of JSON lines is read by programs: a line of another form ends their work, or is lost.
func TestEveryLineIsARecord(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{})
	lines := &harness.Log{}
	log := slog.New(slog.NewJSONHandler(lines, nil))
	panics := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("line one\nline two") })
	broken := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		w.WriteHeader(http.StatusTeapot) // "superfluous response.WriteHeader call"
	})
	for name, tc := range map[string]struct {
		h       http.Handler
		request string
		want    string
	}{
		"a panic outside the router":     {panics, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "line one"},
		"two statuses":                   {broken, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "superfluous"},
		"the public listener, a request": {s.Server.Handler(), "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", ""},
		"the admin listener, a request":  {s.Server.Admin(), "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", ""},
	} {
		conn, err := net.Dial("tcp", listen(t, tc.h, log, nil))
		noError(t, err)
		_, err = io.WriteString(conn, tc.request)
		noError(t, err)
		_, _ = io.Copy(io.Discard, conn) // until the server has closed, and so has logged
		noError(t, conn.Close())
		if !strings.Contains(lines.String(), tc.want) {
			t.Errorf("%s: nothing was logged: %s", name, lines)
		}
	}
	for line := range strings.Lines(lines.String()) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil || record["level"] == nil {
			t.Errorf("not a record: %s", line)
		}
	}
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
