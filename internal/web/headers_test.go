package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Nothing else of the policy goes with form-action, and asking for it twice changes no more.
func TestPagesThatLeadToAnAppHaveNoFormAction(t *testing.T) {
	w := httptest.NewRecorder()
	w.Header()[csp] = securityHeaders(true)[csp]
	before := w.Header().Get(csp)
	for range 2 {
		OmitFormAction(w)
		if got, want := w.Header().Get(csp), strings.Replace(before, "form-action 'self'; ", "", 1); got != want || got == before {
			t.Errorf("the policy is %q, want %q", got, want)
		}
	}
	if now := securityHeaders(true)[csp][0]; now != before {
		t.Errorf("other pages' policy changed to %q", now)
	}
}

func TestPopupsKeepTheirOpener(t *testing.T) {
	tw := newWeb(t)
	rt := tw.NewRouter()
	rt.Handle("/login", Popup(tw.Handle(func(http.ResponseWriter, *http.Request) error { return &Error{Status: 400} })), "GET")
	if got := do(rt, request("GET", "/login")).Header().Values("Cross-Origin-Opener-Policy"); len(got) != 0 {
		t.Errorf("Cross-Origin-Opener-Policy = %q on an error page in the journey", got)
	}
}

func TestAnyOriginIsWithoutCredentials(t *testing.T) {
	tw := newWeb(t)
	rt := tw.NewRouter()
	rt.Handle("/jwks", AnyOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("{}")) })), "GET", "OPTIONS")
	w := do(rt, request("GET", "/jwks", "Origin", "https://evil.example"))
	if got := w.Header().Get("Access-Control-Allow-Origin"); got != "*" || w.Header().Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("GET: Access-Control-Allow-Origin %q, credentials %q", got, w.Header().Get("Access-Control-Allow-Credentials"))
	}
	w = do(rt, request("OPTIONS", "/jwks", "Origin", "https://evil.example", "Access-Control-Request-Method", "GET",
		"Access-Control-Request-Headers", "x-anything"))
	if w.Code != 204 || w.Header().Get("Access-Control-Allow-Origin") != "*" || w.Header().Get("Access-Control-Allow-Headers") != "x-anything" {
		t.Errorf("preflight: %d %v", w.Code, w.Header())
	}
	if w := do(rt, request("OPTIONS", "/jwks")); w.Code != 204 || w.Body.Len() != 0 {
		t.Errorf("OPTIONS without a preflight: %d %s", w.Code, w.Body)
	}
}

// A preflight passes for any client's origin; the answer only for the origin of the client that the request is of.
func TestClientOrigins(t *testing.T) {
	tw := newWeb(t)
	rt := tw.NewRouter()
	known := func(_ *http.Request, origin string) bool { return strings.HasSuffix(origin, ".app.example") }
	rt.Handle("/token", ClientOrigins(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		AllowOrigin(w, r, func(origin string) bool { return origin == "https://one.app.example" })
		w.Write([]byte("token"))
	}), known, "POST"), "POST", "OPTIONS")

	for origin, want := range map[string]bool{
		"https://one.app.example": true, "https://two.app.example": true, "https://evil.example": false, "null": false,
	} {
		w := do(rt, request("OPTIONS", "/token", "Origin", origin, "Access-Control-Request-Method", "POST",
			"Access-Control-Request-Headers", "authorization"))
		if got := w.Header().Get("Access-Control-Allow-Origin") == origin; got != want || strings.Contains(w.Body.String(), "token") {
			t.Errorf("preflight from %s: %v, want %v", origin, w.Header(), want)
		}
		if w.Header().Get("Access-Control-Allow-Credentials") != "" {
			t.Error("preflight allows credentials")
		}
		w = do(rt, request("POST", "/token", "Origin", origin))
		if got := w.Header().Get("Access-Control-Allow-Origin"); (got != "") != (origin == "https://one.app.example") {
			t.Errorf("answer to %s: Access-Control-Allow-Origin %q", origin, got)
		}
		if got := w.Header().Get("Vary"); got != "Origin" {
			t.Errorf("Vary = %q, want Origin: a cache would mix clients up", got)
		}
	}
	w := do(rt, request("OPTIONS", "/token", "Origin", "https://one.app.example", "Access-Control-Request-Method", "DELETE"))
	if got := w.Header().Get("Access-Control-Allow-Origin"); got != "" {
		t.Errorf("preflight for DELETE passes for %q", got)
	}
}
