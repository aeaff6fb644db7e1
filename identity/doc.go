// Package identity holds the rules about people, organizations, memberships and client applications. It knows no HTTP
// and no SQL: pages, API and command line call it, and it calls package storage.
//
// # Nouns
//
// New makes a Domain, which has one part for each noun. A part holds only what its rules need; all share access (the
// database, the clock, who may do what) and those that write mails share mailer.
//
//	People         user.go, account.go     users, as those see and change them who administer the installation
//	Accounts       account.go, credentials.go, apps.go, accountexport.go, welcome.go
//	               what people do with their own account: profile, password, connected apps, export, deletion
//	Registrations  registration.go, verification.go, recovery.go, jobs.go
//	               how accounts begin and how an address is verified, by mailed links (letter.go)
//	Connections    connection.go, externalidentity.go
//	               upstream identity providers, and whom they sign in
//	Sessions       sessions.go, steps.go   sessions, and what each still needs
//	Organizations  organization.go, member.go; choose.go decides which one a token names
//	Invitations    invitation.go
//	Policies       policy.go, compliance.go, notices.go
//	               which second factors are required, who lacks them, mails before a deadline
//	Clients        client.go, clientedit.go, clientsecret.go, clienttest.go, usage.go, refusal.go
//	               and the rules for a registration: metadata.go, scope.go, uri.go, jwks.go, clientdiff.go
//	Resources      resource.go
//	Tokens         token.go                personal access tokens
//	Installation   setup.go, restored.go   first administrator, brand, return from a backup
//	Passwords      password.go             what makes a good password, and its hash
//
// Packages beside it: assurance (pure rules: which second factor a sign-in needs), factor (the second factors
// themselves), manifest (clients.yaml), importer (people from other systems).
//
// # Who may do what
//
// A method that changes something takes the Actor first: authorization, change and audit event are one call, so that
// no caller can forget one of them. An Actor is a person, a personal access token (one organization, some scopes) or
// the operator at the command line. Authorize compares it with the table of permissions (authority.go) and notes in it
// what the act was allowed for; the transaction that writes the event checks that again. People need no permission for
// what is their own, only an active account.
//
// An actor who may not see something gets storage.ErrNotFound, as if it were not there; one who may see it and not
// change it gets ErrForbidden. Input that breaks a rule is answered with FieldErrors, which names every field that is wrong at once, what
// is wrong with it and what to do.
package identity
