package provider_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/storage"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestDiscovery(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{})
	t.Run("document", func(t *testing.T) { testDiscoveryDocument(t, s) })
	t.Run("endpoints", func(t *testing.T) { testEveryAdvertisedEndpointAnswers(t, s) })
	t.Run("caching", func(t *testing.T) { testCachingOfPublicDocuments(t, s) })
	t.Run("keys", func(t *testing.T) { testPublishedKeys(t, s) })
	t.Run("new scopes", func(t *testing.T) { testDiscoveryFollowsTheRegistry(t, s) })
	t.Run("rotation", func(t *testing.T) { testRotation(t, s) })
}

// OpenID Connect Discovery 1.0 section 3, RFC 8414 section 2. The golden file is
// for a reader; that each value is what is wired is shown below.
func testDiscoveryDocument(t *testing.T, s *harness.Server) {
	rp := s.Portal()
	resp, body := answerTo(t, rp, http.MethodGet, "/.well-known/openid-configuration", nil, "")
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("answer %d %v", resp.StatusCode, resp.Header)
	}
	if _, other := answerTo(t, rp, http.MethodGet, "/.well-known/oauth-authorization-server", nil, ""); other != body {
		t.Errorf("the two documents differ:\n%s", cmp.Diff(body, other))
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, []byte(strings.ReplaceAll(body, s.Issuer, "https://id.example.com")), "", "  "); err != nil {
		t.Fatal(err)
	}
	pretty.WriteByte('\n')
	const golden = "testdata/discovery.json"
	if *update {
		if err := os.WriteFile(golden, pretty.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), pretty.String()); diff != "" {
		t.Errorf("go test ./provider -run Discovery -update writes it anew (-want +got):\n%s", diff)
	}
}

func discovered(t *testing.T, s *harness.Server) map[string]any {
	t.Helper()
	_, body := answerTo(t, s.Portal(), http.MethodGet, "/.well-known/openid-configuration", nil, "")
	var doc map[string]any
	if err := json.Unmarshal([]byte(body), &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func testEveryAdvertisedEndpointAnswers(t *testing.T, s *harness.Server) {
	doc := discovered(t, s)
	n := 0
	for name, v := range doc {
		uri, _ := v.(string)
		if !strings.HasSuffix(name, "_endpoint") && name != "jwks_uri" {
			continue
		}
		n++
		path, ok := strings.CutPrefix(uri, s.Issuer)
		if !ok {
			t.Errorf("%s is %s", name, uri)
		}
		methods := s.Server.Routes()[path]
		if len(methods) == 0 {
			t.Errorf("%s leads to %s, which is not routed", name, path)
		}
		for _, method := range methods {
			if method == http.MethodOptions {
				continue
			}
			if resp, body := answerTo(t, s.Portal(), method, path, nil, ""); resp.StatusCode == 404 || resp.StatusCode == 405 || resp.StatusCode >= 500 {
				t.Errorf("%s %s answers %d %s", method, path, resp.StatusCode, body)
			}
		}
	}
	if n != 8 {
		t.Errorf("%d endpoints are advertised, want 8", n)
	}
	// Each grant that is advertised is known, and no other is.
	for grant, want := range map[string]bool{"authorization_code": true, "refresh_token": true, "client_credentials": true, "password": false, "implicit": false,
		"urn:ietf:params:oauth:grant-type:device_code": false, "urn:ietf:params:oauth:grant-type:jwt-bearer": false} {
		got := s.Portal().Token(t, url.Values{"grant_type": {grant}})
		if known := got.Error != "unsupported_grant_type"; known != want || slices.Contains(doc["grant_types_supported"].([]any), any(grant)) != want {
			t.Errorf("%s: answered %s, want known %v as advertised", grant, got.Error, want)
		}
	}
	b := s.Browser(t)
	for _, scope := range doc["scopes_supported"].([]any) {
		rp := s.RP("acme-portal-001", "", "http://localhost:5001/callback", "openid "+scope.(string))
		want := "login_required"
		if strings.HasPrefix(scope.(string), "api:") {
			want = "invalid_scope" // known, and not registered for this client
		}
		if got := ask(t, b, rp, url.Values{"prompt": {"none"}}); got != want {
			t.Errorf("the advertised scope %s: %s", scope, got)
		}
	}
	for _, mode := range doc["response_modes_supported"].([]any) {
		if page := b.Get(t, s.Portal().Authorize(url.Values{"response_mode": {mode.(string)}, "prompt": {"none"}}).URL); page.Status >= 400 {
			t.Errorf("the advertised response_mode %s: %d", mode, page.Status)
		}
	}
}

// RFC 9111: what is public and the same for everybody may be kept for a while.
func testCachingOfPublicDocuments(t *testing.T, s *harness.Server) {
	rp := s.Portal()
	for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/.well-known/jwks.json"} {
		resp, body := answerTo(t, rp, http.MethodGet, path, nil, "")
		etag := resp.Header.Get("ETag")
		if resp.StatusCode != 200 || resp.Header.Get("Cache-Control") != "public, max-age=300" || len(etag) < 10 || resp.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %d %v", path, resp.StatusCode, resp.Header)
		}
		if resp, got := answerTo(t, rp, http.MethodGet, path, http.Header{"If-None-Match": {etag}}, ""); resp.StatusCode != 304 || got != "" || resp.Header.Get("ETag") != etag {
			t.Errorf("%s with its ETag: %d, %d bytes", path, resp.StatusCode, len(got))
		}
		if resp, got := answerTo(t, rp, http.MethodGet, path, http.Header{"If-None-Match": {`"another"`}}, ""); resp.StatusCode != 200 || got != body {
			t.Errorf("%s with another ETag: %d", path, resp.StatusCode)
		}
		if resp, got := answerTo(t, rp, http.MethodHead, path, nil, ""); resp.StatusCode != 200 || got != "" || resp.Header.Get("ETag") != etag {
			t.Errorf("HEAD %s: %d, %d bytes", path, resp.StatusCode, len(got))
		}
		if resp, _ := answerTo(t, rp, http.MethodGet, path, http.Header{"Origin": {"https://anywhere.example"}}, ""); resp.Header.Get("Access-Control-Allow-Origin") != "*" ||
			resp.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s from any origin: %v", path, resp.Header)
		}
		if resp, _ := answerTo(t, rp, http.MethodPost, path, nil, ""); resp.StatusCode != 405 {
			t.Errorf("POST %s: %d", path, resp.StatusCode)
		}
	}
}

