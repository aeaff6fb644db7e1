package app_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
)

func TestTheHTTPLayer(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{Clients: harness.Clients})
	// The limits of the product's own listener, which the harness does not set.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := web.NewServer(s.Server.Handler(), s.App.Log, nil)
	stopped := make(chan struct{})
	go func() { defer close(stopped); _ = srv.Serve(l) }()
	t.Cleanup(func() { srv.Close(); <-stopped })
	h := &edge{s, l.Addr().String(), strings.TrimPrefix(s.Issuer, "http://")}
	t.Run("host", func(t *testing.T) { testHosts(t, h) })
	t.Run("forwarded", func(t *testing.T) { testForwardedFields(t, h) })
	t.Run("sizes", func(t *testing.T) { testSizes(t, h) })
	t.Run("methods", func(t *testing.T) { testMethods(t, h) })
	t.Run("headers", func(t *testing.T) { testHeadersEverywhere(t, h) })
	t.Run("errors", func(t *testing.T) { testErrorsTellNothingInside(t, h) })
	t.Run("paths", func(t *testing.T) { testPaths(t, h) })
	t.Run("cors", func(t *testing.T) { testCORS(t, h) })
	t.Run("cors of errors", func(t *testing.T) { testCORSOfErrors(t, h) })
}

// edge is the server as raw bytes reach it.
type edge struct {
	*harness.Server
	addr, host string
}

// raw sends bytes and returns the first response. The server may hang up early.
func (e *edge) raw(t *testing.T, request string) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial("tcp", e.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	go io.WriteString(conn, request) // fails when the server has refused before it read all
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("no response to %.60q: %v", request, err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return resp, string(body)
}

// send is raw for a request line, header lines and a body.
func (e *edge) send(t *testing.T, line string, header []string, body string) (*http.Response, string) {
	t.Helper()
	lines := append([]string{line + " HTTP/1.1"}, header...)
	if !slices.ContainsFunc(header, func(h string) bool { return strings.HasPrefix(h, "Host:") }) {
		lines = append(lines, "Host: "+e.host)
	}
	if body != "" && !slices.ContainsFunc(header, func(h string) bool { return strings.HasPrefix(h, "Transfer-Encoding:") }) {
		lines = append(lines, fmt.Sprintf("Content-Length: %d", len(body)))
	}
	return e.raw(t, strings.Join(append(lines, "Connection: close", "", ""), "\r\n")+body)
}

const discovery = "/.well-known/openid-configuration"

// HT-01, RS-01: only the issuer's own host is answered, and nothing is derived from it.
func testHosts(t *testing.T, e *edge) {
	for name, tc := range map[string]struct {
		line   string
		header []string
		want   int
	}{
		"the issuer's":        {"GET " + discovery, nil, 200},
		"in capitals":         {"GET " + discovery, []string{"Host: " + strings.ToUpper(e.host)}, 200},
		"unknown":             {"GET " + discovery, []string{"Host: evil.example"}, 421},
		"another port":        {"GET " + discovery, []string{"Host: 127.0.0.1:1"}, 421},
		"without the port":    {"GET " + discovery, []string{"Host: 127.0.0.1"}, 421},
		"with user info":      {"GET " + discovery, []string{"Host: x@" + e.host}, 400},
		"a path in it":        {"GET " + discovery, []string{"Host: " + e.host + "/x"}, 400},
		"a suffix":            {"GET " + discovery, []string{"Host: " + e.host + ".evil.example"}, 421},
		"two":                 {"GET " + discovery, []string{"Host: " + e.host, "Host: evil.example"}, 400},
		"empty":               {"GET " + discovery, []string{"Host: "}, 421},
		"absolute form":       {"GET http://" + e.host + discovery, nil, 200},
		"absolute form, evil": {"GET http://evil.example" + discovery, nil, 421},
		"sign-in":             {"GET /login", []string{"Host: evil.example"}, 421},
		"health, by address":  {"GET /healthz", []string{"Host: 10.0.0.7"}, 200},
	} {
		resp, body := e.send(t, tc.line, tc.header, "")
		told := "and this server answers for " + e.Issuer + " alone"
		if resp.StatusCode != tc.want || tc.want != 421 && strings.Contains(body, "evil.example") ||
			(tc.want == 421) != strings.Contains(body, told) {
			t.Errorf("%s: %d, want %d: %.200s", name, resp.StatusCode, tc.want, body)
		}
		if tc.want == 200 && strings.Contains(tc.line, discovery) && !strings.Contains(body, `"issuer":"`+e.Issuer+`"`) {
			t.Errorf("%s: the issuer is another: %.100s", name, body)
		}
	}
}

// HT-02: without TRUSTED_PROXIES nobody is believed about where they come from.
func testForwardedFields(t *testing.T, e *edge) {
	for name, lines := range map[string][]string{
		"host":    {"X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https", "Forwarded: host=evil.example;proto=https"},
		"address": {"X-Forwarded-For: 203.0.113.66", "X-Real-IP: 203.0.113.66", "Forwarded: for=203.0.113.66"},
		"many":    {"X-Forwarded-For: " + strings.Repeat("203.0.113.66, ", 500) + "::1"},
		"garbage": {"X-Forwarded-For: fe80::1%25eth0, [::1]:99999, ,,,", "X-Request-Id: not-an-id"},
	} {
		resp, body := e.send(t, "GET "+discovery, lines, "")
		if resp.StatusCode != 200 || strings.Contains(body, "evil.example") || strings.Contains(body, "https://"+e.host) {
			t.Errorf("%s: %d %.100s", name, resp.StatusCode, body)
		}
	}
	if log := e.Log.String(); strings.Contains(log, "203.0.113.66") || strings.Contains(log, "not-an-id") {
		t.Error("the log believes what a stranger says of itself")
	}
	// A trusted one is believed about the host it was asked for, which must be ours still.
	handler := openHandler(t, "https://localhost:5443")
	for host, want := range map[string]int{"localhost:5443": 200, "evil.example": 421} {
		req := httptest.NewRequest(http.MethodGet, discovery, nil)
		req.Host, req.RemoteAddr = "inside:8080", "127.0.0.1:40000"
		req.Header.Set("X-Forwarded-Host", host)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, req)
		if w.Code != want {
			t.Errorf("forwarded host %s: %d, want %d", host, w.Code, want)
		}
	}
}

