package web

import (
	"net/http"
	"strings"

	"github.com/rs/cors"
)

// preflightSeconds is how long a browser may remember a preflight.
const preflightSeconds = 600

// AnyOrigin lets pages of any origin read h: for what is public and the same for everybody, such as discovery. Route it
// with GET and OPTIONS.
func AnyOrigin(h http.Handler) http.Handler {
	c := cors.New(cors.Options{
		AllowedOrigins: []string{"*"},
		AllowedMethods: []string{http.MethodGet, http.MethodHead},
		AllowedHeaders: []string{"*"},
		MaxAge:         preflightSeconds,
	})
	return answerOptions(c, c.Handler(h))
}

// ClientOrigins answers preflights for h, for origins that allowed knows as some client's. Pages of those origins may
// read errors too: the developer of a page needs the cause of a refusal, which often comes before the client is known. A
// successful answer is not let through by that: only h knows whose request it is, and says so with [AllowOrigin]. Cookies
// are never let along. Route it with OPTIONS beside the methods of h, which are given here again for the preflight.
func ClientOrigins(h http.Handler, allowed func(r *http.Request, origin string) bool, methods ...string) http.Handler {
	c := cors.New(cors.Options{
		AllowOriginVaryRequestFunc: func(r *http.Request, origin string) (bool, []string) { return allowed(r, origin), nil },
		AllowedMethods:             methods,
		AllowedHeaders:             []string{"Authorization", "Content-Type"},
		MaxAge:                     preflightSeconds,
	})
	return answerOptions(c, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Origin")
		if x := exchangeOf(r.Context()); x != nil && r.Header.Get("Origin") != "" {
			x.beforeError = func() { AllowOrigin(w, r, func(origin string) bool { return allowed(r, origin) }) }
		}
		h.ServeHTTP(w, r)
	}))
}

// answerOptions keeps OPTIONS away from h, also one that is no preflight.
func answerOptions(c *cors.Cors, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodOptions {
			h.ServeHTTP(w, r)
			return
		}
		if r.Header.Get("Access-Control-Request-Method") != "" {
			c.HandlerFunc(w, r)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

// AllowOrigin lets the page that sent r read the response, if its origin is the client's own. Call it, before anything
// is written, once the client is known.
func AllowOrigin(w http.ResponseWriter, r *http.Request, own func(origin string) bool) {
	origin := r.Header.Get("Origin")
	if origin == "" || !own(origin) {
		return
	}
	w.Header().Set("Access-Control-Allow-Origin", origin)
	w.Header().Set("Access-Control-Expose-Headers", strings.Join(exposed(), ", "))
}
