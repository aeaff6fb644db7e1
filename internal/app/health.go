package app

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
)

// Looks at the database and at Redis may take this long: /readyz answers within two
// seconds, and the one must not be blamed for the other.
const (
	checkTimeout = 1200 * time.Millisecond
	redisTimeout = 250 * time.Millisecond
)

// lookFor is how long a look at everything serves those who ask: strangers may, as
// often as they like.
const lookFor = time.Second

// Health is the answer of /readyz on the admin listener; the public one has Status
// alone. Status is ready, degraded (it answers, but
// something is wrong) or unavailable.
type Health struct {
	Status string            `json:"status"`
	Checks map[string]string `json:"checks"` // "ok", or a sentence
	// UntrustedPeer is the network of the first peer outside TRUSTED_PROXIES that sent X-Forwarded-For or the like.
	// Any stranger can send it, so it is no check and changes no Status.
	UntrustedPeer netip.Prefix `json:"untrusted_peer,omitzero"`
}

// Check looks at everything the server needs.
func (s *Server) Check(ctx context.Context) Health {
	h := Health{Status: "ready", Checks: map[string]string{"keys": "ok"}}
	worse := func(check, sentence, status string) {
		h.Checks[check] = sentence
		if h.Status != "unavailable" {
			h.Status = status
		}
	}
	s.checkDatabase(ctx, h.Checks, worse)
	if s.certificate != nil {
		h.Checks["certificate"] = "ok"
		if sentence := s.certificate.health(s.app.now()); sentence != "ok" {
			worse("certificate", sentence, "degraded")
		}
	}
	if s.redis != nil {
		h.Checks["redis"] = "ok"
		soon, cancel := context.WithTimeout(ctx, redisTimeout)
		defer cancel()
		if err := session.PingRedis(soon, s.redis); err != nil {
			cause, _ := session.DiagnoseRedis(err)
			worse("redis", cause+"; sessions and limits use the database", "degraded")
		}
	}
	return h
}

// checkDatabase looks at what only the database tells. It uses connections of its
// own, so that it does not queue behind requests.
func (s *Server) checkDatabase(ctx context.Context, checks map[string]string, worse func(check, sentence, status string)) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	clock, err := s.app.Store.Ping(ctx)
	if err != nil {
		worse("database", "no answer", "unavailable")
		return
	}
	for _, check := range []string{"database", "clock", "migrations", "writes", "mail"} {
		checks[check] = "ok"
	}
	if skew := s.app.now().Sub(clock).Abs(); skew > storage.MaxSkew {
		worse("clock", "this node's clock is "+skew.Round(time.Second).String()+" off the database's", "degraded")
	}
	switch pending, err := s.app.Store.Pending(ctx); {
	case errors.Is(err, storage.ErrNewerSchema):
		// Nodes of two releases run side by side during an update.
		worse("migrations", "the schema is newer than this program", "degraded")
	case err != nil:
		delete(checks, "migrations")
		worse("database", "the schema's version cannot be read", "unavailable")
	case pending:
		worse("migrations", "the schema lacks migrations", "unavailable")
	}
	if sentence := s.tryWrite(ctx); sentence != "ok" {
		worse("writes", sentence, "degraded")
	}
	soon, enough := context.WithTimeout(ctx, mailTimeout)
	defer enough()
	if mails, err := s.outbox.Status(soon); err == nil {
		s.metrics.waiting.Set(float64(mails.Waiting))
		if sentence := mailHealth(mails); sentence != "ok" {
			worse("mail", sentence, "degraded")
		}
	}
}

// Whether the database can be written to is tried at most every tryEvery, whoever
// asks. A look waits for the result at most tryWait, and for the outbox mailTimeout.
const (
	tryEvery    = 10 * time.Second
	tryWait     = 500 * time.Millisecond
	mailTimeout = 300 * time.Millisecond
)

// tried is the last try to write to the database.
type tried struct {
	mu       sync.Mutex
	at       time.Time
	running  chan struct{} // closed when the try that runs has ended; nil while none does
	sentence string        // "ok", or what the last one met
}

