package storage

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
)

func enqueue(t *testing.T, s *Store, n int) {
	t.Helper()
	for i := range n {
		if err := s.Outbox.Add(t.Context(), &Message{Kind: "mail", Payload: []byte(fmt.Sprintf(`{"n":%d}`, i))}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAMessageGoesToOneWorkerAtATime(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		const messages, workers = 60, 6
		enqueue(t, s, messages)
		var mu sync.Mutex
		seen := map[uuid.UUID]int{}
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				for {
					got, err := s.Outbox.Lease(t.Context(), "mail", 7, time.Hour)
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					for _, m := range got {
						seen[m.ID]++
					}
					total := len(seen)
					mu.Unlock()
					if total == messages {
						return
					}
				}
			})
		}
		wg.Wait()
		for m, n := range seen {
			if n != 1 {
				t.Errorf("message %v: leased %d times, want once", m, n)
			}
		}
	})
}

// At least once: what a dead worker held comes back, and the worker that comes
// back from the dead cannot end what another has now.
func TestAMessageOutlivesItsWorker(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		now := time.Now()
		s.now = func() time.Time { return now }
		enqueue(t, s, 1)
		lease := func(want int) *Message {
			t.Helper()
			got, err := s.Outbox.Lease(t.Context(), "mail", 10, time.Minute)
			if err != nil || len(got) != want {
				t.Fatalf("leased: got %v, %v, want %d", got, err, want)
			}
			if want == 0 {
				return nil
			}
			return got[0]
		}
		dead := lease(1)
		lease(0)
		now = now.Add(time.Minute)
		alive := lease(1)
		if alive.Attempts != 2 || string(alive.Payload) != `{"n":0}` {
			t.Errorf("the second lease: got %+v", alive)
		}
		if err := s.Outbox.Finish(t.Context(), dead, false); !errors.Is(err, ErrSpent) {
			t.Errorf("done under a lost lease: got %v, want ErrSpent", err)
		}
		if err := s.Outbox.Retry(t.Context(), alive, Failure{Reason: "connection refused"}); err != nil {
			t.Fatal(err)
		}
		lease(0)
		now = now.Add(24 * time.Second) // 20 s and a fifth
		if err := s.Outbox.Finish(t.Context(), lease(1), false); err != nil {
			t.Fatal(err)
		}
		now = now.Add(24 * time.Hour)
		lease(0)
	})
}

func TestAMessageIsWrittenOncePerDedupe(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		for range 2 {
			if err := s.Outbox.Add(t.Context(), &Message{Kind: "mail", Dedupe: "welcome bob", Payload: []byte(`{}`)}); err != nil {
				t.Fatal(err)
			}
		}
		got, err := s.Outbox.Lease(t.Context(), "mail", 10, time.Minute)
		if err != nil || len(got) != 1 {
			t.Errorf("got %v, %v, want one message", got, err)
		}
	})
}

// A delivered mail's payload holds a link that may still sign somebody in, and a
// request may be about a stranger. What must not be written twice is still known.
func TestADeliveredMessageForgetsWhatItSaid(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		once := &Message{Kind: "mail", Dedupe: "once", Payload: []byte(`{}`)}
		if err := s.Outbox.Add(t.Context(), once); err != nil {
			t.Fatal(err)
		}
		enqueue(t, s, 3)
		got, err := s.Outbox.Lease(t.Context(), "mail", 4, time.Minute)
		if err != nil || len(got) != 4 {
			t.Fatalf("leased: got %v, %v", got, err)
		}
		slices.SortFunc(got, func(a, b *Message) int { return strings.Compare(a.ID.String(), b.ID.String()) })
		if err := errors.Join(s.Outbox.Finish(t.Context(), got[0], false), s.Outbox.Finish(t.Context(), got[1], true),
			s.Outbox.GiveUp(t.Context(), got[2], "no such mailbox", &Event{Type: "mail.undeliverable"}), s.Outbox.Finish(t.Context(), got[3], false)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Outbox.Get(t.Context(), got[3].ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("one that may be written twice: got %v, want it gone", err)
		}
		if err := s.Outbox.Finish(t.Context(), got[3], false); !errors.Is(err, ErrSpent) {
			t.Errorf("done a second time: got %v, want ErrSpent", err)
		}
		if err := s.Outbox.Add(t.Context(), &Message{Kind: "mail", Dedupe: "once", Payload: []byte(`{"again":true}`)}); err != nil {
			t.Fatal(err)
		}
		all, err := s.Outbox.List(t.Context(), "mail", uuid.Nil, 10)
		if err != nil || len(all) != 3 {
			t.Fatalf("listed: got %v, %v", all, err)
		}
		said := map[uuid.UUID]string{got[0].ID: `{} `, got[1].ID: string(got[1].Payload) + " ", got[2].ID: `{} no such mailbox`}
		for _, m := range all {
			if one, err := s.Outbox.Get(t.Context(), m.ID); err != nil || one.ID != m.ID || one.LastError != m.LastError {
				t.Errorf("%v by itself: got %+v, %v", m.ID, one, err)
			}
			if is := string(m.Payload) + " " + m.LastError; is != said[m.ID] || m.DoneAt.IsZero() {
				t.Errorf("%v: got %q, done at %v, want %q", m.ID, is, m.DoneAt, said[m.ID])
			}
		}
		if _, err := s.Outbox.Get(t.Context(), uuid.New()); !errors.Is(err, ErrNotFound) {
			t.Errorf("an unknown message: got %v, want ErrNotFound", err)
		}
		var events int
		if err := s.row(t.Context(), `SELECT COUNT(*) FROM audit_events WHERE type = 'mail.undeliverable'`).Scan(&events); err != nil || events != 1 {
			t.Errorf("events: got %d, %v, want 1", events, err)
		}
	})
}

