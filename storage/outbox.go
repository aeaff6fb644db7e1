package storage

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
)

// Message is something to tell the outside world, written in the transaction of
// what it tells about and delivered at least once.
type Message struct {
	ID   uuid.UUID `db:"id"`
	Kind string    `db:"kind"` // who delivers it
	// Dedupe, if set, makes a second message with the same value nothing.
	Dedupe    string          `db:"dedupe"`
	Payload   json.RawMessage `db:"payload"`
	CreatedAt time.Time       `db:"created_at"`
	// AvailableAt is when it may be tried next.
	AvailableAt time.Time `db:"available_at"`
	// Attempts counts the tries begun, this one included.
	Attempts int `db:"attempts"`
	// Unanswered counts those that failed and may have delivered it all the same.
	Unanswered int `db:"unanswered"`
	// TryingSince is when the first of those tries began that failed one after the
	// other, none of them for its recipient's sake; zero before the first.
	TryingSince time.Time `db:"trying_since"`
	// DoneAt is when it was delivered or given up; zero while it waits.
	DoneAt time.Time `db:"done_at"`
	// LastError is why the last try failed.
	LastError string `db:"last_error"`

	lease string
}

// Outbox is the queue of messages: Store.Outbox. What tells of another change is written with it instead (tx.enqueue).
type Outbox struct{ store *Store }

var messageRow = layoutOf[Message]("outbox")

// newMessage is the dest of a query for messages. A payload that was cleared is an empty object.
func newMessage(m **Message) []any {
	*m = &Message{}
	return messageRow.dest(*m)
}

// Add writes messages that go with no other change.
func (outbox Outbox) Add(ctx context.Context, messages ...*Message) error {
	return outbox.store.change(ctx, "enqueue a message", func(t *tx) error { return t.enqueue(ctx, messages...) })
}

// AddOnce writes a message with the event that says so, or neither where there is
// a message with its Dedupe already.
func (outbox Outbox) AddOnce(ctx context.Context, m *Message, e *Event) error {
	return outbox.store.change(ctx, "enqueue a message", func(t *tx) error {
		n, err := t.enqueueOne(ctx, m)
		if err != nil || n == 0 {
			return err
		}
		return t.event(ctx, e)
	})
}

