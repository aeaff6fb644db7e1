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
		{post, "/auth/logout", pendingSecondFactor, bodiless((*API).logout)},
		{get, "/auth/me", pendingSecondFactor, (*API).session},
		{get, "/auth/sessions", userOnly, (*API).listSessions},
		{remove, "/auth/sessions", userOnly, (*API).endOtherSessions},
		{remove, "/auth/sessions/{id}", userOnly, (*API).endSession},
		{post, "/auth/forgot-password", anybody, (*API).forgotPassword},
		{post, "/auth/reset-password", anybody, (*API).resetPassword},
		{post, "/auth/verify-email", anybody, (*API).verifyEmail},
		{post, "/auth/verify-email/send", authenticated, (*API).sendVerification},

		{post, "/auth/totp/enroll", enrolling, (*API).enrollTOTP},
		{post, "/auth/totp/verify-enrollment", authenticated, (*API).confirmTOTP},
		{post, "/auth/totp/verify", pendingSecondFactor, (*API).verifyTOTP},
		{post, "/auth/totp/disable", recentSignIn, (*API).disableTOTP},
		{get, "/auth/recovery-codes", userOnly, (*API).countRecoveryCodes},
		{post, "/auth/recovery-codes/verify", pendingSecondFactor, (*API).verifyRecoveryCode},
		{post, "/auth/recovery-codes/regenerate", recentSignIn, (*API).regenerateRecoveryCodes},
		{post, "/auth/webauthn/register/begin", enrolling, (*API).beginRegistration},
		{post, "/auth/webauthn/register/complete", authenticated, (*API).completeRegistration},
		{post, "/auth/webauthn/login/begin", anybody, (*API).beginAssertion},
		{post, "/auth/webauthn/login/complete", anybody, (*API).completeAssertion},
		{get, "/auth/webauthn/credentials", userOnly, inPages(func(f *factorView) uuid.UUID { return f.ID }, (*API).listCredentials)},
		{patch, "/auth/webauthn/credentials/{id}", userOnly, (*API).renameCredential},
		{remove, "/auth/webauthn/credentials/{id}", recentSignIn, (*API).deleteCredential},

		{get, "/users/me", userOrToken, (*API).me},
		{patch, "/users/me", userOnly, (*API).updateMe},
		{remove, "/users/me", recentSignIn, (*API).deleteMe},
		{post, "/users/me/password", recentSignIn, (*API).changePassword},
		{get, "/users/me/organizations", listing, (*API).listOrganizations},
		{get, "/users/me/grants", userOnly, (*API).listGrants},
		{remove, "/users/me/grants/{id}", userOnly, (*API).revokeGrant},
		{get, "/users/me/export", recentSignIn, (*API).export},
		{get, "/users/me/tokens", userOnly, inPages(func(t *tokenView) uuid.UUID { return t.ID }, (*API).listTokens)},
		{post, "/users/me/tokens", recentSignIn, (*API).createToken},
		{remove, "/users/me/tokens/{id}", userOnly, (*API).revokeToken},

		{get, "/organizations/{id}/security-policy", userOnly, (*API).organizationPolicy},
		{put, "/organizations/{id}/security-policy", recentSignIn, (*API).setOrganizationPolicy},
		{get, "/organizations/{id}/compliance", userOnly, (*API).compliance},
		{get, "/admin/settings", userOnly, (*API).settings},
		{put, "/admin/settings", recentSignIn, (*API).setSettings},
	}
}
