package upstream

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

// spentLife is for how long the ID of an assertion is kept. The library accepts no assertion that is older than 90 s.
const spentLife = time.Hour

// ServiceProvider is this server towards the SAML identity provider of one connection (SAML 2.0 Profiles, section
// 4.1). All fields are needed, but for AllowUnsolicited, Attributes and Domains.
type ServiceProvider struct {
	// EntityID is the URL of this server's metadata for the connection, ACS that of its callback.
	EntityID, ACS string
	// Provider is the identity provider. Only Confirmed says which certificates count.
	Provider *SAMLMetadata
	// Confirmed are the signing certificates that an administrator has confirmed.
	Confirmed []*x509.Certificate
	// Keys are this server's: the first signs, all decrypt and are in the metadata.
	Keys []SAMLKey
	// AllowUnsolicited accepts responses without a request (IdP-initiated sign-in).
	AllowUnsolicited bool
	// Attributes names the provider's attribute for subject, email, name, given_name and family_name.
	Attributes map[string]string
	// Domains are those whose addresses the provider may vouch for.
	Domains []string
	// IDs remembers which assertions were used.
	IDs IDSpender
	Now func() time.Time
}

// IDSpender lets an identifier be used once. Package storage implements it.
type IDSpender interface {
	SpendID(ctx context.Context, hash secret.Hash, expires time.Time) error
}

// library is the service provider of the library, with a clock that stands still during one call.
func (sp *ServiceProvider) library() *saml.ServiceProvider {
	entityID, _ := url.Parse(sp.EntityID) // both are made of ISSUER, which is checked at start
	acs, _ := url.Parse(sp.ACS)
	location := saml.Endpoint{Binding: saml.HTTPRedirectBinding, Location: sp.Provider.SSOURL}
	format := saml.PersistentNameIDFormat
	if sp.Attributes["subject"] != "" {
		format = saml.UnspecifiedNameIDFormat
	}
	library := &saml.ServiceProvider{
		EntityID: sp.EntityID, MetadataURL: *entityID, AcsURL: *acs, AuthnNameIDFormat: format,
		IDPMetadata: &saml.EntityDescriptor{EntityID: sp.Provider.EntityID, IDPSSODescriptors: []saml.IDPSSODescriptor{{
			SingleSignOnServices: []saml.Endpoint{location}}}},
		Key: sp.Keys[0].Private, Certificate: sp.Keys[0].Certificate, SignatureMethod: dsig.RSASHA256SignatureMethod,
		AssertionConsumerServiceBindings: []string{saml.HTTPPostBinding}, LimitRelayStateLength: true,
		RejectSHA1Signatures: true, RejectUnknownConditions: true, RequireSignedResponseForCBC: true,
		Clock: dsig.NewFakeClockAt(sp.Now()),
	}
	for _, key := range sp.Keys[1:] {
		library.DecryptionKeys = append(library.DecryptionKeys, key.Private)
	}
	return library
}

// Begin returns where to send the browser with a signed request, and the ID of the request, which ParseResponse
// compares. The provider sends relayState back.
func (sp *ServiceProvider) Begin(relayState string, r Request) (location, requestID string, err error) {
	library := sp.library()
	if force := r.Prompt == "login" || !r.SignedInAfter.IsZero(); force {
		library.ForceAuthn = &force
	}
	request, err := library.MakeAuthenticationRequest(sp.Provider.SSOURL, saml.HTTPRedirectBinding, saml.HTTPPostBinding)
	if err != nil {
		return "", "", fault(BadSettings, err, "the SAML request cannot be made", "")
	}
	u, err := request.Redirect(relayState, library)
	if err != nil {
		return "", "", fault(BadSettings, err, "the SAML request cannot be signed", "")
	}
	return u.String(), request.ID, nil
}

// ParseResponse returns whom a response vouches for, or a *Fault. encoded is the parameter SAMLResponse, requestID
// the ID of the request that it must answer; "" if there was none. An assertion counts once, and only if nothing is
// wrong with it.
func (sp *ServiceProvider) ParseResponse(ctx context.Context, encoded, requestID string, after time.Time) (
	*Identity, error) {
	if requestID == "" && !sp.AllowUnsolicited {
		return nil, fault(ResponseRequest, nil, "the response answers no request",
			"begin the sign-in here, or allow_idp_initiated")
	}
	if len(encoded) > base64.StdEncoding.EncodedLen(maxResponse)+maxResponse/16 { // with line ends
		return nil, fault(ResponseForm, nil, "the response is too large", "")
	}
	data, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(encoded), ""))
	if err != nil {
		return nil, fault(ResponseForm, nil, "the response is not base64", "")
	}
	if err := checkXML(data, maxResponse, false); err != nil {
		return nil, fault(ResponseForm, err, "the response is refused unread", "")
	}
	responseID, err := checkShape(data)
	if err != nil {
		return nil, fault(ResponseForm, err, "the response is refused unread", "")
	}
	verifier := &verifier{certificates: sp.Confirmed}
	assertion, err := sp.verify(data, requestID, verifier)
	if err != nil {
		return nil, err
	}
	c := &assertionCheck{Assertion: assertion, sp: sp, requestID: requestID, after: after, now: sp.Now()}
	if !slices.Contains(verifier.verified, assertion.ID) && !slices.Contains(verifier.verified, responseID) {
		return nil, fault(ResponseSignature, nil, "the assertion is not signed", signatureRemedy)
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	hash := secret.HashOf("saml assertion\x00" + sp.Provider.EntityID + "\x00" + assertion.ID)
	if err := sp.IDs.SpendID(ctx, hash, c.now.Add(spentLife)); errors.Is(err, storage.ErrSpent) {
		return nil, fault(AssertionReplayed, nil, "the assertion was used before", "")
	} else if err != nil {
		return nil, err
	}
	return c.identity(), nil
}

