package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// objectOnly are members of a request object that are about the JWT, not the request.
var objectOnly = []string{"iss", "aud", "exp", "nbf", "iat", "jti", "sub"}

// objectLifetime is how far ahead a request object may expire: nothing else ends its
// use by others who have seen it.
const objectLifetime = time.Hour

// applyRequestObject replaces the request's parameters by those of its signed request
// object (RFC 9101): what is outside does not count, but for client_id, which must
// agree. The object's own redirect URI is looked for even when it is refused, so
// that the error can be sent to a URI that is registered.
func (p *Provider) applyRequestObject(ctx context.Context, q *request) *Error {
	raw := q.params.Get("request")
	payload, err := p.verifyClientJWS(ctx, q.client, raw, q.client.Metadata.RequestObjectSigningAlg)
	if err != nil {
		return refuse("invalid_request_object", "The request object is not signed by a registered key of this client with an accepted algorithm.").because(err)
	}
	params, claims, err := readObject(payload)
	if err != nil {
		return refuse("invalid_request_object", "A member of the request object has the wrong type.").because(err)
	}
	if wrong := p.checkObject(q, params, claims); wrong != "" {
		return refuse("invalid_request_object", wrong)
	}
	// OpenID Connect Core 1.0, section 6.1: what both say must be the same.
	for _, name := range []string{"client_id", "response_type"} {
		outer := q.params.Get(name)
		if inner := params.Get(name); outer != "" && inner != "" && inner != outer {
			return refuse("invalid_request_object", "The request object contradicts the request in "+name+".")
		}
	}
	params.Set("client_id", q.client.ID)
	q.params = readParams(params)
	return nil
}

func (p *Provider) checkObject(q *request, params url.Values, claims *assertionClaims) string {
	now := p.now()
	switch {
	case params.Has("request") || params.Has("request_uri"):
		return "A request object cannot hold another."
	case params.Has("client_id") && params.Get("client_id") != q.client.ID:
		return "The request object is of another client."
	case claims.Issuer != "" && claims.Issuer != q.client.ID:
		return "iss of the request object must be the client_id."
	case len(claims.Audience) > 0 && !slices.Contains(claims.Audience, p.issuer):
		return "aud of the request object must contain the issuer."
	case claims.Expires == 0:
		return "The request object has no exp. It must expire within an hour, or everybody who sees it can use it for ever."
	case !now.Before(unixFloat(claims.Expires).Add(assertionLeeway)):
		return "The request object has expired."
	case unixFloat(claims.Expires).After(now.Add(objectLifetime + assertionLeeway)):
		return "exp of the request object is more than an hour ahead."
	case claims.From != 0 && unixFloat(claims.From).After(now.Add(assertionLeeway)):
		return "The request object is not valid yet."
	case claims.Issued != 0 && unixFloat(claims.Issued).After(now.Add(time.Minute)):
		return "The request object was issued in the future."
	case claims.Subject == q.client.ID:
		// A client assertion has sub = client_id; a request object must not (RFC 9101, section 10.8).
		return "sub of a request object must not be the client_id."
	}
	return ""
}

// readObject turns the members of a request object into parameters: strings as
// they are, numbers and booleans as JSON writes them, and for claims the object
// itself. Anything else is refused rather than formatted.
func readObject(payload []byte) (url.Values, *assertionClaims, error) {
	if !utf8.Valid(payload) { // what is kept as it stands must be text
		return nil, nil, errors.New("the object is not UTF-8")
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(payload, &members); err != nil {
		return nil, nil, err
	}
	var claims assertionClaims
	if err := json.Unmarshal(payload, &claims); err != nil {
		return nil, nil, err
	}
	params := url.Values{}
	for name, raw := range members {
		if slices.Contains(objectOnly, name) {
			continue
		}
		var v any
		if err := json.Unmarshal(raw, &v); err != nil {
			return nil, nil, err
		}
		switch v := v.(type) {
		case string:
			if strings.ContainsRune(v, 0) { // as in a form: no database holds it
				return nil, nil, fmt.Errorf("%s has a NUL in it", name)
			}
			params.Set(name, v)
		case float64:
			if v != float64(int64(v)) {
				return nil, nil, fmt.Errorf("%s is not a whole number", name)
			}
			params.Set(name, strconv.FormatInt(int64(v), 10))
		case bool:
			params.Set(name, strconv.FormatBool(v))
		case map[string]any:
			if name != "claims" {
				return nil, nil, errors.New("only claims may be an object")
			}
			params.Set(name, string(raw))
		default:
			return nil, nil, fmt.Errorf("%s has a type that no parameter has", name)
		}
	}
	return params, &claims, nil
}