// HT-04, HT-07: what is too large or of another form is refused before it is read.
func testSizes(t *testing.T, e *edge) {
	const form = "Content-Type: application/x-www-form-urlencoded"
	for name, tc := range map[string]struct {
		line   string
		header []string
		body   string
		want   []int
	}{
		"1 MiB":              {"POST /oauth2/token", []string{form}, "grant_type=" + strings.Repeat("a", 1<<20), []int{413}},
		"1 GiB, announced":   {"POST /oauth2/token", []string{form, "Content-Length: 1073741824"}, "", []int{413}},
		"chunks":             {"POST /oauth2/token", []string{form, "Transfer-Encoding: chunked"}, strings.Repeat("1000\r\n"+strings.Repeat("a", 0x1000)+"\r\n", 64), []int{413}},
		"many fields":        {"POST /oauth2/token", []string{form}, strings.Repeat("a=b&", 10_000), []int{400, 413}},
		"sign-in, 1 MiB":     {"POST /login", []string{form}, "email=" + strings.Repeat("a", 1<<20), []int{413}},
		"many parameters":    {"GET /oauth2/authorize?" + strings.Repeat("a=b&", 5_000), nil, "", []int{400}},
		"100 kB of header":   {"GET /login", []string{"X-Large: " + strings.Repeat("a", 100_000)}, "", []int{431}},
		"many header fields": {"GET /login", slices.Repeat([]string{"X-Small: a"}, 10_000), "", []int{431}},
		"multipart":          {"POST /oauth2/token", []string{"Content-Type: multipart/form-data; boundary=x"}, "--x\r\n\r\n--x--", []int{415}},
		"JSON":               {"POST /oauth2/token", []string{"Content-Type: application/json"}, `{"grant_type":"client_credentials"}`, []int{415}},
		"gzip":               {"POST /oauth2/token", []string{form, "Content-Encoding: gzip"}, "\x1f\x8b", []int{415}},
		"another charset":    {"POST /oauth2/token", []string{form + "; charset=utf-16"}, "grant_type=x", []int{415}},
		"no type":            {"POST /oauth2/token", nil, "grant_type=x", []int{415}},
		"NUL":                {"POST /oauth2/token", []string{form}, "grant_type=%00", []int{400}},
		"not UTF-8":          {"POST /oauth2/token", []string{form}, "grant_type=%ff", []int{400}},
		"bad escapes":        {"POST /oauth2/token", []string{form}, "grant_type=%zz", []int{400}},
		"twice":              {"POST /oauth2/token", []string{form}, "grant_type=a&grant_type=a", []int{400}},
	} {
		if resp, body := e.send(t, tc.line, tc.header, tc.body); !slices.Contains(tc.want, resp.StatusCode) {
			t.Errorf("%s: %d, want %v: %.200s", name, resp.StatusCode, tc.want, body)
		}
	}
}

