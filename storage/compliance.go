package storage

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
)

// MemberPolicy is a member with what their organization asks of them.
type MemberPolicy struct {
	Member
	// Requirement is nil if it asks for nothing.
	Requirement *Requirement
}

// MemberPolicies is Members with what the organization asks of each.
func (s *Store) MemberPolicies(ctx context.Context, organizationID, after uuid.UUID, limit int) ([]MemberPolicy, error) {
	var all []MemberPolicy
	err := s.rows(ctx, func(r *sqlx.Rows) error {
		var m MemberPolicy
		var asked requirement
		err := r.Scan(append(m.User.dest(), &m.Role, instant{&m.CreatedAt}, document{&asked.settings})...)
		asked.since = m.CreatedAt
		m.Requirement = asked.of()
		all = append(all, m)
		return err
	}, `SELECT `+userColumns+`, m.role, m.created_at, o.settings
		FROM memberships m JOIN users u ON u.id = m.user_id JOIN organizations o ON o.id = m.organization_id
		WHERE m.organization_id = ? AND m.user_id > ? AND u.deleted_at IS NULL AND o.deleted_at IS NULL ORDER BY m.user_id LIMIT ?`,
		id(organizationID), after.String(), limit)
	return all, fault("list how members stand to a policy", err)
}

// OrganizationPolicy is an organization with its rules.
type OrganizationPolicy struct {
	Organization Organization
	Settings     OrganizationSettings
}

// OrganizationPolicies returns up to limit live organizations that have rules of
// their own, from that id on.
func (s *Store) OrganizationPolicies(ctx context.Context, from uuid.UUID, limit int) ([]OrganizationPolicy, error) {
	var all []OrganizationPolicy
	err := s.rows(ctx, func(r *sqlx.Rows) error {
		var o OrganizationPolicy
		err := r.Scan(append(o.Organization.dest(), document{&o.Settings})...)
		all = append(all, o)
		return err
	}, `SELECT `+organizationColumns+`, o.settings FROM organizations o WHERE o.id >= ? AND o.deleted_at IS NULL AND o.settings <> '{}' ORDER BY o.id LIMIT ?`,
		from.String(), limit)
	return all, fault("list the rules of organizations", err)
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
	var all []User
	err := s.rows(ctx, func(r *sqlx.Rows) error {
		var u User
		err := r.Scan(u.dest()...)
		all = append(all, u)
		return err
	}, `SELECT `+userColumns+` FROM users u WHERE (u.created_at, u.id) > (?, ?) AND u.created_at <= ? ORDER BY u.created_at, u.id LIMIT ?`,
		since, after.UserID.String(), usec(until), limit)
	return all, fault("list people by when they came", err)
}
