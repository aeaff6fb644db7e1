package secret

import (
	"crypto/pbkdf2"
	"crypto/sha1" // of imported hashes; HMAC-SHA1 is not broken
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"math/bits"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/scrypt"
	"golang.org/x/text/unicode/norm"
)

// The kinds that are verified and never made: people who come from another system
// bring them, and the first sign-in replaces them.
const (
	kindArgon2i = "argon2i"
	kindPBKDF2  = "pbkdf2"
	kindScrypt  = "scrypt"
)

// Bounds for imported hashes, as those for ours.
const (
	maxPBKDF2Rounds    = 5_000_000 // iterations × blocks of the sum: about 2 s
	maxScryptMemoryKiB = maxArgonMemoryKiB
	maxScryptWork      = 1 << 22 // N × r × p: about 2 s
	maxForeignSalt     = 128
	minForeignSum      = 16
	maxForeignSum      = 64
)

// derivation is how a foreign hash is computed: PBKDF2 with the iterations of a
// digest, or scrypt with N, r and p.
type derivation struct {
	digest     string // sha1, sha256 or sha512
	iterations int
	n, r, p    int
}

// newDigest knows the digests that PBKDF2 is met with, by their names in hashes.
func newDigest(name string) (fresh func() hash.Hash, size int) {
	switch name {
	case "sha1":
		return sha1.New, sha1.Size
	case "sha256":
		return sha256.New, sha256.Size
	case "sha512":
		return sha512.New, sha512.Size
	}
	return nil, 0
}

// foreignSum computes the hash of a foreign kind; nil if that cannot be done, which the
// checks at parsing exclude.
func (e encodedHash) foreignSum(input []byte) []byte {
	var sum []byte
	var err error
	switch e.kind {
	case kindArgon2i:
		sum = argon2.Key(input, e.salt, e.argon.Time, e.argon.MemoryKiB, e.argon.Threads, uint32(len(e.sum)))
	case kindPBKDF2:
		digest, _ := newDigest(e.derivation.digest)
		sum, err = pbkdf2.Key(digest, string(input), e.salt, e.derivation.iterations, len(e.sum))
	case kindScrypt:
		sum, err = scrypt.Key(input, e.salt, e.derivation.n, e.derivation.r, e.derivation.p, len(e.sum))
	}
	if err != nil {
		return nil
	}
	return sum
}

// normalForms are the normal forms that a foreign system may have hashed: it took
// the password as it was typed, or normalized it in its own way (Flask-Security:
// NFKD). Ours come first, and for nearly all passwords they are all the same.
func normalForms(typed, text string) []string {
	all := []string{text}
	for _, s := range []string{typed, norm.NFKD.String(typed)} {
		if s != all[0] && s != all[len(all)-1] {
			all = append(all, s)
		}
	}
	return all
}

// parseForeign reads a hash as other systems write it:
//
//	$argon2i$v=19$m=65536,t=3,p=4$SALT$SUM         PHC
//	$pbkdf2-sha256$29000$SALT$SUM                  passlib; also -sha512, and without for SHA-1
//	$pbkdf2-sha256$i=29000,l=32$SALT$SUM           PHC
//	$scrypt$ln=16,r=8,p=1$SALT$SUM                 PHC, passlib
//	pbkdf2_sha256$260000$salt$SUM                  Django; also _sha1
//	scrypt$16384$salt$8$5$SUM                      Django
//	argon2$…, bcrypt$…, bcrypt_sha256$…            Django, before one of the others
//	pbkdf2:sha256:260000$salt$sum                  Werkzeug
//	scrypt:32768:8:1$salt$sum                      Werkzeug
//
// SALT and SUM are base64, in PHC and passlib without padding and perhaps with '.'
// for '+'; salt is text as it is, sum hexadecimal.
func (e encodedHash) parseForeign(s string) (encodedHash, error) {
	e.text = s
	fields := strings.Split(s, "$")
	if len(fields) < 3 {
		return e, errKind
	}
	switch name, rest := fields[0], fields[1:]; {
	case name == "":
		return e.parsePHC(rest)
	case strings.Contains(name, ":"):
		return e.parseWerkzeug(strings.Split(name, ":"), rest)
	default:
		return e.parseDjango(name, rest)
	}
}

var errKind = fmt.Errorf("%w: it is of no known kind", ErrBadHash)

func malformed(kind string) error { return fmt.Errorf("%w: a malformed %s hash", ErrBadHash, kind) }

// parsePHC reads the fields behind the first dollar sign.
func (e encodedHash) parsePHC(f []string) (encodedHash, error) {
	name, digest, dashed := strings.Cut(f[0], "-")
	switch {
	case name == "argon2d":
		return e, fmt.Errorf("%w: argon2d is not supported; it is not meant for passwords", ErrBadHash)
	case name == kindScrypt && !dashed && len(f) == 4:
		ln, okN := param(f[1], 0, "ln=")
		r, okR := param(f[1], 1, "r=")
		p, okP := param(f[1], 2, "p=")
		if !okN || !okR || !okP || strings.Count(f[1], ",") != 2 || ln > 30 {
			return e, malformed(kindScrypt)
		}
		return e.scrypt(1<<ln, r, p).encoded(decode64(f[2]), decode64(f[3]))
	case name == kindPBKDF2 && len(f) == 4:
		if !dashed {
			digest = "sha1"
		}
		iterations, ok := number(f[1], "", 32)
		if strings.HasPrefix(f[1], "i=") {
			length := -1
			iterations, ok = param(f[1], 0, "i=")
			if strings.Count(f[1], ",") == 1 {
				l, okL := param(f[1], 1, "l=")
				length, ok = int(l), ok && okL
			}
			if sum := decode64(f[3]); strings.Count(f[1], ",") > 1 || length >= 0 && length != len(sum) {
				return e, malformed(kindPBKDF2)
			}
		}
		if !ok {
			return e, malformed(kindPBKDF2)
		}
		return e.pbkdf2(digest, iterations).encoded(decode64(f[2]), decode64(f[3]))
	}
	return e, errKind
}

