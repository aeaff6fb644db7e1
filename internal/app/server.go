package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport-id/sallyport/consent"
	"github.com/sallyport-id/sallyport/consent/login"
	"github.com/sallyport-id/sallyport/internal/limit"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/provider"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// Server is the running product without its listeners: tests put it on their own.
type Server struct {
	app      *App
	metrics  *metrics
	router   *web.Router
	admin    http.Handler
	redis    session.Redis // nil without REDIS_URL
	draining atomic.Bool
	workers  []worker
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
	if err := a.Registry.Refresh(ctx); err != nil {
		return nil, err
	}
	s := &Server{app: a, metrics: newMetrics()}
	var err error
	if s.redis, err = session.OpenRedis(a.Config.RedisURL); err != nil {
		return nil, fmt.Errorf("REDIS_URL: %w", err)
	}
	if err := s.join(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// join is the wiring: every package gets what it asked for, and siblings meet as
// interfaces here.
func (s *Server) join() error {
	a, cfg := s.app, s.app.Config
	brand, err := cfg.brand()
	if err != nil {
		return err
	}
	pages, err := templates.New(brand)
	if err != nil {
		return err
	}
	w, err := web.New(web.Config{Issuer: cfg.Issuer, Templates: pages, Logger: a.Log, TrustedProxies: cfg.TrustedProxies,
		AnyHost: []string{"/healthz", "/readyz"}, Unavailable: unavailable, Observe: s.metrics.observe, Now: a.now})
	if err != nil {
		return err
	}
	secure := cfg.secure()
	sessions, err := session.New(session.Config{Store: a.Store, Keys: a.keyring, Secure: secure, Lifetime: cfg.SessionLifetime, Idle: cfg.SessionIdle,
		Protection: cfg.SessionProtection, Address: web.ClientIP, RequestID: web.RequestID, Redis: s.redis, Logger: a.Log, Now: a.now})
	if err != nil {
		return err
	}
	guard, err := limit.New(limit.Config{Store: a.Store, Keys: a.keyring, Secure: secure, Redis: s.redis, Logger: a.Log, Now: a.now})
	if err != nil {
		return err
	}
	p, err := provider.New(provider.Config{Issuer: cfg.Issuer, Store: a.Store, Registry: a.Registry, Identity: a.Identity, Sessions: sessions,
		Keys: a.Keys, Secrets: a.keyring, Web: w, Failures: failures{guard}, OutboundAllow: cfg.OutboundAllow, Now: a.now, Log: a.Log})
	if err != nil {
		return err
	}
	signIn, err := login.New(login.Config{Web: w, Store: a.Store, Sessions: sessions, Limits: guard, Passwords: a.passwords, Journeys: p,
		Issuer: cfg.Issuer, Development: cfg.Env == Development})
	if err != nil {
		return err
	}
	agree, err := consent.New(consent.Config{Web: w, Store: a.Store, Registry: a.Registry, Sessions: sessions, Journeys: p})
	if err != nil {
		return err
	}
	p.SetSteps(login.Identify{}, login.Choose{}, consent.Agree{})
	rt := w.NewRouter()
	p.Mount(rt)
	signIn.Mount(rt)
	agree.Mount(rt)
	rt.Handle("/static/{file}", pages.Static(), http.MethodGet)
	s.mountHealth(rt, w)
	s.router = rt
	s.admin = s.adminHandler()
	s.workers = []worker{
		{"registry", a.Registry.Run}, {"keys", a.Keys.Run}, {"usage", p.Run}, {"limits", guard.Run},
		{"sweeper", (&storage.Sweeper{Store: a.Store, Log: a.Log, Swept: s.metrics.swept}).Run},
		{"health", s.watch},
	}
	return nil
}

// failures says internal/limit's refusal in the terms of internal/web.
type failures struct{ guard *limit.Guard }

func (f failures) ClientFailure(ctx context.Context, clientID string) error {
	err := f.guard.ClientFailure(ctx, clientID)
	if b, ok := errors.AsType[*limit.Blocked](err); ok {
		return &web.Error{Status: http.StatusTooManyRequests, RetryAfter: b.RetryAfter, Err: err}
	}
	return err
}

// unavailable tells which faults pass by themselves: 503 rather than 500.
func unavailable(err error) bool {
	return errors.Is(err, storage.ErrUnavailable) || errors.Is(err, secret.ErrBusy)
}

// Handler answers the public listener.
func (s *Server) Handler() http.Handler { return s.router }

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

// brand is how pages look.
func (c *Config) brand() (templates.Brand, error) {
	b := templates.Brand{Name: c.BrandName, Color: c.BrandColor, SupportEmail: c.SupportEmail}
	if c.BrandLogo == "" {
		return b, nil
	}
	logo, err := os.ReadFile(c.BrandLogo)
	if err != nil {
		return b, fmt.Errorf("BRAND_LOGO: %w", err)
	}
	b.Logo, err = dataURL(logo)
	if err != nil {
		return b, fmt.Errorf("BRAND_LOGO %s: %w", c.BrandLogo, err)
	}
	return b, nil
}
