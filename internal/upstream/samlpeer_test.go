package upstream

import (
	"encoding/xml"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"
)

// knownService is the service provider that an identity provider knows by its metadata.
type knownService saml.EntityDescriptor

// GetServiceProvider implements saml.ServiceProviderProvider.
func (k *knownService) GetServiceProvider(*http.Request, string) (*saml.EntityDescriptor, error) {
	return (*saml.EntityDescriptor)(k), nil
}

// The identity provider of the library knows us by our metadata, checks our request, and signs and encrypts its answer.
func TestSAMLWithTheIdentityProviderOfTheLibrary(t *testing.T) {
	sp, _ := newSAML(t)
	data, err := sp.Metadata()
	if err != nil {
		t.Fatal(err)
	}
	var known knownService
	if err := xml.Unmarshal(data, (*saml.EntityDescriptor)(&known)); err != nil {
		t.Fatal(err)
	}
	peer := samlKeys()[1]
	idp := saml.IdentityProvider{Key: peer.Private, Certificate: peer.Certificate, ServiceProviderProvider: &known,
		MetadataURL:             url.URL{Scheme: "https", Host: "peer.example", Path: "/metadata"},
		SSOURL:                  url.URL{Scheme: "https", Host: "peer.example", Path: "/sso"},
		WantAuthnRequestsSigned: true, Clock: dsig.NewFakeClockAt(samlNow)}
	metadata, err := xml.Marshal(idp.Metadata())
	if err != nil {
		t.Fatal(err)
	}
	if sp.Provider, err = ParseSAMLMetadata(metadata, samlNow); err != nil {
		t.Fatal(err)
	}
	sp.Confirmed = sp.Provider.Certificates

	location, requestID, err := sp.Begin("relay", Request{})
	if err != nil {
		t.Fatal(err)
	}
	request, err := saml.NewIdpAuthnRequest(&idp, httptest.NewRequest(http.MethodGet, location, nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := request.Validate(); err != nil {
		t.Fatal(err)
	}
	session := &saml.Session{ID: "s", CreateTime: samlNow, ExpireTime: samlNow.Add(time.Hour), Index: "1", NameID: "bob-7",
		NameIDFormat: string(saml.PersistentNameIDFormat), UserEmail: "bob@acme.example", UserGivenName: "Bob"}
	if err := (saml.DefaultAssertionMaker{}).MakeAssertion(request, session); err != nil {
		t.Fatal(err)
	}
	form, err := request.PostBinding()
	if err != nil {
		t.Fatal(err)
	}
	got, err := sp.ParseResponse(t.Context(), form.SAMLResponse, requestID, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	want := Identity{Subject: "bob-7", Email: "bob@acme.example", EmailVerified: true, GivenName: "Bob"}
	if *got != want || form.URL != samlACS || form.RelayState != "relay" {
		t.Errorf("got %+v for %s with %s, want %+v", *got, form.URL, form.RelayState, want)
	}
}
