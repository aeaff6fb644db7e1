package keys

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	"github.com/sallyport-id/sallyport/internal/oauth"
)

func sqliteNode(t testing.TB) *Keyset {
	t.Helper()
	return installation{"sqlite://" + filepath.Join(t.TempDir(), "test.db"), newClock()}.loaded(t)
}

// Other people's libraries must be able to verify what we sign, by what we publish.
func TestOthersVerifyOurTokens(t *testing.T) {
	k := sqliteNode(t)
	claims := []byte(`{"iss":"https://issuer.example","sub":"someone"}`)
	body, _ := k.JWKS()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(body, &set); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }))
	defer server.Close()
	remote := oidc.NewRemoteKeySet(t.Context(), server.URL)
	for _, alg := range oauth.SigningAlgs() {
		token, err := k.SignJWT(alg, TypeAccessToken, claims)
		if err != nil {
			t.Fatal(err)
		}
		jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
		if err != nil {
			t.Fatal(err)
		}
		got, err := jws.Verify(set)
		if err != nil || !bytes.Equal(got, claims) {
			t.Errorf("%s: go-jose: got %s, %v", alg, got, err)
		}
		if typ := jws.Signatures[0].Header.ExtraHeaders["typ"]; typ != TypeAccessToken {
			t.Errorf("%s: typ is %v, want %s", alg, typ, TypeAccessToken)
		}
		if got, err := remote.VerifySignature(t.Context(), token); err != nil || !bytes.Equal(got, claims) {
			t.Errorf("%s: go-oidc: got %s, %v", alg, got, err)
		}
		ours, err := k.Verify(token, TypeAccessToken)
		if err != nil {
			t.Fatal(err)
		}
		want := &Token{KID: jws.Signatures[0].Header.KeyID, Alg: alg, Type: TypeAccessToken, Claims: claims}
		if diff := cmp.Diff(want, ours); diff != "" {
			t.Errorf("%s: Verify (-want +got):\n%s", alg, diff)
		}
	}
}

func TestOnlyKnownAlgorithmsAndTypesAreSigned(t *testing.T) {
	k := sqliteNode(t)
	for _, c := range [][2]string{{"none", TypeIDToken}, {"HS256", TypeIDToken}, {"", TypeIDToken}, {oauth.ES256, ""}, {oauth.ES256, `x","alg":"none`}} {
		if got, err := k.SignJWT(c[0], c[1], []byte("{}")); err == nil {
			t.Errorf("SignJWT(%q, %q) = %s, want an error", c[0], c[1], got)
		}
	}
}

