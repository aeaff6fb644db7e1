package identity

import (
	"net/url"
	"strings"
	"testing"
)

func TestURIsThatAreSafeToSendACodeTo(t *testing.T) {
	web, webLive := redirectKind(false, false), redirectKind(false, true)
	native, nativeLive := redirectKind(true, false), redirectKind(true, true)
	for _, tc := range []struct {
		uri   string
		kinds []uriKind
	}{
		{"https://a.example/cb", []uriKind{web, webLive, native, nativeLive}},
		{"https://a.example", []uriKind{web, webLive}},
		{"https://a.example:8443/cb?tenant=1&x=%C3%A9", []uriKind{web, webLive}},
		{"https://xn--bcher-kva.example/cb", []uriKind{web, webLive}},
		{"https://192.0.2.1/cb", []uriKind{web, webLive}},
		{"https://[2001:db8::1]:8443/cb", []uriKind{web, webLive}},
		{"http://localhost:5001/callback", []uriKind{web, native}},
		{"http://127.0.0.1:5001/callback", []uriKind{web, native, nativeLive}},
		{"http://127.0.0.1/callback", []uriKind{web, native, nativeLive}},
		{"http://[::1]/callback", []uriKind{web, native, nativeLive}},
		{"com.example.app:/oauth2redirect", []uriKind{native, nativeLive}},
		{"com.example.app://callback", []uriKind{native, nativeLive}},
	} {
		for _, kind := range []uriKind{web, webLive, native, nativeLive} {
			want := false
			for _, k := range tc.kinds {
				want = want || k == kind
			}
			// https is fine everywhere; the lists above name only what differs.
			want = want || strings.HasPrefix(tc.uri, "https:")
			if err := checkURI(tc.uri, kind); (err == nil) != want {
				t.Errorf("%q as %+v: got %v, want allowed %v", tc.uri, kind, err, want)
			}
		}
	}
}

// RU-01, RU-03, RU-05, RU-06: whatever Go and a browser could read differently, and
// every scheme that runs or reads something. Judged as a native application in
// development, which may have the most.
func TestURIsThatAreNot(t *testing.T) {
	for _, uri := range append([]string{
		"", "a", "/cb", "//a.example/cb", "a.example/cb", "https:", "https:/", "https://", "https:///cb", "https:a.example", "https:/a.example/cb",
		"https://good.example@evil.example/cb", "https://good.example:pw@evil.example/cb", "https://@evil.example/cb", `https://good.example\@evil.example`,
		`https://good.example\.evil.example/cb`, `https:\\evil.example`, "https://good.example%00.evil.example/cb", "https://good.example%2eevil.example/cb",
		"https://good.example/cb\x00", "https://good.example/\tcb", "https://good.example/cb\n", "\thttps://good.example/cb", " https://good.example/cb",
		"https://good.example /cb", "https://good\n.example/cb", "https://good.example/cb#", "https://good.example/cb#x", "https://good.example#@evil.example/",
		"https://*.example/cb", "https://a.example/*", "https://a.example/cb?x=*", "https://a.example/../cb", "https://a.example/x/..", "https://a.example/./cb",
		"https://a.example/%2e%2e/cb", "https://a.example/%2E./cb", "https://a.example/x%2f..%2fcb", "https://a.example/..;x/cb", "https://a.example/%5c..",
		"https://a.example/%00", "https://a.example/%0d%0aSet-Cookie:x", "https://a.example/%7f", "https://a.example/%", "https://a.example/%2", "https://a.example/%zz",
		"https://a.example/<script>", "https://a.example/\"x", "https://a.example/{x}", "https://a.example/`", "https://a.example/^", "https://a.example/|",
		"https://bücher.example/cb", "https://a.example/ü", "https://a。example/cb", "https://\u202egood.example/cb", "https://a.example/\xff",
		"https://a..example/cb", "https://.a.example/cb", "https://a.example./cb", "https://a.example:/cb", "https://a.example:0/cb", "https://a.example:65536/cb",
		"https://a.example:080/cb", "https://a.example:-1/cb", "https://a.example:8x/cb", "https://2130706433/cb", "https://0x7f000001/cb", "https://127.1/cb",
		"https://0177.0.0.1/cb", "https://1.2.3.4.5/cb", "https://a.0x7f/cb", "https://[::1/cb", "https://::1/cb", "https://[fe80::1%25eth0]/cb", "https://[a.example]/cb",
		"HTTPS://a.example/cb", "Https://a.example/cb", "http://a.example/cb", "http://evil.localhost/cb", "http://localhost.evil.example/cb", "http://localhost./cb",
		"http://127.0.0.1.evil.example/cb", "http://127.0.0.2/cb", "http://0.0.0.0/cb", "http://[::ffff:127.0.0.1]/cb", "http://[::]/cb", "http://LOCALHOST/cb",
		"javascript:alert(1)", "javascript:/alert(1)", "javascript://a.example/%250aalert(1)", "JaVaScRiPt:alert(1)", "java\tscript:alert(1)", "data:text/html,x",
		"data:/x", "vbscript:x", "vbscript:/x", "file:///etc/passwd", "file:/etc/passwd", "about:blank", "blob:https://a.example/x", "ftp://a.example/cb",
		"ws://a.example/", "myapp:/cb", "myapp://cb", "com.example.app:callback", "com..app:/cb", "com.:/cb", "view-source:https://a.example/", "intent://x#Intent;end",
	}, "https://a.example/"+strings.Repeat("a", maxURIBytes)) {
		if err := checkURI(uri, redirectKind(true, false)); err == nil {
			t.Errorf("%.80q: got no fault", uri)
		}
	}
}

func TestOriginsAreWhatABrowserSends(t *testing.T) {
	for origin, want := range map[string]bool{
		"https://app.example.com": true, "https://app.example.com:8443": true, "http://localhost:5173": true,
		"https://app.example.com/": false, "https://app.example.com/x": false, "https://App.example.com": false, "https://app.example.com:443": false,
		"http://localhost:80": false, "https://app.example.com?x": false, "null": false, "*": false, "https://*.example.com": false, "com.example.app:/": false,
	} {
		if err := checkOrigin(origin, pageKind(false)); (err == nil) != want {
			t.Errorf("%q: got %v, want allowed %v", origin, err, want)
		}
	}
}

// An accepted URI has one reading: the one that net/url gives back.
func FuzzCheckURI(f *testing.F) {
	for _, s := range []string{"https://a.example/cb", "http://127.0.0.1/cb", "com.example.app:/cb", "https://a@b/", "https://a.example/%2e%2e"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if checkURI(s, redirectKind(true, false)) != nil {
			return
		}
		u, err := url.Parse(s)
		if err != nil || u.String() != s || u.User != nil || u.Fragment != "" || strings.ContainsAny(s, "\\*# \t\r\n\x00") {
			t.Errorf("%q was let through", s)
		}
		if u.Scheme == "http" && u.Hostname() != "localhost" && u.Hostname() != "127.0.0.1" && u.Hostname() != "::1" {
			t.Errorf("%q is plain http to another machine", s)
		}
	})
}

func TestAURIWithoutASchemeIsToldHowToWriteIt(t *testing.T) {
	for _, uri := range []string{"foo", "app.example.com/callback", "/callback", "//app.example.com/callback"} {
		if err := checkURI(uri, redirectKind(false, true)); err == nil || !strings.Contains(err.Error(), "https://") {
			t.Errorf("%q: got %v, want an error that shows a whole URI", uri, err)
		}
	}
}