// HT-07: a route has its methods and no other; tokens are never had by GET (RFC 6749, section 3.2).
func testMethods(t *testing.T, e *edge) {
	for path, methods := range e.Server.Server.Routes() {
		path = strings.NewReplacer("{file}", "style.css", "{id}", uuid.Nil.String(), "{connection}", "acme").Replace(path)
		for _, method := range []string{"GET", "POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "PROPFIND", "get"} {
			if slices.Contains(methods, method) {
				continue
			}
			resp, _ := e.send(t, method+" "+path, []string{"X-HTTP-Method-Override: POST"}, "")
			allow := resp.Header.Get("Allow")
			if resp.StatusCode != 405 && !(method == "CONNECT" && resp.StatusCode >= 400) {
				t.Errorf("%s %s: %d, want 405", method, path, resp.StatusCode)
			} else if resp.StatusCode == 405 && allow != strings.Join(methods, ", ") {
				t.Errorf("%s %s: Allow is %q, want %v", method, path, allow, methods)
			}
		}
	}
	basic := "Authorization: Basic ZGF0YS1hcGktMDAxOmRhdGFfc2VjcmV0X2FwaV8yMDI0"
	if resp, body := e.send(t, "GET /oauth2/token?grant_type=client_credentials", []string{basic}, ""); resp.StatusCode != 405 || strings.Contains(body, "sp_at_") {
		t.Errorf("a token by GET: %d", resp.StatusCode)
	}
	if resp, body := e.send(t, "OPTIONS *", nil, ""); resp.StatusCode >= 500 || resp.Header.Get("X-Content-Type-Options") == "" {
		t.Errorf("OPTIONS *: %d %s", resp.StatusCode, body)
	}
}

// HT-09: every answer of every route has the headers, errors too.
func testHeadersEverywhere(t *testing.T, e *edge) {
	public := []string{discovery, "/.well-known/oauth-authorization-server", "/.well-known/jwks.json"}
	targets := []string{"/nowhere", "/static/nothing.css", "/login?flow=x", "/oauth2/authorize?client_id=quiet", "/?" + strings.Repeat("a=b&", 2000)}
	for path := range e.Server.Server.Routes() {
		targets = append(targets, strings.ReplaceAll(path, "{file}", "style.css"))
	}
	for _, target := range targets {
		for _, method := range []string{"GET", "POST", "HEAD", "OPTIONS", "PUT"} {
			for _, accept := range []string{"text/html", "application/json"} {
				resp, _ := e.send(t, method+" "+target, []string{"Accept: " + accept}, "")
				h := resp.Header
				if csp := h.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") ||
					h.Get("X-Frame-Options") != "DENY" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "no-referrer" || len(h.Get("X-Request-Id")) != 36 {
					t.Errorf("%s %.40s: %d %v", method, target, resp.StatusCode, h)
				}
				cached := h.Get("Cache-Control") != "no-store"
				if may := resp.StatusCode == 200 && (slices.Contains(public, target) || strings.HasPrefix(target, "/static/")); cached && !may {
					t.Errorf("%s %.40s: %d may be kept: %q", method, target, resp.StatusCode, h.Get("Cache-Control"))
				}
				if h.Get("Server") != "" || h.Get("X-Powered-By") != "" {
					t.Errorf("%s %.40s says what it runs on", method, target)
				}
			}
		}
	}
}

