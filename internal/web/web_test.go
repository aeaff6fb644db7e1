package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sallyport-id/sallyport/templates"
)

const issuer = "https://id.example"

// testWeb is a Web for issuer behind the proxies 10.0.0.0/8, whose log can be read.
type testWeb struct {
	*Web
	log lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newWeb(t testing.TB, change ...func(*Config)) *testWeb {
	t.Helper()
	pages, err := templates.New(templates.Brand{})
	if err != nil {
		t.Fatal(err)
	}
	tw := &testWeb{}
	c := Config{
		Issuer: issuer, Templates: pages, Logger: slog.New(slog.NewJSONHandler(&tw.log, nil)),
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")},
	}
	for _, f := range change {
		f(&c)
	}
	if tw.Web, err = New(c); err != nil {
		t.Fatal(err)
	}
	return tw
}

// router has one route of each kind.
func (tw *testWeb) router() *Router {
	rt := tw.NewRouter()
	rt.Handle("/page", tw.Handle(func(w http.ResponseWriter, r *http.Request) error {
		_, err := io.WriteString(w, "hello")
		return err
	}), "GET", "POST")
	rt.Handle("/json", tw.HandleJSON(func(w http.ResponseWriter, r *http.Request) error {
		return JSON(w, http.StatusOK, map[string]string{"ip": ClientIP(r).String(), "scheme": Scheme(r), "id": RequestID(r.Context())})
	}), "GET")
	rt.Handle("/things/{id}", tw.Handle(func(w http.ResponseWriter, r *http.Request) error {
		_, err := io.WriteString(w, Var(r, "id"))
		return err
	}), "GET")
	return rt
}

// failing routes GET /fail to a handler that returns err.
func (tw *testWeb) failing(err error) (page, machine http.Handler) {
	h := func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Cache-Control", "public, max-age=600")
		w.Header().Set("Etag", `"x"`)
		return err
	}
	p, m := tw.NewRouter(), tw.NewRouter()
	p.Handle("/fail", tw.Handle(h), "GET")
	m.Handle("/fail", tw.HandleJSON(h), "GET")
	return p, m
}

