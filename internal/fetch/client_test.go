package fetch

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// A fetch that fails tells no address and no port, of either side: what is inside looks the same whether or not it is there.
func TestErrorsTellNoAddress(t *testing.T) {
	closes := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }))
	defer closes.Close()
	cut := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte("short"))
	}))
	defer cut.Close()
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	local := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	reach := map[string]bool{}
	for _, tc := range []struct {
		what, uri string
		allow     []netip.Prefix
		dials     bool
	}{
		{"an address inside", "https://10.2.3.4/keys?secret=canary", nil, true},
		{"a server inside", cut.URL + "/keys?secret=canary", nil, true},
		{"a name inside", "https://localhost:8443/keys?secret=canary", nil, true},
		{"a closed port", "http://" + gone.Addr().String() + "/canary", local, true},
		{"a port for another protocol", "https://127.0.0.1:25/canary", nil, true},
		{"a server that hangs up", closes.URL + "/canary", local, false},
		{"a body that ends early", cut.URL + "/canary", local, false},
		{"no answer", "http://" + mute.Addr().String() + "/canary", local, false},
		{"plain text instead of TLS", strings.Replace(cut.URL, "http:", "https:", 1) + "/canary", local, false},
	} {
		limit := 5 * time.Second
		if tc.what == "no answer" {
			limit = 50 * time.Millisecond
		}
		_, err := Get(t.Context(), NewClient(tc.allow, limit), tc.uri, "*/*", 1000)
		if err == nil || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "127.0.0.1") || strings.Contains(err.Error(), "10.2.3.4") {
			t.Errorf("%s: the error is %v", tc.what, err)
		} else if tc.dials {
			reach[err.Error()] = true
		}
	}
	if len(reach) != 1 {
		t.Errorf("what cannot be reached is told apart: %v", reach)
	}
}
