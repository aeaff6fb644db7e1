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
func (i *Identity) Members(ctx context.Context, a Actor, organizationID, after uuid.UUID, limit int) ([]storage.Member, error) {
	if err := i.canReadOrganization(ctx, a, organizationID, storage.RoleAdmin); err != nil {
		return nil, err
	}
	return i.store.Members(ctx, organizationID, after, limit)
}

// AddMember gives a person a role in an organization. Only those who administer
// the installation add people without asking them; an organization invites.
// storage.ErrExists if they are a member already, storage.ErrEmailUnverified while nobody
// has proven their address.
func (i *Identity) AddMember(ctx context.Context, a Actor, organizationID, userID uuid.UUID, role string) error {
	if err := i.platform(ctx, &a); err != nil {
		return err
	}
	if err := checkRole(role); err != nil {
		return err
	}
	return i.store.AddMember(ctx, organizationID, userID, role, membership(a, storage.EventMembershipCreated, organizationID, userID, role))
}

// SetRole changes a member's role: owners any, admins what is below an owner.
// storage.ErrConflict if the organization would lose its last owner,
// storage.ErrEmailUnverified for a higher role while nobody has proven their address.
func (i *Identity) SetRole(ctx context.Context, a Actor, organizationID, userID uuid.UUID, role string) error {
	if err := i.overMember(ctx, &a, organizationID, userID, role); err != nil {
		return err
	}
	if err := checkRole(role); err != nil {
		return err
	}
	return i.store.SetRole(ctx, organizationID, userID, role, membership(a, storage.EventMembershipRoleChanged, organizationID, userID, role))
}

// RemoveMember takes a person out of an organization; everybody may leave.
// storage.ErrConflict if the organization would lose its last owner.
func (i *Identity) RemoveMember(ctx context.Context, a Actor, organizationID, userID uuid.UUID) error {
	if err := a.inPerson(); err != nil {
		return err
	}
	if a.operator || a.UserID != userID {
		if err := i.overMember(ctx, &a, organizationID, userID, ""); err != nil {
			return err
		}
	}
	return i.store.RemoveMember(ctx, organizationID, userID, membership(a, storage.EventMembershipRemoved, organizationID, userID, ""))
}

// overMember admits owners, and admins where neither the member's present role
// nor the new one is owner: an admin cannot unseat an owner or become one.
func (i *Identity) overMember(ctx context.Context, a *Actor, organizationID, userID uuid.UUID, role string) error {
	if err := a.inPerson(); err != nil {
		return err
	}
	least := storage.RoleOwner
	present, err := i.store.Role(ctx, organizationID, userID)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	if present != storage.RoleOwner && role != storage.RoleOwner {
		least = storage.RoleAdmin
	}
	return i.inOrganization(ctx, a, organizationID, least)
}

func checkRole(role string) error {
	if !slices.Contains([]string{storage.RoleOwner, storage.RoleAdmin, storage.RoleMember, storage.RoleGuest}, role) {
		return Faults{{Field: "role", Problem: fmt.Sprintf("%q is no role in an organization", clip(role)), Remedy: "choose owner, admin, member or guest"}}
	}
	return nil
}

func membership(a Actor, kind storage.EventType, organizationID, userID uuid.UUID, role string) *storage.Event {
	e := about(a, kind, userID)
	e.Organization = organizationID
	if role != "" {
		with(e, "role", role)
	}
	return e
}
