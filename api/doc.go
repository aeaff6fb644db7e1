// Package api is the JSON API over package identity: /api/v1.
//
// # A call
//
//	route table → caller (authenticate: session or token) → access (may it use this endpoint) → handler → envelope
//
// The route table (routes.go) is the one list of endpoints: each row has its
// method, path, required access and handler. All responses have the form of
// web.Envelope; errors.go maps the errors of the domain to it.
//
// # Callers
//
//	browser    the session cookie of a page of this origin; a change needs the header
//	           X-CSRF-Token with data.csrf_token of auth/me or auth/login
//	token      Authorization: Bearer sp_st_…, a session token that auth/login gave out:
//	           an ordinary session row that only this API takes
//	personal   Authorization: Bearer sp_pat_…, a personal access token: one organization, and
//	           the endpoints with access userOrToken and authenticatedOrToken
//
// # States of a session
//
//	none ──auth/login──▶ authenticated
//	              └────▶ pendingSecondFactor (MFA_REQUIRED) ──totp/verify, webauthn/login or
//	                                                          recovery-codes/verify──▶ authenticated
//	authenticated, a requirement is overdue: COMPLIANCE_REQUIRED for all but enrolment
//
// An endpoint that can weaken an account requires a sign-in within the last five
// minutes, as the pages do. Each step replaces the token of the session.
//
// # Lists
//
// A list is split into pages. The cursor of a page (page.go) works for its list and caller only.
package api
