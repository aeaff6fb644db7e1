package session

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/device"
	"github.com/sallyport-id/sallyport/internal/redis"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

// The values of SESSION_PROTECTION.
const (
	Strong = "strong" // another browser or network ends the session
	Basic  = "basic"  // it makes the session stale
	Off    = "off"
)

// Limits of sessions that still need their second factor: an attacker who knows only the
// password must neither fill the table nor have long to guess codes.
const (
	halfLifetime = 30 * time.Minute
	halfPerUser  = 5
)

// Config is what a Manager needs.
type Config struct {
	Store      *storage.Store
	Keys       *secret.Keyring
	Sealer     *secret.Sealer // for entries in Redis and the database
	Secure     bool           // the issuer is https
	Lifetime   time.Duration  // from the last sign-in
	Idle       time.Duration  // from the last use: never less, and at most one touch interval more
	Protection string         // Strong, Basic or Off
	// PerUser is how many sessions a person may have; 0 for any number. Those that
	// have yet to prove a second factor, known by HalfACR, have a bound of their own.
	PerUser int
	HalfACR string
	// Devices knows browsers by their device cookie, over several sessions.
	Devices *device.Devices
	// Address tells where a request comes from, RequestID which one it is.
	Address   func(*http.Request) netip.Addr
	RequestID func(context.Context) string
	Redis     *redis.Client // may be nil
	Now       func() time.Time
}

// Manager is safe for use by several goroutines.
type Manager struct {
	// States keep what the browser carries between requests outside a flow.
	States *States

	cookies    *cookies
	redis      *redisKeeper // nil without Redis
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
	case c.Store == nil || c.Keys == nil || c.Sealer == nil || c.Devices == nil || c.Address == nil || c.RequestID == nil || c.Now == nil:
		return nil, fmt.Errorf("session: store, keys, sealer, devices, address, request id and clock are needed")
	case c.Lifetime <= 0 || c.Idle <= 0:
		return nil, fmt.Errorf("session: lifetime %v and idle time %v must be positive", c.Lifetime, c.Idle)
	case c.PerUser < 0:
		return nil, fmt.Errorf("session: %d sessions a person must not be negative", c.PerUser)
	case c.Protection != Strong && c.Protection != Basic && c.Protection != Off:
		return nil, fmt.Errorf("session: protection %q, want %s, %s or %s", c.Protection, Strong, Basic, Off)
	}
	entries := codec{c.Sealer, c.Now}
	m := &Manager{
		cookies:    newCookies(c),
		redis:      newRedisKeeper(c.Redis, entries),
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
	}
	m.States = &States{browser: m.Browser, keepers: []keeper{tableKeeper{c.Store, entries}}}
	if m.redis != nil {
		m.States.keepers = []keeper{m.redis, m.States.keepers[0]}
	}
	return m, nil
}

// Browser returns the hash of the browser's token, zero if it has none, a
// malformed one, or several that differ. It asks no database: whether anybody is
// signed in is what storage.SessionContext says. After Ensure, SetCookies or SignOut in the
// same request it is the new one.
func (m *Manager) Browser(r *http.Request) secret.Hash {
	return tokenHash(m.cookies.get(r).ID)
}

// Ensure returns the browser's hash, and gives an anonymous token to a browser
// that has none.
func (m *Manager) Ensure(w http.ResponseWriter, r *http.Request) (secret.Hash, error) {
	if s := m.cookies.get(r); s.ID != "" {
		return tokenHash(s.ID), nil
	}
	token := secret.NewToken("")
	m.cookies.replace(w, r, token)
	return tokenHash(token), nil
}

// SignIn is who has just proven to be in front of a browser, and how.
type SignIn struct {
	User uuid.UUID
	// PasswordHash is as stored when it was verified; "" if no password was.
	PasswordHash string
	// Use is the second factor or passkey that was verified, spent with the sign-in; nil if none.
	Use *storage.FactorUse
	// External is the external identity that was verified upstream; nil if none was.
	External *storage.ExternalIdentity
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

// Start signs the user in under a new token, which it returns. If they were signed in under the
// one that the request came with already, the session stays (sid) and is renewed; anybody else's ends.
// storage.ErrConflict if the user was disabled or the password changed
// meanwhile, or there is nothing to step up; storage.ErrSpent if the factor was used.
func (m *Manager) Start(ctx context.Context, from Source, in SignIn) (token string, err error) {
	if from.API {
		token = TokenPrefix
	}
	token = secret.NewToken(token)
	start := m.start(from, in)
	start.Session.TokenHash = secret.HashOf(token)
	// A session that has idled out is not renewed: its grants would come back.
	if _, err := m.endIdle(ctx, from.Token); err != nil {
		return "", err
	}
	if err := m.refreshRows(ctx, in.User, start.Bound); err != nil {
		return "", err
	}
	if _, err := m.store.SignIn(ctx, start); err != nil {
		return "", err
	}
	m.noteRequest(ctx, start.Session.TokenHash, start.Session.LastSeenAt)
	m.moveStates(ctx, from.Token, start.Session.TokenHash)
	return token, nil
}

// SetCookies gives the browser what a sign-in has made: the session's token and the device
// cookie, "" for one that stays as it is.
func (m *Manager) SetCookies(w http.ResponseWriter, r *http.Request, token, device string) {
	if token != "" {
		m.cookies.replace(w, r, token)
	}
	if device != "" {
		m.devices.SetCookie(w, device)
	}
}

// start is the row that a sign-in makes.
func (m *Manager) start(from Source, in SignIn) *storage.SignIn {
	now := m.now()
	ends, bound := now.Add(m.lifetime), storage.SessionBound{Most: m.perUser, Half: in.Half, HalfACR: m.halfACR}
	if in.Half {
		ends, bound.Most = now.Add(min(m.lifetime, halfLifetime)), halfPerUser
	}
	row := storage.Session{
		ID: uuid.Must(uuid.NewV7()), UserID: in.User, AuthTime: now, ACR: in.ACR, AMR: in.AMR,
		Browser: from.Browser, Network4: from.Network4, Network6: from.Network6, API: from.API,
		CreatedAt: now, LastSeenAt: now, IdleExpiresAt: m.idleEnd(now, m.redis.available()), ExpiresAt: ends,
	}
	return &storage.SignIn{
		Session: row, Browser: from.Token, Device: deviceHash(from.Device), PasswordHash: in.PasswordHash, Use: in.Use,
		External: in.External, StepUp: in.StepUp, Bound: bound, Notice: in.Notice, Owed: in.Owed, RequestID: from.RequestID,
		Personal: map[string]string{"address": from.Address.String(), "browser": row.Browser},
	}
}

// SignOut ends the browser's session, if it has one, with its grants that are
// not offline, and takes the cookie away. Flows that wait in other tabs go on under a
// new anonymous token; they ask who is there.
func (m *Manager) SignOut(w http.ResponseWriter, r *http.Request) error {
	browser, next := m.Browser(r), secret.NewToken("")
	if err := m.end(r, browser, storage.EndSignOut); err != nil {
		return err
	}
	waiting, err := m.store.MoveFlows(r.Context(), browser, tokenHash(next))
	if err != nil {
		return err
	}
	if !waiting {
		next = ""
	}
	m.cookies.replace(w, r, next)
	return nil
}

// end ends the session of a token, if there is one.
func (m *Manager) end(r *http.Request, token secret.Hash, reason string) error {
	if token.IsZero() {
		return nil
	}
	_, err := m.store.EndSession(r.Context(), token, reason, m.requestID(r.Context()))
	return err
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
