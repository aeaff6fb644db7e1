package provider_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// keyServer publishes what a client's jwks_uri answers, and counts who asks.
type keyServer struct {
	*httptest.Server
	mu    sync.Mutex
	paths map[string]http.HandlerFunc
	hits  map[string]int
}

func newKeyServer(t *testing.T) *keyServer {
	t.Helper()
	k := &keyServer{paths: map[string]http.HandlerFunc{}, hits: map[string]int{}}
	k.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k.mu.Lock()
		k.hits[r.URL.Path]++
		h := k.paths[r.URL.Path]
		k.mu.Unlock()
		if h == nil {
			http.NotFound(w, r)
			return
		}
		h(w, r)
	}))
	t.Cleanup(k.Close)
	return k
}

// publish makes a path answer with a body.
func (k *keyServer) publish(path string, body []byte) {
	k.answer(path, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) })
}

func (k *keyServer) answer(path string, h http.HandlerFunc) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.paths[path] = h
}

func (k *keyServer) fetches(path string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.hits[path]
}

// clients registers a client for each path, with it for a jwks_uri and for a name.
func (k *keyServer) clients(paths ...string) string {
	var yaml strings.Builder
	yaml.WriteString("version: 1\nclients:\n")
	for _, path := range paths {
		fmt.Fprintf(&yaml, `  - {"client_id": %q, "grant_types": ["client_credentials"], "scope": "api:read", "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": %q}`+"\n",
			strings.TrimPrefix(path, "/"), k.URL+path)
	}
	return yaml.String()
}

// present sends an assertion that is signed with a key of the ring under a kid.
func (k keyring) present(t *testing.T, s *harness.Server, client, key, kid string) int {
	t.Helper()
	alg := map[string]string{"rsa": "RS256", "ec": "ES256", "ed": "EdDSA"}[key]
	status, _, _ := asserted(signJWT(t, alg, k[key], map[string]any{"kid": kid}, assertionClaims(s, client, nil))).send(t, s, s.RP("", "", "", "").HTTP)
	return status
}

// The suite's oidcc-registration-jwks-uri and -refresh-token-rp-key-rotation: a
// client publishes its keys and changes them. Ours are two fetches a minute at most,
// whatever anybody who knows the client_id sends (fosite: one for every request).
func TestTheKeysOfAClientAreFetchedWhenNeededAndNoMore(t *testing.T) {
	old, next := newKeyring(t), newKeyring(t)
	web := newKeyServer(t)
	web.publish("/rotating", old.set(t))
	s := harness.Start(t, storage.SQLite, harness.Options{Clients: web.clients("/rotating")})
	expect := func(what string, got, want, fetches int) {
		t.Helper()
		if got != want || web.fetches("/rotating") != fetches {
			t.Errorf("%s: %d after %d fetches, want %d after %d", what, got, web.fetches("/rotating"), want, fetches)
		}
	}
	expect("first use", old.present(t, s, "rotating", "ec", "ec"), 200, 1)
	expect("second use", old.present(t, s, "rotating", "rsa", "rsa"), 200, 1)
	for range 20 {
		expect("an unknown kid, at once", next.present(t, s, "rotating", "ec", "unknown"), 401, 1)
	}

	// The client changes its keys and their names.
	renamed := keyring{"new": next["ec"]}
	web.publish("/rotating", renamed.set(t))
	expect("the new key, too soon", next.present(t, s, "rotating", "ec", "new"), 401, 1)
	s.Clock.Advance(31 * time.Second)
	expect("the new key", next.present(t, s, "rotating", "ec", "new"), 200, 2)
	expect("the old key", old.present(t, s, "rotating", "ec", "ec"), 401, 2)
	for range 20 {
		expect("an unknown kid", next.present(t, s, "rotating", "ec", "unknown"), 401, 2)
	}
	s.Clock.Advance(31 * time.Second)
	for range 20 {
		expect("an unknown kid later", next.present(t, s, "rotating", "ec", "unknown"), 401, 3)
	}

	// A server that is down locks nobody out; one that stays down does, for the keys
	// may have been withdrawn there.
	web.answer("/rotating", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	s.Clock.Advance(61 * time.Minute)
	expect("the key while the server is down", next.present(t, s, "rotating", "ec", "new"), 200, 4)
	for range 25 {
		s.Clock.Advance(59 * time.Minute)
		next.present(t, s, "rotating", "ec", "new")
	}
	if status := next.present(t, s, "rotating", "ec", "new"); status != 401 {
		t.Errorf("after a day without an answer the key gets %d, want 401", status)
	}
	web.publish("/rotating", renamed.set(t))
	s.Clock.Advance(31 * time.Second)
	if status := next.present(t, s, "rotating", "ec", "new"); status != 200 {
		t.Errorf("when the server is back the key gets %d, want 200", status)
	}
}

// The answer of a jwks_uri is small, from there, and holds public keys,
// or it is nothing. No redirect is followed.
func TestAKeySetIsTakenFromTheRegisteredPlaceAsItShouldBe(t *testing.T) {
	keys := newKeyring(t)
	web := newKeyServer(t)
	set := keys.set(t)
	web.publish("/target", set)
	web.answer("/redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/target", http.StatusFound) })
	web.answer("/permanent", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, web.URL+"/target", http.StatusPermanentRedirect)
	})
	web.publish("/large", []byte(string(set)+strings.Repeat(" ", 300<<10)))
	web.publish("/spaces", []byte(strings.Repeat(" ", 300<<10)+string(set)))
	web.publish("/html", []byte("<html>"))
	web.publish("/empty", nil)
	web.publish("/no-keys", []byte(`{"keys":[]}`))
	web.publish("/nested", []byte(strings.Repeat("[", 100_000)))
	web.publish("/symmetric", []byte(`{"keys":[{"kty":"oct","kid":"ec","k":"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"}]}`))
	web.publish("/encryption", []byte(strings.ReplaceAll(string(set), `{"kty"`, `{"use":"enc","kty"`)))
	web.answer("/error", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write(set)
	})
	web.answer("/created", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(set)
	})
	refused := []string{"/redirect", "/permanent", "/large", "/spaces", "/html", "/empty", "/no-keys", "/nested", "/symmetric", "/encryption", "/error", "/created", "/missing"}
	s := harness.Start(t, storage.SQLite, harness.Options{Clients: web.clients(append(refused, "/good")...)})
	web.publish("/good", set)
	if status := keys.present(t, s, "good", "ec", "ec"); status != 200 {
		t.Fatalf("a key set as it should be: %d, want 200", status)
	}
	for _, path := range refused {
		client := strings.TrimPrefix(path, "/")
		for _, key := range []string{"ec", "rsa"} {
			if status := keys.present(t, s, client, key, key); status != 401 {
				t.Errorf("%s: %d, want 401", client, status)
			}
		}
		if n := web.fetches(path); n != 1 {
			t.Errorf("%s was fetched %d times for two assertions, want once", client, n)
		}
	}
	if n := web.fetches("/target"); n != 0 {
		t.Errorf("redirects were followed %d times", n)
	}
	hs := signJWT(t, "HS256", []byte("secret-secret-secret-secret-secret"), map[string]any{"kid": "ec"}, assertionClaims(s, "symmetric", nil))
	if status, _, code := asserted(hs).send(t, s, s.RP("", "", "", "").HTTP); status != 401 {
		t.Errorf("HS256 with a published symmetric key: %d %s, want 401", status, code)
	}
}

