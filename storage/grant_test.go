package storage

import (
	"testing"
	"time"

	"github.com/google/uuid"
)

// Two nodes know of the same uses in any order; the later one counts.
func TestTheLatestUseOfAGrantCounts(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		one, other, none := uuid.New(), uuid.New(), uuid.New()
		for _, g := range []uuid.UUID{one, other, none} {
			grantUntil(t, s, g, time.Unix(9, 0))
		}
		for _, batch := range [][]GrantUse{
			{{one, time.Unix(5, 0)}, {other, time.Unix(1, 0)}},
			{{one, time.Unix(4, 0)}, {other, time.Unix(2, 0)}, {uuid.New(), time.Unix(3, 0)}},
			nil,
		} {
			if err := s.TouchGrants(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
		}
		for g, want := range map[uuid.UUID]time.Time{one: time.Unix(5, 0), other: time.Unix(2, 0), none: {}} {
			var got time.Time
			if err := s.row(t.Context(), `SELECT last_used_at FROM grants WHERE id = ?`, id(g)).Scan(instant{&got}); err != nil || !got.Equal(want) {
				t.Errorf("last used: got %v, %v, want %v", got, err, want)
			}
		}
	})
}
