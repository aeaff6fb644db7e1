package storage

import (
	"context"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
)

// EventsAbout returns up to limit events that concern a person, the newest first.
func (s *Store) EventsAbout(ctx context.Context, userID uuid.UUID, limit int) ([]Event, error) {
	var all []Event
	err := s.rows(ctx, func(r *sqlx.Rows) error {
		e := Event{User: userID}
		err := r.Scan(&e.ID, instant{&e.At}, &e.Type, optional[uuid.UUID]{&e.Organization}, optional[uuid.UUID]{&e.Actor}, optional[string]{&e.Client}, &e.RequestID, document{&e.Personal})
		all = append(all, e)
		return err
	}, `SELECT e.id, e.occurred_at, e.type, e.organization_id, e.actor_id, e.client_id, e.request_id, e.personal
		FROM audit_events e WHERE e.user_id = ? ORDER BY e.id DESC LIMIT ?`, id(userID), limit)
	return all, fault("read the events about a person", err)
}
