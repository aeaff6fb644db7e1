package peers

import (
	"testing"

	"github.com/sallyport-id/sallyport/internal/harness"
)

// withoutPKCE is told to a relying party whose client is registered with require_pkce: auto when it sends neither.
const withoutPKCE = "code_challenge"

// startPython starts app.py.
func startPython(t *testing.T, dir string, p place) *harness.Log {
	t.Helper()
	return run(t, dir, p, "/", "venv/bin/python", "app.py")
}

var pythonPeers = []peer{
	{
		folder: "authlib", lock: "requirements.txt", version: `(?m)^Authlib==(\S+)$`,
		login: "/login", callback: "/callback", install: python, start: startPython,
		attempts: []attempt{
			{settings: "as it comes"},
			{settings: "code_challenge_method=S256", environ: []string{"PKCE=1"}, client: "require_pkce: true"},
			{settings: "token[\"userinfo\"], claims_in_id_token", environ: []string{"ASK_USERINFO=no"}, client: "claims_in_id_token: true"},
			{settings: "private_key_jwt, PrivateKeyJWT()", keyed: true, environ: []string{"SIGN_WITH_KEY=hour"}, refused: "exp is more than five minutes ahead"},
			{settings: "private_key_jwt, expires_in=60", keyed: true, environ: []string{"SIGN_WITH_KEY=short"}},
		},
	},
	{
		folder: "mozilla-django-oidc", lock: "requirements.txt", version: `(?m)^mozilla-django-oidc==(\S+)$`,
		login: "/oidc/authenticate/", callback: "/oidc/callback/", install: python, start: startPython,
		attempts: []attempt{
			{settings: "as it comes", refused: "OIDC_RP_SIGN_ALGO"},
			{settings: "OIDC_RP_SIGN_ALGO=RS256", environ: []string{"SIGN_ALGO=RS256"}},
		},
	},
	{
		folder: "social-auth", lock: "requirements.txt", version: `(?m)^social-auth-core==(\S+)$`,
		login: "/me", callback: "/complete/oidc/", install: python, start: startPython,
		attempts: []attempt{{settings: "as it comes"}},
	},
	{
		folder: "requests-oauthlib", lock: "requirements.txt", version: `(?m)^requests-oauthlib==(\S+)$`,
		login: "/login", callback: "/callback", install: python, start: startPython,
		attempts: []attempt{
			{settings: "as it comes", refused: withoutPKCE},
			{settings: "--pkce off", client: "require_pkce: false"},
			{settings: "pkce=S256", environ: []string{"PKCE=S256"}},
		},
	},
	{
		folder: "django-allauth", lock: "requirements.txt", version: `(?m)^django-allauth==(\S+)$`,
		login: "/accounts/oidc/sallyport/login/", callback: "/accounts/oidc/sallyport/login/callback/", install: python, start: startPython,
		attempts: []attempt{
			{settings: "as it comes", refused: withoutPKCE},
			{settings: "--pkce off", client: "require_pkce: false"},
			{settings: "OAUTH_PKCE_ENABLED", environ: []string{"PKCE=1"}},
		},
	},
}
