package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// watched is an output that looks at the heap whenever something is written.
type watched struct {
	bytes.Buffer
	most int64
}

func (w *watched) Write(p []byte) (int, error) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	w.most = max(w.most, int64(m.HeapAlloc)-int64(w.Cap())) // but for what the test itself keeps
	return w.Buffer.Write(p)
}

// fillLists makes many people, members of one organization, as many organizations, and some clients.
func fillLists(t *testing.T, databaseURL string, many, clients int) {
	t.Helper()
	s, err := storage.Open(t.Context(), storage.Config{URL: databaseURL})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	node := "('019a0000-0000-7000-8000-' || printf('%012x', n))"
	if s.Engine() == storage.Postgres {
		node = "CAST('019a0000-0000-7000-8000-' || lpad(to_hex(n), 12, '0') AS uuid)"
	}
	numbers := fmt.Sprintf(`WITH RECURSIVE k(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM k WHERE n < %d) `, many)
	for _, insert := range []string{
		`INSERT INTO users (id, sub, email, email_key, email_verified_at, profile, created_at, updated_at)
			SELECT ` + node + `, ` + node + `, 'p' || n || '@many.example', 'p' || n || '@many.example', 1, '{"name":"Person Number ' || n || '"}', n, n FROM k`,
		`INSERT INTO organizations (id, slug, name, created_at, updated_at) SELECT ` + node + `, 'org-' || n, 'Organization ' || n, n, n FROM k`,
		`INSERT INTO memberships (organization_id, user_id, role, created_at) SELECT o.id, ` + node + `, 'member', n FROM k, organizations o WHERE o.slug = 'org-1'`,
	} {
		harness.ExecOn(t, databaseURL, numbers+insert)
	}
	long := storage.WithLongCalls(t.Context(), time.Minute)
	err = s.EditRegistry(long, 0, func(r *storage.RegistryEdit) error {
		for n := range clients {
			m := storage.Metadata{ClientName: fmt.Sprintf("Client %d", n), RedirectURIs: []string{fmt.Sprintf("https://c%d.example/cb", n)}}
			if err := r.CreateClient(long, &storage.Client{ID: uuid.NewString(), Metadata: m}, &storage.Event{Type: "client.created"}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A list is written as it is read: what the program holds does not grow with it.
func TestListsOfAnyLengthNeedLittleMemory(t *testing.T) {
	const many, clients = 20_000, 1_500
	for _, engine := range []storage.Engine{storage.SQLite, storage.Postgres} {
		t.Run(string(engine), func(t *testing.T) {
			emptyFolder(t)
			databaseURL := harness.NewDatabase(t, engine)
			fillLists(t, databaseURL, many, clients)
			for _, c := range []struct {
				want int
				args []string
			}{
				{many, []string{"users", "list"}}, {many, []string{"orgs", "list"}}, {many, []string{"orgs", "list", "org-1"}},
				{many, []string{"orgs", "compliance", "org-1"}}, {clients, []string{"clients", "list"}},
			} {
				for _, form := range [][]string{nil, {"--json"}} {
					list := func(limit string) *watched {
						var out watched
						var stderr bytes.Buffer
						args := slices.Concat(c.args, form, []string{"--limit", limit, "--set", "DATABASE_URL=" + databaseURL})
						if code := (&program{in: strings.NewReader(""), out: &out, err: &stderr}).run(t.Context(), args); code != 0 {
							t.Fatalf("%v: %d %s", args, code, stderr.String())
						}
						return &out
					}
					one, all := list("1"), list("0")
					if grown := all.most - one.most; grown > 3<<20 {
						t.Errorf("%v %v: the heap grows by %d kB", c.args, form, grown>>10)
					}
					if got := listed(t, all.Bytes(), form != nil); got != c.want {
						t.Errorf("%v %v: got %d rows, want %d", c.args, form, got, c.want)
					}
				}
			}
		})
	}
}

// listed counts the different rows of a list.
func listed(t *testing.T, out []byte, isJSON bool) int {
	t.Helper()
	rows := map[string]bool{}
	if isJSON {
		var all []json.RawMessage
		if err := json.Unmarshal(out, &all); err != nil {
			t.Fatal(err)
		}
		for _, v := range all {
			rows[string(v)] = true
		}
		return len(rows)
	}
	for line := range strings.Lines(string(out)) {
		rows[line] = true
	}
	return len(rows) - 1 // the header
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestListsLookAlikeWhateverTheirLength(t *testing.T) {
	type row struct {
		Name string `json:"name"`
		Note string `json:"note"`
	}
	list := func(p *program, n, limit int) error {
		return listAll(p.listing("name", "note"), limit, func(after, size int) ([]int, error) {
			var page []int
			for k := after + 1; k <= n && len(page) < size; k++ {
				page = append(page, k)
			}
			return page, nil
		}, func(k int) (any, []string, int) {
			v := row{strings.Repeat("é", k%7), fmt.Sprintf("<%d>\x1b", k)}
			return v, []string{v.Name, v.Note}, k
		})
	}
	for _, n := range []int{0, 1, 3, pageSize - 1, pageSize, pageSize + 1, 2 * pageSize, 2*pageSize + 7} {
		var text, streamed, whole bytes.Buffer
		if err := list(&program{out: &text}, n, 0); err != nil || strings.Count(text.String(), "\n") != n+1 || strings.Contains(text.String(), "\x1b") {
			t.Errorf("%d rows: got %v and %q", n, err, text.String())
		}
		values := []row{}
		for k := 1; k <= n; k++ {
			values = append(values, row{strings.Repeat("é", k%7), fmt.Sprintf("<%d>\x1b", k)})
		}
		p := &program{out: &whole, json: true}
		if err := errors.Join(list(&program{out: &streamed, json: true}, n, 0), p.list(values, nil, nil)); err != nil || streamed.String() != whole.String() {
			t.Errorf("%d rows as JSON: got %v\n%s\nwant\n%s", n, err, streamed.String(), whole.String())
		}
	}
	var text bytes.Buffer
	if err := list(&program{out: &text}, 3, 2); err != nil || text.String() != "NAME  NOTE\né     <1>?\néé    <2>?\n" {
		t.Errorf("two of three: got %v\n%s", err, text.String())
	}
	if err := list(&program{out: fullDisk{}}, 2*pageSize, 0); err == nil {
		t.Error("a full disk is not told of")
	}
}
