package page

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sallyport-id/sallyport/identity"
)

// A form that is shown again after a fault repeats a bounded part of what was typed, and only valid UTF-8.
func TestWhatIsShownAgainIsBounded(t *testing.T) {
	for _, typed := range []string{
		strings.Repeat("a", 1<<20), strings.Repeat("\u00e9", 1<<19), "x" + strings.Repeat("\U0001f512", 1<<18), "e" + strings.Repeat("\u0301", 1<<19),
		strings.Repeat("\xff", 1<<20), "Acme\xf0\x9f",
	} {
		if got := Shorten(typed); len(got) > maxTyped || !utf8.ValidString(got) {
			t.Errorf("%.10q…: %d bytes are shown, valid: %t", typed, len(got), utf8.ValidString(got))
		}
	}
	if got := Shorten("Acme Ünïted"); got != "Acme Ünïted" {
		t.Errorf("a short text: got %q", got)
	}
}

// Every fault of a field is told, in sentences about that field.
func TestFaultsAreToldByField(t *testing.T) {
	faults := identity.FieldErrors{{Field: "name", Problem: "is empty", Remedy: "choose one"}, {Field: "email", Problem: "is no address"},
		{Field: "name", Problem: "is not text"}}
	got := FieldTexts(faults, map[string]string{"email": "This address"})
	if got["name"] != "This is empty. Choose one. This is not text." || got["email"] != "This address is no address." || len(got) != 2 {
		t.Errorf("got %q", got)
	}
}
