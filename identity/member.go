package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/storage"
)

// Members returns up to limit members after the user id after.
func (og *Organizations) Members(ctx context.Context, a Actor, organizationID, after uuid.UUID,
	limit int) ([]storage.Member, error) {
	if err := og.Authorize(ctx, &a, ReadOrganization, organizationID); err != nil {
		return nil, err
	}
	return og.store.Members(ctx, organizationID, after, limit)
}

// AddMember gives a user a role in an organization without asking them. Only superadmins and the operator may; an
// organization invites. storage.ErrExists for a member, storage.ErrEmailUnverified if the address is not verified.
func (og *Organizations) AddMember(ctx context.Context, a Actor, organizationID, userID uuid.UUID, role string) error {
	if err := og.Authorize(ctx, &a, ManagePlatform, uuid.Nil); err != nil {
		return err
	}
	if err := CheckRole(role); err != nil {
		return err
	}
	return og.store.AddMember(ctx, organizationID, userID, role, MembershipEvent(a, storage.EventMembershipCreated,
		organizationID, userID, role))
}

// SetRole changes a member's role: owners may set any, admins any below owner. storage.ErrConflict if the organization
// would lose its last owner, storage.ErrEmailUnverified for a higher role while the address is not verified.
func (og *Organizations) SetRole(ctx context.Context, a Actor, organizationID, userID uuid.UUID, role string) error {
	if err := og.authorizeMember(ctx, &a, organizationID, userID, role); err != nil {
		return err
	}
	if err := CheckRole(role); err != nil {
		return err
	}
	return og.store.SetRole(ctx, organizationID, userID, role, MembershipEvent(a, storage.EventMembershipRoleChanged,
		organizationID, userID, role))
}

// RemoveMember removes a user from an organization; every user may leave. storage.ErrConflict if the organization
// would lose its last owner.
func (og *Organizations) RemoveMember(ctx context.Context, a Actor, organizationID, userID uuid.UUID) error {
	if a.kind != personActor || a.UserID != userID {
		if err := og.authorizeMember(ctx, &a, organizationID, userID, ""); err != nil {
			return err
		}
	}
	return og.store.RemoveMember(ctx, organizationID, userID, MembershipEvent(a, storage.EventMembershipRemoved,
		organizationID, userID, ""))
}

// authorizeMember admits owners, and admins if neither the member's current role nor the new one is owner: an admin
// can neither remove an owner nor become one.
func (og *Organizations) authorizeMember(ctx context.Context, a *Actor, organizationID, userID uuid.UUID,
	role string) error {
	present, err := og.store.Role(ctx, organizationID, userID)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	action := ManageMembers
	if present == storage.RoleOwner || role == storage.RoleOwner {
		action = ManageOwners
	}
	return og.Authorize(ctx, a, action, organizationID)
}

// CheckRole refuses what is not a role in an organization. The error is FieldErrors.
func CheckRole(role string) error {
	if !slices.Contains([]string{storage.RoleOwner, storage.RoleAdmin, storage.RoleMember, storage.RoleGuest}, role) {
		return FieldErrors{{Field: "role", Problem: fmt.Sprintf("%q is no role in an organization", Clip(role)),
			Remedy: "choose owner, admin, member or guest"}}
	}
	return nil
}

// MembershipEvent is an event about a user's membership.
func MembershipEvent(a Actor, kind storage.EventType, organizationID, userID uuid.UUID, role string) *storage.Event {
	e := userEvent(a, kind, userID)
	e.Organization = organizationID
	if role != "" {
		WithFact(e, "role", role)
	}
	return e
}
