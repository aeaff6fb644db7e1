package web

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gorilla/mux"
)

// Router is the server's route table, with everything of [Web] around it.
type Router struct {
	web    *Web
	mux    *mux.Router
	routes map[string]*route
}

// NewRouter returns an empty Router.
func (web *Web) NewRouter() *Router {
	// SkipClean: a path that is not clean is not found (see isPlainPath) rather than redirected.
	m := mux.NewRouter().SkipClean(true).StrictSlash(false)
	m.NotFoundHandler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		web.refuse(w, r, &Error{Status: http.StatusNotFound})
	})
	return &Router{web: web, mux: m, routes: make(map[string]*route)}
}

// Handle answers methods at path with h. A path may have variables, "/clients/{id}", each of one segment; see [Var]. A
// path without variables goes before one with them. GET includes HEAD. Other methods get 405 with Allow. A method given twice for a path is a mistake of the wiring and
// panics.
func (rt *Router) Handle(path string, h http.Handler, methods ...string) {
	t, ok := rt.routes[path]
	if !ok {
		t = &route{web: rt.web, template: path, handlers: make(map[string]http.Handler)}
		rt.routes[path] = t
		if t.hasVars = strings.Contains(path, "{"); t.hasVars {
			rt.mux.Handle(path, t)
		}
	}
	for _, method := range methods {
		t.add(method, h)
		if method == http.MethodGet {
			t.add(http.MethodHead, h)
		}
	}
}

// Paths returns the template of each route with its methods, for tests that walk over every route.
func (rt *Router) Paths() map[string][]string {
	out := make(map[string][]string, len(rt.routes))
	for path, t := range rt.routes {
		out[path] = slices.Clone(t.methods)
	}
	return out
}

// ServeHTTP answers a request.
func (rt *Router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rt.web.serve(w, r, rt.find(r))
}

// find looks a path without variables up, which all protocol endpoints are: mux tries one regular expression a route.
func (rt *Router) find(r *http.Request) http.Handler {
	if t, ok := rt.routes[r.URL.Path]; ok && !t.hasVars {
		return t
	}
	if path, ok := strings.CutSuffix(r.URL.Path, "/"); ok && rt.hasReader(r, path) {
		return redirectTo(path)
	}
	return rt.mux
}

// hasReader reports whether the request only reads and a route would answer it at path. A POST is never redirected:
// clients of protocol endpoints would send its body, with a secret in it, a second time or not at all.
func (rt *Router) hasReader(r *http.Request, path string) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || path == "" || strings.HasSuffix(path, "/") {
		return false
	}
	t, ok := rt.routes[path]
	if !ok || t.hasVars {
		there := r.Clone(r.Context())
		there.URL.Path = path
		var m mux.RouteMatch
		if !rt.mux.Match(there, &m) || m.MatchErr != nil {
			return false
		}
		t, ok = m.Handler.(*route)
	}
	return ok && t.handlers[r.Method] != nil
}

// redirectTo leads to a path of this server, with the query that came.
func redirectTo(path string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		target := url.URL{Path: path, RawQuery: r.URL.RawQuery}
		w.Header().Set("Location", target.String())
		w.WriteHeader(http.StatusPermanentRedirect)
	})
}

// Var returns a variable of the route's path.
func Var(r *http.Request, name string) string { return mux.Vars(r)[name] }

// route is one path with its methods. The method is found here and not by mux, which forgets what methods a path has by
// the time it could say so in Allow.
type route struct {
	web      *Web
	template string
	hasVars  bool
	handlers map[string]http.Handler
	methods  []string
	allow    string
}

func (t *route) add(method string, h http.Handler) {
	if t.handlers[method] != nil {
		panic("web: " + method + " " + t.template + " is routed twice")
	}
	t.handlers[method] = h
	t.methods = append(t.methods, method)
	slices.Sort(t.methods)
	t.allow = strings.Join(t.methods, ", ")
}

func (t *route) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if x := exchangeOf(r.Context()); x != nil {
		x.route = t.template
	}
	h, ok := t.handlers[r.Method]
	if !ok {
		w.Header().Set("Allow", t.allow)
		t.web.refuse(w, r, &Error{Status: http.StatusMethodNotAllowed})
		return
	}
	h.ServeHTTP(w, r)
}
