package oauth

// GrantType is a grant of the token endpoint, with what a client must be to register it.
type GrantType struct {
	Name string
	// Confidential: the client must authenticate, because nothing else in the request is a proof.
	Confidential bool
	// With is the grant type that the client must register beside this one; "" if none.
	With string
}

// The names of the grant types (RFC 6749, sections 4.1, 4.4 and 6).
const (
	GrantAuthorizationCode = "authorization_code"
	GrantRefreshToken      = "refresh_token"
	GrantClientCredentials = "client_credentials"
)

// GrantTypes returns the grant types that this server knows, in the order of discovery.
func GrantTypes() []GrantType {
	return []GrantType{
		{Name: GrantAuthorizationCode},
		{Name: GrantRefreshToken, With: GrantAuthorizationCode},
		{Name: GrantClientCredentials, Confidential: true},
	}
}

// ResponseTypeCode is the one response type: tokens never travel through the browser.
const ResponseTypeCode = "code"

// ResponseTypes returns the response types of the authorization endpoint.
func ResponseTypes() []string { return []string{ResponseTypeCode} }

// The ways of an authorization response to the client.
const (
	ModeQuery    = "query"
	ModeFormPost = "form_post" // OAuth 2.0 Form Post Response Mode
)

// ResponseModes returns the response modes of a code.
func ResponseModes() []string { return []string{ModeQuery, ModeFormPost} }

// ChallengeS256 is the one code_challenge_method (RFC 7636, section 4.2).
const ChallengeS256 = "S256"

// The ways in which a client authenticates (OpenID Connect Core 1.0, section 9).
const (
	AuthSecretBasic   = "client_secret_basic"
	AuthSecretPost    = "client_secret_post"
	AuthPrivateKeyJWT = "private_key_jwt"
	AuthNone          = "none"
)

// AuthMethods returns the client authentication methods in the order of discovery.
func AuthMethods() []string {
	return []string{AuthSecretBasic, AuthSecretPost, AuthPrivateKeyJWT, AuthNone}
}

// UsesSecret reports whether a client authenticates by a shared secret.
func UsesSecret(method string) bool { return method == AuthSecretBasic || method == AuthSecretPost }

// The signature algorithms, by their names in RFC 7518 and RFC 8037. None is symmetric,
// so that a public key can never be taken for a secret (RFC 8725, section 3.1).
const (
	RS256 = "RS256"
	PS256 = "PS256"
	ES256 = "ES256"
	EdDSA = "EdDSA"
)

// SigningAlgs returns what this server signs with, the default of OpenID Connect first.
func SigningAlgs() []string { return []string{RS256, ES256, EdDSA} }

// ClientAlgs returns what this server accepts from clients: assertions and request objects.
func ClientAlgs() []string { return []string{RS256, PS256, ES256, EdDSA} }

// The values of the parameter prompt (OpenID Connect Core 1.0, section 3.1.2.1).
const (
	PromptNone          = "none"
	PromptLogin         = "login"
	PromptConsent       = "consent"
	PromptSelectAccount = "select_account"
)

// Prompts returns the values of the parameter prompt.
func Prompts() []string {
	return []string{PromptNone, PromptLogin, PromptConsent, PromptSelectAccount}
}

// Names returns the names of grant types.
func Names(types []GrantType) []string {
	names := make([]string, len(types))
	for n, g := range types {
		names[n] = g.Name
	}
	return names
}
