// Package session keeps who is signed in in a browser.
//
// # The cookie
//
// A browser has one cookie, __Host-sp_browser (sp_browser on plain http in
// development): a token of 256 random bits, Lax, HttpOnly, for this host only.
// Before anybody signs in it is anonymous: no row, but flows are bound to its
// hash and form tokens are made from it. Signing in always gives a new token,
// under which unfinished flows follow, so a token that somebody planted before is
// worth nothing after (session fixation).
//
//	provider   Browser → storage.Visit (one statement) → Check
//	pages      Ensure, CSRFToken → VerifyCSRF → SignIn, SignOut
//	JSON API   the same, or a bearer token of its own (token.go)
//
// # States
//
//	none ──Ensure──▶ anonymous ──SignIn──▶ signed in ──SignIn, same person──▶ signed in, same sid, new token
//	                     ▲                   │    └──SignIn, another person──▶ a new session; the old one ends
//	                     └──── SignOut, Check, run out, ended elsewhere ───┘
//
// # Where it is kept
//
// Through gorilla/sessions: cookies is its Store. A row of storage.Session is the
// truth and every decision reads it, joined with the person. If Redis is given,
// redisstore holds a copy under the hash of the token; it answers only what may
// be wrong without harm (Glance), so that whatever Redis says or loses signs
// nobody in or out.
package session

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/sallyport-id/sallyport/internal/device"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

// The values of SESSION_PROTECTION.
const (
	Strong = "strong" // another browser or network ends the session
	Basic  = "basic"  // it makes the session stale
	Off    = "off"
)

// maxTouchInterval is how often at most a session's last use is written; see touchInterval.
const maxTouchInterval = time.Minute

// What a session has that still needs its second factor: whoever has a password
// alone shall not fill the table, nor have long to guess.
const (
	halfLifetime = 30 * time.Minute
	halfPerUser  = 5
)

// Config is what a Manager needs.
type Config struct {
	Store      *storage.Store
	Keys       *secret.Keyring
	Secure     bool          // the issuer is https
	Lifetime   time.Duration // from the last sign-in
	Idle       time.Duration // from the last use: never less, and at most one touch interval more
	Protection string        // Strong, Basic or Off
	// PerUser is how many sessions a person may have; 0 for any number. Those that
	// have yet to prove a second factor, known by HalfACR, have a bound of their own.
	PerUser int
	HalfACR string
	// Devices knows browsers by their device cookie, over several sessions.
	Devices *device.Devices
	// Address tells where a request comes from, RequestID which one it is.
	Address   func(*http.Request) netip.Addr
	RequestID func(context.Context) string
	Redis     redis.UniversalClient // may be nil
	Logger    *slog.Logger
	Now       func() time.Time
}

// Manager is safe for use by several goroutines.
type Manager struct {
	cookies    *cookies
	csrf       secret.Subkeys
	store      *storage.Store
	lifetime   time.Duration
	idle       time.Duration
	protection string
	perUser    int
	halfACR    string
	devices    *device.Devices
	address    func(*http.Request) netip.Addr
	requestID  func(context.Context) string
	now        func() time.Time
}

// New returns a Manager for c, or an error that says what c lacks.
func New(c Config) (*Manager, error) {
	switch {
	case c.Store == nil || c.Keys == nil || c.Devices == nil || c.Address == nil || c.RequestID == nil || c.Logger == nil || c.Now == nil:
		return nil, fmt.Errorf("session: store, keys, devices, address, request id, logger and clock are needed")
	case c.Lifetime <= 0 || c.Idle <= 0:
		return nil, fmt.Errorf("session: lifetime %v and idle time %v must be positive", c.Lifetime, c.Idle)
	case c.PerUser < 0:
		return nil, fmt.Errorf("session: %d sessions a person must not be negative", c.PerUser)
	case c.Protection != Strong && c.Protection != Basic && c.Protection != Off:
		return nil, fmt.Errorf("session: protection %q, want %s, %s or %s", c.Protection, Strong, Basic, Off)
	}
	return &Manager{
		cookies:    newCookies(c),
		csrf:       c.Keys.Subkeys("csrf"),
		store:      c.Store,
		lifetime:   c.Lifetime,
		idle:       c.Idle,
		protection: c.Protection,
		perUser:    c.PerUser,
		halfACR:    c.HalfACR,
		devices:    c.Devices,
		address:    c.Address,
		requestID:  c.RequestID,
		now:        func() time.Time { return c.Now().UTC().Truncate(time.Microsecond) },
	}, nil
}

// Browser returns the hash of the browser's token, zero if it has none, a
// malformed one, or several that differ. It asks no database: whether anybody is
// signed in is what storage.Visit says. After Ensure, SignIn or SignOut in the
// same request it is the new one.
func (m *Manager) Browser(r *http.Request) secret.Hash {
	return tokenHash(m.cookies.get(r).ID)
}

// Ensure returns the browser's hash, and gives an anonymous token to a browser
// that has none.
func (m *Manager) Ensure(w http.ResponseWriter, r *http.Request) (secret.Hash, error) {
	s := m.cookies.get(r)
	if s.ID == "" {
		if err := s.Save(r, w); err != nil {
			return secret.Hash{}, err
		}
	}
	return tokenHash(s.ID), nil
}

