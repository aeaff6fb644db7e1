package storage

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// SessionContext is all that decides what a browser is asked next, read in one statement:
// the live session, its person, the organization the request names with the
// person's role in it, and the consent remembered for client and organization.
type SessionContext struct {
	Session Session
	User    User
	// Organization is nil if none was asked for, or none such exists, or the
	// person is not in it: the caller does not learn which.
	Organization *Organization
	Role         string
	// Requirement is what the organization asks of its members' sign-ins; nil if nothing.
	Requirement *Requirement
	Consent     *Consent // nil if none is remembered
}

// SessionQuery asks for a SessionContext. At most one of OrganizationID and OrganizationSlug is set.
type SessionQuery struct {
	Browser          secret.Hash // of the browser cookie's token
	ClientID         string
	OrganizationID   uuid.UUID
	OrganizationSlug string
}

var sessionContextSQL = `SELECT ` + sessionRow.columns + `, ` + userRow.columns + `, ` + organizationRow.columns + `, m.role, o.settings, m.created_at,
			c.scopes, c.granted_at, c.expires_at
		FROM sessions s JOIN users u ON u.id = s.user_id
		LEFT JOIN organizations o ON (o.id = ? OR o.slug = ?) AND o.deleted_at IS NULL
		LEFT JOIN memberships m ON m.organization_id = o.id AND m.user_id = u.id
		LEFT JOIN consents c ON c.user_id = u.id AND c.client_id = ? AND c.organization_id = COALESCE(o.id, '00000000-0000-0000-0000-000000000000')
			AND c.withdrawn_at IS NULL AND c.expires_at > ?
		WHERE s.token_hash = ? AND s.ended_at IS NULL AND s.expires_at > ? AND s.idle_expires_at > ?
			AND u.disabled_at IS NULL AND u.deleted_at IS NULL`

// SessionContext returns ErrNotFound if the browser has no live session of an active person.
func (s *Store) SessionContext(ctx context.Context, q SessionQuery) (*SessionContext, error) {
	var v SessionContext
	var o Organization
	c := Consent{ClientID: q.ClientID}
	var settings OrganizationSettings
	var since time.Time
	now := usec(s.clock())
	dest := userRow.appendDest(sessionRow.appendDest(make([]any, 0, 48), &v.Session), &v.User)
	dest = append(organizationRow.appendDest(dest, &o), &v.Role, &settings, &since, &c.Scopes, &c.GrantedAt, &c.ExpiresAt)
	err := s.row(ctx, sessionContextSQL, id(q.OrganizationID), textOrNull(q.OrganizationSlug), q.ClientID, now, q.Browser, now, now).
		Scan(dest...)
	if err != nil {
		return nil, fault("read a session", err)
	}
	if v.Role != "" {
		v.Organization, v.Requirement = &o, settings.requirement(since)
	}
	if !c.ExpiresAt.IsZero() && (v.Role != "" || (q.OrganizationID == uuid.Nil && q.OrganizationSlug == "")) {
		c.UserID, c.OrganizationID = v.User.ID, o.ID
		v.Consent = &c
	}
	return &v, nil
}

// Choice is one organization a person could act for, and what is remembered
// about the client there.
type Choice struct {
	Organization Organization
	Role         string
	Requirement  *Requirement
	Consent      *Consent
	// LastUsedAt is when the person last authorized this client for it; zero if never.
	LastUsedAt time.Time
}

// Choices returns the live organizations of a person, ordered by name, each with
// the remembered consent for the client.
func (s *Store) Choices(ctx context.Context, userID uuid.UUID, clientID string) ([]Choice, error) {
	var all []Choice
	err := s.rows(ctx, func(r scanner) error {
		var ch Choice
		c := Consent{UserID: userID, ClientID: clientID}
		var settings OrganizationSettings
		var since time.Time
		if err := r.Scan(append(organizationRow.dest(&ch.Organization), &ch.Role, &settings, &since, &c.Scopes,
			&c.GrantedAt, &c.ExpiresAt, &ch.LastUsedAt)...); err != nil {
			return err
		}
		ch.Requirement = settings.requirement(since)
		if !c.ExpiresAt.IsZero() {
			c.OrganizationID = ch.Organization.ID
			ch.Consent = &c
		}
		all = append(all, ch)
		return nil
	}, `SELECT `+organizationRow.columns+`, m.role, o.settings, m.created_at, c.scopes, c.granted_at, c.expires_at,
			(SELECT max(g.created_at) FROM grants g WHERE g.user_id = m.user_id AND g.client_id = ? AND g.organization_id = m.organization_id)
		FROM memberships m JOIN organizations o ON o.id = m.organization_id
		LEFT JOIN consents c ON c.user_id = m.user_id AND c.client_id = ? AND c.organization_id = m.organization_id
			AND c.withdrawn_at IS NULL AND c.expires_at > ?
		WHERE m.user_id = ? AND o.deleted_at IS NULL ORDER BY o.name, o.id`, clientID, clientID, usec(s.clock()), id(userID))
	return all, fault("read the organizations of a person", err)
}
