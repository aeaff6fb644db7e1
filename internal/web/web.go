package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sallyport-id/sallyport/templates"
)

// Handler answers a request or says why not. It must not write anything before it returns an error.
type Handler func(http.ResponseWriter, *http.Request) error

// Config is what a Web needs.
type Config struct {
	Issuer    string // scheme://host[:port]; requests for another host are refused with 421
	Templates *templates.Templates
	Logger    *slog.Logger
	// TrustedProxies are the peers whose X-Forwarded-For, -Proto, -Host and X-Request-ID are believed.
	TrustedProxies []netip.Prefix
	// APIOrigins are those whose pages may call the JSON API with tokens.
	APIOrigins []string
	// AnyHost lists paths that are answered whatever the Host: health checks come by address.
	AnyHost []string
	// Unavailable says whether an error means that something the server needs is down or busy for the moment, so that
	// the answer is 503 with Retry-After. A deadline that passed always does. May be nil.
	Unavailable func(error) bool
	// Observe is told about each answered request, for metrics: the route's template ("unmatched" if none), never a
	// path, and a method of a bounded set. May be nil.
	Observe func(route, method string, status int, took time.Duration)
	Now     func() time.Time // for durations in log and metrics; time.Now if nil
}

// Web turns errors into responses, in the one place where that is done. It is safe for use by several goroutines.
type Web struct {
	templates   *templates.Templates
	log         *slog.Logger
	trusted     []netip.Prefix
	issuer      string
	host        string // of the issuer, lower case, without a default port
	defaultPort string // ":443" or ":80", which a Host may carry
	anyHost     map[string]bool
	apiOrigins  []string
	headers     http.Header // of every response; the values are shared and must not be changed
	crossOrigin *http.CrossOriginProtection
	unavailable func(error) bool
	observe     func(route, method string, status int, took time.Duration)
	now         func() time.Time
	// untrusted is the network of the first untrusted peer that wrote of a client behind it; nil until one does.
	untrusted atomic.Pointer[netip.Prefix]
}

// New returns a Web for c. It fails if the issuer is not scheme://host[:port].
func New(c Config) (*Web, error) {
	u, err := url.Parse(c.Issuer)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.Scheme+"://"+u.Host != c.Issuer {
		return nil, fmt.Errorf("web: issuer %q is not scheme://host[:port]", c.Issuer)
	}
	if c.Templates == nil || c.Logger == nil {
		return nil, errors.New("web: templates and logger are needed")
	}
	w := &Web{
		templates:   c.Templates,
		log:         c.Logger,
		issuer:      c.Issuer,
		defaultPort: map[string]string{"https": ":443", "http": ":80"}[u.Scheme],
		anyHost:     make(map[string]bool, len(c.AnyHost)),
		apiOrigins:  c.APIOrigins,
		headers:     securityHeaders(u.Scheme == "https"),
		crossOrigin: http.NewCrossOriginProtection(),
		unavailable: c.Unavailable,
		observe:     c.Observe,
		now:         c.Now,
	}
	w.host = strings.TrimSuffix(strings.ToLower(u.Host), w.defaultPort)
	for _, path := range c.AnyHost {
		w.anyHost[path] = true
	}
	for _, p := range c.TrustedProxies {
		w.trusted = append(w.trusted, unmapPrefix(p))
	}
	if w.now == nil {
		w.now = time.Now
	}
	return w, nil
}

// Handle makes h an http.Handler whose errors are pages, rendered at the URL that failed.
func (web *Web) Handle(h Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			web.fail(w, r, err, web.errorPage)
		}
	})
}

// HandleJSON makes h an http.Handler whose errors are JSON in the form of RFC 6749 section 5.2:
// {"error":"code","error_description":"message"}.
func (web *Web) HandleJSON(h Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			web.fail(w, r, err, web.errorJSON)
		}
	})
}

// Page renders page and answers with it. Nothing is written if that fails.
func (web *Web) Page(w http.ResponseWriter, status int, page templates.Page) error {
	html, err := web.templates.Render(page)
	if err != nil {
		return err
	}
	return write(w, status, "text/html; charset=utf-8", html)
}

// JSON answers with v. Nothing is written if v cannot be encoded.
func JSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("web: encode answer: %w", err)
	}
	return write(w, status, "application/json", body)
}

// write cannot fail for the handler: when the connection is gone, nobody is left to tell.
func write(w http.ResponseWriter, status int, contentType string, body []byte) error {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	w.Write(body)
	return nil
}

// SameOrigin refuses requests to h that another site made a browser send (Sec-Fetch-Site, Origin): the outer of the two
// defences against forged requests, in front of each form's own field. It is for routes that act on a browser's cookie,
// and must not stand before those that other sites post to on purpose (authorize, token) or machines call.
//
// A browser too old for Sec-Fetch-Site says "Origin: null" even for our own forms, because of our Referrer-Policy; that
// says nothing either way, and the form's field decides.
func (web *Web) SameOrigin(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		silent := r.Header.Get("Sec-Fetch-Site") == "" && r.Header.Get("Origin") == "null"
		if err := web.crossOrigin.Check(r); err != nil && !silent {
			web.fail(w, r, &Error{Status: http.StatusForbidden, Code: "csrf", Err: err}, web.errorPage)
			return
		}
		h.ServeHTTP(w, r)
	})
}
