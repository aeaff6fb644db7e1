package keys

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sallyport-id/sallyport/internal/oauth"
	"github.com/sallyport-id/sallyport/storage"
)

// step moves the clock and takes the steps that have come due.
func (i installation) step(t *testing.T, k *Keyset, d time.Duration) {
	t.Helper()
	i.clock.add(d)
	if err := k.Advance(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// accessToken is a token that grants something, with the time of its issue.
func accessToken(t *testing.T, k *Keyset, alg string, at time.Time) string {
	t.Helper()
	token, err := k.SignJWT(alg, TypeAccessToken, fmt.Appendf(nil, `{"iat":%d}`, at.Unix()))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// Wherever a key is in its life, a revocation ends it on every node that has polled.
func TestARevokedKeyIsNeitherPublishedNorVerifies(t *testing.T) {
	const pending, active, retired, revoked = storage.KeyPending, storage.KeyActive, storage.KeyRetired, storage.KeyRevoked
	for name, tc := range map[string]struct {
		prepare func(t *testing.T, i installation, k *Keyset)
		target  storage.KeyState
		want    []storage.KeyState
	}{
		"active": {func(*testing.T, installation, *Keyset) {}, active, []storage.KeyState{active, revoked}},
		"active while its successor waits": {func(t *testing.T, _ installation, k *Keyset) { rotate(t, k, false) },
			active, []storage.KeyState{active, revoked}},
		"pending": {func(t *testing.T, _ installation, k *Keyset) { rotate(t, k, false) },
			pending, []storage.KeyState{revoked, active}},
		"retired": {func(t *testing.T, i installation, k *Keyset) { rotate(t, k, true); i.step(t, k, seen) },
			retired, []storage.KeyState{active, revoked}},
		"archived": {func(t *testing.T, i installation, k *Keyset) {
			rotate(t, k, true)
			i.step(t, k, seen)
			i.step(t, k, 2*time.Hour)
		}, storage.KeyArchived, []storage.KeyState{active, revoked}},
	} {
		t.Run(name, func(t *testing.T) {
			eachEngine(t, func(t *testing.T, i installation) {
				k, other := i.loaded(t), i.loaded(t)
				access, hint := accessToken(t, k, oauth.ES256, i.clock.Now()), ""
				hint, kid := signed(t, k, oauth.ES256)
				tc.prepare(t, i, k)
				own := tc.target != pending // the tokens above are of the key that is revoked
				if !own {
					kid = k.current.Load().pending(oauth.ES256).row.KID
				}
				if got := k.current.Load().byKID[kid].row.State; got != tc.target {
					t.Fatalf("the key is %s, want %s", got, tc.target)
				}
				successor, err := k.Revoke(t.Context(), Revocation{KID: kid})
				if err != nil {
					t.Fatal(err)
				}
				if (successor != "") != (tc.target == active) {
					t.Errorf("successor %q of a key that was %s", successor, tc.target)
				}
				if err := other.Refresh(t.Context()); err != nil {
					t.Fatal(err)
				}
				for _, node := range []*Keyset{k, other} {
					if diff := cmp.Diff(tc.want, states(node, oauth.ES256)); diff != "" {
						t.Errorf("states (-want +got):\n%s", diff)
					}
					if slices.Contains(published(t, node), kid) {
						t.Error("the key is still published")
					}
					for typ, token := range map[string]string{TypeAccessToken: access, TypeIDToken: hint} {
						if _, err := node.Verify(token, typ); errors.Is(err, ErrRevoked) != own {
							t.Errorf("%s: Verify: %v, want ErrRevoked %v", typ, err, own)
						}
					}
					if token, signer := signed(t, node, oauth.ES256); signer == kid || token == "" {
						t.Errorf("the node signs with %q", signer)
					}
				}
				expectRevoked(t, k, kid)
				if again, err := k.Revoke(t.Context(), Revocation{KID: kid}); again != "" || err != nil {
					t.Errorf("once more: %q, %v, want nothing to happen", again, err)
				}
				expectRevoked(t, k, kid)
			})
		})
	}
}

func rotate(t *testing.T, k *Keyset, immediately bool) {
	t.Helper()
	if _, err := k.Rotate(t.Context(), Rotation{Alg: oauth.ES256, Immediately: immediately}); err != nil {
		t.Fatal(err)
	}
}

// expectRevoked looks at the row.
func expectRevoked(t *testing.T, k *Keyset, kid string) {
	t.Helper()
	rows, _, err := k.Store.Keys.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if row.KID == kid && (row.Sealed != nil || row.RevokedAt.IsZero()) {
			t.Errorf("the row keeps a private half of %d bytes, revoked at %v", len(row.Sealed), row.RevokedAt)
		}
	}
}

// Two people who revoke at once, and a rotation at the same time, leave one key that
// signs, on all nodes the same.
func TestNodesThatRevokeTogetherLeaveOneKeyThatSigns(t *testing.T) {
	eachEngine(t, func(t *testing.T, i installation) {
		nodes := []*Keyset{i.loaded(t), i.loaded(t), i.loaded(t)}
		for range 20 {
			_, kid := signed(t, nodes[0], oauth.ES256)
			together(t, nodes[:2], func(k *Keyset) error {
				_, err := k.Revoke(t.Context(), Revocation{KID: kid})
				if err != nil {
					return err
				}
				_, err = k.Rotate(t.Context(), Rotation{Alg: oauth.ES256, Immediately: true})
				return err
			})
			i.clock.add(seen)
			together(t, nodes, func(k *Keyset) error {
				if err := k.Refresh(t.Context()); err != nil {
					return err
				}
				return k.Advance(t.Context())
			})
			signers := map[string]bool{}
			for _, k := range nodes {
				if err := k.Refresh(t.Context()); err != nil {
					t.Fatal(err)
				}
				_, signer := signed(t, k, oauth.ES256)
				signers[signer] = true
				active := slices.DeleteFunc(states(k, oauth.ES256), func(s storage.KeyState) bool { return s != storage.KeyActive })
				if len(active) != 1 {
					t.Fatalf("%d keys are active", len(active))
				}
			}
			if len(signers) != 1 || signers[kid] {
				t.Fatalf("the nodes sign with %v after the revocation of %s", signers, kid)
			}
		}
	})
}

func TestAKeyThatDoesNotExistIsNotRevoked(t *testing.T) {
	k := sqliteNode(t)
	for _, kid := range []string{"", "nothing", k.List()[0].KID + "x", k.List()[0].KID[:20]} {
		if _, err := k.Revoke(t.Context(), Revocation{KID: kid}); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("%q: %v, want ErrNotFound", kid, err)
		}
	}
}

// A key that others have learned signs nothing of use once it is replaced: what grants
// something must have been issued before. A hint may still come from it.
func TestAReplacedKeyVerifiesWhatItSignedInItsTime(t *testing.T) {
	eachEngine(t, func(t *testing.T, i installation) {
		k := i.loaded(t)
		k.RotateEvery = 10 * archiveFor
		start := i.clock.Now()
		hint, _ := signed(t, k, oauth.ES256)
		retiredAt := start.Add(seen)
		tokens := map[string]string{}
		for name, at := range map[string]time.Time{"before": start, "the moment it retired": retiredAt, "within the leeway": retiredAt.Add(clockLeeway),
			"after": retiredAt.Add(clockLeeway + time.Second), "much later": retiredAt.Add(300 * 24 * time.Hour), "no time": {}} {
			tokens[name] = accessToken(t, k, oauth.ES256, at)
		}
		stateless, err := k.SignJWT(oauth.ES256, TypeAccessToken, []byte(`{"iat":"yesterday"}`))
		if err != nil {
			t.Fatal(err)
		}
		tokens["no number"] = stateless
		rotate(t, k, true)
		i.step(t, k, seen)
		good := []string{"before", "the moment it retired", "within the leeway"}
		for name, token := range tokens {
			if _, err := k.Verify(token, TypeAccessToken); (err == nil) != slices.Contains(good, name) {
				t.Errorf("retired key, issued %s: Verify: %v", name, err)
			}
		}
		i.step(t, k, 2*time.Hour)
		for name, token := range tokens {
			if _, err := k.Verify(token, TypeAccessToken); !errors.Is(err, ErrToken) {
				t.Errorf("archived key, issued %s: Verify: %v, want ErrToken", name, err)
			}
		}
		if _, err := k.Verify(hint, TypeIDToken); err != nil {
			t.Errorf("a hint of an archived key: %v", err)
		}
	})
}

// A node that has not polled yet accepts what the key's successor signs on another one.
func TestATokenOfTheNewKeyIsAcceptedByANodeThatHasNotPolled(t *testing.T) {
	eachEngine(t, func(t *testing.T, i installation) {
		k, late := i.loaded(t), i.loaded(t)
		rotate(t, k, true)
		if err := late.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		i.step(t, k, seen)
		if _, err := late.Verify(accessToken(t, k, oauth.ES256, i.clock.Now()), TypeAccessToken); err != nil {
			t.Errorf("the node that is behind: %v", err)
		}
	})
}
