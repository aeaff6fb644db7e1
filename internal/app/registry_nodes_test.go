package app_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// node is a process with its copy of the registry.
type node struct {
	count    harness.Counter
	store    *storage.Store
	registry *storage.Registry
}

// queries returns what is asked of the database to read.
func (n *node) queries(t *testing.T, read func() error) []string {
	t.Helper()
	n.count.Reset()
	if err := read(); err != nil {
		t.Fatal(err)
	}
	_, queries := n.count.Trips()
	return queries
}

func (n *node) edit(t *testing.T, edit func(*storage.RegistryEdit) error) {
	t.Helper()
	if err := n.store.EditRegistry(t.Context(), 0, edit); err != nil {
		t.Fatal(err)
	}
}

// Each registration of one of 20,000 clients would else cost every node 20,000 queries.
func TestAChangeOfOneClientLeavesTheOthersCachedOnEveryNode(t *testing.T) {
	for _, engine := range []storage.Engine{storage.SQLite, storage.Postgres} {
		t.Run(string(engine), func(t *testing.T) {
			ctx, databaseURL := t.Context(), harness.NewDatabase(t, engine)
			nodes := make([]*node, 2)
			for i := range nodes {
				n := &node{}
				var err error
				if n.store, err = storage.Open(ctx, storage.Config{URL: databaseURL, Wrap: n.count.Wrap}); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = n.store.Close() })
				n.registry, nodes[i] = storage.NewRegistry(n.store), n
			}
			writer := nodes[0]
			ids := []string{"first", "second", "third"}
			writer.edit(t, func(r *storage.RegistryEdit) error {
				var errs []error
				for _, id := range ids {
					c := &storage.Client{ID: id, Metadata: storage.Metadata{RedirectURIs: []string{"https://" + id + ".example/cb"}}}
					errs = append(errs, r.CreateClient(ctx, c, &storage.Event{Type: storage.EventClientCreated}))
				}
				for _, id := range []string{"https://one.example", "https://two.example"} {
					errs = append(errs, r.PutResource(ctx, &storage.Resource{Identifier: id, Scopes: map[string]string{"read": "Read"}, ServedBy: []string{"third"}},
						&storage.Event{Type: storage.EventResourceCreated}))
				}
				return errors.Join(errs...)
			})
			readAll := func(n *node, but ...string) func() error {
				return func() error {
					for _, id := range ids {
						if slices.Contains(but, id) {
							continue
						}
						if _, err := n.registry.Client(ctx, id); err != nil {
							return err
						}
						if known, err := n.registry.KnownOrigin(ctx, "https://"+id+".example"); err != nil || !known {
							return errors.Join(errors.New("the origin of "+id+" is unknown"), err)
						}
					}
					_, settingsErr := n.registry.Settings(ctx)
					_, err := n.registry.Scopes(ctx)
					return errors.Join(settingsErr, err)
				}
			}
			refresh := func() {
				for _, n := range nodes {
					if err := n.registry.Refresh(ctx); err != nil {
						t.Fatal(err)
					}
				}
			}
			refresh()
			for _, n := range nodes {
				if got, atLeast := len(n.queries(t, readAll(n))), 3*2+1+2; got < atLeast {
					t.Fatalf("a node that has cached nothing: %d queries, want %d at least", got, atLeast)
				}
			}

			writer.edit(t, func(r *storage.RegistryEdit) error {
				return r.DisableClient(ctx, "second", &storage.Event{Type: storage.EventClientDisabled})
			})
			refresh()
			for i, n := range nodes {
				if got := n.queries(t, readAll(n, "second")); len(got) > 0 {
					t.Errorf("node %d: what did not change was read again: %q", i, got)
				}
				if got := n.queries(t, func() error {
					c, err := n.registry.Client(ctx, "second")
					if err == nil && c.Active() {
						t.Errorf("node %d takes the client for active after it was disabled", i)
					}
					return err
				}); len(got) != 1 {
					t.Errorf("node %d: the client that changed took %q, want one query", i, got)
				}
				if known, err := n.registry.KnownOrigin(ctx, "https://second.example"); err != nil || known {
					t.Errorf("node %d: the origin of the disabled client: got known %v, %v", i, known, err)
				}
			}

			writer.edit(t, func(r *storage.RegistryEdit) error {
				return r.PutResource(ctx, &storage.Resource{Identifier: "https://two.example", Scopes: map[string]string{"write": "Write"}},
					&storage.Event{Type: storage.EventResourceCreated})
			})
			refresh()
			for i, n := range nodes {
				for _, query := range n.queries(t, readAll(n, "second")) {
					if !strings.Contains(query, "resource") || !strings.Contains(query, "WHERE") {
						t.Errorf("node %d: after a change of one resource, more than it was read: %s", i, query)
					}
				}
				scopes, err := n.registry.Scopes(ctx)
				if err != nil || !slices.Equal(scopes.Audience("write"), []string{"https://two.example"}) || !slices.Equal(scopes.Audience("read"), []string{"https://one.example"}) {
					t.Errorf("node %d: scopes %v, %v", i, scopes, err)
				}
			}

			// A deleted client serves no resource any more.
			writer.edit(t, func(r *storage.RegistryEdit) error {
				return r.DeleteClient(ctx, "third", &storage.Event{Type: storage.EventClientDeleted})
			})
			refresh()
			for i, n := range nodes {
				scopes, err := n.registry.Scopes(ctx)
				if err != nil || scopes.Serves("third", []string{"https://one.example"}) {
					t.Errorf("node %d: the deleted client still serves a resource (%v)", i, err)
				}
			}

			// A node of the release before makes a version and does not say what it changed.
			harness.ExecOn(t, databaseURL, `UPDATE clients SET disabled_at = 1 WHERE id = 'first'`)
			harness.ExecOn(t, databaseURL, `UPDATE versions SET n = n + 1 WHERE name = 'registry'`)
			refresh()
			for i, n := range nodes {
				if c, err := n.registry.Client(ctx, "first"); err != nil || c.Active() {
					t.Errorf("node %d: a change that no row tells of is not seen: %v, %v", i, c, err)
				}
			}
		})
	}
}
