package app

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"sync/atomic"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/api"
	"github.com/sallyport-id/sallyport/consent"
	"github.com/sallyport-id/sallyport/consent/account"
	factorpages "github.com/sallyport-id/sallyport/consent/factor"
	"github.com/sallyport-id/sallyport/consent/login"
	"github.com/sallyport-id/sallyport/consent/setup"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/internal/clienttest"
	"github.com/sallyport-id/sallyport/internal/jobs"
	"github.com/sallyport-id/sallyport/internal/limit"
	"github.com/sallyport-id/sallyport/internal/mail"
	"github.com/sallyport-id/sallyport/internal/metrics"
	"github.com/sallyport-id/sallyport/internal/outbox"
	"github.com/sallyport-id/sallyport/internal/page"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/signin"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/provider"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// Server is the running product without its listeners: tests put it on their own.
type Server struct {
	app      *App
	metrics  *metrics.Metrics
	pages    *templates.Templates
	web      *web.Web
	sessions *session.Manager
	provider *provider.Provider
	outbox   *outbox.Worker
	router   *web.Router
	admin    http.Handler
	draining atomic.Bool
	// certificate is nil without TLS_CERT.
	certificate *certificate
	cached      cachedHealth
	written     writeCheck
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
	if err := a.Identity.Connections.Configure(ctx, identity.Operator(), a.Config.Connections); err != nil {
		return nil, err
	}
	if err := a.Registry.Refresh(ctx); err != nil {
		return nil, err
	}
	s := &Server{app: a, metrics: metrics.New()}
	var err error
	if a.Config.TLSCert != "" {
		if s.certificate, err = loadCertificate(a.Config.TLSCert, a.Config.TLSKey, a.Log); err != nil {
			return nil, err
		}
	}
	if err := s.wire(); err != nil {
		return nil, err
	}
	return s, s.rebrand(ctx)
}

// wire makes every package with what it asked for. Siblings meet as interfaces here.
func (s *Server) wire() error {
	if err := s.newCore(); err != nil {
		return err
	}
	rt := s.web.NewRouter()
	if err := s.newHandlers(rt); err != nil {
		return err
	}
	mails, err := s.app.newDeliverer(s.pages)
	if err != nil {
		return err
	}
	s.mountDevMail(rt, s.web, mails)
	rt.Handle("/static/{file}", s.pages.Static(), http.MethodGet)
	rt.Handle("/logos/{file}", s.web.HandleJSON(s.logo), http.MethodGet)
	s.mountHealth(rt, s.web)
	s.router = rt
	s.admin = s.adminHandler()
	s.newOutbox(mails)
	return nil
}

// newCore makes what every handler needs: pages, web and sessions.
func (s *Server) newCore() error {
	a, cfg := s.app, s.app.Config
	var err error
	if s.pages, err = a.newPages(); err != nil {
		return err
	}
	s.web, err = web.New(web.Config{Issuer: cfg.Issuer, Templates: s.pages, Logger: a.Log, TrustedProxies: cfg.TrustedProxies,
		APIOrigins: cfg.CORSOrigins, AnyHost: []string{"/healthz", "/readyz", healthPath},
		Unavailable: unavailable, Observe: s.metrics.ObserveRequest, Now: a.now})
	if err != nil {
		return err
	}
	s.sessions, err = session.New(session.Config{Store: a.Store, Keys: a.keyring, Secure: cfg.secure(),
		Lifetime: cfg.SessionLifetime, Idle: cfg.SessionIdle, Protection: cfg.SessionProtection, PerUser: cfg.SessionsPerUser,
		HalfACR: assurance.ACRPassword, Devices: a.devices, Address: web.ClientIP, RequestID: web.RequestID,
		Redis: a.Redis, Sealer: a.Sealer, Now: a.now})
	return err
}

// newHandlers makes what answers requests and adds it to the route table.
func (s *Server) newHandlers(rt *web.Router) error {
	a, cfg := s.app, s.app.Config
	p := provider.New(provider.Config{Issuer: cfg.Issuer, Store: a.Store, Registry: a.Registry, Identity: a.Identity, Sessions: s.sessions,
		Keys: a.Keys, Secrets: a.keyring, Web: s.web, Failures: failures{a.Limits}, Budgets: budgets{a.Limits}, Counts: s.metrics,
		NextStep: consent.NextStep, OutboundAllow: cfg.OutboundAllow, Now: a.now, Log: a.Log})
	sequence, err := signin.New(signin.Config{Store: a.Store, Registry: a.Registry, Sessions: s.sessions,
		Limits: a.Limits, Identity: a.Identity,
		Factors: a.Factors, Annotate: web.Annotate, Now: a.now})
	if err != nil {
		return err
	}
	json, err := api.New(api.Config{Web: s.web, Store: a.Store, Registry: a.Registry, Sessions: s.sessions,
		SignIn: sequence, Identity: a.Identity,
		Factors: a.Factors, Keys: a.keyring})
	if err != nil {
		return err
	}
	tester, err := clienttest.New(clienttest.Config{Store: a.Store, Registry: a.Registry, Identity: a.Identity, States: s.sessions.States,
		Server: http.HandlerFunc(s.internalHandler), Issuer: cfg.Issuer, Now: a.now})
	if err != nil {
		return err
	}
	pages := &page.Deps{Web: s.web, Store: a.Store, Registry: a.Registry, Sessions: s.sessions, SignIn: sequence, Identity: a.Identity,
		Factors: a.Factors, LoadFlow: p.LoadFlow, Issuer: cfg.Issuer, PasswordMinLength: cfg.PasswordMinLength, Now: a.now}
	signIn := login.New(pages, login.Config{Upstream: a.Upstream, Limits: a.Limits, OutboxURL: cfg.outboxPage()})
	first := setup.New(pages, setup.Config{Tester: tester, Fixed: a.brand.fixed, Rebrand: s.rebrand, Production: cfg.Env == Production})
	p.Mount(rt)
	signIn.Mount(rt)
	factorpages.Pages{Deps: pages}.Mount(rt)
	consent.Pages{Deps: pages}.Mount(rt)
	account.New(pages).Mount(rt)
	first.Mount(rt)
	rt.Handle("/admin", s.web.Handle(first.RedirectWhileOpen), http.MethodGet)
	json.Mount(rt)
	signIn.MountUpstream(rt)
	s.provider = p
	return nil
}

// newOutbox makes the worker of the outbox. What writes a message wakes it.
func (s *Server) newOutbox(mails *mail.Deliverer) {
	a := s.app
	handlers := a.Identity.MessageHandlers()
	handlers[mail.Kind] = mails.Handler()
	s.outbox = outbox.NewWorker(outbox.Config{Store: a.Store, Handlers: handlers, Wakeup: a.wakeup, Observe: s.metrics.MessageTried,
		Log: a.Log, Now: a.now})
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

func (b budgets) FlowBudget(r *http.Request, person uuid.UUID, address netip.Addr) storage.FlowBudget {
	return b.Guard.FlowBudget(person, limit.Source{Address: address, Device: b.Devices.Read(r)})
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

// Run runs the background jobs until ctx ends and returns when all have stopped.
func (s *Server) Run(ctx context.Context) {
	jobs.Run(ctx, jobs.Config{Store: s.app.Store, Log: s.app.Log, Ran: s.metrics.JobRan}, s.jobs())
}

// outboxPage is where mails are shown that nobody sends; "" elsewhere.
func (c *Config) outboxPage() string {
	if c.Env != Development || c.Mail.Provider != "outbox" {
		return ""
	}
	return "/dev/mail"
}
