package identity

import (
	"context"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/storage"
)

// ResetFactors takes everything away that a person proves a second step with, and
// ends all their sessions and grants. Whoever administers the installation may,
// for everybody, themselves too; the mails about it are notice's. ErrForbidden,
// storage.ErrNotFound.
func (i *Identity) ResetFactors(ctx context.Context, a Actor, userID uuid.UUID, notice func(*storage.User) ([]*storage.Message, error)) error {
	if err := i.Authorize(ctx, &a, ManagePlatform, uuid.Nil); err != nil {
		return err
	}
	u, err := i.store.User(ctx, userID)
	if err != nil {
		return err
	}
	mails, err := notice(u)
	if err != nil {
		return err
	}
	return i.store.ResetFactors(ctx, userID, about(a, storage.EventUserFactorsReset, userID), mails...)
}
