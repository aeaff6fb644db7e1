package web

import (
	"net/url"
	"strings"
	"testing"
)

// RU-15
var returnTo = map[string]bool{
	"/": true, "/account": true, "/oauth2/authorize?flow=abc_-123": true, "/orgs/acme-corp?next=%2F%2Fevil": true, "/a/": true,
	"": false, "account": false, "//evil": false, "///evil": false, `/\evil`: false, `\\evil`: false, "/\t/evil": false, "/%09/evil": false,
	"/%2f/evil": false, "/%252f%252fevil": false, "https:evil": false, "https://evil": false, "/@evil": false, "/a//b": false,
	"/..//evil": false, "/a/../b": false, "/./a": false, "/.": false, " /a": false, "/a b": false, "/a\n": false, "/a#b": false,
	"/a?b\r\nSet-Cookie: x": false, `/a?b\`: false, "/grüße": false, "javascript:alert(1)": false, "/a;b": false, "/a:b": false,
	"?x": false, "#x": false, "/\x00": false, "/a?\x7f": false,
}

func TestReturnLeadsToOurselvesOnly(t *testing.T) {
	for to, ok := range returnTo {
		want := "/"
		if ok {
			want = to
		}
		if got := LocalPath(to); got != want {
			t.Errorf("LocalPath(%q) = %q, want %q", to, got, want)
		}
	}
}

func FuzzLocalPath(f *testing.F) {
	for to := range returnTo {
		f.Add(to)
	}
	base, err := url.Parse(issuer)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, to string) {
		got := LocalPath(to)
		// As browsers read it (WHATWG): tabs and newlines vanish, backslashes are slashes.
		browser := strings.ReplaceAll(strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(got), `\`, "/")
		u, err := base.Parse(browser)
		if err != nil || u.Scheme != "https" || u.Host != "id.example" || u.User != nil || browser != got || strings.HasPrefix(browser, "//") {
			t.Errorf("LocalPath(%q) = %q leads to %v, %v", to, got, u, err)
		}
	})
}
