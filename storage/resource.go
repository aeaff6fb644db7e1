package storage

import (
	"context"
	"slices"
	"time"
)

// Resource is a resource server (RFC 8707): its identifier is the aud of tokens
// that carry its scopes.
type Resource struct {
	Identifier string `db:"identifier"`
	Name       string `db:"name"`
	ManagedBy  string `db:"managed_by"`
	// Scopes maps a scope to the sentence the consent page shows for it.
	Scopes map[string]string
	// ServedBy are the clients that act as this resource and may introspect its tokens.
	ServedBy  []string
	CreatedAt time.Time `db:"created_at"`
	UpdatedAt time.Time `db:"updated_at"`
}

var resourceRow = layoutOf[Resource]("r")

// Resources returns all resources, ordered by identifier.
func (s *Store) Resources(ctx context.Context) ([]Resource, error) { return s.resources(ctx, "") }

// resources returns one resource, or all of them for "".
func (s *Store) resources(ctx context.Context, only string) ([]Resource, error) {
	where, args := "", []any(nil)
	if only != "" {
		where, args = ` WHERE identifier = ?`, []any{only}
	}
	all, err := list(ctx, s, "read the resources", func(r *Resource) []any {
		r.Scopes = map[string]string{}
		return resourceRow.dest(r)
	}, `SELECT `+resourceRow.columns+` FROM resources r`+where+` ORDER BY identifier`, args...)
	if err != nil || len(all) == 0 {
		return all, err
	}
	if only != "" {
		where, args = ` WHERE resource = ?`, []any{only, only}
	}
	err = s.rows(ctx, func(r scanner) error {
		var resource, name, sentence, server string
		if err := r.Scan(&resource, &name, &sentence, &server); err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(r Resource) bool { return r.Identifier == resource })
		switch {
		case i < 0: // added between the two statements; the next version has it
		case name != "":
			all[i].Scopes[name] = sentence
		default:
			all[i].ServedBy = append(all[i].ServedBy, server)
		}
		return nil
	}, `SELECT resource, name, sentence, '' AS client_id FROM resource_scopes`+where+`
		UNION ALL SELECT resource, '', '', client_id FROM resource_servers`+where+` ORDER BY 1, 2, 4`, args...)
	return all, fault("read the scopes of resources", err)
}
