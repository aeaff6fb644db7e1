package storage

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Event is one line of the audit log. It is written by the statement or the
// transaction of the change it tells about; numbering, chaining and signing come
// later and off the request's path.
type Event struct {
	// ID is chosen when the event is written, if it is nil.
	ID uuid.UUID
	// At is when it happened; the zero time means when it is written.
	At   time.Time
	Type EventType
	// Organization is whose log this belongs to; nil for the platform's own.
	Organization uuid.UUID
	// Actor is the person who did it, nil for a client or the server itself.
	Actor uuid.UUID
	// Authority is what entitles Actor to it. It is checked, not kept.
	Authority Authority
	// User is the person it was done to or for.
	User uuid.UUID
	// Client is the client_id concerned.
	Client string
	// RequestID ties the event to the access log and the error page.
	RequestID string
	// Facts never name a person: ids, scopes, counts, reasons.
	Facts map[string]any
	// Personal names one: addresses, devices. It is erased with the person; the
	// chain covers only its salted digest.
	Personal map[string]string
}

const eventColumns = `id, occurred_at, type, organization_id, actor_id, user_id, client_id, request_id, facts, personal, personal_salt, personal_digest`

// eventSQLTypes are the SQL types of eventColumns, which PostgreSQL cannot infer in a SELECT list.
var eventSQLTypes = []string{"uuid", "bigint", "text", "uuid", "uuid", "uuid", "text", "text", "text", "text", "bytea", "bytea"}

// insertEventFrom is the PostgreSQL statement that writes an event for each row of a source, such as the CTE of the
// change, so that there is no event where the guard of the change did not hold. It takes the arguments of (*Event).args:
// by position, or where prefix is set as named ones, ":prefix_id" and so on. set has expressions over the row in the
// place of columns; each takes the one argument of its column.
func insertEventFrom(source, prefix string, set map[string]string) string {
	values := strings.Split(eventColumns, ", ")
	for n, column := range values {
		arg := "?"
		if prefix != "" {
			arg = prefix + column
		}
		values[n] = cmp.Or(set[column], "CAST("+arg+" AS "+eventSQLTypes[n]+")")
	}
	return `INSERT INTO audit_events (` + eventColumns + `) SELECT ` + strings.Join(values, ", ") + ` FROM ` + source
}

// args are the twelve values of one event row.
func (e *Event) args(now time.Time) ([]any, error) {
	if e.ID == uuid.Nil {
		e.ID = uuid.Must(uuid.NewV7())
	}
	if e.At.IsZero() {
		e.At = now
	}
	facts, err := json.Marshal(e.Facts)
	if err != nil {
		return nil, err
	}
	if e.Facts == nil {
		facts = []byte("{}")
	}
	var personal, salt, digest any
	if len(e.Personal) > 0 {
		p, err := json.Marshal(e.Personal)
		if err != nil {
			return nil, err
		}
		s := make([]byte, 16)
		rand.Read(s)
		d := sha256.Sum256(append(append([]byte{}, s...), p...))
		personal, salt, digest = string(p), s, d[:]
	}
	return []any{e.ID.String(), usec(e.At), string(e.Type), id(e.Organization), id(e.Actor), id(e.User),
		textOrNull(e.Client), e.RequestID, string(facts), personal, salt, digest}, nil
}

// writeEvent writes an event. Only insertEventFrom writes others, inside the statement of a change.
func writeEvent(ctx context.Context, x executor, e *Event, now time.Time) error {
	args, err := e.args(now)
	if err != nil {
		return err
	}
	_, err = x.exec(ctx, `INSERT INTO audit_events (`+eventColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, args...)
	return err
}

// event writes events within t, unless an actor may not do (any more) what its event tells about.
func (t *tx) event(ctx context.Context, all ...*Event) error {
	for _, e := range all {
		if err := t.authorize(ctx, e); err != nil {
			return err
		}
		if err := writeEvent(ctx, t, e, t.s.clock()); err != nil {
			return err
		}
	}
	return nil
}

// Record writes an event that goes with no other change, such as a refusal.
func (s *Store) Record(ctx context.Context, e *Event) error {
	if e.Authority == (Authority{}) {
		return fault("record an event", writeEvent(ctx, s, e, s.clock()))
	}
	return s.change(ctx, "record an event", func(t *tx) error { return t.event(ctx, e) })
}

// EventsAbout returns up to limit events that concern a person, the newest first.
func (s *Store) EventsAbout(ctx context.Context, userID uuid.UUID, limit int) ([]Event, error) {
	var all []Event
	err := s.rows(ctx, func(r scanner) error {
		e := Event{User: userID}
		err := r.Scan(&e.ID, &e.At, &e.Type, &e.Organization, &e.Actor,
			&e.Client, &e.RequestID, &e.Personal)
		all = append(all, e)
		return err
	}, `SELECT e.id, e.occurred_at, e.type, e.organization_id, e.actor_id, e.client_id, e.request_id, e.personal
		FROM audit_events e WHERE e.user_id = ? ORDER BY e.id DESC LIMIT ?`, id(userID), limit)
	return all, fault("read the events about a person", err)
}
