package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// The platform roles: a superadmin may do everything, an admin reads everything.
const (
	RoleSuperadmin    = "superadmin"
	RolePlatformAdmin = "admin"
)

// The reasons why a change to a person, a membership or a client ends sessions and grants.
const (
	EndPasswordChanged = "password_changed"
	EndUserDisabled    = "user_disabled"
	EndUserDeleted     = "user_deleted"
	EndMemberRemoved   = "member_removed"
	EndClientDeleted   = "client_deleted"
)

// User is a person, known to every organization under one sub.
type User struct {
	ID  uuid.UUID `db:"id"`
	Sub uuid.UUID `db:"sub"` // the subject of every token; never the email
	// Email is as typed; EmailKey is its unique, folded form. Both are empty in a tombstone.
	Email           string    `db:"email"`
	EmailKey        string    `db:"email_key"`
	EmailVerifiedAt time.Time `db:"email_verified_at"`
	// PlatformRoles are superadmin and admin.
	PlatformRoles []string  `db:"platform_roles"`
	Profile       Profile   `db:"profile"`
	CreatedAt     time.Time `db:"created_at"`
	UpdatedAt     time.Time `db:"updated_at"`
	DisabledAt    time.Time `db:"disabled_at"`
	DeletedAt     time.Time `db:"deleted_at"`
	// Factors are the kinds of their confirmed second factors, FactorTOTP and FactorWebAuthn.
	Factors []string `db:"factors"`
	// FirstSignInAt is zero until they have signed in once; see OnFirstSignIn.
	FirstSignInAt time.Time `db:"first_sign_in_at"`
}

// Profile holds the standard claims of OpenID Connect Core 1.0, section 5.1, that
// a person has besides email. Empty members are not claimed.
type Profile struct {
	Name                string   `json:"name,omitempty"`
	GivenName           string   `json:"given_name,omitempty"`
	FamilyName          string   `json:"family_name,omitempty"`
	MiddleName          string   `json:"middle_name,omitempty"`
	Nickname            string   `json:"nickname,omitempty"`
	ProfileURL          string   `json:"profile,omitempty"`
	Picture             string   `json:"picture,omitempty"`
	Website             string   `json:"website,omitempty"`
	Gender              string   `json:"gender,omitempty"`
	Birthdate           string   `json:"birthdate,omitempty"`
	Zoneinfo            string   `json:"zoneinfo,omitempty"`
	Locale              string   `json:"locale,omitempty"`
	PhoneNumber         string   `json:"phone_number,omitempty"`
	PhoneNumberVerified bool     `json:"phone_number_verified,omitempty"`
	Address             *Address `json:"address,omitempty"`
}

// Address is the address claim (OpenID Connect Core 1.0, section 5.1.1).
type Address struct {
	Formatted     string `json:"formatted,omitempty"`
	StreetAddress string `json:"street_address,omitempty"`
	Locality      string `json:"locality,omitempty"`
	Region        string `json:"region,omitempty"`
	PostalCode    string `json:"postal_code,omitempty"`
	Country       string `json:"country,omitempty"`
}

// EmailVerified reports whether the address is known to be theirs.
func (u *User) EmailVerified() bool { return !u.EmailVerifiedAt.IsZero() }

// Active reports whether the person may sign in and be named in tokens.
func (u *User) Active() bool { return u.DisabledAt.IsZero() && u.DeletedAt.IsZero() }

var userRow = layoutOf[User]("u")

// NewUser is a person to create, with the organizations they belong to from the start.
type NewUser struct {
	User User // ID, Sub and the times are the caller's choice
	// PasswordHash is a PHC string; "" is a person without a password.
	PasswordHash string
	// Roles maps organizations to the person's role in each.
	Roles map[uuid.UUID]string
	// Authenticator is a confirmed authenticator app that the person brings along; nil for none.
	Authenticator *Factor
	Events        []*Event
}

