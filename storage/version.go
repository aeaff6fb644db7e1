package storage

import "context"

// The rows of the versions table: bumped in the transaction of any change to
// what they stand for.
const (
	VersionRegistry = "registry" // clients, resources, settings
	VersionKeys     = "keys"     // signing keys
)

// Version returns the current number of a versions row.
func (s *Store) Version(ctx context.Context, name string) (int64, error) {
	var n int64
	err := s.row(ctx, `SELECT n FROM versions WHERE name = ?`, name).Scan(&n)
	return n, fault("read a version", err)
}

// bump makes a new version and returns its number. The row is held until the end.
func (t *tx) bump(ctx context.Context, name string) (n int64, err error) {
	err = t.row(ctx, `UPDATE versions SET n = n + 1 WHERE name = ? RETURNING n`, name).Scan(&n)
	return n, err
}
