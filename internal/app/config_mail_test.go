package app

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// An operator mends mail in one go as well, and hears what is missing at the
// start rather than from the first person who waits for a mail.
func TestMailSettingsAreCheckedTogether(t *testing.T) {
	smtp := []string{"MAIL_PROVIDER=smtp", "MAIL_DEFAULT_SENDER=Acme <id@example.com>"}
	for _, tc := range []struct {
		name string
		more []string
		want []string
	}{
		{"smtp without anything", []string{"MAIL_PROVIDER=smtp"}, []string{"MAIL_SERVER", "MAIL_DEFAULT_SENDER"}},
		{"mailgun without anything", []string{"MAIL_PROVIDER=mailgun"}, []string{"MAILGUN_DOMAIN", "MAILGUN_API_KEY", "MAIL_DEFAULT_SENDER"}},
		{"sendgrid without anything", []string{"MAIL_PROVIDER=sendgrid"}, []string{"SENDGRID_API_KEY", "MAIL_DEFAULT_SENDER"}},
		{"smtp", append(smtp, "MAIL_SERVER=smtp.example.com"), nil},
		{"a password without a name", append(smtp, "MAIL_SERVER=smtp.example.com", "MAIL_PASSWORD=x"), []string{"MAIL_USERNAME"}},
		{"a name without a password", append(smtp, "MAIL_SERVER=smtp.example.com", "MAIL_USERNAME=x"), []string{"MAIL_PASSWORD"}},
		{"in clear over a network", append(smtp, "MAIL_SERVER=smtp.example.com", "MAIL_USE_TLS=false"), []string{"MAIL_USE_TLS"}},
		{"in clear on loopback", append(smtp, "MAIL_SERVER=localhost", "MAIL_USE_TLS=false"), nil},
		{"a server with its port", append(smtp, "MAIL_SERVER=smtp.example.com:25"), []string{"MAIL_SERVER"}},
		{"no sender", []string{"MAIL_DEFAULT_SENDER=nobody"}, []string{"MAIL_DEFAULT_SENDER"}},
		{"a key in clear", []string{"SALLYPORT_SENDGRID_BASE_URL=http://api.example.com"}, []string{"SENDGRID_BASE_URL"}},
		{"a key to another path", []string{"SALLYPORT_MAILGUN_BASE_URL=https://api.example.com/v3/x"}, []string{"MAILGUN_BASE_URL"}},
		{"the outbox where strangers are", []string{"MAIL_PROVIDER=outbox"}, []string{"MAIL_PROVIDER"}},
	} {
		if diff := cmp.Diff(tc.want, faultKeys(t, LoadOptions{Environ: inProduction(tc.more...)})); diff != "" {
			t.Errorf("%s: faults (-want +got):\n%s", tc.name, diff)
		}
	}
}

func TestMailSettingsReachTheConfiguration(t *testing.T) {
	c := mustLoad(t, "MAIL_PROVIDER=mailgun", "MAIL_DEFAULT_SENDER=Acme <id@example.com>", "MAIL_SERVER=smtp.example.com", "MAIL_PORT=465",
		"MAIL_USERNAME=u", "MAIL_PASSWORD=p", "SALLYPORT_MAILGUN_DOMAIN=mg.example.com", "SALLYPORT_MAILGUN_API_KEY=k",
		"SALLYPORT_MAILGUN_BASE_URL=https://api.eu.mailgun.net/v3", "SALLYPORT_SENDGRID_API_KEY=s", "SALLYPORT_SENDGRID_BASE_URL=http://127.0.0.1:8025")
	want := MailConfig{Provider: "mailgun", Sender: "Acme <id@example.com>", Server: "smtp.example.com", Port: 465, UseTLS: true,
		Username: "u", Password: "p", MailgunDomain: "mg.example.com", MailgunKey: "k", MailgunURL: "https://api.eu.mailgun.net",
		SendGridKey: "s", SendGridURL: "http://127.0.0.1:8025"}
	if diff := cmp.Diff(want, c.Mail); diff != "" {
		t.Errorf("Mail (-want +got):\n%s", diff)
	}
}

func TestPeopleSettingsReachTheConfiguration(t *testing.T) {
	c := mustLoad(t)
	if c.Registration != "true" || c.ConfirmEmail || !c.Recovery || c.PersonalOrg != "uninvited" || c.RecoveryCodes != 3 || c.Mail.Provider != "outbox" {
		t.Errorf("defaults of development: got %q %v %v %q %d %q", c.Registration, c.ConfirmEmail, c.Recovery, c.PersonalOrg, c.RecoveryCodes, c.Mail.Provider)
	}
	c = mustLoad(t, "SECURITY_REGISTERABLE=Invite", "SECURITY_CONFIRMABLE=True", "SECURITY_RECOVERABLE=False", "SALLYPORT_PERSONAL_ORG=never",
		"SALLYPORT_RECOVERY_CODES=20", "CORS_ORIGINS=https://a.example, https://b.example")
	if c.Registration != "invite" || !c.ConfirmEmail || c.Recovery || c.PersonalOrg != "never" || c.RecoveryCodes != 20 {
		t.Errorf("as asked: got %q %v %v %q %d", c.Registration, c.ConfirmEmail, c.Recovery, c.PersonalOrg, c.RecoveryCodes)
	}
	if diff := cmp.Diff([]string{"https://a.example", "https://b.example"}, c.CORSOrigins); diff != "" {
		t.Errorf("CORSOrigins (-want +got):\n%s", diff)
	}
}
