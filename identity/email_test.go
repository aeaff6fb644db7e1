package identity

import (
	"runtime"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/mail"
	"github.com/sallyport-id/sallyport/templates"
)

func TestOneAddressHasOneKey(t *testing.T) {
	for email, want := range map[string]string{
		"bob@acme-corp.com":           "bob@acme-corp.com",
		"  Bob@ACME-Corp.com\t":       "bob@acme-corp.com",
		"b.o.b+tag@acme-corp.com":     "b.o.b+tag@acme-corp.com",
		"bob@bücher.example":          "bob@xn--bcher-kva.example",
		"bob@BÜCHER.example":          "bob@xn--bcher-kva.example",
		"bob@xn--bcher-kva.example":   "bob@xn--bcher-kva.example",
		"JÖRG@a.example":              "jörg@a.example",
		"jo\u0308rg@a.example":        "jörg@a.example", // decomposed
		"İ@a.example":                 "i@a.example",
		"o'neill!#$%&*/=?^_{|}~@a.de": "o'neill!#$%&*/=?^_{|}~@a.de",
		"root@intranet":               "root@intranet",
		"bob@acme-corp。com":           "bob@acme-corp.com", // the ideographic full stop is a dot to IDNA
	} {
		got, err := EmailKey(email)
		if err != nil || got != want {
			t.Errorf("EmailKey(%q): got %q, %v, want %q", email, got, err, want)
			continue
		}
		if again, err := EmailKey(got); err != nil || again != got {
			t.Errorf("EmailKey(%q), a key itself: got %q, %v", got, again, err)
		}
	}
}

// Anything a mail program would take for more than this one box, or a person for another's.
func TestWhatIsNoAddressIsRefused(t *testing.T) {
	for _, email := range []string{
		"", "@", "bob", "bob@", "@acme-corp.com", "bob@@acme-corp.com", "bob@evil.example@acme-corp.com", "bob@acme-corp.com,eve@evil.example",
		"bob,eve@evil.example@acme-corp.com", "Bob <bob@acme-corp.com>", "<bob@acme-corp.com>", "bob@acme-corp.com\r\nBcc: eve@evil.example",
		"bo\x00b@acme-corp.com", "bo b@acme-corp.com", `"bob"@acme-corp.com`, `bob\@acme-corp.com`, "bob@acme_corp.com", "bob@-acme.com",
		"bob@acme..com", "bob@acme-corp.com.", "bob@[127.0.0.1]", "bob@acme corp.com", "bob@acme-corp.com\x00", "bo\u200bb@acme-corp.com",
		"bob\u202e@acme-corp.com", "bob;eve@acme-corp.com", "bob@exa\u0000mple.com", "\xff\xfe@a.example", "bob@" + strings.Repeat("a", 64) + ".com",
		strings.Repeat("a", 65) + "@a.example", "bob@" + strings.Repeat("a.", 126) + "com", strings.Repeat("x", 300) + "@a.example",
		".bob@acme-corp.com", "bob.@acme-corp.com", "b..ob@acme-corp.com", "bob\ue000@acme-corp.com",
	} {
		if got, err := EmailKey(email); err == nil {
			t.Errorf("EmailKey(%q): got %q, want a fault", email, got)
		}
	}
}

func FuzzEmailKey(f *testing.F) {
	for _, s := range []string{"bob@acme-corp.com", "İ@a.example", "bob@bücher.example", "ẞ@ẞ.de", "a@b@c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		key, err := EmailKey(s)
		if err != nil {
			return
		}
		if len(key) > maxEmailBytes || strings.Count(key, "@") != 1 || strings.ContainsAny(key, " ,<>\r\n\x00") {
			t.Errorf("EmailKey(%q): got %q", s, key)
		}
		if again, err := EmailKey(key); err != nil || again != key {
			t.Errorf("EmailKey(%q) of a key: got %q, %v", key, again, err)
		}
		// A registered address can be written to.
		to := mail.Address{Email: strings.TrimSpace(s)}
		if _, err := mail.NewWriter(sealer(t), issuer).Message(to, templates.PasswordChanged{}, ""); err != nil {
			t.Errorf("a mail to %q: %v", s, err)
		}
	})
}

// A text that is too long to be typed is refused before the work of normalizing it: 1 MB of
// combining marks took 65 ms, before any limit.
func TestLongTextIsRefusedBeforeAnyWork(t *testing.T) {
	for name, long := range map[string]string{
		"combining marks": strings.Repeat("\u0301", 500_000) + "@example.com", "letters": strings.Repeat("a", 1<<20), "spaces": strings.Repeat(" ", 1<<20) + "a@example.com",
		"ligatures": strings.Repeat("\ufdfa", 300_000), "capitals": strings.Repeat("\u0130", 500_000) + "@EXAMPLE.COM", "not text": strings.Repeat("\xff", 1<<20),
	} {
		work := map[string]func(){
			"EmailKey":      func() { _, _ = EmailKey(long) },
			"AttemptKey":    func() { AttemptKey(long) },
			"CheckPassword": func() { _ = (&Passwords{}).Check(long, "bob@example.com") },
		}
		for what, do := range work {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			do()
			runtime.ReadMemStats(&after)
			got := after.TotalAlloc - before.TotalAlloc
			if got > 64<<10 {
				t.Errorf("%s of 1 MB of %s takes %d bytes of memory, want few", what, name, got)
			}
		}
	}
}
