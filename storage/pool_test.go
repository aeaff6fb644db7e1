package storage

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
)

// A transaction must never need a second connection: when all of them are held by
// transactions that wait for one more, nobody is ever served again. The first use
// of a statement is where that is easily forgotten.
func TestTransactionsNeedNoSecondConnection(t *testing.T) {
	s, err := Open(t.Context(), Config{URL: postgresURL(t), Conns: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var begun, done sync.WaitGroup
	begun.Add(2)
	for range 2 {
		done.Go(func() {
			err := s.inTx(ctx, func(tx *tx) error {
				begun.Done()
				begun.Wait() // both connections are taken now
				_, err := tx.exec(ctx, `UPDATE grants SET revoked_at = ? WHERE id = ?`, usec(time.Now()), uuid.NewString())
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	done.Wait()
}
