package factor

import (
	"strings"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// alphabet is Crockford's base 32, without i, l, o and u, which are easily misread.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// A code has 80 bits: it cannot be guessed under any rate limit, and not from a copy of the database without the key.
const (
	codeLength = 16
	codeGroup  = 4
)

// recovery makes and checks recovery codes.
type recovery struct {
	keys  secret.Subkeys
	count int
}

// make returns new codes in the form that is shown, and their hashes.
func (r *recovery) make(user uuid.UUID) (codes []string, hashes []secret.Hash) {
	for range r.count {
		var code, shown strings.Builder
		for n, b := range secret.Random(codeLength) {
			c := alphabet[b&31] // 256 is a multiple of 32: no bias
			code.WriteByte(c)
			if n > 0 && n%codeGroup == 0 {
				shown.WriteByte('-')
			}
			shown.WriteByte(c)
		}
		codes = append(codes, shown.String())
		hashes = append(hashes, secret.Hash(r.keys.MAC(user[:], []byte(code.String()))))
	}
	return codes, hashes
}

// hashes are the hashes of a typed code under each key; ErrVerification if it cannot be a code.
func (r *recovery) hashes(user uuid.UUID, typed string) ([]secret.Hash, error) {
	code, ok := normal(typed)
	if !ok {
		return nil, ErrVerification
	}
	var all []secret.Hash
	for _, mac := range r.keys.MACs(user[:], []byte(code)) {
		all = append(all, mac)
	}
	return all, nil
}

// normal removes what users change in a code: case, dashes, spaces, and letters that look like digits.
func normal(typed string) (string, bool) {
	if len(typed) > 4*codeLength {
		return "", false
	}
	code := strings.NewReplacer("-", "", " ", "", "\t", "", "\r", "", "\n", "", "o", "0", "i", "1", "l", "1").
		Replace(strings.ToLower(typed))
	if len(code) != codeLength || strings.Trim(code, alphabet) != "" {
		return "", false
	}
	return code, true
}