// CreateUsers creates people, all or none of them. ErrExists if an address is
// taken, ErrConflict if an organization does not exist.
func (s *Store) CreateUsers(ctx context.Context, people ...*NewUser) error {
	return s.change(ctx, "create people", func(t *tx) error {
		for _, p := range people {
			if err := t.createUser(ctx, p); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *tx) createUser(ctx context.Context, p *NewUser) error {
	u := &p.User
	profile, err := json.Marshal(u.Profile)
	if err != nil {
		return err
	}
	_, err = t.execNamed(ctx, `INSERT INTO users (id, sub, email, email_key, email_verified_at, platform_roles, profile, created_at, updated_at,
			disabled_at)
		VALUES (:id, :sub, :email, :email_key, :email_verified_at, :platform_roles, :profile, :created_at, :updated_at,
			:disabled_at)`, map[string]any{
		"id": id(u.ID), "sub": id(u.Sub), "email": u.Email, "email_key": u.EmailKey,
		"email_verified_at": usec(u.EmailVerifiedAt), "platform_roles": words(u.PlatformRoles),
		"profile": string(profile), "created_at": usec(u.CreatedAt), "updated_at": usec(u.UpdatedAt),
		"disabled_at": usec(u.DisabledAt)})
	if err != nil {
		return err
	}
	if p.PasswordHash != "" {
		if _, err := t.exec(ctx, `INSERT INTO passwords (user_id, hash, changed_at) VALUES (?, ?, ?)`, id(u.ID), p.PasswordHash, usec(u.CreatedAt)); err != nil {
			return err
		}
	}
	for organization, role := range p.Roles {
		if _, err := t.exec(ctx, `INSERT INTO memberships (organization_id, user_id, role, created_at) VALUES (?, ?, ?, ?)`,
			id(organization), id(u.ID), role, usec(u.CreatedAt)); err != nil {
			return err
		}
	}
	if p.Authenticator != nil {
		if err := t.insertFactor(ctx, p.Authenticator); err != nil {
			return err
		}
		if err := t.noteFactors(ctx, u.ID); err != nil {
			return err
		}
	}
	return t.event(ctx, p.Events...)
}

// User returns a person, disabled ones too; ErrNotFound for tombstones.
func (s *Store) User(ctx context.Context, userID uuid.UUID) (*User, error) {
	return s.user(ctx, `SELECT `+userRow.columns+` FROM users u WHERE u.id = ? AND u.deleted_at IS NULL`, id(userID))
}

// UserByEmail is User by the folded address.
func (s *Store) UserByEmail(ctx context.Context, emailKey string) (*User, error) {
	return s.user(ctx, `SELECT `+userRow.columns+` FROM users u WHERE u.email_key = ?`, emailKey)
}

func (s *Store) user(ctx context.Context, query string, arg any) (*User, error) {
	return one(ctx, s, "read a person", userRow.dest, query, arg)
}

// UserWithPassword returns a person by folded address with their password hash,
// "" if they have none. Disabled people too: the caller must check, after the
// work of comparing, so that time tells nothing.
func (s *Store) UserWithPassword(ctx context.Context, emailKey string) (*User, string, error) {
	var u User
	var hash string
	err := s.row(ctx, `SELECT `+userRow.columns+`, p.hash FROM users u LEFT JOIN passwords p ON p.user_id = u.id WHERE u.email_key = ?`, emailKey).
		Scan(append(userRow.dest(&u), &hash)...)
	if err != nil {
		return nil, "", fault("read a person for signing in", err)
	}
	return &u, hash, nil
}

// Users returns up to limit people with ids after that one, in order of their creation.
func (s *Store) Users(ctx context.Context, after uuid.UUID, limit int) ([]User, error) {
	return list(ctx, s, "list people", userRow.dest, `SELECT `+userRow.columns+` FROM users u WHERE u.id > ? AND u.deleted_at IS NULL ORDER BY u.id LIMIT ?`, after.String(), limit)
}

// TakenAddresses returns those of the folded addresses that accounts have.
func (s *Store) TakenAddresses(ctx context.Context, emailKeys []string) ([]string, error) {
	const batch = 500
	var taken []string
	for keys := range slices.Chunk(emailKeys, batch) {
		args := make([]any, batch) // always as many: one statement to prepare
		for n := range args {
			args[n] = keys[min(n, len(keys)-1)]
		}
		found, err := list(ctx, s, "look for addresses", column[string],
			`SELECT email_key FROM users WHERE email_key IN (?`+strings.Repeat(`, ?`, batch-1)+`)`, args...)
		if err != nil {
			return nil, err
		}
		taken = append(taken, found...)
	}
	return taken, nil
}

// HasSuperadmin reports whether anybody can administer the installation.
func (s *Store) HasSuperadmin(ctx context.Context) (bool, error) {
	var n int
	// The spaces make it a search for a word.
	err := s.row(ctx, `SELECT count(*) FROM (SELECT 1 FROM users WHERE platform_roles <> '' AND ' ' || platform_roles || ' ' LIKE '% superadmin %'
		AND disabled_at IS NULL AND deleted_at IS NULL LIMIT 1) AS one`).Scan(&n)
	return n > 0, fault("look for a superadmin", err)
}

// IsLastSuperadmin reports whether that person is the only superadmin who can act.
func (s *Store) IsLastSuperadmin(ctx context.Context, userID uuid.UUID) (bool, error) {
	var others int
	err := s.row(ctx, `SELECT count(*) FROM users WHERE platform_roles <> '' AND ' ' || platform_roles || ' ' LIKE '% superadmin %'
		AND disabled_at IS NULL AND deleted_at IS NULL AND id <> ?`, id(userID)).Scan(&others)
	return others == 0, fault("look for other superadmins", err)
}

// keepSuperadmin refuses to go on if the person is the last who can administer the
// installation. All who can are held then, so that two cannot both count on the other.
// The operator, whose events have no actor, may: /setup opens again for them.
func (t *tx) keepSuperadmin(ctx context.Context, userID uuid.UUID, e *Event) error {
	if e.Actor == uuid.Nil {
		return nil
	}
	var roles []string
	err := t.row(ctx, `SELECT platform_roles FROM users WHERE id = ?`, id(userID)).Scan(&roles)
	if errors.Is(err, sql.ErrNoRows) || err == nil && !slices.Contains(roles, RoleSuperadmin) {
		return nil
	}
	if err != nil {
		return err
	}
	all, err := list(ctx, t, "read ids", column[uuid.UUID], `SELECT u.id FROM users u WHERE u.platform_roles <> '' AND ' ' || u.platform_roles || ' ' LIKE '% superadmin %'
		AND u.disabled_at IS NULL AND u.deleted_at IS NULL ORDER BY u.id`+t.s.engine.forUpdate())
	if err == nil && len(all) == 1 && all[0] == userID {
		err = ErrLastSuperadmin
	}
	return err
}

// SetPassword replaces a person's password, ends their sessions but keep, revokes
// all their grants and makes links to reset it worthless: an intruder who knew the old one
// is out.
func (s *Store) SetPassword(ctx context.Context, userID uuid.UUID, hash string, keep uuid.UUID, e *Event, mails ...*Message) error {
	return s.change(ctx, "set a password", func(t *tx) error {
		if err := t.lockUser(ctx, userID); err != nil {
			return err
		}
		if err := t.setPassword(ctx, userID, hash, keep); err != nil {
			return err
		}
		return t.eventAndMail(ctx, e, mails)
	})
}

func (t *tx) setPassword(ctx context.Context, userID uuid.UUID, hash string, keep uuid.UUID) error {
	if _, err := t.exec(ctx, `INSERT INTO passwords (user_id, hash, changed_at) VALUES (?, ?, ?)
		ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash, changed_at = excluded.changed_at`, id(userID), hash, usec(t.s.clock())); err != nil {
		return err
	}
	if _, err := t.exec(ctx, `UPDATE links SET spent_at = ? WHERE user_id = ? AND purpose = ? AND spent_at IS NULL`,
		usec(t.s.clock()), id(userID), LinkReset); err != nil {
		return err
	}
	return t.endAccess(ctx, userID, keep, uuid.Nil, EndPasswordChanged)
}

// Rehash replaces a password's hash by a better one of the same password. False if
// the hash is another one by now: then nothing happens.
func (s *Store) Rehash(ctx context.Context, userID uuid.UUID, old, better string) (changed bool, err error) {
	n, err := s.exec(ctx, `UPDATE passwords SET hash = ? WHERE user_id = ? AND hash = ?`, better, id(userID), old)
	return n > 0, fault("replace a password hash", err)
}

// DisableUser shuts a person out: sessions end and grants are revoked. False if
// they were disabled already; then nothing is written. ErrLastSuperadmin.
func (s *Store) DisableUser(ctx context.Context, userID uuid.UUID, e *Event) (changed bool, err error) {
	err = s.inTx(ctx, func(t *tx) error {
		if err := t.keepSuperadmin(ctx, userID, e); err != nil {
			return err
		}
		if err := t.lockUser(ctx, userID); err != nil {
			return err
		}
		if err := t.authorize(ctx, e); err != nil {
			return err
		}
		n, err := t.exec(ctx, `UPDATE users SET disabled_at = ? WHERE id = ? AND disabled_at IS NULL`, usec(s.clock()), id(userID))
		if changed = n > 0; err != nil || !changed {
			return err
		}
		if err := t.suspendInvitations(ctx, userID); err != nil {
			return err
		}
		if err := t.endAccess(ctx, userID, uuid.Nil, uuid.Nil, EndUserDisabled); err != nil {
			return err
		}
		return t.event(ctx, e)
	})
	return changed, fault("disable a person", err)
}

// EnableUser lets a disabled person sign in again. False if they were not disabled.
func (s *Store) EnableUser(ctx context.Context, userID uuid.UUID, e *Event) (changed bool, err error) {
	err = s.inTx(ctx, func(t *tx) error {
		if err := t.lockUser(ctx, userID); err != nil {
			return err
		}
		n, err := t.exec(ctx, `UPDATE users SET disabled_at = NULL WHERE id = ? AND disabled_at IS NOT NULL`, id(userID))
		if changed = n > 0; err != nil || !changed {
			return err
		}
		return t.event(ctx, e)
	})
	return changed, fault("enable a person", err)
}

// SetPlatformRole gives (has) or takes a platform role. False if nothing had to
// change. ErrEmailUnverified if it was to be given to a user whose address is not verified,
// ErrLastSuperadmin.
func (s *Store) SetPlatformRole(ctx context.Context, userID uuid.UUID, role string, has bool, e *Event) (changed bool, err error) {
	err = s.inTx(ctx, func(t *tx) error {
		if role == RoleSuperadmin && !has {
			if err := t.keepSuperadmin(ctx, userID, e); err != nil {
				return err
			}
		}
		if err := t.lockVerifiedUser(ctx, userID); err != nil && (has || !errors.Is(err, ErrEmailUnverified)) {
			return err
		}
		if err := t.authorize(ctx, e); err != nil {
			return err
		}
		var roles []string
		if err := t.row(ctx, `SELECT platform_roles FROM users WHERE id = ?`, id(userID)).Scan(&roles); err != nil {
			return err
		}
		if changed = slices.Contains(roles, role) != has; !changed {
			return nil
		}
		if has {
			roles = append(roles, role)
		} else {
			roles = slices.DeleteFunc(roles, func(r string) bool { return r == role })
		}
		slices.Sort(roles)
		if _, err := t.exec(ctx, `UPDATE users SET platform_roles = ? WHERE id = ?`, words(roles), id(userID)); err != nil {
			return err
		}
		if err := t.suspendInvitations(ctx, userID); err != nil {
			return err
		}
		return t.event(ctx, e)
	})
	return changed, fault("set a platform role", err)
}

// lockUser takes the row of a live person until the transaction ends.
func (t *tx) lockUser(ctx context.Context, userID uuid.UUID) error {
	return execOr(ctx, t, ErrNotFound, `UPDATE users SET updated_at = ? WHERE id = ? AND deleted_at IS NULL`, usec(t.s.clock()), id(userID))
}

// ErrEmailUnverified: the address is not verified, so the maker of the account
// need not be its owner. Such an account is given no rights.
var ErrEmailUnverified = errors.New("the address is not proven")

// lockVerifiedUser is lockUser for what is given to the owner of an address. With
// ErrEmailUnverified the row is held too.
func (t *tx) lockVerifiedUser(ctx context.Context, userID uuid.UUID) error {
	err := t.lockVerified(ctx, userID)
	if errors.Is(err, ErrConflict) {
		err = ErrEmailUnverified
	}
	return err
}

// eventAndMail writes the event of a change and the mails that go with it.
func (t *tx) eventAndMail(ctx context.Context, e *Event, mails []*Message) error {
	if err := t.event(ctx, e); err != nil {
		return err
	}
	return t.enqueue(ctx, mails...)
}
