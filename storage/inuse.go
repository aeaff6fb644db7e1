package storage

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// InUse tells whether another process has the database open, as a running server has. It must be asked before this
// process opens the database itself. On PostgreSQL only connections of the same role count, not those of monitoring.
func InUse(ctx context.Context, databaseURL string) (bool, error) {
	if path, ok := strings.CutPrefix(databaseURL, "sqlite://"); ok {
		return fileInUse(ctx, path)
	}
	s, err := Open(ctx, Config{URL: databaseURL, Conns: 1})
	if err != nil {
		return false, err
	}
	defer s.Close()
	// Our own connections that were just closed are listed for a moment more.
	var used bool
	for range 10 {
		err = s.row(ctx, `SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND usename = current_user
			AND pid <> pg_backend_pid() AND backend_type = 'client backend')`).Scan(&used)
		if err != nil || !used {
			break
		}
		if err = sleep(ctx, 100*time.Millisecond); err != nil {
			break
		}
	}
	return used, fault("look for other connections", err)
}

// fileInUse tries to be the only one who has the file open: a connection in WAL mode shares its lock for as long as it is open.
func fileInUse(ctx context.Context, path string) (bool, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return false, err
	}
	q := url.Values{"mode": {"rw"}, "_pragma": {"busy_timeout(500)", "locking_mode(EXCLUSIVE)"}}
	db := sql.OpenDB(dsnConnector{file: path, dsn: "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode(), driver: &sqlite.Driver{}})
	defer db.Close()
	var tables int
	err = db.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_master`).Scan(&tables)
	if held, ok := errors.AsType[*sqlite.Error](err); ok && held.Code()&0xff == sqlite3.SQLITE_BUSY {
		return true, nil
	}
	return false, fault("look for other connections", err)
}
