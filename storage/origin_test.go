package storage

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

// origins are the indexed origins by client.
func origins(t *testing.T, s *Store) map[string][]string {
	t.Helper()
	var rows []struct {
		Client string `db:"client_id"`
		Origin string `db:"origin"`
	}
	if err := s.writer.SelectContext(t.Context(), &rows, `SELECT client_id, origin FROM client_origins ORDER BY client_id, origin`); err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for _, r := range rows {
		all[r.Client] = append(all[r.Client], r.Origin)
	}
	return all
}

func TestOriginsFollowTheirClient(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		c := registered(t, s, "app")
		event := func() *Event { return &Event{Type: "client.updated"} }
		update := func(m Metadata) func(context.Context, *RegistryEdit) error {
			return func(ctx context.Context, r *RegistryEdit) error {
				c.Metadata = m
				return r.UpdateClient(ctx, c, event())
			}
		}
		for _, step := range []struct {
			name   string
			change func(context.Context, *RegistryEdit) error
			want   []string
		}{
			{"made", nil, []string{"https://a.example"}},
			{"other redirects", update(Metadata{RedirectURIs: []string{"https://b.example:8443/cb", "https://b.example:8443/other", "http://127.0.0.1:3000/cb",
				"http://[::1]/cb", "com.example.app:/cb"}}), []string{"http://127.0.0.1:3000", "http://[::1]", "https://b.example:8443"}},
			{"web origins", update(Metadata{RedirectURIs: []string{"https://c.example/cb?x=1"}, WebOrigins: []string{"https://spa.example"}}), []string{"https://c.example", "https://spa.example"}},
			{"one more redirect", func(ctx context.Context, r *RegistryEdit) error {
				return r.editRedirects(ctx, "app", func(all []string) []string { return append(all, "https://test.example/cb") })
			}, []string{"https://c.example", "https://spa.example", "https://test.example"}},
			{"disabled", func(ctx context.Context, r *RegistryEdit) error { return r.DisableClient(ctx, "app", event()) }, nil},
			{"changed while disabled", update(Metadata{RedirectURIs: []string{"https://d.example/cb"}}), nil},
			{"enabled", func(ctx context.Context, r *RegistryEdit) error { return r.EnableClient(ctx, "app", event()) }, []string{"https://d.example"}},
			{"machine", update(Metadata{}), nil},
			{"a page again", update(Metadata{RedirectURIs: []string{"https://e.example/"}}), []string{"https://e.example"}},
			{"deleted", func(ctx context.Context, r *RegistryEdit) error { return r.DeleteClient(ctx, "app", event()) }, nil},
		} {
			if step.change != nil {
				edit(t, s, step.change)
			}
			if diff := cmp.Diff(step.want, origins(t, s)["app"]); diff != "" {
				t.Errorf("%s: %s", step.name, diff)
			}
		}
	})
}

// A node of the release before writes clients without their origins while the nodes are replaced one by one.
func TestAServerThatStartsCorrectsTheOrigins(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		long := WithLongCalls(t.Context(), time.Minute)
		err := s.EditRegistry(long, 0, func(r *RegistryEdit) error {
			for range 600 { // more than a batch
				if err := r.CreateClient(long, newClient(uuid.NewString()), &Event{Type: "client.created"}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, clientID := range []string{"new", "Changed", "disabled", "deleted", "enabled", "kept"} {
			registered(t, s, clientID)
		}
		version := func() int64 {
			n, err := s.Version(t.Context(), VersionRegistry)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		want := origins(t, s)
		before := version()
		if err := s.IndexOrigins(t.Context()); err != nil || version() != before {
			t.Errorf("where all agree: got %v and version %d, want %d", err, version(), before)
		}
		raw(t, s, `DELETE FROM client_origins WHERE client_id = 'new'`)
		raw(t, s, `UPDATE clients SET metadata = '{"web_origins":["https://z.example"],"redirect_uris":["https://a.example/cb"]}' WHERE id = 'Changed'`)
		raw(t, s, `UPDATE clients SET disabled_at = 1 WHERE id = 'disabled'`)
		raw(t, s, `UPDATE clients SET metadata = '{}', deleted_at = 1 WHERE id = 'deleted'`)
		raw(t, s, `DELETE FROM client_origins WHERE client_id = 'enabled'`)
		want["Changed"] = []string{"https://a.example", "https://z.example"}
		delete(want, "disabled")
		delete(want, "deleted")
		if err := s.IndexOrigins(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, origins(t, s)); diff != "" {
			t.Error(diff)
		}
		if version() == before {
			t.Error("other nodes are not told")
		}
		raw(t, s, `DELETE FROM client_origins`) // as the migration makes it
		if err := s.IndexOrigins(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, origins(t, s)); diff != "" {
			t.Errorf("from nothing: %s", diff)
		}
	})
}
