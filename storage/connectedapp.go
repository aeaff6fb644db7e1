package storage

import (
	"cmp"
	"context"
	"time"

	"github.com/google/uuid"
)

// EndDisconnected is why the grants of a client end that a person disconnected.
const EndDisconnected = "disconnected"

// ConnectedApp is something a person has let a client do: a consent that is
// remembered, or a grant that lives.
type ConnectedApp struct {
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

// ConnectedApps returns the consents and grants of a person that count, a client's
// all together.
func (s *Store) ConnectedApps(ctx context.Context, userID uuid.UUID) ([]ConnectedApp, error) {
	var all []ConnectedApp
	now := usec(s.clock())
	err := s.rows(ctx, func(r scanner) error {
		var c ConnectedApp
		var o Organization
		if err := r.Scan(append(append(clientRow.dest(&c.Client), organizationRow.dest(&o)...), &c.Scopes, &c.CreatedAt, &c.GrantID,
			&c.Offline, &c.LastUsedAt, &c.ExpiresAt)...); err != nil {
			return err
		}
		if o.ID != uuid.Nil {
			c.Organization = &o
		}
		all = append(all, c)
		return nil
	}, `SELECT `+clientRow.columns+`, `+organizationRow.columns+`, x.scopes, x.at, x.grant_id, x.offline, x.last_used_at, x.expires_at
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
	return s.change(ctx, "disconnect a client", func(t *tx) error {
		if err := t.dropAnswers(ctx, userID, clientID); err != nil {
			return err
		}
		withdrawn, err := t.exec(ctx, `UPDATE consents SET withdrawn_at = ? WHERE user_id = ? AND client_id = ? AND withdrawn_at IS NULL`,
			usec(s.clock()), id(userID), clientID)
		if err != nil {
			return err
		}
		revoked, err := t.revokeGrants(ctx, EndDisconnected, `user_id = ? AND client_id = ?`, id(userID), clientID)
		if err == nil && withdrawn+revoked == 0 {
			err = ErrNotFound
		}
		if err != nil {
			return err
		}
		return t.event(ctx, e)
	})
}

// RevokeGrantOf is RevokeGrant by its person. ErrNotFound if they have none such that lives.
func (s *Store) RevokeGrantOf(ctx context.Context, userID, grantID uuid.UUID, e *Event) error {
	return s.change(ctx, "revoke a grant of a person", func(t *tx) error {
		err := t.row(ctx, `SELECT client_id FROM grants WHERE id = ? AND user_id = ?`, id(grantID), id(userID)).Scan(&e.Client)
		if err != nil {
			return err
		}
		n, err := t.revokeGrants(ctx, EndByPerson, `id = ?`, id(grantID))
		if err != nil || n == 0 {
			return cmp.Or(err, ErrNotFound)
		}
		return t.event(ctx, e)
	})
}
