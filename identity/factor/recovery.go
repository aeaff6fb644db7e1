package factor

import (
	"strings"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// alphabet is Crockford's base 32: no i, l, o or u, which people misread.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// codeLength is in characters of five bits: 80 bits, which nobody guesses under
// any limit, and which even a copy of the database does not give away while the
// key is elsewhere.
const (
	codeLength = 16
	codeGroup  = 4
)

// recovery makes recovery codes and finds them again.
type recovery struct {
	keys  secret.Subkeys
	count int
}

// make returns new codes as they are shown, and as they are kept.
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

// hashes are what a typed code is kept as under each key; ErrVerification if it cannot be one.
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

// normal is a code without what people change about it: case, dashes, spaces, and
// the letters that stand for digits.
func normal(typed string) (string, bool) {
	if len(typed) > 4*codeLength {
		return "", false
	}
	code := strings.NewReplacer("-", "", " ", "", "\t", "", "\r", "", "\n", "", "o", "0", "i", "1", "l", "1").Replace(strings.ToLower(typed))
	if len(code) != codeLength || strings.Trim(code, alphabet) != "" {
		return "", false
	}
	return code, true
}
