// Package identity holds the rules about people, organizations, memberships and
// client applications. It knows no HTTP and no SQL: pages, API and command line
// call it, and it calls package storage.
//
// A method that changes something takes the acting person first: authorization,
// change and audit event are one call, so that no door can forget one of them.
// What a person may not see is storage.ErrNotFound to them, as if it were not
// there; what they may see and not do is ErrForbidden.
//
// Input that breaks a rule is answered with Faults, which names every field that
// is wrong at once, what is wrong with it and what to do.
//
//	users          user.go, email.go (one address, one key), password.go, profile.go
//	accounts       registration.go, verification.go, recovery.go (what proves an address), credentials.go, account.go,
//	               sessions.go, apps.go, accountexport.go, letter.go (mails and their links), jobs.go (the worker's halves)
//	organizations  organization.go, member.go, choose.go (which one a token names), invitation.go, welcome.go
//	second steps   policy.go, compliance.go, notices.go (before a deadline), assurance.go (what a sign-in owes)
//	tokens         token.go (personal access tokens)
//	clients        client.go, metadata.go, uri.go, jwks.go, scope.go, clientsecret.go
//	clients.yaml   manifest.go (parse), plan.go (compare and apply), export.go
//	sample data    seed.go
package identity
