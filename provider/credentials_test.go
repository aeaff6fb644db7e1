package provider_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// A parameter without a value counts as omitted (RFC 6749, section 3.2): client
// libraries send client_secret= for public clients. It is no way in for others.
func TestAnEmptySecretIsNone(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{})
	for clientID, want := range map[string]int{"acme-mobile-001": http.StatusOK, "acme-portal-001": http.StatusUnauthorized, "nobody": http.StatusUnauthorized} {
		rp := s.RP(clientID, "", "", "")
		if status, _ := rp.Post(t, "/oauth2/revoke", url.Values{"token": {"sp_rt_unknown"}, "client_secret": {""}}, nil); status != want {
			t.Errorf("%s with an empty secret: status %d, want %d", clientID, status, want)
		}
	}
}
