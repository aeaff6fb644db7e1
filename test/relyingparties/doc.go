// Package relyingparties drives relying parties that nobody here wrote through
// a running server, with the person in a real Chromium: what their authors read
// out of the standards is checked against what we did. It holds only tests.
//
//	coreos/go-oidc with x/oauth2   goidc_test.go
//	zitadel/oidc                   zitadel_test.go
//	openid-client on Node          node_test.go, node/
//	mod_auth_openidc in Apache     apache_test.go
package relyingparties
