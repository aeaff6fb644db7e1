package upstream

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/fakeidp"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

const (
	samlEntityID = "https://id.example/login/acme/metadata"
	samlACS      = "https://id.example/login/acme/callback"
	samlRequest  = "id-0123456789"
)

var (
	samlNow = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	alice   = fakeidp.Person{Subject: "alice-1001", Email: "alice@acme.example", Name: "Alice <&> A"}
	// samlKeys and samlIDP are made once, since RSA keys take long to make.
	samlKeys = sync.OnceValue(func() []SAMLKey {
		var keys []SAMLKey
		for range 2 {
			key, err := NewSAMLKey(samlNow)
			if err != nil {
				panic(err)
			}
			keys = append(keys, key)
		}
		return keys
	})
	samlIDP      = sync.OnceValue(func() *fakeidp.SAML { return fakeidp.NewSAML(samlProvider) })
	samlProvider = fakeidp.SAMLConfig{EntityID: "https://idp.example/saml", SSOURL: "https://idp.example/sso?tenant=7",
		Audience: samlEntityID, ACS: samlACS, Now: func() time.Time { return samlNow }}
)

// samlStore is shared by the tests, which use IDs of their own. TestMain removes its directory.
var samlStore = sync.OnceValue(func() *storage.Store {
	dir, err := os.MkdirTemp("", "sallyport-saml")
	if err != nil {
		panic(err)
	}
	samlDir = dir
	store, err := storage.Open(context.Background(), storage.Config{URL: "sqlite://" + filepath.Join(dir, "saml.db"),
		Now: func() time.Time { return samlNow }})
	if err == nil {
		err = store.Migrate(context.Background())
	}
	if err != nil {
		panic(err)
	}
	return store
})

var samlDir string

func TestMain(m *testing.M) {
	code := m.Run()
	if samlDir != "" {
		samlStore().Close()
		os.RemoveAll(samlDir)
	}
	os.Exit(code)
}

// newSAML is a service provider and the identity provider that it trusts. The keys of both are those of other tests.
func newSAML(t testing.TB) (*ServiceProvider, *fakeidp.SAML) {
	t.Helper()
	idp := samlIDP()
	idp.SAMLConfig = samlProvider
	idp.Lie(fakeidp.Honest)
	metadata, err := ParseSAMLMetadata(idp.Metadata(), samlNow)
	if err != nil {
		t.Fatal(err)
	}
	return &ServiceProvider{EntityID: samlEntityID, ACS: samlACS, Provider: metadata, Confirmed: metadata.Certificates,
		Keys: samlKeys()[:1], IDs: samlStore(),
		Now: func() time.Time { return samlNow }, Domains: []string{"acme.example"}}, idp
}

// parse gives the provider's answer to the service provider.
func parse(t testing.TB, sp *ServiceProvider, idp *fakeidp.SAML, requestID string) (*Identity, error) {
	t.Helper()
	response, err := idp.Response(requestID, alice)
	if err != nil {
		t.Fatal(err)
	}
	return sp.ParseResponse(t.Context(), response, requestID, time.Time{})
}

// samlForms are the ways in which providers sign and encrypt.
var samlForms = map[string]func(*fakeidp.SAML){
	"signed assertion":                      func(*fakeidp.SAML) {},
	"signed response":                       func(p *fakeidp.SAML) { p.SignResponse, p.PlainAssertion = true, true },
	"signed response and assertion":         func(p *fakeidp.SAML) { p.SignResponse = true },
	"encrypted signed assertion":            func(p *fakeidp.SAML) { p.Encryption = samlKeys()[0].Certificate },
	"encrypted assertion, signed response":  func(p *fakeidp.SAML) { encrypted(p); p.PlainAssertion = true },
	"encrypted by CBC in a signed response": func(p *fakeidp.SAML) { encrypted(p); p.CBC = true },
}

func encrypted(p *fakeidp.SAML) { p.Encryption, p.SignResponse = samlKeys()[0].Certificate, true }