// enqueue writes messages within t.
func (t *tx) enqueue(ctx context.Context, messages ...*Message) error {
	for _, m := range messages {
		if _, err := t.enqueueOne(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// enqueueOne returns 0 where there is a message with its Dedupe already.
func (t *tx) enqueueOne(ctx context.Context, m *Message) (int64, error) {
	if m.ID == uuid.Nil {
		m.ID = uuid.Must(uuid.NewV7())
	}
	now := t.s.clock()
	m.CreatedAt = now
	if m.AvailableAt.IsZero() {
		m.AvailableAt = now
	}
	return t.exec(ctx, `INSERT INTO outbox (id, kind, dedupe, payload, created_at, available_at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (dedupe) DO NOTHING`,
		id(m.ID), m.Kind, textOrNull(m.Dedupe), string(m.Payload), usec(m.CreatedAt), usec(m.AvailableAt))
}

// dueMessage and leaseMessages read outbox_due, whose order is theirs: what they
// cost does not grow with what waits. Without the order, PostgreSQL would read the
// table once dueMessage is prepared: it expects to meet a match at once. The outer
// condition of leaseMessages repeats the inner one: of two workers that chose the
// same rows the later one looks at it again when it gets them.
var (
	dueMessage    = `SELECT 1 FROM outbox WHERE kind = ? AND done_at IS NULL AND available_at <= ? ORDER BY available_at LIMIT 1`
	leaseMessages = `UPDATE outbox SET lease = ?, available_at = ?, attempts = attempts + 1, trying_since = COALESCE(trying_since, ?)
		WHERE done_at IS NULL AND available_at <= ? AND id IN
			(SELECT o.id FROM outbox o WHERE o.kind = ? AND o.done_at IS NULL AND o.available_at <= ? ORDER BY o.available_at, o.id LIMIT ?)
		RETURNING ` + messageRow.columns
)

// Lease takes up to limit messages of a kind that are due and hides them
// from every other worker for the given time. A worker that dies lets them come
// back by themselves. While nothing is due it writes nothing and waits for no
// writer, so that a worker may ask often.
func (outbox Outbox) Lease(ctx context.Context, kind string, limit int, hold time.Duration) ([]*Message, error) {
	lease := uuid.NewString()
	now := outbox.store.clock()
	due := false
	err := outbox.store.rows(ctx, func(scanner) error { due = true; return nil }, dueMessage, kind, usec(now))
	if err != nil || !due {
		return nil, fault("look for messages", err)
	}
	var all []*Message
	err = outbox.store.inTx(ctx, func(t *tx) error {
		all, err = list(ctx, t, "lease", func(m **Message) []any {
			dest := newMessage(m)
			(*m).lease = lease
			return dest
		}, leaseMessages, lease, usec(now.Add(hold)), usec(now), usec(now), kind, usec(now), limit)
		return err
	})
	return all, fault("lease messages", err)
}

// Finish ends a message that was delivered. It goes at once, for it may hold
// a link that signs a user in, or be about a person who has no account; unless
// keep is set. Of one with a Dedupe that and no payload stays, until it is swept.
// ErrSpent if the lease ran out and another worker has the message now: it was or
// will be delivered again.
func (outbox Outbox) Finish(ctx context.Context, m *Message, keep bool) error {
	var err error
	if m.Dedupe == "" && !keep {
		err = execOr(ctx, outbox.store, ErrSpent, `DELETE FROM outbox WHERE id = ? AND lease = ? AND done_at IS NULL`, id(m.ID), m.lease)
	} else {
		err = execOr(ctx, outbox.store, ErrSpent, `UPDATE outbox SET done_at = ?, last_error = '', payload = CASE WHEN ? THEN payload ELSE '{}' END WHERE id = ? AND lease = ? AND done_at IS NULL`,
			usec(outbox.store.clock()), keep, id(m.ID), m.lease)
	}
	return fault("end a message", err)
}

// GiveUp ends a message that cannot be delivered, together with the event
// that says so. reason is kept for the operator and holds no secret; the payload
// goes. ErrSpent as for Finish; then there is no event.
func (outbox Outbox) GiveUp(ctx context.Context, m *Message, reason string, e *Event) error {
	return outbox.store.change(ctx, "give a message up", func(t *tx) error {
		return t.doWith(ctx, e, ErrSpent, `UPDATE outbox SET done_at = ?, last_error = ?, payload = '{}' WHERE id = ? AND lease = ? AND done_at IS NULL`,
			usec(outbox.store.clock()), reason, id(m.ID), m.lease)
	})
}

// Failure is why a try failed.
type Failure struct {
	Reason     string // kept for the operator; holds no secret
	Unanswered bool   // it may have been delivered all the same
	Recipient  bool   // it is the recipient's own trouble, and no outage
}

// Retry lets a message be tried again later, the later the oftener it
// failed: 10 s, 20 s, 40 s … an hour at most, or where there was no answer 15
// minutes, two hours and 16, so that few copies outlast a long outage. Each wait is
// spread by up to a fifth, so that what failed together does not return together.
// ErrSpent as for Finish.
func (outbox Outbox) Retry(ctx context.Context, m *Message, f Failure) error {
	wait, copies := min(10*time.Second<<min(m.Attempts-1, 10), time.Hour), 0
	if f.Unanswered {
		wait, copies = 15*time.Minute<<(3*min(m.Unanswered, 2)), 1
	}
	wait += rand.N(wait / 5)
	return fault("put a message back", execOr(ctx, outbox.store, ErrSpent, `UPDATE outbox SET available_at = ?, lease = '', last_error = ?, unanswered = unanswered + ?,
			trying_since = CASE WHEN ? THEN NULL ELSE trying_since END WHERE id = ? AND lease = ? AND done_at IS NULL`,
		usec(outbox.store.clock().Add(wait)), f.Reason, copies, f.Recipient, id(m.ID), m.lease))
}

// List returns messages of a kind, the newest first, at most limit and only
// those older than before unless that is nil; the delivered ones that are left too,
// until they are swept.
func (outbox Outbox) List(ctx context.Context, kind string, before uuid.UUID, limit int) ([]*Message, error) {
	query, args := `SELECT `+messageRow.columns+` FROM outbox WHERE kind = ?`, []any{kind}
	if before != uuid.Nil {
		query, args = query+` AND id < ?`, append(args, id(before))
	}
	return list(ctx, outbox.store, "list messages", newMessage, query+` ORDER BY id DESC LIMIT ?`, append(args, limit)...)
}

// Get returns one message, or ErrNotFound.
func (outbox Outbox) Get(ctx context.Context, messageID uuid.UUID) (*Message, error) {
	return one(ctx, outbox.store, "read a message", messageRow.dest, `SELECT `+messageRow.columns+` FROM outbox WHERE id = ?`, id(messageID))
}

// CountWaiting counts the messages that are not delivered yet, and says when
// the oldest of them was written; the zero time if there is none. Those that are for
// a later time do not count.
func (outbox Outbox) CountWaiting(ctx context.Context) (n int, oldest time.Time, err error) {
	err = outbox.store.row(ctx, `SELECT COUNT(*), MIN(created_at) FROM outbox WHERE done_at IS NULL AND (attempts > 0 OR available_at <= ?)`, usec(outbox.store.clock())).Scan(&n, &oldest)
	return n, oldest, fault("count messages", err)
}

var stuckMessage = `SELECT ` + messageRow.columns + ` FROM outbox WHERE done_at IS NULL AND trying_since <= ? ORDER BY trying_since LIMIT 1`

// FindStuck returns the message that has been tried in vain the longest (see
// Message.TryingSince), or ErrNotFound if none has been for so long.
func (outbox Outbox) FindStuck(ctx context.Context, forLonger time.Duration) (*Message, error) {
	return one(ctx, outbox.store, "look for stuck messages", messageRow.dest, stuckMessage, usec(outbox.store.clock().Add(-forLonger)))
}
