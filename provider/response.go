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

// respond answers an authorization at its target.
func (p *Provider) respond(w http.ResponseWriter, t responseTarget, params ...param) error {
	params = t.withStateAndIssuer(p.issuer, params)
	if !t.formPost {
		// 303: whatever the method was, the client is visited by GET.
		w.Header()["Location"] = []string{t.withParams(params...)}
		w.WriteHeader(http.StatusSeeOther)
		return nil
	}
	page := templates.FormPost{Action: t.uri, AppName: t.appName, Params: map[string]string{}}
	for _, p := range params {
		page.Params[p.name] = p.value
	}
	web.OmitFormAction(w)
	return p.web.Page(w, http.StatusOK, page)
}
