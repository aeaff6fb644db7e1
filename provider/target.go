package provider

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/templates"
)

// target is where an authorization is answered: a redirect URI that was matched
// with the registration, the way to send parameters there, and the state to echo.
type target struct {
	uri      string
	formPost bool
	appName  string
	state    string
	hasState bool
}

// param is one parameter of an answer.
type param struct{ name, value string }

// complete adds state and iss (RFC 9207) to an answer.
func (t target) complete(issuer string, params []param) []param {
	if t.hasState {
		params = append(params, param{"state", t.state})
	}
	return append(params, param{"iss", issuer})
}

// url is the redirect URI with an answer.
func (t target) url(issuer string, params ...param) string {
	return t.plain(t.complete(issuer, params)...)
}

// plain is the redirect URI with just these parameters. The registered query is
// kept as it stands.
func (t target) plain(params ...param) string {
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

// sendTo answers an authorization at its target.
func (p *Provider) sendTo(w http.ResponseWriter, t target, params ...param) error {
	if !t.formPost {
		// 303: whatever the method was, the client is visited by GET.
		w.Header()["Location"] = []string{t.url(p.issuer, params...)}
		w.WriteHeader(http.StatusSeeOther)
		return nil
	}
	page := templates.FormPost{Action: t.uri, AppName: t.appName, Params: map[string]string{}}
	for _, p := range t.complete(p.issuer, params) {
		page.Params[p.name] = p.value
	}
	web.OmitFormAction(w)
	return p.web.Page(w, http.StatusOK, page)
}