func request(method, target string, header ...string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	r.Host = "id.example"
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

func do(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestIssuerMustBeAnOrigin(t *testing.T) {
	for _, bad := range []string{"", "id.example", "https://id.example/", "https://id.example/x", "https://id.example?x", "ftp://id.example", "https://u@id.example", "https://"} {
		if _, err := New(Config{Issuer: bad, Templates: &templates.Templates{}, Logger: slog.Default()}); err == nil {
			t.Errorf("issuer %q accepted", bad)
		}
	}
}

func TestErrorsBecomeResponses(t *testing.T) {
	down := errors.New("connection refused to db.internal:5432")
	tests := []struct {
		name       string
		err        error
		wantStatus int
		wantCode   string
		wantRetry  string
	}{
		{"unknown", down, 500, "server_error", ""},
		{"refusal", &Error{Status: 400, Code: "unknown_client", Message: "client_id is not known"}, 400, "unknown_client", ""},
		{"wrapped", fmt.Errorf("login: %w", &Error{Status: 404}), 404, "not_found", ""},
		{"no status", &Error{Err: down}, 500, "server_error", ""},
		{"limit", &Error{Status: 429, RetryAfter: 1500 * time.Millisecond}, 429, "too_many_requests", "2"},
		{"deadline", fmt.Errorf("select: %w", context.DeadlineExceeded), 503, "temporarily_unavailable", "5"},
		{"storage down", fmt.Errorf("select: %w", io.ErrClosedPipe), 503, "temporarily_unavailable", "5"},
		{"body", fmt.Errorf("read: %w", &http.MaxBytesError{Limit: 1}), 413, "payload_too_large", ""},
		{"no code", &Error{Status: 415}, 415, "invalid_request", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			tw := newWeb(t, func(c *Config) {
				c.Unavailable = func(err error) bool { return errors.Is(err, io.ErrClosedPipe) }
			})
			page, machine := tw.failing(test.err)
			w := do(page, request("GET", "/fail"))
			id := w.Header().Get("X-Request-Id")
			if w.Code != test.wantStatus || w.Header().Get("Retry-After") != test.wantRetry {
				t.Errorf("page: %d, Retry-After %q, want %d, %q", w.Code, w.Header().Get("Retry-After"), test.wantStatus, test.wantRetry)
			}
			body := w.Body.String()
			if !strings.Contains(body, `data-error="`+test.wantCode+`"`) || !strings.Contains(body, `id="request-id">`+id) {
				t.Errorf("page without data-error %s or request id %s:\n%s", test.wantCode, id, body)
			}
			if got := w.Header().Get("Cache-Control") + w.Header().Get("Etag"); got != "no-store" {
				t.Errorf("the error keeps the page's caching: %q", got)
			}
			j := do(machine, request("GET", "/fail"))
			var got struct{ Error string }
			if err := json.Unmarshal(j.Body.Bytes(), &got); err != nil || got.Error != test.wantCode || j.Code != test.wantStatus {
				t.Errorf("JSON: %d %s, want %d %s", j.Code, j.Body, test.wantStatus, test.wantCode)
			}
			// HT-10: the cause is in the log, once, with the id, and nowhere else.
			if strings.Contains(body+j.Body.String(), "db.internal") {
				t.Error("the cause is shown")
			}
			if n := strings.Count(tw.log.String(), id); n != 1 {
				t.Errorf("the id is in %d lines of the log, want 1", n)
			}
			if line, _, _ := strings.Cut(tw.log.String(), "\n"); !strings.Contains(line, `"error":`) {
				t.Errorf("the log line %s has no cause", line)
			}
		})
	}
}

// A closed browser window is not a fault of the server.
func TestCallersWhoLeaveAreNoFault(t *testing.T) {
	tw := newWeb(t)
	page, _ := tw.failing(fmt.Errorf("select: %w", context.Canceled))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	do(page, request("GET", "/fail").WithContext(ctx))
	if line := tw.log.String(); !strings.Contains(line, `"level":"INFO"`) || !strings.Contains(line, `"status":499`) {
		t.Errorf("log = %s", line)
	}
}

func TestPanicsAreAnsweredAndLogged(t *testing.T) {
	tw := newWeb(t)
	rt := tw.NewRouter()
	rt.Handle("/panic", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("sp_at_x is nil") }), "GET")
	rt.Handle("/late", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "half a pa")
		panic("late")
	}), "GET")
	server := httptest.NewServer(rt)
	defer server.Close()
	get := func(path string) (*http.Response, error) {
		r, _ := http.NewRequest("GET", server.URL+path, nil)
		r.Host = "id.example"
		return server.Client().Do(r)
	}
	resp, err := get("/panic")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != 500 || strings.Contains(string(body), "nil") || strings.Contains(string(body), ".go") {
		t.Errorf("GET /panic = %d %s", resp.StatusCode, body)
	}
	if !strings.Contains(tw.log.String(), "web_test.go") {
		t.Errorf("no stack in the log: %s", &tw.log)
	}
	// Half a page must not look like a whole one.
	if resp, err := get("/late"); err == nil {
		if _, err := io.ReadAll(resp.Body); err == nil {
			t.Error("GET /late: a response that was cut off looks complete")
		}
		resp.Body.Close()
	}
}

// Too late for a response, but not for the log.
func TestAnErrorAfterTheAnswerIsLogged(t *testing.T) {
	tw := newWeb(t)
	rt := tw.NewRouter()
	rt.Handle("/x", tw.Handle(func(w http.ResponseWriter, _ *http.Request) error {
		io.WriteString(w, "answer")
		return errors.New("cleanup failed")
	}), "GET")
	w := do(rt, request("GET", "/x"))
	if w.Code != 200 || w.Body.String() != "answer" {
		t.Errorf("GET = %d %q, want the answer alone", w.Code, w.Body)
	}
	if line := tw.log.String(); !strings.Contains(line, `"level":"ERROR"`) || !strings.Contains(line, "cleanup failed") {
		t.Errorf("log = %s", line)
	}
}

// HT-09: on every route, whatever the outcome.
func TestSecurityHeadersAreOnEveryResponse(t *testing.T) {
	tw := newWeb(t)
	rt := tw.router()
	foreign := request("GET", "/page")
	foreign.Host = "evil.example"
	for name, r := range map[string]*http.Request{
		"200": request("GET", "/page"), "404": request("GET", "/none"), "405": request("DELETE", "/page"),
		"421": foreign, "path": request("GET", "/a//b"), "OPTIONS *": request("OPTIONS", "*"),
	} {
		h := do(rt, r).Header()
		for header, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
				"form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
			"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Strict-Transport-Security": "max-age=31536000", "Cross-Origin-Opener-Policy": "same-origin", "Cache-Control": "no-store",
		} {
			if got := h.Get(header); got != want {
				t.Errorf("%s: %s = %q, want %q", name, header, got, want)
			}
		}
		if _, err := uuid.Parse(h.Get("X-Request-Id")); err != nil {
			t.Errorf("%s: X-Request-Id = %q", name, h.Get("X-Request-Id"))
		}
	}
	plain := newWeb(t, func(c *Config) { c.Issuer = "http://localhost:5000" })
	r := request("GET", "/page")
	r.Host = "localhost:5000"
	if got := do(plain.router(), r).Header().Get("Strict-Transport-Security"); got != "" {
		t.Errorf("HSTS over http: %q", got)
	}
}

