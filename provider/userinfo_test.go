package provider_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/harness"
)

// answerTo sends a request of a machine and returns the answer with its body.
func answerTo(t testing.TB, rp *harness.RP, method, path string, header http.Header, body string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, rp.Issuer+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range header {
		req.Header[name] = v
	}
	resp, err := rp.HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

func TestUserinfo(t *testing.T) {
	eachEngineWithPeers(t, func(t *testing.T, p *peers) {
		t.Run("ways to send the token", func(t *testing.T) { testWaysToSendAToken(t, p) })
		t.Run("signed", func(t *testing.T) { testSignedUserinfo(t, p) })
		t.Run("liveness", func(t *testing.T) { testWhatKillsAToken(t, p) })
	})
}

// RFC 6750 sections 2 and 3, OpenID Connect Core 1.0 section 5.3; suite: oidcc-userinfo-*.
func testWaysToSendAToken(t *testing.T, p *peers) {
	rp := p.peer("web")
	token := tokensFor(t, p.signedIn(t, harness.Bob), rp, nil).AccessToken
	machine := p.Machine().Token(t, url.Values{"grant_type": {"client_credentials"}}).AccessToken
	plain := tokensFor(t, p.signedIn(t, harness.Bob), rp, url.Values{"scope": {"api:read"}}).AccessToken
	const form = "application/x-www-form-urlencoded"
	with := func(pairs ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			h.Add(pairs[i], pairs[i+1])
		}
		return h
	}
	for name, tc := range map[string]struct {
		method, path string
		header       http.Header
		body         string
		status       int
		challenge    string
	}{
		"GET":                     {"GET", "", with("Authorization", "Bearer "+token), "", 200, ""},
		"GET, case of the scheme": {"GET", "", with("Authorization", "bEARER "+token), "", 200, ""},
		"POST, header":            {"POST", "", with("Authorization", "Bearer "+token), "", 200, ""},
		"POST, header and form":   {"POST", "", with("Authorization", "Bearer "+token, "Content-Type", form), "", 200, ""},
		"POST, body":              {"POST", "", with("Content-Type", form), "access_token=" + token, 200, ""},
		"in the query":            {"GET", "?access_token=" + token, nil, "", 401, "Bearer"},
		"in the query of a POST":  {"POST", "?access_token=" + token, with("Content-Type", form), "", 401, "Bearer"},
		"twice":                   {"POST", "", with("Authorization", "Bearer "+token, "Content-Type", form), "access_token=" + token, 400, ""},
		"two headers":             {"GET", "", with("Authorization", "Bearer "+token, "Authorization", "Bearer "+token), "", 400, ""},
		"multipart":               {"POST", "", with("Content-Type", "multipart/form-data; boundary=x"), "--x--", 415, ""},
		"none":                    {"GET", "", nil, "", 401, "Bearer"},
		"Basic":                   {"GET", "", with("Authorization", "Basic d2ViOng="), "", 401, "Bearer"},
		"empty":                   {"GET", "", with("Authorization", "Bearer "), "", 401, "Bearer"},
		"unknown":                 {"GET", "", with("Authorization", "Bearer sp_at_"+strings.Repeat("A", 43)), "", 401, "invalid_token"},
		"malformed":               {"GET", "", with("Authorization", "Bearer ' OR 1=1 --"), "", 401, "invalid_token"},
		"a machine's":             {"GET", "", with("Authorization", "Bearer "+machine), "", 403, "insufficient_scope"},
		"without openid":          {"GET", "", with("Authorization", "Bearer "+plain), "", 403, "insufficient_scope"},
	} {
		resp, body := answerTo(t, rp, tc.method, "/oauth2/userinfo"+tc.path, tc.header, tc.body)
		challenge := resp.Header.Get("WWW-Authenticate")
		if resp.StatusCode != tc.status || !strings.Contains(challenge, tc.challenge) || (tc.status == 200 && challenge != "") {
			t.Errorf("%s: %d, challenge %q, want %d with %q: %s", name, resp.StatusCode, challenge, tc.status, tc.challenge, body)
		}
		if resp.Header.Get("Cache-Control") != "no-store" || resp.Header.Get("Content-Type") != "application/json" || !json.Valid([]byte(body)) {
			t.Errorf("%s: headers %v, body %s", name, resp.Header, body)
		}
	}
	// RFC 6750, section 3.1: who sent no token is not told of an error.
	resp, _ := answerTo(t, rp, http.MethodGet, "/oauth2/userinfo", nil, "")
	if challenge := resp.Header.Get("WWW-Authenticate"); strings.Contains(challenge, "error") {
		t.Errorf("without a token: %s", challenge)
	}
}

// OpenID Connect Core 1.0, section 5.3.2.
func testSignedUserinfo(t *testing.T, p *peers) {
	rp := p.peer("jwt-es")
	token := tokensFor(t, p.signedIn(t, harness.Bob), rp, nil).AccessToken
	resp, body := answerTo(t, rp, http.MethodGet, "/oauth2/userinfo", http.Header{"Authorization": {"Bearer " + token}}, "")
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/jwt" || resp.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("answer %d %v", resp.StatusCode, resp.Header)
	}
	header, claims := p.verified(t, body)
	if header.Algorithm != "ES256" || claims["iss"] != p.Issuer || claims["aud"] != "jwt-es" || claims["email"] != harness.Bob.Email {
		t.Errorf("signed %+v, says %v", header, claims)
	}
	for _, not := range []string{"nonce", "at_hash", "sid", "exp", "auth_time"} {
		if claims[not] != nil {
			t.Errorf("it has %s, which is an ID token's", not)
		}
	}
}

// A token counts for as long as everything that it stands on.
func testWhatKillsAToken(t *testing.T, p *peers) {
	b := p.signedIn(t, harness.Alice)
	for _, client := range []string{"web", "jwt-rs"} {
		rp := p.peer(client)
		alive := func(token string) bool { status, _ := rp.Userinfo(t, token); return status == 200 }
		online := tokensFor(t, b, rp, nil).AccessToken
		offline := tokensFor(t, b, rp, url.Values{"scope": {"openid offline_access"}}).AccessToken
		if !alive(online) || !alive(offline) {
			t.Fatalf("%s: fresh tokens are dead", client)
		}
		p.Clock.Advance(14 * time.Minute)
		if !alive(online) {
			t.Errorf("%s: dead before 15 minutes", client)
		}
		p.Clock.Advance(61 * time.Second)
		if alive(online) || alive(offline) {
			t.Errorf("%s: alive after 15 minutes", client)
		}
		online = tokensFor(t, b, rp, nil).AccessToken
		offline = tokensFor(t, b, rp, url.Values{"scope": {"openid offline_access"}}).AccessToken
		home := b.Get(t, "/")
		b.Submit(t, home.Form(t, ""))
		if alive(online) {
			t.Errorf("%s: a token without offline_access outlives the session", client)
		}
		if !alive(offline) {
			t.Errorf("%s: a token with offline_access ends with the session", client)
		}
		b = p.signedIn(t, harness.Alice)
	}
}
