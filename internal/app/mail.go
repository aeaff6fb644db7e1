package app

import (
	"cmp"
	"context"
	"fmt"
	netmail "net/mail"
	"net/netip"
	"time"

	"github.com/sallyport-id/sallyport/internal/mail"
	"github.com/sallyport-id/sallyport/internal/outbox"
	"github.com/sallyport-id/sallyport/templates"
)

// Mailer is what sends mail, as MAIL_PROVIDER says.
func (c *Config) Mailer() mail.Sender {
	m := c.Mail
	switch m.Provider {
	case "smtp":
		return mail.NewSMTP(mail.SMTPConfig{Host: m.Server, Port: m.Port, Plain: !m.UseTLS, Username: m.Username,
			Password: m.Password, LocalName: issuerHost(c.Issuer)})
	case "mailgun":
		return mail.NewMailgun(m.MailgunURL, m.MailgunDomain, m.MailgunKey)
	case "sendgrid":
		return mail.NewSendGrid(m.SendGridURL, m.SendGridKey)
	case "outbox":
		return mail.Outbox{}
	}
	return mail.Discard{}
}

// MailFrom is whom mails come from: MAIL_DEFAULT_SENDER, with BRAND_NAME where it
// has no name; where it is not given, which only outbox allows, a name at the issuer's host.
func (c *Config) MailFrom() (mail.Address, error) {
	if c.Mail.Sender == "" {
		return mail.Address{Email: "no-reply@" + mailHost(c.Issuer), Name: c.BrandName}, nil
	}
	a, err := netmail.ParseAddress(c.Mail.Sender)
	if err != nil {
		return mail.Address{}, fmt.Errorf("MAIL_DEFAULT_SENDER: %w", err)
	}
	return mail.Address{Email: a.Address, Name: cmp.Or(a.Name, c.BrandName)}, nil
}

// mailHost is the issuer's host where that is a name, for a sender nobody answers.
func mailHost(issuer string) string {
	host := issuerHost(issuer)
	if _, err := netip.ParseAddr(host); err == nil || host == "" {
		return "localhost"
	}
	return host
}

// checkMailer asks the provider whether mail could leave, without sending any.
func checkMailer(ctx context.Context, s mail.Sender) error {
	if c, ok := s.(interface {
		Check(ctx context.Context) error
	}); ok {
		return c.Check(ctx)
	}
	return nil
}

// newDeliverer returns what delivers mail in this installation's brand.
func (a *App) newDeliverer(pages *templates.Templates) (*mail.Deliverer, error) {
	from, err := a.Config.MailFrom()
	if err != nil {
		return nil, err
	}
	c := mail.DelivererConfig{Sender: a.Config.Mailer(), Templates: pages, Sealer: a.Sealer, From: from}
	if from.Name == a.Config.BrandName {
		c.Name = a.BrandName
	}
	return mail.NewDeliverer(c)
}

// mailHealth is the sentence of a health check about mail, "ok" if it leaves.
func mailHealth(s outbox.Status) string {
	if !s.Failing {
		return "ok"
	}
	return fmt.Sprintf("%s has failed since %s, and %d messages wait", s.Kind, s.Since.UTC().Format(time.RFC3339), s.Waiting)
}
