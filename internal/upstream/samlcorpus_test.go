package upstream

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"
	"github.com/sallyport-id/sallyport/internal/fakeidp"
)

// samlDocument is a good response that a row of the corpus changes.
type samlDocument struct {
	doc                            *etree.Document
	response, assertion, signature *etree.Element
}

func readSAML(t testing.TB, data []byte) samlDocument {
	t.Helper()
	d := samlDocument{doc: etree.NewDocument()}
	if err := d.doc.ReadFromBytes(data); err != nil {
		t.Fatal(err)
	}
	d.response = d.doc.Root()
	d.assertion = d.response.SelectElement("Assertion")
	if d.signature = d.assertion.SelectElement("Signature"); d.signature == nil {
		d.signature = d.response.SelectElement("Signature")
	}
	return d
}

// forged is a copy of the assertion that names mallory and is not signed.
func (d samlDocument) forged(id string) *etree.Element {
	e := d.assertion.Copy()
	e.CreateAttr("ID", id)
	e.FindElement("./Subject/NameID").SetText("mallory")
	if s := e.SelectElement("Signature"); s != nil {
		e.RemoveChild(s)
	}
	return e
}

// replace puts another assertion in the place of the signed one, which it returns.
func (d samlDocument) replace(other *etree.Element) *etree.Element {
	index := d.assertion.Index()
	d.response.RemoveChildAt(index)
	d.response.InsertChildAt(index, other)
	return d.assertion
}

