package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/storage"
)

// loadYAML reads a sallyport.yaml with an environment.
func loadYAML(t *testing.T, text string, environ ...string) (*Config, error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "sallyport.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(LoadOptions{Dir: dir, Environ: environ})
}

func TestConnectionsAreReadFromFileAndEnvironment(t *testing.T) {
	c, err := loadYAML(t, `connections:
  - {name: acme, kind: oidc, issuer: https://login.acme.example, client_id: sallyport, client_secret_env: ACME_SECRET, domains: [Acme.example], trust_mfa: true}
  - {name: hub, kind: github, label: Our GitHub, client_id: id, client_secret: s, callback: authorized}
`, "ACME_SECRET=hidden", "MICROSOFT_AUTH_ENABLED=true", "MICROSOFT_OAUTH_CLIENT_ID=m", "MICROSOFT_OAUTH_CLIENT_SECRET=ms", "GOOGLE_OAUTH_CLIENT_ID=unused")
	if err != nil {
		t.Fatal(err)
	}
	want := []identity.ConnectionConfig{
		{Name: "microsoft", Kind: "microsoft", Secret: "ms", Settings: storage.ConnectionSettings{Label: "Microsoft", ClientID: "m",
			Tenant: "common", Callback: "callback"}},
		{Name: "acme", Kind: "oidc", Secret: "hidden", Settings: storage.ConnectionSettings{Label: "acme", Issuer: "https://login.acme.example",
			ClientID: "sallyport", Domains: []string{"acme.example"}, Callback: "callback", TrustMFA: true}},
		{Name: "hub", Kind: "github", Secret: "s", Settings: storage.ConnectionSettings{Label: "Our GitHub", ClientID: "id", Callback: "authorized"}},
	}
	if diff := cmp.Diff(want, c.Connections); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Everything that is wrong is named at once, by its key, and no secret is repeated.
func TestFaultsOfConnections(t *testing.T) {
	_, err := loadYAML(t, `connections:
  - {name: Acme, kind: oidc, issuer: http://login.acme.example, client_id: x, domains: [acme], metadata: x}
  - {name: switch, kind: saml}
  - {name: hub, kind: github, client_id: id, callback: elsewhere, tenant: t}
  - {name: twice, kind: oidc, issuer: https://a.example, client_id: x, client_secret: canary, client_secret_env: NOT_SET, domains: [a.example]}
  - {name: twice, kind: oidc, issuer: https://a.example, client_id: x, client_secret_env: NOT_SET, ca_file: /nowhere, domains: [a.example]}
  - just a word
`, "GOOGLE_AUTH_ENABLED=true")
	if err == nil {
		t.Fatal("got no error")
	}
	for _, want := range []string{"connections[1].name", "connections[1].issuer", "connections[1].domains", "connections[1].metadata",
		"connections[2].name", "connections[2].kind is saml, which is not available in this release", "connections[3].callback",
		"connections[3].client_secret", "connections[3].tenant", "connections[4].client_secret is given twice", "connections[5].client_secret_env",
		"connections[5].ca_file", "connections[6]", "two with the name twice", "both claim the domain a.example",
		"GOOGLE_OAUTH_CLIENT_ID is missing", "GOOGLE_OAUTH_CLIENT_SECRET is missing"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("nothing says %q", want)
		}
	}
	if strings.Contains(err.Error(), "canary") {
		t.Error("a secret is repeated")
	}
	if t.Failed() {
		t.Log(err)
	}
}
