package provider_test

import (
	"cmp"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// Does the time to refuse a secret tell how much of it is right? Wrong
// secrets that share all but the last character with the right one are interleaved
// with ones that share none. The metric auc is the chance that a near one took longer
// than a far one: 0.5 tells nothing, outside 0.45 to 0.55 there is something to look
// at. It is reported and not asserted, for a busy machine is no proof.
//
//	go test -run '^$' -bench ClientSecret -benchtime 20000x ./provider
func BenchmarkClientSecret(b *testing.B) {
	const right = "basic-secret-of-the-client-tests"
	s := harness.Start(b, storage.SQLite, harness.Options{Clients: secretClients})
	client, err := s.App.Registry.Client(b.Context(), "basic")
	if err != nil {
		b.Fatal(err)
	}
	try := func(secret string, want bool) time.Duration {
		start := time.Now()
		ok, err := s.App.Identity.Clients.VerifySecret(b.Context(), client, secret)
		took := time.Since(start)
		if err != nil || ok != want {
			b.Fatalf("%q: %v, %v; want %v", secret, ok, err, want)
		}
		return took
	}
	b.Run("right", func(b *testing.B) {
		for b.Loop() {
			try(right, true)
		}
	})
	b.Run("wrong", func(b *testing.B) {
		near, far := right[:len(right)-1]+"!", strings.Repeat("!", len(right))
		var samples []sample
		for n := 0; b.Loop(); n++ {
			secret, isNear := far, n%2 == 0
			if isNear {
				secret = near
			}
			samples = append(samples, sample{try(secret, false), isNear})
		}
		b.ReportMetric(auc(samples), "auc")
	})
}

const jwtClients = `
version: 1
clients:
  - client_id: reports
    redirect_uris: [https://reports.example/cb]
    grant_types: [authorization_code, refresh_token, client_credentials]
    scope: openid profile email api:read
    access_token_format: jwt
    id_token_signed_response_alg: ES256
    secret: reports-secret-of-the-benchmarks
`

// BenchmarkTokens measures what a request costs inside this process: docs/decisions/0002
// has the figures of JWT access tokens.
//
//	go test -run '^$' -bench Tokens -benchmem ./provider
func BenchmarkTokens(b *testing.B) {
	s := harness.Start(b, storage.SQLite, harness.Options{Clients: jwtClients})
	reports := s.RP("reports", "reports-secret-of-the-benchmarks", "https://reports.example/cb", "openid profile email")
	machine := s.Machine()
	jwt := reports.SignIn(b, s.Browser(b), harness.Bob, nil)
	opaque := machine.Token(b, url.Values{"grant_type": {"client_credentials"}})
	handler := s.Server.Handler()
	run := func(name, path, token string, rp *harness.RP, form url.Values) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest(http.MethodPost, s.Issuer+path, strings.NewReader(form.Encode()))
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				if token != "" {
					r.Header.Set("Authorization", "Bearer "+token)
				} else {
					r.SetBasicAuth(rp.ClientID, rp.Secret)
				}
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, r)
				if w.Code != http.StatusOK {
					b.Fatalf("%s answers %d %s", path, w.Code, w.Body)
				}
			}
		})
	}
	run("introspect JWT", "/oauth2/introspect", "", reports, url.Values{"token": {jwt.AccessToken}})
	run("introspect opaque", "/oauth2/introspect", "", machine, url.Values{"token": {opaque.AccessToken}})
	run("userinfo JWT", "/oauth2/userinfo", jwt.AccessToken, reports, url.Values{})
	run("client_credentials JWT", "/oauth2/token", "", reports, url.Values{"grant_type": {"client_credentials"}})
	run("client_credentials opaque", "/oauth2/token", "", machine, url.Values{"grant_type": {"client_credentials"}})
}

type sample struct {
	took time.Duration
	near bool
}

// auc is the area under the ROC curve (Mann-Whitney): ties count half.
func auc(samples []sample) float64 {
	slices.SortFunc(samples, func(a, b sample) int { return cmp.Compare(a.took, b.took) })
	var near, far, won float64
	for i := 0; i < len(samples); {
		end := i
		var nearHere, farHere float64
		for ; end < len(samples) && samples[end].took == samples[i].took; end++ {
			if samples[end].near {
				nearHere++
			} else {
				farHere++
			}
		}
		won += nearHere * (far + farHere/2)
		near, far, i = near+nearHere, far+farHere, end
	}
	if near == 0 || far == 0 {
		return 0.5
	}
	return won / (near * far)
}
