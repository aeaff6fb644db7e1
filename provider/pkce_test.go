package provider_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

const pkceClients = `
version: 1
clients:
  - {client_id: required, require_pkce: true, skip_consent: true, scope: openid email org, redirect_uris: ["https://app.example/cb"], secret: required-secret-of-the-tests-1}
  - {client_id: auto, require_pkce: auto, skip_consent: true, scope: openid email org, redirect_uris: ["https://app.example/cb"], secret: required-secret-of-the-tests-1}
  - {client_id: "off", require_pkce: false, skip_consent: true, scope: openid email org, redirect_uris: ["https://app.example/cb"], secret: required-secret-of-the-tests-1}
  - {client_id: unnamed, skip_consent: true, scope: openid email org, redirect_uris: ["https://app.example/cb"], secret: required-secret-of-the-tests-1}
  - {client_id: public, require_pkce: false, token_endpoint_auth_method: none, scope: openid email org, redirect_uris: ["https://app.example/cb"]}
`

// RFC 9700, section 2.1.1: PKCE, or for OpenID Connect a nonce, protects against an injected code. require_pkce says
// which a client must send, at the authorization endpoint in both methods and at the PAR endpoint.
func TestRequirePKCEDecidesWhatARequestMustCarry(t *testing.T) {
	bare := url.Values{"code_challenge": nil, "code_challenge_method": nil, "nonce": nil}
	with := func(extra url.Values) url.Values {
		all := url.Values{}
		for _, v := range []url.Values{bare, extra} {
			for name, values := range v {
				all[name] = values
			}
		}
		return all
	}
	const refused = "invalid_request"
	cases := map[string]struct {
		extra                                url.Values
		required, auto, off, unnamed, public string // "": accepted
	}{
		"PKCE and nonce":        {url.Values{}, "", "", "", "", ""},
		"PKCE alone":            {url.Values{"nonce": nil}, "", "", "", "", ""},
		"PKCE without openid":   {url.Values{"nonce": nil, "scope": {"email"}}, "", "", "", "", ""},
		"nonce alone":           {with(url.Values{"nonce": {"n-0S6_WzA2Mj"}}), refused, "", "", "", refused},
		"empty nonce":           {with(url.Values{"nonce": {""}}), refused, refused, "", "", refused},
		"neither":               {bare, refused, refused, "", "", refused},
		"nonce without openid":  {with(url.Values{"nonce": {"n"}, "scope": {"email"}}), refused, refused, "", "", refused},
		"neither, and org":      {with(url.Values{"scope": {"openid org:acme-corp"}}), refused, refused, "", "", refused},
		"empty challenge":       {with(url.Values{"code_challenge": {""}}), refused, refused, "", "", refused},
		"plain":                 {url.Values{"code_challenge_method": {"plain"}}, refused, refused, refused, refused, refused},
		"no method":             {url.Values{"code_challenge_method": nil}, refused, refused, refused, refused, refused},
		"method alone, nonce":   {url.Values{"code_challenge": nil}, refused, refused, refused, refused, refused},
		"short challenge":       {url.Values{"code_challenge": {"abc"}}, refused, refused, refused, refused, refused},
		"method in lower case":  {url.Values{"code_challenge_method": {"s256"}}, refused, refused, refused, refused, refused},
		"padded challenge":      {url.Values{"code_challenge": {strings.Repeat("a", 43) + "="}}, refused, refused, refused, refused, refused},
		"plain beside a nonce":  {url.Values{"code_challenge": {strings.Repeat("a", 43)}, "code_challenge_method": {"plain"}, "nonce": {"n"}}, refused, refused, refused, refused, refused},
		"an unknown scope, too": {with(url.Values{"nonce": {"n"}, "scope": {"openid nonsense"}}), refused, "", "", "", refused},
	}
	harness.EachEngine(t, harness.Options{Clients: pkceClients}, func(t *testing.T, s *harness.Server) {
		b := s.Browser(t)
		signIn := s.Portal()
		signIn.Walk(t, b, signIn.Authorize(nil), harness.Bob)
		for name, tc := range cases {
			for client, want := range map[string]string{"required": tc.required, "auto": tc.auto, "off": tc.off, "unnamed": tc.unnamed, "public": tc.public} {
				rp := s.RP(client, "required-secret-of-the-tests-1", "https://app.example/cb", "openid email")
				if client == "public" {
					rp.Secret = ""
				}
				r := rp.Authorize(tc.extra)
				pages := map[string]*harness.Page{"GET": b.Get(t, r.URL), "POST": b.Post(t, s.Issuer+"/oauth2/authorize", r.Params)}
				for method, page := range pages {
					got, description := "", ""
					if page.Away != nil {
						got, description = page.Away.Query().Get("error"), page.Away.Query().Get("error_description")
					}
					if got != want {
						t.Errorf("%s, %s by %s: got %q %s, want %q", client, name, method, got, description, want)
					}
				}
				var pushed problem
				if rp.Post(t, "/oauth2/par", r.Params, &pushed); pushed.Error != want {
					t.Errorf("%s, %s pushed: got %q %s, want %q", client, name, pushed.Error, pushed.Description, want)
				}
			}
		}
	})
}

