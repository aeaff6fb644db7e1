package harness

import (
	"bytes"
	"database/sql"
	"fmt"
	"strings"
	"testing"
)

// Contents is everything the database holds, one row a line, for tests that look
// for what must not be in there. Bytes stand as they are, but for line breaks.
func (s *Server) Contents(t testing.TB) string {
	t.Helper()
	db, tables := s.openDatabase(t)
	defer db.Close()
	var out strings.Builder
	for _, table := range tables {
		rows, err := db.QueryContext(t.Context(), `SELECT * FROM `+table)
		if err != nil {
			t.Fatal(err)
		}
		columns, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		cells := make([]sql.RawBytes, len(columns))
		into := make([]any, len(columns))
		for i := range cells {
			into[i] = &cells[i]
		}
		for rows.Next() {
			if err := rows.Scan(into...); err != nil {
				t.Fatal(err)
			}
			out.WriteString(table)
			for i, c := range cells {
				fmt.Fprintf(&out, " %s=%s", columns[i], bytes.ReplaceAll(c, []byte("\n"), []byte(`\n`)))
			}
			out.WriteByte('\n')
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

// Exec runs a statement behind the server's back: a trigger, say, for what happens at
// a moment that no request can hit.
func (s *Server) Exec(t testing.TB, statement string) {
	t.Helper()
	ExecOn(t, s.databaseURL, statement)
}

// ExecOn runs a statement on a database.
func ExecOn(t testing.TB, databaseURL, statement string) {
	t.Helper()
	db := connect(t, databaseURL)
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

func connect(t testing.TB, databaseURL string) *sql.DB {
	t.Helper()
	driver, dsn := "postgres", databaseURL
	if path, ok := strings.CutPrefix(databaseURL, "sqlite://"); ok {
		driver, dsn = "sqlite", "file:"+path
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// openDatabase opens the server's database beside it, and names its tables.
func (s *Server) openDatabase(t testing.TB) (*sql.DB, []string) {
	t.Helper()
	list := `SELECT tablename FROM pg_tables WHERE schemaname = 'public'`
	if strings.HasPrefix(s.databaseURL, "sqlite://") {
		list = `SELECT name FROM sqlite_master WHERE type = 'table'`
	}
	db := connect(t, s.databaseURL)
	rows, err := db.QueryContext(t.Context(), list)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var tables []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		tables = append(tables, name)
	}
	if err := rows.Err(); err != nil || len(tables) == 0 {
		t.Fatalf("tables %v: %v", tables, err)
	}
	return db, tables
}

// Count counts the rows of a database that from names: a table, with conditions.
func Count(t testing.TB, databaseURL, from string) int {
	t.Helper()
	db := connect(t, databaseURL)
	defer db.Close()
	n := 0
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM "+from).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
