package storage

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
)

// Message is something to tell the outside world, written in the transaction of
// what it tells about and delivered at least once.
type Message struct {
	ID   uuid.UUID
	Kind string // who delivers it
	// Dedupe, if set, makes a second message with the same value nothing.
	Dedupe    string
	Payload   json.RawMessage
	CreatedAt time.Time
	// AvailableAt is when it may be tried next.
	AvailableAt time.Time
	// Attempts counts the tries begun, this one included.
	Attempts int

	lease string
}

// Enqueue writes messages that go with no other change.
func (s *Store) Enqueue(ctx context.Context, messages ...*Message) error {
	err := s.inTx(ctx, func(t *tx) error { return t.enqueue(ctx, messages...) })
	return fault("enqueue a message", err)
}

// enqueue writes messages within t.
func (t *tx) enqueue(ctx context.Context, messages ...*Message) error {
	for _, m := range messages {
		if m.ID == uuid.Nil {
			m.ID = uuid.Must(uuid.NewV7())
		}
		now := t.s.clock()
		m.CreatedAt = now
		if m.AvailableAt.IsZero() {
			m.AvailableAt = now
		}
		var dedupe any
		if m.Dedupe != "" {
			dedupe = m.Dedupe
		}
		if _, err := t.exec(ctx, `INSERT INTO outbox (id, kind, dedupe, payload, created_at, available_at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (dedupe) DO NOTHING`,
			id(m.ID), m.Kind, dedupe, string(m.Payload), usec(m.CreatedAt), usec(m.AvailableAt)); err != nil {
			return err
		}
	}
	return nil
}

// LeaseMessages takes up to limit messages of a kind that are due and hides them
// from every other worker for the given time. A worker that dies lets them come
// back by themselves.
func (s *Store) LeaseMessages(ctx context.Context, kind string, limit int, hold time.Duration) ([]*Message, error) {
	lease := uuid.NewString()
	now := s.clock()
	var all []*Message
	err := s.inTx(ctx, func(t *tx) error {
		all = nil
		// The outer condition repeats the inner one: of two workers that chose the same
		// rows the later one looks at it again when it gets them.
		return t.rows(ctx, func(r *sqlx.Rows) error {
			m := &Message{lease: lease}
			var payload string
			err := r.Scan(&m.ID, &m.Kind, optional[string]{&m.Dedupe}, &payload, instant{&m.CreatedAt}, instant{&m.AvailableAt}, &m.Attempts)
			m.Payload = json.RawMessage(payload)
			all = append(all, m)
			return err
		}, `UPDATE outbox SET lease = ?, available_at = ?, attempts = attempts + 1
			WHERE done_at IS NULL AND available_at <= ? AND id IN
				(SELECT o.id FROM outbox o WHERE o.kind = ? AND o.done_at IS NULL AND o.available_at <= ? ORDER BY o.available_at, o.id LIMIT ?)
			RETURNING id, kind, dedupe, payload, created_at, available_at, attempts`,
			lease, usec(now.Add(hold)), usec(now), kind, usec(now), limit)
	})
	if err != nil {
		return nil, fault("lease messages", err)
	}
	return all, nil
}

// MessageDone ends a message that was delivered. ErrSpent if the lease ran out
// and another worker has the message now: it was or will be delivered again.
func (s *Store) MessageDone(ctx context.Context, m *Message) error {
	n, err := s.exec(ctx, `UPDATE outbox SET done_at = ?, last_error = '' WHERE id = ? AND lease = ? AND done_at IS NULL`, usec(s.clock()), id(m.ID), m.lease)
	if err == nil && n == 0 {
		err = ErrSpent
	}
	return fault("end a message", err)
}

// MessageFailed lets a message be tried again later, the later the oftener it
// failed: 10 s, 20 s, 40 s … an hour at most, each spread by up to a fifth so that
// what failed together does not return together. reason is kept for the operator
// and holds no secret. ErrSpent as for MessageDone.
func (s *Store) MessageFailed(ctx context.Context, m *Message, reason string) error {
	wait := min(10*time.Second<<min(m.Attempts-1, 10), time.Hour)
	wait += rand.N(wait / 5)
	n, err := s.exec(ctx, `UPDATE outbox SET available_at = ?, lease = '', last_error = ? WHERE id = ? AND lease = ? AND done_at IS NULL`,
		usec(s.clock().Add(wait)), reason, id(m.ID), m.lease)
	if err == nil && n == 0 {
		err = ErrSpent
	}
	return fault("put a message back", err)
}