// A worker whose lease ran out may neither end nor tell of what another has now.
func TestAMessageIsGivenUpByItsWorkerAlone(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		now := time.Now()
		s.now = func() time.Time { return now }
		enqueue(t, s, 1)
		late, err := s.Outbox.Lease(t.Context(), "mail", 1, time.Minute)
		if err != nil || len(late) != 1 {
			t.Fatalf("leased: got %v, %v", late, err)
		}
		now = now.Add(time.Hour)
		if _, err := s.Outbox.Lease(t.Context(), "mail", 1, time.Minute); err != nil {
			t.Fatal(err)
		}
		if err := s.Outbox.GiveUp(t.Context(), late[0], "x", &Event{Type: "mail.undeliverable"}); !errors.Is(err, ErrSpent) {
			t.Errorf("got %v, want ErrSpent", err)
		}
		var events int
		if err := s.row(t.Context(), `SELECT COUNT(*) FROM audit_events WHERE type = 'mail.undeliverable'`).Scan(&events); err != nil || events != 0 {
			t.Errorf("events: got %d, %v, want none", events, err)
		}
	})
}

func TestMessagesAreListedNewestFirst(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		enqueue(t, s, 5)
		if err := s.Outbox.Add(t.Context(), &Message{Kind: "other", Payload: []byte(`{}`)}); err != nil {
			t.Fatal(err)
		}
		var got []string
		var after uuid.UUID
		for {
			page, err := s.Outbox.List(t.Context(), "mail", after, 2)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, m := range page {
				got, after = append(got, string(m.Payload)), m.ID
			}
		}
		if want := `[{"n":4} {"n":3} {"n":2} {"n":1} {"n":0}]`; fmt.Sprint(got) != want {
			t.Errorf("got %v, want %s", got, want)
		}
	})
}

func TestWaitingMessagesAreCounted(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		now := time.Now().UTC().Truncate(time.Microsecond)
		s.now = func() time.Time { return now }
		waiting := func(want int, since time.Time) {
			t.Helper()
			if n, oldest, err := s.Outbox.CountWaiting(t.Context()); err != nil || n != want || !oldest.Equal(since) {
				t.Errorf("got %d since %v, %v, want %d since %v", n, oldest, err, want, since)
			}
		}
		waiting(0, time.Time{})
		first := now
		enqueue(t, s, 1)
		now = now.Add(time.Minute)
		enqueue(t, s, 1)
		waiting(2, first)
		got, err := s.Outbox.Lease(t.Context(), "mail", 1, time.Hour)
		if err != nil || len(got) != 1 {
			t.Fatalf("leased: got %v, %v", got, err)
		}
		if err := s.Outbox.Finish(t.Context(), got[0], false); err != nil {
			t.Fatal(err)
		}
		waiting(1, now)
		if _, err := s.Outbox.Lease(t.Context(), "mail", 1, time.Hour); err != nil {
			t.Fatal(err)
		}
		waiting(1, now)
	})
}

