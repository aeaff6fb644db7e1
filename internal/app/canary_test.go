package app_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/harness"
)

// AD-07: after a bit of everything, done well and done badly, with the log at
// debug level, neither the log nor the database holds anything that opens a door.
func TestNoSecretIsLoggedOrStored(t *testing.T) {
	harness.EachEngine(t, harness.Options{Clients: harness.Clients}, func(t *testing.T, s *harness.Server) {
		secrets := map[string]string{"Bob's password": harness.Bob.Password, "a mistyped password": "not-Bobs-Password!", "a client's secret": "secret-of-quiet-Zr8wq1LkVbX0",
			"the portal's secret": s.Portal().Secret, "a wrong client secret": "wrong-secret-canary"}
		note := func(name, value string) {
			t.Helper()
			if len(value) < 8 {
				t.Fatalf("%s is %q", name, value)
			}
			secrets[name] = value
		}
		b, rp := s.Browser(t), s.Portal()
		r := rp.Authorize(nil)
		page := b.Get(t, r.URL)
		note("the anonymous cookie", harness.CookieOf(s, b))
		note("a flow", page.URL.Query().Get("flow"))
		note("the login form's token", page.Form(t, "login").Values.Get("csrf"))
		page = b.Submit(t, page.Form(t, "login"), "email", harness.Bob.Email, "password", "not-Bobs-Password!")
		page = b.Submit(t, page.Form(t, "login"), "email", harness.Bob.Email, "password", harness.Bob.Password)
		note("the session's cookie", harness.CookieOf(s, b))
		note("the consent form's token", page.Form(t, "consent").Values.Get("csrf"))
		b.Submit(t, page.Form(t, "consent"), "answer", "allow", "csrf", "forged-canary-token")
		page = b.Submit(t, page.Form(t, "consent"), "answer", "allow")
		code := page.Away.Query().Get("code")
		note("a code", code)
		note("its verifier", r.Verifier)
		tokens := rp.Redeem(t, code, r)
		next := rp.Refresh(t, tokens.RefreshToken)
		for name, got := range map[string]*harness.Tokens{"first": tokens, "second": next} {
			note("the "+name+" access token", got.AccessToken)
			note("the "+name+" refresh token", got.RefreshToken)
			note("the "+name+" ID token", got.IDToken)
		}
		rp.Userinfo(t, next.AccessToken)
		rp.Userinfo(t, next.IDToken)
		rp.Userinfo(t, "sp_at_canary-of-a-malformed-token")
		note("a malformed token", "canary-of-a-malformed-token")
		rp.Introspect(t, next.AccessToken)
		rp.Introspect(t, next.RefreshToken)
		for _, wrong := range []url.Values{ // each refused for a reason of its own
			{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {rp.RedirectURI}, "code_verifier": {r.Verifier}},
			{"grant_type": {"authorization_code"}, "code": {"sp_ac_unknown-code-canary"}, "redirect_uri": {rp.RedirectURI}},
			{"grant_type": {"refresh_token"}, "refresh_token": {tokens.RefreshToken}},
			{"grant_type": {"password"}, "username": {"bob"}, "password": {"grant-password-canary"}},
		} {
			rp.Token(t, wrong)
		}
		note("an unknown code", "unknown-code-canary")
		note("the password of a grant", "grant-password-canary")
		s.RP(rp.ClientID, "wrong-secret-canary", rp.RedirectURI, "").Token(t, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {next.RefreshToken}})
		r = rp.Authorize(url.Values{"prompt": {"none"}, "id_token_hint": {next.IDToken}})
		rp.Token(t, url.Values{"grant_type": {"authorization_code"}, "code": {b.Get(t, r.URL).Away.Query().Get("code")}, "redirect_uri": {rp.RedirectURI}, "code_verifier": {strings.Repeat("wrong-verifier-", 4)}})
		note("a wrong verifier", "wrong-verifier-")
		b.Get(t, rp.Authorize(url.Values{"id_token_hint": {next.IDToken[:len(next.IDToken)-4] + "AAAA"}}).URL)
		var pushed struct {
			RequestURI string `json:"request_uri"`
		}
		if status, _ := rp.Post(t, "/oauth2/par", rp.Authorize(nil).Params, &pushed); status != http.StatusCreated {
			t.Fatalf("pushing gets %d", status)
		}
		note("a request_uri", strings.TrimPrefix(pushed.RequestURI, "urn:ietf:params:oauth:request_uri:"))
		b.Get(t, "/oauth2/authorize?client_id="+rp.ClientID+"&request_uri="+url.QueryEscape(pushed.RequestURI))
		machine := s.Machine()
		note("a machine's secret", machine.Secret)
		token := machine.Token(t, url.Values{"grant_type": {"client_credentials"}}).AccessToken
		note("a machine's token", token)
		machine.Post(t, "/oauth2/revoke", url.Values{"token": {token}}, nil)
		b.Get(t, "/oauth2/logout?id_token_hint="+url.QueryEscape(next.IDToken))

		log, contents := s.Log.String(), s.Contents(t)
		if n := strings.Count(log, "msg=request"); n < 20 {
			t.Fatalf("the log has %d requests: this test looks at the wrong one", n)
		}
		for name, value := range secrets {
			if i := strings.Index(log, value); i >= 0 {
				t.Errorf("%s is in the log: …%s", name, log[max(0, i-200):min(len(log), i+20)])
			}
			if i := strings.Index(contents, value); i >= 0 {
				t.Errorf("%s is in the database: …%s", name, contents[max(0, i-200):min(len(contents), i+20)])
			}
		}
	})
}
