package web

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/mux"
)

// maxBody bounds every request body, read or not, but those of the JSON API, which MaxAPIBody bounds.
const (
	maxBody    = 64 << 10
	MaxAPIBody = 1 << 20
)

// exchange is one request and what became of it. It is the response writer that handlers see, and lies in the request's
// context. It belongs to the request's own goroutine.
type exchange struct {
	http.ResponseWriter
	status int // 0 until the header is written
	bytes  int64

	id     [1]string // as the header's value
	client netip.Addr
	scheme string
	match  mux.RouteMatch // of the router
	route  string         // its template
	err    error
	notes  []any
	// beforeError, if not nil, adds headers to an answer of status 400 and above.
	beforeError func()
}

type exchangeKey struct{}

func exchangeOf(ctx context.Context) *exchange {
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	return x
}

// RequestID returns the id that ties log, audit event and error page together, a UUID; empty outside a request.
func RequestID(ctx context.Context) string {
	if x := exchangeOf(ctx); x != nil {
		return x.id[0]
	}
	return ""
}

// ClientIP returns the address of the one who asks: the peer, or what a trusted proxy says of it. It is the zero Addr
// if the peer has none (a Unix socket).
func ClientIP(r *http.Request) netip.Addr {
	if x := exchangeOf(r.Context()); x != nil {
		return x.client
	}
	return peerAddr(r)
}

// Scheme returns "https" or "http", as the client sees it.
func Scheme(r *http.Request) string {
	if x := exchangeOf(r.Context()); x != nil {
		return x.scheme
	}
	return schemeOf(r, false)
}

// Annotate adds to the request's access line: args are keys and values, or slog.Attr, as slog takes them. Protocol
// packages that write their own errors say the cause here, as "error". Never a token, code, secret or cookie.
func Annotate(ctx context.Context, args ...any) {
	x := exchangeOf(ctx)
	if x == nil {
		return
	}
	for _, a := range args {
		if text, ok := a.(string); ok {
			a = cut(text)
		}
		x.notes = append(x.notes, a)
	}
}

// maxLogged bounds a text in the access log: errors of libraries repeat what was sent.
const maxLogged = 1 << 10

func cut(text string) string {
	if len(text) <= maxLogged {
		return text
	}
	return strings.ToValidUTF8(text[:maxLogged], "") + "…"
}

// WriteHeader remembers the first final status.
func (x *exchange) WriteHeader(status int) {
	if x.status == 0 && status >= 200 {
		x.status = status
		if status >= 400 && x.beforeError != nil {
			x.beforeError()
		}
	}
	x.ResponseWriter.WriteHeader(status)
}

// Write counts.
func (x *exchange) Write(b []byte) (int, error) {
	if x.status == 0 {
		x.status = http.StatusOK
	}
	n, err := x.ResponseWriter.Write(b)
	x.bytes += int64(n)
	return n, err
}

// Unwrap is for http.ResponseController.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// serve does what is done for every request, and has those for this server answered.
func (web *Web) serve(w http.ResponseWriter, r *http.Request, answer func(*exchange, *http.Request)) {
	start := web.now()
	x := &exchange{ResponseWriter: w}
	trusted := web.isTrusted(peerAddr(r))
	x.client = web.clientAddr(r, trusted)
	x.scheme = schemeOf(r, trusted)
	x.id[0] = requestID(r, trusted)
	if !trusted {
		web.noteUntrusted(r)
	}

	header := w.Header()
	for name, values := range web.headers {
		header[name] = values
	}
	header["X-Request-Id"] = x.id[:]

	r = r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x))
	if trusted {
		useForwardedHost(r)
	}
	if r.Body != nil && r.Body != http.NoBody {
		limit := int64(maxBody)
		if isAPI(r) {
			limit = MaxAPIBody
		}
		r.Body = http.MaxBytesReader(w, r.Body, limit)
	}
	defer func() {
		aborted := web.recovered(x, r, recover())
		web.finish(x, r, start)
		if aborted {
			panic(http.ErrAbortHandler)
		}
	}()
	switch {
	case !web.isOurs(r):
		web.refuse(x, r, &Error{Status: http.StatusMisdirectedRequest,
			Message: fmt.Sprintf("The request came for the host %s, and this server answers for %s alone.", printableHost(r), web.issuer)})
	case !isPlainPath(r):
		web.refuse(x, r, &Error{Status: http.StatusNotFound})
	default:
		answer(x, r)
	}
}

// recovered turns a panic into a response, and reports whether the connection must be cut instead, because half of
// another response is out already.
func (web *Web) recovered(x *exchange, r *http.Request, value any) (abort bool) {
	if value == nil {
		return false
	}
	if value == http.ErrAbortHandler {
		return true
	}
	err := &panicError{value: value, stack: debug.Stack()}
	if x.status != 0 {
		x.err = err
		return true
	}
	web.refuse(x, r, err)
	return false
}

// finish writes the one line that a request leaves in the log.
func (web *Web) finish(x *exchange, r *http.Request, start time.Time) {
	took := web.now().Sub(start)
	if x.status == 0 {
		x.status = http.StatusOK // net/http's, for a handler that wrote nothing
	}
	if x.route == "" {
		x.route = "unmatched"
	}
	method := boundedMethod(r.Method)
	if web.observe != nil {
		web.observe(x.route, method, x.status, took)
	}
	level := slog.LevelInfo
	if x.status >= 500 || x.err != nil && x.status < 400 { // the second: it failed after it had begun to answer
		level = slog.LevelError
	}
	ctx := r.Context()
	if !web.log.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 12)
	attrs = append(attrs,
		slog.String("request_id", x.id[0]), slog.String("method", method), slog.String("route", x.route),
		slog.Int("status", x.status), slog.Int64("bytes", x.bytes),
		slog.Float64("dur_ms", float64(took.Microseconds())/1000), slog.String("ip", x.client.String()))
	if x.err != nil {
		attrs = append(attrs, slog.String("error", cut(x.err.Error())))
	}
	if p, ok := x.err.(*panicError); ok {
		attrs = append(attrs, slog.String("stack", string(p.stack)))
	}
	if len(x.notes) > 0 {
		attrs = append(attrs, slog.Group("", x.notes...))
	}
	web.log.LogAttrs(ctx, level, "request", attrs...)
}

// boundedMethod keeps what strangers invent out of metrics and log.
func boundedMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "OTHER"
}

// requestID takes over a trusted proxy's id if it is a UUID, and makes one otherwise: ids from strangers could collide
// with those of others on purpose, or carry text into the log.
func requestID(r *http.Request, trusted bool) string {
	if trusted {
		given := r.Header.Get("X-Request-Id")
		if id, err := uuid.Parse(given); err == nil && strings.EqualFold(id.String(), given) {
			return id.String()
		}
	}
	return uuid.NewString()
}
