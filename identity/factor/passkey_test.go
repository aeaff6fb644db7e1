package factor

import (
	"testing"

	virtual "github.com/descope/virtualwebauthn"
	"github.com/google/go-cmp/cmp"
	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/storage"
)

// LG-01: what a browser is asked for before anybody is known says nothing about
// anybody, and as the only step it wants the user verified.
func TestAPasskeyIsAskedForWithoutNamingAnybody(t *testing.T) {
	in := onSQLite(t)
	alice := in.person(t, "alice@acme-corp.com")
	fields := func() (names []string) {
		o := read(t, in.passkeyChallenge(t, alice)).PublicKey
		if o.UserVerification != "required" || len(o.Allow) != 0 {
			t.Errorf("got %+v, want verification and no credentials", o)
		}
		return append(names, o.RPID, o.UserVerification)
	}
	before := fields()
	in.enrolKey(t, alice, newTestKey(virtual.KeyTypeEC2))
	if diff := cmp.Diff(before, fields()); diff != "" {
		t.Error(diff)
	}
}

func TestAPasskeySaysWhoItIs(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		alice, bob := in.person(t, "alice@acme-corp.com"), in.person(t, "bob@acme-corp.com")
		for _, key := range []*testKey{newTestKey(virtual.KeyTypeEC2), newTestKey(virtual.KeyTypeRSA), newEdKey(t)} {
			if e := in.enrolKey(t, alice, key); !e.Factor.Passkey || e.Factor.Name != "Passkey" {
				t.Errorf("enrolled %+v, want a passkey", e.Factor)
			}
			// The browser is one that nobody is signed in in.
			v, err := in.VerifyPasskey(t.Context(), bob.SessionHash, key.get(t, in.passkeyChallenge(t, bob)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(Strength{ACR: assurance.ACRPhishingResistant, AMR: []string{"swk", "user", "mfa"}}, v.Strength); diff != "" || v.User.ID != alice.User.ID {
				t.Errorf("got %s, %s, want alice", v.User.Email, diff)
			}
			wantError(t, "signing in", signIn(t, in.store, v), nil)
			wantError(t, "the same use again", signIn(t, in.store, v), storage.ErrSpent)
		}
	})
}

// A passkey alone signs in only with the user verified, and only whom the
// credential and the handle both name.
func TestAPasskeyThatIsNotEnoughIsRefused(t *testing.T) {
	in := onSQLite(t)
	alice, bob := in.person(t, "alice@acme-corp.com"), in.person(t, "bob@acme-corp.com")
	key, bobs := newTestKey(virtual.KeyTypeEC2), newTestKey(virtual.KeyTypeEC2)
	in.enrolKey(t, alice, key)
	in.enrolKey(t, bob, bobs)
	nobodys := newTestKey(virtual.KeyTypeEC2)
	nobodys.handle = alice.User.Sub[:]
	try := func(k *testKey, change ...func(*ceremony)) error {
		_, err := in.VerifyPasskey(t.Context(), alice.SessionHash, k.get(t, in.passkeyChallenge(t, alice), change...))
		return err
	}
	wantError(t, "as it should be", try(key), nil)
	wantError(t, "without verification", try(key, func(c *ceremony) { c.flags &^= flagVerified }), ErrVerification)
	wantError(t, "without presence", try(key, func(c *ceremony) { c.flags &^= flagPresent }), ErrVerification)
	wantError(t, "without a handle", try(key, func(c *ceremony) { c.handle = nil }), ErrVerification)
	wantError(t, "with another person's handle", try(key, func(c *ceremony) { c.handle = bob.User.Sub[:] }), ErrVerification)
	wantError(t, "with another person's credential", try(key, func(c *ceremony) { c.rawID, c.handle = bobs.id, bob.User.Sub[:] }), ErrVerification)
	wantError(t, "with nobody's credential", try(nobodys), ErrVerification)
	_, err := in.VerifyPasskey(t.Context(), bob.SessionHash, key.get(t, in.passkeyChallenge(t, alice)))
	wantError(t, "in another browser", err, ErrChallenge)
	_, err = in.VerifyPasskey(t.Context(), alice.SessionHash, key.get(t, in.challenge(t, alice)))
	wantError(t, "for another purpose", err, ErrChallenge)
	if _, err := in.store.DisableUser(t.Context(), alice.User.ID, &storage.Event{Type: "user.disabled"}); err != nil {
		t.Fatal(err)
	}
	wantError(t, "of a disabled person", try(key), ErrVerification)
}
