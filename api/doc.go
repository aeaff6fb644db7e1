// Package api is the JSON door to package identity: /api/v1.
//
// # A call
//
//	route table → caller (who asks, with what) → access (may they at all) → handler → envelope
//
// The route table (routes.go) is the one list of endpoints: each row has its
// method, path, who may call it, and its handler. Answers and refusals have one
// form, web.Envelope; errors.go says what an error of the domain means in it.
//
// # Who calls
//
//	browser    the session cookie of a page of this origin; a change needs the header
//	           X-CSRF-Token with data.csrf_token of auth/me or auth/login
//	token      Authorization: Bearer sp_st_…, a session token that auth/login gave out:
//	           an ordinary session row that only this API takes
//	personal   Authorization: Bearer sp_pat_…, a personal access token: one organization, and
//	           what the route table gives a member: reading who its person is, and where
//
// # States of a session
//
//	none ──auth/login──▶ authenticated
//	              └────▶ pendingSecondFactor (MFA_REQUIRED) ──totp/verify, webauthn/login or
//	                                                          recovery-codes/verify──▶ authenticated
//	authenticated, a requirement is overdue: COMPLIANCE_REQUIRED for all but enrolling
//
// What weakens an account wants a session that signed in within five minutes, as
// the pages do. The token of a session is another one after each step.
//
// # Lists
//
// Each pages by a sealed cursor (page.go) that is good for its list and caller alone.
package api
