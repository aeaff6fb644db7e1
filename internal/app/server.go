package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/api"
	"github.com/sallyport-id/sallyport/consent"
	"github.com/sallyport-id/sallyport/consent/account"
	factorpages "github.com/sallyport-id/sallyport/consent/factor"
	"github.com/sallyport-id/sallyport/consent/login"
	"github.com/sallyport-id/sallyport/consent/setup"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/clienttest"
	"github.com/sallyport-id/sallyport/internal/device"
	"github.com/sallyport-id/sallyport/internal/limit"
	"github.com/sallyport-id/sallyport/internal/mail"
	"github.com/sallyport-id/sallyport/internal/redis"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/signin"
	"github.com/sallyport-id/sallyport/internal/tally"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/provider"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// Server is the running product without its listeners: tests put it on their own.
type Server struct {
	app      *App
	metrics  *metrics
	pages    *templates.Templates
	web      *web.Web
	sessions *session.Manager
	guard    *limit.Guard
	tally    *tally.Tally
	provider *provider.Provider
	outbox   *mail.Worker
	router   *web.Router
	admin    http.Handler
	redis    session.Redis // nil without REDIS_URL
	draining atomic.Bool
	// certificate is nil without TLS_CERT.
	certificate *certificate
	looked      looked
	tried       tried
	workers     []worker
}

// worker runs in the background until its context ends.
type worker struct {
	name string
	run  func(ctx context.Context)
}

