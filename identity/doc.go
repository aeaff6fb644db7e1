// Package identity holds the rules about people, organizations, memberships and client applications. It knows no HTTP
// and no SQL: pages, API and command line call it, and it calls package storage.
//
// # Nouns
//
// New makes a Domain, which has one part for each noun. A part has only what its rules need. All parts share access (the
// database, the clock, the permissions); those that write mails share mailer.
//
//	People         user.go, account.go     users, as superadmins and the operator see and change them
//	Accounts       account.go, credentials.go, apps.go, accountexport.go, welcome.go
//	               what users do with their own account: profile, password, connected apps, export, deletion
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
// # Permissions
//
// A method that changes something takes the Actor first. Permission, change and audit event are one call, so that no
// caller can forget one of them. An Actor is a user, a personal access token (one organization, some scopes) or the
// operator at the command line. Authorize checks the table of permissions (authority.go) and notes in the Actor what the
// action was allowed for; the transaction that writes the event checks that again. Users need no permission for their
// own account, only that it is active.
//
// An actor who may not see something gets storage.ErrNotFound, as if it did not exist; an actor who may see it but not
// change it gets ErrForbidden. Input that breaks a rule is answered with FieldErrors: every field that is wrong, what is
// wrong with it, and what to do.
package identity
