package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/sessions"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

// stateLifetime is for how long a state is kept, unless Options.MaxAge says otherwise.
const stateLifetime = 10 * time.Minute

// stateNotice names the one-time notice, which is kept under the browser's token.
const stateNotice = "notice"

// StateLink names the identity of another provider that a user is about to link, which is kept under the browser's token.
const StateLink = "upstream_link"

// keeper keeps the values of states: a table does, and Redis.
type keeper interface {
	// load returns nil for an entry that is not there.
	load(ctx context.Context, name string, id secret.Hash) (map[any]any, error)
	// save keeps an entry for ttl, or removes it if that is 0.
	save(ctx context.Context, name string, id secret.Hash, values map[any]any, ttl time.Duration) error
}

// States is the gorilla store for what a browser carries between requests outside a
// flow. There is no cookie to it: a session called NAME is kept under the hash of the
// browser's token and moves to the next token at a sign-in; one called NAME.STATE is kept
// under the hash of STATE, a token of 256 bits that an answer brings back, whichever
// browser does. Values are strings under strings, and are sealed. Save with a MaxAge of
// 0 or less removes the session.
//
// With Redis a state is kept there, and in the table only while Redis is not available.
type States struct {
	keepers []keeper // each is for when the one before fails
	browser func(*http.Request) secret.Hash
}

var _ sessions.Store = (*States)(nil)

// Get returns the request's session of that name, the same one each time.
func (s *States) Get(r *http.Request, name string) (*sessions.Session, error) {
	return sessions.GetRegistry(r).Get(s, name)
}

// New reads the session of that name. It is new if the browser has none.
func (s *States) New(r *http.Request, name string) (*sessions.Session, error) {
	out := sessions.NewSession(s, name)
	out.Options = &sessions.Options{MaxAge: int(stateLifetime / time.Second)}
	out.IsNew = true
	kind, id := s.key(r, name)
	if id.IsZero() {
		return out, nil
	}
	for i, k := range s.keepers {
		values, err := k.load(r.Context(), kind, id)
		if values != nil {
			out.Values, out.IsNew = values, false
			return out, nil
		}
		if err != nil && i == len(s.keepers)-1 {
			return out, err
		}
	}
	return out, nil
}

// Save keeps the session's values, or removes it. It sends nothing.
func (s *States) Save(r *http.Request, _ http.ResponseWriter, state *sessions.Session) error {
	kind, id := s.key(r, state.Name())
	if id.IsZero() {
		return fmt.Errorf("session: a %s needs a browser with a token", kind)
	}
	ttl := max(0, time.Duration(state.Options.MaxAge)*time.Second)
	var err error
	for _, k := range s.keepers {
		err = k.save(r.Context(), kind, id, state.Values, ttl)
		if err == nil && ttl > 0 {
			return nil
		}
	}
	return err
}

// key is what a session is kept under; a zero id if there is nothing to keep it under.
func (s *States) key(r *http.Request, name string) (kind string, id secret.Hash) {
	kind, state, ok := strings.Cut(name, ".")
	switch {
	case !ok:
		id = s.browser(r)
	case isToken(state):
		id = secret.HashOf(state)
	}
	return kind, id
}

// tableKeeper keeps states in the database.
type tableKeeper struct {
	store *storage.Store
	codec codec
}

func (k tableKeeper) load(ctx context.Context, name string, id secret.Hash) (map[any]any, error) {
	data, err := k.store.BrowserState(ctx, id, name)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	s := sessions.NewSession(nil, name)
	if k.codec.Deserialize(data, s) != nil {
		return nil, nil
	}
	return s.Values, nil
}

func (k tableKeeper) save(ctx context.Context, name string, id secret.Hash, values map[any]any, ttl time.Duration) error {
	if ttl == 0 {
		return k.store.DeleteBrowserState(ctx, id, name)
	}
	s := sessions.NewSession(nil, name)
	s.Values, s.Options = values, &sessions.Options{MaxAge: int(ttl / time.Second)}
	data, err := k.codec.Serialize(s)
	if err != nil {
		return err
	}
	return k.store.PutBrowserState(ctx, &storage.BrowserState{ID: id, Name: name, Data: data, ExpiresAt: k.codec.now().Add(ttl)})
}

// moveStates gives what Redis keeps under a browser's token its next one. The table's rows
// are moved by the statement that signs in.
func (m *Manager) moveStates(ctx context.Context, from, to secret.Hash) {
	if from.IsZero() {
		return
	}
	// A Redis that fails loses a notice, or a link that must be begun again.
	for _, name := range []string{stateNotice, StateLink} {
		if values, _ := m.redis.load(ctx, name, from); values != nil {
			_ = m.redis.save(ctx, name, to, values, stateLifetime)
			_ = m.redis.save(ctx, name, from, nil, 0)
		}
	}
}

// SetNotice keeps what the next page says once, in words that the pages agree on: a link
// cannot make a page say that something was done.
func (m *Manager) SetNotice(r *http.Request, what string) error {
	s := sessions.NewSession(m.States, stateNotice)
	s.Options = &sessions.Options{MaxAge: int(stateLifetime / time.Second)}
	s.Values["notice"] = what
	return m.States.Save(r, nil, s)
}

// TakeNotice reports whether the notice is what, and takes it away if so.
func (m *Manager) TakeNotice(r *http.Request, what string) (bool, error) {
	if what == "" {
		return false, nil
	}
	s, err := m.States.Get(r, stateNotice)
	if err != nil || s.Values["notice"] != what {
		return false, err
	}
	s.Options.MaxAge = -1
	return true, m.States.Save(r, nil, s)
}
