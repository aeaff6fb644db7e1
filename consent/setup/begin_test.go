package setup

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// A form that is shown again after a fault repeats a bounded part of what was typed, and only valid UTF-8.
func TestWhatIsShownAgainIsBounded(t *testing.T) {
	for _, typed := range []string{
		strings.Repeat("a", 1<<20), strings.Repeat("\u00e9", 1<<19), "x" + strings.Repeat("\U0001f512", 1<<18), "e" + strings.Repeat("\u0301", 1<<19),
		strings.Repeat("\xff", 1<<20), "Acme\xf0\x9f",
	} {
		if got := cut(typed); len(got) > maxTyped || !utf8.ValidString(got) {
			t.Errorf("%.10q…: %d bytes are shown, valid: %t", typed, len(got), utf8.ValidString(got))
		}
	}
	if got := cut("Acme Ünïted"); got != "Acme Ünïted" {
		t.Errorf("a short text: got %q", got)
	}
}
