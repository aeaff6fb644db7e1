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
		WHERE m.organization_id = ? AND u.id > ? AND u.deleted_at IS NULL AND o.deleted_at IS NULL ORDER BY u.id LIMIT ?`,
		id(organizationID), after.String(), limit)
	return all, fault("list how members stand to a policy", err)
}

// OrganizationPolicy is an organization with its rules.
type OrganizationPolicy struct {
	Organization Organization
	Settings     OrganizationSettings
}

// OrganizationPolicies returns up to limit live organizations that have rules of
// their own, with ids after that one.
func (s *Store) OrganizationPolicies(ctx context.Context, after uuid.UUID, limit int) ([]OrganizationPolicy, error) {
	var all []OrganizationPolicy
	err := s.rows(ctx, func(r *sqlx.Rows) error {
		var o OrganizationPolicy
		err := r.Scan(append(o.Organization.dest(), document{&o.Settings})...)
		all = append(all, o)
		return err
	}, `SELECT `+organizationColumns+`, o.settings FROM organizations o WHERE o.id > ? AND o.deleted_at IS NULL AND o.settings <> '{}' ORDER BY o.id LIMIT ?`,
		after.String(), limit)
	return all, fault("list the rules of organizations", err)
}

// Lacking asks for the people who do not have what a policy requires.
type Lacking struct {
	// Organization is whose members; nil for everybody.
	Organization uuid.UUID
	Require      string
	// Since and Until bound when they came, to the organization or at all: after
	// Since (the zero time: whenever), at or before Until.
	Since, Until time.Time
	// After is the id of the last one of the page before.
	After uuid.UUID
	Limit int
}

// Lacks is one of them.
type Lacks struct {
	User User
	From time.Time // when they came
}

// Lacking returns active, proven people without a factor that Require accepts, by id.
func (s *Store) Lacking(ctx context.Context, l Lacking) ([]Lacks, error) {
	from, args := `u.created_at FROM users u WHERE TRUE`, []any{}
	if l.Organization != uuid.Nil {
		from, args = `m.created_at FROM memberships m JOIN users u ON u.id = m.user_id WHERE m.organization_id = ?`, append(args, id(l.Organization))
	}
	came := from[:len("u.created_at")]
	since := int64(-1 << 62)
	if !l.Since.IsZero() {
		since = l.Since.UnixMicro()
	}
	var all []Lacks
	err := s.rows(ctx, func(r *sqlx.Rows) error {
		var p Lacks
		err := r.Scan(append(p.User.dest(), instant{&p.From})...)
		all = append(all, p)
		return err
	}, `SELECT `+userColumns+`, `+from+` AND `+lacks(l.Require)+` AND `+came+` > ? AND `+came+` <= ? AND u.id > ?
		AND u.disabled_at IS NULL AND u.deleted_at IS NULL AND u.email_verified_at IS NOT NULL ORDER BY u.id LIMIT ?`,
		append(args, since, usec(l.Until), l.After.String(), l.Limit)...)
	return all, fault("look for people without a second factor", err)
}

// lacks is the condition that user row u has no factor which require accepts.
func lacks(require string) string {
	switch require {
	case RequireTOTP:
		return `' ' || u.factors || ' ' NOT LIKE '% totp %'`
	case RequirePasskey:
		return `' ' || u.factors || ' ' NOT LIKE '% webauthn %'`
	}
	return `u.factors = ''`
}
