package mail

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"

	"github.com/sallyport-id/sallyport/internal/outbox"
)

// MailgunURL is the API of Mailgun's region in the US; that of the EU is
// https://api.eu.mailgun.net.
const MailgunURL = "https://api.mailgun.net"

// Mailgun sends through Mailgun's messages API.
type Mailgun struct {
	url, domain, key string
	client           *http.Client
}

// NewMailgun returns a Mailgun that sends from domain. base is scheme://host, empty
// for Mailgun's own.
func NewMailgun(base, domain, key string) *Mailgun {
	return &Mailgun{url: cmp.Or(base, MailgunURL), domain: domain, key: key, client: newHTTPClient()}
}

// Send posts m to /v3/{domain}/messages.
func (g *Mailgun) Send(ctx context.Context, m *Message) error {
	from, to, err := m.addresses(Address.header)
	if err != nil {
		return err
	}
	status, words, err := g.post(ctx, [][2]string{
		{"from", from}, {"to", to}, {"subject", outbox.OneLine(m.Subject, maxSubject)}, {"text", m.Text}, {"html", m.HTML},
		{"h:Message-Id", "<" + m.ID + ">"}, {"h:Auto-Submitted", "auto-generated"},
		// Tracking would lead every link through Mailgun and put a picture into the mail.
		{"o:tracking", "no"}, {"o:tracking-clicks", "no"}, {"o:tracking-opens", "no"},
	})
	switch {
	case err != nil:
		return err
	case status == http.StatusOK:
		return nil
	case status == http.StatusBadRequest && strings.HasPrefix(unquoted.Replace(words), "to parameter"):
		return fmt.Errorf("recipient: %w", outbox.Permanent(answered(status, words)))
	}
	return answered(status, words)
}

// unquoted: Mailgun writes 'to' parameter, and wrote it without quotes.
var unquoted = strings.NewReplacer("'", "", `"`, "")

// Check posts a message without any field. A key that may send gets an error about the missing fields, every other key a
// refusal.
func (g *Mailgun) Check(ctx context.Context) error {
	status, words, err := g.post(ctx, nil)
	if err == nil && status != http.StatusBadRequest {
		err = answered(status, words)
	}
	return err
}

// post returns the status and what the answer says in words.
func (g *Mailgun) post(ctx context.Context, fields [][2]string) (status int, words string, err error) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for _, f := range fields {
		if err := form.WriteField(f[0], f[1]); err != nil {
			return 0, "", err
		}
	}
	if err := form.Close(); err != nil {
		return 0, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url+"/v3/"+url.PathEscape(g.domain)+"/messages", &body)
	if err != nil {
		return 0, "", err
	}
	r.Header.Set("Content-Type", form.FormDataContentType())
	r.Header.Set("Accept", "application/json")
	r.SetBasicAuth("api", g.key)
	answer, err := g.client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, "", err
	}
	var said struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(text, &said) != nil {
		said.Message = "" // a proxy's page, not Mailgun's words
	}
	return answer.StatusCode, said.Message, nil
}
