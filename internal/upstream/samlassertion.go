package upstream

import (
	"slices"
	"strings"
	"time"

	"github.com/crewjam/saml"
	"github.com/sallyport-id/sallyport/storage"
)

// assertionCheck is a verified assertion with what it is compared with.
type assertionCheck struct {
	*saml.Assertion
	sp        *ServiceProvider
	requestID string
	after     time.Time
	now       time.Time
}

// assertionChecks are those of SAML 2.0 Profiles, section 4.1.4.3. The library makes many of them too, with three
// minutes of skew; none of them depends on it here.
var assertionChecks = []struct {
	code, problem string
	ok            func(c *assertionCheck) bool
}{
	{AssertionMissing, "the assertion lacks an ID, a subject, conditions or the statement of one sign-in",
		func(c *assertionCheck) bool {
			return c.ID != "" && c.Subject != nil && c.Subject.NameID != nil && c.Conditions != nil &&
				len(c.AuthnStatements) == 1
		}},
	{AssertionIssuer, "the assertion is of another issuer",
		func(c *assertionCheck) bool { return c.Issuer.Value == c.sp.Provider.EntityID }},
	{AssertionAudience, "the assertion is not for this server", (*assertionCheck).hasAudience},
	{AssertionMissing, "the assertion has not exactly one bearer confirmation",
		func(c *assertionCheck) bool { return c.confirmation() != nil }},
	{AssertionRecipient, "the assertion is for another address",
		func(c *assertionCheck) bool { return c.confirmation().Recipient == c.sp.ACS }},
	{ResponseRequest, "the assertion answers another request, or none",
		func(c *assertionCheck) bool { return c.confirmation().InResponseTo == c.requestID }},
	{AssertionExpired, "the assertion has expired", func(c *assertionCheck) bool {
		session := c.AuthnStatements[0].SessionNotOnOrAfter
		return c.isBefore(c.confirmation().NotOnOrAfter) && (session == nil || c.isBefore(*session)) &&
			(c.Conditions.NotOnOrAfter.IsZero() || c.isBefore(c.Conditions.NotOnOrAfter))
	}},
	{AssertionEarly, "the assertion is of a time to come", func(c *assertionCheck) bool {
		limit := c.now.Add(skew)
		return !slices.ContainsFunc([]time.Time{c.IssueInstant, c.Conditions.NotBefore, c.confirmation().NotBefore,
			c.AuthnStatements[0].AuthnInstant}, func(t time.Time) bool { return t.After(limit) })
	}},
	{AssertionAge, "the person did not sign in anew, as was asked for", func(c *assertionCheck) bool {
		return c.after.IsZero() || !c.AuthnStatements[0].AuthnInstant.Before(c.after.Add(-skew))
	}},
	{AssertionSubject, "the assertion names the person by an address or for one session only, or not for this server",
		func(c *assertionCheck) bool {
			subject := c.subject()
			return subject != "" && len(subject) <= maxSubject && storage.Storable(subject, maxSubject) == subject
		}},
}

// check returns the first check that fails as a *Fault.
func (c *assertionCheck) check() error {
	for _, check := range assertionChecks {
		if !check.ok(c) {
			return fault(check.code, nil, "%s", "compare the connection with what the provider shows for this service",
				check.problem)
		}
	}
	return nil
}

// isBefore reports whether the end has not come yet, with the skew of clocks.
func (c *assertionCheck) isBefore(end time.Time) bool { return c.now.Add(-skew).Before(end) }

// hasAudience reports whether there is an audience restriction, and each of them names this server.
func (c *assertionCheck) hasAudience() bool {
	for _, restriction := range c.Conditions.AudienceRestrictions {
		isOurs := func(a saml.Audience) bool { return a.Value == c.sp.EntityID }
		if !slices.ContainsFunc(restriction.AllAudiences(), isOurs) {
			return false
		}
	}
	return len(c.Conditions.AudienceRestrictions) > 0
}

// confirmation returns the data of the only bearer confirmation; nil if there is none, or several.
func (c *assertionCheck) confirmation() (data *saml.SubjectConfirmationData) {
	found := 0
	for _, confirmation := range c.Subject.SubjectConfirmations {
		if confirmation.Method == "urn:oasis:names:tc:SAML:2.0:cm:bearer" {
			data, found = confirmation.SubjectConfirmationData, found+1
		}
	}
	if found != 1 {
		return nil
	}
	return data
}

// subject identifies the person: the configured attribute, else the NameID. A transient NameID is another one at each
// sign-in, an address can be given to another person, and a qualified NameID is unique only together with its
// qualifiers.
func (c *assertionCheck) subject() string {
	if name := c.sp.Attributes["subject"]; name != "" {
		return c.attribute(name)
	}
	id := c.Subject.NameID
	if slices.Contains([]string{string(saml.TransientNameIDFormat), string(saml.EmailAddressNameIDFormat)}, id.Format) ||
		id.NameQualifier != "" && id.NameQualifier != c.sp.Provider.EntityID ||
		id.SPNameQualifier != "" && id.SPNameQualifier != c.sp.EntityID {
		return ""
	}
	return id.Value
}

// attributeNames are the usual names of attributes, where the connection does not name them: those of LDAP, of X.500,
// and of Microsoft.
var attributeNames = map[string][]string{
	"email": {"email", "mail", "urn:oid:0.9.2342.19200300.100.1.3",
		"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"},
	"name": {"name", "displayName", "urn:oid:2.16.840.1.113730.3.1.241",
		"http://schemas.microsoft.com/identity/claims/displayname"},
	"given_name": {"given_name", "givenName", "firstName", "urn:oid:2.5.4.42",
		"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname"},
	"family_name": {"family_name", "sn", "surname", "lastName", "urn:oid:2.5.4.4",
		"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname"},
}

// claim returns the attribute for a claim; "" if there is none.
func (c *assertionCheck) claim(name string) string {
	if configured := c.sp.Attributes[name]; configured != "" {
		return cut(c.attribute(configured))
	}
	for _, usual := range attributeNames[name] {
		if value := c.attribute(usual); value != "" {
			return cut(value)
		}
	}
	return ""
}

// attribute returns the first value of an attribute.
func (c *assertionCheck) attribute(name string) string {
	for _, statement := range c.AttributeStatements {
		for _, a := range statement.Attributes {
			if a.Name == name && len(a.Values) > 0 {
				return a.Values[0].Value
			}
		}
	}
	return ""
}

// strongContexts say that more than a password was shown.
var strongContexts = []string{"https://refeds.org/profile/mfa", "http://schemas.microsoft.com/claims/multipleauthn",
	"urn:oasis:names:tc:SAML:2.0:ac:classes:MobileTwoFactorContract",
	"urn:oasis:names:tc:SAML:2.0:ac:classes:MobileTwoFactorUnregistered"}

// identity is whom the assertion names. SAML cannot say that an address is the person's: it counts as verified only
// in a domain that the connection gives the provider.
func (c *assertionCheck) identity() *Identity {
	class := c.AuthnStatements[0].AuthnContext.AuthnContextClassRef
	email := c.claim("email")
	domain := strings.ToLower(email[strings.LastIndexByte(email, '@')+1:])
	return &Identity{Subject: c.subject(), Email: email,
		EmailVerified: domain != email && slices.Contains(c.sp.Domains, domain),
		Name:          c.claim("name"), GivenName: c.claim("given_name"), FamilyName: c.claim("family_name"),
		MFA: class != nil && slices.Contains(strongContexts, class.Value)}
}
