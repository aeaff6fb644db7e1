package storage

import (
	"cmp"
	"context"
	"errors"
	"math"
	"time"

	"github.com/google/uuid"
)

// The roles of a membership, from most to least.
const (
	RoleOwner  = "owner"
	RoleAdmin  = "admin"
	RoleMember = "member"
	RoleGuest  = "guest"
)

// Membership is a person's place in an organization.
type Membership struct {
	Organization Organization
	UserID       uuid.UUID
	Role         string
	CreatedAt    time.Time
	// Requirement is what the organization asks of the person's sign-ins; nil if nothing.
	Requirement *Requirement
}

// membershipRow is one element of Engine.membershipsJSON.
type membershipRow struct {
	ID       uuid.UUID `json:"id"`
	Slug     string    `json:"slug"`
	Name     string    `json:"name"`
	Role     string    `json:"role"`
	Since    int64     `json:"since"`    // microseconds
	Settings string    `json:"settings"` // JSON of OrganizationSettings
}

// memberships scans the result of Engine.membershipsJSON.
type memberships struct{ all *[]Membership }

// Scan accepts NULL as no memberships.
func (m memberships) Scan(src any) error {
	var rows []membershipRow
	if err := (document{&rows}).Scan(src); err != nil {
		return err
	}
	*m.all = make([]Membership, len(rows))
	for n, row := range rows {
		var settings OrganizationSettings
		if err := (document{&settings}).Scan(row.Settings); err != nil {
			return err
		}
		since := time.UnixMicro(row.Since).UTC()
		(*m.all)[n] = Membership{Organization: Organization{ID: row.ID, Slug: row.Slug, Name: row.Name}, Role: row.Role,
			CreatedAt: since, Requirement: settings.requirement(since)}
	}
	return nil
}

// Member is the same place seen from the organization.
type Member struct {
	User      User
	Role      string
	CreatedAt time.Time
	// Requirement is what the organization asks of the member's sign-ins; nil if nothing.
	Requirement *Requirement
}

// Memberships returns up to limit live organizations of a person that come after that slug, by slug; "" begins, and 0
// is all of them.
func (s *Store) Memberships(ctx context.Context, userID uuid.UUID, after string, limit int) ([]Membership, error) {
	if limit == 0 {
		limit = math.MaxInt32
	}
	var all []Membership
	err := s.rows(ctx, func(r scanner) error {
		m := Membership{UserID: userID}
		var settings OrganizationSettings
		err := r.Scan(append(organizationRow.dest(&m.Organization), &m.Role, &m.CreatedAt, &settings)...)
		m.Requirement = settings.requirement(m.CreatedAt)
		all = append(all, m)
		return err
	}, `SELECT `+organizationRow.columns+`, m.role, m.created_at, o.settings FROM memberships m JOIN organizations o ON o.id = m.organization_id
		WHERE m.user_id = ? AND o.deleted_at IS NULL AND o.slug > ? ORDER BY o.slug LIMIT ?`, id(userID), after, limit)
	return all, fault("list the organizations of a person", err)
}

// Members returns up to limit members of a live organization whose ids come after that one.
func (s *Store) Members(ctx context.Context, organizationID, after uuid.UUID, limit int) ([]Member, error) {
	var all []Member
	err := s.rows(ctx, func(r scanner) error {
		var m Member
		var settings OrganizationSettings
		err := r.Scan(append(userRow.dest(&m.User), &m.Role, &m.CreatedAt, &settings)...)
		m.Requirement = settings.requirement(m.CreatedAt)
		all = append(all, m)
		return err
	}, `SELECT `+userRow.columns+`, m.role, m.created_at, o.settings
		FROM memberships m JOIN users u ON u.id = m.user_id JOIN organizations o ON o.id = m.organization_id
		WHERE m.organization_id = ? AND m.user_id > ? AND u.deleted_at IS NULL AND o.deleted_at IS NULL ORDER BY m.user_id LIMIT ?`,
		id(organizationID), after.String(), limit)
	return all, fault("list members", err)
}

// Role returns a person's role in a live organization; ErrNotFound if they have none.
func (s *Store) Role(ctx context.Context, organizationID, userID uuid.UUID) (string, error) {
	var role string
	err := s.row(ctx, `SELECT m.role FROM memberships m JOIN organizations o ON o.id = m.organization_id
		WHERE m.organization_id = ? AND m.user_id = ? AND o.deleted_at IS NULL`, id(organizationID), id(userID)).Scan(&role)
	return role, fault("read a role", err)
}

// AddMember gives a live person a place in a live organization. ErrExists if
// they have one already, whatever the role; ErrEmailUnverified if their address is not
// proven: who made the account need not be whom the place is for.
func (s *Store) AddMember(ctx context.Context, organizationID, userID uuid.UUID, role string, e *Event) error {
	return s.change(ctx, "add a member", func(t *tx) error {
		if err := t.lockVerifiedUser(ctx, userID); err != nil {
			return err
		}
		return t.doWith(ctx, e, ErrNotFound, `INSERT INTO memberships (organization_id, user_id, role, created_at)
			SELECT o.id, u.id, `+s.engine.casts("text", "bigint")+` FROM organizations o, users u
			WHERE o.id = ? AND o.deleted_at IS NULL AND u.id = ? AND u.deleted_at IS NULL`,
			role, usec(s.clock()), id(organizationID), id(userID))
	})
}

