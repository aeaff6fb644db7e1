package app

import (
	"errors"
	"net/url"
	"slices"
	"strings"
)

// MailConfig says how mail leaves. Only what Provider needs is filled in.
type MailConfig struct {
	// Provider is "smtp", "mailgun", "sendgrid", "outbox" (a page, in development
	// and testing only), or empty: no mail leaves at all.
	Provider string
	// Sender is the From of every mail, "Name <address>" or the address alone.
	// Empty with outbox only: BRAND_NAME at the issuer's host.
	Sender string

	Server   string // host of the SMTP server
	Port     int    // 465 speaks TLS from the first byte, every other STARTTLS
	UseTLS   bool   // false: in clear, to loopback only
	Username string // empty: no authentication
	Password string

	MailgunDomain string
	MailgunKey    string
	MailgunURL    string // scheme://host[:port] of the API; empty: Mailgun's own

	SendGridKey string
	SendGridURL string // scheme://host[:port] of the API; empty: SendGrid's own
}

func mailSettings(m *MailConfig) []setting {
	row := func(key, def, example, help string, apply func(text string) error) setting {
		s := setting{key: key, def: def, example: example, help: help, apply: apply}
		if strings.HasPrefix(key, "MAIL_") {
			s.aliases = []string{key}
		}
		s.secret = strings.HasSuffix(key, "_API_KEY") || strings.HasSuffix(key, "_PASSWORD")
		return s
	}
	provider := row("MAIL_PROVIDER", "", "smtp", "smtp, mailgun, sendgrid, or outbox (nothing is sent; a page at /dev/mail shows\nit; development only). Production needs a real one unless REGISTRATION, RECOVERY\nand CONFIRM_EMAIL are all false.",
		checked(&m.Provider, oneOfOrEmpty("outbox", "smtp", "mailgun", "sendgrid")))
	provider.devDef, provider.defInText = "outbox", "smtp if MAIL_SERVER is given, else outbox in development"
	return []setting{
		provider,
		row("MAIL_DEFAULT_SENDER", "", "Acme <id@example.com>", "Who mails come from.",
			checked(&m.Sender, checkAddress)),
		row("MAIL_SERVER", "", "smtp.example.com", "For smtp: a host name. Its certificate must be valid for that name.",
			checked(&m.Server, checkHost)),
		row("MAIL_PORT", "587", "587", "465 speaks TLS from the first byte, every other port STARTTLS.",
			into(&m.Port, number(1, 65535))),
		row("MAIL_USE_TLS", "true", "true", "false sends in clear, which is allowed to a server on loopback only.",
			into(&m.UseTLS, parseBool)),
		row("MAIL_USERNAME", "", "id@example.com", "", checked(&m.Username, checkPrintable)),
		row("MAIL_PASSWORD", "", "", "", checked(&m.Password, checkPrintable)),
		row("MAILGUN_DOMAIN", "", "mg.example.com", "For mailgun.",
			checked(&m.MailgunDomain, checkHost)),
		row("MAILGUN_API_KEY", "", "", "", checked(&m.MailgunKey, checkPrintable)),
		row("MAILGUN_BASE_URL", "", "https://api.eu.mailgun.net", "", into(&m.MailgunURL, parseServiceURL)),
		row("SENDGRID_API_KEY", "", "", "For sendgrid.", checked(&m.SendGridKey, checkPrintable)),
		row("SENDGRID_BASE_URL", "", "https://api.eu.sendgrid.com", "", into(&m.SendGridURL, parseServiceURL)),
	}
}

// checkMail asks a mail provider for what it cannot send without.
func (l *loader) checkMail(c *Config, values map[string]value) {
	needs := map[string][]string{
		"smtp":     {"MAIL_SERVER", "MAIL_DEFAULT_SENDER"},
		"mailgun":  {"MAILGUN_DOMAIN", "MAILGUN_API_KEY", "MAIL_DEFAULT_SENDER"},
		"sendgrid": {"SENDGRID_API_KEY", "MAIL_DEFAULT_SENDER"},
	}
	why := "MAIL_PROVIDER=" + c.Mail.Provider + " needs it"
	if _, given := values["MAIL_PROVIDER"]; !given {
		why = "MAIL_SERVER means MAIL_PROVIDER=smtp, which needs it (MAIL_PROVIDER=outbox in development sends nothing)"
	}
	for _, key := range needs[c.Mail.Provider] {
		if _, given := values[key]; !given {
			l.fault(key, "is missing: "+why, settingFor(key).sample())
		}
	}
	if c.Mail.Provider != "smtp" {
		return
	}
	if !c.Mail.UseTLS && c.Mail.Server != "" && !loopbackHost(c.Mail.Server) {
		l.fault("MAIL_USE_TLS", "may be false for a MAIL_SERVER on loopback only: mails carry links that sign people in", "SALLYPORT_MAIL_USE_TLS=true")
	}
	switch {
	case c.Mail.Username == "" && c.Mail.Password != "":
		l.fault("MAIL_USERNAME", "is missing: MAIL_PASSWORD goes with it", settingFor("MAIL_USERNAME").sample())
	case c.Mail.Username != "" && c.Mail.Password == "":
		l.fault("MAIL_PASSWORD", "is missing: MAIL_USERNAME goes with it", settingFor("MAIL_PASSWORD").sample())
	}
}

// checkProductionMail wants mail to leave where somebody waits for it, and no
// page that shows links to whoever reads the database.
func (l *loader) checkProductionMail(c *Config) {
	if l.faulty("MAIL_PROVIDER") {
		return
	}
	needed := c.Registration != "false" || c.Recovery || c.ConfirmEmail
	switch {
	case c.Mail.Provider == "" && needed:
		l.fault("MAIL_PROVIDER", "must be smtp, mailgun or sendgrid in production unless REGISTRATION, RECOVERY and CONFIRM_EMAIL are all false", "SALLYPORT_MAIL_PROVIDER=smtp")
	case c.Mail.Provider == "outbox":
		l.fault("MAIL_PROVIDER", "must be smtp, mailgun or sendgrid in production: outbox sends nothing", "SALLYPORT_MAIL_PROVIDER=smtp")
	}
}

// parseServiceURL reads the address of a provider's API: https, or http on
// loopback, because a key travels with every request. The version that older
// configurations carry at its end is dropped.
func parseServiceURL(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || (u.Scheme != "https" && u.Scheme != "http") {
		return "", errors.New("must be an https URL")
	}
	if u.Scheme == "http" && !loopbackHost(u.Hostname()) {
		return "", errors.New("must begin with https:// unless its host is loopback")
	}
	if !slices.Contains([]string{"", "/", "/v3", "/v3/"}, u.Path) || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("must end after the host and port")
	}
	return u.Scheme + "://" + u.Host, nil
}

// checkHost wants a bare host name or address: no scheme, port or path.
func checkHost(text string) error {
	if strings.ContainsAny(text, "/@ ?#\t") || (strings.Contains(text, ":") && !strings.Contains(text, "::")) {
		return errors.New("must be a host name alone, without scheme or port")
	}
	return checkPrintable(text)
}

// checkPrintable keeps line ends out of what becomes part of a protocol.
func checkPrintable(text string) error {
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return errors.New("must not hold control characters")
	}
	return nil
}
