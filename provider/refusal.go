package provider

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// requestNotes is what is known of a request when it is refused, so that the developer of its client finds the refusal.
type requestNotes struct {
	clientID string     // "" while the request has named no registered client
	params   url.Values // those that count, where they are not the ones that were sent
	// authenticated says that the client has proved who it is, or its token has.
	authenticated bool
}

type notesKey struct{}

func withRequestNotes(r *http.Request) (*http.Request, *requestNotes) {
	a := &requestNotes{}
	return r.WithContext(context.WithValue(r.Context(), notesKey{}, a)), a
}

// notesOf returns what is known of a request. The pages of the steps read flows too, and are no requests of a client:
// what is noted there is dropped.
func notesOf(ctx context.Context) *requestNotes {
	if a, ok := ctx.Value(notesKey{}).(*requestNotes); ok {
		return a
	}
	return &requestNotes{}
}

// noteClient notes the client that a request is of. The first one counts: introspection reads the tokens of others.
func noteClient(ctx context.Context, clientID string) {
	if a := notesOf(ctx); a.clientID == "" {
		a.clientID = clientID
	}
}

// requestClient is client for the client_id that a request names. A client that is disabled is noted too, so that its
// developer learns why it is refused.
func (p *Provider) requestClient(ctx context.Context, id string) (*client, error) {
	c, err := p.client(ctx, id)
	if err == nil || errors.Is(err, errDisabledClient) {
		noteClient(ctx, id)
	}
	return c, err
}

// pageEndpoint makes h the handler of an endpoint that browsers visit. An error that is shown to the person, and not sent to
// the client, is a refusal too.
func (p *Provider) pageEndpoint(path string, h web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		r, a := withRequestNotes(r)
		err := h(w, r)
		if err != nil {
			e := protocolError(err)
			if page, ok := errors.AsType[*web.Error](err); ok && page.Code != "" {
				e = &Error{Code: page.Code, Description: page.Message, Err: page.Err}
				if e.Description == "" && e.Err == nil {
					e.Description, _, _ = templates.ErrorText(e.Code) // what the person is told says it all
				}
			}
			p.refused(r, path, e)
		}
		a.annotate(r)
		return err
	}
}

func (a *requestNotes) annotate(r *http.Request) {
	if a.clientID != "" {
		web.Annotate(r.Context(), "client", a.clientID)
	}
}

// refused notes a refusal: in the metrics, on the request's log record, and for the client that it concerns.
func (p *Provider) refused(r *http.Request, path string, e *Error) {
	ctx := r.Context()
	p.counts.Refused(path, e.Code)
	cause := e.cause()
	web.Annotate(ctx, "cause", cause)
	a := notesOf(ctx)
	if a.clientID == "" || ctx.Err() != nil { // the second: the caller hung up, and nothing was refused
		return
	}
	if e.status() >= http.StatusInternalServerError {
		cause = "The server failed. Its log tells why, under the request id."
	}
	params := a.params
	if params == nil {
		params = r.URL.Query()
		maps.Copy(params, r.PostForm)
	}
	p.identity.Clients.NoteRefusal(storage.Refusal{ClientID: a.clientID, At: p.now(), Endpoint: path, Error: e.Code,
		Cause: shorten(cause), RequestID: web.RequestID(ctx), Authenticated: a.authenticated, Parameters: parameterNames(params),
		RedirectURI: shorten(params.Get("redirect_uri")), Scope: shorten(params.Get("scope"))})
}

// uniformDescriptions say the same whatever is wrong, so that an attacker learns nothing; the cause tells more.
var uniformDescriptions = []string{errInvalidGrant.Description, errInvalidClient.Description, errInvalidToken.Description,
	errServer.Description, errUnavailable.Description}

// cause is what was wrong, for the log and the client's developer.
func (e *Error) cause() string {
	inner, isError := errors.AsType[*Error](e.Err)
	switch {
	case e.Err == nil:
		return e.Description
	case isError:
		return inner.cause()
	case e.Description == "" || slices.Contains(uniformDescriptions, e.Description):
		return strings.ReplaceAll(e.Err.Error(), "\n", ": ")
	}
	return e.Description + " " + strings.ReplaceAll(e.Err.Error(), "\n", ": ")
}

// parameterName is a name that is kept. Tokens are sent as names by mistake (?sp_at_…); none is of letters only.
var parameterName = regexp.MustCompile(`^[a-z][a-z_]{0,31}$`)

// maxNames bounds the names that are kept of one request. No request has a use for more.
const maxNames = 20

func parameterNames(params url.Values) []string {
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(params)),
		func(name string) bool { return !parameterName.MatchString(name) })
	names = slices.Clone(names[:min(len(names), maxNames)])
	for n := range names {
		names[n] = strings.Clone(names[n])
	}
	return names
}

// maxRefusalText bounds a text of a refusal in bytes.
const maxRefusalText = 500

// shorten returns the part of a text that is stored. It is a copy: a part of the request would keep all of it in memory
// while the refusal waits to be written.
func shorten(text string) string { return strings.Clone(storage.Storable(text, maxRefusalText)) }

// plainValue matches a value that an error_description may repeat: no markup for a client that shows it as HTML, no
// sentence of an attacker's, and none of the characters that RFC 6749, section 5.2 excludes.
var plainValue = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,40}$`)

// describeValue begins a sentence about one value of a parameter, which it names where that is safe.
func describeValue(parameter, value string) string {
	if plainValue.MatchString(value) {
		return "The " + parameter + " " + value
	}
	return "A " + parameter + " of the request"
}
