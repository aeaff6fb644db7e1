package storage

import (
	"context"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
)

// SessionsBefore returns up to limit live sessions of a person, the newest first,
// that are older than the one with that id; uuid.Max begins.
func (s *Store) SessionsBefore(ctx context.Context, userID, before uuid.UUID, limit int) ([]Session, error) {
	var all []Session
	now := usec(s.clock())
	err := s.rows(ctx, func(r *sqlx.Rows) error {
		var row Session
		err := r.Scan(row.dest()...)
		all = append(all, row)
		return err
	}, `SELECT `+sessionColumns+` FROM sessions s WHERE s.user_id = ? AND s.ended_at IS NULL AND s.expires_at > ? AND s.idle_expires_at > ?
		AND s.id < ? ORDER BY s.id DESC LIMIT ?`, id(userID), now, now, before.String(), limit)
	return all, fault("list a page of the sessions of a person", err)
}

// liveGrant is the condition under which a grant g, LEFT JOINed to its session s,
// gives access still. It takes the time three times.
const liveGrant = `g.revoked_at IS NULL AND g.expires_at > ? AND (g.offline OR g.session_id IS NULL OR (s.ended_at IS NULL AND s.expires_at > ? AND s.idle_expires_at > ?))`

// UserGrants is SessionsBefore for the live grants of a person.
func (s *Store) UserGrants(ctx context.Context, userID, before uuid.UUID, limit int) ([]Grant, error) {
	var all []Grant
	now := usec(s.clock())
	err := s.rows(ctx, func(r *sqlx.Rows) error {
		var g Grant
		err := r.Scan(g.dest()...)
		all = append(all, g)
		return err
	}, `SELECT `+grantColumns+` FROM grants g LEFT JOIN sessions s ON s.id = g.session_id
		WHERE g.user_id = ? AND `+liveGrant+` AND g.id < ? ORDER BY g.id DESC LIMIT ?`, id(userID), now, now, now, before.String(), limit)
	return all, fault("list the grants of a person", err)
}

// UserGrant returns one live grant of a person, or ErrNotFound.
func (s *Store) UserGrant(ctx context.Context, userID, grantID uuid.UUID) (*Grant, error) {
	var g Grant
	now := usec(s.clock())
	err := s.row(ctx, `SELECT `+grantColumns+` FROM grants g LEFT JOIN sessions s ON s.id = g.session_id WHERE g.id = ? AND g.user_id = ? AND `+liveGrant,
		id(grantID), id(userID), now, now, now).Scan(g.dest()...)
	if err != nil {
		return nil, fault("read a grant of a person", err)
	}
	return &g, nil
}

// MembershipsAfter returns up to limit live organizations of a person, by slug, that
// come after that slug; "" begins.
func (s *Store) MembershipsAfter(ctx context.Context, userID uuid.UUID, slug string, limit int) ([]Membership, error) {
	var all []Membership
	err := s.rows(ctx, func(r *sqlx.Rows) error {
		m := Membership{UserID: userID}
		err := m.scan(r)
		all = append(all, m)
		return err
	}, `SELECT `+membershipColumns+` FROM memberships m JOIN organizations o ON o.id = m.organization_id
		WHERE m.user_id = ? AND o.deleted_at IS NULL AND o.slug > ? ORDER BY o.slug LIMIT ?`, id(userID), slug, limit)
	return all, fault("list a page of the organizations of a person", err)
}
