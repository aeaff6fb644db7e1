package peers

import (
	"testing"

	"github.com/sallyport-id/sallyport/internal/harness"
)

// startNode starts app.mjs.
func startNode(t *testing.T, dir string, p place) *harness.Log {
	t.Helper()
	return run(t, dir, p, "/", "node", "app.mjs")
}

const publicClient = "token_endpoint_auth_method: none"

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
	{
		folder: "express-openid-connect", lock: "package.json", version: `"express-openid-connect": "([^"]+)"`,
		login: "/login", callback: "/callback", install: npm, start: startNode,
		attempts: []attempt{
			{settings: "as it comes", refused: "unsupported_response_type"},
			{settings: "response_type: code, fetchUserInfo()", environ: []string{"CODE=1", "ASK_USERINFO=1"}},
			{settings: "response_type: code, claims_in_id_token", environ: []string{"CODE=1"}, client: "claims_in_id_token: true"},
		},
	},
	{
		folder: "auth.js", lock: "package.json", version: `"@auth/express": "([^"]+)"`,
		login: "/auth/signin", button: `form[action$="/auth/signin/sallyport"] button`, callback: "/auth/callback/sallyport",
		install: npm, start: startNode,
		attempts: []attempt{
			{settings: "claims_in_id_token", client: "claims_in_id_token: true"},
			{settings: "idToken: false", environ: []string{"ASK_USERINFO=1"}},
		},
	},
	{
		folder: "oidc-client-ts", lock: "package.json", version: `"oidc-client-ts": "([^"]+)"`,
		login: "/", callback: "/callback", slow: true, install: npm, start: startNode,
		attempts: []attempt{
			{settings: "refresh token", client: publicClient + "\ngrant_types: [authorization_code, refresh_token]\nscope: " + scopes + " offline_access",
				environ: []string{"SCOPE=" + scopes + " offline_access"}, shows: " renewed"},
			{settings: "iframe, app on another site", client: publicClient, environ: []string{"SCOPE=" + scopes}, shows: "not renewed: login_required"},
			{settings: "iframe, app on the issuer's site", client: publicClient, host: "127.0.0.1", environ: []string{"SCOPE=" + scopes},
				shows: "not renewed: consent_required"},
		},
	},
}