// HT-10: an error has a code and a request id, and nothing of our inside.
func testErrorsTellNothingInside(t *testing.T, e *edge) {
	hostile := []string{"'", `"`, "\\", "%27%20OR%201=1--", "%F0%9F%92%A9", "../../etc/passwd", "{{.}}", "%25s%25n", strings.Repeat("A", 3000), "-1", "%0d%0aX-Evil:1"}
	inside := []string{"goroutine", ".go:", "sqlite", "SQLITE", "pq:", "SELECT ", "runtime error", "panic", "fosite", "storage:", "/tmp/", "sallyport.db"}
	const form = "Content-Type: application/x-www-form-urlencoded"
	for path, methods := range e.Server.Server.Routes() {
		for _, value := range hostile {
			target := strings.ReplaceAll(path, "{file}", "x") + "?flow=" + value + "&client_id=" + value + "&id_token_hint=" + value
			if strings.HasPrefix(path, "/oauth2/authorize") {
				target = path + "?client_id=quiet&redirect_uri=https%3A%2F%2Fquiet.example%2Fcb&response_type=code&scope=openid&organization=" + value + "&state=" + value
			}
			for _, method := range []string{"GET", "POST"} {
				if !slices.Contains(methods, method) {
					continue
				}
				body := ""
				if method == "POST" {
					body = "client_id=" + value + "&client_secret=" + value + "&token=" + value + "&code=" + value + "&email=" + value + "&csrf=" + value
				}
				resp, got := e.send(t, method+" "+target, []string{form, "Cookie: sp_browser=" + strings.ReplaceAll(value, "%0d%0a", "")}, body)
				if resp.StatusCode >= 500 || resp.Header.Get("X-Evil") != "" {
					t.Errorf("%s %.80s: %d %v", method, target, resp.StatusCode, resp.Header)
				}
				for _, word := range inside {
					if strings.Contains(got, word) {
						t.Errorf("%s %.80s tells of %q", method, target, word)
					}
				}
			}
		}
	}
	page, body := e.send(t, "GET /oauth2/authorize", []string{"Accept: text/html"}, "")
	if id := page.Header.Get("X-Request-Id"); page.StatusCode != 400 || !strings.Contains(body, `id="request-id">`+id) || !strings.Contains(e.Log.String(), id) {
		t.Errorf("the page, its header and the log do not share a request id: %d %s", page.StatusCode, id)
	}
}

