package harness

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/storage"
)

// FilledDatabase is the URL of a PostgreSQL database of this test's own with that many rows in every table that grows,
// analysed. The rows mean nothing: they have as many for each person, organization and session in a large database as
// in a small one, and all belong to ten clients.
func FilledDatabase(t testing.TB, rows int) string {
	t.Helper()
	url := NewDatabase(t, storage.Postgres)
	db, err := sql.Open("postgres", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ctx := context.WithoutCancel(t.Context())
	run := func(statement string) {
		t.Helper()
		if _, err := db.ExecContext(ctx, statement); err != nil {
			t.Fatalf("%v: %s", err, statement)
		}
	}
	list := func(query string, args ...any) (found []string) {
		t.Helper()
		all, err := db.QueryContext(ctx, query, args...)
		if err != nil {
			t.Fatal(err)
		}
		defer all.Close()
		for all.Next() {
			var s string
			if err := all.Scan(&s); err != nil {
				t.Fatal(err)
			}
			found = append(found, s)
		}
		return found
	}
	for _, drop := range list(`SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) FROM pg_constraint
		WHERE contype = 'f' AND connamespace = 'public'::regnamespace`) {
		run(drop)
	}
	for _, table := range list(`SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE' ORDER BY 1`) {
		if slices.Contains(bounded, table) {
			continue
		}
		var names, values []string
		for _, column := range list(`SELECT a.attname || ' ' || format_type(a.atttypid, NULL) || CASE WHEN EXISTS
				(SELECT 1 FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisunique AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum)
				THEN ' unique' WHEN a.attnotnull THEN ' required' ELSE ' optional' END
			FROM pg_attribute a WHERE a.attrelid = CAST($1 AS regclass) AND a.attnum > 0 AND NOT a.attisdropped`, table) {
			name, rest, _ := strings.Cut(column, " ")
			kind, has, _ := strings.Cut(rest, " ")
			names, values = append(names, name), append(values, filler(table, name, kind, has, rows))
		}
		run(fmt.Sprintf(`INSERT INTO %s (%s) SELECT %s FROM generate_series(1, %d) AS n ON CONFLICT DO NOTHING`,
			table, strings.Join(names, ", "), strings.Join(values, ", "), rows))
	}
	run(`ANALYZE`)
	return url
}

// filler is the expression for a column's value in row n.
func filler(table, name, kind, has string, rows int) string {
	few := "n / 4"
	if name == "organization_id" { // otherwise than user_id, with which it is a key
		few = fmt.Sprintf("n %% %d", max(1, rows/4))
	}
	switch {
	case kind == "boolean":
		return "n % 2 = 0"
	case kind == "bigint" || kind == "integer":
		if has == "optional" {
			return "CASE WHEN n % 2 = 0 THEN n END"
		}
		return "n"
	case name == "platform_roles":
		return "CASE WHEN n <= 2 THEN 'superadmin' ELSE '' END"
	case isCoarse(table, name):
		return "'value ' || n % 10"
	case has == "unique":
		few = "n"
	}
	switch kind {
	case "uuid":
		return "CAST(md5(CAST(" + few + " AS text)) AS uuid)"
	case "bytea":
		return "sha256(CAST(CAST(" + few + " AS text) AS bytea))"
	}
	return "md5(CAST(" + few + " AS text))"
}
