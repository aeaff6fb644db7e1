package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/storage"
)

// Members lists up to limit members after the person with that id.
func (i *Organizations) Members(ctx context.Context, a Actor, organizationID, after uuid.UUID,
	limit int) ([]storage.Member, error) {
	if err := i.Authorize(ctx, &a, ReadOrganization, organizationID); err != nil {
		return nil, err
	}
	return i.store.Members(ctx, organizationID, after, limit)
}

// AddMember gives a person a role in an organization. Only those who administer
// the installation add people without asking them; an organization invites.
// storage.ErrExists if they are a member already, storage.ErrEmailUnverified while nobody
// has proven their address.
func (i *Organizations) AddMember(ctx context.Context, a Actor, organizationID, userID uuid.UUID, role string) error {
	if err := i.Authorize(ctx, &a, ManagePlatform, uuid.Nil); err != nil {
		return err
	}
	if err := CheckRole(role); err != nil {
		return err
	}
	return i.store.AddMember(ctx, organizationID, userID, role, MembershipEvent(a, storage.EventMembershipCreated,
		organizationID, userID, role))
}

// SetRole changes a member's role: owners any, admins what is below an owner.
// storage.ErrConflict if the organization would lose its last owner,
// storage.ErrEmailUnverified for a higher role while nobody has proven their address.
func (i *Organizations) SetRole(ctx context.Context, a Actor, organizationID, userID uuid.UUID, role string) error {
	if err := i.authorizeMember(ctx, &a, organizationID, userID, role); err != nil {
		return err
	}
	if err := CheckRole(role); err != nil {
		return err
	}
	return i.store.SetRole(ctx, organizationID, userID, role, MembershipEvent(a, storage.EventMembershipRoleChanged,
		organizationID, userID, role))
}

// RemoveMember takes a person out of an organization; everybody may leave.
// storage.ErrConflict if the organization would lose its last owner.
func (i *Organizations) RemoveMember(ctx context.Context, a Actor, organizationID, userID uuid.UUID) error {
	if a.kind != personActor || a.UserID != userID {
		if err := i.authorizeMember(ctx, &a, organizationID, userID, ""); err != nil {
			return err
		}
	}
	return i.store.RemoveMember(ctx, organizationID, userID, MembershipEvent(a, storage.EventMembershipRemoved,
		organizationID, userID, ""))
}

// authorizeMember admits owners, and admins where neither the member's present role
// nor the new one is owner: an admin cannot unseat an owner or become one.
func (i *Organizations) authorizeMember(ctx context.Context, a *Actor, organizationID, userID uuid.UUID,
	role string) error {
	present, err := i.store.Role(ctx, organizationID, userID)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	action := ManageMembers
	if present == storage.RoleOwner || role == storage.RoleOwner {
		action = ManageOwners
	}
	return i.Authorize(ctx, a, action, organizationID)
}

// CheckRole refuses what is no role in an organization. The error is FieldErrors.
func CheckRole(role string) error {
	if !slices.Contains([]string{storage.RoleOwner, storage.RoleAdmin, storage.RoleMember, storage.RoleGuest}, role) {
		return FieldErrors{{Field: "role", Problem: fmt.Sprintf("%q is no role in an organization", Clip(role)),
			Remedy: "choose owner, admin, member or guest"}}
	}
	return nil
}

// MembershipEvent is an event concerning a person's place in an organization.
func MembershipEvent(a Actor, kind storage.EventType, organizationID, userID uuid.UUID, role string) *storage.Event {
	e := about(a, kind, userID)
	e.Organization = organizationID
	if role != "" {
		WithFact(e, "role", role)
	}
	return e
}
