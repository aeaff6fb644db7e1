package app_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// apiHealthAnswer is what /api/health answers.
type apiHealthAnswer struct {
	status     int
	body       string
	RetryAfter string
	Version    string
	Success    bool
	Code       int
	RequestID  string `json:"request_id"`
	Data       struct {
		Status string
		Checks map[string]string
	}
	Error struct {
		Type    string
		Details map[string][]string
	}
}

// apiHealth asks /api/health under a Host, "" for the issuer's.
func apiHealth(t *testing.T, s *harness.Server, host, method string) apiHealthAnswer {
	t.Helper()
	r := httptest.NewRequest(method, s.Issuer+"/api/health", nil)
	if host != "" {
		r.Host = host
	}
	got := httptest.NewRecorder()
	s.Server.Handler().ServeHTTP(got, r)
	a := apiHealthAnswer{status: got.Code, body: got.Body.String(), RetryAfter: got.Header().Get("Retry-After")}
	if method != http.MethodHead {
		if err := json.Unmarshal(got.Body.Bytes(), &a); err != nil {
			t.Errorf("%s with Host %q: %v in %.200s", method, host, err, a.body)
		}
	}
	return a
}

// Monitors of the systems that this product replaces ask this path by address, by service name, or through a proxy.
func TestHealthIsAnsweredInTheEnvelopeWhateverTheHost(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{Redis: true, Empty: true})
	for _, host := range []string{"", "10.1.2.3:5000", "sallyport", "[::1]:80", "monitor.example.com"} {
		got := apiHealth(t, s, host, http.MethodGet)
		if got.status != 200 || !got.Success || got.Version != "1.0" || got.Code != 200 || got.RequestID == "" || got.Data.Status != "ready" {
			t.Errorf("Host %q: got %d %s", host, got.status, got.body)
		}
		if diff := cmp.Diff(map[string]string{"database": "ok", "redis": "ok", "mail": "ok"}, got.Data.Checks); diff != "" {
			t.Errorf("Host %q: checks (-want +got):\n%s", host, diff)
		}
	}
	if got := apiHealth(t, s, "x", http.MethodHead); got.status != 200 {
		t.Errorf("HEAD: got %d", got.status)
	}
	if got := apiHealth(t, s, "x", http.MethodPost); got.status != 405 || got.Success || got.Error.Type != "BAD_REQUEST" {
		t.Errorf("POST: got %d %s", got.status, got.body)
	}
}
