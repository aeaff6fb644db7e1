package peers

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/harness"
)

const groupScope = "scope: openid profile email groups"

// groupPeers let people in by their groups. Alice owns Acme Corp and is an admin, no owner, of Tech Startup.
var groupPeers = []peer{
	{
		folder: "oauth2-proxy", lock: "module.txt", version: `@v(\S+)`,
		login: "/oauth2/start?rd=/oauth2/userinfo", callback: "/oauth2/callback", user: "pre",
		install: installOAuth2Proxy, start: startOAuth2Proxy,
		attempts: []attempt{
			{settings: "as it comes", refused: withoutPKCE},
			{settings: "--pkce off", client: "require_pkce: false"},
			{settings: "--code-challenge-method=S256", environ: []string{"OAUTH2_PROXY_CODE_CHALLENGE_METHOD=S256"}},
			{settings: "--insecure-oidc-skip-nonce=false", environ: []string{"OAUTH2_PROXY_INSECURE_OIDC_SKIP_NONCE=false"}},
			{settings: "groups: acme-corp:member lets Bob in", client: groupScope, environ: proxyGroups("groups", "acme-corp:member"),
				shows: "acme-corp:member"},
			{settings: "groups: acme-corp:owner keeps Bob out", client: groupScope, environ: proxyGroups("groups", "acme-corp:owner"),
				refused: "Forbidden"},
			{settings: "org_roles (unsafe): owner lets an admin in", client: "scope: openid profile email org", person: harness.Alice,
				environ: append(proxyGroups("org_roles", "owner"), "OAUTH2_PROXY_SCOPE=openid profile email org"), shows: "owner"},
			{settings: "groups, organization: acme-corp: nothing to pick", client: groupScope + "\norganization: acme-corp",
				person: harness.Alice, environ: proxyGroups("groups", "acme-corp:owner"), shows: "acme-corp:owner"},
			{settings: "groups: tech-startup:owner keeps her out", client: groupScope, person: harness.Alice,
				environ: proxyGroups("groups", "tech-startup:owner"), refused: "Forbidden"},
		},
	},
	{
		folder: "jupyterhub", lock: "requirements.txt", version: `(?m)^oauthenticator==(\S+)$`,
		login: "/hub/oauth_login?next=/hub/home", callback: "/hub/oauth_callback", user: "body",
		install: installJupyterHub, start: startJupyterHub,
		attempts: []attempt{
			{settings: "as it comes"},
			{settings: "enable_pkce = False, --pkce off", client: "require_pkce: false", environ: []string{"PKCE=off"}},
			{settings: "groups: acme-corp:member lets Bob in", client: groupScope,
				environ: []string{"GROUPS=acme-corp:member", "ADMINS=acme-corp:owner"}},
			{settings: "groups: acme-corp:owner keeps Bob out", client: groupScope,
				environ: []string{"GROUPS=acme-corp:owner", "ADMINS=acme-corp:owner"}, refused: "not currently authorized to use this hub"},
			{settings: "groups: acme-corp:owner administers", client: groupScope, person: harness.Alice,
				environ: []string{"GROUPS=acme-corp", "ADMINS=acme-corp:owner"}, shows: "Admin"},
			{settings: "groups: tech-startup:owner keeps Alice out", client: groupScope, person: harness.Alice,
				environ: []string{"GROUPS=tech-startup:owner", "ADMINS=tech-startup:owner"}, refused: "not currently authorized to use this hub"},
		},
	},
}

func installOAuth2Proxy(t *testing.T, folder string) string {
	t.Helper()
	module, err := os.ReadFile(filepath.Join(folder, "module.txt"))
	if err != nil {
		t.Fatal(err)
	}
	return install(t, folder, []string{"go", "install", strings.TrimSpace(string(module))})
}

// startOAuth2Proxy starts the proxy in front of nothing: its own /oauth2/userinfo shows who has signed in.
func startOAuth2Proxy(t *testing.T, dir string, p place) *harness.Log {
	t.Helper()
	return run(t, dir, p, "/ping", "./oauth2-proxy", "--provider=oidc", "--oidc-issuer-url="+p.issuer,
		"--client-id="+p.clientID, "--client-secret="+p.secret, "--redirect-url="+p.url+"/oauth2/callback",
		"--http-address=127.0.0.1:"+p.port, "--cookie-secret="+(rand.Text() + rand.Text())[:32], "--cookie-secure=false",
		"--email-domain=*", "--upstream=static://200")
}

// proxyGroups makes the proxy let only a group in, which a claim tells.
func proxyGroups(claim, group string) []string {
	return []string{"OAUTH2_PROXY_SCOPE=openid profile email groups", "OAUTH2_PROXY_OIDC_GROUPS_CLAIM=" + claim,
		"OAUTH2_PROXY_ALLOWED_GROUPS=" + group, "OAUTH2_PROXY_CODE_CHALLENGE_METHOD=S256"}
}

func installJupyterHub(t *testing.T, folder string) string {
	t.Helper()
	return install(t, folder, []string{"python3", "-m", "venv", "venv"},
		[]string{"venv/bin/pip", "install", "--quiet", "--no-deps", "-r", "requirements.txt"},
		[]string{"npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"})
}

func startJupyterHub(t *testing.T, dir string, p place) *harness.Log {
	t.Helper()
	p.environ = append(p.environ, "HUB_PORT="+freePort(t), "PROXY_PORT="+freePort(t), "CONFIGPROXY_AUTH_TOKEN="+rand.Text())
	return run(t, dir, p, "/hub/health", "venv/bin/jupyterhub", "-f", "jupyterhub_config.py")
}
