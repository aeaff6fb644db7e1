package app

import (
	"context"
	"errors"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"sync"
	"time"

	"github.com/sallyport-id/sallyport/internal/redis"
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
	if s.app.Redis != nil {
		h.Checks["redis"] = "ok"
		soon, cancel := context.WithTimeout(ctx, redisTimeout)
		defer cancel()
		if err := s.app.Redis.Ping(soon).Err(); err != nil {
			cause, _ := redis.Diagnose(err)
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
		s.metrics.Waiting.Set(float64(mails.Waiting))
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

// writeCheck is the last try to write to the database.
type writeCheck struct {
	mu       sync.Mutex
	at       time.Time
	running  chan struct{} // closed when the try that runs has ended; nil while none does
	sentence string        // "ok", or what the last one met
}

// tryWrite returns "ok" or why the database cannot be written to. A try that takes
// longer than a look goes on by itself.
func (s *Server) tryWrite(ctx context.Context) string {
	t := &s.written
	now := s.app.now() // before the lock: a panic between Lock and Unlock would hold it for ever
	t.mu.Lock()
	if age := now.Sub(t.at); t.running == nil && (age < 0 || age >= tryEvery) {
		ended := make(chan struct{})
		t.running, t.at = ended, now
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

// cachedHealth is the last answer of Check.
type cachedHealth struct {
	mu     sync.Mutex
	at     time.Time
	health Health
}

// health is what the last Check found, if that was within a second; else who asks
// first looks, and the others wait for the answer. It does not end with the
// request: who hangs up must not make the others' answer.
func (s *Server) health(ctx context.Context) Health {
	s.cached.mu.Lock()
	defer s.cached.mu.Unlock()
	if age := s.app.now().Sub(s.cached.at); age < 0 || age >= lookFor {
		s.cached.health = s.Check(context.WithoutCancel(ctx))
		s.cached.at = s.app.now()
	}
	h := s.cached.health
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
	mux.Handle("GET /metrics", s.metrics.Handler(log.New(web.RecordWriter{Log: s.app.Log}, "", 0)))
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

// measureChecks keeps the readiness metrics current.
func (s *Server) measureChecks(ctx context.Context) error {
	h := s.Check(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for check, sentence := range h.Checks {
		ok := 0.0
		if sentence == "ok" {
			ok = 1
		}
		s.metrics.Checks.WithLabelValues(check).Set(ok)
	}
	return nil
}
