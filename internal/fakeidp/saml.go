package fakeidp

import (
	"bytes"
	"compress/flate"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"math/big"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/beevik/etree"
	"github.com/crewjam/saml/xmlenc"
	dsig "github.com/russellhaering/goxmldsig"
)

// SAMLConfig is a SAML identity provider and the one service provider that it knows.
type SAMLConfig struct {
	EntityID, SSOURL string
	// Audience is the entity ID of the service provider, ACS its callback.
	Audience, ACS string
	// Encryption is the service provider's certificate, for which assertions are encrypted; nil leaves them plain.
	Encryption *x509.Certificate
	// SignResponse signs the response; PlainAssertion leaves the assertion without a signature of its own.
	SignResponse, PlainAssertion bool
	// CBC encrypts with AES in CBC mode, not GCM.
	CBC bool
	Now func() time.Time
}

// SAML is a SAML identity provider. It is safe for concurrent use.
type SAML struct {
	SAMLConfig
	mu          sync.Mutex
	lie         Lie
	key         *rsa.PrivateKey
	certificate *x509.Certificate
}

// NewSAML returns a provider with a new key.
func NewSAML(c SAMLConfig) *SAML {
	p := &SAML{SAMLConfig: c}
	p.Rotate()
	return p
}

// Rotate replaces the key that signs.
func (p *SAML) Rotate() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.key, p.certificate = newRSA(p.Now(), 2048)
}

// Lie makes the next responses wrong in one way; Honest ends that.
func (p *SAML) Lie(l Lie) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lie = l
}

// Certificate is that of the key that signs.
func (p *SAML) Certificate() *x509.Certificate {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.certificate
}

func newRSA(now time.Time, bits int) (*rsa.PrivateKey, *x509.Certificate) {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "fake"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return key, certificate
}

// Metadata is the provider's.
func (p *SAML) Metadata() []byte {
	return []byte(strings.NewReplacer("ENTITY", escape(p.EntityID), "SSO-URL", escape(p.SSOURL),
		"CERTIFICATE", base64.StdEncoding.EncodeToString(p.Certificate().Raw)).Replace(
		`<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="ENTITY">` +
			`<IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"><KeyDescriptor use="signing">` +
			`<KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>CERTIFICATE</X509Certificate>` +
			`</X509Data></KeyInfo></KeyDescriptor>` +
			`<SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="SSO-URL"/>` +
			`</IDPSSODescriptor></EntityDescriptor>`))
}

// AuthnRequest is a request to sign a person in.
type AuthnRequest struct {
	ID         string `xml:",attr"`
	ACS        string `xml:"AssertionConsumerServiceURL,attr"`
	ForceAuthn bool   `xml:",attr"`
	Issuer     string `xml:"Issuer"`
	RelayState string `xml:"-"`
}

// ReadRequest reads a request that came by redirect, and checks the signature in its query with the certificate of the
// service provider (SAML 2.0 Bindings, section 3.4.4.1).
func ReadRequest(location string, certificate *x509.Certificate) (*AuthnRequest, error) {
	u, err := url.Parse(location)
	if err != nil {
		return nil, err
	}
	signed, _, found := strings.Cut(u.RawQuery, "&Signature=")
	signature, err := base64.StdEncoding.DecodeString(u.Query().Get("Signature"))
	key, ok := certificate.PublicKey.(*rsa.PublicKey)
	if !found || err != nil || !ok || u.Query().Get("SigAlg") != dsig.RSASHA256SignatureMethod {
		return nil, errors.New("the request is not signed with RSA and SHA-256")
	}
	sum := sha256.Sum256([]byte(signed[strings.Index(signed, "SAMLRequest="):]))
	if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature); err != nil {
		return nil, err
	}
	deflated, err := base64.StdEncoding.DecodeString(u.Query().Get("SAMLRequest"))
	if err != nil {
		return nil, err
	}
	plain, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(deflated)), 1<<16))
	if err != nil {
		return nil, err
	}
	request := AuthnRequest{RelayState: u.Query().Get("RelayState")}
	return &request, xml.Unmarshal(plain, &request)
}

// Response returns the parameter SAMLResponse that signs a person in, as an answer to the request; "" answers none.
func (p *SAML) Response(requestID string, who Person) (string, error) {
	document, err := p.Document(requestID, who)
	return base64.StdEncoding.EncodeToString(document), err
}

// Document returns the response as XML.
func (p *SAML) Document(requestID string, who Person) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	doc := etree.NewDocument()
	if err := doc.ReadFromString(p.fill(requestID, who)); err != nil {
		return nil, err
	}
	response := doc.Root()
	if edit := SAMLLies[p.lie]; edit != nil {
		edit(response, p.Now())
	}
	assertion := response.SelectElement("Assertion")
	if assertion != nil {
		index := assertion.Index()
		if !p.PlainAssertion {
			signed, err := p.sign(assertion)
			if err != nil {
				return nil, err
			}
			assertion = signed
		}
		if p.Encryption != nil {
			encrypted, err := p.encrypt(assertion)
			if err != nil {
				return nil, err
			}
			assertion = encrypted
		}
		response.RemoveChildAt(index)
		response.InsertChildAt(index, assertion)
	}
	if p.SignResponse {
		signed, err := p.sign(response)
		if err != nil {
			return nil, err
		}
		doc.SetRoot(signed)
	}
	return doc.WriteToBytes()
}

