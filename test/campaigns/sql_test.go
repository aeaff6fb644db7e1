package campaigns

import (
	"cmp"
	"database/sql"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/storage"

	_ "github.com/lib/pq"
	_ "modernc.org/sqlite"
)

// readOnly opens the database to look at it, never to change it.
func (in *installation) readOnly(t testing.TB) *sql.DB {
	t.Helper()
	if in.engine == storage.Postgres {
		return in.open(t, "&default_transaction_read_only=on")
	}
	return in.open(t, "&mode=ro")
}

// open opens the database beside its servers.
func (in *installation) open(t testing.TB, options string) *sql.DB {
	t.Helper()
	name, source := "sqlite", "file:"+strings.TrimPrefix(in.url, "sqlite://")+"?_pragma=busy_timeout(10000)"
	if in.engine == storage.Postgres {
		name, source = "postgres", cmp.Or(in.beside, in.url)
	}
	db, err := sql.Open(name, source+options)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// scalar is the one number that a query returns.
func (in *installation) scalar(t testing.TB, query string) int64 {
	t.Helper()
	db := in.readOnly(t)
	defer db.Close()
	var n int64
	if err := db.QueryRow(query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// columns are the rows of a query whose columns are all text or NULL.
func (in *installation) columns(t testing.TB, query string) [][]string {
	t.Helper()
	db := in.readOnly(t)
	defer db.Close()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var all [][]string
	for rows.Next() {
		values := make([]sql.NullString, len(names))
		dest := make([]any, len(names))
		for i := range values {
			dest[i] = &values[i]
		}
		if err := rows.Scan(dest...); err != nil {
			t.Fatal(err)
		}
		row := make([]string, len(names))
		for i, v := range values {
			row[i] = v.String
		}
		all = append(all, row)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}
