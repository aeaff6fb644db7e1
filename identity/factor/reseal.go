package factor

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/storage"
)

// resealBatch is how many seeds are read at once.
const resealBatch = 500

// Sealed counts seeds by the id of the ENCRYPTION_KEY that they are encrypted with.
func (f *Factors) Sealed(ctx context.Context) (map[string]int, error) {
	counts := map[string]int{}
	err := f.eachSeed(ctx, func(row *storage.Factor) error {
		counts[f.apps.sealer.KeyID(row.Sealed)]++
		return nil
	})
	return counts, err
}

// Reseal encrypts all seeds under the current ENCRYPTION_KEY that are under an older one, and returns their number. It
// may be repeated, and run while nodes serve.
func (f *Factors) Reseal(ctx context.Context) (int, error) {
	done := 0
	err := f.eachSeed(ctx, func(row *storage.Factor) error {
		if f.apps.sealer.KeyID(row.Sealed) == f.apps.sealer.CurrentKeyID() {
			return nil
		}
		seed, err := f.apps.open(row)
		if err != nil {
			return err
		}
		sealed, err := f.apps.sealer.Seal(seed, place(row.ID, row.UserID))
		if err != nil {
			return err
		}
		switch err := f.store.Factors.Reseal(ctx, row.ID, row.Sealed, sealed); {
		case errors.Is(err, storage.ErrSpent): // removed or encrypted anew in the meantime
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
