package storage

import (
	"testing"

	"github.com/google/uuid"
)

// The notice of a sign-in goes with the proof that completes it, and with nothing else.
func TestAUseSendsItsMailsOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		alice := person(t, s, "alice@acme-corp.com")
		app := enrolApp(t, s, alice)
		for _, counter := range []int64{101, 101, 102} {
			_ = spend(t, s, alice, &FactorUse{Factor: app.ID, Counter: counter, Mails: []*Message{{Kind: "mail", Payload: []byte(`{}`)}}})
		}
		sent, err := s.Outbox.List(t.Context(), "mail", uuid.Nil, 10)
		if err != nil || len(sent) != 2 {
			t.Errorf("two uses count, and there are %d mails, %v", len(sent), err)
		}
	})
}
