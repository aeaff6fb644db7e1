package storage

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
)

func enqueue(t *testing.T, s *Store, n int) {
	t.Helper()
	for i := range n {
		if err := s.Enqueue(t.Context(), &Message{Kind: "mail", Payload: []byte(fmt.Sprintf(`{"n":%d}`, i))}); err != nil {
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
					got, err := s.LeaseMessages(t.Context(), "mail", 7, time.Hour)
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
			got, err := s.LeaseMessages(t.Context(), "mail", 10, time.Minute)
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
		if err := s.MessageDone(t.Context(), dead); !errors.Is(err, ErrSpent) {
			t.Errorf("done under a lost lease: got %v, want ErrSpent", err)
		}
		if err := s.MessageFailed(t.Context(), alive, "connection refused"); err != nil {
			t.Fatal(err)
		}
		lease(0)
		now = now.Add(24 * time.Second) // 20 s and a fifth
		if err := s.MessageDone(t.Context(), lease(1)); err != nil {
			t.Fatal(err)
		}
		now = now.Add(24 * time.Hour)
		lease(0)
	})
}

func TestAMessageIsWrittenOncePerDedupe(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		for range 2 {
			if err := s.Enqueue(t.Context(), &Message{Kind: "mail", Dedupe: "welcome bob", Payload: []byte(`{}`)}); err != nil {
				t.Fatal(err)
			}
		}
		got, err := s.LeaseMessages(t.Context(), "mail", 10, time.Minute)
		if err != nil || len(got) != 1 {
			t.Errorf("got %v, %v, want one message", got, err)
		}
	})
}
