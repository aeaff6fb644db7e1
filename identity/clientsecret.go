package identity

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/trustelem/zxcvbn"
)

const (
	// How long a process remembers that a secret was verified, while the registry's copy still says otherwise.
	verifiedFor   = 10 * time.Minute
	maxVerified   = 10_000
	maxPHCWaiting = 16
	// MaxSecretSize is in bytes.
	MaxSecretSize = 512
)

// NewClientSecret returns a secret of 256 random bits. It has only characters that
// need no escape in a basic header (RFC 6749, section 2.3.1) and no known prefix.
func NewClientSecret() string { return secret.NewToken("") }

// StoredSecret is how a secret is kept: its MAC under a key of this installation.
// A fast one is enough for 256 random bits; Weak marks what somebody made up.
func (i *Clients) StoredSecret(clientID, text string) storage.ClientSecret {
	mac := i.secretMAC(clientID, text)
	return storage.ClientSecret{KeyID: i.keys.KeyIDs()[0], MAC: mac[:], Weak: weakSecret(text)}
}

func (i *Clients) secretMAC(clientID, text string) [sha256.Size]byte {
	return i.keys.MAC([]byte(clientID), []byte(text))
}

// weakSecret reports a secret that could be guessed, or found by whoever gets both
// the database and the key.
func weakSecret(text string) bool {
	const beginning = 64
	return len(text) < 32 || zxcvbn.PasswordStrength(text[:min(beginning, len(text))], nil).Guesses < 1e20
}

// VerifySecret reports whether given is a secret of the client, in time that
// tells nothing about how near it came. It costs a MAC a stored secret, except for
// the first use of one that was registered as a PHC string: that takes a slot among
// the passwords being hashed (secret.ErrBusy) and stores our own form instead.
// Other errors are the database's.
func (i *Clients) VerifySecret(ctx context.Context, c *storage.Client, given string) (bool, error) {
	if given == "" || len(given) > MaxSecretSize {
		return false, nil
	}
	now := i.clock()
	var match *storage.ClientSecret
	for n := range c.Secrets {
		k := &c.Secrets[n]
		live := k.ExpiresAt.IsZero() || now.Before(k.ExpiresAt)
		if live && i.MatchesSecret(c.ID, k, given) {
			match = k
		}
	}
	if match == nil {
		var err error
		if match, err = i.matchesPHC(ctx, c, given); match == nil || err != nil {
			return false, err
		}
	}
	i.noteUse(use{c.ID, match.ID}, now)
	return true, i.adopt(ctx, c.ID, match, given)
}

// MatchesSecret compares with the MAC of a stored secret. A key that is not configured
// any more has taken its secrets with it.
func (i *Clients) MatchesSecret(clientID string, k *storage.ClientSecret, given string) bool {
	if len(k.MAC) == 0 {
		return i.verified.has(k.ID, i.secretMAC(clientID, given))
	}
	mac, ok := i.keys.MACWith(k.KeyID, []byte(clientID), []byte(given))
	return ok && hmac.Equal(mac[:], k.MAC)
}

// matchesPHC compares with the secrets that were registered as a PHC string and
// never used since. One of these is worked on at a time and few may wait, so that
// machines cannot keep people from signing in.
func (i *Clients) matchesPHC(ctx context.Context, c *storage.Client, given string) (*storage.ClientSecret, error) {
	for n := range c.Secrets {
		k := &c.Secrets[n]
		if len(k.MAC) > 0 || !k.ExpiresAt.IsZero() && !i.clock().Before(k.ExpiresAt) {
			continue
		}
		ok, err := i.verifyPHC(ctx, c.ID, k, given)
		if ok || err != nil {
			return k, err
		}
	}
	return nil, nil
}

func (i *Clients) verifyPHC(ctx context.Context, clientID string, k *storage.ClientSecret, given string) (bool, error) {
	if i.phc.waiting.Add(1) > maxPHCWaiting {
		i.phc.waiting.Add(-1)
		return false, secret.ErrBusy
	}
	defer i.phc.waiting.Add(-1)
	select {
	case i.phc.slot <- struct{}{}:
		defer func() { <-i.phc.slot }()
	case <-ctx.Done():
		return false, fmt.Errorf("%w: %w", secret.ErrBusy, ctx.Err())
	}
	mac := i.secretMAC(clientID, given)
	if i.verified.has(k.ID, mac) { // by the one that went before
		return true, nil
	}
	ok, _, err := i.passwords.Verify(ctx, k.PHC, given)
	if errors.Is(err, secret.ErrBadHash) {
		return false, nil // its pepper is not configured any more: nothing can match it
	}
	if ok {
		i.verified.add(k.ID, mac)
	}
	return ok, err
}

// adopt stores a verified secret in today's form, if it is in another.
func (i *Clients) adopt(ctx context.Context, clientID string, k *storage.ClientSecret, given string) error {
	keyID := i.keys.KeyIDs()[0]
	if len(k.MAC) > 0 && k.KeyID == keyID {
		return nil
	}
	mac := i.secretMAC(clientID, given)
	if !i.verified.adopt(k.ID, mac) {
		return nil
	}
	phc := k.PHC
	if len(k.MAC) == 0 {
		phc = fingerprint(phc)
	}
	return i.store.AdoptSecret(ctx, k, keyID, mac[:], phc)
}

const fingerprintPrefix = "$sha256$"

// fingerprint stands for a PHC string that was replaced. The string is salted, so
// its hash tells nothing about the secret.
func fingerprint(phc string) string {
	sum := sha256.Sum256([]byte(phc))
	return fingerprintPrefix + hex.EncodeToString(sum[:])
}

// IsFromPHC reports whether a stored secret was registered as that PHC string.
func IsFromPHC(k *storage.ClientSecret, phc string) bool {
	return k.PHC == phc && !strings.HasPrefix(phc, fingerprintPrefix) || k.PHC == fingerprint(phc)
}

// phcQueue lets one secret that is kept as a PHC string be verified at a time, and few wait.
type phcQueue struct {
	slot    chan struct{}
	waiting atomic.Int64
}

// verified remembers secrets that were verified in this process and whose stored
// form the copies of the registry may not have yet. It holds MACs, never secrets.
type verified struct {
	now  func() time.Time
	mu   sync.Mutex
	seen map[uuid.UUID]verifiedSecret
}

type verifiedSecret struct {
	mac     [sha256.Size]byte
	until   time.Time
	adopted bool
}

func newVerified(now func() time.Time) *verified {
	return &verified{now: now, seen: map[uuid.UUID]verifiedSecret{}}
}

func (v *verified) has(id uuid.UUID, mac [sha256.Size]byte) bool {
	v.mu.Lock()
	s, ok := v.seen[id]
	v.mu.Unlock()
	return ok && v.now().Before(s.until) && hmac.Equal(s.mac[:], mac[:])
}

func (v *verified) add(id uuid.UUID, mac [sha256.Size]byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.put(id, verifiedSecret{mac: mac, until: v.now().Add(verifiedFor)})
}

// adopt reports whether the caller is the one to store the secret in today's form:
// once while it is remembered, not at every request until the copies have it.
func (v *verified) adopt(id uuid.UUID, mac [sha256.Size]byte) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.now()
	if s, ok := v.seen[id]; ok && s.adopted && now.Before(s.until) {
		return false
	}
	v.put(id, verifiedSecret{mac: mac, until: now.Add(verifiedFor), adopted: true})
	return true
}

func (v *verified) put(id uuid.UUID, s verifiedSecret) {
	if len(v.seen) >= maxVerified {
		clear(v.seen) // each costs one more comparison, once
	}
	v.seen[id] = s
}
