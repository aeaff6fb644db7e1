package api

import (
	"net/http"

	"github.com/google/uuid"
)

// endpoint is one row of the route table.
type endpoint struct {
	method string
	path   string // below /api/v1
	access access
	handle func(a *API, c *call) (answer, error)
}

const (
	get    = http.MethodGet
	post   = http.MethodPost
	put    = http.MethodPut
	patch  = http.MethodPatch
	remove = http.MethodDelete
)

// bodiless is a handler of a POST that takes no body. None of GET and DELETE does.
func bodiless(handle func(*API, *call) (answer, error)) func(*API, *call) (answer, error) {
	return func(a *API, c *call) (answer, error) {
		if err := empty(c); err != nil {
			return answer{}, err
		}
		return handle(a, c)
	}
}

// endpoints is the route table.
func endpoints() []endpoint {
	return []endpoint{
		{post, "/auth/register", anybody, (*API).register},
		{post, "/auth/login", anybody, (*API).login},
		{post, "/auth/logout", half, bodiless((*API).logout)},
		{get, "/auth/me", half, (*API).session},
		{get, "/auth/sessions", person, (*API).listSessions},
		{remove, "/auth/sessions", person, (*API).endOtherSessions},
		{remove, "/auth/sessions/{id}", person, (*API).endSession},
		{post, "/auth/forgot-password", anybody, (*API).forgotPassword},
		{post, "/auth/reset-password", anybody, (*API).resetPassword},
		{post, "/auth/verify-email", anybody, (*API).verifyEmail},
		{post, "/auth/verify-email/send", whole, (*API).sendVerification},

		{post, "/auth/totp/enroll", enrolling, (*API).enrollTOTP},
		{post, "/auth/totp/verify-enrollment", whole, (*API).confirmTOTP},
		{post, "/auth/totp/verify", half, (*API).verifyTOTP},
		{post, "/auth/totp/disable", fresh, (*API).disableTOTP},
		{get, "/auth/recovery-codes", person, (*API).countRecoveryCodes},
		{post, "/auth/recovery-codes/verify", half, (*API).verifyRecoveryCode},
		{post, "/auth/recovery-codes/regenerate", fresh, (*API).regenerateRecoveryCodes},
		{post, "/auth/webauthn/register/begin", enrolling, (*API).beginRegistration},
		{post, "/auth/webauthn/register/complete", whole, (*API).completeRegistration},
		{post, "/auth/webauthn/login/begin", anybody, (*API).beginAssertion},
		{post, "/auth/webauthn/login/complete", anybody, (*API).completeAssertion},
		{get, "/auth/webauthn/credentials", person, inPages(func(f *factorView) uuid.UUID { return f.ID }, (*API).listCredentials)},
		{patch, "/auth/webauthn/credentials/{id}", person, (*API).renameCredential},
		{remove, "/auth/webauthn/credentials/{id}", fresh, (*API).deleteCredential},

		{get, "/users/me", member, (*API).me},
		{patch, "/users/me", person, (*API).updateMe},
		{remove, "/users/me", fresh, (*API).deleteMe},
		{post, "/users/me/password", fresh, (*API).changePassword},
		{get, "/users/me/organizations", listing, (*API).listOrganizations},
		{get, "/users/me/grants", person, (*API).listGrants},
		{remove, "/users/me/grants/{id}", person, (*API).revokeGrant},
		{get, "/users/me/export", fresh, (*API).export},
		{get, "/users/me/tokens", person, inPages(func(t *tokenView) uuid.UUID { return t.ID }, (*API).listTokens)},
		{post, "/users/me/tokens", fresh, (*API).createToken},
		{remove, "/users/me/tokens/{id}", person, (*API).revokeToken},

		{get, "/organizations/{id}/security-policy", person, (*API).organizationPolicy},
		{put, "/organizations/{id}/security-policy", fresh, (*API).setOrganizationPolicy},
		{get, "/organizations/{id}/compliance", person, (*API).compliance},
		{get, "/admin/settings", person, (*API).settings},
		{put, "/admin/settings", fresh, (*API).setSettings},
	}
}
