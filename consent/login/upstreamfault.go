package login

import (
	"errors"
	"net/http"
	"strings"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/limit"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/upstream"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
)

// callbackPath is the path of a connection's callback.
func callbackPath(c *storage.Connection) string {
	return strings.Replace(callbacks[c.Settings.Callback], "{connection}", c.Name, 1)
}

// upstreamLost is the page about a sign-in of which nothing is known any more, or that another browser began.
func upstreamLost(again string) error {
	return &web.Error{Status: http.StatusBadRequest, Code: "upstream_lost", BackURL: again, BackLabel: "Start again"}
}

// upstreamFault is the page about a provider that signs nobody in. The log says what went wrong.
func upstreamFault(r *http.Request, again string, c *storage.Connection, err error) error {
	f, ok := errors.AsType[*upstream.Fault](err)
	if !ok {
		return err
	}
	web.Annotate(r.Context(), "connection", c.Name, "fault", f.Code)
	e := &web.Error{Status: http.StatusBadGateway, Code: "upstream_failed", Err: err, BackURL: again,
		BackLabel: "Sign in another way"}
	switch {
	case f.Temporary():
		e.Status, e.Code = http.StatusServiceUnavailable, "upstream_unavailable"
	case f.Code == upstream.Denied:
		e.Status, e.Code, e.BackLabel = http.StatusForbidden, "upstream_denied", "Go to sign in"
	}
	return e
}

// refuseUpstream is the page about an identity that signs nobody in.
func (p *Pages) refuseUpstream(a *attempt, err error) error {
	e := &web.Error{Status: http.StatusForbidden, Err: err, BackURL: a.path("/login"), BackLabel: "Sign in another way"}
	switch {
	case errors.Is(err, identity.ErrRegistrationClosed) && p.Identity.Registrations.Mode() == identity.RegistrationInvite:
		e.Code = "registration_invited"
	case errors.Is(err, identity.ErrRegistrationClosed):
		e.Code = "registration_closed"
	case errors.Is(err, identity.ErrExternalEmail):
		e.Code = "upstream_unverified"
	case errors.Is(err, identity.ErrForbidden):
		e.Code = "upstream_refused"
	default:
		return err
	}
	return e
}

// tooManyUpstream is the page about sign-ins that one address begins too often.
func tooManyUpstream(err error) error {
	if blocked, ok := errors.AsType[*limit.Blocked](err); ok {
		return &web.Error{Status: http.StatusTooManyRequests, RetryAfter: blocked.RetryAfter, Err: err}
	}
	return err
}

// PendingLink is the identity of a provider that the user of this browser is about to link to their account.
type PendingLink struct {
	Connection string // its name
	Subject    string
	Email      string // as the provider gave it; may be empty
	Flow       string // the token of the flow that it serves, "" for none
	Next       string // where that flow resumes; "" leads to the list of linked accounts
}

// SavePendingLink keeps what is to be linked under the browser's token, until it is linked or ten minutes have passed.
func SavePendingLink(m *session.Manager, r *http.Request, link *PendingLink) error {
	s, err := m.States.New(r, session.StateLink)
	if err != nil {
		return err
	}
	s.Values = map[any]any{"connection": link.Connection, "subject": link.Subject, "email": link.Email, "flow": link.Flow, "next": link.Next}
	return s.Save(r, nil)
}

// ReadPendingLink returns what is to be linked in this browser, nil for nothing.
func ReadPendingLink(m *session.Manager, r *http.Request) (*PendingLink, error) {
	s, err := m.States.New(r, session.StateLink)
	if err != nil || s.IsNew {
		return nil, err
	}
	text := func(name string) string { v, _ := s.Values[name].(string); return v }
	return &PendingLink{Connection: text("connection"), Subject: text("subject"), Email: text("email"), Flow: text("flow"),
		Next: text("next")}, nil
}

// DropPendingLink forgets what was to be linked.
func DropPendingLink(m *session.Manager, r *http.Request) error {
	s, err := m.States.New(r, session.StateLink)
	if err != nil {
		return err
	}
	s.Options.MaxAge = -1
	return s.Save(r, nil)
}