// NewServer joins everything that answers requests. It loads the signing keys,
// which a new installation makes here, and reads the registry once.
func (a *App) NewServer(ctx context.Context) (*Server, error) {
	if err := a.Keys.Load(ctx); err != nil {
		return nil, err
	}
	if err := a.Store.IndexOrigins(ctx); err != nil {
		return nil, err
	}
	if err := a.Registry.Refresh(ctx); err != nil {
		return nil, err
	}
	s := &Server{app: a, metrics: newMetrics()}
	var err error
	if a.Config.TLSCert != "" {
		if s.certificate, err = loadCertificate(a.Config.TLSCert, a.Config.TLSKey, a.Log); err != nil {
			return nil, err
		}
	}
	if s.redis, err = session.OpenRedis(a.Config.RedisURL); err != nil {
		return nil, fmt.Errorf("REDIS_URL: %w", err)
	}
	if err := s.join(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := s.rebrand(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// join is the wiring: every package gets what it asked for, and siblings meet as
// interfaces here.
func (s *Server) join() error {
	if err := s.lay(); err != nil {
		return err
	}
	rt := s.web.NewRouter()
	if err := s.openDoors(rt); err != nil {
		return err
	}
	postman, err := s.app.newPostman(s.pages)
	if err != nil {
		return err
	}
	s.mountDevMail(rt, s.web, postman)
	rt.Handle("/static/{file}", s.pages.Static(), http.MethodGet)
	rt.Handle("/logos/{file}", s.web.HandleJSON(s.logo), http.MethodGet)
	s.mountHealth(rt, s.web)
	s.router = rt
	s.admin = s.adminHandler()
	s.staff(postman)
	return nil
}

// lay makes what all doors stand on.
func (s *Server) lay() error {
	a, cfg := s.app, s.app.Config
	var err error
	if s.pages, err = a.newPages(); err != nil {
		return err
	}
	s.web, err = web.New(web.Config{Issuer: cfg.Issuer, Templates: s.pages, Logger: a.Log, TrustedProxies: cfg.TrustedProxies,
		APIOrigins: cfg.CORSOrigins, AnyHost: []string{"/healthz", "/readyz",
			healthPath}, Unavailable: unavailable, Observe: s.metrics.observe, Now: a.now})
	if err != nil {
		return err
	}
	devices := device.New(a.keyring, cfg.secure(), a.now)
	var shared *redis.Client
	if s.redis != nil {
		shared = redis.New(s.redis, a.Log, a.now)
	}
	s.sessions, err = session.New(session.Config{Store: a.Store, Keys: a.keyring, Secure: cfg.secure(), Lifetime: cfg.SessionLifetime, Idle: cfg.SessionIdle,
		Protection: cfg.SessionProtection, PerUser: cfg.SessionsPerUser, HalfACR: identity.ACRPassword, Devices: devices, Address: web.ClientIP, RequestID: web.RequestID, Redis: shared, Sealer: a.Sealer, Now: a.now})
	if err != nil {
		return err
	}
	s.tally = tally.New(a.Store, a.Log, a.now)
	s.guard, err = limit.New(limit.Config{Store: a.Store, Keys: a.keyring,
		Devices: devices, Tally: s.tally, Redis: s.redis, Logger: a.Log, Now: a.now})
	return err
}

// openDoors makes what answers requests and adds it to the route table.
func (s *Server) openDoors(rt *web.Router) error {
	a, cfg := s.app, s.app.Config
	p := provider.New(provider.Config{Issuer: cfg.Issuer, Store: a.Store, Registry: a.Registry, Identity: a.Identity, Sessions: s.sessions,
		Keys: a.Keys, Secrets: a.keyring, Web: s.web, Failures: failures{s.guard}, Budgets: budgets{s.guard}, Counts: s.metrics,
		OutboundAllow: cfg.OutboundAllow, Now: a.now, Log: a.Log})
	sequence, err := signin.New(signin.Config{Store: a.Store, Registry: a.Registry, Sessions: s.sessions, Limits: s.guard, Identity: a.Identity,
		Factors: a.Factors, Annotate: web.Annotate, Now: a.now})
	if err != nil {
		return err
	}
	signIn, err := login.New(login.Config{Web: s.web, Store: a.Store, Sessions: s.sessions, SignIn: sequence, Identity: a.Identity, Factors: a.Factors, Journeys: p,
		Issuer: cfg.Issuer, PasswordMinLength: cfg.PasswordMinLength, Outbox: cfg.outboxPage()})
	if err != nil {
		return err
	}
	prove, err := factorpages.New(factorpages.Config{Web: s.web, Sessions: s.sessions, SignIn: sequence, Identity: a.Identity,
		Factors: a.Factors, Journeys: p})
	if err != nil {
		return err
	}
	agree, err := consent.New(consent.Config{Web: s.web, Store: a.Store, Registry: a.Registry, Sessions: s.sessions, Journeys: p})
	if err != nil {
		return err
	}
	json, err := api.New(api.Config{Web: s.web, Store: a.Store, Registry: a.Registry, Sessions: s.sessions, SignIn: sequence, Identity: a.Identity,
		Factors: a.Factors, Keys: a.keyring})
	if err != nil {
		return err
	}
	own, err := account.New(account.Config{Web: s.web, Store: a.Store, Registry: a.Registry, Sessions: s.sessions, SignIn: sequence, Identity: a.Identity,
		Factors: a.Factors, PasswordMinLength: cfg.PasswordMinLength, Now: a.now})
	if err != nil {
		return err
	}
	tester, err := clienttest.New(clienttest.Config{Store: a.Store, Registry: a.Registry, Identity: a.Identity, States: s.sessions.States,
		Server: http.HandlerFunc(s.inside), Issuer: cfg.Issuer, Now: a.now})
	if err != nil {
		return err
	}
	first, err := setup.New(setup.Config{Web: s.web, Store: a.Store, Registry: a.Registry, Sessions: s.sessions, SignIn: sequence, Identity: a.Identity,
		Factors: a.Factors, Tester: tester, Issuer: cfg.Issuer, Fixed: a.brand.fixed, Rebrand: s.rebrand,
		PasswordMinLength: cfg.PasswordMinLength, Production: cfg.Env == Production, Now: a.now})
	if err != nil {
		return err
	}
	p.SetSteps(login.Identify{}, factorpages.Prove{}, login.Choose{}, consent.Agree{})
	p.Mount(rt)
	signIn.Mount(rt)
	prove.Mount(rt)
	agree.Mount(rt)
	own.Mount(rt)
	first.Mount(rt)
	rt.Handle("/admin", s.web.Handle(first.RedirectWhileOpen), http.MethodGet)
	json.Mount(rt)
	s.provider = p
	return nil
}

// staff makes the background workers. What writes a message wakes the one that
// delivers it.
func (s *Server) staff(postman *mail.Postman) {
	a := s.app
	s.outbox = a.newMailWorker(postman, a.Identity.MessageHandlers(), s.metrics.delivered)
	a.wake, a.mailboxes = s.outbox.Wake, s.guard.TakeMailbox
	s.workers = []worker{
		{"registry", a.Registry.Run}, {"keys", a.Keys.Run}, {"logos", a.Logos.Run}, {"usage", s.provider.Run},
		{"limits", s.tally.Run}, {"outbox", s.outbox.Run},
		{"sweeper", (&storage.Sweeper{Store: a.Store, Log: a.Log, Swept: s.metrics.swept}).Run},
		{"notices", func(ctx context.Context) { a.Identity.RunNotices(ctx, a.Log) }},
		{"lapse", s.lapse}, {"unproven", s.endUnproven}, {"health", s.watch}, {"brand", s.followBrand},
		{"client tests", s.endClientTests},
	}
	if s.certificate != nil {
		s.workers = append(s.workers, worker{"certificate", s.followCertificate})
	}
}

// followCertificate has renewed TLS files served.
func (s *Server) followCertificate(ctx context.Context) {
	tick := time.NewTicker(certificatePoll)
	defer tick.Stop()
	s.certificate.follow(ctx, tick.C)
}

// lapse deletes accounts whose address nobody proved, once an hour.
func (s *Server) lapse(ctx context.Context) {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	rounds := storage.JobLog{Log: s.app.Log, Failed: "unproven accounts cannot be looked through"}
	for {
		if _, err := s.app.Identity.Lapse(ctx); ctx.Err() == nil {
			rounds.Ended(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// endUnproven ends the access of people whose address is not proven, where it must
// be: at the start, and every minute for as long as a node without that may run.
func (s *Server) endUnproven(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		if _, err := s.app.Identity.EndUnproven(ctx); err != nil && ctx.Err() == nil {
			s.app.Log.Error("the access of unproven people cannot be ended", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// failures says internal/limit's refusal in the terms of internal/web.
type failures struct{ guard *limit.Guard }

func (f failures) ClientFailure(ctx context.Context, clientID string) error {
	return tooMany(f.guard.ClientFailure(ctx, clientID))
}

func (f failures) ClientBlocked(clientID string) error {
	return tooMany(f.guard.ClientBlocked(clientID))
}

func tooMany(err error) error {
	if b, ok := errors.AsType[*limit.Blocked](err); ok {
		return &web.Error{Status: http.StatusTooManyRequests, RetryAfter: b.RetryAfter, Err: err}
	}
	return err
}

// budgets reads the device cookie for internal/limit, which takes values.
type budgets struct{ *limit.Guard }

func (b budgets) Flows(r *http.Request, person uuid.UUID, address netip.Addr) storage.FlowBudget {
	return b.Guard.Flows(person, limit.Source{Address: address, Device: b.Devices.Read(r)})
}

// unavailable tells which faults pass by themselves: 503 rather than 500.
func unavailable(err error) bool {
	return errors.Is(err, storage.ErrUnavailable) || errors.Is(err, secret.ErrBusy)
}

// Handler answers the public listener.
func (s *Server) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.router.ServeHTTP(w, r.WithContext(storage.WithRequestLimit(r.Context())))
	})
}

// Admin answers the admin listener: metrics, health, profiles.
func (s *Server) Admin() http.Handler { return s.admin }

// Routes are the templates of all public routes with their methods.
func (s *Server) Routes() map[string][]string { return s.router.Paths() }

// Run runs the background workers until ctx ends and returns when all have
// stopped. One that panics is logged and started again.
func (s *Server) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, w := range s.workers {
		all.Go(func() { s.keepRunning(ctx, w) })
	}
	all.Wait()
}

func (s *Server) keepRunning(ctx context.Context, w worker) {
	for ctx.Err() == nil {
		if !s.runOnce(ctx, w) {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// runOnce reports whether the worker panicked.
func (s *Server) runOnce(ctx context.Context, w worker) (panicked bool) {
	defer func() {
		if v := recover(); v != nil {
			panicked = true
			s.metrics.panics.WithLabelValues(w.name).Inc()
			s.app.Log.Error("a background worker panicked and is started again", "worker", w.name, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		}
	}()
	w.run(ctx)
	return false
}

// Close closes what NewServer opened; the App stays open.
func (s *Server) Close() error {
	if s.redis == nil {
		return nil
	}
	return s.redis.Close()
}

// outboxPage is where mails are shown that nobody sends; "" elsewhere.
func (c *Config) outboxPage() string {
	if c.Env != Development || c.Mail.Provider != "outbox" {
		return ""
	}
	return "/dev/mail"
}
