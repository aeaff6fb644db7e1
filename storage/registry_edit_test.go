package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

func edit(t *testing.T, s *Store, f func(context.Context, *RegistryEdit) error) {
	t.Helper()
	if err := s.EditRegistry(t.Context(), 0, func(r *RegistryEdit) error { return f(t.Context(), r) }); err != nil {
		t.Fatal(err)
	}
}

func newClient(clientID string) *Client {
	return &Client{ID: clientID, Metadata: Metadata{ClientName: "App", RedirectURIs: []string{"https://a.example/cb"}},
		Secrets: []ClientSecret{{KeyID: "k1", MAC: []byte{1, 2}}}}
}

func registered(t *testing.T, s *Store, clientID string) *Client {
	t.Helper()
	c := newClient(clientID)
	edit(t, s, func(ctx context.Context, r *RegistryEdit) error {
		return r.CreateClient(ctx, c, &Event{Type: "client.created"})
	})
	got, err := s.Client(t.Context(), clientID)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestEveryEditIsSeenByItsVersion(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		before, err := s.Version(t.Context(), VersionRegistry)
		if err != nil {
			t.Fatal(err)
		}
		registered(t, s, "app")
		after, err := s.Version(t.Context(), VersionRegistry)
		if err != nil || after != before+1 {
			t.Errorf("version: got %d, %v, want %d", after, err, before+1)
		}
		// What was worked out from an older registry is refused whole.
		err = s.EditRegistry(t.Context(), before, func(r *RegistryEdit) error { return r.CreateClient(t.Context(), newClient("late"), &Event{}) })
		if !errors.Is(err, ErrConflict) {
			t.Errorf("an edit of an old version: got %v, want ErrConflict", err)
		}
		// Nothing is half applied, and a failed edit is none.
		err = s.EditRegistry(t.Context(), after, func(r *RegistryEdit) error {
			return errors.Join(r.CreateClient(t.Context(), newClient("first"), &Event{Type: "client.created"}), r.CreateClient(t.Context(), newClient("app"), &Event{}))
		})
		if !errors.Is(err, ErrExists) {
			t.Errorf("a taken client_id: got %v, want ErrExists", err)
		}
		if _, err := s.Client(t.Context(), "first"); !errors.Is(err, ErrNotFound) {
			t.Errorf("the other client of the edit: got %v, want ErrNotFound", err)
		}
		if v, _ := s.Version(t.Context(), VersionRegistry); v != after {
			t.Errorf("version after a failed edit: got %d, want %d", v, after)
		}
		if diff := cmp.Diff([]string{"client.created"}, recorded(t, s)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAClientIsChangedDisabledAndListed(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		o := organization(t, s, "acme-corp", uuid.Nil)
		c := registered(t, s, "app")
		registered(t, s, "other")
		c.Organization, c.ManagedBy, c.Metadata.ClientName = o.ID, ManagedByFile, "New"
		edit(t, s, func(ctx context.Context, r *RegistryEdit) error {
			return errors.Join(r.UpdateClient(ctx, c, &Event{}), r.DisableClient(ctx, "app", &Event{}))
		})
		got, err := s.Client(t.Context(), "app")
		if err != nil || got.Active() || got.Metadata.ClientName != "New" || got.Organization != o.ID || got.ManagedBy != ManagedByFile {
			t.Errorf("changed and disabled: got %+v, %v", got, err)
		}
		edit(t, s, func(ctx context.Context, r *RegistryEdit) error { return r.EnableClient(ctx, "app", &Event{}) })
		page, err := s.Clients(t.Context(), ClientQuery{Limit: 1})
		if err != nil || len(page) != 1 || page[0].ID != "app" || !page[0].Active() || len(page[0].Secrets) != 1 {
			t.Errorf("first page: got %+v, %v", page, err)
		}
		page, err = s.Clients(t.Context(), ClientQuery{After: "app"})
		if err != nil || len(page) != 1 || page[0].ID != "other" {
			t.Errorf("second page: got %+v, %v", page, err)
		}
		err = s.EditRegistry(t.Context(), 0, func(r *RegistryEdit) error { return r.DisableClient(t.Context(), "nobody", &Event{}) })
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("an unknown client: got %v, want ErrNotFound", err)
		}
	})
}

