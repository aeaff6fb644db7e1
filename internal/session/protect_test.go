package session

import (
	"net/netip"
	"strings"
	"testing"
)

const (
	firefoxNewer  = "Mozilla/5.0 (X11; Linux x86_64; rv:155.0) Gecko/20100101 Firefox/155.0"
	firefoxOnMac  = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:140.0) Gecko/20100101 Firefox/140.0"
	chromeOnLinux = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
)

// SESSION_PROTECTION: what a stolen cookie is used from differs from where it was made.
func TestProtection(t *testing.T) {
	for name, tc := range map[string]struct {
		agent, address string
		strong, basic  Status
	}{
		"the same":               {firefox, "192.0.2.1", Valid, Valid},
		"the same /24":           {firefox, "192.0.2.200", Valid, Valid},
		"the same, mapped":       {firefox, "::ffff:192.0.2.9", Valid, Valid},
		"an update":              {firefoxNewer, "192.0.2.1", Valid, Valid},
		"the other family":       {firefox, "2001:db8::1", Valid, Valid},
		"another /24":            {firefox, "192.0.3.1", Ended, Stale},
		"another system":         {firefoxOnMac, "192.0.2.1", Ended, Stale},
		"another browser":        {chromeOnLinux, "192.0.2.1", Ended, Stale},
		"no browser":             {"", "192.0.2.1", Ended, Stale},
		"a browser of our curls": {"curl/8.0", "192.0.2.1", Ended, Stale},
	} {
		for protection, want := range map[string]Status{Strong: tc.strong, Basic: tc.basic, Off: Valid} {
			s := newSite(t, func(c *Config) { c.Protection = protection })
			s.signIn(s.person())
			s.agent, s.address = tc.agent, tc.address
			if got := s.standing(); got != want {
				t.Errorf("%s, %s: got %v, want %v", name, protection, got, want)
			}
			if in := s.visit() != nil; in != (want != Ended) {
				t.Errorf("%s, %s: signed in %v after it", name, protection, in)
			}
		}
	}
}

// One network of each family: the first of the other one counts from then on.
func TestTheFirstNetworkOfTheOtherFamilyCounts(t *testing.T) {
	s := newSite(t, nil)
	s.signIn(s.person())
	for _, step := range []struct {
		address string
		want    Status
	}{{"2001:db8:0:100::1", Valid}, {"2001:db8:0:1ff::2", Valid}, {"192.0.2.7", Valid}, {"2001:db8:0:200::1", Ended}} {
		s.address = step.address
		if got := s.standing(); got != step.want {
			t.Errorf("%s: got %v, want %v", step.address, got, step.want)
		}
	}
}

// Names come from a header: short, printable, and never empty.
func TestBrowserName(t *testing.T) {
	for agent, want := range map[string]string{
		firefox:      "Firefox on Linux",
		firefoxOnMac: "Firefox on macOS",
		"":           "Unknown browser on unknown system",
	} {
		if got := browserName(agent); got != want {
			t.Errorf("%q: got %q, want %q", agent, got, want)
		}
	}
}

func FuzzBrowserName(f *testing.F) {
	f.Add(firefox)
	f.Add(chromeOnLinux)
	f.Add("((((;;;///)))")
	f.Fuzz(func(t *testing.T, agent string) {
		got := browserName(agent)
		if len(got) > 90 || strings.ContainsFunc(got, func(c rune) bool { return c < 0x20 || c > 0x7e }) {
			t.Errorf("%q: got %q", agent, got)
		}
	})
}

func TestNetworks(t *testing.T) {
	for in, want := range map[string][2]string{
		"192.0.2.77":          {"192.0.2.0/24", ""},
		"::ffff:192.0.2.77":   {"192.0.2.0/24", ""},
		"2001:db8:1:2ff::1":   {"", "2001:db8:1:200::/56"},
		"fe80::1%eth0":        {"", "fe80::/56"},
		"2001:db8:1:200::dad": {"", "2001:db8:1:200::/56"},
	} {
		if a, b := networks(netip.MustParseAddr(in)); [2]string{a, b} != want {
			t.Errorf("%s: got %q, %q, want %q", in, a, b, want)
		}
	}
	if a, b := networks(netip.Addr{}); a != "" || b != "" {
		t.Errorf("no address: got %q, %q", a, b)
	}
}
