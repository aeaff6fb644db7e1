package storage

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// RFC 7523 section 3: the same assertion, sent many times at once, counts once.
func TestAnIDIsSpentOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		hash, expires := secret.HashOf("client assertion-1"), time.Now().Add(time.Minute)
		var spent atomic.Int64
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				switch err := s.SpendID(t.Context(), hash, expires); {
				case err == nil:
					spent.Add(1)
				case !errors.Is(err, ErrSpent):
					t.Errorf("got %v, want ErrSpent", err)
				}
			})
		}
		wg.Wait()
		if got := spent.Load(); got != 1 {
			t.Errorf("spent %d times, want once", got)
		}
		if err := s.SpendID(t.Context(), secret.HashOf("client assertion-2"), expires); err != nil {
			t.Errorf("another id: %v", err)
		}
	})
}

// RFC 7009 section 2.2: the caller wanted it gone, and gone it is.
func TestRevokingATokenTwiceIsNoError(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		for range 2 {
			if err := s.RevokeJWT(t.Context(), secret.HashOf("jti"), uuid.Nil, time.Now().Add(time.Minute), &Event{Type: "token.revoked"}); err != nil {
				t.Error(err)
			}
		}
		if n := count(t, s, "audit_events"); n != 1 {
			t.Errorf("%d events, want 1: the second changed nothing", n)
		}
		if n := count(t, s, "revoked_tokens"); n != 1 {
			t.Errorf("%d rows, want 1", n)
		}
	})
}
