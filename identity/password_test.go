package identity

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/sample"
	"github.com/sallyport-id/sallyport/storage"
)

// LG-07, NIST SP 800-63B-4 section 3.1.1.2: common and context words are refused,
// composition is not asked for.
func TestPasswordRules(t *testing.T) {
	in := onSQLite(t)
	const email = "robert.miller@acme-corp.com"
	for password, want := range map[string]string{
		"a quiet river bends north":   "",
		"nur kleinbuchstaben hier":    "",
		"kx9$vQ2m":                    "",
		sample.Password:               "",
		"日本語の長い合言葉です":                 "",
		manyCharacters(256):           "", // 256 characters
		"":                            "fewer than 8",
		"kx9$vQ2":                     "fewer than 8",
		manyCharacters(257):           "more than 256",
		"password":                    "too easy to guess",
		"Password123!":                "too easy to guess",
		"12345678":                    "too easy to guess",
		"qwertyuiop":                  "too easy to guess",
		"sallyport2026":               "too easy to guess",
		"acmecorp2026":                "too easy to guess",
		"wonderland2026":              "too easy to guess",
		"Miller1985":                  "too easy to guess",
		"aaaaaaaaaaaaaaaaaaaaaaaaa":   "too easy to guess",
		email:                         "is the email address",
		"Robert.Miller@ACME-corp.com": "is the email address",
		"robert.miller":               "is the email address",
		"kx9$vQ2m\xff\xfe":            "is not text",
	} {
		err := in.Passwords.Check(password, email, "Robert Miller")
		switch {
		case want == "" && err != nil:
			t.Errorf("%q: got %v, want none", password, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: got %v, want %q", password, err, want)
		case err != nil && len(password) > 8 && strings.Contains(err.Error(), password):
			t.Errorf("%q: the fault repeats the password: %v", password, err)
		}
	}
}

// manyCharacters is a long text without a pattern.
func manyCharacters(n int) string {
	var b strings.Builder
	for k := 0; b.Len() < n; k++ {
		fmt.Fprintf(&b, "%x", sha256.Sum256([]byte{byte(k)}))
	}
	return b.String()[:n]
}

func TestSamplePasswordsAreRefusedInProduction(t *testing.T) {
	in := onSQLite(t, inProduction)
	for _, password := range []string{sample.Password, sample.AdminPassword} {
		if err := in.Passwords.Check(password, "bob@acme-corp.com"); err == nil {
			t.Errorf("%q: got no fault", password)
		}
	}
}

// zxcvbn's time grows with the square of the length.
func BenchmarkCheckPassword(b *testing.B) {
	i := New(Config{Now: time.Now})
	long := strings.Repeat("ab1!", 64)
	for b.Loop() {
		_ = i.Passwords.Check(long, "bob@acme-corp.com")
	}
}

// LG-07: what a superadmin has called the service, and the organization that invites,
// are where people take passwords from too.
func TestPasswordsAreNotTakenFromTheBrandOrTheOrganization(t *testing.T) {
	in := onSQLite(t, func(c *Config) { c.Passwords.Brand = func() string { return "Zanzibar Login" } })
	if err := in.Passwords.Check("zanzibar2026", "bob@acme-corp.com"); err == nil {
		t.Error("the brand and a year: got no fault")
	}
	const password = "wobbleton2026"
	if err := in.Passwords.Check(password, "bob@acme-corp.com"); err != nil {
		t.Fatalf("without an invitation: %v", err)
	}
	acme, owner := in.organization(t, "wobbleton")
	invitation, _ := in.invited(t, owner, acme, "new@elsewhere.example", storage.RoleMember)
	var faults FieldErrors
	if _, _, err := in.Registrations.Register(t.Context(), Registration{Password: password, Invitation: invitation}); !errors.As(err, &faults) {
		t.Errorf("the organization and a year: got %v, want faults", err)
	}
}
