// Package assurance decides which second factor a sign-in needs: pure rules over values, which read nothing and write
// nothing. Its types of policies are those that package storage keeps.
//
// A policy of an organization or of the installation becomes a requirement for one person (storage.Requirement). While
// its time to enrol runs, the policy before it goes on, so a requirement comes down to one or two conditions
// (condition.go). Evaluate takes what the person has enrolled, what the session has proven and the requirements, and
// answers with a Decision: what to prove now, else what to enrol, else which deadline comes first (assurance.go). When
// a policy is replaced, BeginGrace says from when the new one counts and what goes on until then (policy.go).
//
// Callers: identity for accounts and tokens, provider for authorization requests and grants, the sign-in sequence.
package assurance
