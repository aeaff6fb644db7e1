package storage

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// User is a person, known to every organization under one sub.
type User struct {
	ID  uuid.UUID
	Sub uuid.UUID // the subject of every token; never the email
	// Email is as typed; EmailKey is its unique, folded form. Both are empty in a tombstone.
	Email           string
	EmailKey        string
	EmailVerifiedAt time.Time
	// PlatformRoles are superadmin and admin.
	PlatformRoles []string
	Profile       Profile
	CreatedAt     time.Time
	UpdatedAt     time.Time
	DisabledAt    time.Time
	DeletedAt     time.Time
}

// Profile holds the standard claims of OpenID Connect Core 1.0, section 5.1, that
// a person has besides email. Empty members are not claimed.
type Profile struct {
	Name                string   `json:"name,omitempty"`
	GivenName           string   `json:"given_name,omitempty"`
	FamilyName          string   `json:"family_name,omitempty"`
	MiddleName          string   `json:"middle_name,omitempty"`
	Nickname            string   `json:"nickname,omitempty"`
	PreferredUsername   string   `json:"preferred_username,omitempty"`
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

// Active reports whether the person may sign in and be named in tokens.
func (u *User) Active() bool { return u.DisabledAt.IsZero() && u.DeletedAt.IsZero() }

const userColumns = `u.id, u.sub, u.email, u.email_key, u.email_verified_at, u.platform_roles, u.profile, u.created_at, u.updated_at, u.disabled_at, u.deleted_at`

// dest are the scan targets of userColumns; they bear the NULLs of a LEFT JOIN.
func (u *User) dest() []any {
	return []any{optional[uuid.UUID]{&u.ID}, optional[uuid.UUID]{&u.Sub}, optional[string]{&u.Email}, optional[string]{&u.EmailKey},
		instant{&u.EmailVerifiedAt}, list{&u.PlatformRoles}, document{&u.Profile}, instant{&u.CreatedAt}, instant{&u.UpdatedAt},
		instant{&u.DisabledAt}, instant{&u.DeletedAt}}
}

// document scans a column of JSON text; NULL and "" leave the value as it is.
type document struct{ to any }

func (d document) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		return nil
	case []byte:
		return unmarshal(v, d.to)
	case string:
		return unmarshal([]byte(v), d.to)
	}
	return nil
}

func unmarshal(b []byte, to any) error {
	if len(b) == 0 || string(b) == "{}" {
		return nil
	}
	return json.Unmarshal(b, to)
}
