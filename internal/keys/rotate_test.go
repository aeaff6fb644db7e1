package keys

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	"github.com/sallyport-id/sallyport/internal/oauth"
	"github.com/sallyport-id/sallyport/storage"
)

func errorMentions(err error, words ...string) bool {
	return err != nil && !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(err.Error(), w) })
}

// together runs f for all nodes at the same instant.
func together(t *testing.T, nodes []*Keyset, f func(k *Keyset) error) {
	t.Helper()
	var wg sync.WaitGroup
	start := make(chan struct{})
	for _, k := range nodes {
		wg.Go(func() {
			<-start
			if err := f(k); err != nil {
				t.Error(err)
			}
		})
	}
	close(start)
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// Two nodes rotate at the same instant, again and again. There is one new
// key, both publish it, and no token is signed by a key that one of them does not.
func TestNodesThatRotateTogetherMakeOneKey(t *testing.T) {
	eachEngine(t, func(t *testing.T, i installation) {
		nodes := []*Keyset{i.loaded(t), i.loaded(t)}
		for _, k := range nodes {
			k.RotateEvery = 200 * archiveFor // only by order
		}
		generations := len(states(nodes[0], oauth.ES256))
		for trial := range 100 {
			immediately := trial%2 == 1
			var mu sync.Mutex
			var waiting []string
			together(t, nodes, func(k *Keyset) error {
				keys, err := k.Rotate(t.Context(), Rotation{Alg: oauth.ES256, Immediately: immediately})
				mu.Lock()
				defer mu.Unlock()
				for _, key := range keys {
					waiting = append(waiting, key.KID)
				}
				return err
			})
			if len(waiting) != 2 || waiting[0] != waiting[1] {
				t.Fatalf("trial %d: the nodes made %v, want the same key", trial, waiting)
			}
			checkSigners(t, nodes, waiting[0], false)
			i.clock.add(nodes[0].lead())
			together(t, nodes, func(k *Keyset) error {
				if err := k.Advance(t.Context()); err != nil {
					return err
				}
				// The other node may be a step behind: it must publish what this one signs with.
				checkSigners(t, nodes, "", false)
				return k.Refresh(t.Context())
			})
			checkSigners(t, nodes, waiting[0], true)
			generations++
			i.clock.add(archiveFor) // so that old keys go
		}
		if got := nodes[0].current.Load().generation(oauth.ES256); got != int64(generations) {
			t.Errorf("%d keys were made, want %d", got, generations)
		}
	})
}

// checkSigners checks that every node publishes what any node signs with, and
// whether that is the key kid.
func checkSigners(t *testing.T, nodes []*Keyset, kid string, want bool) {
	t.Helper()
	for _, signer := range nodes {
		_, got := signed(t, signer, oauth.ES256)
		if kid != "" && (got == kid) != want {
			t.Errorf("signed by the new key: %v, want %v", got == kid, want)
		}
		for _, other := range nodes {
			if !slices.Contains(published(t, other), got) {
				t.Errorf("a token is signed by %s, which a node does not publish", got)
			}
		}
	}
}

// The conformance suite's server-rotate-keys: a new key shows at once, the old one stays.
func TestRotatePublishesAtOnceAndKeepsTheOldKey(t *testing.T) {
	eachEngine(t, func(t *testing.T, i installation) {
		k, other := i.loaded(t), i.loaded(t)
		before, etag := published(t, k), k.current.Load().etag
		if _, err := k.Rotate(t.Context(), Rotation{Immediately: true}); err != nil {
			t.Fatal(err)
		}
		after := published(t, k)
		if len(after) != 2*len(before) || slices.ContainsFunc(before, func(kid string) bool { return !slices.Contains(after, kid) }) {
			t.Errorf("published after the rotation: %v, want all of %v and as many new ones", after, before)
		}
		if _, now := k.JWKS(); now == etag {
			t.Error("the ETag did not change")
		}
		if err := other.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(after, published(t, other)); diff != "" {
			t.Errorf("the other node publishes (-first +other):\n%s", diff)
		}
		// An impatient second order makes no third key.
		waiting, err := other.Rotate(t.Context(), Rotation{})
		if err != nil || len(waiting) != len(oauth.SigningAlgs()) || len(published(t, other)) != len(after) {
			t.Errorf("second rotation: %v, %v, want the keys that wait already", waiting, err)
		}
		if _, err := k.Rotate(t.Context(), Rotation{Alg: "HS256"}); !errorMentions(err, "HS256", oauth.ES256) {
			t.Errorf("rotation of HS256: got %v, want an error that lists what there is", err)
		}
	})
}

func TestAnOrderedRotationCanBeExpedited(t *testing.T) {
	eachEngine(t, func(t *testing.T, i installation) {
		k := i.loaded(t)
		for _, immediately := range []bool{false, true} {
			if _, err := k.Rotate(t.Context(), Rotation{Alg: oauth.ES256, Immediately: immediately}); err != nil {
				t.Fatal(err)
			}
		}
		i.clock.add(seen)
		if err := k.Advance(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := []storage.KeyState{storage.KeyActive, storage.KeyRetired}
		if diff := cmp.Diff(want, states(k, oauth.ES256)); diff != "" {
			t.Errorf("states (-want +got):\n%s", diff)
		}
	})
}

// A key lives through all its states on schedule, never a moment early, and
// tokens of an archived key are still recognised as hints.
func TestLifeOfAKey(t *testing.T) {
	const pending, active, retired, archived = storage.KeyPending, storage.KeyActive, storage.KeyRetired, storage.KeyArchived
	eachEngine(t, func(t *testing.T, i installation) {
		k := i.loaded(t)
		token, kid := signed(t, k, oauth.ES256)
		quiet := New(k.Config) // its next rotation is far away
		quiet.RotateEvery = 10 * archiveFor
		for _, life := range []struct {
			node      *Keyset
			after     time.Duration
			want      []storage.KeyState
			published bool
			verified  bool
		}{
			{k, k.RotateEvery - k.lead(), []storage.KeyState{pending, active}, true, true},
			{k, k.JWKSMaxAge + skew, []storage.KeyState{active, retired}, true, true},
			{quiet, time.Hour + k.JWKSMaxAge + skew, []storage.KeyState{active, archived}, false, true},
			{quiet, 365 * 24 * time.Hour, []storage.KeyState{active}, false, false},
		} {
			if err := life.node.reload(t.Context()); err != nil {
				t.Fatal(err)
			}
			before := states(life.node, oauth.ES256)
			i.clock.add(life.after - time.Microsecond)
			for _, want := range [][]storage.KeyState{before, life.want} {
				if err := life.node.Advance(t.Context()); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, states(life.node, oauth.ES256)); diff != "" {
					t.Fatalf("states after %s (-want +got):\n%s", life.after, diff)
				}
				i.clock.add(time.Microsecond)
			}
			i.clock.add(-time.Microsecond)
			if got := slices.Contains(published(t, life.node), kid); got != life.published {
				t.Errorf("%v: published = %v, want %v", life.want, got, life.published)
			}
			if _, err := life.node.Verify(token, TypeIDToken); (err == nil) != life.verified {
				t.Errorf("%v: Verify = %v, want success %v", life.want, err, life.verified)
			}
		}
		// A key that signs no more has no private half to lose.
		rows, _, err := k.Store.Keys.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			if signs := row.State == active || row.State == pending; signs != (row.Sealed != nil) {
				t.Errorf("a key that is %s has %d sealed bytes", row.State, len(row.Sealed))
			}
		}
	})
}

