package mail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/outbox"
	"golang.org/x/net/idna"
)

// Sender hands one message to a provider. Its errors hold no secret; [Permanent]
// tells which of them no later try can mend.
type Sender interface {
	Send(ctx context.Context, m *Message) error
}

// Message is one mail to one person, as a Sender takes it.
type Message struct {
	ID       string    // of the Message-ID header, without angle brackets; the same at every try
	At       time.Time // when it was written
	From, To Address
	Subject  string
	HTML     string
	Text     string
}

// Address is a mailbox and whose it is.
type Address struct {
	Email string
	Name  string    // as people say it; may be empty
	User  uuid.UUID // the account, for the audit event of a mail that cannot arrive; nil if there is none
}

// The limits of RFC 5321 section 4.5.3.1, and what a mail program shows of a name.
const (
	maxLocal   = 64
	maxAddress = 254
	maxName    = 64
)

var errAddress = errors.New("not one plain mail address")

// mailbox is the address as it goes over the wire, the domain in ASCII. One that
// could be read as two, as a command or as a comment is refused (mail header injection):
// quoted local parts, too, which nobody has.
func (a Address) mailbox() (string, error) {
	local, domain, ok := strings.Cut(a.Email, "@")
	if !ok || local == "" || len(local) > maxLocal || !utf8.ValidString(a.Email) || strings.ContainsFunc(local, notInLocal) {
		return "", errAddress
	}
	if strings.HasPrefix(local, ".") || strings.HasSuffix(local, ".") || strings.Contains(local, "..") {
		return "", errAddress
	}
	domain, err := idna.New(idna.MapForLookup(), idna.StrictDomainName(true), idna.BidiRule()).ToASCII(domain)
	if err != nil || strings.ContainsFunc(domain, notInDomain) || slices.Contains(strings.Split(domain, "."), "") {
		return "", errAddress
	}
	mailbox := local + "@" + domain
	if len(mailbox) > maxAddress {
		return "", errAddress
	}
	return mailbox, nil
}

func notInLocal(r rune) bool {
	return r <= ' ' || r == 0x7f || strings.ContainsRune(`<>()[],;:\"@`, r) || !unicode.IsPrint(r)
}

func notInDomain(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '.' && r != '-'
}

// header is the address as a header's value. The name is cut, rid of what does not
// print, and encoded if it is more than plain words (RFC 2047).
func (a Address) header() (string, error) {
	mailbox, err := a.mailbox()
	if err != nil {
		return "", err
	}
	name := outbox.OneLine(a.Name, maxName)
	if isASCII(name) {
		return (&mail.Address{Name: name, Address: mailbox}).String(), nil
	}
	// net/mail writes some signs bare into a Q-encoded word, a backslash among
	// them, that RFC 2047 section 5 forbids in front of an address.
	return mime.BEncoding.Encode("utf-8", name) + " " + (&mail.Address{Address: mailbox}).String(), nil
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}

// domain is the part behind the at sign, for a Message-ID.
func (a Address) domain() string {
	mailbox, err := a.mailbox()
	if err != nil {
		return "invalid"
	}
	_, domain, _ := strings.Cut(mailbox, "@")
	return domain
}

// addresses returns sender and recipient in a form, with errors that tell which of them is wrong.
func (m *Message) addresses(form func(Address) (string, error)) (from, to string, err error) {
	if from, err = form(m.From); err != nil {
		return "", "", fmt.Errorf("sender: %w", err)
	}
	if to, err = form(m.To); err != nil {
		return "", "", fmt.Errorf("recipient: %w", outbox.Permanent(err))
	}
	return from, to, nil
}

// maxSubject is far above what this product writes.
const maxSubject = 200

// bytes is the message in the format of RFC 5322: text and HTML as alternatives,
// 7-bit, no line longer than 998.
func (m *Message) bytes() ([]byte, error) {
	from, to, err := m.addresses(Address.header)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	parts := multipart.NewWriter(&b)
	for _, h := range [][2]string{
		{"Date", m.At.UTC().Format(time.RFC1123Z)},
		{"From", from},
		{"To", to},
		{"Subject", subject(m.Subject)},
		{"Message-ID", "<" + m.ID + ">"},
		{"MIME-Version", "1.0"},
		{"Auto-Submitted", "auto-generated"}, // RFC 3834: no holiday notices in return
		{"Content-Type", `multipart/alternative; boundary="` + parts.Boundary() + `"`},
	} {
		b.WriteString(h[0] + ": " + fold(h[1]) + "\r\n")
	}
	b.WriteString("\r\n")
	for _, p := range []struct{ kind, body string }{{"text/plain", m.Text}, {"text/html", m.HTML}} {
		w, err := parts.CreatePart(textproto.MIMEHeader{
			"Content-Type": {p.kind + "; charset=utf-8"}, "Content-Transfer-Encoding": {"quoted-printable"}})
		if err != nil {
			return nil, err
		}
		q := quotedprintable.NewWriter(w)
		if _, err := q.Write([]byte(p.body)); err != nil {
			return nil, err
		}
		if err := q.Close(); err != nil {
			return nil, err
		}
	}
	if err := parts.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func subject(s string) string { return mime.QEncoding.Encode("utf-8", outbox.OneLine(s, maxSubject)) }

// fold breaks a header's value between encoded words (RFC 2047 section 2).
func fold(value string) string { return strings.ReplaceAll(value, "?= =?", "?=\r\n =?") }
