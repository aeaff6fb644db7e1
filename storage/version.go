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

func (t *tx) bump(ctx context.Context, name string) error {
	_, err := t.exec(ctx, `UPDATE versions SET n = n + 1 WHERE name = ?`, name)
	return err
}
