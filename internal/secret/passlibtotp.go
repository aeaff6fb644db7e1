package secret

import (
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Bounds of what an imported TOTP secret may ask for.
const (
	maxPasslibCost = 20 // 2^20 rounds: about half a second; passlib's default is 14
	minTOTPSeed    = 10 // bytes; passlib warns of less
	maxTOTPSeed    = 64
)

// PasslibSecrets are the keys that passlib.totp encrypts TOTP secrets with, by tag: Flask-Security's
// SECURITY_TOTP_SECRETS. The key of the empty tag is for every tag.
type PasslibSecrets map[string]string

// ParsePasslibSecrets reads a JSON object of tags and keys, or one key. Errors do not repeat it.
func ParsePasslibSecrets(text string) (PasslibSecrets, error) {
	switch text = strings.TrimSpace(text); {
	case text == "":
		return nil, nil
	case strings.ContainsAny(text, "\r\n") && !strings.HasPrefix(text, "{"):
		return nil, errors.New("must be one key, or a JSON object of tags and keys")
	case !strings.HasPrefix(text, "{") && !strings.HasPrefix(text, "["):
		return PasslibSecrets{"": text}, nil
	}
	var secrets PasslibSecrets
	if err := json.Unmarshal([]byte(text), &secrets); err != nil || len(secrets) == 0 {
		return nil, errors.New(`must be a JSON object of tags and keys, such as {"1": "…"}`)
	}
	for tag, key := range secrets {
		if tag == "" || key == "" {
			return nil, errors.New("has an empty tag or key")
		}
	}
	return secrets, nil
}

// passlibTOTP is a TOTP secret as passlib.totp serializes it, with what differs from its defaults.
type passlibTOTP struct {
	Type    string `json:"type"`
	Version int    `json:"v"`
	Key     string `json:"key"` // base32, unless EncKey is there
	EncKey  *struct {
		Version int    `json:"v"`
		Cost    int    `json:"c"` // logarithm of the rounds
		Tag     string `json:"t"`
		Salt    string `json:"s"` // base32
		Key     string `json:"k"` // base32
	} `json:"enckey"`
	Alg    string `json:"alg"`
	Digits int    `json:"digits"`
	Period int    `json:"period"`
}

// OpenTOTP returns the seed in a TOTP secret as passlib.totp or Flask-Security stores it: its JSON, encrypted under one
// of the secrets or not, or the seed alone in base32. The encryption does not tell whether the key is the right one.
// Errors are for the one who imports and repeat nothing of the secret.
func (s PasslibSecrets) OpenTOTP(text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	if !strings.HasPrefix(text, "{") {
		return checkSeed(decodeBase32(text))
	}
	var t passlibTOTP
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		return nil, errors.New("is not the JSON of a TOTP secret")
	}
	if t.Type != "totp" || t.Version != 1 {
		return nil, errors.New("is not a TOTP secret of version 1")
	}
	if a, d, p := cmp.Or(t.Alg, "sha1"), cmp.Or(t.Digits, 6), cmp.Or(t.Period, 30); a != "sha1" || d != 6 || p != 30 {
		return nil, errors.New("is for codes other than six digits by SHA-1 every 30 seconds")
	}
	if t.EncKey == nil {
		return checkSeed(decodeBase32(t.Key))
	}
	if t.EncKey.Version != 1 || t.EncKey.Cost < 0 || t.EncKey.Cost > maxPasslibCost {
		return nil, fmt.Errorf("is encrypted in a version other than 1, or at a cost above %d", maxPasslibCost)
	}
	key, ok := s[t.EncKey.Tag]
	if !ok {
		key, ok = s[""]
	}
	if !ok {
		return nil, fmt.Errorf("is encrypted under the key %.20q, which SECURITY_TOTP_SECRETS does not have", t.EncKey.Tag)
	}
	sealed, err := decodeBase32(t.EncKey.Key)
	salt, saltErr := decodeBase32(t.EncKey.Salt)
	if err := errors.Join(err, saltErr); err != nil {
		return nil, err
	}
	return openPasslib(key, salt, 1<<t.EncKey.Cost, sealed)
}

// openPasslib decrypts as passlib.totp.AppWallet does: PBKDF2-HMAC-SHA256 makes the key and the counter of AES-256-CTR.
func openPasslib(key string, salt []byte, rounds int, sealed []byte) ([]byte, error) {
	derived, err := pbkdf2.Key(sha256.New, key, salt, rounds, 32+aes.BlockSize)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(derived[:32])
	if err != nil {
		return nil, err
	}
	seed := make([]byte, len(sealed))
	cipher.NewCTR(block, derived[32:]).XORKeyStream(seed, sealed)
	return checkSeed(seed, nil)
}

// decodeBase32 reads base32 as people and passlib write it: in any case, with or without spaces, dashes and padding.
func decodeBase32(text string) ([]byte, error) {
	text = strings.ToUpper(strings.TrimRight(strings.NewReplacer(" ", "", "-", "").Replace(text), "="))
	out, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(text)
	if err != nil {
		return nil, errors.New("has something in it that is not base32")
	}
	return out, nil
}

func checkSeed(seed []byte, err error) ([]byte, error) {
	if err == nil && (len(seed) < minTOTPSeed || len(seed) > maxTOTPSeed) {
		return nil, fmt.Errorf("has a seed of %d bytes, and %d to %d are taken", len(seed), minTOTPSeed, maxTOTPSeed)
	}
	return seed, err
}
