package provider_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// refusalCase is a request that is refused, and what its client's developer finds of it.
type refusalCase struct {
	client string
	do     func(t *testing.T, p *peers, b *harness.Browser, rp *harness.RP)

	endpoint, code, cause string // cause is a part of it
	params                string // names that are among those kept
	redirectURI, scope    string
}

func authorized(extra url.Values) func(*testing.T, *peers, *harness.Browser, *harness.RP) {
	return func(t *testing.T, _ *peers, b *harness.Browser, rp *harness.RP) { b.Get(t, rp.Authorize(extra).URL) }
}

func posted(path string, form url.Values) func(*testing.T, *peers, *harness.Browser, *harness.RP) {
	return func(t *testing.T, _ *peers, _ *harness.Browser, rp *harness.RP) {
		rp.Post(t, path, form, &problem{})
	}
}

var refusalCases = map[string]refusalCase{
	"authorize, a scope": {client: "narrow", do: authorized(url.Values{"scope": {"openid phone"}}),
		endpoint: "/oauth2/authorize", code: "invalid_scope", cause: "scope phone is not registered", params: "nonce scope state", redirectURI: peerRedirect, scope: "openid phone"},
	"authorize, unknown scopes": {client: "web", do: authorized(url.Values{"scope": {"openidd <b>"}}),
		endpoint: "/oauth2/authorize", code: "invalid_scope", cause: "scope openidd is not known", redirectURI: peerRedirect, scope: "openidd <b>"},
	"authorize, prompt": {client: "web", do: authorized(url.Values{"prompt": {"canary-signup"}}),
		endpoint: "/oauth2/authorize", code: "invalid_request", cause: "prompt canary-signup is not known", params: "prompt", redirectURI: peerRedirect, scope: "openid profile email phone address"},
	"authorize, claims": {client: "web", do: authorized(url.Values{"claims": {`{"canary`}, "scope": {"openid"}}),
		endpoint: "/oauth2/authorize", code: "invalid_request", cause: "unexpected EOF", params: "claims", redirectURI: peerRedirect, scope: "openid"},
	"authorize, silently": {client: "other", do: authorized(url.Values{"prompt": {"none"}, "scope": {"openid"}}),
		endpoint: "/oauth2/authorize", code: "consent_required", cause: "prompt=none forbids", redirectURI: peerRedirect, scope: "openid"},
	"authorize, an organization": {client: "web", do: authorized(url.Values{"organization": {"tech-startup"}, "scope": {"openid"}}),
		endpoint: "/oauth2/authorize", code: "not_a_member", cause: "does not belong", params: "organization", redirectURI: peerRedirect, scope: "openid"},
	"authorize, redirect_uri": {client: "web", do: authorized(url.Values{"redirect_uri": {"https://app.example/callback"}, "redirect_url": {"x"}, "scope": {"openid"}}),
		endpoint: "/oauth2/authorize", code: "invalid_redirect_uri", cause: "not one that is registered", redirectURI: "https://app.example/callback", scope: "openid"},
	"authorize, request object": {client: "object", do: authorized(url.Values{"request": {"canary.canary.canary"}, "scope": {"openid"}}),
		endpoint: "/oauth2/authorize", code: "invalid_request_object", cause: "not signed", params: "request", redirectURI: peerRedirect, scope: "openid"},
	"authorize, cancelled": {client: "other", do: func(t *testing.T, _ *peers, b *harness.Browser, rp *harness.RP) {
		b.Submit(t, b.Get(t, rp.Authorize(url.Values{"scope": {"openid email"}}).URL).FormWith(t, "answer"), "answer", "deny")
	}, endpoint: "/oauth2/authorize", code: "access_denied", cause: "cancelled", params: "client_id state", redirectURI: peerRedirect, scope: "openid email"},
	"authorize, a flow that has ended": {client: "public", do: func(t *testing.T, _ *peers, b *harness.Browser, rp *harness.RP) {
		page := b.Get(t, rp.Authorize(url.Values{"scope": {"openid address"}}).URL)
		b.Submit(t, page.FormWith(t, "answer"), "answer", "allow")
		b.Get(t, "/oauth2/authorize?flow="+page.URL.Query().Get("flow"))
	}, endpoint: "/oauth2/authorize", code: "flow_finished", cause: "sign-in"},
	"authorize, a flow without its cookie": {client: "public", do: func(t *testing.T, p *peers, b *harness.Browser, rp *harness.RP) {
		page := b.Get(t, rp.Authorize(url.Values{"scope": {"openid phone address"}}).URL)
		p.Browser(t).Get(t, "/oauth2/authorize?flow="+page.URL.Query().Get("flow"))
	}, endpoint: "/oauth2/authorize", code: "missing_cookie", cause: "browser"},
	"authorize by POST": {client: "pushing", do: func(t *testing.T, _ *peers, b *harness.Browser, rp *harness.RP) {
		b.Post(t, "/oauth2/authorize", rp.Authorize(url.Values{"scope": {"openid"}}).Params)
	}, endpoint: "/oauth2/authorize", code: "invalid_request", cause: "must push", redirectURI: peerRedirect, scope: "openid"},
	"token, a secret": {client: "web", do: func(t *testing.T, p *peers, _ *harness.Browser, _ *harness.RP) {
		p.RP("web", "canary-secret", peerRedirect, "").Token(t, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}})
	}, endpoint: "/oauth2/token", code: "invalid_client", cause: "the client secret is wrong", params: "grant_type refresh_token"},
	"token, the method": {client: "keyed", do: func(t *testing.T, p *peers, _ *harness.Browser, _ *harness.RP) {
		p.RP("keyed", "canary-secret", peerRedirect, "").Token(t, url.Values{"grant_type": {"refresh_token"}})
	}, endpoint: "/oauth2/token", code: "invalid_client", cause: "used client_secret_basic and is registered for private_key_jwt"},
	"token, a grant type": {client: "web", do: posted("/oauth2/token", url.Values{"grant_type": {"password"}, "username": {"canary"}, "password": {"canary"}}),
		endpoint: "/oauth2/token", code: "unsupported_grant_type", cause: "grant_type password is not supported", params: "grant_type password username"},
	"token, one that is not registered": {client: "web", do: posted("/oauth2/token", url.Values{"grant_type": {"client_credentials"}}),
		endpoint: "/oauth2/token", code: "unauthorized_client", cause: "grant_type client_credentials"},
	"token, a code": {client: "web", do: posted("/oauth2/token", url.Values{"grant_type": {"authorization_code"}, "code": {"canary"}, "redirect_uri": {peerRedirect}}),
		endpoint: "/oauth2/token", code: "invalid_grant", cause: "does not look like", params: "code", redirectURI: peerRedirect},
	"token, a verifier": {client: "web", do: func(t *testing.T, _ *peers, b *harness.Browser, rp *harness.RP) {
		code := b.Get(t, rp.Authorize(url.Values{"scope": {"openid"}}).URL).Away.Query().Get("code")
		rp.Token(t, url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {peerRedirect}, "code_verifier": {strings.Repeat("canary-", 7)}})
	}, endpoint: "/oauth2/token", code: "invalid_grant", cause: "code_verifier does not match", params: "code_verifier", redirectURI: peerRedirect},
	"token, a scope": {client: "server", do: posted("/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"api:read"}, "Canary": {"x"}, "sp_at_c4n4ryOfAToken_2DcQ9": {"y"}}),
		endpoint: "/oauth2/token", code: "invalid_scope", cause: "scope api:read is not registered", params: "grant_type scope", scope: "api:read"},
	"token, a disabled client": {client: "slow", do: func(t *testing.T, p *peers, _ *harness.Browser, rp *harness.RP) {
		disable(t, p, "slow")
		rp.Token(t, url.Values{"grant_type": {"refresh_token"}})
	}, endpoint: "/oauth2/token", code: "invalid_client", cause: "it is disabled"},
	"PAR, a scope": {client: "narrow", do: posted("/oauth2/par", url.Values{"response_type": {"code"}, "redirect_uri": {peerRedirect}, "scope": {"openid email"}}),
		endpoint: "/oauth2/par", code: "invalid_scope", cause: "scope email", params: "redirect_uri response_type", redirectURI: peerRedirect, scope: "openid email"},
	"PAR, a redirect URI": {client: "web", do: posted("/oauth2/par", url.Values{"response_type": {"code"}, "redirect_uri": {"https://evil.example/"}}),
		endpoint: "/oauth2/par", code: "invalid_request", cause: "redirect_uri", redirectURI: "https://evil.example/"},
	"userinfo, a token that ended": {client: "opaque", do: func(t *testing.T, _ *peers, b *harness.Browser, rp *harness.RP) {
		token := tokensFor(t, b, rp, url.Values{"scope": {"openid"}}).AccessToken
		rp.Post(t, "/oauth2/revoke", url.Values{"token": {token}}, nil)
		rp.Userinfo(t, token)
	}, endpoint: "/oauth2/userinfo", code: "invalid_token", cause: "the token was revoked"},
	"userinfo, a JWT that ended": {client: "jwt-rs", do: func(t *testing.T, _ *peers, b *harness.Browser, rp *harness.RP) {
		token := tokensFor(t, b, rp, url.Values{"scope": {"openid"}}).AccessToken
		rp.Post(t, "/oauth2/revoke", url.Values{"token": {token}}, nil)
		rp.Userinfo(t, token)
	}, endpoint: "/oauth2/userinfo", code: "invalid_token", cause: "the token was revoked"},
	"userinfo, a scope": {client: "jwt-rs", do: func(t *testing.T, _ *peers, b *harness.Browser, rp *harness.RP) {
		rp.Userinfo(t, tokensFor(t, b, rp, url.Values{"scope": {"api:read"}}).AccessToken)
	}, endpoint: "/oauth2/userinfo", code: "insufficient_scope", cause: "scope openid"},
	"introspect": {client: "opaque", do: posted("/oauth2/introspect", url.Values{"tokn": {"canary"}}),
		endpoint: "/oauth2/introspect", code: "invalid_request", cause: "token is missing", params: "tokn"},
	"introspect, a public client": {client: "public", do: posted("/oauth2/introspect", url.Values{"token": {"canary"}}),
		endpoint: "/oauth2/introspect", code: "invalid_client", cause: "a public client cannot introspect", params: "client_id token"},
	"revoke": {client: "public", do: posted("/oauth2/revoke", url.Values{}),
		endpoint: "/oauth2/revoke", code: "invalid_request", cause: "token is missing"},
	"logout, where to": {client: "web", do: func(t *testing.T, p *peers, _ *harness.Browser, _ *harness.RP) {
		p.Browser(t).Get(t, "/oauth2/logout?client_id=web&post_logout_redirect_uri=https://canary.example/")
	}, endpoint: "/oauth2/logout", code: "invalid_post_logout_redirect_uri", cause: "is not registered", params: "client_id post_logout_redirect_uri"},
	"logout, the hint": {client: "other", do: func(t *testing.T, p *peers, _ *harness.Browser, _ *harness.RP) {
		p.Browser(t).Get(t, "/oauth2/logout?client_id=other&id_token_hint=canary.canary.canary")
	}, endpoint: "/oauth2/logout", code: "invalid_id_token_hint", params: "id_token_hint"},
}

