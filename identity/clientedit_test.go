package identity

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport-id/sallyport/storage"
)

// Two administrators change different fields at once. Neither change may take the other back.
func TestChangesOfAClientAtTheSameTimeAllStay(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		in.client(t, NewClient{ID: "app", Metadata: web()})
		edits := []func(*storage.Metadata) error{
			func(m *storage.Metadata) error { m.ClientName = "Portal"; return nil },
			func(m *storage.Metadata) error { m.AccessTokenFormat = "jwt"; return nil },
			func(m *storage.Metadata) error { m.ClaimsInIDToken = true; return nil },
			func(m *storage.Metadata) error { m.RequirePKCE = storage.PKCEAuto; return nil },
		}
		var all sync.WaitGroup
		for _, edit := range edits {
			all.Go(func() {
				if changes, err := in.Clients.Update(t.Context(), Operator(), "app", edit); err != nil || len(changes) != 1 {
					t.Errorf("got %q, %v", changes, err)
				}
			})
		}
		all.Wait()
		if m := in.read(t, "app").Metadata; m.ClientName != "Portal" || m.AccessTokenFormat != "jwt" || !m.ClaimsInIDToken || m.RequirePKCE != storage.PKCEAuto {
			t.Errorf("a change is lost: %+v", m)
		}
		unchanged, err := in.Clients.Update(t.Context(), Operator(), "app", edits[0])
		if err != nil || len(unchanged) != 0 {
			t.Errorf("the same once more: got %q, %v", unchanged, err)
		}
	})
}

// A change that would break the client, or its secret, is refused before anything is changed.
func TestAChangeOfAClientFollowsTheRulesOfItsRegistration(t *testing.T) {
	in := onSQLite(t)
	in.client(t, NewClient{ID: "app", Metadata: web()})
	in.register(t, func(r *storage.RegistryEdit) error {
		filed := storage.Client{ID: "filed", Metadata: web(), ManagedBy: storage.ManagedByFile}
		return r.CreateClient(t.Context(), &filed, ClientEvent(Operator(), storage.EventClientCreated, &filed))
	})
	before := in.read(t, "app")
	for field, edit := range map[string]func(*storage.Metadata){
		"redirect_uris":              func(m *storage.Metadata) { m.RedirectURIs = []string{"https://a.example/cb#x"} },
		"post_logout_redirect_uris":  func(m *storage.Metadata) { m.PostLogoutRedirectURIs = []string{"javascript:alert(1)"} },
		"scope":                      func(m *storage.Metadata) { m.Scope = "openid api:nothing" },
		"access_token_format":        func(m *storage.Metadata) { m.AccessTokenFormat = "saml" },
		"token_endpoint_auth_method": func(m *storage.Metadata) { m.TokenEndpointAuthMethod = "none" },
	} {
		_, err := in.Clients.Update(t.Context(), Operator(), "app", func(m *storage.Metadata) error { edit(m); return nil })
		faults, _ := errors.AsType[FieldErrors](err)
		if !slices.ContainsFunc(faults, func(f FieldError) bool { return f.Field == field }) {
			t.Errorf("%s: got %v", field, err)
		}
	}
	if after := in.read(t, "app"); !after.UpdatedAt.Equal(before.UpdatedAt) || len(after.Secrets) != 1 {
		t.Errorf("a refused change left %+v", after)
	}
	_, err := in.Clients.Update(t.Context(), Operator(), "filed", func(m *storage.Metadata) error { m.ClientName = "Mine"; return nil })
	if faults, _ := errors.AsType[FieldErrors](err); len(faults) != 1 || !strings.Contains(faults[0].Problem, "clients.yaml") {
		t.Errorf("one of the file: got %v", err)
	}
	for _, id := range []string{"nobody", ""} {
		if _, err := in.Clients.Update(t.Context(), Operator(), id, func(*storage.Metadata) error { return nil }); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("client %q: got %v, want ErrNotFound", id, err)
		}
	}
}

func TestResourcesCannotClashOrLeaveClientsBehind(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		ctx := t.Context()
		in.register(t, func(r *storage.RegistryEdit) error {
			filed := storage.Resource{Identifier: "https://filed.example", Name: "Filed", Scopes: map[string]string{"filed:read": "Read"}, ManagedBy: storage.ManagedByFile}
			return r.PutResource(ctx, &filed, WithFact(Operator().Event(storage.EventResourceCreated), "resource", filed.Identifier))
		})
		in.client(t, NewClient{ID: "server", Metadata: web()})
		api := storage.Resource{Identifier: "https://api.example", Name: "API", Scopes: map[string]string{"api:read": "Read your data"}, ServedBy: []string{"server"}}
		if err := in.Resources.Create(ctx, Operator(), api); err != nil {
			t.Fatal(err)
		}
		if err := in.Resources.Create(ctx, Operator(), api); !errors.Is(err, storage.ErrExists) {
			t.Errorf("once more: got %v", err)
		}
		for field, r := range map[string]storage.Resource{
			"identifier":        {Identifier: issuer + "/api/v1", Name: "Own"},
			"scopes.api:read":   {Identifier: "https://b.example", Name: "B", Scopes: map[string]string{"api:read": "Read"}},
			"scopes.filed:read": {Identifier: "https://b.example", Name: "B", Scopes: map[string]string{"filed:read": "Read"}},
			"scopes.openid":     {Identifier: "https://b.example", Name: "B", Scopes: map[string]string{"openid": "Sign in"}},
			"scopes.b:read":     {Identifier: "https://b.example", Name: "B", Scopes: map[string]string{"b:read": ""}},
			"served_by":         {Identifier: "https://b.example", Name: "B", ServedBy: []string{"server", "nobody"}},
			"name":              {Identifier: "https://b.example"},
		} {
			err := in.Resources.Create(ctx, Operator(), r)
			if faults, _ := errors.AsType[FieldErrors](err); len(faults) != 1 || faults[0].Field != field {
				t.Errorf("%s: got %v", field, err)
			}
		}
		in.client(t, NewClient{ID: "reader", Metadata: storage.Metadata{GrantTypes: []string{"client_credentials"}, Scope: "api:read"}})
		err := in.Resources.Delete(ctx, Operator(), "https://api.example")
		if faults, _ := errors.AsType[FieldErrors](err); len(faults) != 1 || !strings.Contains(faults[0].Problem, "reader") {
			t.Errorf("with a client that has its scope: got %v", err)
		}
		if _, err := in.Clients.Update(ctx, Operator(), "reader", func(m *storage.Metadata) error { m.Scope = ""; return nil }); err != nil {
			t.Error(err)
		}
		for identifier, want := range map[string]bool{"https://api.example": true, "https://filed.example": false, "https://nothing.example": false} {
			if err := in.Resources.Delete(ctx, Operator(), identifier); (err == nil) != want {
				t.Errorf("delete %s: got %v", identifier, err)
			}
		}
		if all, err := in.Resources.List(ctx, Operator()); err != nil || len(all) != 1 || all[0].Identifier != "https://filed.example" {
			t.Errorf("left: %+v, %v", all, err)
		}
	})
}

// register changes the registry as a clients.yaml does, whose package is another one.
func (in *installation) register(t *testing.T, edit func(*storage.RegistryEdit) error) {
	t.Helper()
	if err := in.store.EditRegistry(t.Context(), 0, edit); err != nil {
		t.Fatal(err)
	}
}
