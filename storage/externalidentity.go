package storage

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// ExternalIdentity is whom a connection knows under a subject, and the user that it signs in.
type ExternalIdentity struct {
	ConnectionID uuid.UUID `db:"connection_id"`
	// Subject is the upstream's identifier of a person. It is never an address.
	Subject string    `db:"subject"`
	UserID  uuid.UUID `db:"user_id"`
	// Email is what the upstream said last; "" if nothing. Nothing is decided by it.
	Email      string    `db:"email"`
	CreatedAt  time.Time `db:"created_at"`
	LastUsedAt time.Time `db:"last_used_at"`
	// SID is the provider's session that a sign-in came through; "" if it told none. It is kept with our session.
	SID string
}

var externalIdentityRow = layoutOf[ExternalIdentity]("e")

// ExternalUser returns the user of an external identity, disabled ones too. ErrNotFound if no user has it.
func (s *Store) ExternalUser(ctx context.Context, connectionID uuid.UUID, subject string) (*User, error) {
	return one(ctx, s, "read a person by an external identity", userRow.dest, `SELECT `+userRow.columns+`
		FROM external_identities e JOIN users u ON u.id = e.user_id WHERE e.connection_id = ? AND e.subject = ?`, id(connectionID), subject)
}

// ExternalIdentities returns those of a user, the oldest first.
func (s *Store) ExternalIdentities(ctx context.Context, userID uuid.UUID) ([]ExternalIdentity, error) {
	return list(ctx, s, "list external identities", externalIdentityRow.dest, `SELECT `+externalIdentityRow.columns+`
		FROM external_identities e WHERE e.user_id = ? ORDER BY e.created_at, e.subject`, id(userID))
}

// LinkIdentity gives an external identity to its user, in a session that must be live (ErrSpent). ErrExists if a user
// has it already, ErrEmailUnverified where the user's own address is not verified, ErrConflict if the connection is
// disabled.
func (s *Store) LinkIdentity(ctx context.Context, x *ExternalIdentity, session uuid.UUID, e *Event) error {
	err := s.inTx(ctx, func(t *tx) error {
		if err := t.lockVerifiedUser(ctx, x.UserID); err != nil {
			return err
		}
		if err := t.requireLiveSession(ctx, x.UserID, session, ErrSpent); err != nil {
			return err
		}
		if err := t.insertIdentity(ctx, x); err != nil {
			return err
		}
		return t.event(ctx, e)
	})
	return fault("link an external identity", err)
}

func (t *tx) insertIdentity(ctx context.Context, x *ExternalIdentity) error {
	return execOr(ctx, t, ErrConflict, `INSERT INTO external_identities (connection_id, subject, user_id, email, created_at)
		SELECT c.id, `+t.s.engine.casts("text", "uuid", "text", "bigint")+` FROM connections c WHERE c.id = ? AND `+connectionEnabled,
		x.Subject, id(x.UserID), x.Email, usec(x.CreatedAt), id(x.ConnectionID))
}

// UnlinkIdentity takes an external identity from its user, in a session that must be live (ErrSpent). ErrConflict if
// the user could not sign in any more: without a password, a passkey and another identity of a connection that is
// enabled.
func (s *Store) UnlinkIdentity(ctx context.Context, x *ExternalIdentity, session uuid.UUID, e *Event) error {
	err := s.inTx(ctx, func(t *tx) error {
		if err := t.lockUser(ctx, x.UserID); err != nil {
			return err
		}
		if err := t.requireLiveSession(ctx, x.UserID, session, ErrSpent); err != nil {
			return err
		}
		if err := execOr(ctx, t, ErrNotFound, `DELETE FROM external_identities WHERE connection_id = ? AND subject = ? AND user_id = ?`,
			id(x.ConnectionID), x.Subject, id(x.UserID)); err != nil {
			return err
		}
		var left int
		err := t.row(ctx, `SELECT (SELECT count(*) FROM passwords WHERE user_id = u.id)
				+ (SELECT count(*) FROM factors f WHERE f.user_id = u.id AND f.passkey AND f.confirmed_at IS NOT NULL)
				+ (SELECT count(*) FROM external_identities e JOIN connections c ON c.id = e.connection_id
					WHERE e.user_id = u.id AND `+connectionEnabled+`)
			FROM users u WHERE u.id = ?`, id(x.UserID)).Scan(&left)
		if err == nil && left == 0 {
			err = ErrConflict
		}
		if err != nil {
			return err
		}
		return t.event(ctx, e)
	})
	return fault("unlink an external identity", err)
}

