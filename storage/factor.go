package storage

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// The kinds of second factors.
const (
	FactorTOTP     = "totp"
	FactorWebAuthn = "webauthn"
)

// MaxFactors bounds the confirmed factors of one kind that a person has.
const MaxFactors = 20

// EndFactorChanged is why a change of second factors ends sessions and grants.
const EndFactorChanged = "factor_changed"

// Factor is one authenticator of a person.
type Factor struct {
	ID     uuid.UUID `db:"id"`
	UserID uuid.UUID `db:"user_id"`
	Kind   string    `db:"kind"`
	Name   string    `db:"name"` // the person's own word for it
	// Sealed is the TOTP seed, sealed. nil for WebAuthn.
	Sealed []byte `db:"sealed"`
	// Credential is the WebAuthn credential record as JSON, CredentialHash the
	// SHA-256 of its id. Empty for TOTP.
	Credential     json.RawMessage `db:"credential"`
	CredentialHash secret.Hash     `db:"credential_hash"`
	// Passkey: the authenticator stores it for this site, so that it can be the first factor.
	Passkey bool `db:"passkey"`
	// Counter is the last TOTP step, or the signature counter; it only grows.
	Counter   int64     `db:"counter"`
	CreatedAt time.Time `db:"created_at"`
	// ConfirmedAt is zero until the person has shown that they hold it; until then it counts for nothing.
	ConfirmedAt time.Time `db:"confirmed_at"`
	LastUsedAt  time.Time `db:"last_used_at"`
	// Session is the one that an unconfirmed authenticator waits in; nil for none.
	Session uuid.UUID `db:"session_id"`
}

// Factors reads and changes second factors and recovery codes: Store.Factors.
type Factors struct{ store *Store }

var factorRow = layoutOf[Factor]("f")

// FactorUse is a second factor or passkey that was verified and is now to be spent.
type FactorUse struct {
	// Factor is nil for a recovery code.
	Factor uuid.UUID
	// Counter is the TOTP step, or the signature counter. It must be above the
	// stored one; zero stays zero for authenticators that do not count.
	Counter int64
	// Credential is the WebAuthn record as it is after this use; nil leaves it.
	Credential json.RawMessage
	// Challenge is the WebAuthn challenge that was answered; zero if none was.
	Challenge        secret.Hash
	ChallengeExpires time.Time
	// RecoveryCode is the hash of a recovery code under each of the keys; one of them must be there unspent.
	RecoveryCode []secret.Hash
	// Renewal are the hashes of recovery codes to give out, with RenewalEvent, if this
	// one was the last: a user who signed in with it must be able to sign in again.
	Renewal      []secret.Hash
	RenewalEvent *Event
	// Left is set when a recovery code was spent: how many are unspent then, and
	// Renewed whether they are those of Renewal.
	Left    int
	Renewed bool
	// Event and Mails go with the use; Event may be nil.
	Event *Event
	Mails []*Message
}

// List returns the authenticators of a person, those that wait to be confirmed
// too, in the order they were made.
func (factors Factors) List(ctx context.Context, userID uuid.UUID) ([]Factor, error) {
	return list(ctx, factors.store, "read the factors of a person", factorRow.dest, `SELECT `+factorRow.columns+` FROM factors f WHERE f.user_id = ? ORDER BY f.id`, id(userID))
}

// FindByCredential returns the confirmed authenticator with a WebAuthn
// credential id, and its person; disabled people too.
func (factors Factors) FindByCredential(ctx context.Context, credential secret.Hash) (*Factor, *User, error) {
	var f Factor
	var u User
	err := factors.store.row(ctx, `SELECT `+factorRow.columns+`, `+userRow.columns+` FROM factors f JOIN users u ON u.id = f.user_id
		WHERE f.credential_hash = ? AND f.confirmed_at IS NOT NULL AND u.deleted_at IS NULL`, credential).Scan(append(factorRow.dest(&f), userRow.dest(&u)...)...)
	if err != nil {
		return nil, nil, fault("read a credential", err)
	}
	return &f, &u, nil
}

