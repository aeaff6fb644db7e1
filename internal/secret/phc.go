package secret

import (
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// Bounds of the work that a stored hash may ask for. A hash beyond them did not come from here or from any system worth
// importing, and checking it would hold a slot for minutes or take the machine's memory.
const (
	maxArgonMemoryKiB = 256 * 1024
	maxArgonTime      = 16
	maxArgonThreads   = 16
	maxArgonWorkKiB   = 1024 * 1024 // memory × passes: about 0.6 s
	maxBcryptCost     = 15          // about 1.8 s
	maxHashLength     = 512
)

const (
	bcryptAlphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	bcryptTail     = 53 // characters of salt and hash

	prehashPrefix = "$hmac-sha512$keyid="
	publicPrehash = "none"
)

// Argon2Floor is the least that OWASP asks of argon2id for stored passwords, and the default.
var Argon2Floor = Argon2Params{MemoryKiB: 19 * 1024, Time: 2, Threads: 1}

// Bounds of the settings of argon2id.
const (
	MaxArgon2MemoryKiB = maxArgonMemoryKiB
	MaxArgon2Time      = maxArgonTime
	MaxArgon2Threads   = maxArgonThreads
)

// Argon2Params is the cost of an argon2id hash (RFC 9106).
type Argon2Params struct {
	MemoryKiB uint32
	Time      uint32 // passes over the memory
	Threads   uint8  // lanes
}

// Check reports whether a hash may ask for that much work.
func (a Argon2Params) Check() error {
	switch {
	case a.Time < 1, a.Threads < 1, a.MemoryKiB < 8*uint32(a.Threads),
		a.MemoryKiB > maxArgonMemoryKiB, a.Time > maxArgonTime, a.Threads > maxArgonThreads,
		a.MemoryKiB*a.Time > maxArgonWorkKiB: // at most 2^18 * 2^4: no overflow
		return fmt.Errorf("secret: argon2 with m=%d,t=%d,p=%d is out of bounds", a.MemoryKiB, a.Time, a.Threads)
	}
	return nil
}

func (a Argon2Params) sum(input, salt []byte, n int) []byte {
	return argon2.IDKey(input, salt, a.Time, a.MemoryKiB, a.Threads, uint32(n))
}

// encodedHash is a stored password hash, taken apart. Three forms are made here:
//
//	$argon2id$v=19$m=19456,t=2,p=1$SALT$SUM
//	$2b$12$SALTSUM                                (also 2a, 2y)
//	$hmac-sha512$keyid=ID followed by one of these
//
// The last says that the hash is not of the password but of base64(HMAC-SHA512(key, password)), and under which key; it
// may also stand before a hash from elsewhere. For those see parseForeign.
type encodedHash struct {
	prehash string // key id, empty if the password went in as it is
	kind    string

	argon     Argon2Params
	salt, sum []byte

	bcrypt string
	cost   int

	// text is the hash as another system wrote it, without the pepper's id; empty for the forms that are made here.
	text       string
	derivation derivation
	hexSHA256  bool // Django: what is hashed is the hexadecimal SHA-256 of the password
}

// matches computes the hash of input and compares in constant time.
func (e encodedHash) matches(input []byte) bool {
	var sum []byte
	switch e.kind {
	case Bcrypt:
		return bcrypt.CompareHashAndPassword([]byte(e.bcrypt), input) == nil
	case Argon2id:
		sum = e.argon.sum(input, e.salt, len(e.sum))
	default:
		sum = e.foreignSum(input)
	}
	return subtle.ConstantTimeCompare(sum, e.sum) == 1
}

// String is the inverse of parseHash.
func (e encodedHash) String() string {
	prefix := ""
	if e.prehash != "" {
		prefix = prehashPrefix + e.prehash
	}
	switch {
	case e.text != "":
		return prefix + e.text
	case e.kind == Bcrypt:
		return prefix + e.bcrypt
	}
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("%s$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", prefix, argon2.Version,
		e.argon.MemoryKiB, e.argon.Time, e.argon.Threads, b64.EncodeToString(e.salt), b64.EncodeToString(e.sum))
}

// CheckHash reports whether encoded is a hash that Passwords could verify with, or ErrBadHash: for one that comes from
// elsewhere and is to be stored. Whether its pepper is configured, Passwords.CheckHash knows.
func CheckHash(encoded string) error {
	_, err := parseHash(encoded)
	return err
}

// parseHash reads a stored hash. Anything but the exact forms above, within the bounds above, is ErrBadHash. The error
// does not repeat the hash.
func parseHash(s string) (encodedHash, error) {
	var e encodedHash
	if len(s) > maxHashLength {
		return e, fmt.Errorf("%w: it is too long", ErrBadHash)
	}
	if rest, ok := strings.CutPrefix(s, prehashPrefix); ok {
		id, _, _ := strings.Cut(rest, "$")
		if id == "" {
			return e, fmt.Errorf("%w: the key id is missing", ErrBadHash)
		}
		e.prehash, s = id, rest[len(id):]
	}
	if rest, kind, ok := cutArgon2(s); ok {
		if kind != Argon2id {
			e.text = s
		}
		return e.parseArgon2(kind, rest)
	}
	if strings.HasPrefix(s, "$2") {
		return e.parseBcrypt(s)
	}
	return e.parseForeign(s)
}

// cutArgon2 tells which of the two argon2 functions that are verified s begins with.
func cutArgon2(s string) (rest, kind string, ok bool) {
	for _, kind := range []string{Argon2id, kindArgon2i} {
		if rest, ok := strings.CutPrefix(s, "$"+kind+"$"); ok {
			return rest, kind, true
		}
	}
	return s, "", false
}

func (e encodedHash) parseArgon2(kind, s string) (encodedHash, error) {
	parts := strings.Split(s, "$")
	if len(parts) != 4 || parts[0] != "v="+strconv.Itoa(argon2.Version) {
		return e, fmt.Errorf("%w: %s, but not four fields of version %d", ErrBadHash, kind, argon2.Version)
	}
	params := strings.Split(parts[1], ",")
	if len(params) != 3 {
		return e, fmt.Errorf("%w: %s parameters", ErrBadHash, kind)
	}
	m, okM := number(params[0], "m=", 32)
	t, okT := number(params[1], "t=", 32)
	p, okP := number(params[2], "p=", 8)
	if !okM || !okT || !okP {
		return e, fmt.Errorf("%w: %s parameters", ErrBadHash, kind)
	}
	e.kind = kind
	e.argon = Argon2Params{MemoryKiB: uint32(m), Time: uint32(t), Threads: uint8(p)}
	if err := e.argon.Check(); err != nil {
		return e, fmt.Errorf("%w: %w", ErrBadHash, err)
	}
	b64 := base64.RawStdEncoding.Strict()
	var errSalt, errSum error
	e.salt, errSalt = b64.DecodeString(parts[2])
	e.sum, errSum = b64.DecodeString(parts[3])
	if errSalt != nil || errSum != nil || len(e.salt) < 8 || len(e.salt) > 64 || len(e.sum) < 16 || len(e.sum) > 64 ||
		strings.ContainsAny(s, "\r\n") { // which the decoder would skip
		return e, fmt.Errorf("%w: %s salt or sum", ErrBadHash, kind)
	}
	return e, nil
}

// parseBcrypt accepts 2a, 2b and 2y, which are the same function in Go, and not 2x, which marks the results of a bug.
func (e encodedHash) parseBcrypt(s string) (encodedHash, error) {
	if len(s) != len("$2b$12$")+bcryptTail || s[:2] != "$2" || !strings.Contains("aby", s[2:3]) || s[3] != '$' || s[6] != '$' ||
		strings.Trim(s[7:], bcryptAlphabet) != "" {
		return e, fmt.Errorf("%w: it is of no known kind", ErrBadHash)
	}
	cost, ok := number(s[4:6], "", 8)
	if !ok && s[4] == '0' {
		cost, ok = number(s[5:6], "", 8)
	}
	if !ok || int(cost) < bcrypt.MinCost || cost > maxBcryptCost {
		return e, fmt.Errorf("%w: bcrypt cost", ErrBadHash)
	}
	e.kind, e.bcrypt, e.cost = Bcrypt, s, int(cost)
	return e, nil
}

// number reads "m=19456": the prefix and digits without sign or leading zero.
func number(s, prefix string, bits int) (uint64, bool) {
	digits, ok := strings.CutPrefix(s, prefix)
	if !ok || digits == "" || digits[0] < '1' || digits[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, bits)
	return n, err == nil
}