// fill returns an honest response.
func (p *SAML) fill(requestID string, who Person) string {
	at := func(d time.Duration) string { return p.Now().UTC().Add(d).Format("2006-01-02T15:04:05.000Z") }
	text := strings.NewReplacer("RESPONSE", "r"+rand.Text(), "ASSERTION", "a"+rand.Text(), "REQUEST", escape(requestID),
		"ENTITY", escape(p.EntityID), "AUDIENCE", escape(p.Audience), "ACS", escape(p.ACS), "NOW", at(0),
		"BEGIN", at(-time.Minute), "END", at(time.Minute), "SUBJECT", escape(who.Subject), "EMAIL", escape(who.Email),
		"NAME", escape(who.Name)).Replace(samlResponse)
	if requestID == "" {
		text = strings.ReplaceAll(text, ` InResponseTo=""`, "")
	}
	return text
}

const samlResponse = `<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ` +
	`xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="RESPONSE" Version="2.0" IssueInstant="NOW" Destination="ACS" ` +
	`InResponseTo="REQUEST"><saml:Issuer>ENTITY</saml:Issuer>` +
	`<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>` +
	`<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="ASSERTION" Version="2.0" IssueInstant="NOW">` +
	`<saml:Issuer>ENTITY</saml:Issuer><saml:Subject>` +
	`<saml:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">SUBJECT</saml:NameID>` +
	`<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">` +
	`<saml:SubjectConfirmationData NotOnOrAfter="END" Recipient="ACS" InResponseTo="REQUEST"/></saml:SubjectConfirmation>` +
	`</saml:Subject><saml:Conditions NotBefore="BEGIN" NotOnOrAfter="END"><saml:AudienceRestriction>` +
	`<saml:Audience>AUDIENCE</saml:Audience></saml:AudienceRestriction></saml:Conditions>` +
	`<saml:AuthnStatement AuthnInstant="NOW" SessionIndex="s1"><saml:AuthnContext><saml:AuthnContextClassRef>` +
	`urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport</saml:AuthnContextClassRef></saml:AuthnContext>` +
	`</saml:AuthnStatement><saml:AttributeStatement>` +
	`<saml:Attribute Name="mail"><saml:AttributeValue>EMAIL</saml:AttributeValue></saml:Attribute>` +
	`<saml:Attribute Name="displayName"><saml:AttributeValue>NAME</saml:AttributeValue></saml:Attribute>` +
	`</saml:AttributeStatement></saml:Assertion></samlp:Response>`

func escape(text string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(text)) // a buffer does not fail
	return b.String()
}

// sign returns a copy of the element with its signature after the issuer, where the schema has it.
func (p *SAML) sign(e *etree.Element) (*etree.Element, error) {
	key, certificate, method := p.key, p.certificate, dsig.RSASHA256SignatureMethod
	switch p.lie {
	case Unsigned:
		return e.Copy(), nil
	case OtherKey:
		key, certificate = newRSA(p.Now(), 2048)
	case SignedBySHA1:
		method = dsig.RSASHA1SignatureMethod
	}
	context, err := dsig.NewSigningContext(key, [][]byte{certificate.Raw})
	if err != nil {
		return nil, err
	}
	context.Canonicalizer = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	if err := context.SetSignatureMethod(method); err != nil {
		return nil, err
	}
	signed, err := context.SignEnveloped(e)
	if err != nil {
		return nil, err
	}
	signature := signed.RemoveChildAt(len(signed.Child) - 1)
	signed.InsertChildAt(1, signature)
	return signed, nil
}

// encrypt returns the assertion encrypted for the service provider.
func (p *SAML) encrypt(assertion *etree.Element) (*etree.Element, error) {
	doc := etree.NewDocument()
	doc.SetRoot(assertion)
	plain, err := doc.WriteToBytes()
	if err != nil {
		return nil, err
	}
	encrypter := xmlenc.OAEP()
	encrypter.DigestMethod = &xmlenc.SHA1 // of OAEP, where SHA-1 is safe, and all that most providers know
	encrypter.BlockCipher = xmlenc.AES256GCM
	if p.CBC {
		encrypter.BlockCipher = xmlenc.AES256CBC
	}
	data, err := encrypter.Encrypt(p.Encryption, plain, nil)
	if err != nil {
		return nil, err
	}
	data.CreateAttr("Type", "http://www.w3.org/2001/04/xmlenc#Element")
	encrypted := etree.NewElement("saml:EncryptedAssertion")
	encrypted.CreateAttr("xmlns:saml", "urn:oasis:names:tc:SAML:2.0:assertion")
	encrypted.AddChild(data)
	return encrypted, nil
}
