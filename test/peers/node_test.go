package peers

import (
	"testing"

	"github.com/sallyport-id/sallyport/internal/harness"
)

// startNode starts app.mjs.
func startNode(t *testing.T, dir string, p place) *harness.Log {
	t.Helper()
	return run(t, dir, p.port, p.env(), "node", "app.mjs")
}

var nodePeers = []peer{
	{
		folder: "passport-openidconnect", lock: "package.json", version: `"passport-openidconnect": "([^"]+)"`,
		login: "/login", callback: "/callback", install: npm, start: startNode,
		attempts: []attempt{
			{settings: "as it comes", refused: withoutPKCE},
			{settings: "--pkce off, claims_in_id_token", client: "require_pkce: false\nclaims_in_id_token: true"},
			{settings: "--pkce off, skipUserProfile: false", client: "require_pkce: false", environ: []string{"ASK_USERINFO=1"}},
			{settings: "nonce: true, skipUserProfile: false", environ: []string{"NONCE=1", "ASK_USERINFO=1"}},
		},
	},
}
