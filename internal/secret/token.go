package secret

import (
	"crypto/rand"
	"crypto/sha256"
	"database/sql/driver"
	"encoding/base64"
	"encoding/hex"
	"fmt"
)

// tokenBytes is the entropy of every token: 256 bits.
const tokenBytes = 32

// Random returns n bytes of the operating system's randomness. It cannot fail: the runtime ends the process when the
// system has none, which is better than a guessable secret.
func Random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// NewToken returns prefix followed by 256 random bits as 43 base64url characters. The prefix tells people and secret
// scanners what they found; it may be empty and adds no secrecy.
func NewToken(prefix string) string {
	return prefix + base64.RawURLEncoding.EncodeToString(Random(tokenBytes))
}

// Hash is the SHA-256 of a token, the only form in which a token is stored. It is a type of its own so that a token
// and its hash cannot be mixed up. Hashes may be compared with ==: who can choose the input cannot steer the hash of
// 256 unknown bits, so timing tells nothing.
//
// The zero Hash means "none" and is NULL in the database, which no comparison in SQL ever matches.
type Hash [sha256.Size]byte

// HashOf returns the hash under which token is stored. The empty string has a hash like any other, which is not the
// zero Hash: a request without a token must not match a row without one.
func HashOf(token string) Hash {
	return sha256.Sum256([]byte(token))
}

// IsZero reports whether h is no hash at all.
func (h Hash) IsZero() bool { return h == Hash{} }

// String returns h in lower-case hexadecimal.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// Value stores h as bytea or BLOB, the zero Hash as NULL.
func (h Hash) Value() (driver.Value, error) {
	if h.IsZero() {
		return nil, nil
	}
	return h[:], nil
}

// Scan reads what Value wrote.
func (h *Hash) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*h = Hash{}
		return nil
	case []byte:
		if len(v) != len(h) {
			return fmt.Errorf("secret: a stored hash has %d bytes, want %d", len(v), len(h))
		}
		copy(h[:], v)
		return nil
	}
	return fmt.Errorf("secret: a stored hash has type %T, want bytes", src)
}
