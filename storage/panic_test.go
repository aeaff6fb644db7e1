package storage

import (
	"context"
	"testing"
)

// FT-11: a panic within a transaction takes it back and gives its connection back,
// also where no request's end would. SQLite has one that writes; without it the
// next change would wait for ever.
func TestAPanicLosesNoConnection(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		ctx := context.Background()
		count := func() error {
			return s.inTx(ctx, func(t *tx) error {
				_, err := t.exec(ctx, `UPDATE versions SET n = n + 1 WHERE name = ?`, VersionKeys)
				return err
			})
		}
		for range 20 { // more than there are connections
			func() {
				defer func() { _ = recover() }()
				_ = s.inTx(ctx, func(t *tx) error {
					if _, err := t.exec(ctx, `UPDATE versions SET n = 1000 WHERE name = ?`, VersionKeys); err != nil {
						return err
					}
					panic("broken")
				})
			}()
		}
		if err := count(); err != nil {
			t.Fatal(err)
		}
		var n int
		if err := s.row(ctx, `SELECT n FROM versions WHERE name = ?`, VersionKeys).Scan(&n); err != nil || n >= 1000 {
			t.Errorf("the version is %d (%v): what a panic interrupted was kept", n, err)
		}
	})
}
