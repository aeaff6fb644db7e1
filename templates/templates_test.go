package templates

import (
	"testing"
)

func newTemplates(t *testing.T) *Templates {
	t.Helper()
	tmpl, err := New(Brand{SupportEmail: "help@acme.example"})
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

func TestEverySampleRenders(t *testing.T) {
	tmpl := newTemplates(t)
	for _, s := range Samples() {
		render(t, tmpl, s.Page)
	}
}
