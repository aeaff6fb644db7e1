package provider_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/harness"
)

// oddSecret has everything that a form or a Basic header could take apart.
const oddSecret = `p%41:ss+w/rd&?=;"\<%zz`

// secretClients can all do client_credentials, so that how they authenticate is all
// that decides.
const secretClients = `
version: 1
clients:
  - client_id: basic
    grant_types: [client_credentials]
    scope: api:read
    secret: basic-secret-of-the-client-tests
  - client_id: post
    grant_types: [client_credentials]
    token_endpoint_auth_method: client_secret_post
    scope: api:read
    secret: post-secret-of-the-client-tests
  - client_id: odd:id
    grant_types: [client_credentials]
    scope: api:read
    secret: 'p%41:ss+w/rd&?=;"\<%zz'
  - client_id: plus
    grant_types: [client_credentials]
    scope: api:read
    secret: 'a+b%20c'
  - client_id: keyed
    token_endpoint_auth_method: private_key_jwt
    jwks_uri: https://keyed.example/jwks
    grant_types: [client_credentials]
    scope: api:read
  - client_id: public
    application_type: native
    token_endpoint_auth_method: none
    redirect_uris: ["http://127.0.0.1/cb"]
    grant_types: [authorization_code, refresh_token]
`

// says is one token request, with what it says about its client.
type says struct {
	authorization []string // headers
	form          url.Values
	header        http.Header
}

func (c says) send(t *testing.T, s *harness.Server, hc *http.Client) (int, http.Header, string) {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}}
	for k, v := range c.form {
		form[k] = v
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.Issuer+"/oauth2/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range c.header {
		req.Header[k] = v
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if c.authorization != nil {
		req.Header["Authorization"] = c.authorization
	}
	resp, err := hc.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct{ Error string }
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatalf("%d without JSON: %s", resp.StatusCode, body)
	}
	return resp.StatusCode, resp.Header, answer.Error
}

