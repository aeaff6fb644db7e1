package relyingparties

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// startNode starts node/party.mjs and returns its URL. It ends with the test.
func startNode(t *testing.T, settings map[string]any) string {
	t.Helper()
	if _, err := os.Stat(filepath.Join("node", "node_modules", "openid-client")); err != nil {
		t.Fatal("openid-client is not installed: run `make test`, which does that, or `npm ci --ignore-scripts` in test/relyingparties/node")
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal("there is no node: run `make test`, which installs it on Debian, or install Node 18 or later")
	}
	input, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(node, "party.mjs")
	cmd.Dir, cmd.Stdin = "node", strings.NewReader(string(input))
	complaints := &harness.Log{}
	cmd.Stderr = complaints
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	var ready struct{ URL string }
	if err := json.NewDecoder(bufio.NewReader(out)).Decode(&ready); err != nil {
		t.Fatalf("node does not start: %v\n%s", err, complaints)
	}
	return ready.URL
}

// openid-client pushes its requests (RFC 9126), and authenticates with a secret or
// with a signed assertion (RFC 7523 section 2.2).
func TestOpenIDClientOnNode(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{})
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private := jose.JSONWebKey{Key: key, KeyID: "node-1", Algorithm: string(jose.ES256), Use: "sig"}
	public, err := json.Marshal(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	url := startNode(t, map[string]any{"issuer": s.Issuer, "scope": scopes, "clients": map[string]any{
		"secret": map[string]any{"id": webID, "secret": webSecret},
		"key":    map[string]any{"id": "ledger", "jwk": private},
	}})
	register(t, s, url, strings.ReplaceAll(webClient, "URL", "URL/secret"), `
  - client_id: ledger
    client_name: Acme Ledger
    redirect_uris: [URL/key/callback]
    post_logout_redirect_uris: [URL/key/signed-out]
    grant_types: [authorization_code, refresh_token]
    token_endpoint_auth_method: private_key_jwt
    require_pushed_authorization_requests: true
    jwks: {keys: [`+string(public)+`]}
    scope: `+scopes+`
`)
	for name, clientID := range map[string]string{"secret": webID, "key": "ledger"} {
		t.Run(name, func(t *testing.T) {
			tab := harness.Chromium(t)
			f := signIn(t, tab, url+"/"+name+"/login", harness.Bob)
			f.check(t, s, clientID, harness.Bob, "member")
			if f.Introspected == nil {
				t.Error("nothing was introspected")
			}
			signOut(t, tab, url+"/"+name)
		})
	}
}
