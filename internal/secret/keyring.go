package secret

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

const (
	minKeyBytes = 32 // of a configured key; shorter ones are passwords, not keys
	keyIDBytes  = 6
)

// Keyring holds the configured secret keys, newest first. The first signs, all verify, so that a key can be replaced
// without a moment in which valid values are refused.
type Keyring struct {
	keys [][]byte
	ids  []string
}

// NewKeyring returns a Keyring over keys, each of at least 32 random bytes. No key, a short one or the same one twice
// is an error, which names the key by its place and never by its value.
func NewKeyring(keys [][]byte) (*Keyring, error) {
	if len(keys) == 0 {
		return nil, errors.New("secret: no key given")
	}
	k := &Keyring{}
	for i, key := range keys {
		if len(key) < minKeyBytes {
			return nil, fmt.Errorf("secret: key %d has %d bytes, at least %d are needed", i+1, len(key), minKeyBytes)
		}
		id := base64.RawURLEncoding.EncodeToString(derive(key, "key id", keyIDBytes))
		if slices.Contains(k.ids, id) {
			return nil, fmt.Errorf("secret: key %d is given twice", i+1)
		}
		k.keys = append(k.keys, slices.Clone(key))
		k.ids = append(k.ids, id)
	}
	return k, nil
}

// Subkeys derives the keys for one purpose, such as "csrf": a value made for one purpose is worthless for another.
// Derive once, at start, and keep the result.
func (k *Keyring) Subkeys(purpose string) Subkeys {
	s := Subkeys{ids: k.ids}
	for _, key := range k.keys {
		s.keys = append(s.keys, derive(key, "purpose "+purpose, sha256.Size))
	}
	return s
}

// derive is HKDF-SHA256 (RFC 5869) without a salt: the input is a random key already. The labels keep what is derived
// from one key apart.
func derive(key []byte, label string, n int) []byte {
	out, err := hkdf.Key(sha256.New, key, nil, "sallyport "+label, n)
	if err != nil {
		panic(err) // only for more than 255 blocks, and every n here is a constant
	}
	return out
}

// Subkeys are the keys of one purpose. The zero value has none: it verifies nothing and must not be asked to sign.
// It is safe for use by several goroutines.
type Subkeys struct {
	keys [][]byte
	ids  []string
}

// MAC returns the HMAC-SHA256 of parts under the first key. Each part is preceded by its length, so that ("ab", "c")
// and ("a", "bc") differ.
func (s Subkeys) MAC(parts ...[]byte) [sha256.Size]byte {
	return macOf(s.keys[0], parts)
}

// MACs returns the HMAC of parts under each key, in the order of KeyIDs, for looking up a stored one.
func (s Subkeys) MACs(parts ...[]byte) [][sha256.Size]byte {
	out := make([][sha256.Size]byte, len(s.keys))
	for i, key := range s.keys {
		out[i] = macOf(key, parts)
	}
	return out
}

// Verify reports whether mac was made from parts under any of the keys. Its time depends on the number of keys and the
// length of parts only.
func (s Subkeys) Verify(mac []byte, parts ...[]byte) bool {
	ok := false
	for _, key := range s.keys {
		want := macOf(key, parts)
		ok = hmac.Equal(mac, want[:]) || ok
	}
	return ok
}

// KeyIDs names the keys, the signing one first. An id is stored beside a MAC that cannot be made again when the key
// changes, such as that of a client secret; it is derived from the key and tells nothing about it.
func (s Subkeys) KeyIDs() []string { return slices.Clone(s.ids) }

// MACWith returns the HMAC of parts under the key with that id, and false if there is no such key (any more).
func (s Subkeys) MACWith(keyID string, parts ...[]byte) (mac [sha256.Size]byte, ok bool) {
	i := slices.Index(s.ids, keyID)
	if i < 0 {
		return mac, false
	}
	return macOf(s.keys[i], parts), true
}

func macOf(key []byte, parts [][]byte) (out [sha256.Size]byte) {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		// The length keeps ("ab", "c") and ("a", "bc") apart.
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p))))
		h.Write(p)
	}
	h.Sum(out[:0])
	return out
}
