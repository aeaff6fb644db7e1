package storage

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
)

// EndDisconnected is why the grants of a client end that a person disconnected.
const EndDisconnected = "disconnected"

// Connection is something a person has let a client do: a consent that is
// remembered, or a grant that lives.
type Connection struct {
	Client       Client        // without its secrets
	Organization *Organization // nil if it names none
	Scopes       []string
	CreatedAt    time.Time
	// GrantID, Offline and LastUsedAt are a grant's; a consent has none of them.
	GrantID    uuid.UUID
	Offline    bool
	LastUsedAt time.Time
	ExpiresAt  time.Time
}

// Connections returns the consents and grants of a person that count, a client's
// all together.
func (s *Store) Connections(ctx context.Context, userID uuid.UUID) ([]Connection, error) {
	var all []Connection
	now := usec(s.clock())
	err := s.rows(ctx, func(r *sqlx.Rows) error {
		var c Connection
		var o Organization
		if err := r.Scan(append(append(c.Client.dest(), o.dest()...), list{&c.Scopes}, instant{&c.CreatedAt}, optional[uuid.UUID]{&c.GrantID},
			optional[bool]{&c.Offline}, instant{&c.LastUsedAt}, instant{&c.ExpiresAt})...); err != nil {
			return err
		}
		if o.ID != uuid.Nil {
			c.Organization = &o
		}
		all = append(all, c)
		return nil
	}, `SELECT `+clientColumns+`, `+organizationColumns+`, x.scopes, x.at, x.grant_id, x.offline, x.last_used_at, x.expires_at
		FROM (
			SELECT k.client_id, k.organization_id, k.scopes, k.granted_at AS at, CAST(NULL AS uuid) AS grant_id, CAST(NULL AS boolean) AS offline,
				CAST(NULL AS bigint) AS last_used_at, k.expires_at
			FROM consents k WHERE k.user_id = ? AND k.withdrawn_at IS NULL AND k.expires_at > ?
			UNION ALL
			SELECT g.client_id, g.organization_id, g.scopes, g.created_at, g.id, g.offline, g.last_used_at, g.expires_at
			FROM grants g LEFT JOIN sessions s ON s.id = g.session_id
			WHERE g.user_id = ? AND `+liveGrant+`
		) AS x JOIN clients c ON c.id = x.client_id LEFT JOIN organizations o ON o.id = x.organization_id AND o.deleted_at IS NULL
		WHERE c.deleted_at IS NULL ORDER BY c.name, c.id, x.at DESC`,
		id(userID), now, id(userID), now, now, now)
	return all, fault("read what a person is connected to", err)
}

// Disconnect withdraws all consents of a person to a client and revokes all its
// grants of theirs, offline ones too. ErrNotFound if there were neither.
func (s *Store) Disconnect(ctx context.Context, userID uuid.UUID, clientID string, e *Event) error {
	err := s.inTx(ctx, func(t *tx) error {
		if err := t.dropAnswers(ctx, userID, clientID); err != nil {
			return err
		}
		now := usec(s.clock())
		withdrawn, err := t.exec(ctx, `UPDATE consents SET withdrawn_at = ? WHERE user_id = ? AND client_id = ? AND withdrawn_at IS NULL`, now, id(userID), clientID)
		if err != nil {
			return err
		}
		revoked, err := t.exec(ctx, `UPDATE grants SET revoked_at = ?, revoke_reason = ? WHERE user_id = ? AND client_id = ? AND revoked_at IS NULL`,
			now, EndDisconnected, id(userID), clientID)
		if err == nil && withdrawn+revoked == 0 {
			err = ErrNotFound
		}
		if err != nil {
			return err
		}
		return t.event(ctx, e)
	})
	return fault("disconnect a client", err)
}

// RevokeGrantOf is RevokeGrant by its person. ErrNotFound if they have none such that lives.
func (s *Store) RevokeGrantOf(ctx context.Context, userID, grantID uuid.UUID, e *Event) error {
	err := s.inTx(ctx, func(t *tx) error {
		err := t.row(ctx, `UPDATE grants SET revoked_at = ?, revoke_reason = ? WHERE id = ? AND user_id = ? AND revoked_at IS NULL RETURNING client_id`,
			usec(s.clock()), EndByPerson, id(grantID), id(userID)).Scan(&e.Client)
		if err != nil {
			return err
		}
		return t.event(ctx, e)
	})
	return fault("revoke a grant of a person", err)
}
