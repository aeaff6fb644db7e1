package storage

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// PersonalToken is a personal access token: it acts for its person in one
// organization, on the JSON API alone.
type PersonalToken struct {
	ID     uuid.UUID   `db:"id"`
	Hash   secret.Hash `db:"hash"`
	UserID uuid.UUID   `db:"user_id"`
	// Session is the one it is created in; nil for none. It is not kept.
	Session uuid.UUID
	// Organization is the one it acts in. Create needs its ID only.
	Organization Organization
	Name         string    `db:"name"`
	Scopes       []string  `db:"scopes"`
	CreatedAt    time.Time `db:"created_at"`
	ExpiresAt    time.Time `db:"expires_at"`
	LastUsedAt   time.Time `db:"last_used_at"`
	RevokedAt    time.Time `db:"revoked_at"`
}

var personalTokenRow = layoutOf[PersonalToken]("p")

// CreatePersonalToken stores a token. ErrNotFound unless the person is a member of
// the organization, not disabled and proven, and their session lives; ErrConflict if
// they have limit live ones already.
func (s *Store) CreatePersonalToken(ctx context.Context, p *PersonalToken, limit int, e *Event) error {
	return s.change(ctx, "create a personal access token", func(t *tx) error {
		if err := t.lockUser(ctx, p.UserID); err != nil {
			return err
		}
		if err := t.requireLiveSession(ctx, p.UserID, p.Session, ErrNotFound); err != nil {
			return err
		}
		// The rows stay as they are: what removes the member ends their tokens after this one is there.
		var role string
		if err := t.row(ctx, `SELECT m.role FROM memberships m JOIN organizations o ON o.id = m.organization_id JOIN users u ON u.id = m.user_id
			WHERE m.organization_id = ? AND m.user_id = ? AND o.deleted_at IS NULL AND u.disabled_at IS NULL AND u.email_verified_at IS NOT NULL`+s.engine.forShare(),
			id(p.Organization.ID), id(p.UserID)).Scan(&role); err != nil {
			return err
		}
		if err := t.require(ctx, ErrConflict, `SELECT count(*) < ? FROM personal_access_tokens WHERE user_id = ? AND revoked_at IS NULL AND expires_at > ?`,
			limit, id(p.UserID), usec(s.clock())); err != nil {
			return err
		}
		if _, err := t.execNamed(ctx, `INSERT INTO personal_access_tokens (id, hash, user_id, organization_id, name, scopes, created_at, expires_at)
			VALUES (:id, :hash, :user_id, :organization_id, :name, :scopes, :created_at, :expires_at)`, map[string]any{
			"id": id(p.ID), "hash": p.Hash, "user_id": id(p.UserID), "organization_id": id(p.Organization.ID),
			"name": p.Name, "scopes": words(p.Scopes), "created_at": usec(p.CreatedAt),
			"expires_at": usec(p.ExpiresAt)}); err != nil {
			return err
		}
		return t.event(ctx, e)
	})
}

// PersonalTokens returns the tokens of a person that live, the newest first.
func (s *Store) PersonalTokens(ctx context.Context, userID uuid.UUID) ([]PersonalToken, error) {
	return list(ctx, s, "list personal access tokens", func(p *PersonalToken) []any {
		return append(personalTokenRow.dest(p), organizationRow.dest(&p.Organization)...)
	}, `SELECT `+personalTokenRow.columns+`, `+organizationRow.columns+` FROM personal_access_tokens p JOIN organizations o ON o.id = p.organization_id
		WHERE p.user_id = ? AND p.revoked_at IS NULL AND p.expires_at > ? ORDER BY p.id DESC`, id(userID), usec(s.clock()))
}

// revokePersonalTokens revokes the tokens that a condition picks from those that live.
func (t *tx) revokePersonalTokens(ctx context.Context, where string, args ...any) error {
	return t.do(ctx, `UPDATE personal_access_tokens SET revoked_at = ? WHERE `+where+` AND revoked_at IS NULL`, append([]any{usec(t.s.clock())}, args...)...)
}

// RevokePersonalToken ends a token of a person. ErrNotFound if they have none such
// that lives.
func (s *Store) RevokePersonalToken(ctx context.Context, userID, tokenID uuid.UUID, e *Event) error {
	return s.change(ctx, "revoke a personal access token", func(t *tx) error {
		now := usec(s.clock())
		err := t.row(ctx, `UPDATE personal_access_tokens SET revoked_at = ? WHERE id = ? AND user_id = ? AND revoked_at IS NULL AND expires_at > ? RETURNING organization_id`,
			now, id(tokenID), id(userID), now).Scan(&e.Organization)
		if err != nil {
			return err
		}
		return t.event(ctx, e)
	})
}

// TokenHolder is who acts by a personal access token, as they are now.
type TokenHolder struct {
	Token PersonalToken
	User  User
	Role  string
	// Requirements are those of the organization and of the installation.
	Requirements []Requirement
}

// TokenHolder returns who acts by a token. ErrNotFound for one that is revoked or
// has expired, and of a person who may not act (there) any more.
func (s *Store) TokenHolder(ctx context.Context, hash secret.Hash) (*TokenHolder, error) {
	var h TokenHolder
	var settings OrganizationSettings
	var since time.Time
	var platform PlatformSettings
	o := &h.Token.Organization
	dest := append(append(personalTokenRow.dest(&h.Token), userRow.dest(&h.User)...), organizationRow.dest(o)...)
	err := s.row(ctx, `SELECT `+personalTokenRow.columns+`, `+userRow.columns+`, `+organizationRow.columns+`, m.role, m.created_at, o.settings,
			(SELECT x.value FROM settings x WHERE x.name = 'platform')
		FROM personal_access_tokens p JOIN users u ON u.id = p.user_id JOIN organizations o ON o.id = p.organization_id
			JOIN memberships m ON m.organization_id = p.organization_id AND m.user_id = p.user_id
		WHERE p.hash = ? AND p.revoked_at IS NULL AND p.expires_at > ? AND u.disabled_at IS NULL AND u.deleted_at IS NULL
			AND u.email_verified_at IS NOT NULL AND o.deleted_at IS NULL`, hash, usec(s.clock())).
		Scan(append(dest, &h.Role, &since, &settings, &platform)...)
	if err != nil {
		return nil, fault("read a personal access token", err)
	}
	if r := settings.requirement(since); r != nil {
		r.Organization = o
		h.Requirements = append(h.Requirements, *r)
	}
	if platform.MFA.Require != "" {
		h.Requirements = append(h.Requirements, Requirement{Policy: platform.MFA, From: h.User.CreatedAt})
	}
	return &h, nil
}

// TokenUse is when a personal access token was last used.
type TokenUse struct {
	ID uuid.UUID
	At time.Time
}

// TouchPersonalTokens records uses, in one transaction. Callers give them in the
// same order everywhere, so that two nodes do not wait for each other.
func (s *Store) TouchPersonalTokens(ctx context.Context, used []TokenUse) error {
	all := make([]statement, len(used))
	for n, u := range used {
		all[n] = touchRow("personal_access_tokens", id(u.ID), u.At)
	}
	return s.touch(ctx, "touch personal access tokens", all)
}
