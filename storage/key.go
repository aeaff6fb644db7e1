package storage

import (
	"context"
	"time"
)

// KeyState is where a signing key is in its life. It only ever moves on.
type KeyState string

const (
	KeyPending  KeyState = "pending"  // published, does not sign yet
	KeyActive   KeyState = "active"   // signs; one for each algorithm
	KeyRetired  KeyState = "retired"  // published, signs no more
	KeyArchived KeyState = "archived" // known here only, to recognise old tokens handed back as hints
	KeyRevoked  KeyState = "revoked"  // verifies nothing; kept to tell its tokens from forgeries
)

// SigningKey is one key pair that tokens are signed with. UNIQUE (alg, generation)
// lets one of several nodes that rotate together win.
type SigningKey struct {
	KID        string   `db:"kid"`        // RFC 7638 thumbprint
	Alg        string   `db:"alg"`        // RFC 7518 name
	Generation int64    `db:"generation"` // from 1, by algorithm
	State      KeyState `db:"state"`
	Public     []byte   `db:"public_jwk"` // JWK
	// Sealed is the private JWK. A key that signs no more has none.
	Sealed    []byte    `db:"private_sealed"`
	CreatedAt time.Time `db:"created_at"`
	// ActivatesAt is when a pending key may sign: relying parties must have been able to see it.
	ActivatesAt time.Time `db:"activates_at"`
	ActiveAt    time.Time `db:"active_at"`
	RetiredAt   time.Time `db:"retired_at"`
	ArchivedAt  time.Time `db:"archived_at"`
	RevokedAt   time.Time `db:"revoked_at"`
}

// Keys reads and changes the signing keys: Store.Keys.
type Keys struct{ store *Store }

var keyRow = layoutOf[SigningKey]("k")

// List returns all keys, by algorithm, newest first, and the version of
// the versions row they are at least as new as.
func (keys Keys) List(ctx context.Context) ([]SigningKey, int64, error) {
	// The version first: a change in between makes the answer newer than its number, never older.
	version, err := keys.store.Version(ctx, VersionKeys)
	if err != nil {
		return nil, 0, err
	}
	all, err := list(ctx, keys.store, "read the signing keys", keyRow.dest, `SELECT `+keyRow.columns+` FROM signing_keys k ORDER BY k.alg, k.generation DESC`)
	for n := range all {
		if !all[n].RevokedAt.IsZero() {
			all[n].State = KeyRevoked
		}
	}
	return all, version, err
}

// Add stores a new key. ErrExists when another node was first to add
// this generation.
func (keys Keys) Add(ctx context.Context, k *SigningKey, e *Event) error {
	return keys.change(ctx, "add a signing key", e, func(t *tx) (int64, error) {
		return t.execNamed(ctx, `INSERT INTO signing_keys (kid, alg, generation, state, public_jwk, private_sealed, created_at, activates_at, active_at)
			VALUES (:kid, :alg, :generation, :state, :public_jwk, :private_sealed, :created_at, :activates_at,
				:active_at)`, map[string]any{
			"kid": k.KID, "alg": k.Alg, "generation": k.Generation, "state": string(k.State),
			"public_jwk": string(k.Public), "private_sealed": k.Sealed, "created_at": usec(k.CreatedAt),
			"activates_at": usec(k.ActivatesAt), "active_at": usec(k.ActiveAt)})
	})
}

// Expedite lets a pending key sign from at, if that is sooner.
// ErrConflict if the key is not pending or not later.
func (keys Keys) Expedite(ctx context.Context, kid string, at time.Time, e *Event) error {
	return keys.change(ctx, "expedite a signing key", e, func(t *tx) (int64, error) {
		return t.exec(ctx, `UPDATE signing_keys SET activates_at = ? WHERE kid = ? AND state = 'pending' AND activates_at > ?`, usec(at), kid, usec(at))
	})
}