// Begin stores an authenticator that waits to be confirmed in the place of
// any other of this person and kind that does. ErrConflict if their address is
// not verified: its owner is not known yet.
func (factors Factors) Begin(ctx context.Context, f *Factor) error {
	return factors.store.change(ctx, "begin a factor", func(t *tx) error {
		if err := t.lockVerified(ctx, f.UserID); err != nil {
			return err
		}
		if _, err := t.exec(ctx, `DELETE FROM factors WHERE user_id = ? AND kind = ? AND confirmed_at IS NULL`, id(f.UserID), f.Kind); err != nil {
			return err
		}
		return t.insertFactor(ctx, f)
	})
}

func (t *tx) insertFactor(ctx context.Context, f *Factor) error {
	return t.doNamed(ctx, `INSERT INTO factors (id, user_id, kind, name, sealed, credential, credential_hash, passkey, counter, created_at,
			confirmed_at, session_id)
		VALUES (:id, :user_id, :kind, :name, :sealed, :credential, :credential_hash, :passkey, :counter, :created_at,
			:confirmed_at, :session_id)`, map[string]any{
		"id": id(f.ID), "user_id": id(f.UserID), "kind": f.Kind, "name": f.Name, "sealed": f.Sealed,
		"credential": string(f.Credential), "credential_hash": f.CredentialHash, "passkey": f.Passkey,
		"counter": f.Counter, "created_at": usec(f.CreatedAt), "confirmed_at": usec(f.ConfirmedAt),
		"session_id": id(f.Session)})
}

// NewFactor is an authenticator that a person has just shown to hold.
type NewFactor struct {
	// Factor is the row: one that waits (TOTP), or a whole new one (WebAuthn).
	Factor Factor
	// Challenge is the WebAuthn challenge that was answered; zero for TOTP.
	Challenge        secret.Hash
	ChallengeExpires time.Time
	// RecoveryCodes are the hashes of codes to give out if the person has none unspent.
	RecoveryCodes []secret.Hash
	// Keep is the session it happens in: all others end, with their grants.
	Keep  uuid.UUID
	Event *Event
	Mails []*Message
}

// Confirm makes an authenticator count from now on, and tells whether the
// recovery codes were taken: not if the person has some. ErrSpent if it was
// confirmed or the challenge answered before or the session has ended, ErrExists if
// it is registered already, ErrConflict if the address is not verified or there are
// too many.
func (factors Factors) Confirm(ctx context.Context, n *NewFactor) (codes bool, err error) {
	err = factors.store.inTx(ctx, func(t *tx) error {
		f := &n.Factor
		if err := t.lockVerified(ctx, f.UserID); err != nil {
			return err
		}
		if err := t.requireLiveSession(ctx, f.UserID, n.Keep, ErrSpent); err != nil {
			return err
		}
		if err := t.require(ctx, ErrConflict, `SELECT count(*) < ? FROM factors WHERE user_id = ? AND kind = ? AND confirmed_at IS NOT NULL`,
			MaxFactors, id(f.UserID), f.Kind); err != nil {
			return err
		}
		if err := t.confirm(ctx, n); err != nil {
			return err
		}
		if codes, err = t.firstRecoveryCodes(ctx, f.UserID, n.RecoveryCodes); err != nil {
			return err
		}
		if err := t.factorsChanged(ctx, f.UserID, n.Keep); err != nil {
			return err
		}
		return t.eventAndMail(ctx, n.Event, n.Mails)
	})
	return codes, fault("confirm a factor", err)
}

func (t *tx) confirm(ctx context.Context, n *NewFactor) error {
	f, now := &n.Factor, usec(t.s.clock())
	if !n.Challenge.IsZero() {
		if err := t.spendChallenge(ctx, n.Challenge, n.ChallengeExpires); err != nil {
			return err
		}
		f.ConfirmedAt = t.s.clock()
		return t.insertFactor(ctx, f)
	}
	return execOr(ctx, t, ErrSpent, `UPDATE factors SET confirmed_at = ?, counter = ?, name = ?, session_id = NULL WHERE id = ? AND user_id = ? AND confirmed_at IS NULL`,
		now, f.Counter, f.Name, id(f.ID), id(f.UserID))
}

