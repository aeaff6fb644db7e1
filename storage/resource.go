package storage

import (
	"context"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"
)

// Resource is a resource server (RFC 8707): its identifier is the aud of tokens
// that carry its scopes.
type Resource struct {
	Identifier string
	Name       string
	ManagedBy  string
	// Scopes maps a scope to the sentence the consent page shows for it.
	Scopes map[string]string
	// ServedBy are the clients that act as this resource and may introspect its tokens.
	ServedBy  []string
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Resources returns all resources, ordered by identifier.
func (s *Store) Resources(ctx context.Context) ([]Resource, error) {
	var all []Resource
	err := s.rows(ctx, func(r *sqlx.Rows) error {
		res := Resource{Scopes: map[string]string{}}
		defer func() { all = append(all, res) }()
		return r.Scan(&res.Identifier, &res.Name, &res.ManagedBy, instant{&res.CreatedAt}, instant{&res.UpdatedAt})
	}, `SELECT identifier, name, managed_by, created_at, updated_at FROM resources ORDER BY identifier`)
	if err != nil {
		return nil, fault("read the resources", err)
	}
	find := func(identifier string) *Resource {
		i := slices.IndexFunc(all, func(r Resource) bool { return r.Identifier == identifier })
		if i < 0 { // added between the two statements; the next version has it
			return &Resource{Scopes: map[string]string{}}
		}
		return &all[i]
	}
	err = s.rows(ctx, func(r *sqlx.Rows) error {
		var resource, name, sentence, server string
		if err := r.Scan(&resource, &name, &sentence, &server); err != nil {
			return err
		}
		res := find(resource)
		if name != "" {
			res.Scopes[name] = sentence
		} else {
			res.ServedBy = append(res.ServedBy, server)
		}
		return nil
	}, `SELECT resource, name, sentence, '' AS client_id FROM resource_scopes
		UNION ALL SELECT resource, '', '', client_id FROM resource_servers ORDER BY 1, 2, 4`)
	return all, fault("read the scopes of resources", err)
}