// Activate makes a pending key the one that signs, and retires the one
// that did, whose private half is erased: nothing is ever signed with it again.
// ErrConflict when another node was first or its time has not come.
func (keys Keys) Activate(ctx context.Context, kid string, now time.Time, e *Event) error {
	return keys.change(ctx, "activate a signing key", e, func(t *tx) (int64, error) {
		n, err := t.exec(ctx, `UPDATE signing_keys SET state = 'active', active_at = ? WHERE kid = ? AND state = 'pending' AND activates_at <= ?`,
			usec(now), kid, usec(now))
		if err != nil || n == 0 {
			return n, err
		}
		_, err = t.exec(ctx, `UPDATE signing_keys SET state = 'retired', retired_at = ?, private_sealed = NULL
			WHERE state = 'active' AND kid <> ? AND alg = (SELECT alg FROM signing_keys WHERE kid = ?)`, usec(now), kid, kid)
		return n, err
	})
}

// Archive takes a key that was retired at or before before out of the
// published set. ErrConflict when another node was first.
func (keys Keys) Archive(ctx context.Context, kid string, now, before time.Time, e *Event) error {
	return keys.change(ctx, "archive a signing key", e, func(t *tx) (int64, error) {
		return t.exec(ctx, `UPDATE signing_keys SET state = 'archived', archived_at = ? WHERE kid = ? AND state = 'retired' AND retired_at <= ?`,
			usec(now), kid, usec(before))
	})
}

// Delete forgets a key that was archived at or before before.
// ErrConflict when another node was first.
func (keys Keys) Delete(ctx context.Context, kid string, before time.Time, e *Event) error {
	return keys.change(ctx, "delete a signing key", e, func(t *tx) (int64, error) {
		return t.exec(ctx, `DELETE FROM signing_keys WHERE kid = ? AND state = 'archived' AND archived_at <= ?`, kid, usec(before))
	})
}

// Revoke takes a key out of use for good: it signs nothing, is not published
// and verifies nothing. successor is the pending key that signs from now on in its
// place; "" for a key that is not the active one. ErrConflict when the key was revoked
// before, is active and gets no successor, or the successor is not pending any more.
func (keys Keys) Revoke(ctx context.Context, kid, successor string, now time.Time, e *Event) error {
	return keys.change(ctx, "revoke a signing key", e, func(t *tx) (int64, error) {
		if successor != "" {
			n, err := t.exec(ctx, `UPDATE signing_keys SET state = 'active', active_at = ? WHERE kid = ? AND state = 'pending'
				AND alg = (SELECT alg FROM signing_keys WHERE kid = ? AND state = 'active')`, usec(now), successor, kid)
			if err != nil || n == 0 {
				return n, err
			}
		}
		// The state is archived, so that nodes of the release before do not publish the key.
		return t.exec(ctx, `UPDATE signing_keys SET state = 'archived', retired_at = COALESCE(retired_at, ?), archived_at = COALESCE(archived_at, ?),
			revoked_at = ?, private_sealed = NULL WHERE kid = ? AND revoked_at IS NULL AND (state <> 'active' OR ? <> '')`,
			usec(now), usec(now), usec(now), kid, successor)
	})
}

// Reseal replaces a sealed private half. ErrConflict when it is not
// old any more.
func (keys Keys) Reseal(ctx context.Context, kid string, old, sealed []byte, e *Event) error {
	return keys.change(ctx, "reseal a signing key", e, func(t *tx) (int64, error) {
		return t.exec(ctx, `UPDATE signing_keys SET private_sealed = ? WHERE kid = ? AND private_sealed = ?`, sealed, kid, old)
	})
}

// change commits one guarded change with its event, and tells all nodes. A
// change that touched no row is ErrConflict and leaves nothing.
func (keys Keys) change(ctx context.Context, op string, e *Event, change func(*tx) (int64, error)) error {
	return fault(op, keys.store.inTx(ctx, func(t *tx) error {
		n, err := change(t)
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrConflict
		}
		if _, err := t.bump(ctx, VersionKeys); err != nil {
			return err
		}
		return t.event(ctx, e)
	}))
}
