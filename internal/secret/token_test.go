package secret

import (
	"encoding/hex"
	"strings"
	"testing"
)

func TestTokensAreUnguessableAndDistinct(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		token := NewToken("sp_at_")
		body, ok := strings.CutPrefix(token, "sp_at_")
		if !ok || len(body) != 43 || strings.ContainsAny(body, "+/=") {
			t.Fatalf("NewToken = %q, want sp_at_ and 43 base64url characters", token)
		}
		if seen[token] {
			t.Fatalf("NewToken gave %q twice", token)
		}
		seen[token] = true
	}
}

func TestHashIsPlainSHA256(t *testing.T) {
	// FIPS 180-2 appendix B.1
	got := HashOf("abc").String()
	want := "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	if got != want {
		t.Errorf("HashOf(abc) = %s, want %s", got, want)
	}
}

// A request without a token must not match a row that has none.
func TestNoTokenDoesNotMatchNoHash(t *testing.T) {
	if HashOf("").IsZero() {
		t.Error("HashOf(\"\") is the zero Hash")
	}
}

func TestHashSurvivesTheDatabase(t *testing.T) {
	for _, want := range []Hash{{}, HashOf("x")} {
		value, err := want.Value()
		if err != nil {
			t.Fatal(err)
		}
		if (value == nil) != want.IsZero() {
			t.Errorf("Value of %s = %v", want, value)
		}
		got := HashOf("something else")
		if err := got.Scan(value); err != nil || got != want {
			t.Errorf("Scan = %s, %v, want %s", got, err, want)
		}
	}
}

func TestScanRefusesWhatIsNoHash(t *testing.T) {
	for _, src := range []any{[]byte{}, []byte("short"), make([]byte, 33), "text", int64(1), hex.EncodeToString(make([]byte, 32))} {
		var h Hash
		if err := h.Scan(src); err == nil {
			t.Errorf("Scan(%#v) succeeded", src)
		}
	}
}