func (e encodedHash) parseWerkzeug(method, f []string) (encodedHash, error) {
	if len(f) != 2 {
		return e, errKind
	}
	sum, _ := hex.DecodeString(f[1])
	switch {
	case method[0] == kindPBKDF2 && len(method) == 3:
		iterations, _ := number(method[2], "", 32)
		return e.pbkdf2(method[1], iterations).encoded([]byte(f[0]), sum)
	case method[0] == kindScrypt && len(method) == 4:
		n, _ := number(method[1], "", 32)
		r, _ := number(method[2], "", 32)
		p, _ := number(method[3], "", 32)
		return e.scrypt(n, r, p).encoded([]byte(f[0]), sum)
	}
	return e, errKind
}

func (e encodedHash) parseDjango(name string, f []string) (encodedHash, error) {
	inner := strings.TrimPrefix(e.text, name+"$")
	switch {
	case name == "argon2":
		return e.wrapped("$" + inner)
	case name == "bcrypt":
		return e.wrapped(inner)
	case name == "bcrypt_sha256":
		e.hexSHA256 = true
		return e.wrapped(inner)
	case strings.HasPrefix(name, "pbkdf2_") && len(f) == 3:
		iterations, _ := number(f[0], "", 32)
		return e.pbkdf2(strings.TrimPrefix(name, "pbkdf2_"), iterations).encoded([]byte(f[1]), decode64(f[2]))
	case name == kindScrypt && len(f) == 5:
		n, _ := number(f[0], "", 32)
		r, _ := number(f[2], "", 32)
		p, _ := number(f[3], "", 32)
		return e.scrypt(n, r, p).encoded([]byte(f[1]), decode64(f[4]))
	}
	return e, errKind
}

// wrapped reads what Django has put its name before.
func (e encodedHash) wrapped(s string) (encodedHash, error) {
	if rest, kind, ok := cutArgon2(s); ok && !e.hexSHA256 {
		return e.parseArgon2(kind, rest)
	}
	return e.parseBcrypt(s)
}

func (e encodedHash) pbkdf2(digest string, iterations uint64) encodedHash {
	e.kind = kindPBKDF2
	e.derivation = derivation{digest: digest, iterations: int(min(iterations, maxPBKDF2Rounds+1))}
	return e
}

func (e encodedHash) scrypt(n, r, p uint64) encodedHash {
	e.kind = kindScrypt
	bounded := func(v uint64) int { return int(min(v, maxScryptWork+1)) }
	e.derivation = derivation{n: bounded(n), r: bounded(r), p: bounded(p)}
	return e
}

// encoded completes a hash with its salt and sum, and checks all of it.
func (e encodedHash) encoded(salt, sum []byte) (encodedHash, error) {
	e.salt, e.sum = salt, sum
	if len(salt) < 1 || len(salt) > maxForeignSalt || len(sum) < minForeignSum || len(sum) > maxForeignSum {
		return e, malformed(e.kind)
	}
	return e, e.derivation.check(len(sum))
}

// check refuses what cannot be computed, or would hold a slot for longer or take
// more memory than any honest hash does.
func (d derivation) check(sum int) error {
	_, size := newDigest(d.digest)
	switch {
	case d.n == 0 && size == 0:
		return fmt.Errorf("%w: pbkdf2 with a digest that is not known", ErrBadHash)
	case d.n == 0:
		if blocks := (sum + size - 1) / size; d.iterations < 1 || d.iterations > maxPBKDF2Rounds/blocks {
			return fmt.Errorf("%w: pbkdf2 iterations are out of bounds", ErrBadHash)
		}
	case d.n < 2 || bits.OnesCount(uint(d.n)) != 1 || d.r < 1 || d.p < 1,
		d.r*(d.n+d.p) > maxScryptMemoryKiB*8, // blocks of 128 bytes
		d.n*d.r*d.p > maxScryptWork:          // at most 2^21 × 2^22: no overflow
		return fmt.Errorf("%w: scrypt parameters are out of bounds", ErrBadHash)
	}
	return nil
}

// param reads one of several parameters: "r=8" of "ln=16,r=8,p=1".
func param(s string, place int, prefix string) (uint64, bool) {
	parts := strings.Split(s, ",")
	if place >= len(parts) {
		return 0, false
	}
	return number(parts[place], prefix, 32)
}

// decode64 reads base64 with or without padding, and '.' for '+' as passlib
// writes it; nil if it is none.
func decode64(s string) []byte {
	if strings.ContainsAny(s, "\r\n") { // which the decoder would skip
		return nil
	}
	b, err := base64.RawStdEncoding.Strict().DecodeString(strings.ReplaceAll(strings.TrimRight(s, "="), ".", "+"))
	if err != nil {
		return nil
	}
	return b
}