// Relying parties that cache the published set for as long as they may
// never meet a token that they cannot verify, from its first to its last moment.
func TestNoTokenFailsOverARotation(t *testing.T) {
	eachEngine(t, func(t *testing.T, i installation) {
		nodes := []*Keyset{i.loaded(t), i.loaded(t)}
		const step = 20 * time.Second
		type party struct {
			fetchedAt time.Time
			set       jose.JSONWebKeySet
		}
		parties := make([]party, 4) // each fetches at another phase
		var tokens []string         // one a step
		verify := func(token string) {
			t.Helper()
			jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range parties {
				if p.fetchedAt.IsZero() {
					continue
				}
				if _, err := jws.Verify(p.set); err != nil {
					t.Fatalf("at %s: %v", i.clock.Now(), err)
				}
			}
		}
		for n := range int(3 * time.Hour / step) {
			if n == 15 {
				if _, err := nodes[0].Rotate(t.Context(), Rotation{Alg: oauth.ES256}); err != nil {
					t.Fatal(err)
				}
			}
			for _, k := range nodes { // as Run does it
				if err := k.Refresh(t.Context()); err != nil {
					t.Fatal(err)
				}
				if err := k.Advance(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			for j := range parties {
				p := &parties[j]
				if now := i.clock.Now(); n >= 5*j && now.Sub(p.fetchedAt) >= nodes[0].JWKSMaxAge {
					body, _ := nodes[j%2].JWKS()
					p.set = jose.JSONWebKeySet{}
					if err := json.Unmarshal(body, &p.set); err != nil {
						t.Fatal(err)
					}
					p.fetchedAt = now
				}
			}
			token, _ := signed(t, nodes[n%2], oauth.ES256)
			tokens = append(tokens, token)
			verify(token)
			if old := n - int(time.Hour/step); old >= 0 {
				verify(tokens[old]) // in its last moment
			}
			i.clock.add(step)
		}
		if got := states(nodes[0], oauth.ES256); len(got) != 2 || got[1] != storage.KeyArchived {
			t.Errorf("states after the rotation: %v, want an archived key", got)
		}
	})
}