func TestSAMLSignsPeopleInWithEachFormOfSignature(t *testing.T) {
	sp, idp := newSAML(t)
	for name, form := range samlForms {
		idp.SAMLConfig = samlProvider
		form(idp)
		got, err := parse(t, sp, idp, samlRequest)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := Identity{Subject: alice.Subject, Email: alice.Email, EmailVerified: true, Name: alice.Name}
		if *got != want {
			t.Errorf("%s: got %+v, want %+v", name, *got, want)
		}
	}
	sp.Domains = []string{"example"} // of which acme.example is a part
	idp.SAMLConfig = samlProvider
	if got, err := parse(t, sp, idp, samlRequest); err != nil || got.EmailVerified {
		t.Errorf("an address of another domain: got %+v, %v", got, err)
	}
	sp.Attributes = map[string]string{"subject": "displayName", "email": "none"}
	if got, err := parse(t, sp, idp, samlRequest); err != nil || got.Subject != alice.Name || got.Email != "" {
		t.Errorf("attributes of the configuration: got %+v, %v", got, err)
	}
}

func TestSAMLRequestsAreSignedAndReadAgain(t *testing.T) {
	sp, _ := newSAML(t)
	location, requestID, err := sp.Begin("relay", Request{Prompt: "login"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := fakeidp.ReadRequest(location, sp.Keys[0].Certificate)
	if err != nil {
		t.Fatal(err)
	}
	want := fakeidp.AuthnRequest{ID: requestID, ACS: samlACS, ForceAuthn: true, Issuer: samlEntityID, RelayState: "relay"}
	if *got != want || !strings.HasPrefix(location, "https://idp.example/sso?tenant=7&") {
		t.Errorf("got %+v at %s, want %+v", *got, location, want)
	}
	if _, err := fakeidp.ReadRequest(location, samlKeys()[1].Certificate); err == nil {
		t.Error("the request is signed by another key too")
	}
}

// While the key is replaced the provider may use either certificate.
func TestSAMLKeysAreReplacedWithOverlap(t *testing.T) {
	sp, idp := newSAML(t)
	idp.Encryption = samlKeys()[1].Certificate
	_, err := parse(t, sp, idp, samlRequest)
	wantFault(t, "encrypted for a key that is not ours", err, ResponseEncryption)
	sp.Keys = samlKeys()
	if _, err := parse(t, sp, idp, samlRequest); err != nil {
		t.Errorf("encrypted for the second key: %v", err)
	}
	metadata, err := sp.Metadata()
	if err != nil {
		t.Fatal(err)
	}
	for i, key := range sp.Keys {
		if n := strings.Count(string(metadata), base64.StdEncoding.EncodeToString(key.Certificate.Raw)); n != 2 {
			t.Errorf("the certificate of key %d is in the metadata %d times, want once for each use", i, n)
		}
	}
	sealer, err := secret.NewSealer([][]byte{secret.Random(32)})
	if err != nil {
		t.Fatal(err)
	}
	connection := uuid.New()
	sealed, err := sp.Keys[0].Seal(sealer, connection)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := OpenSAMLKey(sealer, connection, sealed)
	if err != nil || !opened.Private.Equal(sp.Keys[0].Private) || !opened.Certificate.Equal(sp.Keys[0].Certificate) {
		t.Errorf("opened: %v", err)
	}
	if _, err := OpenSAMLKey(sealer, uuid.New(), sealed); err == nil {
		t.Error("the key of one connection opens for another")
	}
}

// A certificate that is new in the metadata signs nobody in until it is confirmed.
func TestANewSAMLCertificateCountsOnceItIsConfirmed(t *testing.T) {
	sp, old := newSAML(t)
	replaced := fakeidp.NewSAML(samlProvider)
	metadata, err := ParseSAMLMetadata(replaced.Metadata(), samlNow)
	if err != nil {
		t.Fatal(err)
	}
	unconfirmed := metadata.Unconfirmed(sp.Confirmed)
	if len(unconfirmed) != 1 || !unconfirmed[0].Equal(replaced.Certificate()) {
		t.Fatalf("got %d unconfirmed certificates, want the new one", len(unconfirmed))
	}
	sp.Provider = metadata
	_, err = parse(t, sp, replaced, samlRequest)
	wantFault(t, "the new certificate", err, ResponseSignature)
	if _, err := parse(t, sp, old, samlRequest); err != nil {
		t.Errorf("the old certificate: %v", err)
	}
	sp.Confirmed = append(sp.Confirmed[:1:1], unconfirmed...)
	if _, err := parse(t, sp, replaced, samlRequest); err != nil {
		t.Errorf("after it is confirmed: %v", err)
	}
	sp.Now = func() time.Time { return samlNow.Add(48 * time.Hour) }
	replaced.Now = sp.Now
	_, err = parse(t, sp, replaced, samlRequest)
	wantFault(t, "after the certificate has expired", err, ResponseSignature)
}

func TestASAMLAssertionCountsOnce(t *testing.T) {
	sp, idp := newSAML(t)
	response, err := idp.Response(samlRequest, alice)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	results := make(chan error, 4)
	for range cap(results) {
		wg.Go(func() {
			_, err := sp.ParseResponse(t.Context(), response, samlRequest, time.Time{})
			results <- err
		})
	}
	wg.Wait()
	close(results)
	successes := 0
	for err := range results {
		if err == nil {
			successes++
			continue
		}
		wantFault(t, "again", err, AssertionReplayed)
	}
	if successes != 1 {
		t.Errorf("the assertion counted %d times, want once", successes)
	}
}

// Without a request a response is refused (login CSRF), unless the connection allows it. A response that answers some
// request never counts as one without.
func TestAnUnsolicitedSAMLResponse(t *testing.T) {
	sp, idp := newSAML(t)
	_, err := parse(t, sp, idp, "")
	wantFault(t, "not allowed", err, ResponseRequest)
	sp.AllowUnsolicited = true
	if _, err := parse(t, sp, idp, ""); err != nil {
		t.Errorf("allowed: %v", err)
	}
	response, err := idp.Response("of another browser", alice)
	if err != nil {
		t.Fatal(err)
	}
	_, err = sp.ParseResponse(t.Context(), response, "", time.Time{})
	wantFault(t, "with a request of another browser", err, ResponseRequest)
	if response, err = idp.Response("", alice); err != nil {
		t.Fatal(err)
	}
	_, err = sp.ParseResponse(t.Context(), response, samlRequest, time.Time{})
	wantFault(t, "for a request", err, ResponseRequest)
}

// samlLieFaults is what each lie of a provider is answered with.
var samlLieFaults = map[fakeidp.Lie]string{
	fakeidp.Unsigned: ResponseSignature, fakeidp.OtherKey: ResponseSignature, fakeidp.SignedBySHA1: ResponseAlgorithm,
	"status": AnswerRefused, "issuer of the response": AssertionIssuer, "issuer of the assertion": AssertionIssuer,
	"no issuer of the assertion": AssertionIssuer, "destination": AssertionRecipient, "recipient": AssertionRecipient,
	"no recipient": AssertionRecipient, "audience": AssertionAudience, "no audience": AssertionAudience,
	"request of the response": ResponseRequest, "request of the assertion": ResponseRequest,
	"no request of the response": ResponseRequest, "no request of the assertion": ResponseRequest,
	"conditions expired": AssertionExpired, "conditions early": AssertionEarly, "confirmation expired": AssertionExpired,
	"confirmation without end": AssertionExpired, "confirmation early": AssertionEarly, "issued in the future": AssertionEarly,
	"issued long ago": AssertionExpired, "response of the future": AssertionEarly, "session over": AssertionExpired,
	"signed in yesterday": AssertionAge, "signed in tomorrow": AssertionEarly, "no subject": AssertionMissing,
	"no name": AssertionMissing, "empty name": AssertionSubject, "no conditions": AssertionMissing,
	"no confirmation": AssertionMissing, "no confirmation data": AssertionMissing,
	"confirmation of another kind": AssertionMissing, "no statement of a sign-in": AssertionMissing,
	"no assertion": AssertionMissing, "version": ResponseForm, "transient name": AssertionSubject,
	"address as name": AssertionSubject, "name of another service": AssertionSubject,
	"name of another provider": AssertionSubject, "second confirmation by bearer": AssertionMissing,
	"second statement of a sign-in": AssertionMissing, "second assertion": ResponseForm, "an unknown condition": ResponseForm,
}

// encryptedLies are tried in encrypted assertions too, which are read by the same code.
var encryptedLies = []fakeidp.Lie{fakeidp.Unsigned, fakeidp.OtherKey, fakeidp.SignedBySHA1, "audience", "recipient",
	"conditions expired", "no subject", "transient name"}

func TestASAMLProviderThatLiesGetsNothing(t *testing.T) {
	sp, idp := newSAML(t)
	for lie := range fakeidp.SAMLLies {
		if samlLieFaults[lie] == "" {
			t.Errorf("no fault is named for the lie %q", lie)
		}
	}
	for _, form := range []string{"signed assertion", "encrypted assertion, signed response"} {
		idp.SAMLConfig = samlProvider
		samlForms[form](idp)
		for lie, want := range samlLieFaults {
			if form != "signed assertion" && !slices.Contains(encryptedLies, lie) {
				continue
			}
			idp.Lie(lie)
			response, err := idp.Response(samlRequest, alice)
			if err != nil {
				t.Fatal(err)
			}
			_, err = sp.ParseResponse(t.Context(), response, samlRequest, samlNow)
			wantFault(t, form+": "+string(lie), err, want)
			if err != nil && strings.Contains(err.Error(), alice.Subject) {
				t.Errorf("%s: the error names the person: %v", lie, err)
			}
		}
	}
}

// A ciphertext by CBC that is not signed could be changed, and our answers would tell what it decrypts to.
func TestSAMLByCBCNeedsASignedResponse(t *testing.T) {
	sp, idp := newSAML(t)
	idp.Encryption, idp.CBC = samlKeys()[0].Certificate, true
	_, err := parse(t, sp, idp, samlRequest)
	wantFault(t, "CBC in a response that is not signed", err, ResponseSignature)
	idp.CBC, idp.PlainAssertion = false, true
	_, err = parse(t, sp, idp, samlRequest)
	wantFault(t, "an encrypted assertion without a signature", err, ResponseSignature)
}

func TestSAMLMetadataThatIsRefused(t *testing.T) {
	_, idp := newSAML(t)
	good := string(idp.Metadata())
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: samlNow.Add(time.Hour)}
	weak, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate := base64.StdEncoding.EncodeToString(idp.Certificate().Raw)
	for name, change := range map[string][2]string{
		"no entityID":       {` entityID="https://idp.example/saml"`, ""},
		"long entityID":     {"https://idp.example/saml", "https://idp.example/" + strings.Repeat("x", 1024)},
		"javascript":        {"https://idp.example/sso?tenant=7", "javascript:alert(1)"},
		"without TLS":       {"https://idp.example/sso?tenant=7", "http://idp.example/sso"},
		"user in the URL":   {"https://idp.example/sso", "https://a:b@idp.example/sso"},
		"only POST":         {"HTTP-Redirect", "HTTP-POST"},
		"expired":           {"<EntityDescriptor ", `<EntityDescriptor validUntil="2026-03-01T11:59:59Z" `},
		"role expired":      {"<IDPSSODescriptor ", `<IDPSSODescriptor validUntil="2026-03-01T11:59:59Z" `},
		"no certificate":    {`use="signing"`, `use="encryption"`},
		"not a certificate": {certificate, "AAAA"},
		"not base64":        {certificate, "%"},
		"an application":    {"IDPSSODescriptor", "SPSSODescriptor"},
		"a federation":      {"EntityDescriptor", "EntitiesDescriptor"},
		"a document type":   {"<EntityDescriptor ", `<!DOCTYPE a [<!ENTITY b "c">]><EntityDescriptor `},
		"an entity":         {"https://idp.example/saml", "&b;"},
		"10 MB":             {"</IDPSSODescriptor>", "</IDPSSODescriptor>" + strings.Repeat(" ", 10<<20)},
		"cut":               {"</EntityDescriptor>", ""},
	} {
		changed := strings.ReplaceAll(good, change[0], change[1])
		if changed == good {
			t.Errorf("%s: nothing was changed", name)
		}
		_, err := ParseSAMLMetadata([]byte(changed), samlNow)
		wantFault(t, name, err, BadMetadata)
	}
	_, err = ParseSAMLMetadata([]byte(strings.ReplaceAll(good, certificate, base64.StdEncoding.EncodeToString(weak))), samlNow)
	wantFault(t, "RSA of 1024 bits", err, WeakKey)
	commented := strings.Replace(good, "<IDP", "<!-- of the provider --><IDP", 1)
	if _, err := ParseSAMLMetadata([]byte(commented), samlNow); err != nil {
		t.Errorf("with a comment: %v", err)
	}
}
