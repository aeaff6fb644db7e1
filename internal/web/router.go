package web

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gorilla/mux"
)

// Router is the server's route table, with everything of [Web] around it. Of two paths that a request fits, the one that
// was added first answers. The table is read from its beginning, so what is asked for most is added first.
type Router struct {
	web *Web
	mux *mux.Router
}

// NewRouter returns an empty Router.
func (web *Web) NewRouter() *Router { return &Router{web, mux.NewRouter()} }

// Handle answers methods at path with h. A path may have variables, "/clients/{id}", each of one segment; see [Var]. GET
// includes HEAD. Other methods get 405 with Allow. A method given twice for a path is a mistake of the wiring and panics,
// and so is a path that one added before would answer.
func (rt *Router) Handle(path string, h http.Handler, methods ...string) {
	var t *route
	if known := rt.mux.Get(path); known != nil {
		t = known.GetHandler().(*route)
	} else {
		if before := rt.match(&http.Request{URL: &url.URL{Path: path}}, &mux.RouteMatch{}); before != nil {
			panic("web: " + path + " is never reached, because of " + before.template)
		}
		t = &route{web: rt.web, template: path, handlers: make(map[string]http.Handler)}
		rt.mux.Handle(path, t).Name(path)
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
	out := make(map[string][]string)
	// The only errors of Walk are those of the function.
	_ = rt.mux.Walk(func(r *mux.Route, _ *mux.Router, _ []*mux.Route) error {
		out[r.GetName()] = slices.Clone(r.GetHandler().(*route).methods)
		return nil
	})
	return out
}

// ServeHTTP answers a request.
func (rt *Router) ServeHTTP(w http.ResponseWriter, r *http.Request) { rt.web.serve(w, r, rt.dispatch) }

// dispatch calls the handler of the request's path. mux only matches: its own ServeHTTP would clean paths, which is how
// checks in front are gone around (see isPlainPath), and copy each request twice to carry the variables.
func (rt *Router) dispatch(x *exchange, r *http.Request) {
	if t := rt.match(r, &x.match); t != nil {
		t.ServeHTTP(x, r)
		return
	}
	if path, ok := strings.CutSuffix(r.URL.Path, "/"); ok && rt.hasReader(r, path) {
		target := url.URL{Path: path, RawQuery: r.URL.RawQuery}
		x.Header().Set("Location", target.String())
		x.WriteHeader(http.StatusPermanentRedirect)
		return
	}
	rt.web.refuse(x, r, &Error{Status: http.StatusNotFound})
}

// match returns the route of the request's path, nil if there is none, and leaves the path's variables in m.
func (rt *Router) match(r *http.Request, m *mux.RouteMatch) *route {
	if !rt.mux.Match(r, m) {
		return nil
	}
	return m.Handler.(*route)
}

// hasReader reports whether the request only reads and a route would answer it at path. A POST is never redirected:
// clients of protocol endpoints would send its body, with a secret in it, a second time or not at all.
func (rt *Router) hasReader(r *http.Request, path string) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	t := rt.match(&http.Request{Method: r.Method, URL: &url.URL{Path: path}}, &mux.RouteMatch{})
	return t != nil && t.handlers[r.Method] != nil
}

// Var returns a variable of the route's path.
func Var(r *http.Request, name string) string {
	if x := exchangeOf(r.Context()); x != nil {
		return x.match.Vars[name]
	}
	return ""
}

// route is one path with its methods. The method is found here and not by mux, which forgets what methods a path has by
// the time it could say so in Allow.
type route struct {
	web      *Web
	template string
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

// ServeHTTP answers a request for the route's path.
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
