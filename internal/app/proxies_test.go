package app_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/app"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// proxiesFinding is what doctor says of proxies.
func proxiesFinding(t *testing.T, environ ...string) app.Finding {
	t.Helper()
	environ = append([]string{"SALLYPORT_DATABASE_URL=sqlite://" + t.TempDir() + "/none.db"}, environ...)
	for _, f := range app.Doctor(t.Context(), app.LoadOptions{Environ: environ, Dir: t.TempDir()}) {
		if f.Check == "proxies" {
			return f
		}
	}
	t.Fatal("doctor says nothing of proxies")
	return app.Finding{}
}

// Doctor tells of a proxy that TRUSTED_PROXIES misses. A stranger can send X-Forwarded-For too, and can neither make
// a fault of it nor take a node out of service.
func TestDoctorTellsOfAProxyThatIsNotTrusted(t *testing.T) {
	for _, c := range []struct{ peer, header, problem, detail string }{
		{"192.168.7.1:40000", "", "", "no untrusted peer"},
		{"192.168.7.1:40000", "X-Forwarded-For", "an untrusted peer sends X-Forwarded-For: 192.168.7.1/32", ""},
		{"127.0.0.1:40000", "Forwarded", "an untrusted peer sends X-Forwarded-For: 127.0.0.1/32", ""},
		{"[fd00::7]:40000", "X-Real-IP", "an untrusted peer sends X-Forwarded-For: fd00::/64", ""},
		{"172.16.0.1:40000", "X-Forwarded-For", "", "no untrusted peer"}, // it is trusted
		{"203.0.113.9:40000", "X-Forwarded-For", "", "203.0.113.9/32; if that is your proxy, list it in TRUSTED_PROXIES"},
	} {
		s := harness.Start(t, storage.SQLite, harness.Options{Environ: []string{"SALLYPORT_TRUSTED_PROXIES=172.16.0.0/12"}})
		admin := "SALLYPORT_ADMIN_LISTEN=" + listen(t, s.Server.Admin(), s.App.Log, nil)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, s.Issuer+"/healthz", nil)
		if r.RemoteAddr = c.peer; c.header != "" {
			r.Header.Set(c.header, "for=198.51.100.1")
		}
		s.Server.Handler().ServeHTTP(httptest.NewRecorder(), r)
		f := proxiesFinding(t, admin)
		if f.Problem != c.problem || !strings.Contains(f.Detail, c.detail) || c.problem != "" && !strings.Contains(f.Remedy, "TRUSTED_PROXIES") {
			t.Errorf("%s sends %q: %+v", c.peer, c.header, f)
		}
		w := httptest.NewRecorder()
		s.Server.Admin().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/readyz", nil))
		if w.Code != http.StatusOK || strings.Contains(w.Body.String(), "unavailable") || strings.Contains(w.Body.String(), `"degraded"`) {
			t.Errorf("%s sends %q: /readyz answers %d %s", c.peer, c.header, w.Code, w.Body)
		}
	}
}

// In production an https issuer without TLS_CERT has a proxy in front, which must be named.
func TestDoctorWantsTheProxyOfProductionNamed(t *testing.T) {
	production := func(more ...string) []string {
		return append([]string{"SALLYPORT_ISSUER=https://localhost", "SALLYPORT_ENV=production"}, more...)
	}
	for _, c := range []struct {
		name    string
		environ []string
		fault   bool
	}{
		{"every address", production("SALLYPORT_LISTEN=0.0.0.0:5000"), true},
		{"one address", production("SALLYPORT_LISTEN=192.0.2.1:5000"), true},
		{"nginx on this machine", production(), true},
		{"a proxy is named", production("SALLYPORT_LISTEN=0.0.0.0:5000", "SALLYPORT_TRUSTED_PROXIES=10.0.0.0/8"), false},
		{"development", []string{"SALLYPORT_ISSUER=http://localhost:5000"}, false},
	} {
		f := proxiesFinding(t, append([]string{"SALLYPORT_ADMIN_LISTEN=127.0.0.1:1"}, c.environ...)...)
		if (f.Problem != "") != c.fault || !c.fault && !strings.HasPrefix(f.Skipped, "no server answers") {
			t.Errorf("%s: %+v, want a fault: %t", c.name, f, c.fault)
		}
	}
}
