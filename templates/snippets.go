package templates

import "strings"

// SetupCredentials are what an application needs to sign people in.
type SetupCredentials struct {
	Name, Kind, Issuer, ID string
	Secret                 string // "" for an application without one
	RedirectURI            string // the first; "" for a machine
	Scope                  string
}

// Snippet is a piece of an application, ready to be copied.
type Snippet struct{ Title, Text string }

// Snippets are for common libraries, with this application's values. Secrets are
// in the first alone, which is no code.
func (c SetupCredentials) Snippets() []Snippet {
	var all []Snippet
	switch c.Kind {
	case "machine":
		all = []Snippet{{".env", envMachine}, {"curl", curlMachine}, {"Go, x/oauth2", goMachine}, {"Python, requests", pythonMachine}}
	case "spa":
		all = []Snippet{{".env", envPublic}, {"JavaScript, oidc-client-ts", browserSPA}}
	case "native":
		all = []Snippet{{".env", envPublic}, {"Kotlin, AppAuth", kotlinNative}, {"Go, go-oidc", goPublic}}
	default:
		all = []Snippet{{".env", envWeb}, {"Go, go-oidc", goWeb}, {"Node.js, openid-client 6", nodeWeb}, {"Python, Authlib with Flask", pythonWeb}}
	}
	insecure := ""
	if strings.HasPrefix(c.Issuer, "http://") {
		insecure = "\n  { execute: [client.allowInsecureRequests] }, // plain http, in development alone"
	}
	values := strings.NewReplacer("{ISSUER}", c.Issuer, "{CLIENT}", c.ID, "{SECRET}", c.Secret, "{REDIRECT}", c.RedirectURI, "{SCOPE}", c.Scope, "{INSECURE}", insecure)
	for i := range all {
		all[i].Text = strings.TrimSpace(values.Replace(all[i].Text))
	}
	return all
}

const envPublic = `
OIDC_ISSUER={ISSUER}
OIDC_CLIENT_ID={CLIENT}
OIDC_REDIRECT_URI={REDIRECT}
OIDC_SCOPE="{SCOPE}"
`

const envWeb = `
OIDC_ISSUER={ISSUER}
OIDC_CLIENT_ID={CLIENT}
OIDC_CLIENT_SECRET={SECRET}
OIDC_REDIRECT_URI={REDIRECT}
OIDC_SCOPE="{SCOPE}"
`

const envMachine = `
OAUTH_TOKEN_URL={ISSUER}/oauth2/token
OAUTH_CLIENT_ID={CLIENT}
OAUTH_CLIENT_SECRET={SECRET}
`

const goWeb = `
// go get github.com/coreos/go-oidc/v3/oidc golang.org/x/oauth2
provider, err := oidc.NewProvider(ctx, "{ISSUER}")
if err != nil {
	return err
}
app := oauth2.Config{
	ClientID:     "{CLIENT}",
	ClientSecret: os.Getenv("OIDC_CLIENT_SECRET"),
	RedirectURL:  "{REDIRECT}",
	Endpoint:     provider.Endpoint(),
	Scopes:       strings.Fields("{SCOPE}"),
}

// To sign somebody in, keep state, nonce and verifier in their session.
state, nonce, verifier := rand.Text(), rand.Text(), oauth2.GenerateVerifier()
to := app.AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier))

// At the redirect URI, after comparing state:
token, err := app.Exchange(ctx, r.FormValue("code"), oauth2.VerifierOption(verifier))
if err != nil {
	return err
}
raw, _ := token.Extra("id_token").(string)
idToken, err := provider.Verifier(&oidc.Config{ClientID: app.ClientID}).Verify(ctx, raw)
// Compare idToken.Nonce with nonce; idToken.Subject is who it is.
`

