package storage

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// Grant is one authorization a person gave a client. It owns its code and its
// tokens: they work only as long as it does, so that revoking is one update.
type Grant struct {
	ID             uuid.UUID `db:"id"`
	UserID         uuid.UUID `db:"user_id"`
	ClientID       string    `db:"client_id"`
	OrganizationID uuid.UUID `db:"organization_id"` // the one organization its tokens name; nil for none
	SessionID      uuid.UUID `db:"session_id"`      // the browser session it was made in: the sid
	// Offline: offline_access was granted, so it outlives its session.
	Offline  bool     `db:"offline"`
	Scopes   []string `db:"scopes"`
	Audience []string `db:"audience"`
	// Resource is the resource that the authorization request named (RFC 8707): access tokens are for it alone. "" if none.
	Resource string    `db:"resource"`
	AuthTime time.Time `db:"auth_time"`
	ACR      string    `db:"acr"`
	AMR      []string  `db:"amr"`
	// Claims is the validated claims parameter (OpenID Connect Core 1.0, section 5.5) as JSON; "" if none.
	Claims    string    `db:"claims"`
	CreatedAt time.Time `db:"created_at"`
	// ExpiresAt is absolute: no refresh moves it.
	ExpiresAt  time.Time `db:"expires_at"`
	LastUsedAt time.Time `db:"last_used_at"` // at most an hour older than its last use
	RevokedAt  time.Time `db:"revoked_at"`
}

var grantRow = layoutOf[Grant]("g")

// Authorization is a grant with the present state of all it depends on, read in
// one statement. Claims are made from it, so they are never older than the request.
type Authorization struct {
	Grant Grant
	User  User
	// Organization and Role are what the grant's organization and the person's
	// place in it are now; Organization is nil if the grant names none.
	Organization *Organization
	Role         string
	// Memberships are the person's organizations, by slug, read only for access tokens
	// with the scope "orgs".
	Memberships []Membership

	clientDisabledAt, clientDeletedAt time.Time
	session                           Session
	// Requirement is what the grant's organization asks of its members; nil if nothing.
	Requirement *Requirement
}

// InactiveReason says why nothing may be done with the grant any more, "" while it lives:
// it was revoked or expired, its client or person is disabled or gone, the person
// left its organization, or its session ended and it was not for offline use.
func (a *Authorization) InactiveReason(now time.Time) string {
	switch {
	case a.Grant.ID == uuid.Nil:
		return "no such grant"
	case !a.Grant.RevokedAt.IsZero():
		return "the grant was revoked"
	case !now.Before(a.Grant.ExpiresAt):
		return "the grant has expired"
	case !a.clientDisabledAt.IsZero() || !a.clientDeletedAt.IsZero():
		return "the client is disabled"
	case !a.User.Active():
		return "the person is disabled"
	case a.Grant.OrganizationID != uuid.Nil && (a.Organization == nil || a.Role == ""):
		return "the person is not in the organization any more"
	case !a.Grant.Offline && a.Grant.SessionID != uuid.Nil && !a.session.Live(now):
		return "the session has ended"
	}
	return ""
}

// authorizationColumns and authorizationJoins belong together; the query gives g
// (grants) and names the client by c.
var authorizationColumns = grantRow.columns + `, ` + userRow.columns + `, ` + organizationRow.columns + `, m.role, c.disabled_at, c.deleted_at, s.id, s.expires_at, s.idle_expires_at, s.ended_at, o.settings, m.created_at`

const authorizationJoins = `
		LEFT JOIN users u ON u.id = g.user_id
		LEFT JOIN organizations o ON o.id = g.organization_id AND o.deleted_at IS NULL
		LEFT JOIN memberships m ON m.organization_id = g.organization_id AND m.user_id = g.user_id
		LEFT JOIN sessions s ON s.id = g.session_id`

// authorizationLives is InactiveReason as a condition on authorizationJoins, so that tokens are
// stored only for what still lives then. What ends with time was checked with the read.
const authorizationLives = `g.revoked_at IS NULL AND c.disabled_at IS NULL AND c.deleted_at IS NULL AND u.disabled_at IS NULL AND u.deleted_at IS NULL
		AND (g.organization_id IS NULL OR o.id IS NOT NULL AND m.role IS NOT NULL)
		AND (g.offline OR g.session_id IS NULL OR s.id IS NOT NULL AND s.ended_at IS NULL)`

