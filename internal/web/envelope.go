package web

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/rs/cors"
)

// apiRoot is where programs ask: the JSON API and the health for monitors, whose answers are all in the envelope.
const apiRoot = "/api"

// Envelope is what every answer of the JSON API is wrapped in. Data and Meta are
// there in success, Error in failure.
type Envelope struct {
	Version   string         `json:"version"`
	Success   bool           `json:"success"`
	Code      int            `json:"code"` // the HTTP status
	Message   string         `json:"message"`
	RequestID string         `json:"request_id"`
	Data      any            `json:"data,omitempty"`
	Meta      any            `json:"meta,omitempty"`
	Error     *EnvelopeError `json:"error,omitempty"`
}

// EnvelopeError tells programs what is wrong.
type EnvelopeError struct {
	Type    string              `json:"type"`
	Details map[string][]string `json:"details"` // field → what is wrong with it
}

// none is data and meta of an answer without any: an object, so that callers need not look.
type none struct{}

// NewEnvelope is a success. nil data or meta is an empty object.
func NewEnvelope(ctx context.Context, status int, message string, data, meta any) Envelope {
	if data == nil {
		data = none{}
	}
	if meta == nil {
		meta = none{}
	}
	return Envelope{Version: "1.0", Success: true, Code: status, Message: message, RequestID: RequestID(ctx), Data: data, Meta: meta}
}

// The codes of an Error that say more than its status in the JSON API.
const (
	CodeValidation = "validation_error"    // 400 with Details
	CodeMFA        = "mfa_required"        // 401: the session has yet to prove a second factor
	CodeCompliance = "compliance_required" // 403: a second factor must be enrolled first
)

// types are the error types of the JSON API by code, and else by status.
var (
	typesByCode   = map[string]string{CodeValidation: "VALIDATION_ERROR", CodeMFA: "MFA_REQUIRED", CodeCompliance: "COMPLIANCE_REQUIRED"}
	typesByStatus = map[int]string{
		http.StatusUnauthorized:          "AUTHENTICATION_ERROR",
		http.StatusForbidden:             "AUTHORIZATION_ERROR",
		http.StatusNotFound:              "NOT_FOUND",
		http.StatusConflict:              "CONFLICT",
		http.StatusRequestEntityTooLarge: "PAYLOAD_TOO_LARGE",
		http.StatusTooManyRequests:       "RATE_LIMIT_EXCEEDED",
	}
)

// messages are said where an Error has no words of its own.
var messages = map[int]string{
	http.StatusUnauthorized:          "Sign in first.",
	http.StatusForbidden:             "You may not do that.",
	http.StatusNotFound:              "There is no such thing, or it is not yours to see.",
	http.StatusMethodNotAllowed:      "This address does not take that method; the Allow header names those it takes.",
	http.StatusConflict:              "That is not possible as things are.",
	http.StatusRequestEntityTooLarge: "The body is larger than 1 MiB.",
	http.StatusTooManyRequests:       "Too many attempts. The Retry-After header says in how many seconds to try again.",
	http.StatusServiceUnavailable:    "The service is busy or a part of it is down. Nothing has changed; try again.",
}

// HandleAPI makes h an http.Handler whose errors are in the envelope.
func (web *Web) HandleAPI(h Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			web.fail(w, r, err, web.errorEnvelope)
		}
	})
}

// CheckOrigin refuses what another site made a browser send; see [Web.SameOrigin].
func (web *Web) CheckOrigin(r *http.Request) error {
	if err := web.crossOrigin.Check(r); err != nil {
		return &Error{Status: http.StatusForbidden, Code: "csrf", Message: "The request comes from a page of another origin.", Err: err}
	}
	return nil
}

func (web *Web) errorEnvelope(w http.ResponseWriter, r *http.Request, e Error) {
	kind := cmp.Or(typesByCode[e.Code], typesByStatus[e.Status])
	if kind == "" {
		kind = "BAD_REQUEST"
		if e.Status >= http.StatusInternalServerError {
			kind = "INTERNAL_ERROR"
		}
	}
	message := cmp.Or(e.Message, messages[e.Status], "The request cannot be understood.")
	if e.Status == http.StatusInternalServerError {
		message = "Something went wrong on our side. The request id helps to find out what."
	}
	details := e.Details
	if details == nil {
		details = map[string][]string{}
	}
	if e.Status == http.StatusUnauthorized { // RFC 9110 section 15.5.2: never without
		e.Challenge = cmp.Or(e.Challenge, "Bearer")
	}
	if e.Challenge != "" {
		w.Header().Set("WWW-Authenticate", e.Challenge)
	}
	// Strings always encode.
	_ = JSON(w, e.Status, Envelope{Version: "1.0", Code: e.Status, Message: message,
		RequestID: RequestID(r.Context()), Error: &EnvelopeError{Type: kind, Details: details}})
}

func isAPI(r *http.Request) bool {
	below, ok := strings.CutPrefix(r.URL.Path, apiRoot)
	return ok && (below == "" || below[0] == '/')
}

// exposed are the headers of answers that a page of another origin may read.
func exposed() []string { return []string{"WWW-Authenticate", "Retry-After", "X-Request-Id"} }

// APIOrigins lets pages of the API's origins call h with tokens, never with cookies, and
// answers their preflights. h may be nil for a route of OPTIONS alone.
func (web *Web) APIOrigins(h http.Handler, methods ...string) http.Handler {
	c := cors.New(cors.Options{
		AllowOriginVaryRequestFunc: func(_ *http.Request, origin string) (bool, []string) { return web.isAPIOrigin(origin), nil },
		AllowedMethods:             methods,
		AllowedHeaders:             []string{"Authorization", "Content-Type"},
		ExposedHeaders:             exposed(),
		MaxAge:                     preflightSeconds,
	})
	if h == nil {
		return answerOptions(c, http.NotFoundHandler())
	}
	return c.Handler(h)
}

// allowAPIOrigin is APIOrigins for what no route answers.
func (web *Web) allowAPIOrigin(w http.ResponseWriter, r *http.Request) {
	if !slices.Contains(w.Header().Values("Vary"), "Origin") {
		w.Header().Add("Vary", "Origin")
	}
	AllowOrigin(w, r, web.isAPIOrigin)
}

func (web *Web) isAPIOrigin(origin string) bool { return slices.Contains(web.apiOrigins, origin) }

// CheckAPIOrigin is CheckOrigin that lets pages of the API's origins through as well: for
// calls that rest on no cookie.
func (web *Web) CheckAPIOrigin(r *http.Request) error {
	if origin := r.Header.Get("Origin"); origin != "" && web.isAPIOrigin(origin) {
		return nil
	}
	return web.CheckOrigin(r)
}
