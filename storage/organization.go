package storage

import (
	"cmp"
	"context"
	"time"

	"github.com/google/uuid"
)

// Organization is a customer of the installation: a row, not a realm.
type Organization struct {
	ID        uuid.UUID `db:"id"`
	Slug      string    `db:"slug"`
	Name      string    `db:"name"`
	CreatedAt time.Time `db:"created_at"`
	UpdatedAt time.Time `db:"updated_at"`
	DeletedAt time.Time `db:"deleted_at"`
}

var organizationRow = layoutOf[Organization]("o")

// NewOrganization is an organization to create.
type NewOrganization struct {
	Organization Organization // ID and the times are the caller's choice
	Owner        uuid.UUID    // its first member; nil for none yet
	Event        *Event
}

// CreateOrganizations creates organizations, all or none of them. ErrExists if a
// slug is or ever was taken.
func (s *Store) CreateOrganizations(ctx context.Context, all ...*NewOrganization) error {
	return s.change(ctx, "create organizations", func(t *tx) error {
		for _, n := range all {
			if err := t.createOrganization(ctx, n); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *tx) createOrganization(ctx context.Context, n *NewOrganization) error {
	o := &n.Organization
	if _, err := t.exec(ctx, `INSERT INTO organizations (id, slug, name, created_at, updated_at) VALUES (?, ?, ?, ?, ?)`,
		id(o.ID), o.Slug, o.Name, usec(o.CreatedAt), usec(o.UpdatedAt)); err != nil {
		return err
	}
	if barred, err := t.barred(ctx, o); err != nil || barred {
		return cmp.Or(err, ErrExists)
	}
	if n.Owner != uuid.Nil {
		if _, err := t.exec(ctx, `INSERT INTO memberships (organization_id, user_id, role, created_at) VALUES (?, ?, ?, ?)`,
			id(o.ID), id(n.Owner), RoleOwner, usec(o.CreatedAt)); err != nil {
			return err
		}
	}
	return t.event(ctx, n.Event)
}

// Organization returns a live organization.
func (s *Store) Organization(ctx context.Context, organizationID uuid.UUID) (*Organization, error) {
	return s.organization(ctx, `SELECT `+organizationRow.columns+` FROM organizations o WHERE o.id = ? AND o.deleted_at IS NULL`, id(organizationID))
}

// OrganizationBySlug returns a live organization.
func (s *Store) OrganizationBySlug(ctx context.Context, slug string) (*Organization, error) {
	return s.organization(ctx, `SELECT `+organizationRow.columns+` FROM organizations o WHERE o.slug = ? AND o.deleted_at IS NULL`, slug)
}

func (s *Store) organization(ctx context.Context, query string, arg any) (*Organization, error) {
	return one(ctx, s, "read an organization", organizationRow.dest, query, arg)
}

// Organizations returns up to limit live organizations with ids after that one,
// in order of their creation.
func (s *Store) Organizations(ctx context.Context, after uuid.UUID, limit int) ([]Organization, error) {
	return list(ctx, s, "list organizations", organizationRow.dest, `SELECT `+organizationRow.columns+` FROM organizations o WHERE o.id > ? AND o.deleted_at IS NULL ORDER BY o.id LIMIT ?`, after.String(), limit)
}

// RenameOrganization changes the name people see; the slug never changes.
func (s *Store) RenameOrganization(ctx context.Context, organizationID uuid.UUID, name string, e *Event) error {
	return s.change(ctx, "rename an organization", func(t *tx) error {
		if err := t.lockOrganization(ctx, organizationID); err != nil {
			return err
		}
		if _, err := t.exec(ctx, `UPDATE organizations SET name = ? WHERE id = ?`, name, id(organizationID)); err != nil {
			return err
		}
		if err := t.changeRegistry(ctx, registryChange{changedOrganization, organizationID.String()}); err != nil {
			return err
		}
		return t.event(ctx, e)
	})
}

// lockOrganization takes the row of a live organization until the transaction
// ends. Whatever takes an owner away holds it, so that two owners who leave at
// once cannot both count the other.
func (t *tx) lockOrganization(ctx context.Context, organizationID uuid.UUID) error {
	return execOr(ctx, t, ErrNotFound, `UPDATE organizations SET updated_at = ? WHERE id = ? AND deleted_at IS NULL`, usec(t.s.clock()), id(organizationID))
}
