package web

import (
	"net/http"
	"net/url"
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

// AllowFormAction lets the forms of this page lead to uri, a redirect URI that was validated before. Chromium and Safari
// hold every redirect after a form's POST against form-action, so without this the button on the consent page could not
// end at the app. They hold the app's own redirects against it too: a callback on login.app.example that goes on to
// app.example would be stopped there. Hence a scheme rather than an origin: any https for an app on https, anything on
// this machine for one in development there.
//
// Little is lost. form-action is the second line behind templates that escape every value, so that nobody can put a form
// into a page; and what our own forms post goes to ourselves.
func AllowFormAction(w http.ResponseWriter, uri string) {
	sources := cspSources(uri)
	if sources == "" {
		return
	}
	h := w.Header()
	policy := h.Get(csp)
	if strings.Contains(policy+";", formAction+" "+sources+";") {
		return
	}
	h.Set(csp, strings.Replace(policy, formAction, formAction+" "+sources, 1))
}

// cspSources returns the source expressions (CSP level 3 section 2.3.1) for what uri may lead to, "" for none. It refuses
// anything that could end the directive or add another source.
func cspSources(uri string) string {
	const thisMachine = "http://localhost:* http://127.0.0.1:*"
	u, err := url.Parse(uri)
	if err != nil || u.Scheme == "" {
		return ""
	}
	switch u.Scheme { // lower case by url.Parse, and of letters, digits, "+", "-" and "."
	case "javascript", "data", "blob", "filesystem", "vbscript", "file", "about":
		return ""
	case "http", "https":
	default:
		return u.Scheme + ":" // all there is
	}
	host, port := u.Hostname(), u.Port()
	switch {
	case host == "":
		return ""
	case u.Scheme == "https":
		return "https:"
	case host == "localhost" || host == "127.0.0.1":
		return thisMachine
	case host == "::1" && port != "":
		return thisMachine + " http://*:" + port // the grammar has no IPv6 addresses; the port still narrows it
	case strings.Trim(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") != "":
		return ""
	case port != "":
		host += ":" + port
	}
	return "http://" + host
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
