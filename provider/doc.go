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
//	/oauth2/token                            token.go       RFC 6749 4.1.3, 4.4, 6
//	/oauth2/userinfo                         userinfo.go    OpenID Connect Core 5.3
//	/oauth2/introspect                       introspect.go  RFC 7662
//	/oauth2/revoke                           revoke.go      RFC 7009
//	/oauth2/logout                           logout.go      RP-Initiated Logout 1.0
//
// # An authorization
//
//	GET/POST authorize → open (client, request object or pushed request, redirect URI)
//	                   → check (everything else; errors go to the redirect URI from here on)
//	                   → journey (who is signed in, which organization, what is remembered)
//	                   → a Step is pending?  store the flow, 303 to the step's page …
//	                     … which comes back to authorize?flow=ID, and we ask again from the first
//	                   → none pending: issue (fosite makes the code, one statement stores it)
//
// A flow is unbound only when it came by POST, which may be cross-site and then
// carries no cookie; the first GET binds it to its browser. Nothing but authorize
// issues a code or an error; a code, an error and a cancel each end the flow.
//
// # fosite
//
// fosite checks requests and runs the grants; it never writes a response and never
// sees the database. Each request has a unit of work (store.go): what fosite reads
// is memoised, what it creates is kept, and one statement writes it all (flush).
// Only revocations, and the spending of a code by a wrong verifier, happen at once,
// for they go with an error.
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
