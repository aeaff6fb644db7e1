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
	// How long a process remembers a verified secret that its copy of the registry does not have yet in the new form.
	verifiedFor   = 10 * time.Minute
	maxVerified   = 10_000
	maxPHCWaiting = 16
	// MaxSecretSize is in bytes.
	MaxSecretSize = 512
)

// NewClientSecret returns a secret of 256 random bits. Its characters need no escape in a basic header (RFC 6749,
// section 2.3.1), and it has no known prefix.
func NewClientSecret() string { return secret.NewToken("") }

// StoredSecret is the stored form of a secret: its MAC under a key of this installation. A fast function is enough for
// 256 random bits; Weak marks a secret that a person made up.
func (cl *Clients) StoredSecret(clientID, text string) storage.ClientSecret {
	mac := cl.secretMAC(clientID, text)
	return storage.ClientSecret{KeyID: cl.keys.KeyIDs()[0], MAC: mac[:], Weak: weakSecret(text)}
}

func (cl *Clients) secretMAC(clientID, text string) [sha256.Size]byte {
	return cl.keys.MAC([]byte(clientID), []byte(text))
}

// weakSecret reports whether a secret could be guessed, or found by an attacker with a copy of the database and the
// key.
func weakSecret(text string) bool {
	const beginning = 64
	return len(text) < 32 || zxcvbn.PasswordStrength(text[:min(beginning, len(text))], nil).Guesses < 1e20
}

// VerifySecret reports whether given is a secret of the client, in constant time. It costs one MAC per stored secret,
// except at the first use of one registered as a PHC string: that uses a slot for password hashing (secret.ErrBusy if
// there is none) and replaces the string by our own form. Other errors are the database's.
func (cl *Clients) VerifySecret(ctx context.Context, c *storage.Client, given string) (bool, error) {
	if given == "" || len(given) > MaxSecretSize {
		return false, nil
	}
	now := cl.currentTime()
	var match *storage.ClientSecret
	for n := range c.Secrets {
		k := &c.Secrets[n]
		live := k.ExpiresAt.IsZero() || now.Before(k.ExpiresAt)
		if live && cl.MatchesSecret(c.ID, k, given) {
			match = k
		}
	}
	if match == nil {
		var err error
		if match, err = cl.matchesPHC(ctx, c, given); match == nil || err != nil {
			return false, err
		}
	}
	cl.noteUse(use{c.ID, match.ID}, now)
	return true, cl.adopt(ctx, c.ID, match, given)
}

// MatchesSecret compares given with the MAC of a stored secret. A secret under a key that is no longer configured
// never matches.
func (cl *Clients) MatchesSecret(clientID string, k *storage.ClientSecret, given string) bool {
	if len(k.MAC) == 0 {
		return cl.verified.has(k.ID, cl.secretMAC(clientID, given))
	}
	mac, ok := cl.keys.MACWith(k.KeyID, []byte(clientID), []byte(given))
	return ok && hmac.Equal(mac[:], k.MAC)
}

// matchesPHC compares given with the secrets that were registered as a PHC string and never used. Only one of these is
// computed at a time and few may wait, so that clients cannot keep users from signing in.
func (cl *Clients) matchesPHC(ctx context.Context, c *storage.Client, given string) (*storage.ClientSecret, error) {
	for n := range c.Secrets {
		k := &c.Secrets[n]
		if len(k.MAC) > 0 || !k.ExpiresAt.IsZero() && !cl.currentTime().Before(k.ExpiresAt) {
			continue
		}
		ok, err := cl.verifyPHC(ctx, c.ID, k, given)
		if ok || err != nil {
			return k, err
		}
	}
	return nil, nil
}

func (cl *Clients) verifyPHC(ctx context.Context, clientID string, k *storage.ClientSecret, given string) (bool, error) {
	if cl.phc.waiting.Add(1) > maxPHCWaiting {
		cl.phc.waiting.Add(-1)
		return false, secret.ErrBusy
	}
	defer cl.phc.waiting.Add(-1)
	select {
	case cl.phc.slot <- struct{}{}:
		defer func() { <-cl.phc.slot }()
	case <-ctx.Done():
		return false, fmt.Errorf("%w: %w", secret.ErrBusy, ctx.Err())
	}
	mac := cl.secretMAC(clientID, given)
	if cl.verified.has(k.ID, mac) { // verified by the request before
		return true, nil
	}
	ok, _, err := cl.passwords.Verify(ctx, k.PHC, given)
	if errors.Is(err, secret.ErrBadHash) {
		return false, nil // its pepper is no longer configured, so nothing can match
	}
	if ok {
		cl.verified.add(k.ID, mac)
	}
	return ok, err
}

// adopt stores a verified secret in the current form, if it has another.
func (cl *Clients) adopt(ctx context.Context, clientID string, k *storage.ClientSecret, given string) error {
	keyID := cl.keys.KeyIDs()[0]
	if len(k.MAC) > 0 && k.KeyID == keyID {
		return nil
	}
	mac := cl.secretMAC(clientID, given)
	if !cl.verified.adopt(k.ID, mac) {
		return nil
	}
	phc := k.PHC
	if len(k.MAC) == 0 {
		phc = fingerprint(phc)
	}
	return cl.store.AdoptSecret(ctx, k, keyID, mac[:], phc)
}

const fingerprintPrefix = "$sha256$"

// fingerprint replaces a PHC string in the database. The string is salted, so its hash reveals nothing about the
// secret.
func fingerprint(phc string) string {
	sum := sha256.Sum256([]byte(phc))
	return fingerprintPrefix + hex.EncodeToString(sum[:])
}

// IsFromPHC reports whether a stored secret was registered as that PHC string.
func IsFromPHC(k *storage.ClientSecret, phc string) bool {
	return k.PHC == phc && !strings.HasPrefix(phc, fingerprintPrefix) || k.PHC == fingerprint(phc)
}

// phcQueue lets one PHC string be computed at a time, and few wait.
type phcQueue struct {
	slot    chan struct{}
	waiting atomic.Int64
}

// verifiedSecrets remembers secrets that this process has verified and whose stored form may be older in its copy of the
// registry. It holds MACs, never secrets.
type verifiedSecrets struct {
	now  func() time.Time
	mu   sync.Mutex
	seen map[uuid.UUID]verifiedSecret
}

type verifiedSecret struct {
	mac     [sha256.Size]byte
	until   time.Time
	adopted bool
}

func (v *verifiedSecrets) has(id uuid.UUID, mac [sha256.Size]byte) bool {
	v.mu.Lock()
	s, ok := v.seen[id]
	v.mu.Unlock()
	return ok && v.now().Before(s.until) && hmac.Equal(s.mac[:], mac[:])
}

func (v *verifiedSecrets) add(id uuid.UUID, mac [sha256.Size]byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.put(id, verifiedSecret{mac: mac, until: v.now().Add(verifiedFor)})
}

// adopt reports whether the caller has to store the secret in the current form. It is true once while the secret is
// remembered, so that not every request writes until the copies of the registry are current.
func (v *verifiedSecrets) adopt(id uuid.UUID, mac [sha256.Size]byte) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.now()
	if s, ok := v.seen[id]; ok && s.adopted && now.Before(s.until) {
		return false
	}
	v.put(id, verifiedSecret{mac: mac, until: now.Add(verifiedFor), adopted: true})
	return true
}

func (v *verifiedSecrets) put(id uuid.UUID, s verifiedSecret) {
	if len(v.seen) >= maxVerified {
		clear(v.seen) // each secret is compared once more
	}
	v.seen[id] = s
}