// factorsChanged brings users.factors up to date and ends every session but keep,
// with its grants: other sessions began under other rules.
func (t *tx) factorsChanged(ctx context.Context, userID, keep uuid.UUID) error {
	if err := t.noteFactors(ctx, userID); err != nil {
		return err
	}
	return t.endAccess(ctx, userID, keep, keep, EndFactorChanged)
}

// noteFactors brings users.factors up to date.
func (t *tx) noteFactors(ctx context.Context, userID uuid.UUID) error {
	return t.do(ctx, `UPDATE users SET factors =
		CASE WHEN EXISTS (SELECT 1 FROM factors f WHERE f.user_id = users.id AND f.kind = 'totp' AND f.confirmed_at IS NOT NULL) THEN
			CASE WHEN EXISTS (SELECT 1 FROM factors f WHERE f.user_id = users.id AND f.kind = 'webauthn' AND f.confirmed_at IS NOT NULL) THEN 'totp webauthn' ELSE 'totp' END
		WHEN EXISTS (SELECT 1 FROM factors f WHERE f.user_id = users.id AND f.kind = 'webauthn' AND f.confirmed_at IS NOT NULL) THEN 'webauthn' ELSE '' END
		WHERE id = ?`, id(userID))
}

// useFactor spends what was verified: exactly one of several that try at once succeeds, the others get ErrSpent.
func (t *tx) useFactor(ctx context.Context, userID uuid.UUID, use *FactorUse) error {
	if !use.Challenge.IsZero() {
		if err := t.spendChallenge(ctx, use.Challenge, use.ChallengeExpires); err != nil {
			return err
		}
	}
	now := usec(t.s.clock())
	var err error
	if use.Factor != uuid.Nil {
		err = execOr(ctx, t, ErrSpent, `UPDATE factors SET counter = ?, last_used_at = ?, credential = COALESCE(CAST(? AS text), credential)
			WHERE id = ? AND user_id = ? AND confirmed_at IS NOT NULL AND (counter < ? OR (kind = 'webauthn' AND counter = 0 AND CAST(? AS bigint) = 0))`,
			use.Counter, now, textOrNull(string(use.Credential)), id(use.Factor), id(userID), use.Counter, use.Counter)
	} else {
		err = t.useRecoveryCode(ctx, userID, use)
	}
	if err == nil && use.Event != nil {
		err = t.event(ctx, use.Event)
	}
	if err != nil {
		return err
	}
	return t.enqueue(ctx, use.Mails...)
}

// spendChallenge is ErrSpent for a challenge that was answered before.
func (t *tx) spendChallenge(ctx context.Context, challenge secret.Hash, expires time.Time) error {
	return execOr(ctx, t, ErrSpent, `INSERT INTO replay_ids (hash, expires_at) VALUES (?, ?) ON CONFLICT (hash) DO NOTHING`, challenge, usec(expires))
}

// Rename gives a confirmed authenticator another name.
func (factors Factors) Rename(ctx context.Context, userID, factorID uuid.UUID, name string, e *Event) error {
	return factors.store.change(ctx, "rename a factor", func(t *tx) error {
		return t.doWith(ctx, e, ErrNotFound, `UPDATE factors SET name = ? WHERE id = ? AND user_id = ? AND confirmed_at IS NOT NULL`,
			name, id(factorID), id(userID))
	})
}

// FactorRemoval are authenticators to take away, all or none.
type FactorRemoval struct {
	UserID  uuid.UUID
	Factors []uuid.UUID
	// Keep is the session it happens in: all others end, with their grants.
	Keep uuid.UUID
	// Required are sets of kinds: of each the person must have one left.
	Required [][]string
	Events   []*Event
	Mails    []*Message
}