// tryWrite returns "ok" or why the database cannot be written to. A try that takes
// longer than a look goes on by itself.
func (s *Server) tryWrite(ctx context.Context) string {
	t := &s.tried
	t.mu.Lock()
	if age := s.app.now().Sub(t.at); t.running == nil && (age < 0 || age >= tryEvery) {
		ended := make(chan struct{})
		t.running, t.at = ended, s.app.now()
		go func() {
			sentence := "ok"
			if err := s.app.Store.TryWrite(context.WithoutCancel(ctx)); err != nil {
				sentence = storage.Trouble(err)
				s.app.Log.Warn("the database cannot be written to", "cause", sentence, "error", err)
			}
			t.mu.Lock()
			t.sentence, t.running = sentence, nil
			t.mu.Unlock()
			close(ended)
		}()
	}
	running := t.running
	t.mu.Unlock()
	if running != nil {
		wait := time.NewTimer(tryWait)
		defer wait.Stop()
		select {
		case <-running:
		case <-wait.C:
			return "a write has had no answer for half a second; another transaction or process may hold a lock"
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sentence
}

// looked is the last look at everything.
type looked struct {
	mu     sync.Mutex
	at     time.Time
	health Health
}

// health is what the last Check found, if that was within a second; else who asks
// first looks, and the others wait for the answer. It does not end with the
// request: who hangs up must not make the others' answer.
func (s *Server) health(ctx context.Context) Health {
	s.looked.mu.Lock()
	defer s.looked.mu.Unlock()
	if age := s.app.now().Sub(s.looked.at); age < 0 || age >= lookFor {
		s.looked.health = s.Check(context.WithoutCancel(ctx))
		s.looked.at = s.app.now()
	}
	h := s.looked.health
	h.UntrustedPeer = s.web.UntrustedPeer()
	if s.draining.Load() {
		h.Status, h.Checks = "unavailable", maps.Clone(h.Checks)
		h.Checks["process"] = "stopping"
	}
	return h
}

// mountHealth puts the probes on the public listener too, where strangers read them.
func (s *Server) mountHealth(rt *web.Router, w *web.Web) {
	rt.Handle("/healthz", w.HandleJSON(s.healthz), http.MethodGet)
	rt.Handle("/readyz", w.HandleJSON(func(w http.ResponseWriter, r *http.Request) error {
		h := s.health(r.Context())
		return answerReady(w, h.Status, map[string]string{"status": h.Status})
	}), http.MethodGet)
	rt.Handle(healthPath, w.HandleAPI(s.apiHealth), http.MethodGet)
}

// healthz says that the process answers, and nothing else.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) error {
	return web.JSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// readyz says whether requests should come here, and what is wrong.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) error {
	h := s.health(r.Context())
	return answerReady(w, h.Status, h)
}

func answerReady(w http.ResponseWriter, word string, body any) error {
	status := http.StatusOK
	if word == "unavailable" {
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "5")
	}
	return web.JSON(w, status, body)
}

// adminHandler serves what is for operators. It listens on loopback unless
// ADMIN_LISTEN says otherwise.
func (s *Server) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{ErrorLog: log.New(web.RecordWriter{Log: s.app.Log}, "", 0)}))
	plain := func(h web.Handler) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { _ = h(w, r) }
	}
	mux.HandleFunc("GET /healthz", plain(s.healthz))
	mux.HandleFunc("GET /readyz", plain(s.readyz))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return web.Private(s.app.Config.AdminHosts, mux)
}

// AskAdmin gets a path from the admin listener of the server on this machine, which may listen on all addresses.
func AskAdmin(ctx context.Context, listen, path string) (res *http.Response, body []byte, err error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, nil, err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+path, nil)
	if err != nil {
		return nil, nil, err
	}
	req.Host = "localhost" // ADMIN_LISTEN may name a host that ADMIN_HOSTS does not
	if res, err = http.DefaultClient.Do(req); err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	body, err = io.ReadAll(io.LimitReader(res.Body, 4<<10))
	return res, body, err
}

