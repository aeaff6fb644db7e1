package secret

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/text/unicode/norm"
)

var (
	// ErrBusy: more passwords wait to be hashed than this machine can hash soon. Answer 503 with Retry-After.
	ErrBusy = errors.New("secret: too many passwords are being checked")
	// ErrTooLong: the password has more than MaxPasswordChars characters.
	ErrTooLong = errors.New("secret: the password is too long")
	// ErrBadHash: a stored hash is malformed, of a kind that is not known here, or asks for more work than any honest
	// hash does. Treat it as a wrong password, and log it.
	ErrBadHash = errors.New("secret: a stored password hash cannot be used")
)

// MaxPasswordChars bounds a password, in characters, before anything is computed from it.
const MaxPasswordChars = 256

// Kinds of hash for PasswordConfig.Kind.
const (
	Argon2id = "argon2id"
	Bcrypt   = "bcrypt"
)

const (
	saltBytes   = 16
	sumBytes    = 32
	bcryptInput = 72 // bcrypt ignores everything behind it
	// longest a caller waits for a slot; well under the server's write timeout, so that ErrBusy still reaches the browser
	maxWait = 5 * time.Second
	// waiting callers a slot: argon2id clears them in about 1.5 s
	queuePerSlot = 64
)

// PasswordConfig says how passwords are hashed. The zero value is the default of the product.
type PasswordConfig struct {
	Kind       string       // Argon2id (default) or Bcrypt
	Argon2     Argon2Params // default: Argon2Floor
	BcryptCost int          // default 12
	// Peppers are secrets outside the database that go into every hash, newest first: the first is used, all verify.
	Peppers [][]byte
	Slots   int // passwords hashed at once; default: one less than there are cores, at least 1
	Queue   int // callers that may wait for a slot; default 64 a slot
}

// Passwords hashes and checks passwords. Work is done in a fixed number of slots, so that neither the memory nor the
// processors can be taken up by people signing in: at most Slots hashes (each Argon2.MemoryKiB) are in work, or the
// collection of their memory.
// A hash that came from another system may take up to 256 MiB, once: the first sign-in replaces it.
//
// Passwords are put in Unicode normal form C first: the same text typed on two systems is the same password.
type Passwords struct {
	kind    string
	argon   Argon2Params
	cost    int
	peppers []pepper
	dummy   encodedHash

	slots   chan struct{}
	waiting atomic.Int64
	queue   int64
	hashed  atomic.Int64 // comparisons made
}

type pepper struct {
	id  string
	key []byte
}

// NewPasswords returns a Passwords for c, or an error if c asks for a kind that does not exist or for work outside the
// bounds that a stored hash is held to.
func NewPasswords(c PasswordConfig) (*Passwords, error) {
	p := &Passwords{kind: cmp.Or(c.Kind, Argon2id), argon: cmp.Or(c.Argon2, Argon2Floor), cost: cmp.Or(c.BcryptCost, 12)}
	if p.kind != Argon2id && p.kind != Bcrypt {
		return nil, fmt.Errorf("secret: password hash %q, want %s or %s", p.kind, Argon2id, Bcrypt)
	}
	if err := p.argon.Check(); err != nil {
		return nil, err
	}
	if p.cost < bcrypt.MinCost || p.cost > maxBcryptCost {
		return nil, fmt.Errorf("secret: bcrypt cost %d, want %d to %d", p.cost, bcrypt.MinCost, maxBcryptCost)
	}
	for _, key := range c.Peppers {
		if len(key) == 0 {
			return nil, errors.New("secret: a pepper is empty")
		}
		p.peppers = append(p.peppers, pepper{id: PepperID(key), key: slices.Clone(key)})
	}
	slots := cmp.Or(c.Slots, max(1, runtime.GOMAXPROCS(0)-1))
	p.queue = int64(cmp.Or(c.Queue, queuePerSlot*slots))
	p.slots = make(chan struct{}, slots)
	p.dummy = p.newHash("")
	p.dummy.sum = Random(sumBytes)
	p.dummy.bcrypt = dummyBcrypt(p.cost)
	return p, nil
}

// Slots is how many passwords are hashed at once.
func (p *Passwords) Slots() int { return cap(p.slots) }

// PepperID returns the id that hashes made with pepper carry. It costs as much as a password hash: a pepper may be
// weak, and its id must not be an easier way to guess it than the hashes beside it.
func PepperID(pepper []byte) string {
	id := argon2.IDKey(pepper, []byte("sallyport pepper id"), 2, 19*1024, 1, keyIDBytes)
	return base64.RawURLEncoding.EncodeToString(id)
}

