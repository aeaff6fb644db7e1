package mail

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/sallyport-id/sallyport/internal/outbox"
	"github.com/sendgrid/rest"
	"github.com/sendgrid/sendgrid-go"
	sgmail "github.com/sendgrid/sendgrid-go/helpers/mail"
)

// SendGridURL is SendGrid's global API; that of the EU is https://api.eu.sendgrid.com.
const SendGridURL = "https://api.sendgrid.com"

// SendGrid sends through SendGrid's v3 API.
type SendGrid struct {
	url, key string
	client   *rest.Client
}

// NewSendGrid returns a SendGrid. base is scheme://host, empty for SendGrid's own.
func NewSendGrid(base, key string) *SendGrid {
	return &SendGrid{url: cmp.Or(base, SendGridURL), key: key, client: &rest.Client{HTTPClient: newHTTPClient()}}
}

// Send posts m to /v3/mail/send.
func (g *SendGrid) Send(ctx context.Context, m *Message) error {
	from, to, err := m.addresses(Address.mailbox)
	if err != nil {
		return err
	}
	letter := sgmail.NewV3MailInit(sgmail.NewEmail(outbox.OneLine(m.From.Name, maxName), from), outbox.OneLine(m.Subject, maxSubject),
		sgmail.NewEmail(outbox.OneLine(m.To.Name, maxName), to), sgmail.NewContent("text/plain", m.Text), sgmail.NewContent("text/html", m.HTML))
	letter.SetHeader("Message-ID", "<"+m.ID+">")
	letter.SetHeader("Auto-Submitted", "auto-generated")
	// Tracking would lead every link through SendGrid and put a picture into the mail.
	letter.SetTrackingSettings(sgmail.NewTrackingSettings().
		SetClickTracking(sgmail.NewClickTrackingSetting().SetEnable(false).SetEnableText(false)).
		SetOpenTracking(sgmail.NewOpenTrackingSetting().SetEnable(false)).
		SetSubscriptionTracking(sgmail.NewSubscriptionTrackingSetting().SetEnable(false)))
	answer, err := g.ask(ctx, rest.Post, "/v3/mail/send", sgmail.GetRequestBody(letter))
	if err != nil {
		return err
	}
	if answer.StatusCode == http.StatusAccepted {
		return nil
	}
	return sendGridFailure(answer)
}

// Check asks what the key may do.
func (g *SendGrid) Check(ctx context.Context) error {
	answer, err := g.ask(ctx, rest.Get, "/v3/scopes", nil)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return sendGridFailure(answer)
	}
	var key struct {
		Scopes []string `json:"scopes"`
	}
	if err := json.Unmarshal([]byte(answer.Body), &key); err != nil {
		return fmt.Errorf("scopes of the key: %w", err)
	}
	if !slices.Contains(key.Scopes, "mail.send") {
		return fmt.Errorf("the key may not send mail: it lacks the scope mail.send")
	}
	return nil
}

func (g *SendGrid) ask(ctx context.Context, method rest.Method, path string, body []byte) (*rest.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	r := sendgrid.GetRequest(g.key, path, g.url)
	r.Method, r.Body = method, body
	return g.client.SendWithContext(ctx, r)
}

// sendGridFailure reads errors[].{message, field}. A fault of the field that holds
// the recipient is the recipient's.
func sendGridFailure(answer *rest.Response) error {
	var said struct {
		Errors []struct {
			Message string `json:"message"`
			Field   string `json:"field"`
		} `json:"errors"`
	}
	if json.Unmarshal([]byte(answer.Body), &said) != nil || len(said.Errors) == 0 {
		return answered(answer.StatusCode, "")
	}
	err := answered(answer.StatusCode, said.Errors[0].Message)
	if answer.StatusCode == http.StatusBadRequest && strings.HasPrefix(said.Errors[0].Field, "personalizations") {
		return fmt.Errorf("recipient: %w", outbox.Permanent(err))
	}
	return err
}
