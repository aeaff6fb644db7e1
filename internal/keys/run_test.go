package keys

import (
	"context"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sallyport-id/sallyport/internal/oauth"
	"github.com/sallyport-id/sallyport/storage"
)

// A node sees within a second what another does, and takes due steps by itself.
func TestRunFollowsOtherNodes(t *testing.T) {
	url := "sqlite://" + filepath.Join(t.TempDir(), "test.db")
	synctest.Test(t, func(t *testing.T) {
		i := installation{url, newClock()}
		k, other := i.loaded(t), i.loaded(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { k.Run(ctx); close(done) }()
		defer func() { cancel(); <-done }()
		if _, err := other.Rotate(ctx, Rotation{Alg: oauth.ES256, Immediately: true}); err != nil {
			t.Fatal(err)
		}
		for _, want := range [][]storage.KeyState{{storage.KeyPending, storage.KeyActive}, {storage.KeyActive, storage.KeyRetired}} {
			time.Sleep(time.Second) // of the bubble's clock
			synctest.Wait()
			if diff := cmp.Diff(want, states(k, oauth.ES256)); diff != "" {
				t.Errorf("states (-want +got):\n%s", diff)
			}
			i.clock.add(seen)
		}
	})
}
