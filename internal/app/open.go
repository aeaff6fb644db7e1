package app

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sallyport-id/sallyport/storage"
)

// Missing names the file that makes an installation and is not there: the SQLite database or, where the database is
// elsewhere, a key of development. It is empty for an installation that exists.
func (c *Config) Missing() string {
	if strings.HasPrefix(c.DatabaseURL, sqliteScheme) {
		return c.MissingDatabase()
	}
	for _, path := range c.absentKeyFiles() {
		if isAbsent(path) {
			return path
		}
	}
	return ""
}

const sqliteScheme = "sqlite://"

// MissingDatabase is the path of the SQLite database if there is none yet, else empty.
func (c *Config) MissingDatabase() string {
	if path, ok := strings.CutPrefix(c.DatabaseURL, sqliteScheme); ok && isAbsent(path) {
		return path
	}
	return ""
}

func isAbsent(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// DatabaseError says why the database cannot be opened. It quotes no secret.
type DatabaseError struct{ Err error }

func (e *DatabaseError) Error() string { return "DATABASE_URL: " + e.Err.Error() }
func (e *DatabaseError) Unwrap() error { return e.Err }

// Next says what to do about it.
func (e *DatabaseError) Next() string {
	_, remedy := storage.Diagnose(e.Err)
	return "To mend it, " + remedy + ". All of the configuration is looked at by: sallyport doctor"
}

// OpenReadOnly opens the installation of cfg for looking at it. It makes no key, no file and no folder, and does not
// migrate. Keys of development that do not exist are replaced by random ones and KeysMissing is set.
func OpenReadOnly(ctx context.Context, cfg *Config, o Options) (*App, error) {
	o.fillIn()
	keys := *cfg
	missing := false
	read := func(path string) ([]byte, error) {
		key, err := readKeyFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			missing, key, err = true, make([]byte, minKeyBytes), nil
			rand.Read(key) // never fails: crypto/rand ends the program instead
		}
		return key, err
	}
	if err := keys.developmentKeys(read); err != nil {
		return nil, err
	}
	store, err := storage.OpenReadOnly(ctx, storage.Config{URL: cfg.DatabaseURL, Now: o.Now, Wrap: o.Wrap})
	if err != nil {
		return nil, &DatabaseError{err}
	}
	a, err := assemble(&keys, store, o)
	if err == nil {
		a.KeysMissing = missing
		err = a.requireSchema(ctx, "run `sallyport migrate up`, or start `sallyport serve`, which does")
	}
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return a, nil
}

// OpenEmpty opens an installation with nothing in it, which is gone after Close: what cfg describes before it exists.
func OpenEmpty(ctx context.Context, cfg *Config, o Options) (*App, error) {
	dir, err := os.MkdirTemp("", "sallyport-")
	if err != nil {
		return nil, err
	}
	empty := *cfg
	empty.DataDir, empty.DatabaseURL, empty.Migrate = dir, sqliteScheme+filepath.Join(dir, "empty.db"), true
	a, err := Open(ctx, &empty, o)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	a.temporary = dir
	return a, nil
}

// requireSchema is an error with the remedy if the schema is not this binary's.
func (a *App) requireSchema(ctx context.Context, remedy string) error {
	pending, err := a.Store.Pending(ctx)
	if err == nil && pending {
		err = errors.New("the database lacks migrations: " + remedy)
	}
	return err
}