// SignIn is who has just proven to be in front of a browser, and how.
type SignIn struct {
	User uuid.UUID
	// PasswordHash is as stored when it was verified; "" if no password was.
	PasswordHash string
	// Use is the second factor or passkey that was verified, spent with the sign-in; nil if none.
	Use *storage.FactorUse
	// StepUp adds the proof to the session that is there; see storage.SignIn.
	StepUp bool
	// Half: the person has yet to prove a second factor. Such a session is a short one.
	Half bool
	ACR  string
	AMR  []string // RFC 8176
	// Notice is mailed if this is a new session and not the person's first; nil for none.
	Notice *storage.Message
	// Owed goes with a sign-in that has yet to pass its second step; see storage.SignIn.
	Owed *storage.Message
}

// SignIn signs the person in under a new token. If they were signed in here
// already, the session stays (sid) and is renewed; anybody else's ends.
// storage.ErrConflict if the person was disabled or the password changed
// meanwhile, or there is nothing to step up; storage.ErrSpent if the factor was used.
func (m *Manager) SignIn(w http.ResponseWriter, r *http.Request, in SignIn) error {
	s := m.cookies.get(r)
	s.Values[startKey] = m.start(r, in)
	return s.Save(r, w)
}

// start is the row that a sign-in makes.
func (m *Manager) start(r *http.Request, in SignIn) *storage.SignIn {
	now := m.now()
	ends, bound := now.Add(m.lifetime), storage.SessionBound{Most: m.perUser, Half: in.Half, HalfACR: m.halfACR}
	if in.Half {
		ends, bound.Most = earlier(ends, now.Add(halfLifetime)), halfPerUser
	}
	network4, network6 := networks(m.address(r))
	row := storage.Session{
		ID: uuid.Must(uuid.NewV7()), UserID: in.User, AuthTime: now, ACR: in.ACR, AMR: in.AMR,
		Browser: browserName(r.UserAgent()), Network4: network4, Network6: network6,
		CreatedAt: now, LastSeenAt: now, IdleExpiresAt: m.idleEnd(now, ends), ExpiresAt: ends,
	}
	return &storage.SignIn{
		Session: row, Device: deviceHash(m.devices.Read(r)), PasswordHash: in.PasswordHash, Use: in.Use, StepUp: in.StepUp, Bound: bound,
		Notice: in.Notice, Owed: in.Owed, RequestID: m.requestID(r.Context()),
		Personal: map[string]string{"address": m.address(r).String(), "browser": row.Browser},
	}
}

// SignOut ends the browser's session, if it has one, with its grants that are
// not offline, and takes the cookie away. Flows that wait in other tabs go on under a
// new anonymous token; they ask who is there.
func (m *Manager) SignOut(w http.ResponseWriter, r *http.Request) error {
	s := m.cookies.get(r)
	s.Values[endKey] = ending{storage.EndSignOut, m.requestID(r.Context())}
	s.Options.MaxAge = -1
	return s.Save(r, w)
}

// Glance tells whether somebody seems to be signed in, from the copy in Redis if
// there is one. It may be wrong either way: use it for what a page says beside
// the point, never to let anybody do or see anything.
func (m *Manager) Glance(r *http.Request) bool {
	return m.cookies.glance(r, m.now())
}

// touchInterval is how often at most a session's last use is written. It is short beside
// the idle time, because a use that was not written must not end a session early.
func (m *Manager) touchInterval() time.Duration { return min(maxTouchInterval, m.idle/4) }

// idleEnd is when a session that was used at now, and for up to a touch interval after
// that without a write, has been idle for long enough.
func (m *Manager) idleEnd(now, expires time.Time) time.Time {
	return earlier(now.Add(m.idle+m.touchInterval()), expires)
}

// Touch tells whether a write that happens anyway should move the session's
// last_seen_at to now and idle_expires_at to idleExpires.
func (m *Manager) Touch(s *storage.Session) (now, idleExpires time.Time, due bool) {
	now = m.now()
	return now, m.idleEnd(now, s.ExpiresAt), now.Sub(s.LastSeenAt) >= m.touchInterval()
}

// Keep is Touch for a request that writes nothing else: it keeps the session of
// somebody who only looks around from running out.
func (m *Manager) Keep(ctx context.Context, s *storage.Session) error {
	now, idle, due := m.Touch(s)
	if !due {
		return nil
	}
	s.LastSeenAt, s.IdleExpiresAt = now, idle
	return m.store.TouchSession(ctx, s)
}

// CSRFToken returns what a form for purpose in this browser carries. It is worth
// nothing in another browser, for another purpose, or after the next sign-in.
func (m *Manager) CSRFToken(browser secret.Hash, purpose string) string {
	mac := m.csrf.MAC(browser[:], []byte(purpose))
	return base64.RawURLEncoding.EncodeToString(mac[:])
}

// VerifyCSRF reports whether token is CSRFToken of the same, in constant time. A
// browser without a token has no valid forms.
func (m *Manager) VerifyCSRF(browser secret.Hash, purpose, token string) bool {
	mac, ok := decode(token)
	return ok && !browser.IsZero() && m.csrf.Verify(mac, browser[:], []byte(purpose))
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