// samlTrees change the tree of a response. Each tries to have another person read than the one whose assertion is signed.
var samlTrees = map[string]func(d samlDocument){
	"forged before signed":  func(d samlDocument) { d.response.InsertChildAt(d.assertion.Index(), d.forged("f")) },
	"forged after signed":   func(d samlDocument) { d.response.AddChild(d.forged("f")) },
	"forged of the same ID": func(d samlDocument) { d.response.AddChild(d.forged(d.assertion.SelectAttrValue("ID", ""))) },
	"forged of the same ID, 1": func(d samlDocument) {
		same := d.forged(d.assertion.SelectAttrValue("ID", ""))
		d.response.InsertChildAt(0, same)
	},
	"forged alone": func(d samlDocument) { d.replace(d.forged("f")) },
	"forged with the ID of the signed": func(d samlDocument) {
		d.replace(d.forged(d.assertion.SelectAttrValue("ID", "")))
	},
	"signed within forged": func(d samlDocument) { f := d.forged("f"); f.AddChild(d.replace(f)) },
	"signed in the advice of forged": func(d samlDocument) {
		f := d.forged("f")
		f.CreateElement("saml:Advice").AddChild(d.replace(f))
	},
	"signed in the conditions of forged": func(d samlDocument) {
		f := d.forged("f")
		f.FindElement("./Conditions").AddChild(d.replace(f))
	},
	"signed in the value of an attribute of forged": func(d samlDocument) {
		f := d.forged("f")
		f.FindElement(".//AttributeValue").AddChild(d.replace(f))
	},
	"signed in the confirmation data of forged": func(d samlDocument) {
		f := d.forged("f")
		f.FindElement(".//SubjectConfirmationData").AddChild(d.replace(f))
	},
	"signed in an object of the signature of forged": func(d samlDocument) {
		f, s := d.forged("f"), d.signature.Copy()
		f.InsertChildAt(1, s)
		s.CreateElement("ds:Object").AddChild(d.replace(f))
	},
	"signed in the signature of forged": func(d samlDocument) {
		f, s := d.forged("f"), d.signature.Copy()
		f.InsertChildAt(1, s)
		s.AddChild(d.replace(f))
	},
	"signed in the key info of forged": func(d samlDocument) {
		f, s := d.forged("f"), d.signature.Copy()
		f.InsertChildAt(1, s)
		s.CreateElement("ds:KeyInfo").AddChild(d.replace(f))
	},
	"signed in extensions": func(d samlDocument) {
		signed := d.replace(d.forged("f"))
		extensions := etree.NewElement("samlp:Extensions")
		d.response.InsertChildAt(1, extensions)
		extensions.AddChild(signed)
	},
	"signed moved into extensions": func(d samlDocument) {
		d.response.RemoveChild(d.assertion)
		d.response.CreateElement("samlp:Extensions").AddChild(d.assertion)
	},
	"signed moved into no namespace": func(d samlDocument) { d.assertion.Space = "" },
	"signed in an object in extensions": func(d samlDocument) {
		signed := d.replace(d.forged("f"))
		extensions := etree.NewElement("samlp:Extensions")
		d.response.InsertChildAt(1, extensions)
		object := extensions.CreateElement("ds:Object")
		object.CreateAttr("xmlns:ds", "http://www.w3.org/2000/09/xmldsig#")
		object.AddChild(signed)
	},
	"signed in the status": func(d samlDocument) {
		signed := d.replace(d.forged("f"))
		d.response.FindElement("./Status").CreateElement("samlp:StatusDetail").AddChild(signed)
	},
	"signed in the issuer":    func(d samlDocument) { d.response.FindElement("./Issuer").AddChild(d.replace(d.forged("f"))) },
	"forged in extensions":    func(d samlDocument) { d.response.CreateElement("samlp:Extensions").AddChild(d.forged("f")) },
	"forged in the status":    func(d samlDocument) { d.response.FindElement("./Status").AddChild(d.forged("f")) },
	"forged within signed":    func(d samlDocument) { d.assertion.AddChild(d.forged("f")) },
	"forged in the advice":    func(d samlDocument) { d.assertion.CreateElement("saml:Advice").AddChild(d.forged("f")) },
	"forged in the signature": func(d samlDocument) { d.signature.AddChild(d.forged("f")) },
	"forged in an object":     func(d samlDocument) { d.signature.CreateElement("ds:Object").AddChild(d.forged("f")) },
	"forged of no namespace": func(d samlDocument) {
		f := d.forged("f")
		f.Space = ""
		d.response.InsertChildAt(1, f)
	},
	"forged of another namespace": func(d samlDocument) {
		f := d.forged("f")
		f.CreateAttr("xmlns:saml", "urn:other")
		d.response.InsertChildAt(1, f)
	},
	"forged of the default namespace": func(d samlDocument) {
		f := d.forged("f")
		f.Space = ""
		f.CreateAttr("xmlns", samlNamespace)
		d.response.InsertChildAt(1, f)
	},
	"forged beside an encrypted one": func(d samlDocument) {
		d.response.CreateElement("saml:EncryptedAssertion").AddChild(d.replace(d.forged("f")))
	},
	"signed as an encrypted one": func(d samlDocument) {
		e := etree.NewElement("saml:EncryptedAssertion")
		e.AddChild(d.replace(e))
	},
	"a response around the response": func(d samlDocument) {
		outer := d.response.Copy()
		outer.CreateAttr("ID", "outer")
		outer.RemoveChild(outer.SelectElement("Assertion"))
		outer.AddChild(d.forged("f"))
		outer.CreateElement("samlp:Extensions").AddChild(d.response)
		d.doc.SetRoot(outer)
	},
	"a response in an object of the response": func(d samlDocument) {
		outer := d.response.Copy()
		outer.CreateAttr("ID", "outer")
		outer.FindElement("./Assertion/Subject/NameID").SetText("mallory")
		if s := outer.SelectElement("Signature"); s != nil {
			s.CreateElement("ds:Object").AddChild(d.response)
		} else {
			outer.AddChild(d.response)
		}
		d.doc.SetRoot(outer)
	},
	"the signature moved to the response": func(d samlDocument) {
		d.signature.Parent().RemoveChild(d.signature)
		d.response.InsertChildAt(1, d.signature)
		d.assertion.FindElement(".//NameID").SetText("mallory")
	},
	"the signature moved to the assertion": func(d samlDocument) {
		d.signature.Parent().RemoveChild(d.signature)
		d.assertion.InsertChildAt(1, d.signature)
		d.assertion.FindElement(".//NameID").SetText("mallory")
	},
	"the signature moved into the subject": func(d samlDocument) {
		d.signature.Parent().RemoveChild(d.signature)
		d.assertion.FindElement("./Subject").AddChild(d.signature)
	},
	"the signature doubled":              func(d samlDocument) { d.signature.Parent().AddChild(d.signature.Copy()) },
	"the signature of another namespace": func(d samlDocument) { d.signature.CreateAttr("xmlns:ds", "urn:other") },
	"no signature":                       func(d samlDocument) { d.signature.Parent().RemoveChild(d.signature) },
	"an empty signature":                 func(d samlDocument) { d.signature.Child = nil },
	"no signed info":                     func(d samlDocument) { d.signature.RemoveChild(d.signature.SelectElement("SignedInfo")) },
	"signed info doubled": func(d samlDocument) {
		d.signature.InsertChildAt(0, d.signature.SelectElement("SignedInfo").Copy())
	},
	"no reference": func(d samlDocument) {
		info := d.signature.SelectElement("SignedInfo")
		info.RemoveChild(info.SelectElement("Reference"))
	},
	"a second reference": func(d samlDocument) {
		info := d.signature.SelectElement("SignedInfo")
		info.AddChild(info.SelectElement("Reference").Copy())
	},
	"a reference to all":     edit("//Reference", func(e *etree.Element) { e.CreateAttr("URI", "") }),
	"a reference to nothing": edit("//Reference", func(e *etree.Element) { e.RemoveAttr("URI") }),
	"a reference elsewhere":  edit("//Reference", func(e *etree.Element) { e.CreateAttr("URI", "#f") }),
	"a reference by XPointer": edit("//Reference", func(e *etree.Element) {
		e.CreateAttr("URI", "#xpointer(id('"+strings.TrimPrefix(e.SelectAttrValue("URI", ""), "#")+"'))")
	}),
	"no digest":          edit("//DigestValue", func(e *etree.Element) { e.SetText("") }),
	"no signature value": edit("//SignatureValue", func(e *etree.Element) { e.SetText("") }),
	"HMAC with the certificate": edit("//SignatureMethod", func(e *etree.Element) {
		e.CreateAttr("Algorithm", "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256")
	}),
	"a digest of SHA-1": edit("//DigestMethod", func(e *etree.Element) {
		e.CreateAttr("Algorithm", "http://www.w3.org/2000/09/xmldsig#sha1")
	}),
	"a transform by XSLT": edit("//Transforms", func(e *etree.Element) {
		e.CreateElement("ds:Transform").CreateAttr("Algorithm", "http://www.w3.org/TR/1999/REC-xslt-19991116")
	}),
	"a transform by XPath": edit("//Transforms", func(e *etree.Element) {
		e.CreateElement("ds:Transform").CreateAttr("Algorithm", "http://www.w3.org/TR/1999/REC-xpath-19991116")
	}),
	"comments are signed": edit("//CanonicalizationMethod", func(e *etree.Element) {
		e.CreateAttr("Algorithm", "http://www.w3.org/2001/10/xml-exc-c14n#WithComments")
	}),
	"another name":           edit("//NameID", func(e *etree.Element) { e.SetText("mallory") }),
	"a name before":          edit("//NameID", func(e *etree.Element) { e.Parent().InsertChildAt(0, named(e)) }),
	"a name after":           edit("//NameID", func(e *etree.Element) { e.Parent().AddChild(named(e)) }),
	"a subject before":       edit("//Subject", func(e *etree.Element) { e.Parent().InsertChildAt(1, namedWithin(e)) }),
	"a subject after":        edit("//Subject", func(e *etree.Element) { e.Parent().AddChild(namedWithin(e)) }),
	"an element in the name": edit("//NameID", func(e *etree.Element) { e.CreateElement("saml:b").SetText("mallory") }),
	"another address":        edit("//AttributeValue", func(e *etree.Element) { e.SetText("mallory@acme.example") }),
	"the ID by a prefix":     edit("//Assertion", func(e *etree.Element) { e.CreateAttr("xmlns:ID", "f") }),
	"the ID twice":           edit("//Assertion", func(e *etree.Element) { e.CreateAttr("saml:ID", "f") }),
	"a namespace for Format": edit("//NameID", func(e *etree.Element) { e.CreateAttr("xmlns:Format", "urn:f") }),
	"a namespace for Recipient": edit("//SubjectConfirmationData", func(e *etree.Element) {
		e.CreateAttr("xmlns:Recipient", "https://other.example")
	}),
}

