package storage

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// Connection is an upstream identity provider that people can sign in with.
type Connection struct {
	ID uuid.UUID `db:"id"`
	// OrganizationID is whose connection it is; nil for one that everybody may use.
	OrganizationID uuid.UUID `db:"organization_id"`
	// Name is part of its URLs, and never changes.
	Name     string             `db:"name"`
	Kind     string             `db:"kind"` // a key of the table of kinds in internal/upstream
	Settings ConnectionSettings `db:"settings"`
	// Secret is the sealed client secret; nil for a public client.
	Secret    []byte    `db:"secret"`
	CreatedAt time.Time `db:"created_at"`
	UpdatedAt time.Time `db:"updated_at"`
	// DisabledAt is set while an operator has switched it off, RemovedAt while the configuration does not name it.
	DisabledAt time.Time `db:"disabled_at"`
	RemovedAt  time.Time `db:"removed_at"`
}

// ConnectionSettings are what the configuration says of a connection, without its secret.
type ConnectionSettings struct {
	Label    string `json:"label"`  // on buttons
	Issuer   string `json:"issuer"` // "" for the kind's own
	ClientID string `json:"client_id"`
	Tenant   string `json:"tenant,omitempty"` // of Microsoft
	// Domains are those of the addresses that are sent to it from the sign-in page.
	Domains []string `json:"domains,omitempty"`
	CAFile  string   `json:"ca_file,omitempty"` // certificates that sign those of its servers, besides the system's
	// Callback is the address that it redirects to: one of the constants below.
	Callback string `json:"callback"`
	// TrustMFA: a second factor that it reports counts as one of ours.
	TrustMFA bool `json:"trust_mfa,omitempty"`
}

// The addresses of a connection's callback: /login/NAME/callback, /login/NAME/authorized and
// /api/v1/auth/external/NAME/callback.
const (
	CallbackLogin      = "callback"
	CallbackAuthorized = "authorized"
	CallbackAPI        = "api"
)

// Enabled reports whether people can sign in with it.
func (c *Connection) Enabled() bool { return c.DisabledAt.IsZero() && c.RemovedAt.IsZero() }

// SecretPlace is what the secret is bound to when it is sealed.
func (c *Connection) SecretPlace() []byte { return []byte("connections.secret " + c.ID.String()) }

var connectionRow = layoutOf[Connection]("c")

// connectionEnabled is Enabled as a condition on a row c of connections.
const connectionEnabled = `c.disabled_at IS NULL AND c.removed_at IS NULL`

// Connections returns those that belong to no organization, by name.
func (s *Store) Connections(ctx context.Context) ([]Connection, error) {
	return list(ctx, s, "list connections", connectionRow.dest, `SELECT `+connectionRow.columns+` FROM connections c
		WHERE c.organization_id IS NULL ORDER BY c.name`)
}

// ConnectionByName returns a connection, disabled and removed ones too.
func (s *Store) ConnectionByName(ctx context.Context, name string) (*Connection, error) {
	return one(ctx, s, "read a connection", connectionRow.dest, `SELECT `+connectionRow.columns+` FROM connections c WHERE c.name = ?`, name)
}

// ConnectionChange is a connection as it shall be, and the event about it.
type ConnectionChange struct {
	Connection Connection
	Event      *Event
}

// PutConnections stores connections in the place of those with their ids, all or none. ErrExists if another has the
// name.
func (s *Store) PutConnections(ctx context.Context, changes ...ConnectionChange) error {
	err := s.inTx(ctx, func(t *tx) error {
		for i := range changes {
			if err := t.putConnection(ctx, &changes[i]); err != nil {
				return err
			}
		}
		return t.changeRegistry(ctx, registryChange{kind: changedConnections})
	})
	return fault("store connections", err)
}

func (t *tx) putConnection(ctx context.Context, change *ConnectionChange) error {
	c := &change.Connection
	settings, err := json.Marshal(c.Settings)
	if err != nil {
		return err
	}
	if err := t.authorize(ctx, change.Event); err != nil {
		return err
	}
	query, values, err := t.s.bindNamed(`INSERT INTO connections (id, organization_id, name, kind, settings, secret, created_at, updated_at, disabled_at, removed_at)
		VALUES (:id, :organization_id, :name, :kind, :settings, :secret, :created_at, :updated_at, :disabled_at,
			:removed_at)
		ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, settings = excluded.settings, secret = excluded.secret,
			updated_at = excluded.updated_at, disabled_at = excluded.disabled_at, removed_at = excluded.removed_at
			WHERE connections.updated_at = :read_at`, map[string]any{
		"id": id(c.ID), "organization_id": id(c.OrganizationID), "name": c.Name, "kind": c.Kind,
		"settings": string(settings), "secret": c.Secret, "created_at": usec(c.CreatedAt),
		"updated_at": usec(t.s.clock()), "disabled_at": usec(c.DisabledAt), "removed_at": usec(c.RemovedAt),
		"read_at": usec(c.UpdatedAt)})
	if err != nil {
		return err
	}
	if err := execOr(ctx, t, ErrConflict, query, values...); err != nil {
		return err
	}
	return t.event(ctx, change.Event)
}
