package harness

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/storage"
)

// bounded are the tables that do not grow with people, clients or traffic: reading one of them whole is no fault.
var bounded = []string{"versions", "leases", "settings", "signing_keys", "resources", "resource_scopes", "resource_servers",
	"connections", "goose_db_version"}

// boundedIndexes hold only a few of their table's rows, and may be read whole: the people with platform roles.
var boundedIndexes = []string{"users_platform_roles"}

// coarse are the columns of which one value can have as many rows as the table: a client's grants grow with its people.
// A client has a few secrets and one logo only.
var coarse = []string{"client_id", "kind", "purpose", "type", "role"}

func isCoarse(table, column string) bool {
	return table != "client_secrets" && table != "client_logos" && slices.Contains(coarse, column)
}

// unhurried are the statements of requests that may read much, and why.
var unhurried = map[string]string{
	"SELECT COUNT(*), MIN(created_at) FROM outbox WHERE done_at IS NULL": "health checks and metrics count the backlog, which delivery keeps short",
	"FROM outbox WHERE kind = $1 ORDER BY id DESC LIMIT":                 "the development outbox lists its mails",
}

// requestKey marks the context of an HTTP request, so that the statements of requests are told from those of
// background jobs, commands and the tests themselves.
type requestKey struct{}

// Statements are the statements that HTTP requests sent to PostgreSQL.
type Statements struct {
	mu  sync.Mutex
	all map[string]bool
}

// planned are the statements that have a plan. A health check sends others.
var planned = []string{"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"}

func (s *Statements) record(ctx context.Context, query string) {
	verb, _, _ := strings.Cut(strings.TrimSpace(query), " ")
	verb, _, _ = strings.Cut(verb, "\n")
	if ctx.Value(requestKey{}) == nil || !slices.Contains(planned, verb) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[string]bool{}
	}
	s.all[query] = true
}

// List returns the statements that may not read much, sorted.
func (s *Statements) List() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Sorted(maps.Keys(s.all)), func(q string) bool {
		for part := range unhurried {
			if strings.Contains(q, part) {
				return true
			}
		}
		return false
	})
}

// explained holds the statements that this test binary has explained already.
var explained sync.Map

// checkPlans reports the statements of s that read a table that grows from end to end while the database is new.
func (s *Statements) checkPlans(t testing.TB) {
	t.Helper()
	var fresh []string
	for _, q := range s.List() {
		if _, seen := explained.LoadOrStore(q, true); !seen {
			fresh = append(fresh, q)
		}
	}
	if len(fresh) == 0 {
		return
	}
	url, err := databaseForPlans(variable(t, "SALLYPORT_TEST_POSTGRES_URL"))
	if err != nil {
		t.Fatal(err)
	}
	p := OpenPlanner(t, url)
	for _, q := range fresh {
		plan := p.Explain(t, q)
		if reads := plan.ReadsWhole(); len(reads) > 0 {
			t.Errorf("on a new database a request reads all of %s: give it an index or change it:\n%s\n%s",
				strings.Join(reads, ", "), q, plan.Text)
		}
	}
}

var plansDatabase struct {
	once sync.Once
	url  string
	err  error
}

// databaseForPlans is a migrated, empty database that all tests of this binary may read. Like the template, which
// must have no connections, it is left behind.
func databaseForPlans(server string) (string, error) {
	d := &plansDatabase
	d.once.Do(func() {
		name := "plans_" + strings.ReplaceAll(uuid.NewString(), "-", "")
		if d.err = admin(server, `CREATE DATABASE `+name); d.err != nil {
			return
		}
		d.url = at(server, name)
		var s *storage.Store
		if s, d.err = storage.Open(context.Background(), storage.Config{URL: d.url}); d.err != nil {
			return
		}
		defer s.Close()
		d.err = s.Migrate(context.Background())
	})
	return d.url, d.err
}

// Planner explains statements on a connection as the product opens it.
type Planner struct{ conn *sql.Conn }