type publishedKey map[string]any

func publishedKeys(t *testing.T, s *harness.Server) []publishedKey {
	t.Helper()
	_, body := answerTo(t, s.Portal(), http.MethodGet, "/.well-known/jwks.json", nil, "")
	var set struct {
		Keys []publishedKey `json:"keys"`
	}
	if err := json.Unmarshal([]byte(body), &set); err != nil {
		t.Fatal(err)
	}
	return set.Keys
}

// RFC 7517: public signature keys alone, each with kid, alg and use.
func testPublishedKeys(t *testing.T, s *harness.Server) {
	var kids, algs []string
	for _, k := range publishedKeys(t, s) {
		for name := range k {
			if !slices.Contains([]string{"kty", "kid", "alg", "use", "n", "e", "crv", "x", "y"}, name) {
				t.Errorf("a key has the member %s", name)
			}
		}
		kid, _ := k["kid"].(string)
		alg, _ := k["alg"].(string)
		if kid == "" || slices.Contains(kids, kid) || k["use"] != "sig" || k["kty"] == "oct" {
			t.Errorf("key %v", k)
		}
		kids, algs = append(kids, kid), append(algs, alg)
	}
	slices.Sort(algs)
	advertised := []string{}
	for _, alg := range discovered(t, s)["id_token_signing_alg_values_supported"].([]any) {
		advertised = append(advertised, alg.(string))
	}
	slices.Sort(advertised)
	if diff := cmp.Diff(advertised, slices.Compact(algs)); diff != "" {
		t.Errorf("keys and advertised algorithms differ (-advertised +published):\n%s", diff)
	}
}

func testDiscoveryFollowsTheRegistry(t *testing.T, s *harness.Server) {
	s.Apply(t, "version: 1\nclients: [{client_id: nobody, secret: secret-of-nobody-Zr8wq1LkVbX0, redirect_uris: [https://nobody.example/cb]}]\n"+
		"resources: [{identifier: 'https://new.example', name: New, scopes: {'new:scope': Do what is new}, served_by: [nobody]}]\n")
	if scopes := discovered(t, s)["scopes_supported"].([]any); !slices.Contains(scopes, any("new:scope")) {
		t.Errorf("scopes_supported is %v, without a scope declared since", scopes)
	}
}

// Suite: oidcc-server-rotate-keys. A new key is published before it signs, and the
// old one stays for what it signed.
func testRotation(t *testing.T, s *harness.Server) {
	kidOf := func(token string) string {
		var header struct{ Kid string }
		head, _, _ := strings.Cut(token, ".")
		if err := json.Unmarshal(decoded(t, head), &header); err != nil {
			t.Fatal(err)
		}
		return header.Kid
	}
	kids := func() (out []string) {
		for _, k := range publishedKeys(t, s) {
			out = append(out, k["kid"].(string))
		}
		return out
	}
	rp, b := s.Portal(), s.Browser(t)
	before, old := kids(), rp.SignIn(t, b, harness.Bob, nil).IDToken
	if _, err := s.App.Keys.Rotate(t.Context(), keys.Rotation{}); err != nil {
		t.Fatal(err)
	}
	after := kids()
	if len(after) != 2*len(before) {
		t.Fatalf("%d keys are published after the rotation of %d", len(after), len(before))
	}
	for _, kid := range before {
		if !slices.Contains(after, kid) {
			t.Errorf("the old key %s is gone", kid)
		}
	}
	if kid := kidOf(rp.SignIn(t, b, harness.Bob, nil).IDToken); kid != kidOf(old) {
		t.Error("the new key signs before relying parties can know it")
	}
	s.Clock.Advance(30 * time.Minute)
	if err := s.App.Keys.Advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	fresh := kidOf(rp.SignIn(t, b, harness.Bob, nil).IDToken)
	if slices.Contains(before, fresh) || !slices.Contains(kids(), fresh) || !slices.Contains(kids(), kidOf(old)) {
		t.Errorf("the token after the rotation has kid %s of %v", fresh, kids())
	}
	if got := ask(t, b, rp, url.Values{"id_token_hint": {old}, "prompt": {"none"}}); got != "code" {
		t.Errorf("a hint signed by the old key: %s", got)
	}
}
