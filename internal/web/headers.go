package web

import (
	"net/http"
	"strings"
)

const (
	csp        = "Content-Security-Policy"
	formAction = "form-action 'self'"
)

// securityHeaders are sent with every response, whatever it is. A handler that serves public bytes sets its own
// Cache-Control. Keys are in canonical form; the slices have no spare room, so that adding to one copies it.
func securityHeaders(https bool) http.Header {
	h := http.Header{
		// Nothing of another origin, nothing inline; logos are files of ours or data: URLs. Scripts ask this server alone,
		// for the challenges of passkeys.
		csp: {"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " + formAction +
			"; frame-ancestors 'none'; base-uri 'none'"},
		"X-Frame-Options":            {"DENY"},
		"X-Content-Type-Options":     {"nosniff"},
		"Referrer-Policy":            {"no-referrer"}, // URLs hold codes and flow ids
		"Permissions-Policy":         {"camera=(), geolocation=(), microphone=(), payment=(), usb=()"},
		"Cross-Origin-Opener-Policy": {"same-origin"},
		"Cache-Control":              {"no-store"},
	}
	if https {
		h["Strict-Transport-Security"] = []string{"max-age=31536000"}
	}
	return h
}

// OmitFormAction takes form-action out of this page's policy: for pages on the way to an app, whose form's POST can end
// there. Chromium and Safari hold every redirect that follows a POST against form-action, those of the app too: a
// callback that goes on to a custom scheme or to http would be stopped after the code is spent, and the server cannot
// know where an app goes on to.
//
// Little is lost. form-action is the second line behind templates that escape every value, so that no stranger can
// put a form into a page; and what our own forms post goes to ourselves.
func OmitFormAction(w http.ResponseWriter) {
	h := w.Header()
	h.Set(csp, strings.Replace(h.Get(csp), formAction+"; ", "", 1))
}

// Popup keeps the connection to the window that opened this one, for the routes on the way to an app's code: an app may
// show them in a popup window and wait there for the answer. A single response on the way without it cuts the
// connection for good.
func Popup(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Del("Cross-Origin-Opener-Policy")
		h.ServeHTTP(w, r)
	})
}