func disable(t *testing.T, p *peers, clientID string) {
	t.Helper()
	if err := p.App.Identity.Clients.Disable(t.Context(), identity.Operator(), clientID); err != nil {
		t.Fatal(err)
	}
	if err := p.App.Registry.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Every refusal at every endpoint is one record of the log, with client, error and cause, and is kept for the client's
// developer: parameters by their names, values of client_id, redirect_uri and scope alone.
func TestEveryRefusalIsKeptForTheClient(t *testing.T) {
	eachEngineWithPeers(t, func(t *testing.T, p *peers) {
		b := p.signedIn(t, harness.Bob)
		latest := func(clientID string, limit int) []storage.Refusal {
			t.Helper()
			if err := p.App.Identity.Clients.WriteRefusals(t.Context(), &storage.Pace{Rest: storage.Hurry}); err != nil {
				t.Fatal(err)
			}
			all, err := p.App.Identity.Clients.Refusals(t.Context(), identity.Operator(), clientID, limit)
			if err != nil {
				t.Fatal(err)
			}
			return all
		}
		for name, tc := range refusalCases {
			before := len(latest(tc.client, 100))
			tc.do(t, p, b, p.peer(tc.client))
			all := latest(tc.client, 100)
			if len(all) != before+1 {
				t.Errorf("%s: %d refusals were kept, want one: %+v", name, len(all)-before, all)
				continue
			}
			got := all[0]
			if got.Endpoint != tc.endpoint || got.Error != tc.code || !strings.Contains(got.Cause, tc.cause) || got.RedirectURI != tc.redirectURI || got.Scope != tc.scope || got.More != 0 {
				t.Errorf("%s: kept as %+v", name, got)
			}
			for _, param := range strings.Fields(tc.params) {
				if !slices.Contains(got.Parameters, param) {
					t.Errorf("%s: %s is not among the names %q", name, param, got.Parameters)
				}
			}
			records := regexp.MustCompile(`(?m)^.*request_id=`+got.RequestID+`.*$`).FindAllString(p.Log.String(), -1)
			if len(records) != 1 || !strings.Contains(records[0], " client="+tc.client+" ") && !strings.HasSuffix(records[0], " client="+tc.client) ||
				!strings.Contains(records[0], tc.code) || !strings.Contains(records[0], tc.cause) || !strings.Contains(records[0], " cause=") {
				t.Errorf("%s: the log has %q", name, records)
			}
		}
		kept := keptRefusals(t, p.Server)
		if strings.Contains(strings.ReplaceAll(kept, "prompt canary-signup", ""), "anary") || strings.Contains(kept, "c4n4ry") || len(kept) < 1000 {
			t.Errorf("values of parameters are kept:\n%s", kept)
		}
		// Of a client that does not exist nothing is kept, but the record is there.
		p.RP("nobody", "x", peerRedirect, "").Token(t, url.Values{"grant_type": {"refresh_token"}})
		if log := p.Log.String(); !strings.Contains(log, `cause="no enabled client has this client_id"`) {
			t.Error("the log does not tell that a client is unknown")
		}
	})
}

// What a stranger sends in a client's name leaves room for the refusals of those who proved to be the client.
func TestStrangersHideNoRefusalOfTheClient(t *testing.T) {
	p := withPeers(t)
	b, web, own := p.Browser(t), p.peer("web"), p.peer("opaque")
	token := tokensFor(t, p.signedIn(t, harness.Bob), own, url.Values{"scope": {"openid"}}).AccessToken
	own.Post(t, "/oauth2/revoke", url.Values{"token": {token}}, nil)
	names := url.Values{"scope": {"openidd"}}
	for n := range 26 {
		names.Set("more_"+string(rune('a'+n)), "x")
	}
	for range 6 {
		for _, client := range []string{"web", "opaque"} {
			for _, path := range []string{"/oauth2/token", "/oauth2/par", "/oauth2/introspect", "/oauth2/revoke"} {
				p.RP(client, "", peerRedirect, "").Post(t, path, url.Values{"client_id": {client}, "grant_type": {"refresh_token"}}, &problem{})
			}
			b.Get(t, p.peer(client).Authorize(names).URL)
			b.Get(t, p.peer(client).Authorize(url.Values{"prompt": {"x"}}).URL)
			b.Get(t, p.peer(client).Authorize(url.Values{"redirect_uri": {"https://evil.example/"}}).URL)
		}
	}
	web.Token(t, url.Values{"grant_type": {"password"}})
	own.Post(t, "/oauth2/par", url.Values{"response_type": {"code"}, "redirect_uri": {"https://evil.example/"}}, &problem{})
	own.Userinfo(t, token)
	if err := p.App.Identity.Clients.WriteRefusals(t.Context(), &storage.Pace{Rest: storage.Hurry}); err != nil {
		t.Fatal(err)
	}
	for client, want := range map[string][]string{"web": {"/oauth2/token unsupported_grant_type"}, "opaque": {"/oauth2/par invalid_request", "/oauth2/userinfo invalid_token"}} {
		all, err := p.App.Identity.Clients.Refusals(t.Context(), identity.Operator(), client, 100)
		if err != nil {
			t.Fatal(err)
		}
		kept := map[string]int{}
		for _, r := range all {
			kept[r.Endpoint+" "+r.Error]++
			if len(r.Parameters) > 20 {
				t.Errorf("%d names of one request are kept", len(r.Parameters))
			}
		}
		for _, one := range want {
			if kept[one] != 1 {
				t.Errorf("%s: %s is not among %v", client, one, kept)
			}
		}
		if len(all) != 30+len(want)+1 || all[0].More != 12 {
			t.Errorf("%s: %d lines, the last counts %d", client, len(all), all[0].More)
		}
	}
}

// keptRefusals is the text of all refusals.
func keptRefusals(t *testing.T, s *harness.Server) string {
	t.Helper()
	var kept strings.Builder
	rows, err := database(t, s).QueryContext(t.Context(), `SELECT client_id, endpoint, error, cause, parameters, redirect_uri, scope FROM refusals`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var text [7]string
		if err := rows.Scan(&text[0], &text[1], &text[2], &text[3], &text[4], &text[5], &text[6]); err != nil {
			t.Fatal(err)
		}
		kept.WriteString(strings.Join(text[:], " | ") + "\n")
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return kept.String()
}

// The error names values that are safe to show: known scopes, and words that are neither markup nor an address nor a
// sentence; a redirect URI is never sent to the client.
func TestErrorsNameTheValueWhereThatIsSafe(t *testing.T) {
	p := withPeers(t)
	b := p.signedIn(t, harness.Bob)
	for name, tc := range map[string]struct {
		client    string
		extra     url.Values
		want, not string
	}{
		"a known scope":           {"narrow", url.Values{"scope": {"openid files:read"}}, "The scope files:read is not registered", ""},
		"org:slug":                {"narrow", url.Values{"scope": {"openid org:<i>x</i>"}}, "The scope org is not registered", "<i>"},
		"an unknown scope":        {"web", url.Values{"scope": {"profil"}}, "The scope profil is not known", ""},
		"markup as a scope":       {"web", url.Values{"scope": {"<script>alert(1)</script>"}}, "A scope of the request is not known", "script"},
		"an address as a prompt":  {"web", url.Values{"prompt": {"https://evil.example/"}}, "A prompt of the request", "evil"},
		"a prompt":                {"web", url.Values{"prompt": {"signup"}}, "The prompt signup is not known", ""},
		"a response type":         {"web", url.Values{"response_type": {"token"}}, "The response_type token is not supported", ""},
		"two response types":      {"web", url.Values{"response_type": {"code id_token"}}, "A response_type of the request is not supported", "id_token"},
		"a response mode":         {"web", url.Values{"response_mode": {"fragment"}}, "The response_mode fragment is not supported", ""},
		"a challenge method":      {"web", url.Values{"code_challenge_method": {"plain"}}, "The code_challenge_method plain", ""},
		"an absent one":           {"web", url.Values{"code_challenge_method": nil}, "The code_challenge_method plain", ""},
		"a quote in the mode":     {"web", url.Values{"response_mode": {`"query"`}}, "A response_mode of the request", `"`},
		"a sentence as the scope": {"web", url.Values{"scope": {strings.Repeat("call", 11)}}, "A scope of the request", "callcall"},
	} {
		page := b.Get(t, p.peer(tc.client).Authorize(tc.extra).URL)
		if page.Away == nil {
			t.Errorf("%s: %d at %s", name, page.Status, page.URL)
			continue
		}
		got := page.Away.Query().Get("error_description")
		if !strings.Contains(got, tc.want) || tc.not != "" && strings.Contains(got, tc.not) || strings.Contains(got, peerRedirect) {
			t.Errorf("%s: the description is %q", name, got)
		}
	}
	for grant, want := range map[string]string{"password": "The grant_type password is not", "urn:x": "The grant_type urn:x is not", "<x>": "A grant_type of the request is not"} {
		got := p.peer("web").Token(t, url.Values{"grant_type": {grant}})
		if got.Status != http.StatusBadRequest || !strings.Contains(got.Description, want) {
			t.Errorf("grant_type %s: %d %s", grant, got.Status, got.Description)
		}
	}
}