func edit(path string, change func(e *etree.Element)) func(d samlDocument) {
	return func(d samlDocument) { change(d.response.FindElement(path)) }
}

func named(nameID *etree.Element) *etree.Element {
	e := nameID.Copy()
	e.SetText("mallory")
	return e
}

func namedWithin(subject *etree.Element) *etree.Element {
	e := subject.Copy()
	e.SelectElement("NameID").SetText("mallory")
	return e
}

// samlTexts change the text of a response: what one parser reads in another way than the next.
var samlTexts = map[string]func(text string) string{
	"a comment in the name":       within("alice-1001", "alice<!-- -->-1001"),
	"a comment after the name":    within("alice-1001", "alice<!-- -1001 -->"),
	"a comment before a name":     within("alice-1001", "<!-- -->mallory"),
	"CDATA in the name":           within("alice-1001", "<![CDATA[alice-1001]]>"),
	"CDATA of another name":       within("alice-1001", "<![CDATA[mallory]]>"),
	"an instruction in the name":  within("alice-1001", "alice<?x y?>-1001"),
	"an instruction of a name":    within("alice-1001", "mallory<?x alice-1001?>"),
	"a character by its number":   within("alice-1001", "&#97;lice-1001"),
	"another by its number":       within("alice-1001", "&#109;allory"),
	"an entity that is not known": within("alice-1001", "&mallory;"),
	"an entity of the document": func(s string) string {
		return `<!DOCTYPE r [<!ENTITY m "mallory">]>` + strings.Replace(s, "alice-1001", "&m;", 1)
	},
	"an entity of a file": func(s string) string {
		return `<!DOCTYPE r [<!ENTITY m SYSTEM "file:///etc/passwd">]>` + strings.Replace(s, "alice-1001", "&m;", 1)
	},
	"a billion laughs": func(s string) string {
		return `<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>` + strings.Replace(s, "alice-1001", "&b;", 1)
	},
	"a document type":               func(s string) string { return "<!DOCTYPE r>" + s },
	"a comment before the root":     func(s string) string { return "<!-- -->" + s },
	"a declaration of latin 1":      func(s string) string { return `<?xml version="1.0" encoding="ISO-8859-1"?>` + s },
	"a declaration":                 func(s string) string { return `<?xml version="1.0" encoding="UTF-8"?>` + s },
	"a style sheet":                 func(s string) string { return `<?xml-stylesheet href="a"?>` + s },
	"a second declaration":          func(s string) string { return `<?xml version="1.0"?><?xml version="1.0"?>` + s },
	"a byte order mark":             func(s string) string { return "\ufeff" + s },
	"UTF-16":                        func(s string) string { return "\xff\xfe" + strings.Join(strings.Split(s, ""), "\x00") + "\x00" },
	"bytes that are not UTF-8":      within("alice-1001", "alice-1001\xff"),
	"a zero byte":                   within("alice-1001", "alice-1001\x00"),
	"text before the root":          func(s string) string { return "mallory" + s },
	"text after the root":           func(s string) string { return s + "mallory" },
	"a second root":                 func(s string) string { return s + strings.Replace(s, "alice-1001", "mallory", 1) },
	"a root before":                 func(s string) string { return strings.Replace(s, "alice-1001", "mallory", 1) + s },
	"an end that is missing":        func(s string) string { return strings.TrimSuffix(s, "</samlp:Response>") },
	"an end too many":               func(s string) string { return s + "</samlp:Response>" },
	"ends that cross":               within("</saml:NameID>", "</saml:Subject>"),
	"a name with two colons":        within("<saml:NameID ", "<saml:x:NameID "),
	"a name that begins with colon": within("<saml:NameID ", "<:NameID "),
	"an attribute with two colons":  within("<saml:NameID ", `<saml:NameID x::y="z" `),
	"an empty prefix":               within("<saml:NameID ", `<saml:NameID xmlns:="urn:x" `),
	"an attribute twice":            within(` Format=`, ` Format="x" Format=`),
	"a prefix that is not declared": within("<saml:NameID ", `<saml:NameID q:a="b" `),
	"the prefix of another":         within("<saml:Subject>", `<saml:Subject xmlns:saml="urn:other">`),
	"the response of another":       within(`xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"`, `xmlns:samlp="urn:other"`),
	"another root":                  func(s string) string { return strings.ReplaceAll(s, "samlp:Response", "samlp:ArtifactResponse") },
	"elements in small letters":     func(s string) string { return strings.ReplaceAll(s, "saml:NameID", "saml:nameid") },
	"nesting of 100,000":            within("alice-1001", strings.Repeat("<a>", 10000)+strings.Repeat("</a>", 10000)),
	"nesting of 60":                 within("alice-1001", strings.Repeat("<a>", 60)+strings.Repeat("</a>", 60)),
	"many elements":                 within("alice-1001", "alice-1001"+strings.Repeat("<a/>", maxElements)),
	"many attributes":               within("<saml:NameID ", "<saml:NameID "+manyAttributes()),
	"1 MB":                          within("alice-1001", strings.Repeat("a", 1<<20)),
	"nothing":                       func(string) string { return "" },
	"not XML":                       func(string) string { return `{"sub":"mallory"}` },
	"white space in the name":       within("alice-1001", "\n alice-1001 "),
	"line ends by CR":               within("<saml:Subject>", "\r\n<saml:Subject>"),
}

