package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/templates"
)

// Error is a refusal with its status and code. Any other error that a handler returns is a fault of ours: 500
// server_error.
type Error struct {
	Status  int
	Code    string // key of the page's sentence, "error" in JSON; taken from Status if empty
	Message string // for the developer of the app: shown to whoever asks, so never a secret or an inner cause
	Err     error  // the cause; logged, never shown

	Details map[string][]string // field → what is wrong with it, for the JSON API

	Challenge string // WWW-Authenticate in the JSON API; of a 401 "Bearer" if empty

	RetryAfter time.Duration // sent in whole seconds, rounded up; 503 and 429 only

	// On pages: where to go on from here, what else can be done, who is signed in, and what
	// to do if that is not what the code always says.
	BackURL, BackLabel string
	Action             *templates.ErrorAction
	Account            templates.Account
	Advice             string
}

// Error returns the code, the message and the cause, for the log.
func (e *Error) Error() string {
	text := cmp.Or(e.Code, strconv.Itoa(e.Status))
	if e.Message != "" {
		text += ": " + e.Message
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// statusClientGone is what the log and metrics say of a request whose caller hung up; nobody receives it.
const statusClientGone = 499

// retryAfter is when to come back if the error does not know.
const retryAfter = 5 * time.Second

// codes are those of a status whose Error names none.
var codes = map[int]string{
	http.StatusForbidden:             "access_denied",
	http.StatusNotFound:              "not_found",
	http.StatusMethodNotAllowed:      "method_not_allowed",
	http.StatusRequestEntityTooLarge: "payload_too_large",
	http.StatusMisdirectedRequest:    "misdirected_request",
	http.StatusTooManyRequests:       "too_many_requests",
	http.StatusServiceUnavailable:    "temporarily_unavailable",
}

// classify says what an error means to the one who asked.
func (web *Web) classify(r *http.Request, err error) Error {
	e, isRefusal := errors.AsType[*Error](err)
	_, isTooLarge := errors.AsType[*http.MaxBytesError](err)
	var out Error
	switch {
	case isRefusal:
		out = *e
	case isTooLarge:
		out.Status = http.StatusRequestEntityTooLarge
	case errors.Is(r.Context().Err(), context.Canceled):
		out.Status = statusClientGone
	case errors.Is(err, context.DeadlineExceeded), web.unavailable != nil && web.unavailable(err):
		out.Status = http.StatusServiceUnavailable
	}
	if out.Status == 0 {
		out.Status = http.StatusInternalServerError
	}
	if out.Code == "" {
		out.Code = codes[out.Status]
	}
	if out.Code == "" && out.Status >= 500 {
		out.Code = "server_error"
	}
	out.Code = cmp.Or(out.Code, "invalid_request")
	if out.Status == http.StatusServiceUnavailable {
		out.RetryAfter = cmp.Or(out.RetryAfter, retryAfter)
	}
	return out
}

// fail answers for a handler that returned err, and has err logged with the request.
func (web *Web) fail(w http.ResponseWriter, r *http.Request, err error, answer func(http.ResponseWriter, *http.Request, Error)) {
	x := exchangeOf(r.Context())
	if x != nil {
		x.err = err
		if x.status != 0 { // the handler has answered; half a page and an error page are worse than the log alone
			return
		}
	}
	e := web.classify(r, err)
	// These headers describe the answer that the handler had prepared, not the error.
	h := w.Header()
	for _, name := range []string{"Content-Length", "Content-Encoding", "Etag", "Last-Modified", "Location"} {
		h.Del(name)
	}
	h["Cache-Control"] = web.headers["Cache-Control"]
	if e.RetryAfter > 0 {
		SetRetryAfter(h, e.RetryAfter)
	}
	answer(w, r, e)
}

// SetRetryAfter says in the header when to come back, in whole seconds: never too early.
func SetRetryAfter(h http.Header, d time.Duration) {
	h.Set("Retry-After", strconv.Itoa(int((d+time.Second-1)/time.Second)))
}

// Wait says in words how long: "a minute", "29 minutes", "an hour".
func Wait(d time.Duration) string {
	minutes := int((d + time.Minute - 1) / time.Minute)
	switch {
	case minutes <= 1:
		return "a minute"
	case minutes < 60:
		return strconv.Itoa(minutes) + " minutes"
	case minutes == 60:
		return "an hour"
	}
	return strconv.Itoa((minutes+59)/60) + " hours"
}

func (web *Web) errorPage(w http.ResponseWriter, r *http.Request, e Error) {
	page := templates.Error{
		Code: e.Code, RequestID: RequestID(r.Context()), Developer: e.Message, BackURL: e.BackURL, BackLabel: e.BackLabel,
		Action: e.Action, Account: e.Account, Advice: e.Advice,
	}
	if e.Code == "too_many_requests" && e.RetryAfter > time.Minute {
		page.Advice = "Nothing is lost. Try again in " + Wait(e.RetryAfter) + "."
	}
	if e.BackURL == "" && (e.Code == "not_found" || e.Code == "method_not_allowed") {
		page.BackURL, page.BackLabel = "/", "Go to the start page"
	}
	err := web.Page(w, e.Status, page)
	if err != nil {
		Annotate(r.Context(), "page_error", err.Error())
		http.Error(w, "Something went wrong on our side.", http.StatusInternalServerError)
	}
}

func (web *Web) errorJSON(w http.ResponseWriter, _ *http.Request, e Error) {
	// Two strings always encode.
	_ = JSON(w, e.Status, struct {
		Error       string `json:"error"`
		Description string `json:"error_description,omitempty"`
	}{e.Code, e.Message})
}

// refuse answers for the edge itself, where no route says whether a person or a machine asks.
func (web *Web) refuse(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case isAPI(r):
		web.allowAPIOrigin(w, r)
		web.fail(w, r, err, web.errorEnvelope)
	case strings.Contains(r.Header.Get("Accept"), "text/html"):
		web.fail(w, r, err, web.errorPage)
	default:
		web.fail(w, r, err, web.errorJSON)
	}
}

// panicError is a handler's panic as an error.
type panicError struct {
	value any
	stack []byte
}

func (p *panicError) Error() string { return fmt.Sprintf("panic: %v", p.value) }
