package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
)

// ErrForbidden: the acting person may see this but not do that, or not any more.
var ErrForbidden = errors.New("not allowed")

// Authority is what entitles the actor of an event to what it tells about. The caller
// has looked at it before; the transaction that acts looks again, so that an actor who
// loses it meanwhile is too late. The zero value needs nothing.
type Authority struct {
	// Superadmin: that platform role is enough.
	Superadmin bool
	// Organization and Role: that role in the organization or a higher one is enough too.
	Organization uuid.UUID
	Role         string
	// Token is the personal access token that the actor uses; nil for none.
	Token uuid.UUID
}

// rising are the roles of a membership, from least to most.
var rising = []string{RoleGuest, RoleMember, RoleAdmin, RoleOwner}

// AtLeast reports whether a role in an organization is least or a higher one.
func AtLeast(role, least string) bool {
	return slices.Contains(rising, role) && slices.Index(rising, role) >= slices.Index(rising, least)
}

// authorize checks an event's authority, once in a transaction. t.event does it for
// every change; what takes a role away, or locks what the actor's removal locks too,
// calls it before that. The rows are held until the end: a change that takes the authority
// away waits for the act, or the act sees it gone. ErrForbidden, or ErrNotFound for an
// actor who is not in the organization (any more).
func (t *tx) authorize(ctx context.Context, e *Event) error {
	a := e.Authority
	if a == (Authority{}) || t.authorized[e.Actor] == a {
		return nil
	}
	var roles []string
	err := t.row(ctx, `SELECT u.platform_roles FROM users u WHERE u.id = ? AND u.disabled_at IS NULL AND u.deleted_at IS NULL`+t.s.engine.forShare(),
		id(e.Actor)).Scan(&roles)
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("%w: the actor is disabled or gone", ErrForbidden)
	}
	if err == nil && a.Token != uuid.Nil {
		err = t.tokenLives(ctx, a.Token)
	}
	if err == nil && !(a.Superadmin && slices.Contains(roles, RoleSuperadmin)) {
		err = t.hasRole(ctx, a, e.Actor)
	}
	if err != nil {
		return err
	}
	if t.authorized == nil {
		t.authorized = map[uuid.UUID]Authority{}
	}
	t.authorized[e.Actor] = a
	return nil
}

func (t *tx) tokenLives(ctx context.Context, tokenID uuid.UUID) error {
	var one int
	err := t.row(ctx, `SELECT 1 FROM personal_access_tokens p WHERE p.id = ? AND p.revoked_at IS NULL`+t.s.engine.forShare(), id(tokenID)).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("%w: the token was revoked", ErrForbidden)
	}
	return err
}

// hasRole checks the actor's role in the organization.
func (t *tx) hasRole(ctx context.Context, a Authority, actor uuid.UUID) error {
	if a.Organization == uuid.Nil {
		return fmt.Errorf("%w: it needs the platform role superadmin", ErrForbidden)
	}
	var role string
	err := t.row(ctx, `SELECT m.role FROM memberships m WHERE m.organization_id = ? AND m.user_id = ?`+t.s.engine.forShare(), id(a.Organization), id(actor)).Scan(&role)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	if err == nil && !AtLeast(role, a.Role) {
		err = fmt.Errorf("%w: it needs the role %s", ErrForbidden, a.Role)
	}
	return err
}
