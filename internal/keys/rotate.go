package keys

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/oauth"
	"github.com/sallyport-id/sallyport/storage"
)

// Rotation is an order to replace signing keys.
type Rotation struct {
	Alg string // empty: of every algorithm
	// Immediately makes the new key sign in seconds (the former one stays published for what it has signed), as soon
	// as every node publishes it, rather than when every cached copy of the published set must have run out. Relying
	// parties that do not ask again for a key they have not seen will refuse tokens for up to JWKSMaxAge.
	Immediately bool
	Actor       uuid.UUID // who gave the order; nil for the command line and the schedule
	RequestID   string
}

// Rotate publishes a new key at once, which takes over when relying parties must
// have seen it. It returns the keys that wait to take over, one for each
// algorithm. Where one waits already, that is the one: several nodes and
// impatient people that rotate together get one new key.
func (k *Keyset) Rotate(ctx context.Context, r Rotation) ([]Key, error) {
	wanted := oauth.SigningAlgs()
	if r.Alg != "" {
		if !slices.Contains(oauth.SigningAlgs(), r.Alg) {
			return nil, fmt.Errorf("there are no signing keys for %q; there are for %v", r.Alg, oauth.SigningAlgs())
		}
		wanted = []string{r.Alg}
	}
	if err := k.reload(ctx); err != nil {
		return nil, err
	}
	for _, alg := range wanted {
		if err := k.rotate(ctx, alg, r); err != nil {
			return nil, err
		}
	}
	if err := k.reload(ctx); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(k.List(), func(key Key) bool {
		return key.State != storage.KeyPending || !slices.Contains(wanted, key.Alg)
	}), nil
}

func (k *Keyset) rotate(ctx context.Context, alg string, r Rotation) error {
	at := k.clock().Add(k.lead())
	if r.Immediately {
		at = k.clock().Add(seen)
	}
	event := func() *storage.Event {
		return &storage.Event{Actor: r.Actor, RequestID: r.RequestID, Facts: map[string]any{"immediately": r.Immediately}}
	}
	if k.current.Load().pending(alg) == nil {
		_, err := k.add(ctx, alg, at, event())
		if !errors.Is(err, storage.ErrExists) {
			return err
		}
		if err := k.reload(ctx); err != nil { // another node was first
			return err
		}
	}
	p := k.current.Load().pending(alg)
	if p == nil || !r.Immediately {
		return nil
	}
	err := k.Store.Keys.Expedite(ctx, p.row.KID, at, about(event(), storage.EventKeyExpedited, p.row))
	return ifFirst(err)
}

// add makes a key of the next generation: pending until at, or active if at is zero.
func (k *Keyset) add(ctx context.Context, alg string, at time.Time, e *storage.Event) (string, error) {
	generation := k.current.Load().generation(alg) + 1
	row, err := newRow(alg, k.Sealer)
	if err != nil {
		return "", err
	}
	now := k.clock()
	row.Generation, row.State, row.CreatedAt, row.ActivatesAt = generation, storage.KeyPending, now, at
	if at.IsZero() {
		row.State, row.ActivatesAt, row.ActiveAt = storage.KeyActive, now, now
	}
	return row.KID, k.Store.Keys.Add(ctx, row, about(e, storage.EventKeyCreated, *row))
}

// Advance takes every step that has come due: activate, archive, delete, and a
// successor for an active key that grows old. Any number of nodes may do so.
func (k *Keyset) Advance(ctx context.Context) error {
	s, now, tried := k.current.Load(), k.clock(), false
	for _, p := range s.pairs {
		step := k.due(p, s, now)
		if step == nil {
			continue
		}
		tried = true
		if err := ifFirst(step(ctx)); err != nil {
			return err
		}
	}
	if !tried {
		return nil
	}
	return k.reload(ctx)
}

// due returns the next step in the life of p if its time has come, else nil.
func (k *Keyset) due(p *keyPair, s *snapshot, now time.Time) func(context.Context) error {
	row := p.row
	switch row.State {
	case storage.KeyPending:
		if !now.Before(row.ActivatesAt) {
			e := about(&storage.Event{}, storage.EventKeyRotated, row)
			return func(ctx context.Context) error { return k.Store.Keys.Activate(ctx, row.KID, now, e) }
		}
	case storage.KeyActive:
		if s.pending(row.Alg) == nil && !now.Before(row.ActiveAt.Add(k.RotateEvery-k.lead())) {
			return func(ctx context.Context) error {
				_, err := k.add(ctx, row.Alg, now.Add(k.lead()), &storage.Event{})
				return err
			}
		}
	case storage.KeyRetired:
		// A token signed at the very end lives TokenLifetime; the set it is checked with may be cached.
		before := now.Add(-k.TokenLifetime - k.JWKSMaxAge - skew)
		if !row.RetiredAt.After(before) {
			e := about(&storage.Event{}, storage.EventKeyArchived, row)
			return func(ctx context.Context) error { return k.Store.Keys.Archive(ctx, row.KID, now, before, e) }
		}
	case storage.KeyArchived, storage.KeyRevoked:
		before := now.Add(-archiveFor)
		if !row.ArchivedAt.After(before) {
			e := about(&storage.Event{}, storage.EventKeyDeleted, row)
			return func(ctx context.Context) error { return k.Store.Keys.Delete(ctx, row.KID, before, e) }
		}
	}
	return nil
}

// lead is how long a key is published before it signs.
func (k *Keyset) lead() time.Duration { return k.JWKSMaxAge + skew }

func (k *Keyset) clock() time.Time { return k.Now().UTC().Truncate(time.Microsecond) }

// ifFirst takes it for success that another node took the step.
func ifFirst(err error) error {
	if errors.Is(err, storage.ErrConflict) || errors.Is(err, storage.ErrExists) {
		return nil
	}
	return err
}

// about completes an event with the key that it is about.
func about(e *storage.Event, kind storage.EventType, row storage.SigningKey) *storage.Event {
	facts := map[string]any{"kid": row.KID, "alg": row.Alg, "generation": row.Generation}
	maps.Copy(facts, e.Facts)
	e.Type, e.Facts = kind, facts
	return e
}
