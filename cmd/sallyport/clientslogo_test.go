package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// An operator who finds a letter where a logo should be asks what is known of the client.
func TestClientsShowTellsWhatBecameOfTheLogo(t *testing.T) {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/x.svg" {
			http.NotFound(w, r)
			return
		}
		w.Write([]byte("<svg/>"))
	}))
	defer site.Close()
	f := emptyFolder(t)
	shows := func(want string) {
		t.Helper()
		if out, _ := f.want(0, "", "clients", "show", "app"); !strings.Contains(out, want) {
			t.Errorf("got %q, want %q in it", out, want)
		}
	}
	f.want(0, "", "clients", "create", "app", "--redirect-uri", "https://a.example/cb", "--logo-uri", site.URL+"/x.svg")
	a := f.opened()
	fetch := func() {
		t.Helper()
		if err := a.Logos.FetchDue(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	shows("logo: not fetched yet")
	fetch()
	shows("logo: cannot be shown: it is an SVG, which can hold scripts; register a PNG, JPEG or WebP; tries: 1, the next one when the registration changes")
	f.want(0, "", "clients", "update", "app", "--logo-uri", site.URL+"/x.png")
	fetch()
	shows("logo: cannot be shown: it answers 404; tries: 1, the next one ")
	if logo, _ := f.shown("app")["logo"].(map[string]any); logo["fetched"] != false || logo["problem"] != "it answers 404" || logo["next_try"] == nil {
		t.Errorf("as JSON: got %v", logo)
	}
	f.want(0, "", "clients", "update", "app", "--logo-uri=")
	if out, _ := f.want(0, "", "clients", "show", "app"); strings.Contains(out, "logo:") {
		t.Errorf("without a logo_uri: got %q", out)
	}
}
