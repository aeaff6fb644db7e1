package storage

import (
	"context"
	"database/sql"
	"errors"

	"github.com/google/uuid"
)

// OnFirstSignIn notes that a person has signed in. At the first time it creates for them
// the first of the offered organizations whose slug was never taken; unless always
// is set, only if they belong to none. It returns that organization, nil if there
// was nothing to do. Of two sign-ins at once, one does it.
func (s *Store) OnFirstSignIn(ctx context.Context, userID uuid.UUID, always bool, offers []*NewOrganization) (*Organization, error) {
	// Most newcomers who belong somewhere need no transaction.
	if once := `UPDATE users SET first_sign_in_at = ? WHERE id = ? AND first_sign_in_at IS NULL`; !always || len(offers) == 0 {
		if len(offers) > 0 {
			once += ` AND EXISTS (SELECT 1 FROM memberships m JOIN organizations o ON o.id = m.organization_id
				WHERE m.user_id = users.id AND o.deleted_at IS NULL)`
		}
		n, err := s.exec(ctx, once, usec(s.clock()), id(userID))
		if err != nil || n > 0 || len(offers) == 0 {
			return nil, fault("welcome a person", err)
		}
	}
	var made *Organization
	err := s.inTx(ctx, func(t *tx) error {
		made = nil
		var belongs int
		err := t.row(ctx, `UPDATE users SET first_sign_in_at = ? WHERE id = ? AND first_sign_in_at IS NULL AND deleted_at IS NULL
			RETURNING (SELECT count(*) FROM memberships m JOIN organizations o ON o.id = m.organization_id WHERE m.user_id = users.id AND o.deleted_at IS NULL)`,
			usec(s.clock()), id(userID)).Scan(&belongs)
		if errors.Is(err, sql.ErrNoRows) || err == nil && belongs > 0 && !always {
			return nil
		}
		for _, n := range offers {
			if err != nil || made != nil {
				break
			}
			made, err = t.offer(ctx, n)
		}
		if err == nil && made == nil {
			err = ErrExists
		}
		return err
	})
	return made, fault("welcome a person", err)
}

// offer creates an organization unless its slug is or ever was taken; then it
// returns nil and the transaction can go on.
func (t *tx) offer(ctx context.Context, n *NewOrganization) (*Organization, error) {
	free, err := t.exec(ctx, `INSERT INTO organizations (id, slug, name, created_at, updated_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT (slug) DO NOTHING`,
		id(n.Organization.ID), n.Organization.Slug, n.Organization.Name, usec(n.Organization.CreatedAt), usec(n.Organization.UpdatedAt))
	if err != nil || free == 0 {
		return nil, err
	}
	if barred, err := t.barred(ctx, &n.Organization); err != nil || barred {
		return nil, err
	}
	if _, err := t.exec(ctx, `INSERT INTO memberships (organization_id, user_id, role, created_at) VALUES (?, ?, ?, ?)`,
		id(n.Organization.ID), id(n.Owner), RoleOwner, usec(n.Organization.CreatedAt)); err != nil {
		return nil, err
	}
	return &n.Organization, t.event(ctx, n.Event)
}
