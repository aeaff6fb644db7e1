package factor

import (
	"context"
	"time"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/storage"
)

// Restored ends everything that a backup taken at since may have brought back to life, and uses up the codes of
// authenticator apps that are good now.
func (f *Factors) Restored(ctx context.Context, a identity.Actor, since time.Time) ([]storage.Ended, error) {
	return f.installation.Restored(ctx, a, since, f.now().Unix()/totpPeriod+totpWindow)
}