func TestADeletedClientIsATombstone(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		registered(t, s, "app")
		bob := person(t, s, "bob@acme-corp.com")
		_, ended := access(t, s, bob, "app", uuid.Nil)
		_, other := access(t, s, bob, "other", uuid.Nil)
		edit(t, s, func(ctx context.Context, r *RegistryEdit) error {
			return errors.Join(r.PutResource(ctx, &Resource{Identifier: "https://api.example", ServedBy: []string{"app"}}, &Event{}),
				r.DeleteClient(ctx, "app", &Event{Type: "client.deleted"}))
		})
		wantEnds(t, ended, "", EndClientDeleted)
		wantEnds(t, other, "", "")
		c, err := s.Client(t.Context(), "app")
		if err != nil || c.DeletedAt.IsZero() || c.Metadata.ClientName != "" || len(c.Secrets) != 0 {
			t.Errorf("the tombstone: got %+v, %v", c, err)
		}
		err = s.EditRegistry(t.Context(), 0, func(r *RegistryEdit) error { return r.CreateClient(t.Context(), newClient("app"), &Event{}) })
		if !errors.Is(err, ErrExists) {
			t.Errorf("its client_id for another: got %v, want ErrExists", err)
		}
		live, err := s.Clients(t.Context(), ClientQuery{})
		if err != nil || len(live) != 0 {
			t.Errorf("live clients: got %v, %v, want none", live, err)
		}
		all, err := s.Clients(t.Context(), ClientQuery{Deleted: true})
		if err != nil || len(all) != 1 {
			t.Errorf("with tombstones: got %v, %v, want one", all, err)
		}
		resources, err := s.Resources(t.Context())
		if err != nil || len(resources) != 1 || len(resources[0].ServedBy) != 0 {
			t.Errorf("resources: got %+v, %v, want one that nobody serves", resources, err)
		}
	})
}

func TestSecretsOverlapByTwo(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		now := time.Now().UTC().Truncate(time.Microsecond)
		s.now = func() time.Time { return now }
		registered(t, s, "app")
		secrets := func() (keys []string) {
			c, err := s.Client(t.Context(), "app")
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range c.Secrets {
				state := k.KeyID
				if !k.ExpiresAt.IsZero() {
					state += fmt.Sprint(" ends in ", k.ExpiresAt.Sub(now))
				}
				keys = append(keys, state)
			}
			return keys
		}
		for _, step := range []struct {
			key     string
			overlap time.Duration
			want    []string
		}{
			{"k2", time.Hour, []string{"k2", "k1 ends in 1h0m0s"}},
			{"k3", 2 * time.Hour, []string{"k3", "k2 ends in 2h0m0s"}}, // the third ends the first
			{"k4", 0, []string{"k4"}},                                  // a leaked one must not live on
		} {
			now = now.Add(time.Second)
			edit(t, s, func(ctx context.Context, r *RegistryEdit) error {
				return r.AddSecret(ctx, "app", &ClientSecret{KeyID: step.key, MAC: []byte{1}}, now.Add(step.overlap), &Event{})
			})
			if diff := cmp.Diff(step.want, secrets()); diff != "" {
				t.Error(diff)
			}
		}
	})
}

func TestAnAdoptedSecretIsSeenOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		c := newClient("app")
		c.Secrets = []ClientSecret{{PHC: "$2b$…"}}
		edit(t, s, func(ctx context.Context, r *RegistryEdit) error { return r.CreateClient(ctx, c, &Event{}) })
		read, err := s.Client(t.Context(), "app")
		if err != nil {
			t.Fatal(err)
		}
		if counts, err := s.ClientSecretKeys(t.Context()); err != nil || counts[""] != 1 {
			t.Errorf("secrets by key: got %v, %v, want one without", counts, err)
		}
		before, _ := s.Version(t.Context(), VersionRegistry)
		for range 2 {
			if err := s.AdoptSecret(t.Context(), &read.Secrets[0], "k1", []byte{7}, "fingerprint"); err != nil {
				t.Fatal(err)
			}
		}
		if v, _ := s.Version(t.Context(), VersionRegistry); v != before+1 {
			t.Errorf("version: got %d, want %d", v, before+1)
		}
		got, err := s.Client(t.Context(), "app")
		if err != nil || got.Secrets[0].KeyID != "k1" || got.Secrets[0].PHC != "fingerprint" || got.Secrets[0].MAC[0] != 7 {
			t.Errorf("got %+v, %v", got.Secrets, err)
		}
		at := s.clock()
		if err := s.TouchClients(t.Context(), []ClientUse{{"app", got.Secrets[0].ID, at}, {"app", uuid.Nil, at.Add(-time.Hour)}}); err != nil {
			t.Fatal(err)
		}
		got, err = s.Client(t.Context(), "app")
		if err != nil || !got.LastUsedAt.Equal(at) || !got.Secrets[0].LastUsedAt.Equal(at) {
			t.Errorf("last used: got %v and %v, %v, want %v", got.LastUsedAt, got.Secrets[0].LastUsedAt, err, at)
		}
	})
}