const goPublic = `
// go get github.com/coreos/go-oidc/v3/oidc golang.org/x/oauth2
provider, err := oidc.NewProvider(ctx, "{ISSUER}")
if err != nil {
	return err
}
app := oauth2.Config{
	ClientID:    "{CLIENT}",
	RedirectURL: "{REDIRECT}",
	Endpoint:    provider.Endpoint(),
	Scopes:      strings.Fields("{SCOPE}"),
}
verifier := oauth2.GenerateVerifier()
to := app.AuthCodeURL(rand.Text(), oauth2.S256ChallengeOption(verifier))
// Open it in the system's browser and listen at the redirect URI for the code.
token, err := app.Exchange(ctx, code, oauth2.VerifierOption(verifier))
`

const nodeWeb = `
// npm install openid-client
import * as client from "openid-client";

const config = await client.discovery(
  new URL("{ISSUER}"),
  "{CLIENT}",
  undefined,
  client.ClientSecretBasic(process.env.OIDC_CLIENT_SECRET),{INSECURE}
);

// To sign somebody in, keep verifier and state in their session.
const verifier = client.randomPKCECodeVerifier();
const state = client.randomState();
const to = client.buildAuthorizationUrl(config, {
  redirect_uri: "{REDIRECT}",
  scope: "{SCOPE}",
  code_challenge: await client.calculatePKCECodeChallenge(verifier),
  code_challenge_method: "S256",
  state,
});

// At the redirect URI, with the whole URL that was asked for:
const tokens = await client.authorizationCodeGrant(config, currentUrl, {
  pkceCodeVerifier: verifier,
  expectedState: state,
});
console.log(tokens.claims());
`

const pythonWeb = `
# pip install authlib flask requests
import os
from authlib.integrations.flask_client import OAuth

oauth = OAuth(app)  # app = Flask(__name__), with a secret_key
oauth.register(
    "idp",
    server_metadata_url="{ISSUER}/.well-known/openid-configuration",
    client_id="{CLIENT}",
    client_secret=os.environ["OIDC_CLIENT_SECRET"],
    client_kwargs={"scope": "{SCOPE}", "code_challenge_method": "S256"},
)

@app.get("/login")
def login():
    return oauth.idp.authorize_redirect("{REDIRECT}")

@app.get("/callback")
def callback():
    person = oauth.idp.authorize_access_token()["userinfo"]
    return person["sub"]
`

const browserSPA = `
// npm install oidc-client-ts
import { UserManager } from "oidc-client-ts";

const users = new UserManager({
  authority: "{ISSUER}",
  client_id: "{CLIENT}",
  redirect_uri: "{REDIRECT}",
  scope: "{SCOPE}",
});

await users.signinRedirect(); // to sign somebody in

const user = await users.signinRedirectCallback(); // at the redirect URI
console.log(user.profile.sub);
`

const kotlinNative = `
// implementation("net.openid:appauth:0.11.1"); PKCE comes by itself.
AuthorizationServiceConfiguration.fetchFromIssuer(Uri.parse("{ISSUER}")) { server, _ ->
    val request = AuthorizationRequest.Builder(
        server!!, "{CLIENT}", ResponseTypeValues.CODE, Uri.parse("{REDIRECT}")
    ).setScope("{SCOPE}").build()
    startActivityForResult(AuthorizationService(this).getAuthorizationRequestIntent(request), 1)
}
`

const curlMachine = `
curl --user "$OAUTH_CLIENT_ID:$OAUTH_CLIENT_SECRET" \
  --data grant_type=client_credentials {ISSUER}/oauth2/token
`

const goMachine = `
// go get golang.org/x/oauth2
app := clientcredentials.Config{
	ClientID:     "{CLIENT}",
	ClientSecret: os.Getenv("OAUTH_CLIENT_SECRET"),
	TokenURL:     "{ISSUER}/oauth2/token",
	AuthStyle:    oauth2.AuthStyleInHeader,
}
httpClient := app.Client(ctx) // sends a token with every request, and gets the next in time
`

const pythonMachine = `
# pip install requests
import os
import requests

answer = requests.post(
    "{ISSUER}/oauth2/token",
    auth=("{CLIENT}", os.environ["OAUTH_CLIENT_SECRET"]),
    data={"grant_type": "client_credentials"},
)
answer.raise_for_status()
token = answer.json()["access_token"]
`
