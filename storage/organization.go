package storage

import (
	"time"

	"github.com/google/uuid"
)

// Organization is a customer of the installation: a row, not a realm.
type Organization struct {
	ID        uuid.UUID
	Slug      string
	Name      string
	CreatedAt time.Time
	UpdatedAt time.Time
	DeletedAt time.Time
}

// The roles of a membership, from most to least.
const (
	RoleOwner  = "owner"
	RoleAdmin  = "admin"
	RoleMember = "member"
	RoleGuest  = "guest"
)

// Membership is a person's place in an organization.
type Membership struct {
	Organization Organization
	UserID       uuid.UUID
	Role         string
	CreatedAt    time.Time
}

const organizationColumns = `o.id, o.slug, o.name, o.created_at, o.updated_at, o.deleted_at`

// dest are the scan targets of organizationColumns; they bear the NULLs of a LEFT JOIN.
func (o *Organization) dest() []any {
	return []any{optional[uuid.UUID]{&o.ID}, optional[string]{&o.Slug}, optional[string]{&o.Name},
		instant{&o.CreatedAt}, instant{&o.UpdatedAt}, instant{&o.DeletedAt}}
}
