package identity

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/request"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// ProfilePatch changes a user's own profile; a nil member stays as it is, "" clears the claim.
type ProfilePatch struct {
	Name        *string          `json:"name"`
	GivenName   *string          `json:"given_name"`
	FamilyName  *string          `json:"family_name"`
	MiddleName  *string          `json:"middle_name"`
	Nickname    *string          `json:"nickname"`
	ProfileURL  *string          `json:"profile"`
	Picture     *string          `json:"picture"`
	Website     *string          `json:"website"`
	Gender      *string          `json:"gender"`
	Birthdate   *string          `json:"birthdate"`
	Zoneinfo    *string          `json:"zoneinfo"`
	Locale      *string          `json:"locale"`
	PhoneNumber *string          `json:"phone_number"`
	Address     *storage.Address `json:"address"`
}

// UpdateProfile changes the acting user's standard claims. A new phone number counts as unverified. The error is
// FieldErrors.
func (ac *Accounts) UpdateProfile(ctx context.Context, a Actor, p ProfilePatch) error {
	u, err := ac.actingUser(ctx, a)
	if err != nil {
		return err
	}
	changed, err := p.Check()
	if err != nil || len(changed) == 0 {
		return err
	}
	return ac.store.UpdateProfile(ctx, u.ID, p.Apply, WithFact(userEvent(a, storage.EventUserProfileChanged, u.ID),
		"changed", changed))
}

// SetEmail gives a user another address. Only a superadmin or the operator may; they vouch for the address, so it
// counts as verified. The user's sessions and grants end, links mailed to the old address stop working, and a notice
// goes there. An account that was never verified loses its password too, because its creator need not be the owner of
// the new address. Errors: ErrForbidden, FieldErrors, storage.ErrNotFound, storage.ErrExists if the address is taken.
func (pe *People) SetEmail(ctx context.Context, a Actor, userID uuid.UUID, email string) error {
	if err := pe.Authorize(ctx, &a, ManagePlatform, uuid.Nil); err != nil {
		return err
	}
	key, err := EmailKey(email)
	if err != nil {
		return err
	}
	u, err := pe.store.User(ctx, userID)
	if err != nil {
		return err
	}
	email = strings.TrimSpace(email)
	notes, err := pe.notify(u, templates.EmailChanged{Name: u.Profile.Name, NewEmail: masked(email),
		From: pe.withTime(request.Info{})})
	if err != nil {
		return err
	}
	e := WithFact(userEvent(a, storage.EventUserEmailChanged, userID), "first_proof", !u.EmailVerified())
	e.Personal = map[string]string{"before": u.Email, "after": email}
	defer pe.wake()
	return pe.store.ChangeEmail(ctx, userID, email, key, e, notes...)
}

// masked shows only enough of an address to recognize it: "b•••@acme.example".
func masked(email string) string {
	local, domain, _ := strings.Cut(email, "@")
	first, _ := utf8.DecodeRuneInString(local)
	return string(first) + "•••@" + domain
}

// DeletionEffects is what the deletion of an account would do.
type DeletionEffects struct {
	// Blocking are the organizations with other members that would lose their only owner. The account cannot be
	// deleted while there is one.
	Blocking []storage.Organization
	// Ending are the organizations without other members, which are deleted with the account.
	Ending []storage.Organization
	// LastSuperadmin says that there is no other superadmin, so that the account cannot be deleted.
	LastSuperadmin bool
}

// PreviewDeletion returns what deleting the acting user's account would do.
func (ac *Accounts) PreviewDeletion(ctx context.Context, a Actor) (*DeletionEffects, error) {
	u, err := ac.actingUser(ctx, a)
	if err != nil {
		return nil, err
	}
	var d DeletionEffects
	if d.Blocking, d.Ending, err = ac.store.SoleOwnerships(ctx, u.ID); err != nil {
		return nil, err
	}
	if hasRole(u, storage.RoleSuperadmin) {
		d.LastSuperadmin, err = ac.store.IsLastSuperadmin(ctx, u.ID)
	}
	return &d, err
}

// Delete deletes the acting user's account and mails the address a last time. It cannot be undone. session is the one
// that the user acts in. Errors: storage.ErrConflict if PreviewDeletion names what blocks it,
// storage.ErrLastSuperadmin, ErrForbidden if the session has ended.
func (ac *Accounts) Delete(ctx context.Context, a Actor, session uuid.UUID, from request.Info) error {
	u, err := ac.actingUser(ctx, a)
	if err != nil {
		return err
	}
	if err = ac.people.deleteUser(ctx, a, u.ID, session, from); errors.Is(err, storage.ErrSpent) {
		err = fmt.Errorf("%w: the session has ended", ErrForbidden)
	}
	return err
}
