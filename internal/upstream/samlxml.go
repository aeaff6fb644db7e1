package upstream

import (
	"bytes"
	"crypto/x509"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

const (
	maxResponse   = 256 << 10
	maxDepth      = 32
	maxElements   = 5000
	maxAttributes = 64 // of one element

	samlNamespace     = "urn:oasis:names:tc:SAML:2.0:assertion"
	protocolNamespace = "urn:oasis:names:tc:SAML:2.0:protocol"
)

// checkXML refuses documents that cost much to read, and those that two parsers could read differently: with a
// document type (entities), another encoding than UTF-8, text outside the root. Comments and CDATA can hide a part of
// a name; they are refused unless the document is lenient. It reads tokens only, so it builds nothing of what it
// refuses.
func checkXML(data []byte, size int, lenient bool) error {
	switch {
	case len(data) > size:
		return fmt.Errorf("the document is larger than %d bytes", size)
	case !utf8.Valid(data):
		return errors.New("the document is not in UTF-8")
	case !lenient && bytes.Contains(data, []byte("<!")):
		return errors.New("the document has a comment, CDATA or a document type")
	}
	decoder := xml.NewDecoder(bytes.NewReader(data))
	depth, elements, roots := 0, 0, 0
	for {
		begin := decoder.InputOffset()
		token, err := decoder.RawToken()
		if err == io.EOF {
			break
		}
		if err != nil {
			return errors.New("the document is not well-formed XML")
		}
		switch t := token.(type) {
		case xml.StartElement:
			if depth == 0 {
				roots++
			}
			depth, elements = depth+1, elements+1
			if depth > maxDepth || elements > maxElements || len(t.Attr) > maxAttributes {
				return errors.New("the document is nested too deeply or has too many elements or attributes")
			}
			// encoding/xml accepts them, and which one counts is for each reader to choose.
			for i, a := range t.Attr {
				if slices.ContainsFunc(t.Attr[:i], func(b xml.Attr) bool { return a.Name == b.Name }) {
					return errors.New("an element has an attribute twice")
				}
			}
		case xml.EndElement:
			depth--
		case xml.Directive:
			return errors.New("the document has a document type")
		case xml.ProcInst:
			if t.Target != "xml" || begin != 0 {
				return errors.New("the document has a processing instruction")
			}
		case xml.CharData:
			if depth == 0 && len(bytes.TrimSpace(t)) > 0 {
				return errors.New("the document has text outside its root")
			}
		}
	}
	if roots != 1 || depth != 0 {
		return errors.New("the document has not exactly one root")
	}
	return nil
}

// checkShape refuses responses that could wrap a signed assertion in one that is not signed: exactly one assertion,
// where SAML has it, and signatures only as children of the response and the assertion. Names are compared without
// their namespaces, so that no prefix hides an element. It returns the ID of the response.
func checkShape(data []byte) (responseID string, err error) {
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(data); err != nil || doc.Root() == nil {
		return "", errors.New("the document is not well-formed XML")
	}
	root := doc.Root()
	if root.Tag != "Response" || root.NamespaceURI() != protocolNamespace {
		return "", errors.New("the document is not a SAML response")
	}
	assertions, ids := 0, map[string]bool{}
	for _, e := range root.FindElements("//*") {
		for _, a := range e.Attr {
			if a.Key != "ID" && a.Key != "Id" && a.Key != "id" || a.Value == "" {
				continue
			}
			if ids[a.Value] {
				return "", errors.New("two elements have the same ID")
			}
			ids[a.Value] = true
		}
		switch e.Tag {
		case "Response":
			if e != root {
				return "", errors.New("a response is within the response")
			}
		case "Assertion", "EncryptedAssertion":
			assertions++
			if e.Parent() != root || e.NamespaceURI() != samlNamespace {
				return "", errors.New("an assertion is where none may be")
			}
		case "Signature":
			if e.NamespaceURI() != dsig.Namespace {
				return "", errors.New("a signature is of another namespace")
			}
			if p := e.Parent(); p != root && (p.Tag != "Assertion" || p.Parent() != root) {
				return "", errors.New("a signature is where none may be")
			}
		}
	}
	if assertions > 1 {
		return "", errors.New("there are several assertions")
	}
	return root.SelectAttrValue("ID", ""), nil
}

// strongAlgorithms may make signatures and digests; none is of SHA-1 or of a shared secret.
var strongAlgorithms = map[string][]string{
	"SignatureMethod": {dsig.RSASHA256SignatureMethod, dsig.RSASHA384SignatureMethod, dsig.RSASHA512SignatureMethod,
		dsig.ECDSASHA256SignatureMethod, dsig.ECDSASHA384SignatureMethod, dsig.ECDSASHA512SignatureMethod},
	"DigestMethod": {"http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2001/04/xmldsig-more#sha384",
		"http://www.w3.org/2001/04/xmlenc#sha512"},
	"CanonicalizationMethod": {string(dsig.CanonicalXML10ExclusiveAlgorithmId)},
	"Transform": {string(dsig.EnvelopedSignatureAltorithmId),
		string(dsig.CanonicalXML10ExclusiveAlgorithmId)},
}

// errWeakAlgorithm is of a signature with SHA-1, or with a transform that could change what is signed.
var errWeakAlgorithm = errors.New("the signature uses an algorithm that is not accepted")

// verifier checks the signatures of one response for the library, which reads the message only from the element that
// VerifySignedElement returns: what was digested.
type verifier struct {
	certificates []*x509.Certificate
	// verified holds the IDs of the elements whose signatures are valid.
	verified []string
}

// VerifySignature implements saml.SignatureVerifier. The library does not call it, since there is
// VerifySignedElement.
func (v *verifier) VerifySignature(c *dsig.ValidationContext, e *etree.Element) error {
	_, err := v.VerifySignedElement(c, e)
	return err
}

// VerifySignedElement implements saml.SignedElementVerifier. It also sees assertions that were encrypted.
func (v *verifier) VerifySignedElement(c *dsig.ValidationContext, e *etree.Element) (*etree.Element, error) {
	signatures := 0
	for _, child := range e.ChildElements() {
		if child.Tag != "Signature" {
			continue
		}
		signatures++
		if len(child.FindElements(".//Reference")) != 1 || child.FindElement(".//Object") != nil {
			return nil, errors.New("the signature has several references, or carries content")
		}
		for tag, allowed := range strongAlgorithms {
			for _, method := range child.FindElements(".//" + tag) {
				if !slices.Contains(allowed, method.SelectAttrValue("Algorithm", "")) {
					return nil, errWeakAlgorithm
				}
			}
		}
		// The keys are those that were confirmed. What the message says of its key is not read.
		if info := child.SelectElement("KeyInfo"); info != nil {
			child.RemoveChild(info)
		}
	}
	if signatures != 1 {
		return nil, errors.New("the element has not exactly one signature")
	}
	id := e.SelectAttrValue("ID", "")
	for _, certificate := range v.certificates {
		one := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{certificate}})
		one.IdAttribute, one.Clock = "ID", c.Clock
		if signed, err := one.Validate(e.Copy()); err == nil && isStrong(certificate) {
			v.verified = append(v.verified, id)
			return signed, nil
		}
	}
	return nil, errors.New("no confirmed certificate has made the signature")
}
