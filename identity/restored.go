package identity

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/storage"
)

// EndRestored ends everything that a backup taken at since may have restored. totpStep is the highest step whose code
// in an authenticator app may have been used; factor.Factors.EndRestored knows it.
func (in *Installation) EndRestored(ctx context.Context, a Actor, since time.Time, totpStep int64) ([]storage.Ended,
	error) {
	if err := in.Authorize(ctx, &a, ManagePlatform, uuid.Nil); err != nil {
		return nil, err
	}
	return in.store.Restored(ctx, since, totpStep, a.Event(storage.EventInstallationRestored))
}
