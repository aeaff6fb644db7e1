// Package consent is the pages on the way to a code. The step here asks whether an app may have what it asks for; who
// the user is and for which organization they act is asked by consent/login before.
//
//	/consent   GET the page, POST answer=allow or deny, remember=on
//
// # The next step of a flow
//
// NextStep is the one place that knows the order of the steps. Package provider asks it for every authorization request,
// sends the user to the page it names, and gets them back at the authorization endpoint, where it asks again.
//
//	sign-in (/login) ──▶ second factor (/login/factor) ──▶ organization (/org) ──▶ consent (/consent) ──▶ code
//
// # An answer
//
//	none ──▶ in the flow: for this user, client, organization and these scopes
//	           │ allowed, and remembered if wanted: 180 days, beside earlier scopes
//	           └ denied: the flow ends with access_denied
//
// It is written with its audit event in one transaction, once: a second one, from another tab or a double click, changes
// nothing. It is dropped when another user signs in or another organization is chosen within the flow (storage.SignIn,
// storage.ChooseOrganization).
package consent

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/internal/signin"
	"github.com/sallyport-id/sallyport/storage"
)

// remembered is how long a consent lasts.
const remembered = 180 * 24 * time.Hour

// consentPath is the step of a flow that asks for consent.
const consentPath = "/consent"

// NextStep returns the path of the page that a flow needs next, "" when a code can be issued.
func NextStep(f *storage.FlowState) string {
	required := signin.RequiredFor(f)
	switch {
	case required.SignIn:
		return "/login"
	case required.Incomplete():
		return "/login/factor"
	case required.Organization:
		return "/org"
	case needsConsent(f):
		return consentPath
	}
	return ""
}

// needsConsent reports whether the signed-in user has to answer what is asked now. A denial is an answer: the provider
// ends its flow.
func needsConsent(f *storage.FlowState) bool {
	answer := f.Flow.Consent
	switch user := f.Session.User.ID; {
	case answer.Covers(user, f.OrganizationID(), f.Scopes):
		return false
	case answer != nil && answer.Denied && answer.UserID == user && answer.OrganizationID == f.OrganizationID():
		return false
	case alwaysAsks(f):
		return true
	case f.Client.SkipsConsent():
		return false
	}
	return validConsent(f) == nil || len(missingScopes(f)) > 0
}

// alwaysAsks reports whether this request needs an answer of its own, whatever is remembered. A public client on the
// user's device can be imitated by any other program there, so only the user can tell what they have just started
// (RFC 8252, section 8.6).
func alwaysAsks(f *storage.FlowState) bool {
	return f.HasPrompt("consent") || f.Client.Public() && isOnDevice(f.RedirectURI)
}

// validConsent is the remembered consent if it still counts, else nil.
func validConsent(f *storage.FlowState) *storage.Consent {
	c := f.Consent
	if c == nil || !f.Now.Before(c.ExpiresAt) || c.OrganizationID != f.OrganizationID() {
		return nil
	}
	return c
}

// missingScopes are the scopes that were not allowed before.
func missingScopes(f *storage.FlowState) []string {
	c := validConsent(f)
	if c == nil {
		return f.Scopes
	}
	return slices.DeleteFunc(slices.Clone(f.Scopes), func(s string) bool { return slices.Contains(c.Scopes, s) })
}

// listedScopes are the scopes that the page lists.
func listedScopes(f *storage.FlowState) []string {
	if alwaysAsks(f) {
		return f.Scopes
	}
	return missingScopes(f)
}

// rememberUntil is when a consent given now ends; zero where remembering would change nothing, because the client's next
// request is asked about anyway.
func rememberUntil(f *storage.FlowState) time.Time {
	if f.Client.Public() && isOnDevice(f.RedirectURI) {
		return time.Time{}
	}
	return f.Now.Add(remembered)
}

// isOnDevice reports whether a redirect URI leads to a program on the user's own device: a loopback address or a scheme
// of its own (RFC 8252, section 7).
func isOnDevice(uri string) bool {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return true
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// destination is where the browser goes next, as the page says it.
func destination(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Hostname() == "" {
		return "this app on your device"
	}
	host := u.Hostname()
	if port := u.Port(); port != "" {
		host = net.JoinHostPort(host, port)
	}
	if isOnDevice(uri) {
		host += " on your device"
	}
	return host
}
