package storage

import "context"

// registryChange is what a version of the registry changed. The empty one changed nothing that is cached.
type registryChange struct{ kind, id string }

// The kinds of changes.
const (
	changedClient       = "client"
	changedOrigin       = "origin" // a browser origin that a client got or lost
	changedResource     = "resource"
	changedOrganization = "organization"
	changedSettings     = "settings"
	changedConnections  = "connections"
	changedAll          = "all"
)

const (
	// maxNoted bounds the rows of one version. Beyond it, everything has changed.
	maxNoted = 200
	// maxForgotten bounds what is forgotten one by one at once.
	maxForgotten = 1000
)

// changeRegistry makes a new version of the registry, for changes that do not go through EditRegistry.
func (t *tx) changeRegistry(ctx context.Context, changes ...registryChange) error {
	version, err := t.bump(ctx, VersionRegistry)
	if err != nil {
		return err
	}
	return t.noteChanges(ctx, version, changes)
}

// noteChanges tells the other nodes what a version changed. Each version has a row, so that one without is seen to be of
// a release that writes none.
func (t *tx) noteChanges(ctx context.Context, version int64, changes []registryChange) error {
	switch {
	case len(changes) == 0:
		changes = []registryChange{{}}
	case len(changes) > maxNoted:
		changes = []registryChange{{kind: changedAll}}
	}
	for _, c := range changes {
		if _, err := t.exec(ctx, `INSERT INTO registry_changes (version, kind, id, changed_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			version, c.kind, c.id, usec(t.s.clock())); err != nil {
			return err
		}
	}
	return nil
}

// registryChanges returns the version of the registry, and what changed since another one. all is set where that cannot
// be told: then everything may have.
func (s *Store) registryChanges(ctx context.Context, since int64) (version int64, changes []registryChange, all bool, err error) {
	var rows int
	versions := map[int64]bool{}
	err = s.rows(ctx, func(r scanner) error {
		var of int64
		var c registryChange
		err := r.Scan(&version, &of, &c.kind, &c.id)
		rows++
		versions[of] = true
		changes = append(changes, c)
		all = all || c.kind == changedAll
		return err
	}, `SELECT v.n, c.version, c.kind, c.id FROM versions v
		LEFT JOIN (SELECT version, kind, id FROM registry_changes WHERE version > ? ORDER BY version LIMIT ?) AS c ON c.version <= v.n
		WHERE v.name = ?`, since, maxForgotten+1, VersionRegistry)
	delete(versions, 0) // no row
	all = all || rows > maxForgotten || int64(len(versions)) != version-since
	return version, changes, all, fault("read the changes of the registry", err)
}
