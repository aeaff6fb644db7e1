package app_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// scrape is /metrics of the admin listener.
func scrape(t *testing.T, s *harness.Server) string {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/metrics", nil)
	s.Server.Admin().ServeHTTP(w, r)
	body, err := io.ReadAll(w.Result().Body)
	if err != nil || w.Code != http.StatusOK {
		t.Fatalf("/metrics answers %d: %v", w.Code, err)
	}
	return string(body)
}

// wantMetric fails unless a series has this value.
func wantMetric(t *testing.T, text, line string) {
	t.Helper()
	if !slices.Contains(strings.Split(text, "\n"), line) {
		t.Errorf("no line %q in:\n%s", line, regexp.MustCompile(`(?m)^sallyport_(token|refusals).*$`).FindAllString(text, -1))
	}
}

// Issued tokens and refusals are counted by grant type, endpoint and code, and never
// by anything that a stranger can choose.
func TestTokensAndRefusalsAreCounted(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{})
	portal, machine := s.Portal(), s.Machine()
	b := s.Browser(t)
	tokens := portal.SignIn(t, b, harness.Bob, nil)
	portal.Refresh(t, tokens.RefreshToken)
	for range 3 {
		machine.Token(t, url.Values{"grant_type": {"client_credentials"}})
	}
	machine.Token(t, url.Values{"grant_type": {"client_credentials"}, "scope": {"openid"}})
	portal.Token(t, url.Values{"grant_type": {"authorization_code"}, "code": {"sp_ac_x"}})
	portal.Token(t, url.Values{"grant_type": {"password-of-a-stranger"}})
	s.RP("data-api-001", "wrong", "", "").Token(t, url.Values{"grant_type": {"client_credentials"}})
	portal.Userinfo(t, "sp_at_x")
	b.Get(t, portal.Authorize(url.Values{"scope": {"api:read"}}).URL)
	b.Get(t, portal.Authorize(url.Values{"redirect_uri": {"https://evil.example/"}}).URL)
	b.Get(t, portal.Authorize(url.Values{"organization": {"tech-startup"}, "prompt": {"none"}}).URL)
	text := scrape(t, s)
	for _, line := range []string{
		`sallyport_token_requests_total{grant_type="authorization_code",outcome="issued"} 1`,
		`sallyport_token_requests_total{grant_type="refresh_token",outcome="issued"} 1`,
		`sallyport_token_requests_total{grant_type="client_credentials",outcome="issued"} 3`,
		`sallyport_token_requests_total{grant_type="client_credentials",outcome="invalid_scope"} 1`,
		`sallyport_token_requests_total{grant_type="client_credentials",outcome="invalid_client"} 1`,
		`sallyport_token_requests_total{grant_type="authorization_code",outcome="invalid_grant"} 1`,
		`sallyport_token_requests_total{grant_type="unknown",outcome="unsupported_grant_type"} 1`,
		`sallyport_refusals_total{code="invalid_client",route="/oauth2/token"} 1`,
		`sallyport_refusals_total{code="invalid_token",route="/oauth2/userinfo"} 1`,
		`sallyport_refusals_total{code="invalid_scope",route="/oauth2/authorize"} 1`,
		`sallyport_refusals_total{code="invalid_redirect_uri",route="/oauth2/authorize"} 1`,
		`sallyport_refusals_total{code="invalid_request",route="/oauth2/authorize"} 1`,
	} {
		wantMetric(t, text, line)
	}
	for _, word := range []string{"password-of-a-stranger", "acme-portal-001", "evil.example"} {
		if strings.Contains(text, word) {
			t.Errorf("a label names %s", word)
		}
	}
}

// docs/operations.md lists every metric of this product, and no other.
func TestTheDocumentedMetricsAreThoseThatExist(t *testing.T) {
	docs, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("../metrics/metrics.go")
	if err != nil {
		t.Fatal(err)
	}
	names := func(text []byte, pattern string) []string {
		var all []string
		for _, m := range regexp.MustCompile(pattern).FindAllSubmatch(text, -1) {
			all = append(all, string(m[1]))
		}
		return slices.Compact(slices.Sorted(slices.Values(all)))
	}
	documented, registered := names(docs, "(?m)^\\| `(sallyport_[a-z_]+)"), names(source, `"(sallyport_[a-z_]+)"`)
	if len(registered) == 0 || !slices.Equal(documented, registered) {
		t.Errorf("documented %v, registered %v", documented, registered)
	}
}
