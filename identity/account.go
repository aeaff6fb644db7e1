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

// ProfilePatch changes what the acting person tells about themself; nil leaves a
// member, "" clears it.
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

// UpdateProfile changes the acting person's standard claims. A new phone number
// counts as unverified. The error is FieldErrors.
func (i *Accounts) UpdateProfile(ctx context.Context, a Actor, p ProfilePatch) error {
	u, err := i.actingUser(ctx, a)
	if err != nil {
		return err
	}
	changed, err := p.Check()
	if err != nil || len(changed) == 0 {
		return err
	}
	return i.store.UpdateProfile(ctx, u.ID, p.Apply, WithFact(about(a, storage.EventUserProfileChanged, u.ID),
		"changed", changed))
}

// SetEmail gives a person another address, which only those who administer the
// installation do. They vouch for it, so it counts as proven; the person's sessions
// and grants end, links that were mailed to the old address die, and a notice goes
// there. An account that was never proven loses its password too: whoever made it
// need not be whom the new address belongs to. Errors: ErrForbidden, FieldErrors,
// storage.ErrNotFound, storage.ErrExists if the address is taken.
func (i *People) SetEmail(ctx context.Context, a Actor, userID uuid.UUID, email string) error {
	if err := i.Authorize(ctx, &a, ManagePlatform, uuid.Nil); err != nil {
		return err
	}
	key, err := EmailKey(email)
	if err != nil {
		return err
	}
	u, err := i.store.User(ctx, userID)
	if err != nil {
		return err
	}
	email = strings.TrimSpace(email)
	notes, err := i.notify(u, templates.EmailChanged{Name: u.Profile.Name, NewEmail: masked(email),
		From: i.timed(request.Info{})})
	if err != nil {
		return err
	}
	e := WithFact(about(a, storage.EventUserEmailChanged, userID), "first_proof", !u.EmailVerified())
	e.Personal = map[string]string{"before": u.Email, "after": email}
	defer i.wake()
	return i.store.ChangeEmail(ctx, userID, email, key, e, notes...)
}

// masked is an address for somebody who may only know that it is another: "b•••@acme.example".
func masked(email string) string {
	local, domain, _ := strings.Cut(email, "@")
	first, _ := utf8.DecodeRuneInString(local)
	return string(first) + "•••@" + domain
}

// DeletionEffects is what deleting an account would take along.
type DeletionEffects struct {
	// Blocking are organizations that others would be left in without an owner:
	// while there are any, the account cannot be deleted.
	Blocking []storage.Organization
	// Ending are those that have no other member and end with the account.
	Ending []storage.Organization
	// LastSuperadmin: nobody else administers the installation, so the account cannot be deleted.
	LastSuperadmin bool
}

// PreviewDeletion tells what deleting the acting person's account would take along.
func (i *Accounts) PreviewDeletion(ctx context.Context, a Actor) (*DeletionEffects, error) {
	u, err := i.actingUser(ctx, a)
	if err != nil {
		return nil, err
	}
	var d DeletionEffects
	if d.Blocking, d.Ending, err = i.store.SoleOwnerships(ctx, u.ID); err != nil {
		return nil, err
	}
	if hasRole(u, storage.RoleSuperadmin) {
		d.LastSuperadmin, err = i.store.IsLastSuperadmin(ctx, u.ID)
	}
	return &d, err
}

// Delete makes the acting person a tombstone and mails the address a last
// time; nothing brings the account back. session is the one they ask in. Errors:
// storage.ErrConflict while PreviewDeletion names what blocks it, also
// storage.ErrLastSuperadmin; ErrForbidden if the session has ended.
func (i *Accounts) Delete(ctx context.Context, a Actor, session uuid.UUID, from request.Info) error {
	u, err := i.actingUser(ctx, a)
	if err != nil {
		return err
	}
	if err = i.people.deleteUser(ctx, a, u.ID, session, from); errors.Is(err, storage.ErrSpent) {
		err = fmt.Errorf("%w: the session has ended", ErrForbidden)
	}
	return err
}
