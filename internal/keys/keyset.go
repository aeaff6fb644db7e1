package keys

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/expirable"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

// Timing of the life cycle; see Config for what can be chosen.
const (
	// PollInterval is how soon a node sees what another has changed: Maintain is called that often.
	PollInterval = 500 * time.Millisecond
	// skew is how far clocks and caches may be off.
	skew = time.Minute
	// seen is how long every node of an installation needs to publish a new key, poll and clock difference included.
	seen = 4 * time.Second
	// archiveFor is how long tokens of an archived key are still recognised.
	archiveFor = 365 * 24 * time.Hour
)

// Config says where keys are kept and how long they live.
type Config struct {
	Store  *storage.Store
	Sealer *secret.Sealer
	// Now is the node's clock.
	Now func() time.Time
	Log *slog.Logger
	// RotateEvery is the age at which the successor of an active key is to sign. 0: 90 days.
	RotateEvery time.Duration
	// JWKSMaxAge is how long relying parties may cache the published set: its Cache-Control max-age. 0: 5 min.
	JWKSMaxAge time.Duration
	// TokenLifetime is the longest lifetime of a signed token that somebody verifies with the published set. 0: 1 h.
	TokenLifetime time.Duration
}

// Keyset is this process's copy of the signing keys. It is safe for concurrent
// use once Load has returned nil.
type Keyset struct {
	Config
	current  atomic.Pointer[snapshot]
	verified *expirable.LRU[[sha256.Size]byte, *Token] // by the digest of the token
	// mu serialises reading, so that an older answer never replaces a newer one.
	mu sync.Mutex
}

// New returns a Keyset without keys; Load reads or makes them.
func New(c Config) *Keyset {
	c.RotateEvery = cmp.Or(c.RotateEvery, 90*24*time.Hour)
	c.JWKSMaxAge = cmp.Or(c.JWKSMaxAge, 5*time.Minute)
	c.TokenLifetime = cmp.Or(c.TokenLifetime, time.Hour)
	return &Keyset{Config: c, verified: expirable.NewLRU[[sha256.Size]byte, *Token](maxVerified, nil, 0)}
}

// Load reads the keys, and makes those that a new installation lacks. They sign
// at once: nobody has cached a set without them. Nodes that start together agree.
// It fails if a key that signs, or will, does not open under the ENCRYPTION_KEY.
func (k *Keyset) Load(ctx context.Context) error {
	if err := k.reload(ctx); err != nil {
		return err
	}
	missing := k.current.Load().missing()
	if len(missing) == 0 {
		return nil
	}
	errs := make([]error, len(missing))
	var wg sync.WaitGroup
	for i, alg := range missing {
		wg.Go(func() {
			_, errs[i] = k.add(ctx, alg, time.Time{}, &storage.Event{})
			if errors.Is(errs[i], storage.ErrExists) {
				errs[i] = nil // another node was first; its key is read below
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := k.reload(ctx); err != nil {
		return err
	}
	if still := k.current.Load().missing(); len(still) > 0 {
		return fmt.Errorf("there is no active signing key for %v", still)
	}
	return nil
}

// reload reads all keys from the database.
func (k *Keyset) reload(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	rows, version, err := k.Store.Keys.List(ctx)
	if err != nil {
		return err
	}
	next, err := k.build(rows, version, k.current.Load())
	if err != nil {
		return err
	}
	k.current.Store(next)
	return nil
}

// Refresh reads the version row, and the keys if they have changed.
func (k *Keyset) Refresh(ctx context.Context) error {
	version, err := k.Store.Version(ctx, storage.VersionKeys)
	if err != nil {
		return err
	}
	if s := k.current.Load(); s != nil && s.version == version {
		return nil
	}
	return k.reload(ctx)
}

// Maintain reads what other nodes have changed, and takes those steps of the keys' lives that have come due. While it
// fails the last known keys stay in use.
func (k *Keyset) Maintain(ctx context.Context) error {
	if err := k.Refresh(ctx); err != nil {
		return err
	}
	return k.Advance(ctx)
}

// Key is what may be told about a signing key.
type Key struct {
	KID         string           `json:"kid"`
	Alg         string           `json:"alg"`
	Generation  int64            `json:"generation"`
	State       storage.KeyState `json:"state"`
	CreatedAt   time.Time        `json:"created_at"`
	ActivatesAt time.Time        `json:"activates_at"`
	ActiveAt    time.Time        `json:"active_at,omitzero"`
	RetiredAt   time.Time        `json:"retired_at,omitzero"`
	ArchivedAt  time.Time        `json:"archived_at,omitzero"`
	RevokedAt   time.Time        `json:"revoked_at,omitzero"`
}

// List returns all keys, by algorithm in the order of oauth.SigningAlgs, newest first.
func (k *Keyset) List() []Key {
	var all []Key
	for _, p := range k.current.Load().pairs {
		all = append(all, keyOf(&p.row))
	}
	return all
}

// ListStored lists the keys that the database has, as List does. It neither makes keys nor needs the ENCRYPTION_KEY.
func (k *Keyset) ListStored(ctx context.Context) ([]Key, error) {
	rows, _, err := k.Store.Keys.List(ctx)
	if err != nil {
		return nil, err
	}
	all := []Key{}
	for _, row := range byAlg(rows) {
		all = append(all, keyOf(&row))
	}
	return all, nil
}

func keyOf(r *storage.SigningKey) Key {
	return Key{r.KID, r.Alg, r.Generation, r.State, r.CreatedAt, r.ActivatesAt, r.ActiveAt, r.RetiredAt, r.ArchivedAt, r.RevokedAt}
}

// JWKS returns the published set (RFC 7517) as ready bytes, and a strong ETag of
// them with its quotes. All nodes answer the same bytes. They must not be changed.
func (k *Keyset) JWKS() (body []byte, etag string) {
	s := k.current.Load()
	return s.jwks, s.etag
}
