// Package provider speaks OAuth 2.0 and OpenID Connect: it is the authorization
// server's protocol, and the only package that knows ory/fosite.
//
// # Routes
//
//	/.well-known/openid-configuration        discovery.go   OpenID Connect Discovery 1.0
//	/.well-known/oauth-authorization-server  discovery.go   RFC 8414
//	/.well-known/jwks.json                   discovery.go   RFC 7517
//	/oauth2/authorize                        authorize.go   RFC 6749 4.1.1, OpenID Connect Core 3.1.2
//	/oauth2/par                              par.go         RFC 9126
//	/oauth2/token                            granttypes.go  RFC 6749 4.1.3, 4.4, 6
//	/oauth2/userinfo                         userinfo.go    OpenID Connect Core 5.3
//	/oauth2/introspect                       introspect.go  RFC 7662
//	/oauth2/revoke                           introspect.go  RFC 7009
//	/oauth2/logout                           logout.go      RP-Initiated Logout 1.0
//
// # An authorization
//
//	GET/POST authorize → resolveClient (client, request object or pushed request, redirect URI)
//	                   → validate (everything else; errors go to the redirect URI from here on)
//	                   → flowState (which user is signed in, which organization, what is remembered)
//	                   → NextStep names one?  store the flow, 303 to the step's page …
//	                     … which comes back to authorize?flow=ID, and all steps are asked from the first
//	                   → none pending: issueCode (fosite makes the code, one statement stores it)
//
// A flow is unbound only when it came by POST, which may be cross-site and then
// carries no cookie; the first GET binds it to its browser. Nothing but authorize
// issues a code or an error; a code, an error and a cancel each end the flow.
//
// # A token request
//
//	read the form → authenticate the client → look up the grant type in grantTypes
//	             → validate (the grant's own: read what is presented, check it, note what is granted)
//	             → issueTokens (fosite checks once more and makes the tokens)
//	             → commit (the grant's own: one statement)
//
// A row of grantTypes is all that makes a grant exist: discovery lists the rows, identity
// lets clients register them alone, and a client's own tokens count as long as a row
// issues such tokens. The facts about a grant type are in internal/oauth.
//
// # fosite
//
// fosite checks requests and runs the grants; it never writes a response, never parses an
// authorization request and never sees the database. A tokenRequest (store.go) carries
// what validate read to fosite, and what fosite made to commit. Only revocations, and the
// spending of a code by a wrong verifier, happen at once, for they go with an error.
//
// # Invariants
//
//   - Nothing is redirected to a URI that is not registered for the client.
//   - A code or refresh token is compared with its client before anything else
//     happens to it: another client's attempt changes nothing.
//   - A second use of a code, or of a refresh token outside its grace, revokes the grant.
//   - Claims are made from rows read by the same request (storage.Authorization).
//   - Every error that leaves the package comes from errors.go: a code of an RFC, a
//     sentence of ours, never a cause.
package provider
