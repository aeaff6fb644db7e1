package storage

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// firstRecoveryCodes gives out codes unless the person has some left.
func (t *tx) firstRecoveryCodes(ctx context.Context, userID uuid.UUID, hashes []secret.Hash) (bool, error) {
	var left int
	err := t.row(ctx, `SELECT count(*) FROM recovery_codes WHERE user_id = ? AND spent_at IS NULL`, id(userID)).Scan(&left)
	if err != nil || left > 0 || len(hashes) == 0 {
		return false, err
	}
	return true, t.insertRecoveryCodes(ctx, userID, hashes)
}

func (t *tx) insertRecoveryCodes(ctx context.Context, userID uuid.UUID, hashes []secret.Hash) error {
	for _, h := range hashes {
		if _, err := t.exec(ctx, `INSERT INTO recovery_codes (hash, user_id, created_at) VALUES (?, ?, ?)`, h, id(userID), usec(t.s.clock())); err != nil {
			return err
		}
	}
	return nil
}

// useRecoveryCode spends a recovery code and renews them all if it was the last one.
func (t *tx) useRecoveryCode(ctx context.Context, userID uuid.UUID, use *FactorUse) error {
	// Two last codes at once wait for each other here: one of them sees that it is the last.
	if _, err := t.exec(ctx, `UPDATE recovery_codes SET created_at = created_at WHERE user_id = ? AND spent_at IS NULL`, id(userID)); err != nil {
		return err
	}
	err := ErrSpent
	for n := 0; n < len(use.RecoveryCode) && errors.Is(err, ErrSpent); n++ {
		err = execOr(ctx, t, ErrSpent, `UPDATE recovery_codes SET spent_at = ? WHERE hash = ? AND user_id = ? AND spent_at IS NULL`,
			usec(t.s.clock()), use.RecoveryCode[n], id(userID))
	}
	if err != nil {
		return err
	}
	if use.Renewed, err = t.firstRecoveryCodes(ctx, userID, use.Renewal); err != nil {
		return err
	}
	if use.Renewed && use.RenewalEvent != nil {
		if err := t.event(ctx, use.RenewalEvent); err != nil {
			return err
		}
	}
	return t.row(ctx, `SELECT count(*) FROM recovery_codes WHERE user_id = ? AND spent_at IS NULL`, id(userID)).Scan(&use.Left)
}

// ReplaceRecoveryCodes makes new codes the only ones that count, for a person in
// that session (nil: in none): all others end, with their grants. ErrConflict if the
// person has no second factor, or the session has ended.
func (factors Factors) ReplaceRecoveryCodes(ctx context.Context, userID, session uuid.UUID, hashes []secret.Hash,
	e *Event, mails ...*Message) error {
	return factors.store.change(ctx, "replace recovery codes", func(t *tx) error {
		if err := t.lockUser(ctx, userID); err != nil {
			return err
		}
		if err := t.requireLiveSession(ctx, userID, session, ErrConflict); err != nil {
			return err
		}
		var factors string
		if err := t.row(ctx, `SELECT factors FROM users WHERE id = ?`, id(userID)).Scan(&factors); err != nil {
			return err
		}
		if factors == "" {
			return ErrConflict
		}
		if _, err := t.exec(ctx, `DELETE FROM recovery_codes WHERE user_id = ?`, id(userID)); err != nil {
			return err
		}
		if err := t.insertRecoveryCodes(ctx, userID, hashes); err != nil {
			return err
		}
		if err := t.endAccess(ctx, userID, session, session, EndFactorChanged); err != nil {
			return err
		}
		return t.eventAndMail(ctx, e, mails)
	})
}

// CountRecoveryCodes counts a person's unspent recovery codes.
func (factors Factors) CountRecoveryCodes(ctx context.Context, userID uuid.UUID) (int, error) {
	var n int
	err := factors.store.row(ctx, `SELECT count(*) FROM recovery_codes WHERE user_id = ? AND spent_at IS NULL`, id(userID)).Scan(&n)
	return n, fault("count recovery codes", err)
}

// HasRecoveryCode tells whether one of the hashes is an unspent recovery code of a
// person, and how many of those they have.
func (factors Factors) HasRecoveryCode(ctx context.Context, userID uuid.UUID, hashes []secret.Hash) (there bool, left int, err error) {
	all, err := list(ctx, factors.store, "look for a recovery code", column[secret.Hash],
		`SELECT hash FROM recovery_codes WHERE user_id = ? AND spent_at IS NULL`, id(userID))
	return slices.ContainsFunc(all, func(h secret.Hash) bool { return slices.Contains(hashes, h) }), len(all), err
}
