package web

import (
	"bufio"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

// HT-07: 405 says what there is; HEAD is part of GET; nothing overrides the method.
func TestMethods(t *testing.T) {
	rt := newWeb(t).router()
	tests := []struct {
		method, path string
		want         int
		allow        string
	}{
		{"GET", "/page", 200, ""}, {"HEAD", "/page", 200, ""}, {"POST", "/page", 200, ""},
		{"PUT", "/page", 405, "GET, HEAD, POST"}, {"TRACE", "/page", 405, "GET, HEAD, POST"},
		{"OPTIONS", "/json", 405, "GET, HEAD"}, {"POST", "/json", 405, "GET, HEAD"}, {"BREW", "/json", 405, "GET, HEAD"},
		{"GET", "/none", 404, ""},
	}
	for _, test := range tests {
		w := do(rt, request(test.method, test.path, "X-HTTP-Method-Override", "GET"))
		if w.Code != test.want || w.Header().Get("Allow") != test.allow {
			t.Errorf("%s %s = %d, Allow %q, want %d, %q", test.method, test.path, w.Code, w.Header().Get("Allow"), test.want, test.allow)
		}
	}
}

func TestRefusalsOfTheEdgeSuitWhoAsks(t *testing.T) {
	rt := newWeb(t).router()
	browser := do(rt, request("GET", "/none", "Accept", "text/html,application/xhtml+xml"))
	if !strings.Contains(browser.Body.String(), `data-error="not_found"`) {
		t.Errorf("browser: %s", browser.Body)
	}
	machine := do(rt, request("GET", "/none", "Accept", "*/*"))
	if got := strings.TrimSpace(machine.Body.String()); got != `{"error":"not_found"}` {
		t.Errorf("machine: %s", got)
	}
}

// One spelling a path. Of the others only a single trailing slash leads to it.
func TestPathsThatCouldBeReadTwoWaysAreNotFound(t *testing.T) {
	server := httptest.NewServer(newWeb(t).router())
	defer server.Close()
	for path, want := range map[string]int{
		"/page": 200, "/page?x=//..%2f": 200, "/things/a.b-c_d~e": 200, "/things/...": 200, "/things/.hidden": 200,
		"//page": 404, "/page/": 308, "/page/?a=b": 308, "/things/a/": 308, "/things/a.b/": 308, "/./page": 404, "/x/../page": 404, "/page/.": 404, "/page/..": 404, "/../page": 404,
		"/things/a/b": 404, "/things/a%2Fb": 404, "/things/a%5Cb": 404, `/things/a\b`: 404, "/things/%00": 404,
		"/things/a%0Ab": 404, "/%70age": 404, "/%2e/page": 404, "/things/%2e%2e": 404, "/page%2F": 404, "/things/": 404, "/page//": 404, "/%70age/": 404, "/none/": 404, "//id.example/": 404, "/page/x/": 404, "/page;x/": 404,
		"/things//": 404, "/PAGE": 404, "/page;x": 404, "*": 404,
	} {
		if got := raw(t, server, "GET "+path+" HTTP/1.1\r\nHost: id.example\r\n\r\n"); got != want {
			t.Errorf("GET %s = %d, want %d", path, got, want)
		}
	}
}

// A person who types a slash too many arrives; a client that posts to a wrong address must learn so.
func TestATrailingSlashLeadsToThePageWithoutIt(t *testing.T) {
	rt := newWeb(t).router()
	for _, test := range []struct {
		method, path string
		want         int
		location     string
	}{
		{"GET", "/page/", 308, "/page"}, {"HEAD", "/page/", 308, "/page"}, {"GET", "/page/?a=1&b=%2F%2Fevil.example", 308, "/page?a=1&b=%2F%2Fevil.example"},
		{"GET", "/things/a:b/", 308, "/things/a:b"}, {"GET", "/json/", 308, "/json"},
		{"POST", "/page/", 404, ""}, {"PUT", "/page/", 404, ""}, {"OPTIONS", "/json/", 404, ""}, {"GET", "/page//", 404, ""}, {"GET", "//evil.example/", 404, ""},
	} {
		w := do(rt, request(test.method, test.path))
		if w.Code != test.want || w.Header().Get("Location") != test.location {
			t.Errorf("%s %s = %d to %q, want %d to %q", test.method, test.path, w.Code, w.Header().Get("Location"), test.want, test.location)
		}
		if test.want == 308 && w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s: it is kept: %q", test.method, test.path, w.Header().Get("Cache-Control"))
		}
	}
}

// HT-01: only the issuer's host is answered.
func TestForeignHostsAreMisdirected(t *testing.T) {
	tw := newWeb(t, func(c *Config) { c.AnyHost = []string{"/json"} })
	server := httptest.NewUnstartedServer(tw.router())
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	server.Start()
	defer server.Close()
	const get = "GET /page HTTP/1.1\r\n"
	for head, want := range map[string]int{
		get + "Host: id.example\r\n":                                   200,
		get + "Host: ID.Example\r\n":                                   200,
		get + "Host: id.example:443\r\n":                               200,
		get + "Host: id.example:80\r\n":                                421,
		get + "Host: id.example.\r\n":                                  421,
		get + "Host: evil.example\r\n":                                 421,
		get + "Host: id.example.evil.example\r\n":                      421,
		get + "Host: id.example@evil.example\r\n":                      400,
		get + "Host: 127.0.0.1\r\n":                                    421,
		get + "Host:\r\n":                                              421,
		get + "Host: id.example\r\nHost: evil.example\r\n":             400,
		get + "Host: id.example\r\n evil.example\r\n":                  400,
		get + "Host: id.example\x00\r\n":                               400,
		get + "Host: evil.example\r\nX-Forwarded-Host: id.example\r\n": 421,
		get: 400,
		"GET http://evil.example/page HTTP/1.1\r\nHost: id.example\r\n":  421,
		"GET https://id.example/page HTTP/1.1\r\nHost: evil.example\r\n": 200, // RFC 9112 section 3.2.2: the target counts
		"CONNECT evil.example:443 HTTP/1.1\r\nHost: id.example\r\n":      421,
		"GET /json HTTP/1.1\r\nHost: 10.1.2.3:5000\r\n":                  200, // a health check
	} {
		if got := raw(t, server, head+"\r\n"); got != want {
			t.Errorf("%q = %d, want %d", head, got, want)
		}
	}
	w := do(tw.router(), func() *http.Request { r := request("GET", "/page"); r.Host = "evil.example"; return r }())
	if !strings.Contains(w.Body.String(), "misdirected_request") {
		t.Errorf("421 says %s", w.Body)
	}
}

