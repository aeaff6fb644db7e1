package factor

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/storage"
)

// resealBatch is how many seeds are read at once.
const resealBatch = 500

// Sealed counts seeds by the id of the ENCRYPTION_KEY that they are sealed under.
func (f *Factors) Sealed(ctx context.Context) (map[string]int, error) {
	counts := map[string]int{}
	err := f.eachSeed(ctx, func(row *storage.Factor) error {
		counts[f.apps.sealer.KeyID(row.Sealed)]++
		return nil
	})
	return counts, err
}

// Reseal seals all seeds anew that a former ENCRYPTION_KEY has sealed, and returns
// how many those were. It may be repeated, and run beside nodes that serve.
func (f *Factors) Reseal(ctx context.Context) (int, error) {
	done := 0
	err := f.eachSeed(ctx, func(row *storage.Factor) error {
		if f.apps.sealer.KeyID(row.Sealed) == f.apps.sealer.CurrentKeyID() {
			return nil
		}
		at := place(row.ID, row.UserID)
		seed, err := f.apps.sealer.Open(row.Sealed, at)
		if err != nil {
			return fmt.Errorf("the seed of factor %s does not open: %w", row.ID, err)
		}
		sealed, err := f.apps.sealer.Seal(seed, at)
		if err != nil {
			return err
		}
		switch err := f.store.Factors.Reseal(ctx, row.ID, row.Sealed, sealed); {
		case errors.Is(err, storage.ErrSpent): // removed or resealed meanwhile
		case err != nil:
			return err
		default:
			done++
		}
		return nil
	})
	return done, err
}

func (f *Factors) eachSeed(ctx context.Context, do func(*storage.Factor) error) error {
	after := uuid.Nil
	for {
		rows, err := f.store.Factors.ListSealed(ctx, after, resealBatch)
		if err != nil || len(rows) == 0 {
			return err
		}
		for n := range rows {
			if err := do(&rows[n]); err != nil {
				return err
			}
		}
		after = rows[len(rows)-1].ID
	}
}
