package provider

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/sallyport-id/sallyport/internal/web"
)

// tokenType says that the holder of an access token may use it (RFC 6750).
const tokenType = "Bearer"

// challenge is the WWW-Authenticate header of a refusal; "" if it needs none.
func (e *Error) challenge() string {
	switch {
	case e.Code == "invalid_client":
		// RFC 6749, section 5.2 wants the scheme that was used; saying it always does no harm.
		return `Basic realm="sallyport", error="invalid_client"`
	case e == errNoToken: // a request without a token is not told of an error (RFC 6750, section 3.1)
		return tokenType + ` realm="sallyport"`
	case e.Code == "invalid_token", e.Code == "insufficient_scope":
		return tokenType + ` realm="sallyport", error="` + e.Code + `", error_description="` + e.Description + `"`
	}
	return ""
}

var (
	errNoToken      = refuse("invalid_token", "The request carries no access token: send the header Authorization: Bearer.")
	errInvalidToken = refuse("invalid_token", "The access token is expired, revoked, or not valid here.")
)

// requestToken reads the one access token of a request: from the Authorization header,
// or from the body of a POST (RFC 6750, sections 2.1 and 2.2). A token in the URL
// is not looked at: URLs are kept in logs and histories.
func requestToken(r *http.Request) (string, error) {
	header := r.Header.Values("Authorization")
	var form url.Values
	if r.Method == http.MethodPost && r.Header.Get("Content-Type") != "" {
		var err error
		if form, err = web.Form(r); err != nil {
			return "", err
		}
	}
	switch {
	case len(header) > 1 || (len(header) == 1 && form.Has("access_token")):
		return "", refuse("invalid_request", "The request carries an access token in more than one way.")
	case len(header) == 1:
		scheme, token, ok := strings.Cut(header[0], " ")
		if !ok || !strings.EqualFold(scheme, tokenType) {
			return "", errNoToken
		}
		return strings.TrimSpace(token), nil
	case form.Has("access_token"):
		return form.Get("access_token"), nil
	}
	return "", errNoToken
}
