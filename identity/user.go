package identity

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/request"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// NewUser is a user to create, for whose address the actor vouches.
type NewUser struct {
	Email      string
	Password   string // "" for none yet
	Profile    storage.Profile
	Superadmin bool
}

// Create creates a user. The address counts as verified, because the actor vouches for it. Errors: FieldErrors,
// ErrForbidden, storage.ErrExists if the address is taken.
func (pe *People) Create(ctx context.Context, a Actor, n NewUser) (*storage.User, error) {
	if err := pe.Authorize(ctx, &a, ManagePlatform, uuid.Nil); err != nil {
		return nil, err
	}
	var faults FieldErrors
	key, err := EmailKey(n.Email)
	faults.AddAll(err)
	if n.Password != "" {
		faults.AddAll(pe.passwords.Check(n.Password, n.Email, n.Profile.Name))
	}
	if len(faults) > 0 {
		return nil, faults
	}
	p := PrepareUser(a, n, key, pe.currentTime())
	if n.Password != "" {
		if p.PasswordHash, err = pe.passwords.Hash(ctx, n.Password); err != nil {
			return nil, err
		}
	}
	return &p.User, pe.store.CreateUsers(ctx, p)
}

// PrepareUser is a user to create at now, with a verified address whose key is given, and the event.
func PrepareUser(a Actor, n NewUser, key string, now time.Time) *storage.NewUser {
	u := storage.User{ID: uuid.Must(uuid.NewV7()), Sub: uuid.New(), Email: strings.TrimSpace(n.Email), EmailKey: key,
		EmailVerifiedAt: now, Profile: n.Profile, CreatedAt: now, UpdatedAt: now}
	created := a.Event(storage.EventUserCreated)
	if n.Superadmin {
		u.PlatformRoles = []string{storage.RoleSuperadmin}
		WithFact(created, "roles", u.PlatformRoles)
	}
	created.User = u.ID
	created.Personal = map[string]string{"email": u.Email}
	return &storage.NewUser{User: u, Events: []*storage.Event{created}}
}

// ByEmail finds a user by address, in any spelling.
func (pe *People) ByEmail(ctx context.Context, a Actor, email string) (*storage.User, error) {
	if err := pe.Authorize(ctx, &a, ReadPlatform, uuid.Nil); err != nil {
		return nil, err
	}
	key, err := EmailKey(email)
	if err != nil {
		return nil, err
	}
	return pe.store.UserByEmail(ctx, key)
}

// List returns up to limit users after the id after (uuid.Nil: from the first).
func (pe *People) List(ctx context.Context, a Actor, after uuid.UUID, limit int) ([]storage.User, error) {
	if err := pe.Authorize(ctx, &a, ReadPlatform, uuid.Nil); err != nil {
		return nil, err
	}
	return pe.store.Users(ctx, after, limit)
}

// SetPassword gives a user a new password, ends their sessions except keep, revokes all grants and mails a notice to a
// verified address. Users may set their own; the caller has authenticated them.
func (pe *People) SetPassword(ctx context.Context, a Actor, userID uuid.UUID, password string, keep uuid.UUID) error {
	if err := pe.authorizeSelf(ctx, &a, userID); err != nil {
		return err
	}
	u, err := pe.store.User(ctx, userID)
	if err != nil {
		return err
	}
	hash, err := pe.passwords.hashNew(ctx, password, u.Email, u.Profile.Name)
	if err != nil {
		return err
	}
	notes, err := pe.notify(u, pe.passwordChanged(u, request.Info{}))
	if err != nil {
		return err
	}
	defer pe.wake()
	return pe.store.SetPassword(ctx, userID, hash, keep, userEvent(a, storage.EventUserPasswordChanged, userID), notes...)
}

// Disable locks a user out at once. False if the user was disabled already.
func (pe *People) Disable(ctx context.Context, a Actor, userID uuid.UUID) (changed bool, err error) {
	if err := pe.Authorize(ctx, &a, ManagePlatform, uuid.Nil); err != nil {
		return false, err
	}
	return pe.store.DisableUser(ctx, userID, userEvent(a, storage.EventUserDisabled, userID))
}