func TestAResourceIsReplacedWhole(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		registered(t, s, "app")
		for _, want := range []Resource{
			{Identifier: "https://api.example", Name: "API", Scopes: map[string]string{"a": "A.", "b": "B."}, ServedBy: []string{"app"}},
			{Identifier: "https://api.example", Name: "API 2", ManagedBy: ManagedByFile, Scopes: map[string]string{"c": "C."}},
		} {
			edit(t, s, func(ctx context.Context, r *RegistryEdit) error { return r.PutResource(ctx, &want, &Event{}) })
			got, err := s.Resources(t.Context())
			if err != nil || len(got) != 1 {
				t.Fatalf("got %v, %v, want one resource", got, err)
			}
			got[0].CreatedAt, got[0].UpdatedAt = time.Time{}, time.Time{}
			if diff := cmp.Diff(want, got[0]); diff != "" {
				t.Error(diff)
			}
		}
		edit(t, s, func(ctx context.Context, r *RegistryEdit) error {
			return r.DeleteResource(ctx, "https://api.example", &Event{})
		})
		if got, err := s.Resources(t.Context()); err != nil || len(got) != 0 {
			t.Errorf("after deletion: got %v, %v, want none", got, err)
		}
		err := s.EditRegistry(t.Context(), 0, func(r *RegistryEdit) error {
			return r.PutResource(t.Context(), &Resource{Identifier: "https://x.example", ServedBy: []string{"nobody"}}, &Event{})
		})
		if !errors.Is(err, ErrConflict) {
			t.Errorf("served by a client that is none: got %v, want ErrConflict", err)
		}
	})
}

// Registrations made before "auto" existed have a boolean or nothing, and mean the same as ever.
func TestARegistrationKeepsItsRequirePKCE(t *testing.T) {
	for stored, want := range map[string]PKCE{
		`{}`: PKCEOptional, `{"require_pkce":false}`: PKCEOptional, `{"require_pkce":true}`: PKCERequired, `{"require_pkce":"auto"}`: PKCEAuto,
	} {
		var m Metadata
		if err := json.Unmarshal([]byte(stored), &m); err != nil || m.RequirePKCE != want {
			t.Errorf("%s is read as %s, %v; want %s", stored, m.RequirePKCE, err, want)
		}
		again, err := json.Marshal(m)
		if written := strings.Replace(stored, `"require_pkce":false`, "", 1); err != nil || string(again) != written {
			t.Errorf("%s is written as %s, %v", stored, again, err)
		}
	}
	for _, stored := range []string{`"true"`, `"required"`, `1`, `null`, `["auto"]`} {
		var p PKCE
		if err := json.Unmarshal([]byte(stored), &p); err == nil {
			t.Errorf("%s is read as %s", stored, p)
		}
	}
}

// The way down leaves no value that the version before cannot read, and nothing weaker.
func TestTheWayDownOfRequirePKCEIsTheStricterValue(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		for id, policy := range map[string]PKCE{"auto": PKCEAuto, "true": PKCERequired, "false": PKCEOptional} {
			c := &Client{ID: id, Metadata: Metadata{ClientName: `"require_pkce":"auto`, RequirePKCE: policy}}
			err := s.EditRegistry(ctx, 0, func(r *RegistryEdit) error { return r.CreateClient(ctx, c, &Event{Type: "client.created"}) })
			if err != nil {
				t.Fatal(err)
			}
		}
		for {
			if schemaOf(t, s).Columns["clients.unprotected_at"] == "" {
				break
			}
			if err := s.MigrateDown(ctx); err != nil {
				t.Fatal(err)
			}
		}
		for id, want := range map[string]string{"auto": `true`, "true": `true`, "false": ``} {
			var text string
			if err := s.writer.GetContext(ctx, &text, s.writer.Rebind(`SELECT metadata FROM clients WHERE id = ?`), id); err != nil {
				t.Fatal(err)
			}
			var m map[string]json.RawMessage
			if err := json.Unmarshal([]byte(text), &m); err != nil || string(m["require_pkce"]) != want {
				t.Errorf("%s became %s, %v", id, text, err)
			}
		}
	})
}

// The sweep deletes what versions changed row by row: a version of which one row is left tells half of its changes.
func TestANodeThatWasAwayForgetsEverything(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		ctx, clock, registry := t.Context(), stopClock(s), NewRegistry(s)
		audience := func(scope string) []string {
			t.Helper()
			for _, id := range []string{"one", "two"} {
				raw(t, s, `DELETE FROM registry_changes WHERE id = ?`, id)
			}
			if err := registry.Refresh(ctx); err != nil {
				t.Fatal(err)
			}
			scopes, err := registry.Scopes(ctx)
			if err != nil {
				t.Fatal(err)
			}
			return scopes.Audience(scope)
		}
		put := func(scope string) {
			t.Helper()
			err := s.EditRegistry(ctx, 0, func(r *RegistryEdit) error {
				var errs []error
				for _, id := range []string{"one", "two", "three"} {
					errs = append(errs, r.PutResource(ctx, &Resource{Identifier: id, Scopes: map[string]string{scope: "Do it"}}, &Event{Type: EventResourceCreated}))
				}
				return errors.Join(errs...)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		put("read")
		if got := audience("read"); len(got) != 3 {
			t.Fatalf("read is a scope of %v, want all three", got)
		}
		put("write")
		clock.add(keepChange)
		if got := audience("write"); len(got) != 3 {
			t.Errorf("after an hour without a look, write is a scope of %v, want all three", got)
		}
	})
}
