package storage

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
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
	At time.Time
	// Type is noun.verb in past tense, "grant.created".
	Type string
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

// insertEvent takes the arguments of (*Event).args.
const insertEvent = `INSERT INTO audit_events (` + eventColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

// selectEvent is the same row as a SELECT list for PostgreSQL, so that a CTE can
// write the event only where its guard held: selectEvent + " FROM guard".
const selectEvent = `SELECT CAST(? AS uuid), CAST(? AS bigint), CAST(? AS text), CAST(? AS uuid), CAST(? AS uuid), CAST(? AS uuid),
	CAST(? AS text), CAST(? AS text), CAST(? AS text), CAST(? AS text), CAST(? AS bytea), CAST(? AS bytea)`

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
	var client any
	if e.Client != "" {
		client = e.Client
	}
	return []any{e.ID.String(), usec(e.At), e.Type, id(e.Organization), id(e.Actor), id(e.User), client, e.RequestID, string(facts), personal, salt, digest}, nil
}

// event writes e within t, unless its actor may not do (any more) what it tells about.
func (t *tx) event(ctx context.Context, e *Event) error {
	if err := t.authorize(ctx, e); err != nil {
		return err
	}
	args, err := e.args(t.s.clock())
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, insertEvent, args...)
	return err
}

// Record writes an event that goes with no other change, such as a refusal.
func (s *Store) Record(ctx context.Context, e *Event) error {
	if e.Authority != (Authority{}) {
		return fault("record an event", s.inTx(ctx, func(t *tx) error { return t.event(ctx, e) }))
	}
	args, err := e.args(s.clock())
	if err != nil {
		return err
	}
	_, err = s.exec(ctx, insertEvent, args...)
	return fault("record an event", err)
}
