package secret

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"strings"
	"testing"
)

func testKey(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

func newKeyring(t testing.TB, keys ...[]byte) *Keyring {
	t.Helper()
	k, err := NewKeyring(keys)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestKeyringRefusesBadKeysWithoutShowingThem(t *testing.T) {
	tests := map[string][][]byte{
		"none":  nil,
		"short": {testKey('a'), []byte("only-thirty-one-characters-long")},
		"twice": {testKey('a'), testKey('b'), testKey('a')},
	}
	for name, keys := range tests {
		_, err := NewKeyring(keys)
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		for _, key := range keys {
			if strings.Contains(err.Error(), string(key)) {
				t.Errorf("%s: the error %q shows a key", name, err)
			}
		}
		if _, err := NewSealer(keys); err == nil {
			t.Errorf("%s: accepted by NewSealer", name)
		}
	}
}

// Values made before a change of keys must verify afterwards, new ones are made with the new key.
func TestFirstKeySignsAllVerify(t *testing.T) {
	before := newKeyring(t, testKey('a')).Subkeys("csrf")
	after := newKeyring(t, testKey('b'), testKey('a')).Subkeys("csrf")
	later := newKeyring(t, testKey('b')).Subkeys("csrf")

	oldMAC, newMAC := before.MAC([]byte("x")), after.MAC([]byte("x"))
	if !after.Verify(oldMAC[:], []byte("x")) {
		t.Error("the old key no longer verifies")
	}
	if !later.Verify(newMAC[:], []byte("x")) {
		t.Error("the first key of the list did not sign")
	}
	if later.Verify(oldMAC[:], []byte("x")) {
		t.Error("a key that was removed still verifies")
	}
	if macs := after.MACs([]byte("x")); len(macs) != 2 || macs[0] != newMAC || macs[1] != oldMAC {
		t.Errorf("MACs = %x, want %x, %x", macs, newMAC, oldMAC)
	}
	if got, ok := after.MACWith(before.KeyIDs()[0], []byte("x")); !ok || got != oldMAC {
		t.Errorf("MACWith(old) = %x, %v, want %x", got, ok, oldMAC)
	}
	if _, ok := later.MACWith(before.KeyIDs()[0], []byte("x")); ok {
		t.Error("MACWith knows a key that was removed")
	}
}

func TestMACsOfOnePurposeAreWorthlessForAnother(t *testing.T) {
	ring := newKeyring(t, testKey('a'))
	mac := ring.Subkeys("csrf").MAC([]byte("x"))
	if ring.Subkeys("cursor").Verify(mac[:], []byte("x")) {
		t.Error("a csrf value passes as a cursor")
	}
}

// Without lengths, parts could be shifted against each other: ("user1", "23") as ("user12", "3").
func TestPartsAreKeptApart(t *testing.T) {
	s := newKeyring(t, testKey('a')).Subkeys("test")
	seen := map[[32]byte]int{}
	for i, parts := range [][][]byte{
		nil, {nil}, {nil, nil}, {[]byte("abc")}, {[]byte("ab"), []byte("c")}, {[]byte("a"), []byte("bc")},
		{[]byte("abc"), nil}, {nil, []byte("abc")}, {[]byte("\x00\x00\x00\x00\x00\x00\x00\x03abc")},
	} {
		mac := s.MAC(parts...)
		if other, taken := seen[mac]; taken {
			t.Errorf("lists %d and %d have the same MAC", other, i)
		}
		seen[mac] = i
	}
}

func TestVerifyRefusesForeignBytes(t *testing.T) {
	s := newKeyring(t, testKey('a')).Subkeys("test")
	mac := s.MAC([]byte("x"))
	plain := sha256.Sum256([]byte("x"))
	keyless := hmac.New(sha256.New, nil).Sum(nil)
	flipped := mac
	flipped[31] ^= 1
	for name, bad := range map[string][]byte{
		"nil": nil, "truncated": mac[:31], "longer": append(mac[:], 0), "flipped": flipped[:], "plain": plain[:], "no key": keyless,
	} {
		if s.Verify(bad, []byte("x")) {
			t.Errorf("%s: verified", name)
		}
	}
	if (Subkeys{}).Verify(mac[:], []byte("x")) {
		t.Error("no keys at all: verified")
	}
}

// Ids are stored and shown: they must be stable, and not be parts of a key.
func TestKeyIDsAreStableAndOpaque(t *testing.T) {
	ring := newKeyring(t, testKey('a'), testKey('b'))
	ids := ring.Subkeys("x").KeyIDs()
	if got := ring.Subkeys("y").KeyIDs(); len(ids) != 2 || got[0] != ids[0] || got[1] != ids[1] || ids[0] == ids[1] {
		t.Errorf("KeyIDs = %v and %v", ids, got)
	}
	if ids[0] != "lOl8rXxq" {
		t.Errorf("KeyIDs()[0] = %s, want lOl8rXxq: stored values would be orphaned", ids[0])
	}
}

func BenchmarkMAC(b *testing.B) {
	s := newKeyring(b, testKey('a')).Subkeys("bench")
	secret := []byte(NewToken(""))
	for b.Loop() {
		s.MAC(secret)
	}
}