func within(old, other string) func(string) string {
	return func(text string) string { return strings.Replace(text, old, other, 1) }
}

func manyAttributes() string {
	var b strings.Builder
	for i := range maxAttributes + 1 {
		fmt.Fprintf(&b, `a%d="" `, i)
	}
	return b.String()
}

// samlCorpus returns the documents, by name, that are made of a good one.
func samlCorpus(t testing.TB, good []byte) map[string][]byte {
	t.Helper()
	corpus := map[string][]byte{}
	for name, change := range samlTrees {
		d := readSAML(t, good)
		change(d)
		data, err := d.doc.WriteToBytes()
		if err != nil {
			t.Fatal(err)
		}
		corpus[name] = data
	}
	for name, change := range samlTexts {
		if _, twice := corpus[name]; twice {
			t.Fatalf("two documents have the name %q", name)
		}
		corpus[name] = []byte(change(string(good)))
	}
	return corpus
}

// samlHarmless change nothing of what is signed; they may sign alice in, and nobody else.
var samlHarmless = []string{"a character by its number", "a declaration", "a namespace for Format", "a namespace for Recipient",
	"the ID by a prefix", "an empty prefix", "forged of the same ID, 1"}

// None of the documents signs in another person than the one whose assertion is signed, or with another address
// (signature wrapping, CVE-2022-41912; XML that does not survive a round trip, CVE-2020-29509).
func TestSAMLDocumentsThatWrapAreRefused(t *testing.T) {
	sp, idp := newSAML(t)
	total := 0
	for _, form := range []string{"signed assertion", "signed response"} {
		idp.SAMLConfig = samlProvider
		samlForms[form](idp)
		good, err := idp.Document(samlRequest, alice)
		if err != nil {
			t.Fatal(err)
		}
		corpus := samlCorpus(t, good)
		for _, name := range slices.Sorted(maps.Keys(corpus)) {
			document := corpus[name]
			if bytes.Equal(document, good) {
				t.Errorf("%s, %s: nothing was changed", form, name)
			}
			total++
			got, err := sp.ParseResponse(t.Context(), base64.StdEncoding.EncodeToString(document), samlRequest, time.Time{})
			if err != nil {
				if f, ok := errors.AsType[*Fault](err); !ok || f.Code == AssertionReplayed {
					t.Errorf("%s, %s: got %v, want a fault of the document", form, name, err)
				}
				continue
			}
			if got.Subject != alice.Subject || got.Email != alice.Email || got.Name != alice.Name {
				t.Errorf("%s, %s: signs in %+v", form, name, *got)
			}
			if !slices.Contains(samlHarmless, name) {
				t.Errorf("%s, %s: it is accepted", form, name)
			}
			// The assertion is spent: the next rows change another.
			if good, err = idp.Document(samlRequest, alice); err != nil {
				t.Fatal(err)
			}
			corpus = samlCorpus(t, good)
		}
	}
	if total < 60 {
		t.Errorf("the corpus has %d documents, want 60 or more", total)
	}
}

