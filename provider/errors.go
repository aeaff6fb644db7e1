package provider

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ory/fosite"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
)

// Error is a refusal in the terms of RFC 6749, section 5.2 and its relatives.
// Description is for the developer of the client; Err is for our log alone.
type Error struct {
	Code        string
	Description string
	Err         error
	RetryAfter  time.Duration
}

func (e *Error) Error() string {
	s := e.Code + ": " + e.Description
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func refuse(code, description string) *Error { return &Error{Code: code, Description: description} }

// replace returns what an expected error means here, and every other error (nil too) as it is.
func replace(err, expected, meaning error) error {
	if errors.Is(err, expected) {
		return meaning
	}
	return err
}

// because adds the cause for the log.
func (e *Error) because(err error) *Error {
	c := *e
	c.Err = err
	return &c
}

// status is the HTTP status of a code where it answers directly.
func (e *Error) status() int {
	switch e.Code {
	case "invalid_client", "invalid_token":
		return http.StatusUnauthorized
	case "insufficient_scope":
		return http.StatusForbidden
	case "server_error":
		return http.StatusInternalServerError
	case "temporarily_unavailable":
		return http.StatusServiceUnavailable
	case "too_many_requests":
		return http.StatusTooManyRequests
	}
	return http.StatusBadRequest
}

var (
	errUnsupportedGrant = refuse("unsupported_grant_type", "This grant_type is not supported; grant_types_supported of the discovery document lists those that are.")
	errInvalidGrant     = refuse("invalid_grant", "The code or refresh token is unknown, expired, used, revoked, or was issued to another client or redirect_uri.")
	errInvalidClient    = refuse("invalid_client", "The client could not be authenticated: check client_id and the credential, and that it goes with the registered token_endpoint_auth_method; a secret may come by Basic or in the form.")
	errServer           = refuse("server_error", "Something failed on our side. Trying again may help.")
	errUnavailable      = refuse("temporarily_unavailable", "The server cannot do this at the moment. Try again in a few seconds.")
)

// fositeErrors maps the error codes that fosite may return to ours. Every other code is
// server_error: none of fosite's own inventions reaches a client.
var fositeErrors = map[string]*Error{
	"invalid_request":        refuse("invalid_request", "The request is missing a parameter, repeats one, or has one that is malformed."),
	"invalid_client":         errInvalidClient,
	"invalid_grant":          errInvalidGrant,
	"token_inactive":         errInvalidGrant,
	"not_found":              errInvalidGrant,
	"invalid_scope":          refuse("invalid_scope", "A requested scope is not among the scopes registered for the client."),
	"unauthorized_client":    refuse("unauthorized_client", "The client is not registered for this grant_type or response_type."),
	"unsupported_grant_type": errUnsupportedGrant,
}

// protocolError is the one place where a cause becomes an error of the protocol.
func protocolError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*web.Error](err); ok {
		return fromWeb(e)
	}
	switch {
	case errors.Is(err, storage.ErrUnavailable), errors.Is(err, secret.ErrBusy):
		e := errUnavailable.because(err)
		e.RetryAfter = 5 * time.Second
		return e
	case errors.Is(err, storage.ErrSpent):
		return errInvalidGrant.because(err)
	}
	var fe *fosite.RFC6749Error
	if errors.As(err, &fe) {
		if e := fositeErrors[fe.ErrorField]; e != nil {
			return e.because(errors.New(fe.GetDescription() + " " + fe.DebugField))
		}
	}
	return errServer.because(err)
}

// fromWeb keeps the message of the edge's own refusals: bodies and parameters.
func fromWeb(e *web.Error) *Error {
	switch {
	case e.Status == http.StatusTooManyRequests:
		return &Error{Code: "too_many_requests", Description: "Too many failed attempts. Wait before the next.", Err: e, RetryAfter: e.RetryAfter}
	case e.Status == http.StatusServiceUnavailable:
		return &Error{Code: "temporarily_unavailable", Description: errUnavailable.Description, Err: e, RetryAfter: e.RetryAfter}
	case e.Status >= 500:
		return errServer.because(e)
	case e.Message == "":
		return refuse("invalid_request", "The request is too large or malformed.").because(e.Err)
	}
	if strings.HasSuffix(e.Message, ".") { // a sentence of its own, about the request that was pushed
		return refuse("invalid_request", e.Message).because(e.Err)
	}
	return refuse("invalid_request", "The request cannot be read: "+e.Message+".").because(e.Err)
}

// jsonEndpoint makes h a web.Handler of a protocol endpoint: its errors are JSON by
// RFC 6749, section 5.2, and are noted as refusals.
func (p *Provider) jsonEndpoint(path string, h web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		r, a := withRequestNotes(r)
		err := h(w, r)
		if err == nil {
			a.annotate(r)
			return nil
		}
		e := protocolError(err)
		web.Annotate(r.Context(), "error", e.Code)
		p.refused(r, path, e)
		a.annotate(r)
		status := e.status()
		if we, ok := errors.AsType[*web.Error](err); ok && we.Status != 0 && we.Status < 500 {
			status = we.Status // 413 and 415 say more than 400
		}
		header := w.Header()
		if e.RetryAfter > 0 {
			header.Set("Retry-After", strconv.Itoa(int((e.RetryAfter+time.Second-1)/time.Second)))
		}
		if challenge := e.challenge(); challenge != "" {
			header.Set("WWW-Authenticate", challenge)
		}
		return respondJSON(w, status, struct {
			Error       string `json:"error"`
			Description string `json:"error_description"`
		}{e.Code, e.Description})
	}
}

// respondJSON writes v as JSON that no cache may keep (RFC 6749, section 5.1).
func respondJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return respondBody(w, status, "application/json", body)
}

// respondBody writes a body that no cache may keep.
func respondBody(w http.ResponseWriter, status int, contentType string, body []byte) error {
	h := w.Header()
	h["Content-Type"] = []string{contentType}
	h["Cache-Control"] = []string{"no-store"}
	h["Pragma"] = []string{"no-cache"}
	w.WriteHeader(status)
	_, _ = w.Write(body) // it fails when the connection is gone, and then there is no one to answer
	return nil
}
