package mail

import (
	"bytes"
	"errors"
	netmail "net/mail"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/outbox"
)

// RS-02, RS-07: whatever strangers call themselves, a mail has its eight headers,
// one recipient and one sender.
func FuzzHeaders(f *testing.F) {
	for _, seed := range [][3]string{
		{"bob@acme-corp.com", "Bob", "Reset your password"}, {"b\r\nBcc: x@y.example", "=?utf-8?q?=0D=0A?=", "\u202e\x00"}, {"a@b,c@d", `"x" <y@z>`, "a\nb"}, {"ü@bücher.example", "Bü", "…"},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, email, name, about string) {
		m := &Message{ID: "1@acme.example", At: time.Unix(1, 0), From: Address{Email: "id@acme.example", Name: name}, To: Address{Email: email, Name: name}, Subject: about, Text: about, HTML: name}
		content, err := m.bytes()
		if err != nil {
			if f, ok := errors.AsType[*outbox.Failure](err); !ok || !f.Permanent {
				t.Errorf("%q: got %v, want it refused for good", email, err)
			}
			return
		}
		parsed, err := netmail.ReadMessage(bytes.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		if len(parsed.Header) != 8 {
			t.Errorf("got headers %v", parsed.Header)
		}
		to, err := parsed.Header.AddressList("To")
		if err != nil || len(to) != 1 {
			t.Fatalf("To: got %v, %v", to, err)
		}
		if local, _, _ := strings.Cut(email, "@"); !strings.HasPrefix(to[0].Address, local+"@") {
			t.Errorf("To: got %q for %q", to[0].Address, email)
		}
		from, err := parsed.Header.AddressList("From")
		if err != nil || len(from) != 1 || from[0].Address != "id@acme.example" {
			t.Errorf("From: got %v, %v", from, err)
		}
	})
}
