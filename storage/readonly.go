package storage

import (
	"context"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/sallyport-id/sallyport/migrations"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// OpenReadOnly is Open for looking only: it makes no SQLite file and changes none. fs.ErrNotExist if there is no file.
func OpenReadOnly(ctx context.Context, c Config) (*Store, error) {
	name, isSQLite := strings.CutPrefix(c.URL, "sqlite://")
	if !isSQLite {
		return Open(ctx, c)
	}
	path, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	pool := sqlx.NewDb(sql.OpenDB(readOnlyConnector(path)), "sqlite3")
	s := newStore(c, SQLite)
	s.writer, s.reader, s.aside, s.path = pool, pool, pool, path
	// A ping opens the file; that it is a database shows at the first look into it.
	if _, err := s.appliedMigrations(ctx); err != nil {
		return nil, errors.Join(fault("open the database", err), s.Close())
	}
	return s, nil
}

// SQLiteMigrations lists the migrations of a SQLite database that does not exist yet: none is applied.
func SQLiteMigrations() ([]Migration, error) { return listMigrations(migrations.FS, string(SQLite)) }

// readOnlyConnector opens a SQLite file so that nothing is written beside it either. While a server has it open, or has
// not closed it well, its log and the index of that are there and are read with it; else it is read as a file that
// does not change, for which SQLite makes neither.
func readOnlyConnector(path string) dsnConnector {
	q := url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(2000)", "query_only(1)"}}
	_, noLog := os.Stat(path + "-wal")
	_, noIndex := os.Stat(path + "-shm")
	if noLog != nil || noIndex != nil {
		q.Set("immutable", "1")
	}
	return dsnConnector{file: path, dsn: "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode(), driver: &sqlite.Driver{}}
}

// Diagnose says in words why a database cannot be used, and what to do. It quotes no secret.
func Diagnose(err error) (cause, remedy string) {
	const url = "correct DATABASE_URL"
	var (
		fromServer *pq.Error
		fromSQLite *sqlite.Error
		name       *net.DNSError
		network    net.Error
		authority  x509.UnknownAuthorityError
		host       x509.HostnameError
		invalid    x509.CertificateInvalidError
	)
	switch {
	case errors.Is(err, ErrPooler):
		return err.Error(), "do what it says, or let DATABASE_URL lead past the pooler (docs/operations.md)"
	case errors.As(err, &fromServer):
		return diagnosePostgres(fromServer)
	case errors.As(err, &fromSQLite):
		return diagnoseSQLite(fromSQLite)
	case errors.Is(err, pq.ErrSSLNotSupported):
		return "the server does not speak TLS", "switch it on there (ssl = on), or on a network that nobody listens to add ?sslmode=disable to DATABASE_URL"
	case errors.As(err, &authority), errors.As(err, &host), errors.As(err, &invalid):
		return "the server's certificate is not trusted: " + err.Error(), "add ?sslrootcert=FILE with its authority to DATABASE_URL, and connect to a name that the certificate has"
	case errors.As(err, &name):
		return "the host name " + name.Name + " does not resolve", url
	case errors.Is(err, fs.ErrPermission):
		return "this user may not open it: " + err.Error(), "give the user of the process the file and its folder"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "no answer in time", "check that the server runs, and that no firewall drops what this machine sends"
	case errors.As(err, &network):
		return "no connection: " + network.Error(), "check that the server runs and listens there, and " + url
	}
	return err.Error(), url + ", and check that the server runs"
}

func diagnosePostgres(e *pq.Error) (cause, remedy string) {
	switch e.Code {
	case "28P01":
		return "the password is refused: " + e.Message, "correct POSTGRES_USER and POSTGRES_PASSWORD, or DATABASE_URL"
	case "28000":
		return "the user is refused: " + e.Message, "correct the user in DATABASE_URL, and let it in from this machine (pg_hba.conf)"
	case "3D000":
		return e.Message, "create it (createdb), or correct DATABASE_URL"
	case "53300":
		return "it has no connection left: " + e.Message, "raise max_connections, or end what uses them"
	case "57P01", "57P02", "57P03":
		return "it starts or stops: " + e.Message, "try again when it is up"
	case "42501":
		return "the user may not do that: " + e.Message, "make it the owner of the database"
	}
	return e.Message, "see PostgreSQL's manual for the code " + string(e.Code)
}

func diagnoseSQLite(e *sqlite.Error) (cause, remedy string) {
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_NOTADB:
		return "the file is not a SQLite database", "correct DATABASE_URL"
	case sqlite3.SQLITE_CORRUPT:
		return "the file is damaged: " + e.Error(), "restore a backup"
	case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH:
		return "the file cannot be opened: " + e.Error(), "give the user of the process the file and its folder"
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return "another process has locked it", "end what holds it open, such as sqlite3"
	}
	return e.Error(), "check the file and the disk that it is on"
}