// Hash returns password as a PHC string for storing. It fails with ErrTooLong, or with ErrBusy when there is no slot
// in time or ctx ends first.
func (p *Passwords) Hash(ctx context.Context, password string) (string, error) {
	text, ok := normalize(password)
	if !ok {
		return "", ErrTooLong
	}
	release, err := p.acquire(ctx)
	if err != nil {
		return "", err
	}
	defer release()

	e := p.newHash(p.prehashFor(text))
	input, _ := p.input(e, text) // the pepper is one of ours
	if e.kind == Argon2id {
		e.salt = Random(saltBytes)
		e.sum = e.argon.sum(input, e.salt, sumBytes)
		return e.String(), nil
	}
	sum, err := bcrypt.GenerateFromPassword(input, p.cost)
	if err != nil {
		return "", fmt.Errorf("secret: bcrypt: %w", err)
	}
	e.bcrypt = string(sum)
	return e.String(), nil
}

// Verify reports whether password is the one that encoded was made from, and whether encoded should be replaced by a
// new Hash because kind, parameters or pepper are not today's. A password that is too long is a wrong one. A hash that
// cannot be used (ErrBadHash) costs as much as one that can, so that time tells nothing about an account. ErrBusy as
// for Hash.
func (p *Passwords) Verify(ctx context.Context, encoded, password string) (ok, rehash bool, err error) {
	text, fits := normalize(password)
	if !fits {
		return false, false, nil
	}
	release, err := p.acquire(ctx)
	if err != nil {
		return false, false, err
	}
	defer release()

	e, err := parseHash(encoded)
	if err != nil {
		p.compare(p.dummy, text)
		return false, false, err
	}
	if ok, err := p.matches(e, text); ok || err != nil {
		return ok, ok && p.needsRehash(e, text), err
	}
	if p.isCurrent(e) {
		return false, false, nil // it is ours, and in our spelling; what a stranger's answer costs (VerifyNone)
	}
	for _, other := range normalForms(password, text)[1:] {
		if ok, err := p.matches(e, other); ok || err != nil {
			return ok, ok, err
		}
	}
	return false, false, nil
}

// matches compares one spelling of a password.
func (p *Passwords) matches(e encodedHash, text string) (bool, error) {
	input, err := p.input(e, text)
	if err != nil || e.kind == Bcrypt && !fitsBcrypt(input) {
		// Not the password of this hash, since Hash marks those as prehashed; bcrypt itself would look at the first
		// 72 bytes only and agree.
		p.compare(p.dummy, text)
		return false, err
	}
	return p.compute(e, input), nil
}

// compute computes a hash, and counts it.
func (p *Passwords) compute(e encodedHash, input []byte) bool {
	p.hashed.Add(1)
	return e.matches(input)
}

// CheckHash reports whether encoded is a hash that Verify can verify with, its pepper included, or ErrBadHash.
func (p *Passwords) CheckHash(encoded string) error {
	e, err := parseHash(encoded)
	if err == nil {
		_, err = p.input(e, "")
	}
	return err
}

// Peppered says of a hash from elsewhere that today's pepper went into it, as Flask-Security does it with
// SECURITY_PASSWORD_SALT. ErrBadHash without a pepper, and for a hash that names one already or is of a form that
// Flask-Security does not write.
func (p *Passwords) Peppered(encoded string) (string, error) {
	switch {
	case len(p.peppers) == 0:
		return "", fmt.Errorf("%w: no pepper is configured", ErrBadHash)
	case strings.HasPrefix(encoded, prehashPrefix) || !strings.HasPrefix(encoded, "$"):
		return "", fmt.Errorf("%w: it has a pepper already, or a form that takes none", ErrBadHash)
	}
	return prehashPrefix + p.peppers[0].id + encoded, nil
}

// VerifyNone costs what Verify costs for a hash of today's kind, for a person who does not exist or has no password.
// It fails with ErrBusy only.
func (p *Passwords) VerifyNone(ctx context.Context, password string) error {
	text, fits := normalize(password)
	if !fits {
		return nil
	}
	release, err := p.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	p.compare(p.dummy, text)
	return nil
}

// compare does the work of a comparison whose outcome nobody needs.
func (p *Passwords) compare(e encodedHash, text string) {
	input, err := p.input(e, text)
	if err != nil || e.kind == Bcrypt && !fitsBcrypt(input) {
		input = []byte(text[:min(len(text), bcryptInput)])
	}
	p.compute(e, input)
}

// newHash is today's kind of hash without its result.
func (p *Passwords) newHash(prehash string) encodedHash {
	return encodedHash{prehash: prehash, kind: p.kind, argon: p.argon, cost: p.cost, salt: make([]byte, saltBytes)}
}

