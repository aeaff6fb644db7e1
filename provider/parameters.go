package provider

import (
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/sallyport-id/sallyport/internal/web"
)

// maxRequest bounds what is stored of one request, so that strangers cannot fill the disk.
const maxRequest = 16 << 10

// parameter is one that an authorization request may carry.
type parameter struct {
	name string
	// stored: it is kept with a flow or a pushed request. The others are used up by reading them.
	stored bool
	// repeats: it may occur more than once (RFC 8707, section 2).
	repeats bool
}

// parameters are all that are read of an authorization request. Every other one is
// dropped as soon as the request is parsed (RFC 6749, section 3.1), and so never
// reaches a row, a log or an answer: requests carry passwords and tokens by mistake.
var parameters = []parameter{
	{name: "client_id", stored: true},
	{name: "redirect_uri", stored: true},
	{name: "response_type", stored: true},
	{name: "response_mode", stored: true},
	{name: "scope", stored: true},
	{name: "state", stored: true},
	{name: "nonce", stored: true},
	{name: "code_challenge", stored: true},
	{name: "code_challenge_method", stored: true},
	{name: "prompt", stored: true},
	{name: "max_age", stored: true},
	{name: "acr_values", stored: true},
	{name: "claims", stored: true},
	{name: "login_hint", stored: true},
	{name: "organization", stored: true},
	{name: "resource", stored: true, repeats: true},
	{name: "audience", repeats: true}, // of other servers' clients; it means nothing here
	{name: "registration"},
	{name: "request"},
	{name: "request_uri"},
	{name: "id_token_hint"}, // what it says is stored, not the token
	{name: "flow"},
	{name: "cancel"},
	{name: "switch"},
}

// repeatable are the names of the parameters that may occur more than once.
func repeatable() []string {
	var names []string
	for _, p := range parameters {
		if p.repeats {
			names = append(names, p.name)
		}
	}
	return names
}

// authorizationQuery reads the parameters of an authorization request from its URL.
func authorizationQuery(r *http.Request) (url.Values, error) {
	values, err := web.Query(r, repeatable()...)
	return readParams(values), err
}

// authorizationForm reads them from its body.
func authorizationForm(r *http.Request) (url.Values, error) {
	values, err := web.Form(r, repeatable()...)
	return readParams(values), err
}

// readParams are the parameters that are read, without all others.
func readParams(values url.Values) url.Values {
	return pick(values, func(parameter) bool { return true })
}

// storedParams are the parameters that are kept with a flow or a pushed request.
func storedParams(values url.Values) url.Values {
	return pick(values, func(p parameter) bool { return p.stored })
}

func pick(values url.Values, wanted func(parameter) bool) url.Values {
	picked := make(url.Values, len(values))
	for _, p := range parameters {
		if v, ok := values[p.name]; ok && wanted(p) {
			picked[p.name] = v
		}
	}
	return picked
}

// isTooLarge reports whether the parameters take more than maxRequest to store.
func isTooLarge(values url.Values) bool {
	const longestEscape = 6 // of one byte in JSON
	size := 0
	for name, all := range values {
		for _, v := range all {
			size += len(name) + len(v)
		}
	}
	if size*longestEscape <= maxRequest/2 { // the common case needs no encoding
		return false
	}
	encoded, err := json.Marshal(storedParams(values))
	return err != nil || len(encoded) > maxRequest
}
