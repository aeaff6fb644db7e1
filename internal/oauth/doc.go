// Package oauth is the vocabulary of OAuth 2.0 and OpenID Connect as this server
// speaks it: the values that a request, a registration and the discovery document may
// have. It imports nothing, and each list is written here and nowhere else.
//
// provider reads it for what it accepts and for what discovery lists, identity for
// what a client may register, internal/keys for what it signs with, and the pages for
// the scopes that a form offers. Which grant types are offered is decided by the table
// in provider/granttypes.go, whose rows have their facts from here.
package oauth