// useIdentity notes that an external identity signs its user in. ErrConflict if it is not theirs any more or its
// connection is disabled.
func (t *tx) useIdentity(ctx context.Context, x *ExternalIdentity) error {
	return execOr(ctx, t, ErrConflict, `UPDATE external_identities SET last_used_at = ?, email = ? WHERE connection_id = ? AND subject = ? AND user_id = ?
		AND EXISTS (SELECT 1 FROM connections c WHERE c.id = external_identities.connection_id AND `+connectionEnabled+`)`,
		usec(t.s.clock()), x.Email, id(x.ConnectionID), x.Subject, id(x.UserID))
}

// noteUpstream notes through which connection a session came.
func (t *tx) noteUpstream(ctx context.Context, session uuid.UUID, x *ExternalIdentity) error {
	_, err := t.exec(ctx, `INSERT INTO upstream_sessions (session_id, connection_id, subject, sid) VALUES (?, ?, ?, ?)
		ON CONFLICT (session_id) DO UPDATE SET connection_id = excluded.connection_id, subject = excluded.subject, sid = excluded.sid`,
		id(session), id(x.ConnectionID), x.Subject, x.SID)
	return err
}

// EndUpstream is why a session ended whose user signed out at the provider that it came through.
const EndUpstream = "upstream_sign_out"

// UpstreamLogout is a sign-out at the provider of a connection, as its logout token tells it.
type UpstreamLogout struct {
	ConnectionID uuid.UUID
	Subject, SID string // "" stands for any subject, or any session; both "" end none
	Token        secret.Hash
	ExpiresAt    time.Time // of the token
	RequestID    string
}

// EndUpstreamSessions ends the live sessions that came through a connection with that subject and in that session of
// the provider, with their grants that are not offline. It returns how many. The token is spent with them, so that one
// whose transaction failed can be sent again; ErrSpent for one that was used before.
func (s *Store) EndUpstreamSessions(ctx context.Context, l UpstreamLogout) (n int, err error) {
	where, args := `x.connection_id = ?`, []any{id(l.ConnectionID)}
	if l.Subject != "" {
		where, args = where+` AND x.subject = ?`, append(args, l.Subject)
	}
	if l.SID != "" {
		where, args = where+` AND x.sid = ?`, append(args, l.SID)
	}
	err = s.inTx(ctx, func(t *tx) error {
		n = 0
		if err := t.spendChallenge(ctx, l.Token, l.ExpiresAt); err != nil || len(args) == 1 {
			return err
		}
		all, err := list(ctx, t, "read the sessions of an upstream", column[uuid.UUID],
			`SELECT x.session_id FROM upstream_sessions x WHERE `+where+` ORDER BY x.session_id`, args...)
		for i := 0; i < len(all) && err == nil; i++ {
			var ended []Session
			if ended, err = t.endSessions(ctx, EndUpstream, `id = ?`, id(all[i])); err != nil || len(ended) == 0 {
				continue
			}
			n++
			if _, err = t.revokeGrants(ctx, EndUpstream, `session_id = ? AND NOT offline`, id(all[i])); err == nil {
				e := endedEvent(&ended[0], EndUpstream, l.RequestID)
				e.Actor, e.Facts["connection"] = uuid.Nil, l.ConnectionID // the provider ended it, not the user
				err = t.event(ctx, e)
			}
		}
		return err
	})
	return n, fault("end the sessions of an upstream", err)
}