// Enable is the reverse of Disable. False if the user was not disabled.
func (pe *People) Enable(ctx context.Context, a Actor, userID uuid.UUID) (changed bool, err error) {
	if err := pe.Authorize(ctx, &a, ManagePlatform, uuid.Nil); err != nil {
		return false, err
	}
	return pe.store.EnableUser(ctx, userID, userEvent(a, storage.EventUserEnabled, userID))
}

// AddPlatformRole gives a user the role superadmin or admin. False if they had it. storage.ErrEmailUnverified while
// the address is not verified.
func (pe *People) AddPlatformRole(ctx context.Context, a Actor, userID uuid.UUID, role string) (changed bool,
	err error) {
	return pe.setPlatformRole(ctx, a, userID, role, true, storage.EventUserRoleAdded)
}

// RemovePlatformRole removes the role. False if the user did not have it.
func (pe *People) RemovePlatformRole(ctx context.Context, a Actor, userID uuid.UUID, role string) (changed bool,
	err error) {
	return pe.setPlatformRole(ctx, a, userID, role, false, storage.EventUserRoleRemoved)
}

func (pe *People) setPlatformRole(ctx context.Context, a Actor, userID uuid.UUID, role string, has bool,
	kind storage.EventType) (bool, error) {
	if err := pe.Authorize(ctx, &a, ManagePlatform, uuid.Nil); err != nil {
		return false, err
	}
	if known := []string{storage.RoleSuperadmin, storage.RolePlatformAdmin}; !slices.Contains(known, role) {
		return false, FieldErrors{{Field: "role", Problem: fmt.Sprintf("%q is no platform role", role),
			Remedy: "choose superadmin or admin"}}
	}
	return pe.store.SetPlatformRole(ctx, userID, role, has, WithFact(userEvent(a, kind, userID), "role", role))
}

// Delete deletes a user for good and mails a verified address a last time. Users may delete themselves.
// storage.ErrConflict if an organization would lose its last owner, storage.ErrLastSuperadmin if the installation
// would lose its last superadmin.
func (pe *People) Delete(ctx context.Context, a Actor, userID uuid.UUID) error {
	if err := pe.authorizeSelf(ctx, &a, userID); err != nil {
		return err
	}
	return pe.deleteUser(ctx, a, userID, uuid.Nil, request.Info{})
}

func (pe *People) deleteUser(ctx context.Context, a Actor, userID, session uuid.UUID, from request.Info) error {
	u, err := pe.store.User(ctx, userID)
	if err != nil {
		return err
	}
	notes, err := pe.notify(u, templates.AccountGone{Name: u.Profile.Name, From: pe.withTime(from)})
	if err != nil {
		return err
	}
	defer pe.wake()
	return pe.store.DeleteUser(ctx, userID, session, userEvent(a, storage.EventUserDeleted, userID), notes...)
}

// userEvent is an event about a user.
func userEvent(a Actor, kind storage.EventType, userID uuid.UUID) *storage.Event {
	e := a.Event(kind)
	e.User = userID
	return e
}

// NoteUnlock records that an operator removed the limits on a user's attempts.
func (pe *People) NoteUnlock(ctx context.Context, a Actor, userID uuid.UUID) error {
	if err := pe.Authorize(ctx, &a, ManagePlatform, uuid.Nil); err != nil {
		return err
	}
	return pe.store.Record(ctx, userEvent(a, storage.EventUserUnlocked, userID))
}

// ResetFactors removes all second factors of a user and ends all sessions and grants. Superadmins and the operator
// may, superadmins also for themselves. notice writes the mails about it. Errors: ErrForbidden, storage.ErrNotFound.
func (pe *People) ResetFactors(ctx context.Context, a Actor, userID uuid.UUID,
	notice func(*storage.User) ([]*storage.Message, error)) error {
	if err := pe.Authorize(ctx, &a, ManagePlatform, uuid.Nil); err != nil {
		return err
	}
	u, err := pe.store.User(ctx, userID)
	if err != nil {
		return err
	}
	mails, err := notice(u)
	if err != nil {
		return err
	}
	return pe.store.Factors.Reset(ctx, userID, userEvent(a, storage.EventUserFactorsReset, userID), mails...)
}
