package secret

import (
	"bytes"
	"errors"
	"testing"
)

func newSealer(t testing.TB, keys ...[]byte) *Sealer {
	t.Helper()
	s, err := NewSealer(keys)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func seal(t testing.TB, s *Sealer, plain, aad string) []byte {
	t.Helper()
	sealed, err := s.Seal([]byte(plain), []byte(aad))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestSealedValuesOpenAgain(t *testing.T) {
	s := newSealer(t, testKey('a'))
	for _, plain := range []string{"", "x", string(make([]byte, 10_000))} {
		got, err := s.Open(seal(t, s, plain, "keys/1"), []byte("keys/1"))
		if err != nil || string(got) != plain {
			t.Errorf("Open = %d bytes, %v, want %d bytes", len(got), err, len(plain))
		}
	}
}

func TestSealingTwiceDiffers(t *testing.T) {
	s := newSealer(t, testKey('a'))
	if bytes.Equal(seal(t, s, "x", ""), seal(t, s, "x", "")) {
		t.Error("the same value sealed twice is the same: equal secrets would show")
	}
}

// AD-09: a ciphertext that is moved to another row or tenant does not open there.
func TestSealedValuesAreBoundToTheirPlace(t *testing.T) {
	s := newSealer(t, testKey('a'))
	sealed := seal(t, s, "x", "connections/1")
	for _, aad := range []string{"", "connections/2", "connections/1 ", "users/1"} {
		if got, err := s.Open(sealed, []byte(aad)); !errors.Is(err, ErrTampered) {
			t.Errorf("Open(%q) = %q, %v, want ErrTampered", aad, got, err)
		}
	}
}

func TestChangedBytesDoNotOpen(t *testing.T) {
	s := newSealer(t, testKey('a'))
	sealed := seal(t, s, "x", "a")
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := s.Open(bad, []byte("a")); err == nil {
			t.Errorf("opened with byte %d changed", i)
		}
		if _, err := s.Open(sealed[:i], []byte("a")); err == nil {
			t.Errorf("opened when cut at %d", i)
		}
	}
}

func TestRotationOpensOldAndSealsWithNew(t *testing.T) {
	before := newSealer(t, testKey('a'))
	after := newSealer(t, testKey('b'), testKey('a'))
	sealed := seal(t, before, "x", "a")

	if got, err := after.Open(sealed, []byte("a")); err != nil || string(got) != "x" {
		t.Errorf("Open = %q, %v, want x", got, err)
	}
	if after.KeyID(sealed) != before.CurrentKeyID() || after.KeyID(sealed) == after.CurrentKeyID() {
		t.Error("the old value does not show that it waits to be sealed anew")
	}
	again := seal(t, after, "x", "a")
	if after.KeyID(again) != after.CurrentKeyID() {
		t.Error("the new key does not seal")
	}
	// AD-09: a wrong or missing key is told apart from damage, so that the operator knows what to look for.
	if _, err := before.Open(again, []byte("a")); !errors.Is(err, ErrNoKey) {
		t.Errorf("Open with the key missing = %v, want ErrNoKey", err)
	}
}

func TestKeyIDOfForeignBytesIsEmpty(t *testing.T) {
	s := newSealer(t, testKey('a'))
	for _, b := range [][]byte{nil, {1}, []byte("plain text in an old column")} {
		if got := s.KeyID(b); got != "" {
			t.Errorf("KeyID(%q) = %q, want none", b, got)
		}
	}
}
