// Package samplerp is the relying party that `sallyport demo` shows: a small
// web application that signs people in by OpenID Connect and shows what it
// received. It imports nothing of the product. Developers of an application can
// read it as an example: authorization code flow with PKCE (RFC 7636), state,
// nonce and iss checked (RFC 9207), tokens kept on the server.
package samplerp

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// Config is what an application knows about its provider.
type Config struct {
	Issuer       string
	ClientID     string
	ClientSecret string   // empty: a public client
	BaseURL      string   // scheme://host[:port] of this application
	Scopes       []string // default: everything the sample client may ask for
	People       []Person // shown to newcomers, so that they can sign in
	HTTPClient   *http.Client
	Logger       *slog.Logger
	Now          func() time.Time
}

// Person is somebody to sign in as.
type Person struct {
	Email, Password, Who string
}

// RP is the application. Its sessions live in memory and end with it.
type RP struct {
	cfg      Config
	sessions *sessions

	mu         sync.Mutex
	discovered *upstream
}

// upstream is the provider as its metadata describes it.
type upstream struct {
	provider *oidc.Provider
	verifier *oidc.IDTokenVerifier
	oauth    *oauth2.Config
	meta     metadata
}

// metadata is what go-oidc does not read itself (OpenID Connect Discovery 3,
// RFC 8414 section 2, RFC 9207 section 3).
type metadata struct {
	RevocationEndpoint string `json:"revocation_endpoint"`
	EndSessionEndpoint string `json:"end_session_endpoint"`
	IssInResponse      bool   `json:"authorization_response_iss_parameter_supported"`
}

// New returns the application. It asks the provider nothing yet, so that both
// can be started in any order. The client it signs in as needs the redirect URI
// BaseURL/callback and the post-logout redirect URI BaseURL/.
func New(cfg Config) *RP {
	if len(cfg.Scopes) == 0 {
		cfg.Scopes = []string{"openid", "profile", "email", "org", "orgs", "roles", "offline_access"}
	}
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = &http.Client{Timeout: 10 * time.Second}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.BaseURL = strings.TrimSuffix(cfg.BaseURL, "/")
	return &RP{cfg: cfg, sessions: newSessions(cfg.Now)}
}

// Handler serves the application.
func (rp *RP) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", rp.page(rp.home))
	mux.Handle("GET /login", rp.page(rp.login))
	mux.Handle("GET /switch", rp.page(rp.switchOrganization))
	mux.Handle("GET /step-up", rp.page(rp.stepUp))
	mux.Handle("GET /callback", rp.page(rp.callback))
	mux.Handle("POST /refresh", rp.page(rp.checked(rp.refresh)))
	mux.Handle("POST /revoke", rp.page(rp.checked(rp.revoke)))
	mux.Handle("POST /logout", rp.page(rp.checked(rp.logout)))
	mux.Handle("GET /static/", staticFiles())
	mux.Handle("/", rp.page(func(http.ResponseWriter, *http.Request) error {
		return &problem{status: http.StatusNotFound, Title: "There is no such page", Sentence: "This sample app has one page, and it is not this one."}
	}))
	return rp.secured(mux)
}

// secured sets what every answer carries. A form may lead to the provider,
// because signing out is a form here and a page there. A request for another
// host than BaseURL's is led there and answered nothing else: a page whose name
// resolves to this machine (DNS rebinding) could read the answer.
func (rp *RP) secured(next http.Handler) http.Handler {
	policy := "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self' " + origin(rp.cfg.Issuer)
	host := strings.TrimPrefix(origin(rp.cfg.BaseURL), "http://")
	host = strings.TrimPrefix(host, "https://")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		if !strings.EqualFold(r.Host, host) {
			http.Redirect(w, r, rp.cfg.BaseURL+"/", http.StatusSeeOther)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// upstream discovers the provider at first need and keeps what it learned; a
// failure is tried again at the next request.
func (rp *RP) upstream(ctx context.Context) (*upstream, error) {
	rp.mu.Lock()
	defer rp.mu.Unlock()
	if rp.discovered != nil {
		return rp.discovered, nil
	}
	// The provider keeps this context to fetch keys later, so it must not end
	// with the request; the client's own time limit bounds it.
	provider, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), rp.cfg.HTTPClient), rp.cfg.Issuer)
	if err != nil {
		return nil, &problem{
			status:   http.StatusBadGateway,
			Title:    "The provider does not answer",
			Sentence: "This app asked " + rp.cfg.Issuer + " how to sign people in and got no usable answer. Is Sallyport running there? Nothing is lost; try again when it is.",
			Detail:   err.Error(),
			Retry:    "/login",
			cause:    err,
		}
	}
	up := &upstream{
		provider: provider,
		verifier: provider.Verifier(&oidc.Config{ClientID: rp.cfg.ClientID, Now: rp.cfg.Now}),
	}
	if err := provider.Claims(&up.meta); err != nil {
		return nil, err
	}
	endpoint := provider.Endpoint()
	endpoint.AuthStyle = oauth2.AuthStyleInHeader
	if rp.cfg.ClientSecret == "" {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	up.oauth = &oauth2.Config{
		ClientID:     rp.cfg.ClientID,
		ClientSecret: rp.cfg.ClientSecret,
		Endpoint:     endpoint,
		RedirectURL:  rp.cfg.BaseURL + "/callback",
		Scopes:       rp.cfg.Scopes,
	}
	rp.discovered = up
	return up, nil
}

// withClient is the context in which the libraries use our HTTP client.
func (rp *RP) withClient(ctx context.Context) context.Context {
	return oidc.ClientContext(ctx, rp.cfg.HTTPClient)
}

// page turns an error-returning handler into one that shows errors.
func (rp *RP) page(h func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		err := h(w, r)
		if err == nil {
			return
		}
		var p *problem
		if !errors.As(err, &p) {
			p = &problem{status: http.StatusInternalServerError, Title: "Something broke in this app", Sentence: "That is its own fault, not yours and not the provider's. Try again.", Retry: "/", cause: err}
		}
		rp.cfg.Logger.Warn("sample app", "path", r.URL.Path, "problem", p.Title, "code", p.Code, "error", p.cause)
		rp.show(w, p.status, page{Title: p.Title, Problem: p})
	})
}

// problem is an error as a person is told it.
type problem struct {
	status   int
	Title    string
	Sentence string
	Code     string // the provider's error, RFC 6749 section 4.1.2.1 or 5.2
	Detail   string // the provider's own words
	Retry    string // where the button leads
	cause    error  // for the log
}

func (p *problem) Error() string { return p.Title }

func (p *problem) Unwrap() error { return p.cause }