// verify lets the library decrypt the response and check its signatures. What it returns is read from what was
// signed.
func (sp *ServiceProvider) verify(data []byte, requestID string, v *verifier) (*saml.Assertion, error) {
	library := sp.library()
	// The library asks for certificates before it calls the verifier, which decides by Confirmed.
	role := &library.IDPMetadata.IDPSSODescriptors[0]
	for _, certificate := range sp.Confirmed {
		role.KeyDescriptors = append(role.KeyDescriptors, keyDescriptor("signing", certificate))
	}
	library.SignatureVerifier = v
	library.AllowIDPInitiated = requestID == ""
	var possible []string
	if requestID != "" {
		possible = []string{requestID}
	}
	assertion, err := library.ParseXMLResponse(data, possible, library.AcsURL)
	if err != nil {
		return nil, libraryFault(err, len(v.verified) > 0)
	}
	return assertion, nil
}

// signatureRemedy is for signatures that no confirmed certificate has made.
const signatureRemedy = "see whether the provider signs with a new certificate, and confirm it"

// libraryFaults names the errors of the library. The first row that matches counts.
var libraryFaults = []struct {
	err                   error
	code, problem, remedy string
}{
	{errWeakAlgorithm, ResponseAlgorithm, "the signature uses an algorithm that is not accepted",
		"let the provider sign with SHA-256"},
	{saml.ErrDecryptionFailed, ResponseEncryption, "the assertion cannot be decrypted",
		"give the provider this server's metadata again"},
	{saml.ErrInvalidSignature, ResponseSignature, "no confirmed certificate has signed the response as it must be",
		signatureRemedy},
	{saml.ErrIssuerMismatch, AssertionIssuer, "the response is of another issuer",
		"compare the entityID with the metadata"},
	{saml.ErrDestinationMismatch, AssertionRecipient, "the response is for another address",
		"give the provider this server's metadata"},
	{saml.ErrRequestIDMismatch, ResponseRequest, "the response answers another request, or none", ""},
	{saml.ErrAudienceMismatch, AssertionAudience, "the assertion is not for this server",
		"set the audience at the provider to the entity ID"},
	{saml.ErrExpired, AssertionExpired, "the response has expired", "compare the clocks"},
	{saml.ErrNotYetValid, AssertionEarly, "the response is of a time to come", "compare the clocks"},
	{saml.ErrMalformedMessage, ResponseForm, "the response is not as SAML has it", ""},
	{saml.ErrUnsupported, ResponseForm, "the response is of another version, or has a condition that is not known", ""},
	{saml.ErrMissingElement, AssertionMissing, "the response lacks what it must have", ""},
}

// libraryFault returns the *Fault for an error of the library. The error itself can repeat what was answered. The
// library has no name for the error that nothing is signed.
func libraryFault(err error, isSigned bool) *Fault {
	if invalid, ok := errors.AsType[*saml.InvalidResponseError](err); ok {
		err = invalid.PrivateErr
	}
	if status, ok := errors.AsType[saml.ErrBadStatus](err); ok {
		code := status.Status[strings.LastIndexByte(status.Status, ':')+1:]
		return fault(AnswerRefused, nil, "the provider answered with the status %s", "", cleanCode(strings.ToLower(code)))
	}
	// The library does not call the verifier for SHA-1, and gives the error two meanings.
	if errors.Is(err, saml.ErrUnsupported) && errors.Is(err, saml.ErrInvalidSignature) {
		err = errWeakAlgorithm
	}
	for _, f := range libraryFaults {
		if errors.Is(err, f.err) {
			return fault(f.code, nil, "%s", f.remedy, f.problem)
		}
	}
	if !isSigned {
		return fault(ResponseSignature, nil, "neither response nor assertion is signed", "let the provider sign assertions")
	}
	return fault(ResponseForm, nil, "the response cannot be read", "")
}
