// Package upstream signs people in with identity providers of others. It speaks to the provider and tells what it
// vouches for. It sees no cookie, writes no page and knows no account: who the person is here is for package identity.
//
// # Data flow
//
//	consent/login   GET /login/NAME            Begin  → where to send the browser, and a State
//	                keeps the State in session.States, under the hash of its Token, with the browser's hash
//	the provider    asks the person, and redirects to the callback with a code and the Token
//	consent/login   GET /login/NAME/callback   takes the State, once, and compares the browser
//	                                           Finish → Identity or *Fault
//	internal/signin Upstream                   → session, by identity.Connections
//
// # States
//
//	none ──Begin──▶ at the provider ──Finish──▶ Identity
//	                     │                └───▶ *Fault: the provider refused, does not answer, or lies
//	                     └── ten minutes, another browser or a second answer: consent/login asks to start again
//
// # Kinds
//
// A Connection has a kind, which is a row of the table in kinds.go: oidc for any issuer, google and microsoft for
// OpenID providers that differ from the standard, github for OAuth 2.0 with an API. To add one, write its file and its
// row.
//
//	oidc.go       begin and finish of OpenID Connect, on go-oidc and x/oauth2
//	discovery.go  metadata and keys, cached for each connection
//	claims.go     the checks of an ID token as a table: each has a name that the log and `connections test` say
//	github.go     GitHub
//
// The service provider of SAML is no kind yet: its engine is here, and no connection can have it.
//
//	saml.go          ServiceProvider: the request, the response, and the faults of the library by name
//	samlxml.go       what is refused before the library reads it, and which signatures count
//	samlassertion.go the checks of a verified assertion as a table, and whom it names
//	samlmetadata.go  the provider's metadata, and ours
//	samlkey.go       the key of a connection, sealed
//
// All of them share one file:
//
//	fault.go      what can go wrong, by name, with its remedy
//
// # What a provider can do to us
//
// Every request goes through internal/fetch: public addresses only, no redirects, 1 MiB at most, and all requests of
// one Begin or Finish end within Config.Timeout together. A provider that does not answer is asked once in five
// seconds, and no more than 32 calls wait for one connection: the others are refused at once.
//
// # Who may call whom
//
// consent/login, internal/app and the commands call this package. It calls storage for its types, internal/secret and
// internal/fetch.
package upstream