// sealedWith is a token with any header besides its typ, signed by the node's own key of alg.
func sealedWith(t *testing.T, k *Keyset, alg, header string) string {
	t.Helper()
	header = strings.Replace(header, "{", `{"typ":"JWT",`, 1)
	input := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"x"}`))
	signature, err := sign(k.current.Load().signers[alg].private, []byte(input))
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// RFC 8725, RFC 7515 section 4.1.11: what was ever used against verifiers.
func TestVerifyRefuses(t *testing.T) {
	k, stranger := sqliteNode(t), sqliteNode(t)
	token, kid := signed(t, k, oauth.ES256)
	_, rsaKID := signed(t, k, oauth.RS256)
	foreign, _ := signed(t, stranger, oauth.ES256)
	parts := strings.Split(token, ".")
	mac := func(header string, key []byte) string {
		header = strings.Replace(header, "{", `{"typ":"JWT",`, 1)
		input := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + parts[1]
		m := hmac.New(sha256.New, key)
		m.Write([]byte(input))
		return input + "." + base64.RawURLEncoding.EncodeToString(m.Sum(nil))
	}
	public, err := k.current.Load().byKID[rsaKID].public.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	strangers, err := stranger.current.Load().signers[oauth.ES256].public.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	last := parts[2][len(parts[2])-1]
	tests := map[string]string{
		"empty":                              "",
		"another installation's":             foreign,
		"no signature":                       parts[0] + "." + parts[1] + ".",
		"two parts":                          parts[0] + "." + parts[1],
		"four parts":                         token + ".x",
		"a million dots":                     strings.Repeat(".", 1_000_000),
		"dots within the bound":              strings.Repeat(".", maxToken),
		"a header of a MiB":                  strings.Repeat("e", 1<<20) + "." + parts[1] + "." + parts[2],
		"nested JSON":                        base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte("["), 10_000)) + ".e30.AA",
		"alg none":                           base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","kid":"`+kid+`"}`)) + "." + parts[1] + ".",
		"alg None":                           sealedWith(t, k, oauth.ES256, `{"alg":"None","kid":"`+kid+`"}`),
		"no alg":                             sealedWith(t, k, oauth.ES256, `{"kid":"`+kid+`"}`),
		"HMAC with the public key":           mac(`{"alg":"HS256","kid":"`+rsaKID+`"}`, public),
		"a key of another algorithm":         sealedWith(t, k, oauth.ES256, `{"alg":"ES256","kid":"`+rsaKID+`"}`),
		"an algorithm of another key":        sealedWith(t, k, oauth.RS256, `{"alg":"RS256","kid":"`+kid+`"}`),
		"PS256":                              sealedWith(t, k, oauth.RS256, `{"alg":"PS256","kid":"`+rsaKID+`"}`),
		"no key id":                          sealedWith(t, k, oauth.ES256, `{"alg":"ES256"}`),
		"a key in the header":                sealedWith(t, stranger, oauth.ES256, `{"alg":"ES256","jwk":`+string(strangers)+`}`),
		"a key in the header under our id":   sealedWith(t, stranger, oauth.ES256, `{"alg":"ES256","kid":"`+kid+`","jwk":`+string(strangers)+`}`),
		"crit":                               sealedWith(t, k, oauth.ES256, `{"alg":"ES256","kid":"`+kid+`","crit":["exp"],"exp":1}`),
		"empty crit":                         sealedWith(t, k, oauth.ES256, `{"alg":"ES256","kid":"`+kid+`","crit":[]}`),
		"b64":                                sealedWith(t, k, oauth.ES256, `{"alg":"ES256","kid":"`+kid+`","b64":false}`),
		"a line break within":                parts[0] + "." + parts[1] + "." + parts[2][:10] + "\n" + parts[2][10:],
		"padding":                            token + "==",
		"loose last bits: a second spelling": token[:len(token)-1] + string(last+1),
		"a signature of zeros":               parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64)),
		"a short signature":                  parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 10)),
		"claims of another token":            parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"y"}`)) + "." + parts[2],
		"header of a token of another type":  base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","kid":"`+kid+`","typ":"at+jwt"}`)) + "." + parts[1] + "." + parts[2],
	}
	for name, bad := range tests {
		if got, err := k.Verify(bad, TypeIDToken); !errors.Is(err, ErrToken) {
			t.Errorf("%s: got %v, %v, want ErrToken", name, got, err)
		}
	}
	if _, err := k.Verify(token, TypeIDToken); err != nil {
		t.Errorf("the good token: %v", err)
	}
	for _, typ := range []string{TypeAccessToken, TypeLogoutToken, TypeUserInfo, ""} {
		if _, err := k.Verify(token, typ); !errors.Is(err, ErrToken) {
			t.Errorf("an ID token as %q: got %v, want ErrToken", typ, err)
		}
	}
}

func FuzzVerify(f *testing.F) {
	k := sqliteNode(f)
	good := map[string]bool{}
	for _, alg := range oauth.SigningAlgs() {
		token, _ := signed(f, k, alg)
		good[token] = true
		f.Add(token)
	}
	f.Add("..")
	f.Fuzz(func(t *testing.T, token string) {
		if got, err := k.Verify(token, TypeIDToken); (err == nil) != good[token] {
			t.Errorf("Verify(%q) = %v, %v", token, got, err)
		}
	})
}

func BenchmarkSignJWT(b *testing.B) {
	k, claims := sqliteNode(b), bytes.Repeat([]byte(" "), 400)
	for _, alg := range oauth.SigningAlgs() {
		b.Run(alg, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := k.SignJWT(alg, TypeIDToken, claims); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	k := sqliteNode(b)
	for _, alg := range oauth.SigningAlgs() {
		token, _ := signed(b, k, alg)
		for _, first := range []bool{true, false} {
			name := alg + "/again"
			if first {
				name = alg + "/first"
			}
			b.Run(name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if first {
						k.verified.Purge()
					}
					if _, err := k.Verify(token, TypeIDToken); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkGoJose is what SignJWT would cost over go-jose with a signer kept ready.
func BenchmarkGoJose(b *testing.B) {
	k, claims := sqliteNode(b), bytes.Repeat([]byte(" "), 400)
	for _, alg := range oauth.SigningAlgs() {
		p := k.current.Load().signers[alg]
		key := jose.JSONWebKey{Key: p.private, KeyID: p.row.KID}
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(alg, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				jws, err := signer.Sign(claims)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := jws.CompactSerialize(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