// SetRole changes a member's role. ErrConflict if that would leave the
// organization without an owner who can act; ErrEmailUnverified for a higher role than
// they have while their address is not proven.
func (s *Store) SetRole(ctx context.Context, organizationID, userID uuid.UUID, role string, e *Event) error {
	return s.change(ctx, "set a role", func(t *tx) error {
		if err := t.higherIsProven(ctx, organizationID, userID, role); err != nil {
			return err
		}
		if err := t.lockOrganization(ctx, organizationID); err != nil {
			return err
		}
		if err := t.authorizeOver(ctx, organizationID, userID, e); err != nil {
			return err
		}
		if role != RoleOwner {
			if err := t.keepOwner(ctx, organizationID, userID); err != nil {
				return err
			}
		}
		if err := execOr(ctx, t, ErrNotFound, `UPDATE memberships SET role = ? WHERE organization_id = ? AND user_id = ?`, role, id(organizationID), id(userID)); err != nil {
			return err
		}
		if err := t.suspendInvitations(ctx, userID); err != nil {
			return err
		}
		return t.event(ctx, e)
	})
}

// authorizeOver is authorize for an act on a member, whose organization the caller
// holds: only an owner acts on an owner, which the member may have become meanwhile.
func (t *tx) authorizeOver(ctx context.Context, organizationID, userID uuid.UUID, e *Event) error {
	if e.Authority.Organization != uuid.Nil {
		var owner int
		if err := t.row(ctx, `SELECT count(*) FROM memberships WHERE organization_id = ? AND user_id = ? AND role = 'owner'`,
			id(organizationID), id(userID)).Scan(&owner); err != nil {
			return err
		}
		if owner > 0 {
			e.Authority.Role = RoleOwner
		}
	}
	return t.authorize(ctx, e)
}

// higherIsProven refuses a higher role to a person whose address is not proven. It
// takes the person's row; a transaction that takes an organization's too does so after it.
func (t *tx) higherIsProven(ctx context.Context, organizationID, userID uuid.UUID, role string) error {
	err := t.lockVerifiedUser(ctx, userID)
	if !errors.Is(err, ErrEmailUnverified) {
		return err
	}
	var present string
	if err := t.row(ctx, `SELECT role FROM memberships WHERE organization_id = ? AND user_id = ?`, id(organizationID), id(userID)).Scan(&present); err != nil {
		return err
	}
	if !AtLeast(present, role) {
		return ErrEmailUnverified
	}
	return nil
}

// RemoveMember takes a person out of an organization and revokes every grant and
// personal access token in which they act for it. ErrConflict as for SetRole.
func (s *Store) RemoveMember(ctx context.Context, organizationID, userID uuid.UUID, e *Event) error {
	return s.change(ctx, "remove a member", func(t *tx) error {
		if err := t.lockOrganization(ctx, organizationID); err != nil {
			return err
		}
		if err := t.authorizeOver(ctx, organizationID, userID, e); err != nil {
			return err
		}
		if err := t.keepOwner(ctx, organizationID, userID); err != nil {
			return err
		}
		if n, err := t.endMembership(ctx, organizationID, userID); err != nil || n == 0 {
			return cmp.Or(err, ErrNotFound)
		}
		return t.event(ctx, e)
	})
}

// endMembership takes a person out of an organization, with every grant and personal
// access token in which they act for it: a member who comes back begins anew. The
// membership goes first, because a grant that is being written holds its row.
func (t *tx) endMembership(ctx context.Context, organizationID, userID uuid.UUID) (int64, error) {
	n, err := t.exec(ctx, `DELETE FROM memberships WHERE organization_id = ? AND user_id = ?`, id(organizationID), id(userID))
	if err != nil || n == 0 {
		return n, err
	}
	if _, err := t.revokeGrants(ctx, EndMemberRemoved, `user_id = ? AND organization_id = ?`, id(userID), id(organizationID)); err != nil {
		return n, err
	}
	if err := t.revokePersonalTokens(ctx, `user_id = ? AND organization_id = ?`, id(userID), id(organizationID)); err != nil {
		return n, err
	}
	return n, t.suspendInvitations(ctx, userID)
}

// keepOwner refuses with ErrConflict to let an organization's last owner go.
// Disabled owners do not count: they could not act. The caller holds the
// organization's row.
func (t *tx) keepOwner(ctx context.Context, organizationID, userID uuid.UUID) error {
	return t.require(ctx, ErrConflict, `SELECT NOT EXISTS (SELECT 1 FROM memberships m WHERE m.organization_id = ? AND m.user_id = ? AND m.role = 'owner'
		AND NOT EXISTS (SELECT 1 FROM memberships k JOIN users u ON u.id = k.user_id WHERE k.organization_id = m.organization_id
			AND k.user_id <> m.user_id AND k.role = 'owner' AND u.disabled_at IS NULL AND u.deleted_at IS NULL))`,
		id(organizationID), id(userID))
}