// scan reads a row of own columns followed by authorizationColumns and more.
func (a *Authorization) scan(row scanner, own []any, more ...any) error {
	var o Organization
	var settings OrganizationSettings
	var since time.Time
	dest := make([]any, 0, 64) // every introspection comes here: one allocation
	dest = userRow.appendDest(grantRow.appendDest(append(dest, own...), &a.Grant), &a.User)
	dest = append(organizationRow.appendDest(dest, &o), &a.Role, &a.clientDisabledAt, &a.clientDeletedAt,
		&a.session.ID, &a.session.ExpiresAt, &a.session.IdleExpiresAt, &a.session.EndedAt,
		&settings, &since)
	if err := row.Scan(append(dest, more...)...); err != nil {
		return err
	}
	if o.ID != uuid.Nil {
		a.Organization, a.Requirement = &o, settings.requirement(since)
	}
	return nil
}

var grantSQL = forEngines(func(e Engine) string {
	return `SELECT ` + authorizationColumns + `, CASE WHEN g.scopes LIKE '%orgs%' THEN ` + e.membershipsJSON() + ` END,
			EXISTS (SELECT 1 FROM revoked_tokens r WHERE r.hash = ?)
		FROM grants g JOIN clients c ON c.id = g.client_id` + authorizationJoins + ` WHERE g.id = ?`
})

// Grant returns a grant by id, dead ones too, and whether the JWT with the hashed
// id jti was revoked before its time.
func (s *Store) Grant(ctx context.Context, grantID uuid.UUID, jti secret.Hash) (*Authorization, bool, error) {
	var a Authorization
	var revoked bool
	err := a.scan(s.row(ctx, grantSQL[s.engine], jti, id(grantID)), nil, memberships{&a.Memberships}, &revoked)
	if err != nil {
		return nil, false, fault("read a grant", err)
	}
	return &a, revoked, nil
}

// liveGrant is the condition under which a grant g, LEFT JOINed to its session s,
// gives access still. It takes the time three times.
const liveGrant = `g.revoked_at IS NULL AND g.expires_at > ? AND (g.offline OR g.session_id IS NULL OR (s.ended_at IS NULL AND s.expires_at > ? AND s.idle_expires_at > ?))`

// UserGrants returns up to limit live grants of a person, the newest first, that are older than the one with that id;
// uuid.Max begins.
func (s *Store) UserGrants(ctx context.Context, userID, before uuid.UUID, limit int) ([]Grant, error) {
	now := usec(s.clock())
	return list(ctx, s, "list the grants of a person", grantRow.dest, `SELECT `+grantRow.columns+` FROM grants g LEFT JOIN sessions s ON s.id = g.session_id
		WHERE g.user_id = ? AND `+liveGrant+` AND g.id < ? ORDER BY g.id DESC LIMIT ?`, id(userID), now, now, now, before.String(), limit)
}

// UserGrant returns one live grant of a person, or ErrNotFound.
func (s *Store) UserGrant(ctx context.Context, userID, grantID uuid.UUID) (*Grant, error) {
	now := usec(s.clock())
	return one(ctx, s, "read a grant of a person", grantRow.dest, `SELECT `+grantRow.columns+` FROM grants g LEFT JOIN sessions s ON s.id = g.session_id
		WHERE g.id = ? AND g.user_id = ? AND `+liveGrant, id(grantID), id(userID), now, now, now)
}

// revokeGrantsSQL is the one statement that revokes grants: those that live and meet a condition.
func revokeGrantsSQL(now, reason, where string) string {
	return `UPDATE grants SET revoked_at = ` + now + `, revoke_reason = ` + reason + ` WHERE ` + where + ` AND revoked_at IS NULL`
}

// revokeGrants revokes the grants that a condition picks from those that live, and tells how many.
func (t *tx) revokeGrants(ctx context.Context, reason, where string, args ...any) (int64, error) {
	return t.exec(ctx, revokeGrantsSQL("?", "?", where), append([]any{usec(t.s.clock()), reason}, args...)...)
}

// RevokeGrant ends a grant with all its tokens and writes the event. Revoking it
// again changes nothing and writes nothing.
func (s *Store) RevokeGrant(ctx context.Context, grantID uuid.UUID, reason string, e *Event) error {
	return s.change(ctx, "revoke a grant", func(t *tx) error {
		n, err := t.revokeGrants(ctx, reason, `id = ?`, id(grantID))
		if err != nil || n == 0 {
			return err
		}
		return t.event(ctx, e)
	})
}

// GrantUse is when a grant was last used.
type GrantUse struct {
	GrantID uuid.UUID
	At      time.Time
}

// TouchGrants records when grants were last used, in one transaction. Callers give
// them in the order of their ids, so that two nodes do not wait for each other.
func (s *Store) TouchGrants(ctx context.Context, used []GrantUse) error {
	all := make([]statement, len(used))
	for n, u := range used {
		all[n] = touchRow("grants", id(u.GrantID), u.At)
	}
	return s.touch(ctx, "touch grants", all)
}
