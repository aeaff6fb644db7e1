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

// Of two who prepare a statement at once, one gives way. That must wait for nobody:
// the connection it was prepared on may wait for a row of a transaction that waits
// for a statement.
func TestGivingAStatementUpWaitsForNobody(t *testing.T) {
	databaseURL := postgresURL(t)
	s, err := Open(t.Context(), Config{URL: databaseURL, Conns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	holder := open(t, databaseURL)
	user := person(t, holder, "alice@acme-corp.com")
	k := prepared{s.writer, `SELECT 1`}
	if _, err := s.stmt(t.Context(), s.writer, k.query); err != nil {
		t.Fatal(err)
	}
	late, err := s.writer.PreparexContext(t.Context(), k.query)
	if err != nil {
		t.Fatal(err)
	}
	var waiting sync.WaitGroup
	defer waiting.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err = holder.inTx(ctx, func(held *tx) error {
		if err := held.lockUser(ctx, user); err != nil {
			return err
		}
		waiting.Go(func() {
			if err := s.inTx(t.Context(), func(w *tx) error { return w.lockUser(t.Context(), user) }); err != nil {
				t.Error(err)
			}
		})
		for blocked := 0; blocked == 0; {
			if err := holder.row(ctx, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&blocked); err != nil {
				return err
			}
		}
		kept := make(chan struct{})
		go func() { s.keep(k, late); close(kept) }()
		select {
		case <-kept:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	if err != nil {
		t.Errorf("giving the statement up: %v", err)
	}
}