// Remove takes authenticators away, with the last one the recovery codes
// too. ErrNotFound if one is not theirs or none is named, ErrConflict if nothing is left of what is
// required: then they stay. ErrNotFound too if the session has ended.
func (factors Factors) Remove(ctx context.Context, f *FactorRemoval) error {
	return factors.store.change(ctx, "remove a factor", func(t *tx) error {
		if err := t.lockUser(ctx, f.UserID); err != nil {
			return err
		}
		if err := t.requireLiveSession(ctx, f.UserID, f.Keep, ErrNotFound); err != nil {
			return err
		}
		if len(f.Factors) == 0 {
			return ErrNotFound
		}
		for _, factorID := range f.Factors {
			if err := execOr(ctx, t, ErrNotFound, `DELETE FROM factors WHERE id = ? AND user_id = ? AND confirmed_at IS NOT NULL`, id(factorID), id(f.UserID)); err != nil {
				return err
			}
		}
		if _, err := t.exec(ctx, `DELETE FROM recovery_codes WHERE user_id = ? AND NOT EXISTS
			(SELECT 1 FROM factors f WHERE f.user_id = recovery_codes.user_id AND f.confirmed_at IS NOT NULL)`, id(f.UserID)); err != nil {
			return err
		}
		if err := t.factorsChanged(ctx, f.UserID, f.Keep); err != nil {
			return err
		}
		if err := t.keepsFactors(ctx, f.UserID, f.Required); err != nil {
			return err
		}
		if err := t.event(ctx, f.Events...); err != nil {
			return err
		}
		return t.enqueue(ctx, f.Mails...)
	})
}

// keepsFactors is ErrConflict if of one of the sets of kinds nothing is left.
func (t *tx) keepsFactors(ctx context.Context, userID uuid.UUID, required [][]string) error {
	var left []string
	if err := t.row(ctx, `SELECT factors FROM users WHERE id = ?`, id(userID)).Scan(&left); err != nil {
		return err
	}
	for _, set := range required {
		if !slices.ContainsFunc(set, func(kind string) bool { return slices.Contains(left, kind) }) {
			return ErrConflict
		}
	}
	return nil
}

// Reset takes everything away that a person proves a second step with, and
// ends all their sessions and grants: the way back in that an operator opens.
func (factors Factors) Reset(ctx context.Context, userID uuid.UUID, e *Event, mails ...*Message) error {
	return factors.store.change(ctx, "reset the factors of a person", func(t *tx) error {
		if err := t.lockUser(ctx, userID); err != nil {
			return err
		}
		if err := t.forgetFactors(ctx, userID); err != nil {
			return err
		}
		if err := t.endAccess(ctx, userID, uuid.Nil, uuid.Nil, EndFactorChanged); err != nil {
			return err
		}
		return t.eventAndMail(ctx, e, mails)
	})
}

// forgetFactors leaves nothing of a person's second factors.
func (t *tx) forgetFactors(ctx context.Context, userID uuid.UUID) error {
	user := []any{id(userID)}
	return t.execAll(ctx,
		statement{`DELETE FROM factors WHERE user_id = ?`, user},
		statement{`DELETE FROM recovery_codes WHERE user_id = ?`, user},
		statement{`UPDATE users SET factors = '' WHERE id = ?`, user})
}

// ListSealed returns up to limit authenticators with a sealed seed, in the
// order of their ids, from the one after.
func (factors Factors) ListSealed(ctx context.Context, after uuid.UUID, limit int) ([]Factor, error) {
	return list(ctx, factors.store, "read sealed factors", factorRow.dest, `SELECT `+factorRow.columns+` FROM factors f WHERE f.sealed IS NOT NULL AND f.id > ? ORDER BY f.id LIMIT ?`, after.String(), limit)
}

// Reseal replaces a sealed seed. ErrSpent if it is not that one any more.
func (factors Factors) Reseal(ctx context.Context, factorID uuid.UUID, old, sealed []byte) error {
	return fault("reseal a factor", execOr(ctx, factors.store, ErrSpent, `UPDATE factors SET sealed = ? WHERE id = ? AND sealed = ?`, sealed, id(factorID), old))
}

// lockVerified is lockUser for what attaches to proven addresses only: ErrConflict if it is not.
func (t *tx) lockVerified(ctx context.Context, userID uuid.UUID) error {
	if err := t.lockUser(ctx, userID); err != nil {
		return err
	}
	return t.require(ctx, ErrConflict, `SELECT email_verified_at IS NOT NULL FROM users WHERE id = ?`, id(userID))
}
