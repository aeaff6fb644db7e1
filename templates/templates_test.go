package templates

import (
	"flag"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

var update = flag.Bool("update", false, "write the golden files anew")

func newTemplates(t *testing.T, brand Brand) *Templates {
	t.Helper()
	tmpl, err := New(brand)
	if err != nil {
		t.Fatal(err)
	}
	return tmpl
}

func render(t *testing.T, tmpl *Templates, page Page) string {
	t.Helper()
	got, err := tmpl.Render(page)
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}

// elements returns all elements of a document in order.
func elements(t *testing.T, document string) []*html.Node {
	t.Helper()
	root, err := html.Parse(strings.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	var all []*html.Node
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			all = append(all, n)
		}
	}
	return all
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func fill(v reflect.Value, s string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(s)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int:
		v.SetInt(3)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), s)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), searchFrom+1, searchFrom+1))
		for i := range v.Len() {
			fill(v.Index(i), s)
		}
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{s: s}))
	}
}

func TestUnusableBrandsAreRefused(t *testing.T) {
	for _, brand := range []Brand{
		{Color: "teal"}, {Color: "#12345"}, {Color: "0b6b5d"}, {Color: "#0b6b5d;}body{display:none"},
		{Logo: "https://cdn.example/logo.png"}, {Logo: "//cdn.example/logo.png"}, {Logo: "javascript:alert(1)"}, {Logo: "data:text/html;base64,AAAA"},
	} {
		if _, err := New(brand); err == nil {
			t.Errorf("New(%+v): got no error", brand)
		}
	}
}

func TestOrganizationsAreFoundByNameAndSlug(t *testing.T) {
	page := ChooseOrganization{Organizations: []Organization{{Slug: "acme-corp", Name: "Acme"}, {Slug: "uk", Name: "Ångström Ltd"}}}
	for query, want := range map[string]int{"": 2, " ": 2, "acme": 1, "CORP": 1, "ång": 1, "ÅNG": 1, "zebra": 0} {
		page.Query = query
		if got := len(page.Found()); got != want {
			t.Errorf("query %q: got %d organizations, want %d", query, got, want)
		}
	}
}

func TestEveryFailureHasItsOwnFixedSentence(t *testing.T) {
	seen := make(map[string]string)
	for code := range failures {
		first, advice, ok := ErrorText(code)
		if !ok || first == "" || advice == "" {
			t.Errorf("%s: got %q, %q, %v", code, first, advice, ok)
		}
		if other := seen[first]; other != "" {
			t.Errorf("%s and %s say the same: tests and support could not tell them apart", code, other)
		}
		seen[first] = code
		// A browser that shows the source, or a pattern over it, must find it verbatim.
		if strings.ContainsAny(first, `'"<>&`) {
			t.Errorf("%s: %q would be escaped", code, first)
		}
	}
}

func TestScopesOfThisProductHaveSentences(t *testing.T) {
	for _, scope := range []string{"openid", "profile", "email", "phone", "address", "offline_access", "org", "org:acme-corp", "orgs", "groups", "roles"} {
		if text, ok := ScopeSentence(scope); !ok || text == "" {
			t.Errorf("ScopeSentence(%q): got %q, %v", scope, text, ok)
		}
	}
	if text, ok := ScopeSentence("api:read"); ok {
		t.Errorf("ScopeSentence(api:read): got %q, want none: its resource says what it means", text)
	}
}