// CVE-2020-10770: the machine's own network is not fetched from unless
// OUTBOUND_ALLOW opens it. The address is looked at once the name is resolved.
func TestNothingIsFetchedFromInside(t *testing.T) {
	keys := newKeyring(t)
	web := newKeyServer(t)
	web.publish("/inside", keys.set(t))
	web.publish("/by-name", keys.set(t))
	clients := web.clients("/inside") + strings.Replace(strings.TrimPrefix(web.clients("/by-name"), "version: 1\nclients:\n"), "127.0.0.1", "localhost", 1)
	closed := harness.Start(t, storage.SQLite, harness.Options{Clients: clients, Environ: []string{"SALLYPORT_OUTBOUND_ALLOW=192.0.2.0/24"}})
	for _, client := range []string{"inside", "by-name"} {
		if status := keys.present(t, closed, client, "ec", "ec"); status != 401 {
			t.Errorf("%s: %d, want 401", client, status)
		}
		if n := web.fetches("/" + client); n != 0 {
			t.Errorf("%s was reached %d times from a server that must not", client, n)
		}
	}
	open := harness.Start(t, storage.SQLite, harness.Options{Clients: clients, Environ: []string{"SALLYPORT_OUTBOUND_ALLOW=127.0.0.0/8,::1/128"}})
	if status := keys.present(t, open, "inside", "ec", "ec"); status != 200 {
		t.Errorf("with the network opened: %d, want 200", status)
	}
}

// A key that is too weak to register by value is too weak to verify with when it is fetched.
// A set may hold it beside good keys: clients publish keys for other purposes too.
func TestAFetchedKeyIsAsStrongAsARegisteredOne(t *testing.T) {
	good := newKeyring(t)
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	wide, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set := func(keys ...jose.JSONWebKey) []byte {
		body, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	ec := jose.JSONWebKey{Key: good["ec"].Public(), KeyID: "ec"}
	private := jose.JSONWebKey{Key: good["ec"], KeyID: "ec"}
	short := jose.JSONWebKey{Key: weak.Public(), KeyID: "weak"}
	other := jose.JSONWebKey{Key: wide.Public(), KeyID: "wide"}
	many := make([]jose.JSONWebKey, 21)
	for i := range many {
		many[i] = ec
	}
	web := newKeyServer(t)
	for path, body := range map[string][]byte{"/weak": set(short), "/private": set(private), "/wide": set(other), "/many": set(many...),
		"/weak-and-good": set(short, ec), "/wide-and-good": set(other, ec), "/exponent": []byte(`{"keys":[{"kty":"RSA","kid":"ec","n":"` +
			strings.Repeat("_", 342) + `","e":"AQ"}]}`)} {
		web.publish(path, body)
	}
	s := harness.Start(t, storage.SQLite, harness.Options{
		Clients: web.clients("/weak", "/private", "/wide", "/many", "/weak-and-good", "/wide-and-good", "/exponent")})
	for client, want := range map[string]int{"private": 401, "wide": 401, "many": 401, "exponent": 401, "weak": 401, "weak-and-good": 200, "wide-and-good": 200} {
		if status := good.present(t, s, client, "ec", "ec"); status != want {
			t.Errorf("%s: the EC key gets %d, want %d", client, status, want)
		}
	}
	for _, client := range []string{"weak", "weak-and-good"} {
		jws := signJWT(t, "RS256", weak, map[string]any{"kid": "weak"}, assertionClaims(s, client, nil))
		if status, _, code := asserted(jws).send(t, s, s.RP("", "", "", "").HTTP); status != 401 {
			t.Errorf("%s: an RSA key of 1024 bits gets %d %s, want 401", client, status, code)
		}
	}
}
