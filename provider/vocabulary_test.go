package provider_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/internal/oauth"
	"github.com/sallyport-id/sallyport/provider"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// texts are the strings of a list of a JSON document.
func texts(v any) []string {
	var out []string
	all, _ := v.([]any)
	for _, s := range all {
		out = append(out, s.(string))
	}
	return out
}

// A relying party believes discovery: what it lists is what internal/oauth knows, and a
// client can register each value.
func TestDiscoveryListsWhatClientsCanRegister(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{})
	doc := discovered(t, s)
	for member, want := range map[string][]string{
		"grant_types_supported":                                    oauth.Names(oauth.GrantTypes()),
		"response_types_supported":                                 oauth.ResponseTypes(),
		"response_modes_supported":                                 oauth.ResponseModes(),
		"prompt_values_supported":                                  oauth.Prompts(),
		"token_endpoint_auth_methods_supported":                    oauth.AuthMethods(),
		"token_endpoint_auth_signing_alg_values_supported":         oauth.ClientAlgs(),
		"request_object_signing_alg_values_supported":              oauth.ClientAlgs(),
		"id_token_signing_alg_values_supported":                    oauth.SigningAlgs(),
		"userinfo_signing_alg_values_supported":                    oauth.SigningAlgs(),
		"introspection_endpoint_auth_methods_supported":            slices.DeleteFunc(oauth.AuthMethods(), func(m string) bool { return m == oauth.AuthNone }),
		"introspection_endpoint_auth_signing_alg_values_supported": oauth.ClientAlgs(),
	} {
		if diff := cmp.Diff(want, texts(doc[member])); diff != "" {
			t.Errorf("%s (-oauth +discovery):\n%s", member, diff)
		}
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: private.Public(), KeyID: "k", Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	registers := func(member string, set func(m *storage.Metadata, value string)) {
		t.Helper()
		for n, value := range texts(doc[member]) {
			m := storage.Metadata{RedirectURIs: []string{"https://app.example/cb"}}
			set(&m, value)
			_, _, err := s.App.Identity.Clients.Create(t.Context(), identity.Operator(), identity.NewClient{ID: fmt.Sprintf("%s-%d", member, n), Metadata: m})
			if err != nil {
				t.Errorf("%s lists %s, and registration says: %v", member, value, err)
			}
		}
	}
	registers("token_endpoint_auth_methods_supported", func(m *storage.Metadata, v string) {
		if m.TokenEndpointAuthMethod = v; v == oauth.AuthPrivateKeyJWT {
			m.JWKS = keys
		}
	})
	registers("token_endpoint_auth_signing_alg_values_supported", func(m *storage.Metadata, v string) {
		m.TokenEndpointAuthMethod, m.TokenEndpointAuthSigningAlg, m.JWKS = oauth.AuthPrivateKeyJWT, v, keys
	})
	registers("request_object_signing_alg_values_supported", func(m *storage.Metadata, v string) { m.RequestObjectSigningAlg, m.JWKS = v, keys })
	registers("id_token_signing_alg_values_supported", func(m *storage.Metadata, v string) { m.IDTokenSignedResponseAlg = v })
	registers("userinfo_signing_alg_values_supported", func(m *storage.Metadata, v string) { m.UserinfoSignedResponseAlg = v })
	registers("response_types_supported", func(m *storage.Metadata, v string) { m.ResponseTypes = []string{v} })
	registers("scopes_supported", func(m *storage.Metadata, v string) {
		m.Scope, m.GrantTypes = v, []string{oauth.GrantAuthorizationCode, oauth.GrantRefreshToken}
	})
	for _, scope := range oauth.StandardScopes() {
		if _, ok := templates.ScopeSentence(scope); !ok {
			t.Errorf("the consent page has no sentence for the scope %s", scope)
		}
	}
}

// registrationOf is a client that registers a grant type and no other that it can do without.
func registrationOf(name string) storage.Metadata {
	m := storage.Metadata{GrantTypes: []string{name}}
	for _, g := range oauth.GrantTypes() {
		if g.Name == name && g.With != "" {
			m.GrantTypes = append(m.GrantTypes, g.With)
		}
	}
	if slices.Contains(m.GrantTypes, oauth.GrantAuthorizationCode) {
		m.RedirectURIs = []string{"https://app.example/cb"}
	} else {
		m.Scope = "api:read"
	}
	return m
}

// Without its row in the table a grant type is nowhere: a client neither finds it, nor can
// register it, nor gets tokens by it, and tokens that only it can issue are inactive.
func TestAGrantTypeIsItsRow(t *testing.T) {
	machine := func(s *harness.Server) *harness.RP {
		return s.RP("data-api-001", "data_secret_api_2024", "", "api:read")
	}
	for _, name := range provider.GrantTypes() {
		t.Run(name, func(t *testing.T) {
			s := harness.Start(t, storage.SQLite, harness.Options{})
			own := machine(s).Token(t, url.Values{"grant_type": {oauth.GrantClientCredentials}})
			if own.AccessToken == "" {
				t.Fatalf("the client gets no token: %d %s", own.Status, own.Error)
			}
			create := func(s *harness.Server, id string) error {
				_, _, err := s.App.Identity.Clients.Create(t.Context(), identity.Operator(), identity.NewClient{ID: id, Metadata: registrationOf(name)})
				return err
			}
			if err := create(s, "before"); err != nil {
				t.Fatalf("with the row: %v", err)
			}
			provider.WithoutGrantType(t, name)
			without := s.Node(t)
			if listed := texts(discovered(t, without)["grant_types_supported"]); slices.Contains(listed, name) {
				t.Errorf("discovery lists %v", listed)
			}
			if err := create(without, "after"); !isFaultOf(err, "grant_types") {
				t.Errorf("registration says %v, want a fault of grant_types", err)
			}
			if got := machine(without).Token(t, url.Values{"grant_type": {name}}); got.Error != "unsupported_grant_type" {
				t.Errorf("the token endpoint answers %d %s", got.Status, got.Error)
			}
			active := machine(without).Introspect(t, own.AccessToken)["active"]
			if want := name != oauth.GrantClientCredentials; active != want {
				t.Errorf("a client's own token is active: %v, want %v", active, want)
			}
		})
	}
}

func isFaultOf(err error, field string) bool {
	faults, ok := errors.AsType[identity.FieldErrors](err)
	return ok && slices.ContainsFunc(faults, func(f identity.FieldError) bool { return f.Field == field })
}