// An operator behind a proxy sees in the answer and in the log which Host arrived, and which is expected: a page, JSON
// and the envelope alike. The text of a stranger's Host stays text.
func TestAMisdirectedRequestIsToldBothHosts(t *testing.T) {
	for host, want := range map[string]string{
		"evil.example": "evil.example", "10.0.0.7:5000": "10.0.0.7:5000", "[2001:db8::1]:443": "[2001:db8::1]:443", "id.example:80": "id.example:80",
		"": "(none)", "a<script>b": "a?script?b", `a"b\c`: "a?b?c", "a\nlevel=ERROR b": "a?level=ERROR?b", "ü.example": "?.example",
		strings.Repeat("a", 300): strings.Repeat("a", 255),
	} {
		for name, headers := range map[string][]string{"page": {"/page", "Accept", "text/html"}, "json": {"/json"}, "api": {"/api/v1/auth/me"}} {
			tw := newWeb(t)
			r := request("GET", headers[0], headers[1:]...)
			r.Host = host
			w := do(tw.router(), r)
			for where, text := range map[string]string{"body": w.Body.String(), "log": tw.log.String()} {
				if w.Code != 421 || !strings.Contains(text, "the host "+want+", ") || !strings.Contains(text, "https://id.example ") {
					t.Errorf("%q, %s: %d, the %s says %s", host, name, w.Code, where, text)
				}
			}
		}
	}
	// A trusted proxy's word counts, so it is what is shown.
	tw := newWeb(t, func(c *Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")} })
	if w := do(tw.router(), request("GET", "/json", "X-Forwarded-Host", "id.example, app.example")); w.Code != 421 || !strings.Contains(w.Body.String(), "the host app.example, ") {
		t.Errorf("behind a proxy: %d %s", w.Code, w.Body)
	}
}

// raw sends bytes that no client would write and returns the status.
func raw(t *testing.T, server *httptest.Server, head string) int {
	t.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, head)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%q: %v", head, err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

func TestTemplatesAreNoPaths(t *testing.T) {
	if w := do(newWeb(t).router(), request("GET", "/things/%7Bid%7D")); w.Body.String() != "{id}" {
		t.Errorf("GET /things/{id} = %d %q, want the variable to be {id}", w.Code, w.Body)
	}
}

func TestRoutingTwiceIsAMistake(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("GET /page was routed twice")
		}
	}()
	rt := newWeb(t).router()
	rt.Handle("/page", http.NotFoundHandler(), "GET")
}

// Of two paths that a request fits the one added first answers, so the other would never be reached.
func TestAPathThatIsNeverReachedIsAMistake(t *testing.T) {
	rt := newWeb(t).router()
	rt.Handle("/things/{id}/parts", http.NotFoundHandler(), "GET")
	defer func() {
		if recover() == nil {
			t.Error("/things/new is routed, though /things/{id} answers it")
		}
	}()
	rt.Handle("/things/new", http.NotFoundHandler(), "GET")
}

// HT-05
func TestServerHasLimits(t *testing.T) {
	s := NewServer(http.NotFoundHandler(), slog.New(slog.DiscardHandler), nil)
	if s.ReadHeaderTimeout == 0 || s.ReadTimeout == 0 || s.WriteTimeout == 0 || s.IdleTimeout == 0 || s.MaxHeaderBytes == 0 {
		t.Errorf("a limit is missing: %+v", s)
	}
}

// This measures what the edge costs, at the first path and at the last of as many as the server has: the discovery document's whole
// budget is 30 µs.
func BenchmarkEdge(b *testing.B) {
	tw := newWeb(b, func(c *Config) { c.Logger = slog.New(slog.NewJSONHandler(discard{}, nil)) })
	rt := tw.NewRouter()
	body := []byte("{}")
	document := AnyOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(body) }))
	const first, last = "/.well-known/openid-configuration", "/api/v1/last"
	rt.Handle(first, document, "GET", "OPTIONS")
	for i := range 100 {
		rt.Handle(fmt.Sprintf("/account/page%d", i), http.NotFoundHandler(), "GET", "POST")
	}
	rt.Handle(last, document, "GET", "OPTIONS")
	for _, path := range []string{first, last} {
		b.Run(path[strings.LastIndexByte(path, '/')+1:], func(b *testing.B) {
			r := request("GET", path)
			b.ReportAllocs()
			for b.Loop() {
				rt.ServeHTTP(&nullWriter{header: http.Header{}}, r)
			}
		})
	}
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

type nullWriter struct{ header http.Header }

func (w *nullWriter) Header() http.Header         { return w.header }
func (w *nullWriter) Write(b []byte) (int, error) { return len(b), nil }
func (w *nullWriter) WriteHeader(int)             {}
