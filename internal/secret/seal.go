package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
)

var (
	// ErrNoKey: the value was sealed with a key that is not configured (any more).
	ErrNoKey = errors.New("secret: sealed with a key that is not configured")
	// ErrTampered: the value, or what it was bound to, is not what was sealed.
	ErrTampered = errors.New("secret: a sealed value does not open")
)

// A sealed value is one byte of format, the key's id, the nonce, the ciphertext and the tag.
const (
	sealFormat = 1
	sealHeader = 1 + keyIDBytes
)

// Sealer encrypts column values with AES-256-GCM, so that a copy of the database alone discloses nothing and no value
// can be changed or moved to another row unnoticed. It is safe for use by several goroutines.
type Sealer struct {
	ids   []string
	aeads []cipher.AEAD
}

// NewSealer returns a Sealer over keys, each of at least 32 random bytes: the first seals, all open. The faults are
// those of [NewKeyring].
func NewSealer(keys [][]byte) (*Sealer, error) {
	ring, err := NewKeyring(keys)
	if err != nil {
		return nil, err
	}
	s := &Sealer{ids: ring.ids}
	for _, key := range ring.keys {
		block, err := aes.NewCipher(derive(key, "seal", 32))
		if err != nil {
			return nil, fmt.Errorf("secret: sealer: %w", err)
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, fmt.Errorf("secret: sealer: %w", err)
		}
		s.aeads = append(s.aeads, aead)
	}
	return s, nil
}

// Seal encrypts plain under the first key and binds it to aad, which names where the value belongs (table, column and
// row id) and is needed again to open it. A key seals up to 2^32 values safely (NIST SP 800-38D section 8.3).
func (s *Sealer) Seal(plain, aad []byte) (sealed []byte, err error) {
	id, err := base64.RawURLEncoding.DecodeString(s.ids[0])
	if err != nil {
		return nil, fmt.Errorf("secret: seal: %w", err)
	}
	header := append([]byte{sealFormat}, id...)
	return s.aeads[0].Seal(header, nil, plain, bind(header, aad)), nil
}

// Open returns what was sealed for the same aad, or ErrNoKey or ErrTampered.
func (s *Sealer) Open(sealed, aad []byte) ([]byte, error) {
	id := s.KeyID(sealed)
	if id == "" {
		return nil, ErrTampered
	}
	i := slices.Index(s.ids, id)
	if i < 0 {
		return nil, fmt.Errorf("%w (key id %s)", ErrNoKey, id)
	}
	plain, err := s.aeads[i].Open(nil, nil, sealed[sealHeader:], bind(sealed[:sealHeader], aad))
	if err != nil {
		return nil, ErrTampered
	}
	return plain, nil
}

// KeyID returns the id of the key that sealed was sealed with, empty if sealed is not of this package's making. A value
// whose KeyID differs from CurrentKeyID waits to be sealed anew.
func (s *Sealer) KeyID(sealed []byte) string {
	if len(sealed) < sealHeader || sealed[0] != sealFormat {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(sealed[1:sealHeader])
}

// CurrentKeyID returns the id of the key that Seal uses.
func (s *Sealer) CurrentKeyID() string { return s.ids[0] }

// bind authenticates the header too. Its length is fixed, so the two cannot be shifted against each other.
func bind(header, aad []byte) []byte {
	return slices.Concat(header, aad)
}
