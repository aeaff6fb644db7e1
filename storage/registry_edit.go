package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"
)

// RegistryEdit is an open change of clients and resources: all of it happens, and
// every process sees it within a second, or none of it.
type RegistryEdit struct {
	tx      *tx
	now     any
	deleted []string // clients
	changes []registryChange
}

func (r *RegistryEdit) note(kind, id string) {
	r.changes = append(r.changes, registryChange{kind, id})
}

// EditRegistry runs edit in one transaction that bumps the registry's version. If
// seen is not 0, the registry must still be at that version, else ErrConflict:
// what the edit was worked out from has changed. edit may be run more than once.
func (s *Store) EditRegistry(ctx context.Context, seen int64, edit func(*RegistryEdit) error) error {
	var r *RegistryEdit
	err := s.inTx(ctx, func(t *tx) error {
		// First, so that edits queue behind each other here instead of somewhere in the middle.
		version, err := t.bump(ctx, VersionRegistry)
		if err == nil && seen != 0 && version != seen+1 {
			err = ErrConflict
		}
		if err != nil {
			return err
		}
		r = &RegistryEdit{tx: t, now: usec(s.clock())}
		if err := edit(r); err != nil {
			return err
		}
		return t.noteChanges(ctx, version, r.changes)
	})
	if err == nil && s.engine == Postgres {
		err = s.revokeOfDeleted(ctx, r.deleted)
	}
	return fault("change the registry", err)
}