// The header values are shared between all requests; one that adds to them must not change the next.
func TestHeadersOfOneResponseDoNotReachTheNext(t *testing.T) {
	tw := newWeb(t)
	rt := tw.NewRouter()
	rt.Handle("/add", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name := range w.Header() {
			w.Header().Add(name, "added")
		}
		OmitFormAction(w)
	}), "GET")
	do(rt, request("GET", "/add"))
	for name, values := range do(rt, request("GET", "/none")).Header() {
		if len(values) != 1 || strings.Contains(values[0], "added") || name == csp && !strings.Contains(values[0], formAction) {
			t.Errorf("%s = %q", name, values)
		}
	}
}

// AD-07: what a request carries in secrets is in no line; HT-02: what strangers write is bounded.
func TestOneLineARequestWithoutSecrets(t *testing.T) {
	var route, method string
	var status int
	tw := newWeb(t, func(c *Config) {
		c.Observe = func(r, m string, s int, _ time.Duration) { route, method, status = r, m, s }
	})
	rt := tw.router()
	r := request("GET", "/things/canary-path?code=canary-query", "Cookie", "a=canary-cookie", "Authorization", "Bearer canary-token")
	do(rt, r)
	line := tw.log.String()
	if strings.Count(line, "\n") != 1 || strings.Contains(line, "canary") {
		t.Errorf("log = %s, want one line without a canary", line)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(line), &got); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{"route": "/things/{id}", "method": "GET", "status": 200.0, "bytes": 11.0, "ip": "192.0.2.1"} {
		if got[key] != want {
			t.Errorf("log: %s = %v, want %v", key, got[key], want)
		}
	}
	if route != "/things/{id}" || method != "GET" || status != 200 {
		t.Errorf("observed %s %s %d", method, route, status)
	}
	do(rt, request("BREW", "/none"))
	if route != "unmatched" || method != "OTHER" || status != 404 {
		t.Errorf("observed %s %s %d, want OTHER unmatched 404", method, route, status)
	}
}

func TestAnnotationsJoinTheLine(t *testing.T) {
	tw := newWeb(t)
	rt := tw.NewRouter()
	rt.Handle("/x", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		Annotate(r.Context(), "client_id", "acme-portal-001", slog.String("error", "invalid_grant: spent"))
	}), "GET")
	do(rt, request("GET", "/x"))
	if line := tw.log.String(); !strings.Contains(line, `"client_id":"acme-portal-001","error":"invalid_grant: spent"`) {
		t.Errorf("log = %s", line)
	}
}

// SS-06, second line of defence: the browser itself says that another site made it send this.
func TestForgedRequestsAreRefused(t *testing.T) {
	tw := newWeb(t)
	rt := tw.NewRouter()
	rt.Handle("/act", tw.SameOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {})), "GET", "POST")
	tests := []struct {
		method, header, value string
		want                  int
	}{
		{"POST", "Sec-Fetch-Site", "same-origin", 200},
		{"POST", "Sec-Fetch-Site", "none", 200},
		{"POST", "Sec-Fetch-Site", "same-site", 403},
		{"POST", "Sec-Fetch-Site", "cross-site", 403},
		{"POST", "Origin", issuer, 200},
		{"POST", "Origin", "https://evil.example", 403},
		{"POST", "Origin", "https://id.example.evil.example", 403},
		{"POST", "Origin", "null", 200}, // an old browser under no-referrer: the form's own field decides
		{"POST", "X-Nothing", "", 200},  // no browser at all
		{"GET", "Sec-Fetch-Site", "cross-site", 200},
	}
	for _, test := range tests {
		w := do(rt, request(test.method, "/act", test.header, test.value))
		if w.Code != test.want {
			t.Errorf("%s with %s: %s = %d, want %d", test.method, test.header, test.value, w.Code, test.want)
		}
		if test.want == 403 && !strings.Contains(w.Body.String(), `data-error="csrf"`) {
			t.Errorf("%s: %s: the page does not say csrf", test.header, test.value)
		}
	}
	port := request("POST", "/act", "Origin", issuer)
	port.Host = "ID.example:443"
	if w := do(rt, port); w.Code != 200 {
		t.Errorf("our own origin, asked with the default port = %d, want 200", w.Code)
	}
	// A modern browser that says null is a sandboxed frame of another site.
	if w := do(rt, request("POST", "/act", "Sec-Fetch-Site", "cross-site", "Origin", "null")); w.Code != 403 {
		t.Errorf("cross-site with Origin null = %d, want 403", w.Code)
	}
}
