package api

import (
	"net/http"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/storage"
)

// endpoint is one row of the route table.
type endpoint struct {
	method string
	path   string // below /api/v1
	access access
	handle handler
}

// handler responds to a call that passed its checks.
type handler func(a *API, c *call) (response, error)

const (
	get    = http.MethodGet
	post   = http.MethodPost
	put    = http.MethodPut
	patch  = http.MethodPatch
	remove = http.MethodDelete
)

// withoutBody makes a handler refuse a body.
func withoutBody(handle handler) handler {
	return func(a *API, c *call) (response, error) {
		if err := requireEmptyBody(c); err != nil {
			return response{}, err
		}
		return handle(a, c)
	}
}

// withBody makes a handler of a function that takes a JSON body, the struct In.
func withBody[In any](handle func(*API, *call, *In) (response, error)) handler {
	return func(a *API, c *call) (response, error) {
		var in In
		if err := decode(c, &in); err != nil {
			return response{}, err
		}
		return handle(a, c, &in)
	}
}

// endpoints is the route table.
func endpoints() []endpoint {
	return []endpoint{
		{post, "/auth/register", public, withBody((*API).register)},
		{post, "/auth/login", public, withBody((*API).login)},
		{post, "/auth/logout", pendingSecondFactor, withoutBody((*API).logout)},
		{get, "/auth/me", pendingSecondFactor, withoutBody((*API).session)},
		{get, "/auth/sessions", userOnly, withoutBody((*API).listSessions)},
		{remove, "/auth/sessions", userOnly, withoutBody((*API).endOtherSessions)},
		{remove, "/auth/sessions/{id}", userOnly, withoutBody((*API).endSession)},
		{post, "/auth/forgot-password", public, withBody((*API).forgotPassword)},
		{post, "/auth/reset-password", public, withBody((*API).resetPassword)},
		{post, "/auth/verify-email", public, withBody((*API).verifyEmail)},
		{post, "/auth/verify-email/send", authenticated, withoutBody((*API).sendVerification)},

		{post, "/auth/totp/enroll", recentAuthenticated, withBody((*API).enrollTOTP)},
		{post, "/auth/totp/verify-enrollment", authenticated, withBody((*API).confirmTOTP)},
		{post, "/auth/totp/verify", pendingSecondFactor, verifyCode(storage.FactorTOTP)},
		{post, "/auth/totp/disable", recentSignIn, withBody((*API).disableTOTP)},
		{get, "/auth/recovery-codes", userOnly, withoutBody((*API).countRecoveryCodes)},
		{post, "/auth/recovery-codes/verify", pendingSecondFactor, verifyCode(assurance.FactorRecovery)},
		{post, "/auth/recovery-codes/regenerate", recentSignIn, withoutBody((*API).regenerateRecoveryCodes)},
		{post, "/auth/webauthn/register/begin", recentAuthenticated, withoutBody((*API).beginRegistration)},
		{post, "/auth/webauthn/register/complete", authenticated, withBody((*API).completeRegistration)},
		{post, "/auth/webauthn/login/begin", public, withoutBody((*API).beginAssertion)},
		{post, "/auth/webauthn/login/complete", public, withBody((*API).completeAssertion)},
		{get, "/auth/webauthn/credentials", userOnly, withoutBody(inPages(func(f *factorView) uuid.UUID { return f.ID }, (*API).listCredentials))},
		{patch, "/auth/webauthn/credentials/{id}", userOnly, withBody((*API).renameCredential)},
		{remove, "/auth/webauthn/credentials/{id}", recentSignIn, withoutBody((*API).deleteCredential)},

		{get, "/users/me", userOrToken, withoutBody((*API).me)},
		{patch, "/users/me", userOnly, withBody((*API).updateMe)},
		{remove, "/users/me", recentSignIn, withoutBody((*API).deleteMe)},
		{post, "/users/me/password", recentSignIn, withBody((*API).changePassword)},
		{get, "/users/me/organizations", authenticatedOrToken, withoutBody((*API).listOrganizations)},
		{get, "/users/me/grants", userOnly, withoutBody((*API).listGrants)},
		{remove, "/users/me/grants/{id}", userOnly, withoutBody((*API).revokeGrant)},
		{get, "/users/me/export", recentSignIn, withoutBody((*API).export)},
		{get, "/users/me/tokens", userOnly, withoutBody(inPages(func(t *tokenView) uuid.UUID { return t.ID }, (*API).listTokens))},
		{post, "/users/me/tokens", recentSignIn, withBody((*API).createToken)},
		{remove, "/users/me/tokens/{id}", userOnly, withoutBody((*API).revokeToken)},

		{get, "/organizations/{id}/security-policy", userOnly, withoutBody((*API).organizationPolicy)},
		{put, "/organizations/{id}/security-policy", recentSignIn, withBody((*API).setOrganizationPolicy)},
		{get, "/organizations/{id}/compliance", userOnly, withoutBody((*API).compliance)},
		{get, "/admin/settings", userOnly, withoutBody((*API).settings)},
		{put, "/admin/settings", recentSignIn, withBody((*API).setSettings)},
	}
}
