package web

import (
	"strings"
	"testing"
)

// RU-15: nothing but a page of this server that is meant to be led to.
func TestWhereAPageMayLead(t *testing.T) {
	invite := "/invite?token=" + strings.Repeat("a", 43)
	for _, ok := range []string{"/account", "/account/security", "/account/factors/totp", "/orgs/acme-corp", "/setup", invite} {
		if got := LocalPath(ok); got != ok {
			t.Errorf("%q: got %q", ok, got)
		}
	}
	for _, bad := range []string{"", "/", "//evil.example", "/\\evil.example", "/%09/evil.example", "https:evil.example", "/@evil.example", "%2f%2fevil.example", "%252f%252fevil.example",
		"https://evil.example/account", "/account//evil.example", "/account/../x", "/account/%2e%2e", "/account?x=1", "/account#x", "/account\n", "\n/account", "/accounts", "/account/", "/account/-a",
		"/oauth2/logout", "/logout", "javascript:alert(1)", invite + "&x=1", "/invite", "/invite?token=short", "/account/" + strings.Repeat("a", 300)} {
		if got := LocalPath(bad); got != "/" {
			t.Errorf("%q: got %q", bad, got)
		}
	}
}
