package factor

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pquerna/otp"
)

// The text that an authenticator app reads from the URI is what was put into it, for every
// printable brand and account. The parsers are not ours: one in Go, one on Node.
func TestTheKeyURIIsReadAsItWasMeant(t *testing.T) {
	const key = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
	brands := []string{"Sallyport", "Marks & Spencer", "A=B?C#D", "100% Acme", "Acme: Portal", "Acme%3APortal", "a%253Ab", "1+1 Co", "Søren & Żółć GmbH", "株式会社アクメ", "Acme / Labs",
		`"Quoted" <b>`, strings.Repeat("&", 60)}
	accounts := []string{"alice@acme-corp.com", "bob+otp&x=1@acme-corp.com", "o'neil/%41@acme-corp.com", "zoë@例え.example"}
	for c := '!'; c <= '~'; c++ {
		brands, accounts = append(brands, "A"+string(c)+" B"), append(accounts, "a"+string(c)+"b@example.com")
	}
	var uris []string
	var want [][3]string
	for _, brand := range brands {
		for _, account := range accounts {
			if hasColon(brand) && hasColon(account) {
				continue // one of them must give way
			}
			uri := keyURI(brand, account, key)
			parsed, err := otp.NewKeyFromURL(uri)
			if err != nil {
				t.Fatalf("%s: %v", uri, err)
			}
			if parsed.Issuer() != brand || parsed.AccountName() != account || parsed.Secret() != key || parsed.Period() != totpPeriod || parsed.Digits() != otp.DigitsSix {
				t.Errorf("%s: read as %q, %q, %q", uri, parsed.Issuer(), parsed.AccountName(), parsed.Secret())
			}
			uris, want = append(uris, uri), append(want, [3]string{brand, account, key})
		}
	}
	if diff := cmp.Diff(want, readOnNode(t, uris)); diff != "" {
		t.Errorf("on Node (-want +got):\n%.2000s", diff)
	}
	if both := keyURI("Acme: Portal", "a:b@example.com", key); strings.Contains(both, "%3A%20Portal") {
		t.Errorf("%s: it has two colons, and apps may take either for the one that separates", both)
	}
}

// readOnNode is what npm's otpauth reads: issuer, account and key.
func readOnNode(t *testing.T, uris []string) (all [][3]string) {
	t.Helper()
	dir := filepath.Join("..", "..", "test", "relyingparties", "node")
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "otpauth")); err != nil {
		t.Fatal("otpauth is not installed: run `make test`, which does that, or `npm ci --ignore-scripts` in test/relyingparties/node")
	}
	input, err := json.Marshal(uris)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "keyuri.mjs")
	cmd.Dir, cmd.Stdin, cmd.Stderr = dir, strings.NewReader(string(input)), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &all); err != nil {
		t.Fatal(err)
	}
	return all
}