// A developer who reads the error learns of both ways out: at the library and at the registration.
func TestTheErrorAboutPKCENamesBothCures(t *testing.T) {
	harness.EachEngine(t, harness.Options{Clients: pkceClients}, func(t *testing.T, s *harness.Server) {
		for client, want := range map[string][]string{
			"required": {"code_challenge_method=S256", "require_pkce"},
			"auto":     {"code_challenge_method=S256", "nonce", "openid", "require_pkce"},
			"public":   {"public client", "code_challenge_method=S256"},
		} {
			rp := s.RP(client, "", "https://app.example/cb", "openid email")
			page := s.Browser(t).Get(t, rp.Authorize(url.Values{"code_challenge": nil, "code_challenge_method": nil, "nonce": nil}).URL)
			description := page.Away.Query().Get("error_description")
			for _, part := range want {
				if !strings.Contains(description, part) {
					t.Errorf("%s: %q does not say %s", client, description, part)
				}
			}
		}
	})
}

// Unprotected requests are counted where a registration lets them through, and no others: an operator sees which
// clients an attacker could inject a code into.
func TestRequestsWithNeitherPKCENorNonceAreCounted(t *testing.T) {
	harness.EachEngine(t, harness.Options{Clients: pkceClients}, func(t *testing.T, s *harness.Server) {
		b := s.Browser(t)
		signIn := s.Portal()
		signIn.Walk(t, b, signIn.Authorize(nil), harness.Bob)
		bare := url.Values{"code_challenge": nil, "code_challenge_method": nil, "nonce": nil}
		for _, tc := range []struct {
			client string
			extra  url.Values
		}{
			{"off", bare}, {"off", bare}, {"off", url.Values{"code_challenge": nil, "code_challenge_method": nil, "scope": {"email"}}}, // a nonce without openid is in no ID token
			{"unnamed", nil}, {"unnamed", url.Values{"nonce": nil}}, {"unnamed", url.Values{"code_challenge": nil, "code_challenge_method": nil}},
			{"auto", nil}, {"required", nil},
		} {
			rp := s.RP(tc.client, "required-secret-of-the-tests-1", "https://app.example/cb", "openid email")
			r := rp.Authorize(tc.extra)
			form := redemption(rp, codeOf(t, s, b, r), r)
			if r.Params.Get("code_challenge") == "" {
				form.Del("code_verifier")
			}
			if got := rp.Token(t, form); got.Status != http.StatusOK {
				t.Fatalf("%s: the code gets %d %s", tc.client, got.Status, got.Error)
			}
		}
		if err := s.App.Identity.WriteUses(t.Context(), &storage.Pace{}); err != nil {
			t.Fatal(err)
		}
		for client, want := range map[string]int64{"off": 3, "unnamed": 0, "auto": 0, "required": 0} {
			c, err := s.App.Identity.Clients.Get(t.Context(), identity.Operator(), client)
			if err != nil {
				t.Fatal(err)
			}
			if c.UnprotectedRequests != want || c.Unprotected() != (want > 0) || c.UnprotectedAt.IsZero() != (want == 0) {
				t.Errorf("%s: %d requests were counted, the last at %v; unprotected %v; want %d", client, c.UnprotectedRequests, c.UnprotectedAt, c.Unprotected(), want)
			}
		}
		listed, err := s.App.Identity.Clients.List(t.Context(), identity.Operator(), "", 100)
		for _, c := range listed {
			if c.Unprotected() != (c.ID == "off") {
				t.Errorf("%s is listed as unprotected: %v, %v", c.ID, c.Unprotected(), err)
			}
		}
	})
}
