package keys

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sallyport-id/sallyport/internal/oauth"
	"github.com/sallyport-id/sallyport/internal/secret"
)

func keyID(t *testing.T, key []byte) string {
	t.Helper()
	s, err := secret.NewSealer([][]byte{key})
	if err != nil {
		t.Fatal(err)
	}
	return s.CurrentKeyID()
}

// After `secrets rotate` the former ENCRYPTION_KEY can go, and nothing else changed.
func TestResealFreesTheFormerKey(t *testing.T) {
	eachEngine(t, func(t *testing.T, i installation) {
		old := i.loaded(t, firstKey)
		before, _ := old.JWKS()
		k := i.loaded(t, secondKey, firstKey)
		for _, want := range []struct {
			resealed int
			counts   map[string]int
		}{
			{3, map[string]int{keyID(t, secondKey): 3}},
			{0, map[string]int{keyID(t, secondKey): 3}}, // and again
		} {
			n, err := k.Reseal(t.Context())
			if err != nil || n != want.resealed {
				t.Errorf("Reseal = %d, %v, want %d", n, err, want.resealed)
			}
			counts, err := k.CountSealed(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want.counts, counts); diff != "" {
				t.Errorf("Sealed (-want +got):\n%s", diff)
			}
		}
		after, _ := i.loaded(t, secondKey).JWKS()
		if diff := cmp.Diff(string(before), string(after)); diff != "" {
			t.Errorf("the published set changed:\n%s", diff)
		}
		// A node that still runs with the former key has opened its keys already.
		if err := old.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		signed(t, old, oauth.ES256)
	})
}

// A node that lacks the new ENCRYPTION_KEY still publishes what others sign with,
// and signs with the key before as long as that is published.
func TestANodeWithoutTheNewEncryptionKeyGoesOn(t *testing.T) {
	eachEngine(t, func(t *testing.T, i installation) {
		old, k := i.loaded(t, firstKey), i.loaded(t, secondKey, firstKey)
		_, before := signed(t, old, oauth.ES256)
		if _, err := k.Rotate(t.Context(), Rotation{Alg: oauth.ES256, Immediately: true}); err != nil {
			t.Fatal(err)
		}
		i.clock.add(seen)
		if err := k.Advance(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := old.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		token, now := signed(t, k, oauth.ES256)
		if now == before || !slices.Contains(published(t, old), now) {
			t.Errorf("the node without the key publishes %v, want %s in it", published(t, old), now)
		}
		if _, err := old.Verify(token, TypeIDToken); err != nil {
			t.Errorf("the node without the key: Verify: %v", err)
		}
		if _, got := signed(t, old, oauth.ES256); got != before {
			t.Errorf("the node without the key signs with %s, want %s", got, before)
		}
		if err := i.node(t, firstKey).Load(t.Context()); !errorMentions(err, "ENCRYPTION_KEY") {
			t.Errorf("its restart: got %v, want an error that names ENCRYPTION_KEY", err)
		}
	})
}
