package provider

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/templates"
)

// responseTarget is where an authorization response goes: a redirect URI that was matched
// with the registration, the way to send parameters there, and the state to echo.
type responseTarget struct {
	uri      string
	formPost bool
	appName  string
	state    string
	hasState bool
}

// param is one parameter of a response.
type param struct{ name, value string }

// withStateAndIssuer adds state and iss (RFC 9207) to a response.
func (t responseTarget) withStateAndIssuer(issuer string, params []param) []param {
	if t.hasState {
		params = append(params, param{"state", t.state})
	}
	return append(params, param{"iss", issuer})
}

// redirectURL is the redirect URI with a response.
func (t responseTarget) redirectURL(issuer string, params ...param) string {
	return t.withParams(t.withStateAndIssuer(issuer, params)...)
}

// withParams is the redirect URI with just these parameters. The registered query is
// kept as it stands.
func (t responseTarget) withParams(params ...param) string {
	var b strings.Builder
	b.WriteString(t.uri)
	sep := byte('?')
	if strings.Contains(t.uri, "?") {
		sep = '&'
	}
	for _, p := range params {
		b.WriteByte(sep)
		b.WriteString(p.name)
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(p.value))
		sep = '&'
	}
	return b.String()
}

// errorParams are those of an error response (RFC 6749, section 4.1.2.1).
func errorParams(e *Error) []param {
	return []param{{"error", e.Code}, {"error_description", e.Description}}
}

// respond answers an authorization at its target.
func (p *Provider) respond(w http.ResponseWriter, t responseTarget, params ...param) error {
	if !t.formPost {
		// 303: whatever the method was, the client is visited by GET.
		w.Header()["Location"] = []string{t.redirectURL(p.issuer, params...)}
		w.WriteHeader(http.StatusSeeOther)
		return nil
	}
	page := templates.FormPost{Action: t.uri, AppName: t.appName, Params: map[string]string{}}
	for _, p := range t.withStateAndIssuer(p.issuer, params) {
		page.Params[p.name] = p.value
	}
	web.OmitFormAction(w)
	return p.web.Page(w, http.StatusOK, page)
}
