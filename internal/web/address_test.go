package web

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
)

// HT-02: believed from trusted proxies only, and of a chain the last hop that no trusted proxy wrote.
func TestClientAddress(t *testing.T) {
	rt := newWeb(t).router()
	tests := []struct {
		name, peer string
		forwarded  []string
		want       string
	}{
		{"direct", "192.0.2.9:1234", nil, "192.0.2.9"},
		{"stranger's claim", "192.0.2.9:1234", []string{"127.0.0.1"}, "192.0.2.9"},
		{"proxy", "10.0.0.1:1", []string{"198.51.100.7"}, "198.51.100.7"},
		{"proxy without", "10.0.0.1:1", nil, "10.0.0.1"},
		{"forged left part", "10.0.0.1:1", []string{"127.0.0.1, 198.51.100.7"}, "198.51.100.7"},
		{"forged line", "10.0.0.1:1", []string{"127.0.0.1", "198.51.100.7"}, "198.51.100.7"},
		{"two proxies", "10.0.0.1:1", []string{"198.51.100.7, 10.0.0.2"}, "198.51.100.7"},
		{"only proxies", "10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"port", "10.0.0.1:1", []string{"198.51.100.7:5555"}, "198.51.100.7"},
		{"IPv6", "10.0.0.1:1", []string{"2001:db8::1"}, "2001:db8::1"},
		{"IPv6 in brackets", "10.0.0.1:1", []string{"[2001:db8::1]:443"}, "2001:db8::1"},
		{"zone", "10.0.0.1:1", []string{"fe80::1%eth0"}, "fe80::1"},
		{"zone of the peer", "[fe80::1%lo]:1", nil, "fe80::1"},
		{"trusted IPv6 with zone", "[fd00::1%eth0]:1", []string{"198.51.100.7"}, "198.51.100.7"},
		{"mapped", "[::ffff:10.0.0.1]:1", []string{"::ffff:198.51.100.7"}, "198.51.100.7"},
		{"garbage", "10.0.0.1:1", []string{"unknown"}, "10.0.0.1"},
		{"garbage right", "10.0.0.1:1", []string{"198.51.100.7, <script>"}, "10.0.0.1"},
		{"garbage behind a proxy", "10.0.0.1:1", []string{"198.51.100.7, x, 10.0.0.2"}, "10.0.0.2"},
		{"empty", "10.0.0.1:1", []string{"", ","}, "10.0.0.1"},
		{"endless", "10.0.0.1:1", []string{"198.51.100.7" + strings.Repeat(", 10.0.0.2", 5000)}, "10.0.0.2"},
		{"no address at all", "@", []string{"198.51.100.7"}, "invalid IP"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := request("GET", "/json", "X-Real-IP", "127.0.0.1", "Forwarded", "for=127.0.0.1")
			r.RemoteAddr = test.peer
			for _, line := range test.forwarded {
				r.Header.Add("X-Forwarded-For", line)
			}
			w := do(rt, r)
			var got struct{ IP string }
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.IP != test.want {
				t.Errorf("client = %q (%d), want %q", got.IP, w.Code, test.want)
			}
		})
	}
}