// Each check refuses on its own, whatever the library would say.
func TestSAMLShapesThatAreRefusedUnread(t *testing.T) {
	_, idp := newSAML(t)
	good, err := idp.Document(samlRequest, alice)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := checkShape(good); err != nil || checkXML(good, maxResponse, false) != nil {
		t.Fatalf("a good response: %v", err)
	}
	corpus := samlCorpus(t, good)
	for name, document := range corpus {
		if strings.HasPrefix(name, "forged ") && name != "forged alone" && name != "forged with the ID of the signed" ||
			strings.HasPrefix(name, "signed ") && name != "signed info doubled" ||
			slices.Contains([]string{"a response around the response", "a response in an object of the response",
				"the signature moved into the subject", "the signature of another namespace", "another root",
				"the response of another"}, name) {
			if _, err := checkShape(document); err == nil {
				t.Errorf("%s: the shape is accepted", name)
			}
		}
	}
	for name, document := range corpus {
		for _, word := range []string{"comment", "CDATA", "instruction", "entity", "laughs", "document type", "latin", "sheet",
			"declaration of", "second declaration", "byte order", "UTF", "zero", " root", "missing", "end too many", "nesting",
			"attribute twice", "many ", "1 MB", "nothing", "not XML"} {
			if samlTexts[name] != nil && strings.Contains(name, word) && name != "another root" &&
				checkXML(document, maxResponse, false) == nil {
				t.Errorf("%s: the XML is accepted", name)
			}
		}
	}
}