// basic is a Basic header with the parts as they are given.
func basic(id, secret string) []string {
	return []string{"Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))}
}

// RFC 6749, section 2.3: a request has one method, and it is the registered one, but a client with a secret writes it
// where its library does. Whatever is wrong gets the same answer, known client or not.
func TestAClientAuthenticatesInOneWay(t *testing.T) {
	const key, postKey = "basic-secret-of-the-client-tests", "post-secret-of-the-client-tests"
	harness.EachEngine(t, harness.Options{Clients: secretClients}, func(t *testing.T, s *harness.Server) {
		hc := s.RP("", "", "", "").HTTP
		for _, tc := range []struct {
			name   string
			says   says
			status int
			want   string
		}{
			{"basic", says{authorization: basic("basic", key)}, 200, ""},
			{"basic in capitals", says{authorization: []string{"BASIC " + strings.TrimPrefix(basic("basic", key)[0], "Basic ")}}, 200, ""},
			{"basic and the same client_id", says{authorization: basic("basic", key), form: url.Values{"client_id": {"basic"}}}, 200, ""},
			{"post", says{form: url.Values{"client_id": {"post"}, "client_secret": {postKey}}}, 200, ""},

			{"basic and post", says{authorization: basic("basic", key), form: url.Values{"client_id": {"basic"}, "client_secret": {key}}}, 400, "invalid_request"},
			{"basic and an assertion", says{authorization: basic("basic", key), form: url.Values{"client_assertion": {"x"}, "client_assertion_type": {"y"}}}, 400, "invalid_request"},
			{"post and an assertion", says{form: url.Values{"client_id": {"post"}, "client_secret": {postKey}, "client_assertion": {"x"}}}, 400, "invalid_request"},
			{"basic twice", says{authorization: append(basic("basic", key), basic("basic", key)...)}, 400, "invalid_request"},
			{"basic of another client_id", says{authorization: basic("basic", key), form: url.Values{"client_id": {"post"}}}, 400, "invalid_request"},
			{"client_secret twice", says{form: url.Values{"client_id": {"post"}, "client_secret": {postKey, postKey}}}, 400, "invalid_request"},

			{"post for a basic client", says{form: url.Values{"client_id": {"basic"}, "client_secret": {key}}}, 200, ""},
			{"basic for a post client", says{authorization: basic("post", postKey)}, 200, ""},
			{"post with odd characters", says{form: url.Values{"client_id": {"odd:id"}, "client_secret": {oddSecret}}}, 200, ""},
			{"post is encoded once", says{form: url.Values{"client_id": {"odd:id"}, "client_secret": {url.QueryEscape(oddSecret)}}}, 401, "invalid_client"},
			{"wrong secret by post for a basic client", says{form: url.Values{"client_id": {"basic"}, "client_secret": {postKey}}}, 401, "invalid_client"},
			{"wrong secret by basic for a post client", says{authorization: basic("post", key)}, 401, "invalid_client"},
			{"empty secret by post for a basic client", says{form: url.Values{"client_id": {"basic"}, "client_secret": {""}}}, 401, "invalid_client"},
			{"none for a post client", says{form: url.Values{"client_id": {"post"}}}, 401, "invalid_client"},
			{"both for a post client", says{authorization: basic("post", postKey), form: url.Values{"client_id": {"post"}, "client_secret": {postKey}}}, 400, "invalid_request"},
			{"an assertion for a post client", says{form: url.Values{"client_id": {"post"}, "client_assertion": {"a.b.c"}, "client_assertion_type": {assertionType}}}, 401, "invalid_client"},
			{"basic for a client with keys", says{authorization: basic("keyed", "x")}, 401, "invalid_client"},
			{"post for a client with keys", says{form: url.Values{"client_id": {"keyed"}, "client_secret": {"x"}}}, 401, "invalid_client"},
			{"none for a client with keys", says{form: url.Values{"client_id": {"keyed"}}}, 401, "invalid_client"},
			{"none for a basic client", says{form: url.Values{"client_id": {"basic"}}}, 401, "invalid_client"},
			{"basic for a public client", says{authorization: basic("public", "")}, 401, "invalid_client"},
			{"basic with a secret for a public client", says{authorization: basic("public", "x")}, 401, "invalid_client"},
			{"post for a public client", says{form: url.Values{"client_id": {"public"}, "client_secret": {"x"}}}, 401, "invalid_client"},
			{"an assertion for a basic client", says{form: url.Values{"client_id": {"basic"}, "client_assertion": {"a.b.c"}, "client_assertion_type": {assertionType}}}, 401, "invalid_client"},
			{"wrong secret", says{authorization: basic("basic", "x")}, 401, "invalid_client"},
			{"empty secret", says{authorization: basic("basic", "")}, 401, "invalid_client"},
			{"secret of another", says{authorization: basic("basic", postKey)}, 401, "invalid_client"},
			{"secret and a space", says{authorization: basic("basic", key+" ")}, 401, "invalid_client"},
			{"long secret", says{authorization: basic("basic", strings.Repeat("x", 20_000))}, 401, "invalid_client"},
			{"unknown client", says{authorization: basic("nobody", key)}, 401, "invalid_client"},
			{"no client", says{}, 401, "invalid_client"},
			{"empty client_id", says{form: url.Values{"client_id": {""}}}, 401, "invalid_client"},
			{"no colon", says{authorization: []string{"Basic " + base64.StdEncoding.EncodeToString([]byte("basic"))}}, 401, "invalid_client"},
			{"no base64", says{authorization: []string{"Basic ***"}}, 401, "invalid_client"},
			{"no scheme", says{authorization: []string{base64.StdEncoding.EncodeToString([]byte("basic:" + key))}}, 401, "invalid_client"},
			{"bearer", says{authorization: []string{"Bearer " + key}}, 401, "invalid_client"},
			{"empty header", says{authorization: []string{""}}, 401, "invalid_client"},
			{"NUL in the client", says{authorization: basic("ba\x00sic", key)}, 401, "invalid_client"},
			{"NUL in the secret", says{authorization: basic("basic", "a\x00b")}, 401, "invalid_client"},
			{"no UTF-8", says{authorization: basic("ba\xffsic", "\xff")}, 401, "invalid_client"},
		} {
			status, header, code := tc.says.send(t, s, hc)
			if status != tc.status || code != tc.want {
				t.Errorf("%s: %d %s, want %d %s", tc.name, status, code, tc.status, tc.want)
			}
			if h := header.Get("WWW-Authenticate"); (status == 401) != strings.HasPrefix(h, "Basic ") {
				t.Errorf("%s: %d with WWW-Authenticate %q (RFC 6749, section 5.2)", tc.name, status, h)
			}
		}
		t.Run("encoding", func(t *testing.T) { oddSecrets(t, s, hc) })
		t.Run("certificates", func(t *testing.T) { foreignCertificates(t, s, hc) })
	})
}

// A secret may be sent by Basic or in the form at every endpoint where a client authenticates, whichever is registered.
func TestASecretMayComeByBasicOrPostEverywhere(t *testing.T) {
	eachEngineWithPeers(t, func(t *testing.T, p *peers) {
		b := p.signedIn(t, harness.Bob)
		for _, id := range []string{"web", "posted"} {
			rp := p.peer(id)
			access := tokensFor(t, b, rp, nil).AccessToken
			r := rp.Authorize(nil)
			code := b.Get(t, r.URL).Away.Query().Get("code")
			for _, at := range []struct {
				path string
				form url.Values
				want int
			}{
				{"/oauth2/token", redemption(rp, code, r), http.StatusOK},
				{"/oauth2/par", rp.Authorize(nil).Params, http.StatusCreated},
				{"/oauth2/introspect", url.Values{"token": {access}}, http.StatusOK},
				{"/oauth2/revoke", url.Values{"token": {access}}, http.StatusOK},
			} {
				inForm := maps.Clone(at.form)
				inForm.Set("client_secret", peerSecret(id))
				var answer problem
				if got, _ := p.RP(id, "", peerRedirect, "openid").Post(t, at.path, inForm, &answer); got != at.want {
					t.Errorf("%s in the form at %s: %d %v, want %d", id, at.path, got, answer, at.want)
				}
				if at.path == "/oauth2/token" {
					again := rp.Authorize(nil)
					at.form = redemption(rp, b.Get(t, again.URL).Away.Query().Get("code"), again)
				}
				if got, _ := rp.Post(t, at.path, at.form, &answer); got != at.want {
					t.Errorf("%s by Basic at %s: %d %v, want %d", id, at.path, got, answer, at.want)
				}
			}
		}
	})
}

// RFC 6749, section 2.3.1 wants both parts form-encoded inside Basic. Many clients
// send them as they are; both are taken, and nothing that is neither.
func oddSecrets(t *testing.T, s *harness.Server, hc *http.Client) {
	for _, tc := range []struct {
		name, id, secret string
		want             int
	}{
		{"encoded", url.QueryEscape("odd:id"), url.QueryEscape(oddSecret), 200},
		{"percent-encoded, space too", url.QueryEscape("odd:id"), strings.ReplaceAll(url.QueryEscape(oddSecret), "+", "%20"), 200},
		{"as it is", "odd%3aid", oddSecret, 200},
		{"encoded twice", "odd%3Aid", url.QueryEscape(url.QueryEscape(oddSecret)), 401},
		{"the id as it is", "odd:id", url.QueryEscape(oddSecret), 401}, // the first colon ends the id
		{"plus encoded", "plus", "a%2Bb%2520c", 200},
		{"plus as it is", "plus", "a+b%20c", 200},
		{"plus decoded", "plus", "a b c", 401},
	} {
		if status, _, code := (says{authorization: basic(tc.id, tc.secret)}).send(t, s, hc); status != tc.want {
			t.Errorf("%s: %d %s, want %d", tc.name, status, code, tc.want)
		}
	}
}

// CVE-2024-10039: certificates that come as headers are anybody's words.
func foreignCertificates(t *testing.T, s *harness.Server, hc *http.Client) {
	for _, name := range []string{"X-Ssl-Cert", "X-Client-Cert", "Ssl-Client-Cert", "X-Forwarded-Client-Cert", "Client-Cert", "X-Ssl-Client-Dn", "X-Amzn-Mtls-Clientcert"} {
		c := says{header: http.Header{name: {"-----BEGIN CERTIFICATE-----"}}, form: url.Values{"client_id": {"basic"}}}
		if status, _, code := c.send(t, s, hc); status != 401 || code != "invalid_client" {
			t.Errorf("%s instead of a credential: %d %s, want 401 invalid_client", name, status, code)
		}
	}
}

// Guesses at a secret are throttled for the client, wherever they come
// from, and the right secret always passes.
func TestGuessesAtASecretNeverLockItsClientOut(t *testing.T) {
	const key = "basic-secret-of-the-client-tests"
	harness.EachEngine(t, harness.Options{Clients: secretClients, Environ: []string{"SALLYPORT_TRUSTED_PROXIES=127.0.0.0/8"}}, func(t *testing.T, s *harness.Server) {
		node := s.Node(t)
		hc := []*http.Client{s.RP("", "", "", "").HTTP, node.RP("", "", "", "").HTTP}
		var mu sync.Mutex
		statuses := map[int]int{}
		var done sync.WaitGroup
		const workers, each = 8, 100
		for w := range workers {
			done.Go(func() {
				for i := range each {
					c := says{authorization: basic("basic", fmt.Sprint("guess", w, i)), header: http.Header{"X-Forwarded-For": {fmt.Sprintf("198.51.100.%d", i)}}}
					status, _, _ := c.send(t, s, hc[w%2])
					mu.Lock()
					statuses[status]++
					mu.Unlock()
				}
			})
		}
		done.Wait()
		// Two nodes count in batches of 30, and each may have one more on its way to the other: the limit of 600 is met within those.
		if statuses[401]+statuses[429] != workers*each || statuses[429] == 0 || statuses[401] > 600+2*2*30 {
			t.Errorf("%d guesses at two nodes are answered %v, want about 600 times 401 and then 429", workers*each, statuses)
		}
		for n, hc := range hc {
			if status, _, code := (says{authorization: basic("basic", key)}).send(t, s, hc); status != 200 {
				t.Errorf("node %d: the right secret gets %d %s meanwhile, want 200", n, status, code)
			}
			if status, _, _ := (says{authorization: basic("plus", "wrong")}).send(t, s, hc); status != 401 {
				t.Errorf("node %d: another client's failure gets %d, want 401", n, status)
			}
		}
		var status int
		var header http.Header
		var code string
		for range 1 + 30 { // what this node has not been told of yet is less than a batch
			if status, header, code = (says{authorization: basic("basic", "wrong")}).send(t, s, hc[0]); status == 429 {
				break
			}
		}
		if status != 429 || header.Get("Retry-After") == "" || code == "" {
			t.Errorf("a wrong secret now gets %d %s, Retry-After %q; want 429 with when to come again", status, code, header.Get("Retry-After"))
		}
		s.Clock.Advance(2 * time.Minute)
		if status, _, _ := (says{authorization: basic("basic", "wrong")}).send(t, s, hc[0]); status != 401 {
			t.Errorf("two minutes later a wrong secret gets %d, want 401", status)
		}
	})
}

// slowClients has a secret that was brought along as a PHC string and never used.
const slowClients = `
version: 1
clients:
  - client_id: slow
    grant_types: [client_credentials]
    scope: api:read
    secret_hash: $argon2id$v=19$m=64,t=1,p=1$ccAH+8h95JCtXpOoF5Ptww$SDW50gi+ZESA5azzzzTgm7q+L17BUudZN6MIJP4J9uw
`

// Past its budget a client costs no slow hash a guess; nothing is compared
// with a secret that takes one. Once it was used it is ours, and always passes.
func TestGuessesDoNotCostSlowHashesForEver(t *testing.T) {
	const key = "slow-secret-of-the-client-tests"
	harness.EachEngine(t, harness.Options{Clients: slowClients}, func(t *testing.T, s *harness.Server) {
		hc := s.RP("", "", "", "").HTTP
		guessAway := func() {
			for n := range 700 {
				if status, _, _ := (says{authorization: basic("slow", "wrong")}).send(t, s, hc); status == 429 {
					return
				} else if status != 401 {
					t.Fatalf("guess %d: %d", n, status)
				}
			}
			t.Fatal("700 guesses and no end")
		}
		guessAway()
		if status, _, code := (says{authorization: basic("slow", key)}).send(t, s, hc); status != 429 {
			t.Errorf("past the limit: %d %s, so the slow hash was computed; want 429", status, code)
		}
		s.Clock.Advance(2 * time.Minute)
		if status, _, code := (says{authorization: basic("slow", key)}).send(t, s, hc); status != 200 {
			t.Fatalf("two minutes later: %d %s, want 200", status, code)
		}
		if err := s.App.Registry.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		guessAway()
		if status, _, code := (says{authorization: basic("slow", key)}).send(t, s, hc); status != 200 {
			t.Errorf("past the limit, after its first use: %d %s, want 200", status, code)
		}
	})
}
