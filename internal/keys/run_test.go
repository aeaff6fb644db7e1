package keys

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sallyport-id/sallyport/internal/oauth"
	"github.com/sallyport-id/sallyport/storage"
)

// A node sees what another has done, and takes due steps by itself.
func TestMaintainFollowsOtherNodes(t *testing.T) {
	url := "sqlite://" + filepath.Join(t.TempDir(), "test.db")
	i := installation{url, newClock()}
	k, other := i.loaded(t), i.loaded(t)
	ctx := t.Context()
	if _, err := other.Rotate(ctx, Rotation{Alg: oauth.ES256, Immediately: true}); err != nil {
		t.Fatal(err)
	}
	for _, want := range [][]storage.KeyState{{storage.KeyPending, storage.KeyActive}, {storage.KeyActive, storage.KeyRetired}} {
		if err := k.Maintain(ctx); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, states(k, oauth.ES256)); diff != "" {
			t.Errorf("states (-want +got):\n%s", diff)
		}
		i.clock.add(seen)
	}
}
