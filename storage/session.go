package storage

import (
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// Session is one signed-in browser. Its cookie holds a token of which only the
// hash is kept; ID is the sid of its tokens.
type Session struct {
	ID        uuid.UUID
	TokenHash secret.Hash
	UserID    uuid.UUID
	// AuthTime is when the person last proved who they are (OpenID Connect Core 1.0, section 2).
	AuthTime time.Time
	ACR      string
	AMR      []string // RFC 8176
	// Browser is family and operating system, "Firefox on Linux"; Network4 and
	// Network6 are the /24 and /56 it was used from. Strong protection compares them.
	Browser   string
	Network4  string
	Network6  string
	CreatedAt time.Time
	// LastSeenAt is touched at most once a minute; IdleExpiresAt moves with it.
	LastSeenAt    time.Time
	IdleExpiresAt time.Time
	ExpiresAt     time.Time
	EndedAt       time.Time
}

const sessionColumns = `s.id, s.token_hash, s.user_id, s.auth_time, s.acr, s.amr, s.browser, s.network4, s.network6, s.created_at, s.last_seen_at, s.idle_expires_at, s.expires_at, s.ended_at`

// dest are the scan targets of sessionColumns; they bear the NULLs of a LEFT JOIN.
func (s *Session) dest() []any {
	return []any{optional[uuid.UUID]{&s.ID}, &s.TokenHash, optional[uuid.UUID]{&s.UserID}, instant{&s.AuthTime}, optional[string]{&s.ACR}, list{&s.AMR},
		optional[string]{&s.Browser}, optional[string]{&s.Network4}, optional[string]{&s.Network6}, instant{&s.CreatedAt},
		instant{&s.LastSeenAt}, instant{&s.IdleExpiresAt}, instant{&s.ExpiresAt}, instant{&s.EndedAt}}
}

// Live reports whether the session still signs anybody in at now.
func (s *Session) Live(now time.Time) bool {
	return s.ID != uuid.Nil && s.EndedAt.IsZero() && now.Before(s.ExpiresAt) && now.Before(s.IdleExpiresAt)
}