// IN-06: a path has one spelling; the router and whatever stands before it see the same.
func testPaths(t *testing.T, e *edge) {
	for _, path := range []string{"//login", "/./login", "/x/../login", "/%2e/login", "/%6cogin", "/login%2f", "/login%00", "/login;x", "/oauth2//token", "/oauth2/%74oken",
		"/static/../clients.yaml", "/static/%2e%2e/clients.yaml", "/static/..%2fclients.yaml", "/static/..%5cclients.yaml", "/static/", "/static", "/static/.", "/login//", "/oauth2/token/", "/oauth2/authorise/",
		"/static//style.css", "/.well-known/", "/LOGIN", "/login%20", "/login\\", "/%5clogin", "/metrics", "/debug/pprof/", "/admin", "/setup", "/.git/config", "/dev/"} {
		if resp, body := e.send(t, "GET "+path, nil, ""); resp.StatusCode != 404 && resp.StatusCode != 400 {
			t.Errorf("%s: %d %.80s", path, resp.StatusCode, body)
		}
	}
	// One trailing slash is the exception, for what only reads.
	for path, to := range map[string]string{"/account/": "/account", "/login/": "/login", "/account/security/?a=b": "/account/security?a=b", "/static/style.css/": "/static/style.css",
		"/.well-known/openid-configuration/": "/.well-known/openid-configuration", "/api/v1/auth/me/": "/api/v1/auth/me", "/oauth2/userinfo/": "/oauth2/userinfo"} {
		resp, _ := e.send(t, "GET "+path, nil, "")
		if got := resp.Header.Get("Location"); resp.StatusCode != http.StatusPermanentRedirect || got != to {
			t.Errorf("GET %s: %d to %q, want %q", path, resp.StatusCode, got, to)
		}
		if resp, _ := e.send(t, "POST "+path, []string{"Content-Type: application/x-www-form-urlencoded"}, "a=b"); resp.StatusCode != http.StatusNotFound {
			t.Errorf("POST %s: %d, want 404", path, resp.StatusCode)
		}
	}
	for _, path := range []string{"/oauth2/token/", "/oauth2/par/", "/oauth2/revoke/", "/oauth2/introspect/"} {
		if resp, _ := e.send(t, "POST "+path, []string{"Content-Type: application/x-www-form-urlencoded"}, "a=b"); resp.StatusCode != http.StatusNotFound {
			t.Errorf("POST %s: %d, want 404", path, resp.StatusCode)
		}
	}
}

// A preflight passes for any client's origin, and so does an error; a successful answer only for the client's own; never
// with credentials.
func testCORS(t *testing.T, e *edge) {
	const own, others, stranger = "https://pages.quiet.example", "http://localhost:5001", "https://evil.example"
	open := []string{"/oauth2/token", "/oauth2/par", "/oauth2/revoke", "/oauth2/userinfo"}
	for path := range e.Server.Server.Routes() {
		path = strings.ReplaceAll(path, "{file}", "style.css")
		for _, origin := range []string{own, "https://quiet.example", others, "http://127.0.0.1", stranger, "null", "https://quiet.example.evil.example", "http://quiet.example"} {
			resp, _ := e.send(t, "OPTIONS "+path, []string{"Origin: " + origin, "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization"}, "")
			got := resp.Header.Get("Access-Control-Allow-Origin")
			known := origin == own || origin == "https://quiet.example" || origin == others || origin == "http://127.0.0.1"
			want := ""
			if slices.Contains(open, path) && known {
				want = origin
			}
			if strings.HasPrefix(path, "/.well-known/") {
				continue // any origin, by GET; shown with discovery
			}
			if got != want || resp.Header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("preflight of %s from %s: %q, want %q", path, origin, got, want)
			}
		}
	}
	rp := harness.Quiet(e.Server, "openid")
	b := e.Browser(t)
	harness.SignIn(t, b, harness.Bob)
	access := harness.QuietTokens(t, e.Server, b, "openid").AccessToken
	for path, form := range map[string]url.Values{
		"/oauth2/token":      {"grant_type": {"refresh_token"}, "refresh_token": {"x"}},
		"/oauth2/par":        rp.Authorize(nil).Params,
		"/oauth2/revoke":     {"token": {"x"}},
		"/oauth2/userinfo":   {},
		"/oauth2/introspect": {"token": {"x"}},
		"/oauth2/authorize":  rp.Authorize(nil).Params,
	} {
		for origin, want := range map[string]string{own: own, "https://quiet.example": "https://quiet.example", others: "", stranger: "", "null": ""} {
			if path == "/oauth2/introspect" || path == "/oauth2/authorize" {
				want = ""
			}
			if path == "/oauth2/token" && origin == others {
				want = others // the refresh token is none: an error
			}
			header := []string{"Origin: " + origin, "Content-Type: application/x-www-form-urlencoded"}
			switch path {
			case "/oauth2/userinfo":
				header = []string{"Origin: " + origin, "Authorization: Bearer " + access}
			case "/oauth2/authorize":
			default:
				header = append(header, "Authorization: Basic "+basicOf(rp))
			}
			resp, body := e.send(t, "POST "+path, header, form.Encode())
			if got := resp.Header.Get("Access-Control-Allow-Origin"); got != want || resp.Header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s from %s: %d, allowed %q, want %q: %.100s", path, origin, resp.StatusCode, got, want, body)
			}
			if slices.Contains(open, path) && !strings.Contains(strings.Join(resp.Header["Vary"], ","), "Origin") {
				t.Errorf("%s does not vary by Origin: %v", path, resp.Header["Vary"])
			}
		}
	}
}

