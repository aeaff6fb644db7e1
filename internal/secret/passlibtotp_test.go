package secret

import (
	"encoding/base32"
	"strings"
	"testing"
)

// These secrets were written by passlib 1.7.4 and Flask-Security-Too 5.9.2, which read the seed back.
var passlibTOTPVectors = []struct{ text, seed string }{
	{`{"enckey":{"c":14,"k":"6IGB4S4EMK62GJA6CTRLURXGB3FJQE22","s":"GPDDRJZU4ZOOWPNHOQXA","t":"2","v":1},"type":"totp","v":1}`, "6BPCWJIEUCKPFHRTMYGCCBHAHTD3QV4K"},
	{`{"enckey":{"c":14,"k":"6WG7QGF5Z6BMGGNSSPYMGXIBBJO2UMC6","s":"VT234V2KVG2ZNMUWGKTA","t":"1","v":1},"type":"totp","v":1}`, "DPR5ZG4T6JPAWILEZQ44PWE3WMLAFQBY"},
	{`{"enckey":{"c":4,"k":"KJSTSMYB5EF6QWDYSIEKE2UUD6KDJH3X","s":"2FNGWLJFMSWHLLTVJ2UQ","t":"2020-01","v":1},"type":"totp","v":1}`, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"},
	{`{"enckey":{"c":4,"k":"OAJBBMQHCCVFC7NJ","s":"4YOKG5BOAXADQB5AKRVA","t":"2020-01","v":1},"type":"totp","v":1}`, "JBSWY3DPEHPK3PXP"},
	{`{"enckey":{"c":4,"k":"EC3WBMJRFEW3OGYI","s":"5B6Q7APQ737V6S3JBVQQ","t":"2020-01","v":1},"issuer":"other","label":"bob","type":"totp","v":1}`, "JBSWY3DPEHPK3PXP"},
	{`{"issuer":"other","key":"JBSWY3DPEHPK3PXP","label":"bob","type":"totp","v":1}`, "JBSWY3DPEHPK3PXP"},
	{"jbsw y3dp-ehpk 3pxp", "JBSWY3DPEHPK3PXP"},
	{"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"},
}

const passlibKeys = `{"1": "TjQ9Qa31VOrfEzuPy4VHQWPCTmRzCnFzMKLxXYiZu9B", "2": "another key, with spaces & ünïcode", "2020-01": "old"}`

// An authenticator app that a person has set up with Flask-Security goes on giving the right codes.
func TestTOTPSecretsOfPasslibAreOpened(t *testing.T) {
	secrets, err := ParsePasslibSecrets(passlibKeys)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range passlibTOTPVectors {
		seed, err := secrets.OpenTOTP(v.text)
		if got := base32.StdEncoding.EncodeToString(seed); err != nil || got != v.seed {
			t.Errorf("%s: got %s, %v, want %s", v.text, got, err, v.seed)
		}
	}
	one, err := ParsePasslibSecrets("  old\n")
	if err != nil {
		t.Fatal(err)
	}
	if seed, err := one.OpenTOTP(passlibTOTPVectors[3].text); err != nil || base32.StdEncoding.EncodeToString(seed) != passlibTOTPVectors[3].seed {
		t.Errorf("one key for every tag: got %x, %v", seed, err)
	}
}

func TestOtherTOTPSecretsAreRefused(t *testing.T) {
	const wallet = `"t":"2020-01","v":1},"type":"totp","v":1}`
	secrets := PasslibSecrets{"2020-01": "old"}
	for name, text := range map[string]string{
		"nothing":          "",
		"not base32":       "JBSWY3DPEHPK3PX1",
		"a short seed":     "JBSWY3DP",
		"a long seed":      strings.Repeat("JBSWY3DP", 13),
		"not JSON":         `{"enckey"`,
		"of HOTP":          `{"key":"JBSWY3DPEHPK3PXP","type":"hotp","v":1}`,
		"another version":  `{"key":"JBSWY3DPEHPK3PXP","type":"totp","v":2}`,
		"eight digits":     `{"digits":8,"key":"JBSWY3DPEHPK3PXP","type":"totp","v":1}`,
		"SHA-256":          `{"alg":"sha256","key":"JBSWY3DPEHPK3PXP","type":"totp","v":1}`,
		"another period":   `{"period":60,"key":"JBSWY3DPEHPK3PXP","type":"totp","v":1}`,
		"an unknown key":   `{"enckey":{"c":4,"k":"OAJBBMQHCCVFC7NJ","s":"4YOKG5BOAXADQB5AKRVA","t":"3","v":1},"type":"totp","v":1}`,
		"a cost for hours": `{"enckey":{"c":40,"k":"OAJBBMQHCCVFC7NJ","s":"4YOKG5BOAXADQB5AKRVA",` + wallet,
		"a negative cost":  `{"enckey":{"c":-1,"k":"OAJBBMQHCCVFC7NJ","s":"4YOKG5BOAXADQB5AKRVA",` + wallet,
		"a damaged key":    `{"enckey":{"c":4,"k":"OAJBBMQHCCVFC7N!","s":"4YOKG5BOAXADQB5AKRVA",` + wallet,
		"a damaged salt":   `{"enckey":{"c":4,"k":"OAJBBMQHCCVFC7NJ","s":"4YOKG5BOAXADQB5AKRVA1",` + wallet,
	} {
		if seed, err := secrets.OpenTOTP(text); err == nil || strings.Contains(err.Error(), "JBSWY3") {
			t.Errorf("%s: got %x, %v, want an error without the secret", name, seed, err)
		}
	}
	for _, text := range []string{"{", `["a"]`, "{}", `{"1": ""}`, `{"": "x"}`, `{"1": 7}`, "1: a\n2: b"} {
		if got, err := ParsePasslibSecrets(text); err == nil {
			t.Errorf("ParsePasslibSecrets(%q) = %v", text, got)
		}
	}
}

// FuzzOpenTOTP: a file of people comes from elsewhere.
func FuzzOpenTOTP(f *testing.F) {
	for _, v := range passlibTOTPVectors[2:] {
		f.Add(v.text)
	}
	secrets := PasslibSecrets{"": "old"}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, `"c"`) && !strings.Contains(text, `"c":4,`) {
			return // a cost within the bound may take half a second
		}
		if seed, err := secrets.OpenTOTP(text); err == nil && (len(seed) < minTOTPSeed || len(seed) > maxTOTPSeed) {
			t.Errorf("a seed of %d bytes", len(seed))
		}
	})
}
