package storage

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// Session is one signed-in browser. Its cookie holds a token of which only the
// hash is kept; ID is the sid of its tokens.
type Session struct {
	ID        uuid.UUID   `db:"id"`
	TokenHash secret.Hash `db:"token_hash"`
	UserID    uuid.UUID   `db:"user_id"`
	// AuthTime is when the person last proved who they are (OpenID Connect Core 1.0, section 2).
	AuthTime time.Time `db:"auth_time"`
	ACR      string    `db:"acr"`
	AMR      []string  `db:"amr"` // RFC 8176
	// Browser is family and operating system, "Firefox on Linux"; Network4 and
	// Network6 are the /24 and /56 it was used from. Strong protection compares them.
	Browser   string    `db:"browser"`
	Network4  string    `db:"network4"`
	Network6  string    `db:"network6"`
	CreatedAt time.Time `db:"created_at"`
	// LastSeenAt is touched at most once a minute; IdleExpiresAt moves with it.
	LastSeenAt    time.Time `db:"last_seen_at"`
	IdleExpiresAt time.Time `db:"idle_expires_at"`
	ExpiresAt     time.Time `db:"expires_at"`
	EndedAt       time.Time `db:"ended_at"`
	// API: the session of a bearer token for the JSON API instead of a browser.
	API bool `db:"api"`
	// AnyNetwork: strong protection compares the browser only; see SignIn.Device.
	AnyNetwork bool `db:"any_network"`
}

var sessionRow = layoutOf[Session]("s")

// Live reports whether the session still signs anybody in at now.
func (s *Session) Live(now time.Time) bool {
	return s.ID != uuid.Nil && s.EndedAt.IsZero() && now.Before(s.ExpiresAt) && now.Before(s.IdleExpiresAt)
}

// The reasons of an end, in sessions.end_reason and in the event.
const (
	EndSignOut  = "sign_out"
	EndReplaced = "replaced"        // another user signed in in this browser, or the session had run out
	EndBrowser  = "browser_changed" // under strong protection
	EndNetwork  = "network_changed" // under strong protection
	EndBound    = "bound"           // the person signed in more often than SESSIONS_PER_USER
)

// RecordNetwork notes the first network of the other address family that a live
// session is used from. Only empty ones are filled in.
func (s *Store) RecordNetwork(ctx context.Context, sid uuid.UUID, network4, network6 string) error {
	_, err := s.exec(ctx, `UPDATE sessions SET network4 = CASE WHEN network4 = '' THEN ? ELSE network4 END, network6 = CASE WHEN network6 = '' THEN ? ELSE network6 END
		WHERE id = ? AND ended_at IS NULL`, network4, network6, id(sid))
	return fault("record a network", err)
}

// SessionByID returns a session, ended and expired ones too until they are swept.
func (s *Store) SessionByID(ctx context.Context, sid uuid.UUID) (*Session, error) {
	return one(ctx, s, "read a session", sessionRow.dest, `SELECT `+sessionRow.columns+` FROM sessions s WHERE s.id = ?`, id(sid))
}

// Sessions returns the live sessions of a person, the latest used first.
func (s *Store) Sessions(ctx context.Context, userID uuid.UUID) ([]Session, error) {
	now := usec(s.clock())
	return list(ctx, s, "list the sessions of a person", sessionRow.dest, `SELECT `+sessionRow.columns+` FROM sessions s
		WHERE s.user_id = ? AND s.ended_at IS NULL AND s.expires_at > ? AND s.idle_expires_at > ? ORDER BY s.last_seen_at DESC, s.id`, id(userID), now, now)
}

// SessionsBefore returns up to limit live sessions of a person, the newest first,
// that are older than the one with that id; uuid.Max begins.
func (s *Store) SessionsBefore(ctx context.Context, userID, before uuid.UUID, limit int) ([]Session, error) {
	now := usec(s.clock())
	return list(ctx, s, "list a page of the sessions of a person", sessionRow.dest, `SELECT `+sessionRow.columns+` FROM sessions s
		WHERE s.user_id = ? AND s.ended_at IS NULL AND s.expires_at > ? AND s.idle_expires_at > ? AND s.id < ? ORDER BY s.id DESC LIMIT ?`,
		id(userID), now, now, before.String(), limit)
}
