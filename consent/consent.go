// Package consent is what a person is shown on the way to a code. Here is the
// step Agree: may this app have what it asks for? Who the person is and for which
// organization they act is asked by consent/login before.
//
//	/consent   GET the page, POST answer=allow or deny, remember=on
//
// Package provider asks Agree whether an answer is owed; if so it sends the person
// here, and gets them back at /oauth2/authorize, where all steps are asked again.
//
// # An answer
//
//	none ──▶ in the flow: for this person, client, organization and these scopes
//	           │ allowed, and remembered if wanted: 180 days, beside earlier scopes
//	           └ denied: the flow ends with access_denied
//
// It is written with its audit event in one statement, once: a second one, from
// another tab or a double click, changes nothing. It is given up when another
// person signs in or another organization is picked within the flow
// (storage.SignIn, storage.ChooseOrganization).
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

// Agree is the step that asks whether the app may have what it asks for.
type Agree struct{}

// Path is /consent.
func (Agree) Path() string { return "/consent" }

// Refusal is consent_required (OpenID Connect Core 1.0, section 3.1.2.6).
func (Agree) Refusal() string { return "consent_required" }

// Pending reports whether the person still owes an answer for what is asked now.
// A denial is an answer: the provider ends its flow.
func (Agree) Pending(j *storage.FlowState) bool {
	if j.Session == nil {
		return true
	}
	answer := j.Flow.Consent
	if answer.Covers(j.Session.User.ID, j.OrganizationID(), j.Scopes) {
		return false
	}
	if answer != nil && answer.Denied && answer.UserID == j.Session.User.ID && answer.OrganizationID == j.OrganizationID() {
		return false
	}
	switch {
	case alwaysAsks(j):
		return true
	case j.Client.SkipsConsent():
		return false
	}
	return earlier(j) == nil || len(missing(j)) > 0
}

// alwaysAsks: whatever is remembered, this request needs an answer of its own.
// A public client on the person's device can be imitated by any other program
// there, so that only the person can tell what they have just started (RFC 8252,
// section 8.6).
func alwaysAsks(j *storage.FlowState) bool {
	return j.HasPrompt("consent") || j.Client.Public() && onDevice(j.RedirectURI)
}

// earlier is what is remembered and still counts, nil if nothing is.
func earlier(j *storage.FlowState) *storage.Consent {
	c := j.Consent
	if c == nil || !j.Now.Before(c.ExpiresAt) || c.OrganizationID != j.OrganizationID() {
		return nil
	}
	return c
}

// missing are the scopes that were not allowed before.
func missing(j *storage.FlowState) []string {
	c := earlier(j)
	if c == nil {
		return j.Scopes
	}
	return slices.DeleteFunc(slices.Clone(j.Scopes), func(s string) bool { return slices.Contains(c.Scopes, s) })
}

// asked are the scopes that the page lists.
func asked(j *storage.FlowState) []string {
	if alwaysAsks(j) {
		return j.Scopes
	}
	return missing(j)
}

// until is when a consent given now ends; zero where remembering would change
// nothing, because the client's next request is asked about anyway.
func until(j *storage.FlowState) time.Time {
	if j.Client.Public() && onDevice(j.RedirectURI) {
		return time.Time{}
	}
	return j.Now.Add(remembered)
}

// onDevice reports a redirect URI that leads to a program on the person's own
// device: a loopback address or a scheme of its own (RFC 8252, section 7).
func onDevice(uri string) bool {
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

// destination is where the person will go, as the page says it.
func destination(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Hostname() == "" {
		return "this app on your device"
	}
	host := u.Hostname()
	if port := u.Port(); port != "" {
		host = net.JoinHostPort(host, port)
	}
	if onDevice(uri) {
		host += " on your device"
	}
	return host
}

// purpose is what the page's form is made for: this person, client, organization
// and exactly these scopes in this flow. A form of any other is worth nothing.
func purpose(j *storage.FlowState) string {
	return strings.Join([]string{"consent", j.Flow.IDHash.String(), j.Session.User.ID.String(), j.Client.ID, j.OrganizationID().String(), strings.Join(j.Scopes, " ")}, "\x00")
}

// settled reports whether everything that comes before this step is answered: the
// second step too, for an answer that is remembered outlasts the session it came from.
func settled(j *storage.FlowState) bool {
	required := signin.RequiredFor(j)
	return !required.Any()
}
