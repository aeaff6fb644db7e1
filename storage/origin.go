package storage

import (
	"context"
	"errors"
	"slices"
	"strings"
)

// maxOrigin is longer than the longest host name with its scheme and port.
const maxOrigin = 300

// isOrigin reports whether a browser origin can be that of a client at all: others cost no query.
func isOrigin(origin string) bool {
	return len(origin) <= maxOrigin && (strings.HasPrefix(origin, "https://") || strings.HasPrefix(origin, "http://")) &&
		!strings.ContainsFunc(origin, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}

// isOriginOfClient reports whether an enabled client has this origin. It reads one row, however many clients share it.
func (s *Store) isOriginOfClient(ctx context.Context, origin string) (bool, error) {
	var one int
	err := s.row(ctx, `SELECT 1 FROM client_origins WHERE origin = ? LIMIT 1`, origin).Scan(&one)
	if errors.Is(classify(err), ErrNotFound) {
		return false, nil
	}
	return err == nil, fault("look up an origin", err)
}

// indexOrigins makes client_origins what the client's row says by now.
func (r *RegistryEdit) indexOrigins(ctx context.Context, clientID string) error {
	var c Client
	err := r.tx.row(ctx, `SELECT metadata, disabled_at, deleted_at FROM clients WHERE id = ?`, clientID).Scan(&c.Metadata, &c.DisabledAt, &c.DeletedAt)
	if err != nil {
		return err
	}
	before, err := list(ctx, r.tx, "delete origins", column[string], `DELETE FROM client_origins WHERE client_id = ? RETURNING origin`, clientID)
	if err != nil {
		return err
	}
	return r.setOrigins(ctx, clientID, before, c.indexed())
}

// setOrigins writes the origins of a client that has none in client_origins (any more).
func (r *RegistryEdit) setOrigins(ctx context.Context, clientID string, before, now []string) error {
	for _, origin := range before {
		if !slices.Contains(now, origin) {
			r.note(changedOrigin, origin)
		}
	}
	for _, origin := range now {
		if !slices.Contains(before, origin) {
			r.note(changedOrigin, origin)
		}
		if _, err := r.tx.exec(ctx, `INSERT INTO client_origins (client_id, origin) VALUES (?, ?)`, clientID, origin); err != nil {
			return err
		}
	}
	return nil
}

// indexed are the origins of the client in client_origins, sorted.
func (c *Client) indexed() []string {
	if !c.Active() {
		return nil
	}
	return c.Origins()
}

// IndexOrigins corrects client_origins where it does not agree with the clients: after the migration that made it, and
// after changes by a node of a release that does not know it. It reads all clients, batch by batch.
func (s *Store) IndexOrigins(ctx context.Context) error {
	const batch = 500
	ctx = WithLongCalls(ctx, migrationTime)
	for after := ""; ; {
		read, stale, last, err := s.staleOrigins(ctx, after, batch)
		if err != nil {
			return fault("compare the origins of clients", err)
		}
		if len(stale) > 0 {
			// Read again in the edit, behind which other changes of clients wait.
			err := s.EditRegistry(ctx, 0, func(r *RegistryEdit) error {
				for _, clientID := range stale {
					if err := r.indexOrigins(ctx, clientID); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		if read < batch {
			return nil
		}
		after = last
	}
}

// staleOrigins reads up to limit clients after that one, and tells which of them client_origins does not agree with.
func (s *Store) staleOrigins(ctx context.Context, after string, limit int) (read int, stale []string, last string, err error) {
	var c Client
	var indexed []string
	compare := func() {
		if slices.Sort(indexed); read > 0 && !slices.Equal(indexed, c.indexed()) {
			stale = append(stale, c.ID)
		}
	}
	err = s.rows(ctx, func(row scanner) error {
		var next Client
		var origin string
		err := row.Scan(&next.ID, &next.Metadata, &next.DisabledAt, &next.DeletedAt, &origin)
		if err != nil {
			return err
		}
		if read == 0 || next.ID != c.ID {
			compare()
			c, indexed = next, nil
			read++
		}
		if origin != "" {
			indexed = append(indexed, origin)
		}
		return nil
	}, `SELECT c.id, c.metadata, c.disabled_at, c.deleted_at, o.origin
		FROM (SELECT id, metadata, disabled_at, deleted_at FROM clients WHERE id > ? ORDER BY id LIMIT ?) c
		LEFT JOIN client_origins o ON o.client_id = c.id ORDER BY c.id`, after, limit)
	compare()
	return read, stale, c.ID, err
}