// The verifier trusts confirmed certificates and strong algorithms alone, and gives back what was signed.
func TestSAMLSignaturesThatAreNotTrusted(t *testing.T) {
	sp, idp := newSAML(t)
	for _, tc := range []struct {
		name   string
		lie    fakeidp.Lie
		change func(d samlDocument, v *verifier)
		ok     bool
	}{
		{"good", fakeidp.Honest, func(samlDocument, *verifier) {}, true},
		{"SHA-1", fakeidp.SignedBySHA1, func(samlDocument, *verifier) {}, false},
		{"an object", fakeidp.Honest, func(d samlDocument, _ *verifier) { d.signature.CreateElement("ds:Object") }, false},
		{"a second signature", fakeidp.Honest, func(d samlDocument, _ *verifier) { d.assertion.AddChild(d.signature.Copy()) }, false},
		{"no certificate", fakeidp.Honest, func(_ samlDocument, v *verifier) { v.certificates = nil }, false},
		{"a certificate of its own", fakeidp.OtherKey, func(samlDocument, *verifier) {}, false},
	} {
		idp.Lie(tc.lie)
		document, err := idp.Document(samlRequest, alice)
		if err != nil {
			t.Fatal(err)
		}
		d, v := readSAML(t, document), &verifier{certificates: sp.Confirmed}
		tc.change(d, v)
		validation := dsig.NewDefaultValidationContext(nil)
		validation.Clock = dsig.NewFakeClockAt(samlNow)
		signed, err := v.VerifySignedElement(validation, d.assertion)
		if tc.ok != (err == nil) || tc.ok != (signed != nil && len(v.verified) == 1) {
			t.Errorf("%s: got %v, %v", tc.name, signed != nil, err)
		}
	}
}

