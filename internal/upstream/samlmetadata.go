package upstream

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"slices"
	"strings"
	"time"

	"github.com/crewjam/saml"
)

const (
	maxEntityID = 1024 // SAML 2.0 Core, section 8.3.6
	minRSABits  = 2048
	minECBits   = 256
)

// SAMLMetadata is what is read of an identity provider's metadata.
type SAMLMetadata struct {
	EntityID string
	// SSOURL takes authentication requests by redirect.
	SSOURL string
	// Certificates sign; a certificate counts only after an administrator has confirmed it.
	Certificates []*x509.Certificate
}

// ParseSAMLMetadata reads the metadata of one identity provider. A *Fault names what is wrong with it. Its
// signature, if it has one, is not checked: an administrator confirms the certificates in it.
func ParseSAMLMetadata(data []byte, now time.Time) (*SAMLMetadata, error) {
	if err := checkXML(data, maxBody, true); err != nil {
		return nil, fault(BadMetadata, err, "the SAML metadata cannot be read", "give the provider's metadata as XML")
	}
	var entity saml.EntityDescriptor
	if err := xml.Unmarshal(data, &entity); err != nil {
		return nil, fault(BadMetadata, nil, "the document is not the metadata of one SAML entity",
			"give the metadata of the provider alone, not that of a federation")
	}
	if len(entity.IDPSSODescriptors) != 1 {
		return nil, fault(BadMetadata, nil, "the metadata describes no identity provider, or several",
			"give the metadata of the identity provider, not that of an application")
	}
	role := &entity.IDPSSODescriptors[0]
	switch {
	case entity.EntityID == "" || len(entity.EntityID) > maxEntityID:
		return nil, fault(BadMetadata, nil, "the metadata has no entityID", "")
	case !entity.ValidUntil.IsZero() && !now.Before(entity.ValidUntil),
		role.ValidUntil != nil && !now.Before(*role.ValidUntil):
		return nil, fault(BadMetadata, nil, "the metadata has expired", "get it from the provider again")
	}
	m := &SAMLMetadata{EntityID: entity.EntityID}
	for _, s := range role.SingleSignOnServices {
		if s.Binding == saml.HTTPRedirectBinding && m.SSOURL == "" {
			m.SSOURL = s.Location
		}
	}
	if !plainURL(m.SSOURL, m.EntityID) { // also refuses javascript: and the like
		return nil, fault(BadMetadata, nil, "the metadata has no SingleSignOnService with HTTP-Redirect at an https URL",
			"switch the redirect binding on at the provider")
	}
	for _, descriptor := range role.KeyDescriptors {
		if descriptor.Use != "" && descriptor.Use != "signing" {
			continue
		}
		for _, encoded := range descriptor.KeyInfo.X509Data.X509Certificates {
			certificate, err := parseCertificate(encoded.Data)
			if err != nil {
				return nil, err
			}
			m.Certificates = append(m.Certificates, certificate)
		}
	}
	if len(m.Certificates) == 0 {
		return nil, fault(BadMetadata, nil, "the metadata has no certificate for signing", "")
	}
	return m, nil
}

// parseCertificate reads a certificate of metadata and refuses weak keys.
func parseCertificate(encoded string) (*x509.Certificate, error) {
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(encoded), ""))
	if err != nil {
		return nil, fault(BadMetadata, nil, "a certificate in the metadata cannot be read", "")
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fault(BadMetadata, nil, "a certificate in the metadata cannot be read", "")
	}
	if !isStrong(certificate) {
		return nil, fault(WeakKey, nil, "a certificate in the metadata has a weak key",
			"let the provider sign with RSA of 2048 bits or more, or with ECDSA of 256 bits or more")
	}
	return certificate, nil
}

// isStrong reports whether signatures by the certificate's key can be trusted.
func isStrong(certificate *x509.Certificate) bool {
	switch key := certificate.PublicKey.(type) {
	case *rsa.PublicKey:
		return key.N.BitLen() >= minRSABits
	case *ecdsa.PublicKey:
		return key.Curve.Params().BitSize >= minECBits
	}
	return false
}

// Unconfirmed returns the certificates that are not among those that an administrator has confirmed. An attacker
// that changes the metadata could otherwise sign in as every person of the connection.
func (m *SAMLMetadata) Unconfirmed(confirmed []*x509.Certificate) []*x509.Certificate {
	return slices.DeleteFunc(slices.Clone(m.Certificates), func(c *x509.Certificate) bool {
		return slices.ContainsFunc(confirmed, c.Equal)
	})
}

// Metadata returns this server's metadata for the connection. All keys are in it, so that the provider knows the next
// one before it signs, and encrypts for any of them.
func (sp *ServiceProvider) Metadata() ([]byte, error) {
	descriptor := sp.library().Metadata()
	role := &descriptor.SPSSODescriptors[0]
	for _, key := range sp.Keys[1:] {
		role.KeyDescriptors = append(role.KeyDescriptors, keyDescriptor("signing", key.Certificate),
			keyDescriptor("encryption", key.Certificate))
	}
	return xml.MarshalIndent(descriptor, "", "  ")
}

func keyDescriptor(use string, certificate *x509.Certificate) saml.KeyDescriptor {
	encoded := []saml.X509Certificate{{Data: base64.StdEncoding.EncodeToString(certificate.Raw)}}
	return saml.KeyDescriptor{Use: use, KeyInfo: saml.KeyInfo{X509Data: saml.X509Data{X509Certificates: encoded}}}
}