func TestForwardedSchemeHostAndID(t *testing.T) {
	rt := newWeb(t).router()
	given := uuid.NewString()
	tests := []struct {
		name, peer  string
		header      []string
		host        string
		wantCode    int
		wantScheme  string
		wantGivenID bool
	}{
		{"proxy", "10.0.0.1:1", []string{"X-Forwarded-Proto", "https", "X-Forwarded-Host", "id.example", "X-Request-ID", given}, "backend:5000", 200, "https", true},
		{"stranger", "192.0.2.1:1", []string{"X-Forwarded-Proto", "https", "X-Request-ID", given}, "id.example", 200, "http", false},
		{"proxy for another host", "10.0.0.1:1", []string{"X-Forwarded-Host", "id.example, evil.example"}, "id.example", 421, "", false},
		{"odd scheme", "10.0.0.1:1", []string{"X-Forwarded-Proto", "javascript"}, "id.example", 200, "http", false},
		{"id that is no UUID", "10.0.0.1:1", []string{"X-Request-ID", "x\" onload=\""}, "id.example", 200, "http", false},
		{"id in another spelling", "10.0.0.1:1", []string{"X-Request-ID", "urn:uuid:" + given}, "id.example", 200, "http", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := request("GET", "/json", test.header...)
			r.RemoteAddr, r.Host = test.peer, test.host
			w := do(rt, r)
			if w.Code != test.wantCode {
				t.Fatalf("status %d, want %d", w.Code, test.wantCode)
			}
			id := w.Header().Get("X-Request-Id")
			if _, err := uuid.Parse(id); err != nil || (id == given) != test.wantGivenID {
				t.Errorf("X-Request-Id = %q, given %q", id, given)
			}
			if w.Code != 200 {
				return
			}
			var got struct{ Scheme, ID string }
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.Scheme != test.wantScheme || got.ID != id {
				t.Errorf("got %+v, %v, want scheme %s and id %s", got, err, test.wantScheme, id)
			}
		})
	}
}

// A proxy that TRUSTED_PROXIES misses gives everybody its own address: the log says so once, whatever header shows it.
func TestAnUntrustedPeerThatForwardsIsLoggedOnce(t *testing.T) {
	for name, c := range map[string]struct {
		peer, header, value, network string
	}{
		"X-Forwarded-For":   {"192.0.2.7:4711", "X-Forwarded-For", "203.0.113.66", "192.0.2.7/32"},
		"Forwarded":         {"[2001:db8:1:2::7]:4711", "Forwarded", "for=203.0.113.66", "2001:db8:1:2::/64"},
		"X-Real-IP":         {"172.17.0.1:4711", "X-Real-IP", "203.0.113.66", "172.17.0.1/32"},
		"IPv4 within IPv6":  {"[::ffff:192.0.2.9]:4711", "X-Forwarded-For", "garbage 203.0.113.66", "192.0.2.9/32"},
		"a link-local zone": {"[fe80::1%eth0]:4711", "X-Forwarded-For", "203.0.113.66", "fe80::/64"},
		"a trusted peer":    {"10.1.2.3:4711", "X-Forwarded-For", "203.0.113.66", ""},
		"no such header":    {"192.0.2.7:4711", "X-Forwarded-Proto", "https", ""},
		"no address":        {"@", "X-Forwarded-For", "203.0.113.66", ""},
	} {
		tw := newWeb(t)
		rt := tw.router()
		var wait sync.WaitGroup
		for n := range 8 {
			wait.Go(func() {
				r := request("GET", "/page", c.header, c.value)
				if r.RemoteAddr = c.peer; n%2 == 1 {
					delete(r.Header, http.CanonicalHeaderKey(c.header))
				}
				do(rt, r)
			})
		}
		wait.Wait()
		other := request("GET", "/page", c.header, c.value)
		if c.network != "" {
			other.RemoteAddr = "198.51.100.1:4711"
			do(rt, other)
		}
		got := ""
		if p := tw.UntrustedPeer(); p.IsValid() {
			got = p.String()
		}
		if got != c.network {
			t.Errorf("%s: the untrusted peer is %q, want %q", name, got, c.network)
		}
		want := 0
		if c.network != "" {
			want = 1
		}
		log := tw.log.String()
		if n := strings.Count(log, `"level":"WARN"`); n != want || want == 1 && (!strings.Contains(log, `"network":"`+c.network+`"`) || !strings.Contains(log, "TRUSTED_PROXIES")) {
			t.Errorf("%s: %d warnings, want %d with the network and the remedy:\n%s", name, n, want, log)
		}
		if c.network != "" && strings.Contains(log, "203.0.113.66") {
			t.Errorf("%s: the log repeats what a stranger wrote:\n%s", name, log)
		}
	}
}
