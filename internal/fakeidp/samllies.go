package fakeidp

import (
	"time"

	"github.com/beevik/etree"
)

// The lies of a SAML provider about its signatures; those of SAMLLies are about what it signs. Unsigned and OtherKey
// are lies of it too.
const SignedBySHA1 Lie = "signed with SHA-1"

// SAMLLies change a response before it is signed.
var SAMLLies = map[Lie]func(response *etree.Element, now time.Time){
	"status":                        set("//StatusCode", "Value", "urn:oasis:names:tc:SAML:2.0:status:AuthnFailed"),
	"issuer of the response":        text("/Response/Issuer", "https://other.example"),
	"issuer of the assertion":       text("//Assertion/Issuer", "https://other.example"),
	"no issuer of the assertion":    remove("//Assertion/Issuer"),
	"destination":                   set("/Response", "Destination", "https://other.example/acs"),
	"recipient":                     set("//SubjectConfirmationData", "Recipient", "https://other.example/acs"),
	"no recipient":                  unset("//SubjectConfirmationData", "Recipient"),
	"audience":                      text("//Audience", "https://other.example"),
	"no audience":                   remove("//AudienceRestriction"),
	"request of the response":       set("/Response", "InResponseTo", "other"),
	"request of the assertion":      set("//SubjectConfirmationData", "InResponseTo", "other"),
	"no request of the response":    unset("/Response", "InResponseTo"),
	"no request of the assertion":   unset("//SubjectConfirmationData", "InResponseTo"),
	"conditions expired":            instant("//Conditions", "NotOnOrAfter", -2*time.Minute),
	"conditions early":              instant("//Conditions", "NotBefore", 2*time.Minute),
	"confirmation expired":          instant("//SubjectConfirmationData", "NotOnOrAfter", -2*time.Minute),
	"confirmation without end":      unset("//SubjectConfirmationData", "NotOnOrAfter"),
	"confirmation early":            instant("//SubjectConfirmationData", "NotBefore", 2*time.Minute),
	"issued in the future":          instant("//Assertion", "IssueInstant", 2*time.Minute),
	"issued long ago":               instant("//Assertion", "IssueInstant", -time.Hour),
	"response of the future":        instant("/Response", "IssueInstant", time.Hour),
	"session over":                  instant("//AuthnStatement", "SessionNotOnOrAfter", -2*time.Minute),
	"signed in yesterday":           instant("//AuthnStatement", "AuthnInstant", -24*time.Hour),
	"signed in tomorrow":            instant("//AuthnStatement", "AuthnInstant", 24*time.Hour),
	"no subject":                    remove("//Subject"),
	"no name":                       remove("//NameID"),
	"empty name":                    text("//NameID", ""),
	"no conditions":                 remove("//Conditions"),
	"no confirmation":               remove("//SubjectConfirmation"),
	"no confirmation data":          remove("//SubjectConfirmationData"),
	"confirmation of another kind":  set("//SubjectConfirmation", "Method", "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches"),
	"no statement of a sign-in":     remove("//AuthnStatement"),
	"no assertion":                  remove("//Assertion"),
	"version":                       set("//Assertion", "Version", "1.1"),
	"transient name":                set("//NameID", "Format", "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"),
	"address as name":               set("//NameID", "Format", "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"),
	"name of another service":       set("//NameID", "SPNameQualifier", "https://other.example"),
	"name of another provider":      set("//NameID", "NameQualifier", "https://other.example"),
	"second confirmation by bearer": double("//SubjectConfirmation"),
	"second statement of a sign-in": double("//AuthnStatement"),
	"second assertion":              double("//Assertion"),
	"an unknown condition": func(response *etree.Element, _ time.Time) {
		response.FindElement("//Conditions").CreateElement("saml:Condition")
	},
}

func set(path, name, value string) func(*etree.Element, time.Time) {
	return func(response *etree.Element, _ time.Time) { response.FindElement(path).CreateAttr(name, value) }
}

func unset(path, name string) func(*etree.Element, time.Time) {
	return func(response *etree.Element, _ time.Time) { response.FindElement(path).RemoveAttr(name) }
}

func instant(path, name string, after time.Duration) func(*etree.Element, time.Time) {
	return func(response *etree.Element, now time.Time) {
		response.FindElement(path).CreateAttr(name, now.UTC().Add(after).Format(time.RFC3339))
	}
}

func text(path, value string) func(*etree.Element, time.Time) {
	return func(response *etree.Element, _ time.Time) { response.FindElement(path).SetText(value) }
}

func remove(path string) func(*etree.Element, time.Time) {
	return func(response *etree.Element, _ time.Time) {
		e := response.FindElement(path)
		e.Parent().RemoveChild(e)
	}
}

func double(path string) func(*etree.Element, time.Time) {
	return func(response *etree.Element, _ time.Time) {
		e := response.FindElement(path)
		e.Parent().AddChild(e.Copy())
	}
}
