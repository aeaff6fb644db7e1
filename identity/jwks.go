package identity

import (
	"cmp"
	"crypto/ecdh"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/sallyport-id/sallyport/internal/oauth"
)

const (
	maxJWKSBytes = 64 << 10
	maxKeys      = 20
)

// checkJWKS refuses a key set (RFC 7517) with anything but public keys of supported kinds: RSA from 2048 bits, P-256
// and Ed25519. It returns the set with each member once and in order, so that two readers cannot see different keys in
// it.
func checkJWKS(raw json.RawMessage) (json.RawMessage, error) {
	if len(raw) > maxJWKSBytes {
		return nil, fmt.Errorf("is larger than %d KiB", maxJWKSBytes>>10)
	}
	var set map[string][]map[string]any
	if err := json.Unmarshal(raw, &set); err != nil || len(set) != 1 || len(set["keys"]) == 0 || len(set["keys"]) > maxKeys {
		return nil, fmt.Errorf("is not a key set: an object with one member, keys, a list of 1 to %d keys", maxKeys)
	}
	var ids []string
	for n, key := range set["keys"] {
		if err := checkJWK(key); err != nil {
			return nil, fmt.Errorf("key %d %w", n+1, err)
		}
		kid, _ := key["kid"].(string)
		if slices.Contains(ids, kid) {
			return nil, fmt.Errorf("key %d has the same kid as another", n+1)
		}
		ids = append(ids, kid)
	}
	return json.Marshal(set)
}

// UsableKeys keeps the keys of a client's jwks_uri that could also be registered by value: a key too weak to register
// is too weak to verify with. The others are left out (RFC 7517, section 5), because such a set may hold keys of other
// kinds and for other purposes. A set without a usable key is an error.
func UsableKeys(raw []byte) (json.RawMessage, error) {
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	if len(raw) > maxJWKSBytes {
		return nil, fmt.Errorf("the key set is larger than %d KiB", maxJWKSBytes>>10)
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		return nil, errors.New("the key set cannot be read: it is not an object with a list of keys")
	}
	var why error
	set.Keys = slices.DeleteFunc(set.Keys, func(key map[string]any) bool {
		err := checkJWK(key)
		why = cmp.Or(why, err)
		return err != nil
	})
	switch {
	case len(set.Keys) > maxKeys:
		return nil, fmt.Errorf("the key set has more than %d keys", maxKeys)
	case len(set.Keys) == 0 && why != nil:
		return nil, fmt.Errorf("the key set has no key that can be used: one %w", why)
	case len(set.Keys) == 0:
		return nil, errors.New("the key set is empty")
	}
	return json.Marshal(set)
}

func checkJWK(key map[string]any) error {
	for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		if _, ok := key[private]; ok {
			return fmt.Errorf("has the private member %q: replace the key, it is not secret any more", private)
		}
	}
	for name, v := range key {
		if s, ok := v.(string); ok && len(s) > 4096 {
			return fmt.Errorf("has a member %q that is too long", Clip(name))
		}
	}
	text := func(name string) string { s, _ := key[name].(string); return s }
	algs := map[string][]string{"RSA": {oauth.RS256, oauth.PS256}, "EC": {oauth.ES256},
		"OKP": {oauth.EdDSA}}[text("kty")]
	use, hasUse := key["use"]
	alg, hasAlg := key["alg"]
	switch {
	case hasUse && use != "sig":
		return errors.New(`is not for signatures ("use" is not "sig")`)
	case algs == nil:
		return errors.New(`is of a kind that is not accepted: "kty" is RSA, EC (P-256) or OKP (Ed25519)`)
	case hasAlg && !slices.Contains(algs, text("alg")):
		return fmt.Errorf("has an alg that is not one of %v (%.20v)", algs, alg)
	}
	switch text("kty") {
	case "RSA":
		return checkRSA(text("n"), text("e"))
	case "EC":
		x, y := bytesOf(text("x")), bytesOf(text("y"))
		if text("crv") != "P-256" || len(x) != 32 || len(y) != 32 {
			return errors.New("is not a key on P-256")
		}
		if _, err := ecdh.P256().NewPublicKey(slices.Concat([]byte{4}, x, y)); err != nil {
			return errors.New("is not a point of P-256")
		}
	case "OKP":
		if text("crv") != "Ed25519" || len(bytesOf(text("x"))) != 32 {
			return errors.New("is not an Ed25519 key")
		}
	}
	return nil
}

func checkRSA(modulus, exponent string) error {
	n, e := new(big.Int).SetBytes(bytesOf(modulus)), new(big.Int).SetBytes(bytesOf(exponent))
	switch {
	case n.BitLen() < 2048 || n.BitLen() > 8192:
		return fmt.Errorf("has %d bits; RSA keys have 2048 to 8192", n.BitLen())
	case !e.IsInt64() || e.Int64() < 3 || e.Int64() > 1<<31-1 || e.Bit(0) == 0 || n.Bit(0) == 0:
		return errors.New("is no RSA key: its exponent or modulus is impossible")
	}
	return nil
}

// bytesOf decodes base64url; invalid text gives nil.
func bytesOf(s string) []byte {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil
	}
	return b
}
