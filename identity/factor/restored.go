package factor

import (
	"context"
	"time"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/storage"
)

// EndRestored ends everything that a backup taken at since may have restored, and invalidates the codes of
// authenticator apps that are valid now.
func (f *Factors) EndRestored(ctx context.Context, a identity.Actor, since time.Time) ([]storage.Ended, error) {
	return f.installation.EndRestored(ctx, a, since, f.now().Unix()/totpPeriod+totpWindow)
}
