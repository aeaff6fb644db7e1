package app

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/manifest"
)

// An operator who wonders about a letter where a logo should be finds the cause.
func TestDoctorNamesLogosThatCannotBeShown(t *testing.T) {
	site := httptest.NewServer(http.NotFoundHandler())
	defer site.Close()
	o := LoadOptions{Dir: t.TempDir(), Environ: []string{"SALLYPORT_DATABASE_URL=sqlite://" + t.TempDir() + "/test.db"}}
	logos := func() Finding {
		t.Helper()
		for _, f := range Doctor(t.Context(), o) {
			if f.Check == "logos" {
				return f
			}
		}
		t.Fatal("doctor says nothing of logos")
		return Finding{}
	}
	cfg, err := Load(o)
	if err != nil {
		t.Fatal(err)
	}
	a, err := Open(t.Context(), cfg, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if got := logos(); got.Detail == "" {
		t.Errorf("without clients: got %+v", got)
	}
	m := manifest.Read("clients.yaml", []byte("version: 1\nclients:\n  - {client_id: app, redirect_uris: [https://a.example/cb], token_endpoint_auth_method: none, logo_uri: "+site.URL+"/x.png}\n"), manifest.Source{})
	if _, err := a.Manifest.Apply(t.Context(), identity.Operator(), m, nil); err != nil {
		t.Fatal(err)
	}
	if err := a.Logos.FetchDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := logos().Warning; !strings.Contains(got, "the logo of app cannot be shown: it answers 404; it is tried again at ") {
		t.Errorf("got %q", got)
	}
}
