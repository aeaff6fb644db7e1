package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
)

// scans are the tables that a statement would read from end to end, as far as the
// engine can help it: the tables are empty, where PostgreSQL would not care.
func scans(t *testing.T, s *Store, query string) []string {
	t.Helper()
	if s.engine == SQLite {
		return sqliteScans(t, s, query)
	}
	conn, err := s.writer.Connx(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	nulls := strings.TrimSuffix(strings.Repeat("NULL, ", strings.Count(query, "?")), ", ")
	if nulls != "" {
		nulls = "(" + nulls + ")"
	}
	for _, q := range []string{`SET enable_seqscan = off`, `SET plan_cache_mode = force_generic_plan`, `PREPARE planned AS ` + s.writer.Rebind(query)} {
		if _, err := conn.ExecContext(t.Context(), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	var plan string
	if err := conn.GetContext(t.Context(), &plan, `EXPLAIN (FORMAT JSON) EXECUTE planned`+nulls); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	if _, err := conn.ExecContext(t.Context(), `DISCARD ALL`); err != nil {
		t.Fatal(err)
	}
	var root []map[string]any
	if err := json.Unmarshal([]byte(plan), &root); err != nil {
		t.Fatal(err)
	}
	var found []string
	var walk func(node map[string]any)
	walk = func(node map[string]any) {
		kind := fmt.Sprint(node["Node Type"])
		if strings.HasSuffix(kind, "Scan") && node["Relation Name"] != nil && node["Index Name"] != smallIndex &&
			node["Index Cond"] == nil && node["Recheck Cond"] == nil && node["TID Cond"] == nil {
			found = append(found, fmt.Sprint(node["Relation Name"]))
		}
		under, _ := node["Plans"].([]any)
		for _, n := range under {
			walk(n.(map[string]any))
		}
	}
	walk(root[0]["Plan"].(map[string]any))
	return found
}

// smallIndex holds only people with platform roles, and may be read whole.
const smallIndex = "users_platform_roles"

func sqliteScans(t *testing.T, s *Store, query string) (found []string) {
	t.Helper()
	rows, err := s.writer.QueryxContext(t.Context(), `EXPLAIN QUERY PLAN `+query, make([]any, strings.Count(query, "?"))...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(detail, "SCAN ") && !strings.HasPrefix(detail, "SCAN CONSTANT") && !strings.Contains(detail, smallIndex) {
			found = append(found, detail)
		}
	}
	return found
}

// DO-03: a sweep looks at what it may delete, not at the whole table.
func TestASweepReadsByAnIndex(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		for _, w := range sweeps {
			if found := scans(t, s, w.query(s.engine)); len(found) > 0 {
				t.Errorf("sweeping %s by %s reads all of %v: add an index", w.table, w.column, found)
			}
		}
	})
}

// Deleting somebody, with an organization and its client, takes as long as what is
// theirs, however much others have.
func TestADeletionReadsByIndexes(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		user := person(t, s, "bob@acme-corp.com")
		own := organization(t, s, "own", user)
		edit(t, s, func(ctx context.Context, r *RegistryEdit) error {
			c := newClient("app")
			c.Organization = own.ID
			return r.CreateClient(ctx, c, &Event{Type: "client.created"})
		})
		lapsed := newPerson(s, "late@acme-corp.com")
		lapsed.EmailVerifiedAt = time.Time{}
		if err := s.CreateUsers(t.Context(), &NewUser{User: lapsed}); err != nil {
			t.Fatal(err)
		}
		if s.engine == Postgres { // an empty table's partial indexes all cost the same
			raw(t, s, `INSERT INTO grants (id, user_id, client_id, offline, scopes, audience, auth_time, acr, amr, created_at, expires_at)
				SELECT gen_random_uuid(), gen_random_uuid(), 'app' || n, true, '', '', 0, '', '', 0, 0 FROM generate_series(1, 1000) AS n`)
			raw(t, s, `ANALYZE grants`)
		}
		s.stmts = map[prepared]*sqlx.Stmt{} // from here on every statement is prepared anew
		if err := s.DeleteUser(t.Context(), user, uuid.Nil, &Event{Type: "user.deleted", User: user}); err != nil {
			t.Fatal(err)
		}
		if n, err := s.DeleteUnverified(t.Context(), s.clock(), &Pace{}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		var ran []string
		for k := range s.stmts {
			ran = append(ran, k.query)
		}
		if len(ran) < 20 {
			t.Fatalf("only %d statements were seen", len(ran))
		}
		for _, q := range slices.Compact(slices.Sorted(slices.Values(ran))) {
			if found := scans(t, s, q); len(found) > 0 {
				t.Errorf("reads all of %v: %s", found, q)
			}
		}
	})
}

// Lists, notices of deadlines and preflights read a page, however large the tables are.
func TestPagesAreReadByIndexes(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		user := person(t, s, "bob@acme-corp.com")
		acme := organization(t, s, "acme", user)
		registered(t, s, "app")
		s.stmts = map[prepared]*sqlx.Stmt{} // from here on every statement is prepared anew
		var errs []error
		read := func(_ any, err error) { errs = append(errs, err) }
		read(s.Users(t.Context(), uuid.Nil, 10))
		read(s.Organizations(t.Context(), uuid.Nil, 10))
		read(s.Members(t.Context(), acme.ID, uuid.Nil, 10))
		read(s.Members(t.Context(), acme.ID, uuid.Nil, 10))
		read(s.Invitations(t.Context(), acme.ID, uuid.Nil, 10))
		read(s.OrganizationPolicies(t.Context(), uuid.Nil, 10))
		read(s.Arrivals(t.Context(), ArrivalKey{}, s.clock(), 10))
		read(s.isOriginOfClient(t.Context(), "https://a.example"))
		read(nil, s.EditRegistry(t.Context(), 0, func(r *RegistryEdit) error { return r.indexOrigins(t.Context(), "app") }))
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		if len(s.stmts) < len(errs) {
			t.Fatalf("only %d statements were seen", len(s.stmts))
		}
		for k := range s.stmts {
			if found := scans(t, s, k.query); len(found) > 0 {
				t.Errorf("reads all of %v: %s", found, k.query)
			}
		}
	})
}
