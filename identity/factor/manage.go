package factor

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/internal/request"
	"github.com/sallyport-id/sallyport/storage"
)

// List is what a user has enrolled.
type List struct {
	Factors           []storage.Factor // confirmed ones, the oldest first
	RecoveryCodesLeft int
}

// List returns what a user has enrolled.
func (f *Factors) List(ctx context.Context, userID uuid.UUID) (*List, error) {
	all, err := f.store.Factors.List(ctx, userID)
	if err != nil {
		return nil, err
	}
	left, err := f.store.Factors.CountRecoveryCodes(ctx, userID)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(f storage.Factor) bool { return f.ConfirmedAt.IsZero() })
	return &List{Factors: all, RecoveryCodesLeft: left}, nil
}

// Rename gives a factor another name. identity.FieldErrors if it is empty, storage.ErrNotFound if the user has no such
// factor.
func (f *Factors) Rename(ctx context.Context, w Subject, factorID uuid.UUID, name string) error {
	if name = clean(name); name == "" {
		return identity.FieldErrors{{Field: "name", Problem: "is empty", Remedy: "choose a word that you will know it by"}}
	}
	return f.store.Factors.Rename(ctx, w.User.ID, factorID, name,
		w.event(storage.EventFactorRenamed, map[string]any{"factor": factorID}))
}

// Remove removes factors, all or none, and with the last one the recovery codes; it ends the user's other sessions.
// ErrRequired if a policy for the user requires one of them, even during its grace, and there is no other that meets
// it; storage.ErrNotFound if the user does not have one of them, or if none is named.
func (f *Factors) Remove(ctx context.Context, w Subject, factorIDs ...uuid.UUID) error {
	all, err := f.store.Factors.List(ctx, w.User.ID)
	if err != nil {
		return err
	}
	r := &storage.FactorRemoval{UserID: w.User.ID, Factors: factorIDs, Keep: w.Session}
	var kinds []string
	for _, factorID := range factorIDs {
		n := slices.IndexFunc(all, func(f storage.Factor) bool { return f.ID == factorID && !f.ConfirmedAt.IsZero() })
		if n < 0 {
			return storage.ErrNotFound
		}
		notice, err := f.notices.removed(w.User, w.From, words(&all[n]))
		if err != nil {
			return err
		}
		kinds, r.Mails = append(kinds, all[n].Kind), append(r.Mails, notice...)
		r.Events = append(r.Events, w.event(storage.EventFactorRemoved,
			map[string]any{"factor": factorID, "kind": all[n].Kind}))
	}
	if r.Required, err = f.required(ctx, w.User.ID, kinds); err != nil {
		return err
	}
	err = f.store.Factors.Remove(ctx, r)
	if errors.Is(err, storage.ErrConflict) {
		return ErrRequired
	}
	return err
}

// required are the sets of kinds that a removal of these kinds concerns; the user must keep one kind of each set.
func (f *Factors) required(ctx context.Context, userID uuid.UUID, kinds []string) (sets [][]string, err error) {
	asked, err := f.store.Requirements(ctx, userID)
	if err != nil {
		return nil, err
	}
	platform, err := f.store.PlatformSettings(ctx)
	if err != nil {
		return nil, err
	}
	for _, set := range assurance.RequiredKinds(append(asked, storage.Requirement{Policy: platform.MFA}), f.now()) {
		if slices.ContainsFunc(kinds, func(k string) bool { return slices.Contains(set, k) }) {
			sets = append(sets, set)
		}
	}
	return sets, nil
}

// RegenerateRecoveryCodes replaces the recovery codes and ends the user's other sessions. storage.ErrConflict if the
// user has no second factor, or the session has ended.
func (f *Factors) RegenerateRecoveryCodes(ctx context.Context, w Subject) ([]string, error) {
	codes, hashes := f.recovery.make(w.User.ID)
	notice, err := f.notices.added(&w, "new recovery codes")
	if err != nil {
		return nil, err
	}
	e := w.event(storage.EventFactorRecoveryCodesRegenerated, map[string]any{"count": len(codes)})
	if err := f.store.Factors.ReplaceRecoveryCodes(ctx, w.User.ID, w.Session, hashes, e, notice...); err != nil {
		return nil, err
	}
	return codes, nil
}

// Reset removes all second factors of a user and ends all sessions, so that a user who has lost them can sign in
// again. Errors: identity.ErrForbidden, storage.ErrNotFound.
func (f *Factors) Reset(ctx context.Context, a identity.Actor, userID uuid.UUID, from request.Info) error {
	return f.people.ResetFactors(ctx, a, userID, func(u *storage.User) ([]*storage.Message, error) {
		return f.notices.removed(u, from, "every second step")
	})
}
