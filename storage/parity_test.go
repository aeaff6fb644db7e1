package storage

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// schema is what both engines must agree on, in words of our own.
type schema struct {
	// Columns is "table.column" → "type", with " not null" and " key" where so.
	Columns map[string]string
	// Indexes are "table (columns) unique" with the name of those that have one of ours.
	Indexes []string
}

// A query must mean the same on both engines, so the tables must.
func TestBothEnginesHaveTheSameSchema(t *testing.T) {
	got := map[Engine]schema{}
	eachEngine(t, func(t *testing.T, s *Store) { got[s.engine] = schemaOf(t, s) })
	if t.Failed() {
		return
	}
	if len(got[SQLite].Columns) < 100 {
		t.Fatalf("only %d columns were found", len(got[SQLite].Columns))
	}
	// SQLite has no type for either: ids are text there, truth is 0 and 1.
	pg := got[Postgres]
	for name, typ := range pg.Columns {
		typ = strings.Replace(typ, "uuid", "text", 1)
		pg.Columns[name] = strings.Replace(typ, "boolean", "integer", 1)
	}
	if diff := cmp.Diff(got[SQLite], pg); diff != "" {
		t.Errorf("schemas differ (-sqlite +postgres):\n%s", diff)
	}
}

func schemaOf(t *testing.T, s *Store) schema {
	t.Helper()
	columns := `SELECT m.name || '.' || c.name, lower(c.type), c."notnull" OR c.pk > 0, c.pk > 0
		FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'`
	indexes := `SELECT m.name, i.name, i."unique", i.partial,
			(SELECT group_concat(name, ', ' ORDER BY seqno) FROM pragma_index_info(i.name))
		FROM sqlite_master m JOIN pragma_index_list(m.name) i WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'`
	if s.engine == Postgres {
		columns = `SELECT c.table_name || '.' || c.column_name, c.data_type, c.is_nullable = 'NO', EXISTS (
				SELECT 1 FROM information_schema.key_column_usage k JOIN information_schema.table_constraints tc USING (constraint_schema, constraint_name)
				WHERE tc.constraint_type = 'PRIMARY KEY' AND k.table_name = c.table_name AND k.column_name = c.column_name)
			FROM information_schema.columns c WHERE c.table_schema = 'public'`
		indexes = `SELECT t.relname, i.relname, x.indisunique, x.indpred IS NOT NULL,
				(SELECT string_agg(a.attname, ', ' ORDER BY k.n) FROM unnest(x.indkey) WITH ORDINALITY k(attnum, n)
					JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.attnum)
			FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
			WHERE t.relnamespace = 'public'::regnamespace`
	}
	got := schema{Columns: map[string]string{}}
	rows, err := s.writer.Queryx(columns)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name, typ string
		var notNull, key bool
		if err := rows.Scan(&name, &typ, &notNull, &key); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(name, "goose_") {
			continue
		}
		typ = map[string]string{"bigint": "integer", "bytea": "blob"}[typ] + typ
		typ = strings.TrimSuffix(strings.TrimSuffix(typ, "bigint"), "bytea")
		if notNull {
			typ += " not null"
		}
		if key {
			typ += " key"
		}
		got.Columns[name] = typ
	}
	rows, err = s.writer.Queryx(indexes)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var table, name, columns string
		var unique, partial bool
		if err := rows.Scan(&table, &name, &unique, &partial, &columns); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(table, "goose_") {
			continue
		}
		// The engines name the indexes of keys and UNIQUE columns themselves.
		if strings.HasPrefix(name, "sqlite_autoindex_") || strings.HasSuffix(name, "_key") || strings.HasSuffix(name, "_pkey") {
			name = "-"
		}
		got.Indexes = append(got.Indexes, fmt.Sprintf("%s (%s) unique=%v partial=%v %s", table, columns, unique, partial, name))
	}
	slices.Sort(got.Indexes)
	return got
}