// watch keeps the readiness metrics current.
func (s *Server) watch(ctx context.Context) {
	tick := time.NewTicker(15 * time.Second)
	defer tick.Stop()
	for {
		h := s.Check(ctx)
		if ctx.Err() != nil {
			return
		}
		for check, sentence := range h.Checks {
			ok := 0.0
			if sentence == "ok" {
				ok = 1
			}
			s.metrics.checks.WithLabelValues(check).Set(ok)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// metrics are the server's own. Labels are route templates and fixed words, never ids.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
	rows     *prometheus.CounterVec
	messages *prometheus.CounterVec
	waiting  prometheus.Gauge
	checks   *prometheus.GaugeVec
	panics   *prometheus.CounterVec
	tokens   *prometheus.CounterVec
	refusals *prometheus.CounterVec
	series   atomic.Pointer[map[seriesKey]prometheus.Observer]
}

type seriesKey struct {
	route, method string
	status        int
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "sallyport_http_request_duration_seconds", Help: "Time to answer a request.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}}, []string{"route", "method", "status"}),
		rows:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sallyport_swept_rows_total", Help: "Expired rows that were deleted."}, []string{"table"}),
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sallyport_messages_total", Help: "Tries to deliver mail and to decide requests."}, []string{"kind", "outcome"}),
		waiting:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "sallyport_messages_waiting", Help: "Messages that wait to be delivered or decided."}),
		checks:   prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "sallyport_check_ok", Help: "1 while what /readyz looks at is well."}, []string{"check"}),
		panics:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sallyport_worker_panics_total", Help: "Background workers that panicked and were started again."}, []string{"worker"}),
	}
	m.tokens = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sallyport_token_requests_total",
		Help: "Answers of the token endpoint; outcome is issued or the error's code."}, []string{"grant_type", "outcome"})
	m.refusals = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sallyport_refusals_total",
		Help: "Errors of the protocol that were answered, by endpoint and code."}, []string{"route", "code"})
	m.series.Store(&map[seriesKey]prometheus.Observer{})
	m.registry.MustRegister(m.requests, m.rows, m.messages, m.waiting, m.checks, m.panics, m.tokens, m.refusals)
	return m
}

// observe records an answered request. The few series there are are looked up
// without building their labels again.
func (m *metrics) observe(route, method string, status int, took time.Duration) {
	k := seriesKey{route, method, status}
	known := *m.series.Load()
	o := known[k]
	if o == nil {
		o = m.requests.WithLabelValues(route, method, strconv.Itoa(status))
		grown := make(map[seriesKey]prometheus.Observer, len(known)+1)
		for k, v := range known {
			grown[k] = v
		}
		grown[k] = o
		m.series.Store(&grown)
	}
	o.Observe(took.Seconds())
}

// TokenRequest counts an answer of the token endpoint.
func (m *metrics) TokenRequest(grantType, outcome string) {
	m.tokens.WithLabelValues(grantType, outcome).Inc()
}

// Refused counts an error of the protocol that was answered.
func (m *metrics) Refused(endpoint, code string) { m.refusals.WithLabelValues(endpoint, code).Inc() }

func (m *metrics) delivered(kind, outcome string) { m.messages.WithLabelValues(kind, outcome).Inc() }

func (m *metrics) swept(table string, rows int64) { m.rows.WithLabelValues(table).Add(float64(rows)) }

// dataURL makes an image small enough for every page part of the page.
func dataURL(image []byte) (string, error) {
	const most = 32 << 10
	if len(image) > most {
		return "", errors.New("the image is larger than 32 KiB")
	}
	kind := http.DetectContentType(image)
	if strings.HasPrefix(kind, "text/xml") || strings.Contains(string(image[:min(len(image), 256)]), "<svg") {
		kind = "image/svg+xml"
	}
	if !strings.HasPrefix(kind, "image/") {
		return "", errors.New("the file is not an image")
	}
	return "data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(image), nil
}
