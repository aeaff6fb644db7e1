package keys

import (
	"context"
	"fmt"

	"github.com/sallyport-id/sallyport/storage"
)

// CountSealed counts private halves by the id of the ENCRYPTION_KEY that they are
// sealed under. A former key may go when none is.
func (k *Keyset) CountSealed(ctx context.Context) (map[string]int, error) {
	rows, _, err := k.Store.Keys.List(ctx)
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	for _, row := range rows {
		if row.Sealed != nil {
			counts[k.Sealer.KeyID(row.Sealed)]++
		}
	}
	return counts, nil
}

// Reseal seals all private halves anew that a former ENCRYPTION_KEY has sealed,
// and returns how many those were. It may be repeated, and run beside nodes that sign.
func (k *Keyset) Reseal(ctx context.Context) (int, error) {
	rows, _, err := k.Store.Keys.List(ctx)
	if err != nil {
		return 0, err
	}
	done := 0
	for _, row := range rows {
		if row.Sealed == nil || k.Sealer.KeyID(row.Sealed) == k.Sealer.CurrentKeyID() {
			continue
		}
		at := place(row.KID, row.Alg)
		plain, err := k.Sealer.Open(row.Sealed, at)
		if err != nil {
			return done, fmt.Errorf("signing key %s does not open: %w", row.KID, err)
		}
		sealed, err := k.Sealer.Seal(plain, at)
		if err != nil {
			return done, err
		}
		// A key that was retired or resealed meanwhile needs it no more.
		err = k.Store.Keys.Reseal(ctx, row.KID, row.Sealed, sealed, about(&storage.Event{}, storage.EventKeyResealed, row))
		if ifFirst(err) != nil {
			return done, err
		}
		if err == nil {
			done++
		}
	}
	return done, nil
}
