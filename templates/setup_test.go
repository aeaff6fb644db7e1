package templates

import (
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// A brand is set while pages are being served.
func TestSetBrandChangesEveryPageMailAndFile(t *testing.T) {
	tmpl := newTemplates(t, Brand{Name: "Before", Color: "#123456"})
	const picture = "data:image/png;base64,iVBORw0KGgo="
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 20 {
				if _, err := tmpl.Render(Login{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	if err := tmpl.SetBrand(Brand{Name: "After", Color: "#654321", Logo: picture}); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	page := render(t, tmpl, Login{})
	if strings.Contains(page, "Before") || !strings.Contains(page, "After") || !strings.Contains(page, picture) {
		t.Errorf("the page is still the one before:\n%s", page)
	}
	sheet := regexp.MustCompile(`/static/sallyport\.[0-9a-f]+\.css`).FindString(page)
	w := get(t, tmpl.Static(), http.MethodGet, sheet)
	if css := w.Body.String(); !strings.Contains(css, "--accent:#654321") || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
		t.Errorf("%s does not hold the new colour, or is not the page's own", sheet)
	}
	if mail := letter(t, tmpl, NewDevice{}).HTML; !strings.Contains(mail, "After") || !strings.Contains(mail, "#654321") {
		t.Error("the mail is still the one before")
	}
	for _, bad := range []Brand{{Color: "red"}, {Logo: "https://cdn.example/logo.png"}} {
		if err := tmpl.SetBrand(bad); err == nil {
			t.Errorf("SetBrand(%+v): got no error", bad)
		}
	}
	if again := render(t, tmpl, Login{}); again != page {
		t.Error("a brand that was refused has changed something")
	}
}

// What an app is configured with can be pasted as it is: every value is there, and
// nothing is left to fill in. Code never holds the secret.
func TestSnippetsHoldTheClientsValues(t *testing.T) {
	for kind, redirect := range map[string]string{"web": "https://app.example/cb", "spa": "https://app.example/cb", "native": "http://127.0.0.1/callback", "machine": ""} {
		c := SetupCredentials{Kind: kind, Issuer: "http://localhost:5000", ID: "the-client", Secret: "the-secret", RedirectURI: redirect, Scope: "openid profile"}
		for i, s := range c.Snippets() {
			if regexp.MustCompile(`\{[A-Z]+\}`).MatchString(s.Text) || !strings.Contains(s.Text, "http://localhost:5000") {
				t.Errorf("%s, %s: a value is missing:\n%s", kind, s.Title, s.Text)
			}
			if i > 0 && strings.Contains(s.Text, "the-secret") {
				t.Errorf("%s, %s: the secret is in code", kind, s.Title)
			}
			if redirect != "" && !strings.Contains(s.Text, redirect) {
				t.Errorf("%s, %s: the redirect URI is missing", kind, s.Title)
			}
		}
		if secret := strings.Contains(c.Snippets()[0].Text, "the-secret"); secret != (kind == "web" || kind == "machine") {
			t.Errorf("%s: .env holds the secret: %v", kind, secret)
		}
	}
}