// The checks of an assertion hold without those of the library.
func TestSAMLAssertionsAreCheckedAgain(t *testing.T) {
	sp, idp := newSAML(t)
	document, err := idp.Document(samlRequest, alice)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		change func(a *saml.Assertion)
		want   string
	}{
		"no ID":            {func(a *saml.Assertion) { a.ID = "" }, AssertionMissing},
		"no subject":       {func(a *saml.Assertion) { a.Subject = nil }, AssertionMissing},
		"no name":          {func(a *saml.Assertion) { a.Subject.NameID = nil }, AssertionMissing},
		"no conditions":    {func(a *saml.Assertion) { a.Conditions = nil }, AssertionMissing},
		"no statement":     {func(a *saml.Assertion) { a.AuthnStatements = nil }, AssertionMissing},
		"no confirmation":  {func(a *saml.Assertion) { a.Subject.SubjectConfirmations = nil }, AssertionMissing},
		"no data":          {func(a *saml.Assertion) { a.Subject.SubjectConfirmations[0].SubjectConfirmationData = nil }, AssertionMissing},
		"another issuer":   {func(a *saml.Assertion) { a.Issuer.Value = "https://other.example" }, AssertionIssuer},
		"no audience":      {func(a *saml.Assertion) { a.Conditions.AudienceRestrictions = nil }, AssertionAudience},
		"another audience": {func(a *saml.Assertion) { a.Conditions.AudienceRestrictions[0].Audience.Value = "x" }, AssertionAudience},
		"two audiences": {func(a *saml.Assertion) {
			a.Conditions.AudienceRestrictions = append(a.Conditions.AudienceRestrictions, saml.AudienceRestriction{Audience: saml.Audience{Value: "x"}})
		}, AssertionAudience},
		"another recipient": {func(a *saml.Assertion) {
			a.Subject.SubjectConfirmations[0].SubjectConfirmationData.Recipient = "x"
		}, AssertionRecipient},
		"another request": {func(a *saml.Assertion) {
			a.Subject.SubjectConfirmations[0].SubjectConfirmationData.InResponseTo = "x"
		}, ResponseRequest},
		"no end": {func(a *saml.Assertion) {
			a.Subject.SubjectConfirmations[0].SubjectConfirmationData.NotOnOrAfter = time.Time{}
		}, AssertionExpired},
		"long name": {func(a *saml.Assertion) { a.Subject.NameID.Value = strings.Repeat("x", 256) }, AssertionSubject},
	} {
		assertion, err := sp.verify(document, samlRequest, &verifier{certificates: sp.Confirmed})
		if err != nil {
			t.Fatal(err)
		}
		tc.change(assertion)
		c := &assertionCheck{Assertion: assertion, sp: sp, requestID: samlRequest, now: samlNow}
		wantFault(t, name, c.check(), tc.want)
	}
}

// Neither parser panics, and neither signs in another person.
func FuzzSAMLResponse(f *testing.F) {
	sp, idp := newSAML(f)
	sp.AllowUnsolicited = true
	good, err := idp.Document(samlRequest, alice)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	for _, name := range []string{"signed within forged", "forged after signed", "a comment in the name", "an empty prefix"} {
		f.Add(samlCorpus(f, good)[name])
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		got, err := sp.ParseResponse(t.Context(), base64.StdEncoding.EncodeToString(document), samlRequest, time.Time{})
		if err == nil && got.Subject != alice.Subject {
			t.Errorf("signs in %+v", *got)
		}
	})
}

func FuzzSAMLMetadata(f *testing.F) {
	_, idp := newSAML(f)
	f.Add(idp.Metadata())
	f.Fuzz(func(t *testing.T, document []byte) {
		m, err := ParseSAMLMetadata(document, samlNow)
		if err == nil && (m.EntityID == "" || len(m.Certificates) == 0 || !plainURL(m.SSOURL, m.EntityID)) {
			t.Errorf("accepted without what is needed: %+v", m)
		}
	})
}