// OpenPlanner connects to a PostgreSQL database until the test ends. Its plans are generic ones: those that a
// connection keeps for a prepared statement, whatever the tables have become since.
func OpenPlanner(t testing.TB, databaseURL string) *Planner {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	var product driver.Connector
	s, err := storage.Open(ctx, storage.Config{URL: databaseURL, Wrap: func(c driver.Connector) driver.Connector {
		product = c
		return c
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(product)
	conn, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	p := &Planner{conn}
	p.exec(t, `SET plan_cache_mode = force_generic_plan`)
	return p
}

func (p *Planner) exec(t testing.TB, statement string) {
	t.Helper()
	if _, err := p.conn.ExecContext(context.WithoutCancel(t.Context()), statement); err != nil {
		t.Fatalf("%v: %s", err, statement)
	}
}

// Plan is how PostgreSQL would run a statement.
type Plan struct {
	// Cost is the planner's estimate for the whole statement.
	Cost float64
	// Text is the plan for people to read.
	Text string

	nodes []planNode
}

type planNode struct {
	Type        string  `json:"Node Type"`
	Relation    string  `json:"Relation Name"`
	Index       string  `json:"Index Name"`
	IndexCond   string  `json:"Index Cond"`
	RecheckCond string  `json:"Recheck Cond"`
	TIDCond     string  `json:"TID Cond"`
	Cost        float64 `json:"Total Cost"`
	Plans       []planNode

	first bool // a LIMIT ends it after the first rows
}

// Explain returns the generic plan of a statement.
func (p *Planner) Explain(t testing.TB, query string) Plan {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	p.exec(t, `PREPARE planned AS `+query)
	defer p.exec(t, `DEALLOCATE planned`)
	var execute string
	err := p.conn.QueryRowContext(ctx, `SELECT 'EXECUTE planned' ||
		CASE cardinality(parameter_types) WHEN 0 THEN '' ELSE '(' || repeat('NULL, ', cardinality(parameter_types) - 1) || 'NULL)' END
		FROM pg_prepared_statements WHERE name = 'planned'`).Scan(&execute)
	if err != nil {
		t.Fatalf("%v: %s", err, query)
	}
	var explanation string
	if err := p.conn.QueryRowContext(ctx, `EXPLAIN (FORMAT JSON) `+execute).Scan(&explanation); err != nil {
		t.Fatalf("%v: %s", err, query)
	}
	var root []struct{ Plan planNode }
	if err := json.Unmarshal([]byte(explanation), &root); err != nil {
		t.Fatal(err)
	}
	plan := Plan{Cost: root[0].Plan.Cost}
	plan.add(root[0].Plan, 0)
	return plan
}

func (p *Plan) add(n planNode, depth int) {
	p.Text += fmt.Sprintf("%s%s %s %s%s%s %s cost %.0f\n", strings.Repeat("  ", depth), n.Type, n.Relation, n.Index, n.IndexCond, n.TIDCond, n.RecheckCond, n.Cost)
	for _, under := range n.Plans {
		under.first = n.Type == "Limit"
		p.add(under, depth+1)
	}
	n.Plans = nil
	p.nodes = append(p.nodes, n)
}

// ReadsWhole names the tables that grow and are read from end to end, and the joins that read a side of theirs whole.
func (p Plan) ReadsWhole() []string {
	var found []string
	for _, n := range p.nodes {
		grows := n.Relation != "" && !slices.Contains(bounded, n.Relation) && !slices.Contains(boundedIndexes, n.Index)
		switch {
		case n.Type == "Hash Join" || n.Type == "Merge Join":
			found = append(found, "a side of a "+strings.ToLower(n.Type))
		case grows && strings.HasSuffix(n.Type, "Scan") && n.IndexCond == "" && n.RecheckCond == "" && n.TIDCond == "":
			found = append(found, n.Relation)
		case grows && n.Type != "Bitmap Heap Scan" && !n.first && n.IndexCond != "" && !narrow(n.Relation, n.IndexCond):
			found = append(found, "the rows of "+n.Relation+" with "+n.IndexCond)
		}
	}
	return found
}

var equality = regexp.MustCompile(`(\w+)\)?(?:::\w+)? = `)

// narrow tells whether a condition names one value of a column that has few rows for each.
func narrow(table, condition string) bool {
	for _, m := range equality.FindAllStringSubmatch(condition, -1) {
		if !isCoarse(table, m[1]) {
			return true
		}
	}
	return false
}
