package session

import (
	"errors"
	"net/http"

	"github.com/sallyport-id/sallyport/storage"
)

// Current is who is signed in, as a request of their session finds them.
type Current struct {
	*storage.SessionContext
	// Status is Valid or Stale: Current is nil for a session that has ended.
	Status Status
}

// Current returns who is signed in in the browser of the request, nil if no user is, and notes
// that the session is used.
func (m *Manager) Current(r *http.Request) (*Current, error) {
	return m.noted(r, storage.SessionQuery{Browser: m.Browser(r)}, false)
}

// CurrentByToken is Current for the session token that the request bears.
func (m *Manager) CurrentByToken(r *http.Request) (*Current, error) {
	return m.noted(r, storage.SessionQuery{Browser: m.Token(r)}, true)
}

// noted refuses the session of a token in a cookie and the other way round: a program's token that
// was planted in a browser must not sign anybody in there.
func (m *Manager) noted(r *http.Request, q storage.SessionQuery, api bool) (*Current, error) {
	c, err := m.Lookup(r, q)
	if err != nil || c == nil || c.Session.API != api {
		return nil, err
	}
	return c, m.TouchIfDue(r.Context(), &c.Session)
}

// Lookup is Current with what else the query asks for, for a caller that notes the use of the
// session with a write of its own (Touch) or later (TouchIfDue).
func (m *Manager) Lookup(r *http.Request, q storage.SessionQuery) (*Current, error) {
	if q.Browser.IsZero() {
		return nil, nil
	}
	v, err := m.store.SessionContext(r.Context(), q)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	standing, err := m.Check(r, v)
	if err != nil || standing == Ended {
		return nil, err
	}
	return &Current{SessionContext: v, Status: standing}, nil
}
