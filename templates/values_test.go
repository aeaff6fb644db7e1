package templates

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestLongNamesAreCutInTheMiddle(t *testing.T) {
	for _, tt := range []struct {
		in    string
		limit int
		want  string
		cut   bool
	}{
		{"", 8, "", false},
		{"Acme Corp", 9, "Acme Corp", false},
		{"Acme Corporation", 9, "Acme…tion", true},
		{"Acme Corporation", 10, "Acme…tion", true}, // the space at the cut goes
		{"ééééééééé", 5, "éé…éé", true},
	} {
		got := shorten(tt.in, tt.limit)
		if got.Short != tt.want || got.Cut != tt.cut || got.Full != tt.in {
			t.Errorf("shorten(%q, %d): got %+v, want %q, %v", tt.in, tt.limit, got, tt.want, tt.cut)
		}
	}
}

// A client called "Acme\u202e moc.live" would turn the words after it around.
func TestNamesCannotPretendToBeOtherText(t *testing.T) {
	for in, want := range map[string]string{
		"Acme\u202egnikcah":           "Acmegnikcah",
		"\u2066a\u2069\u200b b\n\t c": "a b c",
		"\x00\x1b[31mred":             "[31mred",
		"a\ufffdb\xff":                "ab",
		"👩\u200d💻":                    "👩\u200d💻", // joined pictures stay joined
	} {
		if got := clean(in); got != want {
			t.Errorf("clean(%q): got %q, want %q", in, got, want)
		}
	}
}

func TestLinksLeadOnlyWhereBrowsersAreSafe(t *testing.T) {
	for in, want := range map[string]bool{
		"https://acme.example/a?b=c":       true,
		"http://localhost:5001":            true,
		"/login?flow=x":                    true,
		"":                                 false,
		"login":                            false,
		"//evil.example":                   false,
		`/\evil.example`:                   false,
		"/\t/evil.example":                 false,
		"https:evil.example":               false,
		"javascript:alert(1)":              false,
		"JAVASCRIPT:alert(1)":              false,
		"data:text/html,x":                 false,
		"com.example.app:/callback":        false,
		"https://a.example\\@evil.example": false,
	} {
		if got := link(in) != ""; got != want {
			t.Errorf("link(%q): got %v, want %v", in, got, want)
		}
	}
}

func FuzzShorten(f *testing.F) {
	f.Add("Acme \u202e\u0301 Corp", 5)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit = 3 + max(limit, -limit, 0)%60
		got := shorten(s, limit)
		if utf8.RuneCountInString(got.Short) > limit || !utf8.ValidString(got.Short) || strings.ContainsRune(got.Short, '\u202e') {
			t.Errorf("shorten(%q, %d): got %q", s, limit, got.Short)
		}
	})
}
