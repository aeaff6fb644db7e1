package peers

import (
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/sallyport-id/sallyport/internal/harness"
	"golang.org/x/oauth2"
)

var keycloakPeers = []peer{{
	folder: "keycloak", lock: "pom.xml", version: `<keycloak.version>([^<]+)`,
	callback: "/realms/peers/broker/sallyport/endpoint", install: func(t *testing.T, folder string) string { return maven(t, folder) },
	start: startKeycloak, open: startKeycloakApp,
	attempts: []attempt{{settings: "as it comes, as a broker"}},
}}

// startKeycloak starts a Keycloak that keeps everything in memory and reads the realm, in which Sallyport is an identity
// provider, from a file.
func startKeycloak(t *testing.T, dir string, p place) *harness.Log {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "target", "keycloak-*"))
	if err != nil || len(found) != 1 {
		t.Fatalf("the distribution is at %v: %v", found, err)
	}
	home := found[0]
	imports := filepath.Join(home, "data", "import")
	realm, err := os.ReadFile("keycloak/realm.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(imports, 0o700); err != nil {
		t.Fatal(err)
	}
	filled := os.Expand(string(realm), func(name string) string {
		return map[string]string{"ISSUER": p.issuer, "CLIENT_ID": p.clientID, "CLIENT_SECRET": p.secret}[name]
	})
	if err := os.WriteFile(filepath.Join(imports, "peers-realm.json"), []byte(filled), 0o600); err != nil {
		t.Fatal(err)
	}
	return run(t, home, p, "/realms/peers", "bash", "bin/kc.sh", "start-dev", "--import-realm", "--db=dev-mem",
		"--http-host=127.0.0.1", "--http-port="+p.port, "--hostname="+p.url)
}

// startKeycloakApp starts an application that knows Keycloak alone and sends people straight on to Sallyport, and returns
// where a sign-in begins.
func startKeycloakApp(t *testing.T, p place) string {
	t.Helper()
	mux := http.NewServeMux()
	app := httptest.NewServer(mux)
	t.Cleanup(app.Close)
	url := strings.Replace(app.URL, "127.0.0.1", "localhost", 1)
	provider, err := oidc.NewProvider(t.Context(), p.url+"/realms/peers")
	if err != nil {
		t.Fatal(err)
	}
	config := oauth2.Config{ClientID: "app", ClientSecret: "app-secret-of-the-realm", Endpoint: provider.Endpoint(),
		RedirectURL: url + "/callback", Scopes: strings.Fields(scopes)}
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, config.AuthCodeURL("state", oauth2.SetAuthURLParam("kc_idp_hint", "sallyport")), http.StatusFound)
	})
	mux.HandleFunc("GET /callback", func(w http.ResponseWriter, r *http.Request) {
		token, err := config.Exchange(r.Context(), r.URL.Query().Get("code"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		info, err := provider.UserInfo(r.Context(), oauth2.StaticTokenSource(token))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		fmt.Fprintf(w, `<p id="user">%s</p>`, html.EscapeString(info.Email))
	})
	return url + "/login"
}