// A page can read why it was refused before and after its client is known, and when to try again, wherever a preflight
// would let it try; a stranger's page cannot.
func testCORSOfErrors(t *testing.T, e *edge) {
	const form = "Content-Type: application/x-www-form-urlencoded"
	rp := harness.Quiet(e.Server, "openid")
	machine := e.Machine().Token(t, url.Values{"grant_type": {"client_credentials"}}).AccessToken
	for name, tc := range map[string]struct {
		target string
		header []string
		body   string
		status int
	}{
		"userinfo, no token":           {"GET /oauth2/userinfo", nil, "", 401},
		"userinfo, dead token":         {"GET /oauth2/userinfo", []string{"Authorization: Bearer sp_at_" + strings.Repeat("a", 43)}, "", 401},
		"userinfo, JWT of another":     {"GET /oauth2/userinfo", []string{"Authorization: Bearer e30.e30.e30"}, "", 401},
		"userinfo, insufficient scope": {"GET /oauth2/userinfo", []string{"Authorization: Bearer " + machine}, "", 403},
		"userinfo, two tokens":         {"POST /oauth2/userinfo", []string{form, "Authorization: Bearer x"}, "access_token=y", 400},
		"token, no client":             {"POST /oauth2/token", []string{form}, "", 401},
		"token, unknown client":        {"POST /oauth2/token", []string{form}, "client_id=nobody&grant_type=refresh_token", 401},
		"token, wrong secret":          {"POST /oauth2/token", []string{form}, "client_id=" + rp.ClientID + "&client_secret=x", 401},
		"token, no form":               {"POST /oauth2/token", []string{"Content-Type: text/plain"}, "x", 415},
		"token, too large":             {"POST /oauth2/token", []string{form}, "a=" + strings.Repeat("x", 70<<10), 413},
		"token, unknown grant":         {"POST /oauth2/token", []string{form, "Authorization: Basic " + basicOf(rp)}, "grant_type=password", 400},
		"par, no redirect URI":         {"POST /oauth2/par", []string{form, "Authorization: Basic " + basicOf(rp)}, "response_type=code", 400},
		"par, no client":               {"POST /oauth2/par", []string{form}, "response_type=code", 401},
		"revoke, no token":             {"POST /oauth2/revoke", []string{form, "Authorization: Basic " + basicOf(rp)}, "", 400},
		"revoke, no client":            {"POST /oauth2/revoke", []string{form}, "token=x", 401},
		"introspect has no pages":      {"POST /oauth2/introspect", []string{form}, "token=x", 401},
	} {
		for origin, admitted := range map[string]bool{"https://pages.quiet.example": true, "https://quiet.example": true, "http://localhost:5001": true,
			"https://evil.example": false, "null": false, "https://quiet.example.evil.example": false, "http://quiet.example": false} {
			resp, body := e.send(t, tc.target, append([]string{"Origin: " + origin}, tc.header...), tc.body)
			want := ""
			if admitted && !strings.Contains(tc.target, "introspect") {
				want = origin
			}
			h := resp.Header
			if resp.StatusCode != tc.status || h.Get("Access-Control-Allow-Origin") != want || h.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s from %s: %d, allowed %q, want %d and %q: %.100s", name, origin, resp.StatusCode, h.Get("Access-Control-Allow-Origin"), tc.status, want, body)
			}
			if exposed := h.Get("Access-Control-Expose-Headers"); (want != "") != strings.Contains(exposed, "WWW-Authenticate") {
				t.Errorf("%s from %s: the page may read the headers %q", name, origin, exposed)
			}
		}
	}
}

func basicOf(rp *harness.RP) string {
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.SetBasicAuth(rp.ClientID, rp.Secret)
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Basic ")
}
