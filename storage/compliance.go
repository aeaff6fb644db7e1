package storage

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// OrganizationPolicy is an organization with its rules.
type OrganizationPolicy struct {
	Organization Organization
	Settings     OrganizationSettings
}

// OrganizationPolicies returns up to limit live organizations that have rules of
// their own, from that id on.
func (s *Store) OrganizationPolicies(ctx context.Context, from uuid.UUID, limit int) ([]OrganizationPolicy, error) {
	return list(ctx, s, "list the rules of organizations", func(o *OrganizationPolicy) []any {
		return append(organizationRow.dest(&o.Organization), &o.Settings)
	}, `SELECT `+organizationRow.columns+`, o.settings FROM organizations o WHERE o.id >= ? AND o.deleted_at IS NULL AND o.settings <> '{}' ORDER BY o.id LIMIT ?`,
		from.String(), limit)
}

// ArrivalKey is a place in the order in which people came to the installation.
type ArrivalKey struct {
	At     time.Time
	UserID uuid.UUID
}

// Arrivals returns up to limit people who came after that place, and at the latest at until, in the order in which they
// came. The zero place is before everybody.
func (s *Store) Arrivals(ctx context.Context, after ArrivalKey, until time.Time, limit int) ([]User, error) {
	since := int64(-1 << 62)
	if !after.At.IsZero() {
		since = after.At.UnixMicro()
	}
	return list(ctx, s, "list people by when they came", userRow.dest, `SELECT `+userRow.columns+` FROM users u WHERE (u.created_at, u.id) > (?, ?) AND u.created_at <= ? ORDER BY u.created_at, u.id LIMIT ?`,
		since, after.UserID.String(), usec(until), limit)
}