// revokeOfDeleted revokes the grants that were being written while their client was
// deleted. Their statements hold the client's row; no other can begin to by now, so
// that waiting for it ends.
func (s *Store) revokeOfDeleted(ctx context.Context, clients []string) error {
	for _, c := range clients {
		err := s.inTx(ctx, func(t *tx) error {
			var one int
			if err := t.row(ctx, `SELECT 1 FROM clients WHERE id = ?`+s.engine.forUpdate(), c).Scan(&one); err != nil {
				return err
			}
			_, err := t.revokeGrants(ctx, EndClientDeleted, `client_id = ?`, c)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// CreateClient registers a client with its secrets. ErrExists if the client_id is
// or ever was taken.
func (r *RegistryEdit) CreateClient(ctx context.Context, c *Client, e *Event) error {
	metadata, err := json.Marshal(c.Metadata)
	if err != nil {
		return err
	}
	if _, err := r.tx.execNamed(ctx, `INSERT INTO clients (id, organization_id, name, metadata, managed_by, created_at, updated_at)
		VALUES (:id, :organization_id, :name, :metadata, :managed_by, :created_at, :updated_at)`, map[string]any{
		"id": c.ID, "organization_id": id(c.Organization), "name": c.Name(), "metadata": string(metadata),
		"managed_by": c.ManagedBy, "created_at": r.now, "updated_at": r.now}); err != nil {
		return err
	}
	for i := range c.Secrets {
		if err := r.insertSecret(ctx, c.ID, &c.Secrets[i]); err != nil {
			return err
		}
	}
	r.note(changedClient, c.ID)
	if err := r.setOrigins(ctx, c.ID, nil, c.Origins()); err != nil {
		return err
	}
	if err := r.setLogo(ctx, c.ID, c.Metadata.LogoURI); err != nil {
		return err
	}
	return r.tx.event(ctx, e)
}

// UpdateClient replaces a client's organization, metadata and owner.
func (r *RegistryEdit) UpdateClient(ctx context.Context, c *Client, e *Event) error {
	metadata, err := json.Marshal(c.Metadata)
	if err != nil {
		return err
	}
	err = r.client(ctx, c.ID, e, `UPDATE clients SET organization_id = ?, name = ?, metadata = ?, managed_by = ?, updated_at = ? WHERE id = ? AND deleted_at IS NULL`,
		id(c.Organization), c.Name(), string(metadata), c.ManagedBy, r.now, c.ID)
	if err != nil {
		return err
	}
	return r.setLogo(ctx, c.ID, c.Metadata.LogoURI)
}

// DisableClient stops a client: its tokens are refused while it is disabled.
func (r *RegistryEdit) DisableClient(ctx context.Context, clientID string, e *Event) error {
	return r.client(ctx, clientID, e, `UPDATE clients SET disabled_at = ?, updated_at = ? WHERE id = ? AND deleted_at IS NULL`, r.now, r.now, clientID)
}

// EnableClient takes DisableClient back.
func (r *RegistryEdit) EnableClient(ctx context.Context, clientID string, e *Event) error {
	return r.client(ctx, clientID, e, `UPDATE clients SET disabled_at = NULL, updated_at = ? WHERE id = ? AND deleted_at IS NULL`, r.now, clientID)
}

// DeleteClient makes a client a tombstone: its client_id is never given out again,
// all else about it is cleared, its grants and consents end. Tokens without a grant
// end with it because whatever reads them looks at their client.
func (r *RegistryEdit) DeleteClient(ctx context.Context, clientID string, e *Event) error {
	err := r.client(ctx, clientID, e, `UPDATE clients SET name = '', metadata = '{}', managed_by = '', updated_at = ?, deleted_at = ? WHERE id = ? AND deleted_at IS NULL`,
		r.now, r.now, clientID)
	if err != nil {
		return err
	}
	r.deleted = append(r.deleted, clientID)
	served, err := list(ctx, r.tx, "delete a server", column[string], `DELETE FROM resource_servers WHERE client_id = ? RETURNING resource`, clientID)
	if err != nil {
		return err
	}
	for _, resource := range served {
		r.note(changedResource, resource)
	}
	if err := r.tx.execAll(ctx,
		statement{`DELETE FROM client_secrets WHERE client_id = ?`, []any{clientID}},
		statement{`DELETE FROM refusals WHERE client_id = ?`, []any{clientID}},
		statement{`DELETE FROM client_logos WHERE client_id = ?`, []any{clientID}},
		statement{`UPDATE consents SET withdrawn_at = ? WHERE client_id = ? AND withdrawn_at IS NULL`, []any{r.now, clientID}}); err != nil {
		return err
	}
	_, err = r.tx.revokeGrants(ctx, EndClientDeleted, `client_id = ?`, clientID)
	return err
}

// AddSecret gives a client a new secret. The newest of the old ones works on
// until oldUntil; those before it, and all if oldUntil is not in the future, end now.
func (r *RegistryEdit) AddSecret(ctx context.Context, clientID string, k *ClientSecret, oldUntil time.Time, e *Event) error {
	r.note(changedClient, clientID)
	// A deleted client gets nothing, and two who rotate at once queue here.
	if err := execOr(ctx, r.tx, ErrNotFound, `UPDATE clients SET updated_at = ? WHERE id = ? AND deleted_at IS NULL`, r.now, clientID); err != nil {
		return err
	}
	if _, err := r.tx.exec(ctx, `DELETE FROM client_secrets WHERE client_id = ? AND (expires_at <= ? OR ? <= ?
		OR id <> (SELECT n.id FROM client_secrets n WHERE n.client_id = ? AND (n.expires_at IS NULL OR n.expires_at > ?) ORDER BY n.created_at DESC, n.id DESC LIMIT 1))`,
		clientID, r.now, oldUntil.UnixMicro(), r.now, clientID, r.now); err != nil {
		return err
	}
	if _, err := r.tx.exec(ctx, `UPDATE client_secrets SET expires_at = ? WHERE client_id = ? AND (expires_at IS NULL OR expires_at > ?)`,
		usec(oldUntil), clientID, usec(oldUntil)); err != nil {
		return err
	}
	if err := r.insertSecret(ctx, clientID, k); err != nil {
		return err
	}
	return r.tx.event(ctx, e)
}

// DeleteSecrets takes all secrets of a client, for one that is to have none.
func (r *RegistryEdit) DeleteSecrets(ctx context.Context, clientID string) error {
	r.note(changedClient, clientID)
	return r.tx.do(ctx, `DELETE FROM client_secrets WHERE client_id = ?`, clientID)
}

func (r *RegistryEdit) insertSecret(ctx context.Context, clientID string, k *ClientSecret) error {
	if k.ID == uuid.Nil {
		k.ID = uuid.Must(uuid.NewV7())
	}
	var mac any
	if len(k.MAC) > 0 {
		mac = k.MAC
	}
	return r.tx.doNamed(ctx, `INSERT INTO client_secrets (id, client_id, key_id, mac, phc, weak, created_at, expires_at)
		VALUES (:id, :client_id, :key_id, :mac, :phc, :weak, :created_at, :expires_at)`, map[string]any{
		"id": id(k.ID), "client_id": clientID, "key_id": k.KeyID, "mac": mac, "phc": k.PHC, "weak": k.Weak,
		"created_at": r.now, "expires_at": usec(k.ExpiresAt)})
}

// PutResource registers a resource or replaces its name, scopes and servers.
// ErrConflict if a server is not a registered client.
func (r *RegistryEdit) PutResource(ctx context.Context, res *Resource, e *Event) error {
	if _, err := r.tx.exec(ctx, `INSERT INTO resources (identifier, name, managed_by, created_at, updated_at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (identifier) DO UPDATE SET name = excluded.name, managed_by = excluded.managed_by, updated_at = excluded.updated_at`,
		res.Identifier, res.Name, res.ManagedBy, r.now, r.now); err != nil {
		return err
	}
	if err := r.clearResource(ctx, res.Identifier); err != nil {
		return err
	}
	for name, sentence := range res.Scopes {
		if _, err := r.tx.exec(ctx, `INSERT INTO resource_scopes (resource, name, sentence) VALUES (?, ?, ?)`, res.Identifier, name, sentence); err != nil {
			return err
		}
	}
	for _, clientID := range res.ServedBy {
		if _, err := r.tx.exec(ctx, `INSERT INTO resource_servers (resource, client_id) VALUES (?, ?)`, res.Identifier, clientID); err != nil {
			return err
		}
	}
	return r.tx.event(ctx, e)
}

// DeleteResource forgets a resource and its scopes.
func (r *RegistryEdit) DeleteResource(ctx context.Context, identifier string, e *Event) error {
	if err := r.clearResource(ctx, identifier); err != nil {
		return err
	}
	return r.one(ctx, e, `DELETE FROM resources WHERE identifier = ?`, identifier)
}

func (r *RegistryEdit) clearResource(ctx context.Context, identifier string) error {
	r.note(changedResource, identifier)
	if _, err := r.tx.exec(ctx, `DELETE FROM resource_scopes WHERE resource = ?`, identifier); err != nil {
		return err
	}
	return r.tx.do(ctx, `DELETE FROM resource_servers WHERE resource = ?`, identifier)
}

// client is one for a client's row, whose origins may change with it.
func (r *RegistryEdit) client(ctx context.Context, clientID string, e *Event, query string, args ...any) error {
	r.note(changedClient, clientID)
	if err := r.one(ctx, e, query, args...); err != nil {
		return err
	}
	return r.indexOrigins(ctx, clientID)
}

// one changes exactly one row and writes the event; ErrNotFound if there is none.
func (r *RegistryEdit) one(ctx context.Context, e *Event, query string, args ...any) error {
	return r.tx.doWith(ctx, e, ErrNotFound, query, args...)
}

// AdoptSecret replaces the stored form of a client secret that was just verified
// by a MAC under keyID. It does nothing if the secret is not in the form it was
// read in (old) any more. A PHC string is bumped out of every process's copy,
// because verifying it is dear; a MAC under an earlier key is as good as a new one.
func (s *Store) AdoptSecret(ctx context.Context, old *ClientSecret, keyID string, mac []byte, phc string) error {
	return s.change(ctx, "adopt a client secret", func(t *tx) error {
		var client string
		err := t.row(ctx, `UPDATE client_secrets SET key_id = ?, mac = ?, phc = ? WHERE id = ? AND key_id = ? AND phc = ? RETURNING client_id`,
			keyID, mac, phc, id(old.ID), old.KeyID, old.PHC).Scan(&client)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil || len(old.MAC) > 0 {
			return err
		}
		return t.changeRegistry(ctx, registryChange{changedClient, client})
	})
}