// needsRehash reports whether a hash of text should be made anew.
func (p *Passwords) needsRehash(e encodedHash, text string) bool {
	return !p.isCurrent(e) || e.prehash != p.prehashFor(text)
}

// isCurrent reports whether e could be a hash of some password with today's kind, parameters and pepper.
func (p *Passwords) isCurrent(e encodedHash) bool {
	public := e.prehash == publicPrehash && p.kind == Bcrypt && len(p.peppers) == 0
	if e.text != "" || e.kind != p.kind || e.prehash != p.prehashFor("") && !public {
		return false
	}
	if e.kind == Bcrypt {
		return e.cost == p.cost
	}
	return e.argon == p.argon && len(e.salt) == saltBytes && len(e.sum) == sumBytes
}

// prehashFor says how text is prepared for a new hash: not at all, with a pepper, or, so that bcrypt sees all of a
// password that is long or contains NUL, with a key that is public. (That key still keeps the result apart from plain
// SHA-512 hashes that leaked elsewhere.)
func (p *Passwords) prehashFor(text string) string {
	switch {
	case len(p.peppers) > 0:
		return p.peppers[0].id
	case p.kind == Bcrypt && !fitsBcrypt([]byte(text)):
		return publicPrehash
	}
	return ""
}

// input returns what goes into the hash function for e: text itself, or base64(HMAC-SHA512(key, text)) as Flask-Security
// has it. bcrypt gets the first 72 of those 88 characters (432 bits), which is what it makes of them everywhere.
func (p *Passwords) input(e encodedHash, text string) ([]byte, error) {
	out := []byte(text)
	if e.prehash != "" {
		key := []byte("sallyport prehash for bcrypt")
		if e.prehash != publicPrehash {
			i := slices.IndexFunc(p.peppers, func(k pepper) bool { return k.id == e.prehash })
			if i < 0 {
				return nil, fmt.Errorf("%w: pepper %s is not configured", ErrBadHash, e.prehash)
			}
			key = p.peppers[i].key
		}
		mac := hmac.New(sha512.New, key)
		mac.Write(out)
		out = base64.StdEncoding.AppendEncode(nil, mac.Sum(nil))
		if e.kind == Bcrypt {
			out = out[:bcryptInput]
		}
	}
	if e.hexSHA256 {
		sum := sha256.Sum256(out)
		out = hex.AppendEncode(nil, sum[:])
	}
	return out, nil
}

// fitsBcrypt reports whether bcrypt sees all of input. It repeats the input with NUL between, so that "a" and
// "a\x00a" are the same to it.
func fitsBcrypt(input []byte) bool {
	return len(input) <= bcryptInput && bytes.IndexByte(input, 0) < 0
}

// normalize returns password in normal form C, and false if it is too long. The first check keeps megabytes away from
// the normalization; decomposed text has several code points a character.
func normalize(password string) (string, bool) {
	if len(password) > 16*MaxPasswordChars {
		return "", false
	}
	text := norm.NFC.String(password)
	return text, utf8.RuneCountInString(text) <= MaxPasswordChars
}

// acquire waits for a slot, in order of arrival, and returns the function that gives it back.
func (p *Passwords) acquire(ctx context.Context) (release func(), err error) {
	if err := p.wait(ctx); err != nil {
		return nil, err
	}
	pace.begin()
	return func() {
		pace.end(p.garbage(), cap(p.slots))
		<-p.slots
	}, nil
}

// garbage is what a hash leaves behind, in hashes of the default size: with more memory a hash the collector is due
// sooner.
func (p *Passwords) garbage() int {
	if p.kind != Argon2id {
		return 1
	}
	return max(1, int(p.argon.MemoryKiB/Argon2Floor.MemoryKiB))
}

func (p *Passwords) wait(ctx context.Context) error {
	select {
	case p.slots <- struct{}{}:
		return nil
	default:
	}
	if p.waiting.Add(1) > p.queue {
		p.waiting.Add(-1)
		return ErrBusy
	}
	defer p.waiting.Add(-1)
	timeout := time.NewTimer(maxWait)
	defer timeout.Stop()
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrBusy, ctx.Err())
	case <-timeout.C:
		return ErrBusy
	}
}

// dummyBcrypt returns a hash of that cost that no password is known for.
func dummyBcrypt(cost int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "$2a$%02d$", cost)
	for _, r := range Random(bcryptTail) {
		b.WriteByte(bcryptAlphabet[int(r)%len(bcryptAlphabet)])
	}
	return b.String()
}