// What stands in front of one kind stands in no other's way: requests that strangers
// can make by the thousand do not slow down the mail of everybody else.
func TestABacklogOfOneKindIsNotInTheWayOfAnother(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		now := time.Now()
		s.now = func() time.Time { return now }
		backlog := make([]*Message, 5000)
		for i := range backlog {
			backlog[i] = &Message{Kind: "recovery.requested", Payload: []byte(`{}`)}
		}
		if err := s.Outbox.Add(WithLongCalls(t.Context(), time.Minute), backlog...); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Minute)
		enqueue(t, s, 1)
		at := usec(now)
		for query, args := range map[string][]any{dueMessage: {"mail", at}, leaseMessages: {"lease", at, at, at, "mail", at, 4}} {
			if plan := planOf(t, s, query, args...); !strings.Contains(plan, "outbox_due") || strings.Contains(plan, "SCAN ") || strings.Contains(plan, "Seq Scan") {
				t.Errorf("%s reads more than what it is after:\n%s", query, plan)
			}
		}
		if got, err := s.Outbox.Lease(t.Context(), "mail", 4, time.Minute); err != nil || len(got) != 1 {
			t.Errorf("got %v, %v, want the one mail", got, err)
		}
	})
}

// A message that fails again and again is found by one query from every node. A full
// mailbox or a backlog that was not tried yet is not such a message.
func TestAMessageThatIsTriedInVainIsFound(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		now := time.Now().UTC().Truncate(time.Microsecond)
		s.now = func() time.Time { return now }
		enqueue(t, s, 2)
		if plan := planOf(t, s, stuckMessage, usec(now)); !strings.Contains(plan, "outbox_trying_since") {
			t.Errorf("it reads more than what it is after:\n%s", plan)
		}
		fail := func(f Failure) {
			t.Helper()
			now = now.Add(2 * time.Hour)
			got, err := s.Outbox.Lease(t.Context(), "mail", 1, time.Minute)
			if err != nil || len(got) != 1 {
				t.Fatalf("leased: got %v, %v", got, err)
			}
			if err := s.Outbox.Retry(t.Context(), got[0], f); err != nil {
				t.Fatal(err)
			}
		}
		found := func(forLonger time.Duration, since time.Time) {
			t.Helper()
			m, err := s.Outbox.FindStuck(t.Context(), forLonger)
			if since.IsZero() && !errors.Is(err, ErrNotFound) || !since.IsZero() && (err != nil || !m.TryingSince.Equal(since)) {
				t.Errorf("got %+v, %v, want one since %v", m, err, since)
			}
		}
		found(0, time.Time{})
		fail(Failure{Reason: "connection refused"})
		first := now
		found(time.Minute, time.Time{})
		found(0, first)
		fail(Failure{Reason: "connection refused"}) // the other one
		fail(Failure{Reason: "connection refused"}) // the first again
		found(time.Minute, first)
		fail(Failure{Reason: "mailbox full", Recipient: true})
		fail(Failure{Reason: "mailbox full", Recipient: true})
		found(0, time.Time{})
		fail(Failure{Reason: "connection refused"})
		found(0, now)
	})
}

// A statement that is prepared is planned for any kind, not for the one that is rare.
func TestLookingForMessagesStaysCheapOncePrepared(t *testing.T) {
	s := open(t, postgresURL(t))
	backlog := make([]*Message, 5000)
	for i := range backlog {
		backlog[i] = &Message{Kind: "recovery.requested", Payload: []byte(`{}`)}
	}
	if err := s.Outbox.Add(WithLongCalls(t.Context(), time.Minute), backlog...); err != nil {
		t.Fatal(err)
	}
	var plan []string
	err := s.inTx(t.Context(), func(tx *tx) error {
		for _, q := range []string{`ANALYZE outbox`, `SET LOCAL plan_cache_mode = force_generic_plan`, `PREPARE due (text, bigint) AS ` + sqlx.Rebind(sqlx.DOLLAR, dueMessage)} {
			if _, err := tx.tx.ExecContext(t.Context(), q); err != nil {
				return err
			}
		}
		return sqlx.SelectContext(t.Context(), tx.tx, &plan, `EXPLAIN EXECUTE due ('mail', 1)`)
	})
	if text := strings.Join(plan, "\n"); err != nil || !strings.Contains(text, "outbox_due") {
		t.Errorf("got %v and this plan:\n%s", err, text)
	}
}

// planOf is how the engine would go about query.
func planOf(t *testing.T, s *Store, query string, args ...any) string {
	t.Helper()
	explain := "EXPLAIN "
	if s.engine == SQLite {
		explain = "EXPLAIN QUERY PLAN "
	}
	var plan []string
	err := s.inTx(t.Context(), func(tx *tx) error {
		plan = nil
		return tx.rows(t.Context(), func(r scanner) error {
			line, err := r.(convertedRow).rows.SliceScan()
			plan = append(plan, fmt.Sprint(line[len(line)-1]))
			return err
		}, explain+query, args...)
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(plan, "\n")
}
